package server

import (
	"sync"
	"time"
)

// pace knows how fast answers come while requests are computed, and so how long a
// new one would wait: as many times the time between two answers as there are
// requests (Little's law).
type pace struct {
	most time.Duration // that a request may expect to take beside others

	mu      sync.Mutex
	inside  int           // requests that are computed
	last    time.Time     // of the last answer, or since when something is computed
	between time.Duration // two answers, in the mean; 0: not known yet
}

// paceMemory is over how many answers the mean goes, about.
const paceMemory = 8

// paceLeast is how many requests are let in however long they take: one that draws,
// and one that has its prompt computed or its answer written meanwhile.
const paceLeast = 2

// enter lets a request in, or says after what time those that are inside will have
// been answered.
func (p *pace) enter(now time.Time) (again time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inside == 0 {
		p.last = now
	}
	if inside := time.Duration(p.inside); p.inside >= paceLeast && (inside+1)*p.between > p.most {
		return inside * p.between, false
	}
	p.inside++
	return 0, true
}

// leave takes in that a request has left, answered or not: one that was given up, or
// could not be understood, took time from others but tells nothing of an answer's.
func (p *pace) leave(now time.Time, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inside--
	if !answered {
		return
	}
	since := now.Sub(p.last)
	p.last = now
	if p.between == 0 {
		p.between = since
	}
	p.between += (since - p.between) / paceMemory
}
