package kernel

import "time"

// An engine is one implementation of the inner loops.
type engine struct {
	name string

	// tile adds depth steps of a tile of 1…e.rows rows and e.cols columns:
	//
	//	y[r·ldy+c] = (load ? y[r·ldy+c] : 0) + Σ_k x[k·rows+r]·w[k·e.cols+c]
	tile       func(y []float32, ldy int, x, w []float32, rows, depth int, load bool)
	rows, cols int

	// lines packs the first steps of packLines and returns how many; columns
	// does the work of packColumns or returns false. nil: left to Go.
	lines   func(to []float32, stride int, from []float32, ld, width, depth int) int
	columns func(to []float32, stride int, from []float32, ld, width, depth int) bool

	// dots, mix and outer do the work of [Dots], [Mix] and [Outer] for rows of
	// n numbers, n a positive multiple of vectorStep, at least one row. nil:
	// left to Go.
	dots, mix, outer func(s, a, b *float32, stride, rows, n int)

	// peak computes turns times peakWork floating-point operations, nothing else.
	peak     func(turns int)
	peakWork int
}

// engines are those that this machine can run, the fastest first; the last is
// the reference in Go. Tests set active to each of them.
var (
	engines = append(detect(), &generic)
	active  = engines[0]
)

// Engine names the instruction set of the inner loops.
func Engine() string { return active.name }

// Peak measures how many multiplications and additions per second the inner
// loops could reach on one core: multiply-adds on registers alone.
func Peak() float64 {
	const turns = 1 << 18
	best := time.Duration(1 << 62)
	for range 10 {
		start := time.Now()
		active.peak(turns)
		best = min(best, time.Since(start))
	}
	return turns * float64(active.peakWork) / best.Seconds()
}
