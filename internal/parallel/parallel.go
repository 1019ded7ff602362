// Package parallel splits work over output elements. Each element is computed
// by one worker in an order of its own, so results have the same bits for any
// number of workers.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

var workers atomic.Int64

// Workers is how many goroutines [For] uses at most.
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
// A panic in body reaches the caller.
func For(n, grain int, body func(lo, hi int)) {
	if n <= 0 {
		return
	}
	parts := min(Workers(), max(1, n/max(1, grain)))
	if parts == 1 {
		body(0, n)
		return
	}
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		failed   bool
		panicked any
	)
	run := func(part int) {
		defer wg.Done()
		defer func() {
			if r := recover(); r != nil {
				mu.Lock()
				failed, panicked = true, r
				mu.Unlock()
			}
		}()
		body(part*n/parts, (part+1)*n/parts)
	}
	wg.Add(parts)
	for part := 1; part < parts; part++ {
		go run(part)
	}
	run(0)
	wg.Wait()
	if failed {
		panic(panicked)
	}
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
