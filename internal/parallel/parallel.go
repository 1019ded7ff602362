// Package parallel splits work over output elements. Each element is computed
// by one worker in an order of its own, so results have the same bits for any
// number of workers.
//
// The goroutine that calls [For] or [Do] takes part in the work. The others
// start when they are first needed and then wait for more, at no cost, for as
// long as the process lives. Nobody ever waits for one to become free: parts
// that no other goroutine has begun are run by the caller, so that calls may
// nest and may come from any number of goroutines.
package parallel

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
)

var workers atomic.Int64

// Workers is how many goroutines a call of [For] or [Do] uses at most.
func Workers() int {
	if n := int(workers.Load()); n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// SetWorkers sets that number and returns the one before; n ≤ 0 stands for
// GOMAXPROCS, which is where it starts.
func SetWorkers(n int) (previous int) { return int(workers.Swap(int64(max(n, 0)))) }

// For calls body on ranges that together are [0,n), one range per worker at
// the most and none shorter than grain unless n is. It returns when all have.
// A panic in body reaches the caller; ranges not yet begun may then be left out.
func For(n, grain int, body func(lo, hi int)) {
	Do(n, grain, body, func(body *func(lo, hi int), lo, hi int) { (*body)(lo, hi) })
}

// Do is [For] without an allocation: a body that captures nothing finds its
// arguments in a, which all ranges share and which it must not keep.
//
//	type scaling struct{ y, x []float32; by float32 }
//	parallel.Do(len(x), 1<<13, scaling{y, x, 2}, func(s *scaling, lo, hi int) {
//		for i := lo; i < hi; i++ {
//			s.y[i] = s.by * s.x[i]
//		}
//	})
func Do[A any](n, grain int, args A, body func(a *A, lo, hi int)) {
	if n <= 0 {
		return
	}
	free := jobs[A]()
	j := free.Get().(*job[A])
	j.args, j.body = args, body
	// A panic leaves j to the garbage collector.
	j.split(n, max(1, n/max(1, grain)))
	var none A
	j.args, j.body = none, nil
	free.Put(j)
}

// job is a call with the arguments it has for its body.
type job[A any] struct {
	call
	args A
	body func(a *A, lo, hi int)
}

// pools has the jobs that are not in use: a *sync.Pool for each type A.
var pools sync.Map

func jobs[A any]() *sync.Pool {
	key := reflect.TypeFor[A]()
	if p, ok := pools.Load(key); ok {
		return p.(*sync.Pool)
	}
	p, _ := pools.LoadOrStore(key, &sync.Pool{New: func() any {
		j := &job[A]{call: call{done: make(chan struct{}, 1)}}
		j.run = func(lo, hi int) { j.body(&j.args, lo, hi) }
		return j
	}})
	return p.(*sync.Pool)
}

// chunk is the length of the pieces that [SumFloat64] adds up: long enough to
// hide the call, and a constant, because it decides the order of the sum.
const chunk = 4096

// SumFloat64 adds what body returns for fixed chunks of [0,n), in the order of
// the chunks: the same bits for any number of workers.
func SumFloat64(n int, body func(lo, hi int) float64) float64 {
	parts := make([]float64, (n+chunk-1)/chunk)
	For(len(parts), 1, func(lo, hi int) {
		for c := lo; c < hi; c++ {
			parts[c] = body(c*chunk, min((c+1)*chunk, n))
		}
	})
	sum := 0.0
	for _, p := range parts {
		sum += p
	}
	return sum
}
