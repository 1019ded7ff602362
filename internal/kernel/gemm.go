// Package kernel holds the inner loops. Every element of a result is summed in
// one fixed order that depends neither on the shape of the rest nor on the
// number of workers: a row of a batch has the bits that it has alone.
package kernel

import (
	"fmt"
	"math"
	"sync"

	"github.com/micro-quant/mqc/internal/parallel"
)

// Element (m, n) of a product is a single chain over all of K,
//
//	y = 0 or, if accumulate, y[m,n];  for k in order: y = y + x[m,k]·w[k,n]
//
// where the engine decides what a step is: a number, multiplied and added with
// one rounding or with two, a pair of bfloat16, or 16 pairs. Blocks of K pass
// the chain on through Y, so that no size below, and no position in a panel, is
// visible in the bits.

// Mul is Y = X·W, or Y += X·W if accumulate, with rows of y ldy apart.
//
//	y (M, N)   x (M, K)   w (K, N)
func Mul(y []float32, ldy int, x *Mat, w *Packed, accumulate bool) {
	checkMul("Mul", x, w)
	if M := x.Rows; M > 0 && len(y) < (M-1)*ldy+w.N {
		panic(fmt.Sprintf("kernel: Mul: %d elements for %d rows of %d, %d apart", len(y), M, w.N, ldy))
	}
	type args struct {
		y          []float32
		ldy        int
		x          Mat
		w          *Packed
		accumulate bool
	}
	a := args{y, ldy, *x, w, accumulate}
	e := w.e
	if !tall(x.Rows) {
		panels := ceilDiv(w.N, e.cols)
		grain := ceilDiv(minWork, e.cols*w.K*(x.Rows+packWork))
		parallel.Do(panels, grain, a, func(a *args, lo, hi int) {
			s := pool.Get().(*scratch)
			defer pool.Put(s)
			cols := a.w.e.cols
			s.lay(a.w.e, &a.x, 0, a.x.Rows)
			s.multiply(a.y, a.ldy, a.w, lo*cols, min(hi*cols, a.w.N), a.accumulate)
		})
		return
	}
	parallel.Do(ceilDiv(x.Rows, e.rows), panelGrain(e, w.N*w.K), a, func(a *args, lo, hi int) {
		s := pool.Get().(*scratch)
		defer pool.Put(s)
		lo, hi = lo*a.w.e.rows, min(hi*a.w.e.rows, a.x.Rows)
		for lo < hi {
			next := min(lo+a.w.e.rows*a.w.e.group, hi)
			s.lay(a.w.e, &a.x, lo, next)
			s.multiply(a.y[lo*a.ldy:], a.ldy, a.w, 0, a.w.N, a.accumulate)
			lo = next
		}
	})
}

// MulTransposed is Y = Xᵀ·W, or Y += Xᵀ·W if accumulate.
//
//	y (M, N)   x (K, M)   w (K, N)
func MulTransposed(y []float32, x, w *Mat, accumulate bool) {
	K, M, N := x.Rows, x.Cols, w.Cols
	if w.Rows != K || w.Precision != x.Precision || len(y) < M*N {
		panic(fmt.Sprintf("kernel: MulTransposed: %d elements for (%d, %d)ᵀ·(%d, %d), %v and %v", len(y), K, M, w.Rows, N, x.Precision, w.Precision))
	}
	if K == 0 {
		if !accumulate {
			clear(y[:M*N])
		}
		return
	}
	packed := packs.Get().(*Packed)
	defer packs.Put(packed)
	packed.packColumns(*w)
	type args struct {
		y          []float32
		x          Mat
		w          *Packed
		accumulate bool
	}
	e := packed.e
	parallel.Do(ceilDiv(M, e.rows), panelGrain(e, N*K), args{y, *x, packed, accumulate}, func(a *args, lo, hi int) {
		s := pool.Get().(*scratch)
		defer pool.Put(s)
		N := a.w.N
		lo, hi = lo*a.w.e.rows, min(hi*a.w.e.rows, a.x.Cols)
		for lo < hi {
			next := min(lo+a.w.e.rows*a.w.e.group, hi)
			s.layTransposed(a.w.e, &a.x, lo, next)
			s.multiply(a.y[lo*N:], N, a.w, 0, N, a.accumulate)
			lo = next
		}
	})
}

func checkMul(name string, x *Mat, w *Packed) {
	if x.Cols != w.K || x.Precision != w.e.precision {
		panic(fmt.Sprintf("kernel: %s: (%d, %d) in %v times (%d, %d) in %v", name, x.Rows, x.Cols, x.Precision, w.K, w.N, w.e.precision))
	}
}

// blockK is how many steps of k a strip takes: a slice of w, 32·blockK dwords
// or 32 KiB, stays in L1 while the panels of x pass by, and Y is read and
// written once for each.
const blockK = 256

// tallRows is where products stop to share out columns, which packs x once for
// each worker, and begin to share out rows, which reads w once for each.
const tallRows = 128

func tall(M int) bool { return M >= tallRows }

// minWork is how many multiplications pay for another worker: some 2 µs.
const minWork = 1 << 17

// packWork is what reading and packing an element costs, in multiplications:
// for few rows it is most of the work.
const packWork = 8

// panelGrain is the least number of panels of rows, of work multiplications a
// row, that pays for another worker.
func panelGrain(e *engine, work int) int { return ceilDiv(minWork, max(1, work*e.rows)) }

// scratch is what one worker works in.
type scratch struct {
	block // the left side at hand

	x, pairs, edge, out, wide []float32
	rows                      Mat
}

var (
	pool  = sync.Pool{New: func() any { return new(scratch) }}
	packs = sync.Pool{New: func() any { return new(Packed) }}
)

// block is rows of the left side of a product in panels of almost equal
// height: 16 rows are 8 and 8, not 12 and 4. Rows are read where they lie;
// columns are packed, panel after panel, a step of k after the other: in the
// matrix they are pages apart.
type block struct {
	rows, panels int
	steps        int // of k
	data         []float32
	ld           int // dwords from row to row
	packed       bool
}

func (b *block) start(panel int) int { return panel * b.rows / b.panels }

// lay makes rows [lo,hi) of x the block at hand.
func (s *scratch) lay(e *engine, x *Mat, lo, hi int) {
	b := &s.block
	*b = block{rows: hi - lo, panels: ceilDiv(hi-lo, e.rows), steps: e.depth(x.Cols), data: x.data[lo*x.ld:], ld: x.ld}
	if e.wide {
		s.x = resize(s.x, b.rows*b.steps)
		b.data, b.ld = s.x, b.steps
		for i := range b.rows {
			FromBF16(b.data[i*b.ld:][:x.Cols], x.halves(lo+i))
		}
	}
}

// columnSteps is how many rows of a transposed X are dealt out to all panels
// before the next: neighbours share cache lines, and in a large matrix with a
// power of two in a row these are the lines that push each other out.
const columnSteps = 64

// layTransposed makes columns [lo,hi) of x the block at hand.
func (s *scratch) layTransposed(e *engine, x *Mat, lo, hi int) {
	b, steps := &s.block, e.depth(x.Rows)
	s.x = resize(s.x, (hi-lo)*steps)
	*b = block{rows: hi - lo, panels: ceilDiv(hi-lo, e.rows), steps: steps, data: s.x, ld: steps, packed: !e.rowsOnly}
	numbers := 1 // along k in a step
	if e.precision == BF16 && !e.wide {
		numbers = 2
	}
	s.pairs = resize(s.pairs, columnSteps*b.rows)
	for k := 0; k < steps; k += columnSteps {
		n := min(columnSteps, steps-k)
		if e.rowsOnly {
			e.packColumns(s.pairs, b.rows, x, lo, k*numbers, b.rows, n)
			layLines(e, b.data[k:], b.ld, s.pairs, b.rows, n, b.rows)
			continue
		}
		for i := range b.panels {
			m, height := b.start(i), b.start(i+1)-b.start(i)
			e.packColumns(b.data[m*steps+k*height:], height, x, lo+m, k*numbers, height, n)
		}
	}
}

// multiply computes columns [n0,n1) of the rows at hand in Y; n0 is the first of
// a panel.
func (s *scratch) multiply(y []float32, ldy int, w *Packed, n0, n1 int, accumulate bool) {
	e, x := w.e, &s.block
	for n := n0; n < n1; n += e.cols {
		to, ld, whole := y, ldy, n+e.cols <= n1
		if !whole {
			// A panel that is cut off is computed by way of a whole one.
			s.edge = resize(s.edge, x.rows*e.cols)
			to, ld = s.edge, e.cols
			for r := 0; accumulate && r < x.rows; r++ {
				copy(to[r*ld:], y[r*ldy+n:r*ldy+n1])
			}
		} else {
			to = y[n:]
		}
		for k0 := 0; k0 < x.steps; k0 += blockK {
			e.strip(to, ld, x, w.at(n/e.cols, k0), k0, min(blockK, x.steps-k0), accumulate || k0 > 0)
		}
		for r := 0; !whole && r < x.rows; r++ {
			copy(y[r*ldy+n:r*ldy+n1], to[r*ld:])
		}
	}
}

// lowHalf is a dword whose lower half is h.
func lowHalf(h uint16) float32 { return math.Float32frombits(uint32(h)) }

// resize returns n floats with unspecified contents. Memory above 32 KiB begins
// at a page, so that panels keep to cache lines.
func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return Floats(max(n, 1<<14))[:n]
	}
	return s[:n]
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
