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
	parked atomic.Bool          // whoever makes it false must send to, or is, the worker
	wake   chan struct{}

	// Of whoever has taken the slot.
	part    int
	asleep  bool          // when the part was given
	until   time.Duration // not to be woken before
	penalty time.Duration // for waking it in vain again

	// Of the worker: how often it is not to spin, and how often after it spins
	// in vain again.
	skip, nextSkip int

	_ [cacheLine]byte
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
			w.asleep = w.parked.Load()
			if w.asleep && w.until > 0 && now() < w.until {
				w.slot.Store(nil)
				continue
			}
			free = append(free, w)
		}
	}
	return free
}

// inVain notes, before w is let go, that its part has been taken back. If it
// was woken for that then parts are short, or other processes have its core:
// or even the caller's, which spinning would then slow down. Waking it is tried
// ever less often.
func (w *worker) inVain() {
	if w.asleep {
		w.until = now() + w.penalty
		w.penalty = min(2*w.penalty+spinFor, maxPenalty)
	}
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
// for a while. Where spinning is in vain, because calls are far apart or because
// the caller waits for this very core, it is tried ever less often.
func (w *worker) await() *call {
	if w.skip > 0 {
		w.skip--
		return w.accept()
	}
	for s := (spin{}); s.again(); {
		if c := w.accept(); c != nil {
			w.nextSkip /= 2
			return c
		}
	}
	w.skip, w.nextSkip = w.nextSkip, min(2*w.nextSkip+1, maxSkip)
	return nil
}

// accept returns the call that offers w a part, if one does.
func (w *worker) accept() *call {
	if c := w.slot.Load(); c != nil && c != taken && w.slot.CompareAndSwap(c, taken) {
		w.penalty /= 2
		return c
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

// maxPenalty is short against what anybody notices and long against the loss by
// waking a worker in vain, which is spinFor and little more.
const maxPenalty = 64 * spinFor

// maxSkip is the same for spinning, but counted: a worker that sleeps has no
// use for a clock.
const maxSkip = 63

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

func now() time.Duration { return time.Since(start) }

// again pauses, from the second turn on, and reports whether to try again.
func (s *spin) again() bool {
	if s.turns++; s.turns == 1 {
		return true
	}
	s.x = pause(s.x)
	if s.turns%roundTurns != 0 {
		return true
	}
	t := now()
	if s.rounds++; s.rounds == 1 {
		s.until = t + spinFor
	}
	if s.rounds%yieldRounds == 0 {
		runtime.Gosched()
	}
	return t < s.until
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
