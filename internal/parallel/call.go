package parallel

import (
	"runtime"
	"sync/atomic"
)

// call is one call of [Do] under way. Its parts are dealt out so:
//
//	part 0             to the caller
//	parts 1 … helpers  one to each worker that was free
//	the rest           to whoever is done with the above, one at a time
//
// A worker's own part is in most calls the same, which keeps its data in its
// cache. The caller takes it back if the worker has not begun by the time the
// caller runs out of parts, so a core that is busy with other work delays nobody.
type call struct {
	_       [cacheLine]byte
	next    atomic.Int64        // first of the rest that nobody has taken
	pending atomic.Int64        // workers that hold a part, + blocked
	failure atomic.Pointer[any] // what the first of them panicked with
	done    chan struct{}       // from the last of them to a caller that is blocked
	_       [cacheLine]byte

	// Written before the workers are asked and only read by them.
	run      func(lo, hi int)
	n, parts int
	helpers  []*worker
}

// blocked in pending says that the caller waits at done.
const blocked = 1 << 32

// split runs all parts: as many as there are workers, but no more than most.
func (c *call) split(n, most int) {
	if most == 1 {
		c.run(0, n)
		return
	}
	procs := runtime.GOMAXPROCS(0)
	count := int(workers.Load())
	if count <= 0 {
		count = procs
	}
	c.n, c.parts = n, min(count, most)
	if c.parts == 1 {
		c.run(0, n)
		return
	}
	// More helpers than processors would have to take turns.
	c.post(min(count, procs) - 1)
	c.caller()
	if r := c.failure.Load(); r != nil {
		panic(*r)
	}
}

func (c *call) part(i int) { c.run(i*c.n/c.parts, (i+1)*c.n/c.parts) }

// rest runs parts that are meant for anybody.
func (c *call) rest() {
	if c.parts == len(c.helpers)+1 {
		return // as a rule; saves touching next
	}
	for i := int(c.next.Add(1) - 1); i < c.parts; i = int(c.next.Add(1) - 1) {
		c.part(i)
	}
}

// post hands parts to those of the first limit workers that are free.
func (c *call) post(limit int) {
	c.helpers = claim(c.helpers[:0], limit, c.parts-1)
	c.next.Store(int64(len(c.helpers)) + 1)
	c.pending.Store(int64(len(c.helpers)))
	woken := false
	for i, w := range c.helpers {
		woken = w.post(c, i+1) || woken
	}
	if woken {
		// The runtime keeps the goroutine woken last for this processor, in case
		// that blocks soon. Others may take it after 50 µs or more; or at once,
		// when it is not the last.
		go func() {}()
	}
}

// caller is the work of the goroutine that called.
func (c *call) caller() {
	defer c.wait()
	c.part(0)
	c.rest()
	for i, w := range c.helpers {
		if c.takeBack(w) {
			c.part(i + 1)
		}
	}
}

// takeBack reports whether the part of w is the caller's again.
func (c *call) takeBack(w *worker) bool {
	if w.slot.Load() != c || !w.slot.CompareAndSwap(c, taken) {
		return false
	}
	w.inVain()
	w.slot.Store(nil)
	c.pending.Add(-1)
	return true
}

// wait returns when no worker has to do with the call any more, even if the
// caller's own part panicked.
func (c *call) wait() {
	for _, w := range c.helpers {
		c.takeBack(w)
	}
	for s := (spin{}); s.again(); {
		if c.pending.Load() == 0 {
			return
		}
	}
	if c.pending.Add(blocked) != blocked {
		<-c.done
	}
}

// help is the work of w. It leaves w free before it lets the caller go, who is
// likely to call again at once.
func (c *call) help(w *worker) {
	defer func() {
		if r := recover(); r != nil {
			c.fail(r)
		}
		w.slot.Store(nil)
		if c.pending.Add(-1) == blocked {
			c.done <- struct{}{}
			runtime.Gosched() // the caller is next on this processor
		}
	}()
	c.part(w.part)
	c.rest()
}

func (c *call) fail(r any) { c.failure.CompareAndSwap(nil, &r) }
