package kernel

import (
	"sync"
	"time"
)

// An engine is one implementation of the matrix products at one precision. It
// sees numbers through dwords: a float32, or a pair of bfloat16 that are
// neighbours along k. Panels are made of dwords, whatever these hold.
type engine struct {
	name      string
	precision Precision
	rows      int // of a panel of x
	cols      int // of a panel of w
	group     int // panels of x that are packed, or read, together

	// strip adds depth steps from k0 of one panel of w to all panels of x.
	strip func(y []float32, ldy int, x *block, w []float32, k0, depth int, load bool)

	// tileRows and tileColumns are the strip for panels of x of the same 1…rows
	// rows, for engines that have no strip of their own:
	//
	//	y[r·ldy+c] = (load ? y[r·ldy+c] : 0) + Σ_k x[r,k]·w[k·cols+c]
	//
	// with x[r,k] at x[r·ldx+k] or at x[k·ldx+r]; the next panel begins next
	// floats later in x, and rows·ldy in y. All depths are positive.
	tileRows, tileColumns func(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, depth int, load bool)

	// wide says that a pair of bfloat16 takes two dwords, each with a float32
	// rounded to bfloat16: how machines without instructions for them compute.
	wide bool
	// rowsOnly says that x must lie by rows.
	rowsOnly bool

	// lines packs the first steps of packLines and returns how many; columns
	// does the work of packColumns or returns false. nil: left to Go.
	lines   func(to []float32, stride int, from []float32, ld, width, depth int) int
	columns func(to []float32, stride int, from []float32, ld, width, depth int) bool
	// pairs is to[k·stride+i] = the pair from[2k·ld+i], from[(2k+1)·ld+i], for
	// i < width and k < n.
	pairs func(to []float32, stride int, from []uint16, ld, width, n int)

	// peak computes turns times peakWork floating-point operations, nothing else.
	peak     func(turns int)
	peakWork int
}

// engines are those that this machine can run, for each precision the fastest
// first; the last are the references in Go. Tests set active to each of them.
var (
	engines = withRounded(append(detect(), generic))
	active  = [2]*engine{F32: first(F32), BF16: first(BF16)}
)

// withRounded adds to engines for float32 those that compute bfloat16 with them,
// for machines without instructions for it.
func withRounded(found []*engine) []*engine {
	for _, e := range found {
		if e.precision == F32 {
			found = append(found, rounded(e))
		}
	}
	return found
}

// Sets are the names of the instruction sets that this CPU has the inner loops
// for, the reference in Go last.
func Sets() (names []string) {
	for _, e := range engines {
		if e.precision == F32 {
			names = append(names, e.name)
		}
	}
	return names
}

// Force makes all inner loops those of one set until restore is called. It is
// for tests: nothing may run meanwhile.
func Force(set string) (restore func()) {
	before, rows := active, activeRows
	for _, e := range engines {
		if e.name == set || e.name == set+", rounded" {
			active[e.precision] = e
		}
	}
	for _, r := range rowEngines {
		if r.name == set {
			activeRows = r
		}
	}
	return func() { active, activeRows = before, rows }
}

func first(p Precision) *engine {
	for _, e := range engines {
		if e.precision == p {
			return e
		}
	}
	panic("kernel: no engine for " + p.String())
}

// Engine names the instruction set of the matrix products at a precision.
func Engine(p Precision) string { return active[p].name }

// Native reports whether the CPU has instructions for products at a precision.
// Others are computed all the same, without a gain in speed.
func Native(p Precision) bool { return p == F32 || !active[p].wide }

// Faster reports whether products at a precision gain from it on this CPU. It
// measures once: some have instructions for bfloat16 that are slower than those
// for float32.
func Faster(p Precision) bool { return p == BF16 && faster() }

var faster = sync.OnceValue(func() bool { return Native(BF16) && Peak(BF16) > 1.2*Peak(F32) })

// Peak measures how many multiplications and additions per second the inner
// loops could reach on one core at a precision: on registers alone.
func Peak(p Precision) float64 {
	e := active[p]
	turns, best := 1<<8, time.Duration(0)
	for best < 300*time.Microsecond && turns < 1<<30 {
		turns *= 2
		start := time.Now()
		e.peak(turns)
		best = time.Since(start)
	}
	for range 10 {
		start := time.Now()
		e.peak(turns)
		best = min(best, time.Since(start))
	}
	return float64(turns) * float64(e.peakWork) / best.Seconds()
}
