// Package kernel holds the inner loops. Every element of a result is summed in
// one fixed order that depends neither on the shape of the rest nor on the
// number of workers: a row of a batch has the bits that it has alone.
package kernel

import (
	"fmt"
	"sync"

	"github.com/micro-quant/mqc/internal/parallel"
)

// GemmNT is Y = X·Wᵀ, or Y += X·Wᵀ if accumulate.
//
//	y (M, N)   x (M, K)   w (N, K)
func GemmNT(y, x, w []float32, M, N, K int, accumulate bool) {
	check("GemmNT", y, x, w, M, N, K)
	gemm(&product{y, x, w, M, N, K, false, true, accumulate})
}

// GemmNN is Y = X·W, or Y += X·W if accumulate.
//
//	y (M, N)   x (M, K)   w (K, N)
func GemmNN(y, x, w []float32, M, N, K int, accumulate bool) {
	check("GemmNN", y, x, w, M, N, K)
	gemm(&product{y, x, w, M, N, K, false, false, accumulate})
}

// GemmTN is Y = Xᵀ·W, or Y += Xᵀ·W if accumulate.
//
//	y (M, N)   x (K, M)   w (K, N)
func GemmTN(y, x, w []float32, M, N, K int, accumulate bool) {
	check("GemmTN", y, x, w, M, N, K)
	gemm(&product{y, x, w, M, N, K, true, false, accumulate})
}

func check(name string, y, x, w []float32, M, N, K int) {
	if len(y) < M*N || len(x) < M*K || len(w) < N*K {
		panic(fmt.Sprintf("kernel: %s: slices of %d, %d, %d elements for M %d, N %d, K %d", name, len(y), len(x), len(w), M, N, K))
	}
}

// product is one call. Element (m, n) of Y is a single chain over all of K,
//
//	y = 0 or, if accumulate, y[m,n];  for k in order: y = y + op(X)[m,k]·op(W)[k,n]
//
// with the multiplication and the addition rounded once where the engine has
// fused instructions. Blocks of K pass the chain on through Y, so that no size
// below, and no position of a tile, is visible in the bits.
type product struct {
	y, x, w                    []float32
	M, N, K                    int
	transX, transW, accumulate bool
}

// The sizes of blocks, from the caches of a core (Goto & van de Geijn 2008):
// a panel of x, 12·blockK floats or 24 KiB, stays in L1 while the panels of a
// slice of w, sliceN·blockK or 512 KiB, pass by from L2; the slices of blockN
// columns, 4 MiB, come back from L3 for every block of rows.
const (
	blockK      = 512
	blockPanels = 8
	sliceN      = 256
	blockN      = 2048
)

// minWork is how many multiplications pay for a goroutine: about 10 µs.
const minWork = 1 << 19

// packWork is what packing an element costs, in multiplications: for few rows
// it is most of the work.
const packWork = 8

// gemm shares out the longer side of Y, in whole panels.
func gemm(p *product) {
	if p.M <= 0 || p.N <= 0 {
		return
	}
	if p.K <= 0 {
		if !p.accumulate {
			clear(p.y[:p.M*p.N])
		}
		return
	}
	e := active
	if p.M >= p.N {
		panels := ceilDiv(p.M, e.rows)
		work := e.rows * (p.N + packWork) * p.K
		parallel.For(panels, ceilDiv(minWork, work), func(lo, hi int) {
			p.block(e, lo*p.M/panels, hi*p.M/panels, 0, p.N)
		})
		return
	}
	work := e.cols * (p.M + packWork) * p.K
	parallel.For(ceilDiv(p.N, e.cols), ceilDiv(minWork, work), func(lo, hi int) {
		p.block(e, 0, p.M, lo*e.cols, min(hi*e.cols, p.N))
	})
}

// scratch holds the packed panels of one worker, and a tile for the right edge
// of Y.
type scratch struct{ x, w, edge []float32 }

var pool = sync.Pool{New: func() any { return new(scratch) }}

// block computes rows [m0,m1) and columns [n0,n1) of Y.
func (p *product) block(e *engine, m0, m1, n0, n1 int) {
	s := pool.Get().(*scratch)
	defer pool.Put(s)

	// Panels of almost equal height: 16 rows are 8 and 8, not 12 and 4.
	panels := ceilDiv(m1-m0, e.rows)
	row := func(panel int) int { return m0 + panel*(m1-m0)/panels }
	// One block of rows has no use for w beyond the slice at hand.
	width := blockN
	if panels <= blockPanels {
		width = sliceN
	}
	depth := min(blockK, p.K)
	s.x = resize(s.x, min(panels, blockPanels)*e.rows*depth)
	s.w = resize(s.w, min(width, ceilDiv(n1-n0, e.cols)*e.cols)*depth)
	s.edge = resize(s.edge, e.rows*e.cols)

	for k0 := 0; k0 < p.K; k0 += blockK {
		depth := min(blockK, p.K-k0)
		load := p.accumulate || k0 > 0
		for nb := n0; nb < n1; nb += width {
			end := min(nb+width, n1)
			for p0 := 0; p0 < panels; p0 += blockPanels {
				p1 := min(p0+blockPanels, panels)
				if nb == n0 || panels > blockPanels {
					for i := p0; i < p1; i++ {
						p.packX(e, s.x[(row(i)-row(p0))*depth:], row(i), row(i+1)-row(i), k0, depth)
					}
				}
				for slice := nb; slice < end; slice += sliceN {
					last := min(slice+sliceN, end)
					for n := slice; p0 == 0 && n < last; n += e.cols {
						p.packW(e, s.w[(n-nb)*depth:], n, min(e.cols, last-n), k0, depth)
					}
					for i := p0; i < p1; i++ {
						m, rows := row(i), row(i+1)-row(i)
						x := s.x[(m-row(p0))*depth:]
						for n := slice; n < last; n += e.cols {
							w := s.w[(n-nb)*depth:]
							if n+e.cols <= last {
								e.tile(p.y[m*p.N+n:], p.N, x, w, rows, depth, load)
							} else {
								p.edge(e, s.edge, m, n, rows, last-n, x, w, depth, load)
							}
						}
					}
				}
			}
		}
	}
}

// edge computes a tile that is cut off at the right by way of a whole one.
func (p *product) edge(e *engine, tile []float32, m, n, rows, cols int, x, w []float32, depth int, load bool) {
	for r := 0; load && r < rows; r++ {
		copy(tile[r*e.cols:][:cols], p.y[(m+r)*p.N+n:])
	}
	e.tile(tile, e.cols, x, w, rows, depth, load)
	for r := range rows {
		copy(p.y[(m+r)*p.N+n:], tile[r*e.cols:][:cols])
	}
}

// resize returns at least n floats. Memory above 32 KiB begins at a page, so
// that panels keep to cache lines.
func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n, max(n, 1<<14))
	}
	return s[:n]
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
