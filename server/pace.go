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

// enter lets a request in, or says after what time to ask again. Where nothing is
// computed, whatever comes is let in.
func (p *pace) enter(now time.Time) (again time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inside == 0 {
		p.last = now
	} else if wait := time.Duration(p.inside+1) * p.between; wait > p.most {
		return wait - p.most, false
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
