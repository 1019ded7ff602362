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

// rows is a range of rows of Y in panels of almost equal height: 16 rows are 8
// and 8, not 12 and 4.
type rows struct{ from, to, panels int }

func split(from, to, height int) rows { return rows{from, to, ceilDiv(to-from, height)} }

func (r rows) start(panel int) int { return r.from + panel*(r.to-r.from)/r.panels }

// The sizes of blocks, from the caches of a core (Goto & van de Geijn 2008): a
// slice of w, sliceN·blockK or 256 KiB, and blockPanels of x, 12·8·blockK or
// 384 KiB, share an L2 of 1 MiB and feed the tiles; the slices of blockN
// columns, 8 MiB, come back from L3 for every block of rows. A deep blockK
// spares Y, which is read and written once for each.
const (
	blockK      = 1024
	blockPanels = 8
	sliceN      = 64
	blockN      = 2048
)

// Up to narrowRows rows, packing w is much of the work. A panel of it then has
// narrowPanel floats, 16 KiB, and is used up before it leaves L1.
const (
	narrowRows  = 12
	narrowPanel = 4096
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
	s.edge = resize(s.edge, e.rows*e.cols)
	if m1-m0 <= narrowRows {
		p.narrow(e, s, split(m0, m1, e.rows), n0, n1)
	} else {
		p.wide(e, s, split(m0, m1, e.rows), n0, n1)
	}
}

// narrow is block for few rows: w is packed panel by panel, along K first.
func (p *product) narrow(e *engine, s *scratch, r rows, n0, n1 int) {
	block := narrowPanel / e.cols
	height := r.to - r.from
	s.x = resize(s.x, height*p.K)
	s.w = resize(s.w, narrowPanel)
	for k0 := 0; k0 < p.K; k0 += block {
		p.packX(e, s.x[height*k0:], r, 0, r.panels, k0, min(block, p.K-k0))
	}
	for n := n0; n < n1; n += e.cols {
		for k0 := 0; k0 < p.K; k0 += block {
			depth := min(block, p.K-k0)
			p.packW(e, s.w, n, min(e.cols, n1-n), k0, depth)
			for i := range r.panels {
				x := s.x[height*k0+(r.start(i)-r.from)*depth:]
				p.tile(e, s, r, i, n, n1, x, s.w, k0, depth)
			}
		}
	}
}

// wide is block for many rows: every panel that is packed serves many tiles.
func (p *product) wide(e *engine, s *scratch, r rows, n0, n1 int) {
	// One block of rows has no use for w beyond the slice at hand.
	width := blockN
	if r.panels <= blockPanels {
		width = sliceN
	}
	depth := min(blockK, p.K)
	s.x = resize(s.x, min(r.panels, blockPanels)*e.rows*depth)
	s.w = resize(s.w, min(width, ceilDiv(n1-n0, e.cols)*e.cols)*depth)
	for k0 := 0; k0 < p.K; k0 += blockK {
		depth := min(blockK, p.K-k0)
		for nb := n0; nb < n1; nb += width {
			end := min(nb+width, n1)
			for p0 := 0; p0 < r.panels; p0 += blockPanels {
				p1 := min(p0+blockPanels, r.panels)
				if nb == n0 || r.panels > blockPanels {
					p.packX(e, s.x, r, p0, p1, k0, depth)
				}
				for slice := nb; slice < end; slice += sliceN {
					last := min(slice+sliceN, end)
					for n := slice; p0 == 0 && n < last; n += e.cols {
						p.packW(e, s.w[(n-nb)*depth:], n, min(e.cols, last-n), k0, depth)
					}
					for i := p0; i < p1; i++ {
						x := s.x[(r.start(i)-r.start(p0))*depth:]
						for n := slice; n < last; n += e.cols {
							p.tile(e, s, r, i, n, end, x, s.w[(n-nb)*depth:], k0, depth)
						}
					}
				}
			}
		}
	}
}

// tile adds depth steps from k0 to the tile of panel i at columns [n,n1) of Y.
// One that is cut off at the right is computed by way of a whole one.
func (p *product) tile(e *engine, s *scratch, r rows, i, n, n1 int, x, w []float32, k0, depth int) {
	m, height := r.start(i), r.start(i+1)-r.start(i)
	load := p.accumulate || k0 > 0
	if n+e.cols <= n1 {
		e.tile(p.y[m*p.N+n:], p.N, x, w, height, depth, load)
		return
	}
	for a := 0; load && a < height; a++ {
		copy(s.edge[a*e.cols:], p.y[(m+a)*p.N+n:(m+a)*p.N+n1])
	}
	e.tile(s.edge, e.cols, x, w, height, depth, load)
	for a := range height {
		copy(p.y[(m+a)*p.N+n:(m+a)*p.N+n1], s.edge[a*e.cols:])
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
