package parallel

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// withProcs gives the workers threads to run on, on any machine.
func withProcs(t *testing.T, n int) {
	previous := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(previous) })
}

// adding has one sum per element, so that a range run twice shows.
type adding struct {
	visits []int
	by     int
}

func (a *adding) add(lo, hi int) {
	for i := lo; i < hi; i++ {
		a.visits[i] += a.by
	}
}

// checkDo adds 3 to n elements and reports whether each has it once.
func checkDo(n, grain int) bool {
	visits := make([]int, n)
	Do(n, grain, adding{visits, 3}, (*adding).add)
	for _, v := range visits {
		if v != 3 {
			return false
		}
	}
	return true
}

func TestDoVisitsEveryIndexOnce(t *testing.T) {
	for procs := 1; procs <= 4; procs++ {
		withProcs(t, procs)
		for workers := 1; workers <= 5; workers++ {
			withWorkers(t, workers)
			for _, n := range []int{0, 1, 2, 3, 7, 64, 1000} {
				for _, grain := range []int{0, 1, 3, 2000} {
					if !checkDo(n, grain) {
						t.Fatalf("Do(%d, %d) with %d workers on %d processors missed or repeated an index", n, grain, workers, procs)
					}
				}
			}
		}
	}
}

func TestPartitionDependsOnWorkersOnly(t *testing.T) {
	ranges := func(n int) (starts [10]bool) {
		Do(n, 1, &starts, func(starts **[10]bool, lo, _ int) { (*starts)[lo] = true })
		return starts
	}
	withWorkers(t, 4)
	want := [10]bool{0: true, 2: true, 5: true, 7: true}
	for procs := 1; procs <= 5; procs++ {
		withProcs(t, procs)
		if got := ranges(10); got != want {
			t.Errorf("%d processors: ranges of 10 start at %v, want %v", procs, got, want)
		}
		// The same of a call that finds the workers taken.
		For(4, 1, func(_, _ int) {
			if got := ranges(10); got != want {
				t.Errorf("%d processors, nested: ranges of 10 start at %v, want %v", procs, got, want)
			}
		})
	}
}

func TestManyQuickCalls(t *testing.T) {
	withProcs(t, 4)
	withWorkers(t, 4)
	counts := make([]int, 4)
	const calls = 20000
	for range calls {
		Do(4, 1, counts, func(counts *[]int, lo, _ int) { (*counts)[lo]++ })
	}
	for i, got := range counts {
		if got != calls {
			t.Errorf("part %d ran %d times in %d calls", i, got, calls)
		}
	}
}

// allAsleep returns when all workers are asleep, and willing to be woken.
func allAsleep() {
	For(Workers(), 1, func(_, _ int) {}) // starts them
	for _, w := range *crew.Load() {
		for !w.parked.Load() {
			runtime.Gosched()
		}
		w.until, w.penalty = 0, 0
	}
}

// Each part waits for the other, twice: once with workers that look for work
// and once with workers that have gone to sleep.
func TestFreeWorkersTakeParts(t *testing.T) {
	withProcs(t, 2)
	withWorkers(t, 2)
	allAsleep()
	for range 20 {
		for range 2 {
			begun := [2]chan bool{make(chan bool), make(chan bool)}
			Do(2, 1, begun, func(begun *[2]chan bool, lo, _ int) {
				close(begun[lo])
				<-begun[1-lo]
			})
		}
		allAsleep()
	}
}

func TestDoStartsNoMoreGoroutinesThanWorkers(t *testing.T) {
	withProcs(t, 8)
	withWorkers(t, 3)
	before := 0
	if all := crew.Load(); all != nil {
		before = len(*all)
	}
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 50 {
				For(8, 1, func(_, _ int) { For(8, 1, func(_, _ int) {}) })
			}
		})
	}
	callers.Wait()
	if got, want := len(*crew.Load()), max(before, 2); got != want {
		t.Errorf("%d workers beside the callers, want %d", got, want)
	}
}

func TestDoAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("sync.Pool drops things under the race detector")
	}
	visits := make([]int, 1000)
	call := func() { Do(len(visits), 1, adding{visits, 1}, (*adding).add) }
	for workers := 1; workers <= 4; workers++ {
		withWorkers(t, workers)
		// On one processor, as AllocsPerRun sets it.
		if got := testing.AllocsPerRun(1000, call); got != 0 {
			t.Errorf("%d workers, one processor: %v allocations a call, want 0", workers, got)
		}
		withProcs(t, 4)
		call()
		const calls = 10000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			call()
		}
		runtime.ReadMemStats(&after)
		// The runtime has allocations of its own, and a collection empties the
		// pool of jobs: a few for all calls together.
		if got := after.Mallocs - before.Mallocs; got > calls/20 {
			t.Errorf("%d workers: %d allocations in %d calls", workers, got, calls)
		}
	}
}

func TestDoForgetsItsArguments(t *testing.T) {
	for workers := 1; workers <= 2; workers++ {
		withWorkers(t, workers)
		var kept atomic.Pointer[adding] // no body may do this
		Do(4, 1, adding{make([]int, 4), 1}, func(a *adding, _, _ int) { kept.Store(a) })
		if a := kept.Load(); a.visits != nil || a.by != 0 {
			t.Errorf("%d workers: arguments after the call are %v, want none", workers, *a)
		}
	}
}

func TestDoPassesThePanicOfAnyPartOn(t *testing.T) {
	withProcs(t, 4)
	withWorkers(t, 4)
	broken := errors.New("broken")
	for round := range 200 {
		at := round % 4
		var running atomic.Int32
		func() {
			defer func() {
				if r := recover(); r != broken {
					t.Errorf("panic in part %d: recovered %v, want %v", at, r, broken)
				}
				if got := running.Load(); got != 0 {
					t.Errorf("panic in part %d: %d parts are running after the call", at, got)
				}
			}()
			For(4, 1, func(lo, _ int) {
				running.Add(1)
				defer running.Add(-1)
				if lo == at {
					panic(broken)
				}
			})
			t.Errorf("panic in part %d: For returned", at)
		}()
		if !checkDo(100, 1) {
			t.Fatalf("panic in part %d: the next call missed or repeated an index", at)
		}
	}
}

func TestDoWithPanicsInAllParts(t *testing.T) {
	withProcs(t, 4)
	withWorkers(t, 4)
	for range 100 {
		func() {
			defer func() {
				if r, ok := recover().(int); !ok || r < 0 || r > 3 {
					t.Errorf("recovered %v, want the number of a part", r)
				}
			}()
			For(4, 1, func(lo, _ int) { panic(lo) })
		}()
	}
}

// A test that fails inside a body ends its goroutine, which may be a worker.
func TestWorkersOutliveGoexit(t *testing.T) {
	withProcs(t, 4)
	withWorkers(t, 4)
	for round := range 100 {
		var caller sync.WaitGroup
		caller.Go(func() {
			For(4, 1, func(lo, _ int) {
				if lo == round%4 {
					runtime.Goexit()
				}
			})
		})
		caller.Wait()
		if !checkDo(100, 1) {
			t.Fatal("the next call missed or repeated an index")
		}
	}
}

func TestNestedCalls(t *testing.T) {
	withProcs(t, 4)
	for workers := 1; workers <= 5; workers++ {
		withWorkers(t, workers)
		var leaves atomic.Int64
		For(6, 1, func(lo, hi int) {
			for range hi - lo {
				Do(5, 1, &leaves, func(leaves **atomic.Int64, lo, hi int) {
					for range hi - lo {
						For(4, 1, func(lo, hi int) { (*leaves).Add(int64(hi - lo)) })
					}
				})
			}
		})
		if got := leaves.Load(); got != 6*5*4 {
			t.Errorf("%d workers: three levels of calls ran %d times, want %d", workers, got, 6*5*4)
		}
	}
}

func TestConcurrentCallersWhileWorkersChange(t *testing.T) {
	withProcs(t, 4)
	withWorkers(t, 4)
	var callers, changer sync.WaitGroup
	stop := make(chan bool)
	changer.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				SetWorkers(n % 7)
				runtime.Gosched()
			}
		}
	})
	for c := range 200 {
		callers.Go(func() {
			for i := range 50 {
				if n := 1 + (c+i)%40; !checkDo(n, i%3) {
					t.Errorf("caller %d: Do(%d, %d) missed or repeated an index", c, n, i%3)
				}
				if i%10 == 0 {
					func() {
						defer func() {
							if r := recover(); r != c {
								t.Errorf("caller %d: recovered %v", c, r)
							}
						}()
						For(8, 1, func(_, hi int) {
							if hi == 8 {
								panic(c)
							}
						})
					}()
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	changer.Wait()
}

// A caller that has to wait long blocks, and is woken.
func TestCallerWaitsForALongPart(t *testing.T) {
	withProcs(t, 2)
	withWorkers(t, 2)
	for range 20 {
		allAsleep()
		begun, blockedCaller := make(chan bool), make(chan bool)
		j := jobs[func(lo, hi int)]().New().(*job[func(lo, hi int)])
		j.args = func(lo, _ int) {
			if lo == 1 {
				close(begun)
				<-blockedCaller
			} else {
				<-begun
			}
		}
		j.body = func(body *func(lo, hi int), lo, hi int) { (*body)(lo, hi) }
		var caller sync.WaitGroup
		caller.Go(func() { j.split(2, 2) })
		for j.pending.Load() < blocked {
			runtime.Gosched()
		}
		close(blockedCaller)
		caller.Wait()
	}
}
