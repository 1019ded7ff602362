package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// cacheLine keeps apart what different cores write: two lines, because they
// are fetched in pairs.
const cacheLine = 128

// worker is a goroutine that waits for parts of calls.
type worker struct {
	_      [cacheLine]byte
	slot   atomic.Pointer[call] // nil: free; taken; or a call that offers part
	part   int                  // written by who has taken the slot
	parked atomic.Bool          // whoever makes it false must send to, or is, the worker
	wake   chan struct{}
	_      [cacheLine]byte
}

// taken marks a worker that is being given a part or is running one.
var taken = new(call)

var (
	crew    atomic.Pointer[[]*worker] // grows only
	growing sync.Mutex
)

// claim appends to free up to want of the first limit workers.
func claim(free []*worker, limit, want int) []*worker {
	for i := 0; i < limit && len(free) < want; i++ {
		if w := member(i); w.slot.Load() == nil && w.slot.CompareAndSwap(nil, taken) {
			free = append(free, w)
		}
	}
	return free
}

// member is worker i, started if need be.
func member(i int) *worker {
	if all := crew.Load(); all != nil && i < len(*all) {
		return (*all)[i]
	}
	growing.Lock()
	defer growing.Unlock()
	var all []*worker
	if p := crew.Load(); p != nil {
		all = append(all, *p...)
	}
	for len(all) <= i {
		w := &worker{wake: make(chan struct{}, 1)}
		all = append(all, w)
		go w.work()
	}
	crew.Store(&all)
	return all[i]
}

// post offers a part of c to w, which the caller has claimed, and reports
// whether it had to wake w.
func (w *worker) post(c *call, part int) (woken bool) {
	w.part = part
	w.slot.Store(c)
	if !w.parked.Load() || !w.parked.CompareAndSwap(true, false) {
		return false
	}
	w.wake <- struct{}{}
	return true
}

func (w *worker) work() {
	// Only a body that ends its goroutine (runtime.Goexit) gets here.
	defer func() { go w.work() }()
	for {
		if c := w.await(); c != nil {
			c.help(w)
		} else {
			w.park()
		}
	}
}

// await returns the next call whose part is w's to run, or nil if none comes
// for a while.
func (w *worker) await() *call {
	for s := (spin{}); s.again(); {
		if c := w.slot.Load(); c != nil && c != taken && w.slot.CompareAndSwap(c, taken) {
			return c
		}
	}
	return nil
}

// park returns when something has been posted. Who posts stores slot and then
// looks at parked, and here it is the other way round: one sees the other.
func (w *worker) park() {
	w.parked.Store(true)
	if c := w.slot.Load(); c != nil && c != taken && w.parked.CompareAndSwap(true, false) {
		return
	}
	<-w.wake
}

// spinFor is how long a goroutine looks for what it waits for before it blocks:
// about what it costs to block and be woken on another processor, so waiting
// costs at most twice what the better choice would have. Measured in time, not
// in turns: who lost its core meanwhile gives up at once.
const spinFor = 50 * time.Microsecond

// A round of spinning, about a microsecond, is short against spinFor and long
// against a reading of the clock. Every few rounds other goroutines get their
// turn; more often costs more, as it may wake an idle processor.
const (
	roundTurns  = 64
	yieldRounds = 8
)

// spin counts the turns of a loop that waits:
//
//	for s := (spin{}); s.again(); {
type spin struct {
	turns, rounds int
	until         time.Duration
	x             uint64
}

var start = time.Now()

// again pauses, from the second turn on, and reports whether to try again.
func (s *spin) again() bool {
	if s.turns++; s.turns == 1 {
		return true
	}
	s.x = pause(s.x)
	if s.turns%roundTurns != 0 {
		return true
	}
	now := time.Since(start)
	if s.rounds++; s.rounds == 1 {
		s.until = now + spinFor
	}
	if s.rounds%yieldRounds == 0 {
		runtime.Gosched()
	}
	return now < s.until
}

// pause passes some 15 ns with few instructions, each of which waits for the
// one before, so that a sibling hyperthread has the core almost to itself.
//
//go:noinline
func pause(x uint64) uint64 {
	for range 20 {
		x = x*x + 1
	}
	return x
}
