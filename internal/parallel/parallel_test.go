package parallel

import (
	"sync/atomic"
	"testing"
)

func withWorkers(t *testing.T, n int) {
	previous := SetWorkers(n)
	t.Cleanup(func() { SetWorkers(previous) })
}

func TestForVisitsEveryIndexOnce(t *testing.T) {
	for workers := 1; workers <= 5; workers++ {
		withWorkers(t, workers)
		for _, n := range []int{0, 1, 2, 3, 7, 64, 1000} {
			for _, grain := range []int{0, 1, 3, 2000} {
				visits := make([]atomic.Int32, n)
				For(n, grain, func(lo, hi int) {
					for i := lo; i < hi; i++ {
						visits[i].Add(1)
					}
				})
				for i := range visits {
					if got := visits[i].Load(); got != 1 {
						t.Fatalf("For(%d, %d) with %d workers visited %d %d times", n, grain, workers, i, got)
					}
				}
			}
		}
	}
}

func TestForPassesAPanicOn(t *testing.T) {
	withWorkers(t, 3)
	defer func() {
		if r := recover(); r != "broken" {
			t.Errorf("recovered %v, want broken", r)
		}
	}()
	For(100, 1, func(lo, hi int) {
		if lo <= 99 && 99 < hi {
			panic("broken")
		}
	})
	t.Error("For returned")
}

func TestSumHasTheSameBitsForAnyWorkers(t *testing.T) {
	const n = 3*chunk + 17
	sum := func() float64 {
		return SumFloat64(n, func(lo, hi int) (s float64) {
			for i := lo; i < hi; i++ {
				s += 1 / float64(i+1)
			}
			return s
		})
	}
	withWorkers(t, 1)
	want := sum()
	// ln n + Euler's constant, to the 1/2n of its expansion.
	if want < 9.98 || want > 10.1 {
		t.Errorf("harmonic sum of %d terms is %v", n, want)
	}
	for workers := 2; workers <= 4; workers++ {
		withWorkers(t, workers)
		if got := sum(); got != want {
			t.Errorf("%d workers: %v, one: %v", workers, got, want)
		}
	}
}
