// Package kernel holds the inner loops. Every element of a result is summed in
// one fixed order that depends neither on the shape of the rest nor on the
// number of workers: a row of a batch has the bits that it has alone.
package kernel

import (
	"fmt"
	"sync"

	"github.com/micro-quant/mqc/internal/parallel"
)

// Tile of the generic code. Its 2×3 sums, 5 operands and 4 products in flight
// are what the compiler keeps in the 15 registers of SSE; a 2×4 tile spills.
const (
	tileM = 2
	tileN = 3
)

// panel is how many elements of op(W) are packed at a time: 128 KiB stay in the
// second-level cache while the rows of X pass by.
const panel = 1 << 15

// GemmNT is Y = X·Wᵀ, or Y += X·Wᵀ if accumulate.
//
//	y (M, N)   x (M, K)   w (N, K)
func GemmNT(y, x, w []float32, M, N, K int, accumulate bool) {
	check("GemmNT", y, x, w, M, N, K)
	gemm(y, x, w, M, N, K, false, true, accumulate)
}

// GemmNN is Y = X·W, or Y += X·W if accumulate.
//
//	y (M, N)   x (M, K)   w (K, N)
func GemmNN(y, x, w []float32, M, N, K int, accumulate bool) {
	check("GemmNN", y, x, w, M, N, K)
	gemm(y, x, w, M, N, K, false, false, accumulate)
}

// GemmTN is Y = Xᵀ·W, or Y += Xᵀ·W if accumulate.
//
//	y (M, N)   x (K, M)   w (K, N)
func GemmTN(y, x, w []float32, M, N, K int, accumulate bool) {
	check("GemmTN", y, x, w, M, N, K)
	gemm(y, x, w, M, N, K, true, false, accumulate)
}

func check(name string, y, x, w []float32, M, N, K int) {
	if len(y) < M*N || len(x) < M*K || len(w) < N*K {
		panic(fmt.Sprintf("kernel: %s: slices of %d, %d, %d elements for M %d, N %d, K %d", name, len(y), len(x), len(w), M, N, K))
	}
}

// scratch holds the packed operands of one worker. The elements of a tile at
// one k lie together, and tile follows tile.
type scratch struct {
	x [][tileM]float32 // (row tiles, K)
	w [][tileN]float32 // (column tiles of a panel, K)
}

var pool = sync.Pool{New: func() any { return new(scratch) }}

// gemm multiplies op(X) by op(W). Workers share out the longer side of Y. Both
// operands are packed, so that the micro-kernel reads forward only.
func gemm(y, x, w []float32, M, N, K int, transX, transW, accumulate bool) {
	// A range must pay for its goroutine: about 2^15 multiplications.
	if M >= N {
		parallel.For(M, max(1, 1<<15/max(1, N*K)), func(lo, hi int) {
			block(y, x, w, lo, hi, 0, N, M, N, K, transX, transW, accumulate)
		})
		return
	}
	parallel.For(N, max(1, 1<<15/max(1, M*K)), func(lo, hi int) {
		block(y, x, w, 0, M, lo, hi, M, N, K, transX, transW, accumulate)
	})
}

// block computes rows [m0,m1) and columns [n0,n1) of Y.
func block(y, x, w []float32, m0, m1, n0, n1, M, N, K int, transX, transW, accumulate bool) {
	s := pool.Get().(*scratch)
	defer pool.Put(s)
	rows := (m1 - m0 + tileM - 1) / tileM
	s.x = resize(s.x, rows*K)
	packX(s.x, x, m0, m1, M, K, transX)

	width := max(1, panel/(tileN*max(1, K))) * tileN
	for p0 := n0; p0 < n1; p0 += width {
		p1 := min(p0+width, n1)
		columns := (p1 - p0 + tileN - 1) / tileN
		s.w = resize(s.w, columns*K)
		packW(s.w, w, p0, p1, N, K, transW)
		for i := range rows {
			m := m0 + i*tileM
			for j := range columns {
				n := p0 + j*tileN
				c := tile2x3(s.x[i*K:(i+1)*K], s.w[j*K:(j+1)*K])
				for a := range min(tileM, m1-m) {
					store(y[(m+a)*N+n:(m+a)*N+min(n+tileN, p1)], c[a*tileN:], accumulate)
				}
			}
		}
	}
}

// tile2x3 is the micro-kernel: six dot products over packed operands, each
// summed in the order of k.
func tile2x3(x [][tileM]float32, w [][tileN]float32) [tileM * tileN]float32 {
	var c0, c1, c2, c3, c4, c5 float32
	w = w[:len(x)]
	for k := range x {
		a, b := &x[k], &w[k]
		x0, x1 := a[0], a[1]
		c0 += x0 * b[0]
		c3 += x1 * b[0]
		c1 += x0 * b[1]
		c4 += x1 * b[1]
		c2 += x0 * b[2]
		c5 += x1 * b[2]
	}
	return [...]float32{c0, c1, c2, c3, c4, c5}
}

func store(y, c []float32, accumulate bool) {
	c = c[:len(y)]
	if !accumulate {
		copy(y, c)
		return
	}
	for i, v := range c {
		y[i] += v
	}
}

// packX packs rows [m0,m1) of op(X). A last row without a partner is packed
// twice: its second sum is dropped.
func packX(to [][tileM]float32, x []float32, m0, m1, M, K int, trans bool) {
	if trans {
		// k in short runs: the lines that one tile reads, the next reads again.
		for k0 := 0; k0 < K; k0 += strip {
			k1 := min(k0+strip, K)
			for m, t := m0, 0; m < m1; m, t = m+tileM, t+K {
				second := min(m+1, m1-1) - m
				for k := k0; k < k1; k++ {
					from := x[k*M+m:]
					to[t+k] = [...]float32{from[0], from[second]}
				}
			}
		}
		return
	}
	for m, t := m0, 0; m < m1; m, t = m+tileM, t+K {
		second := min(m+1, m1-1)
		r0, r1 := x[m*K:(m+1)*K], x[second*K:(second+1)*K]
		tile := to[t : t+K]
		for k := range tile {
			tile[k] = [...]float32{r0[k], r1[k]}
		}
	}
}

// packW packs columns [n0,n1) of op(W). What is missing in the last tile is
// packed from column n1−1: those sums are dropped.
func packW(to [][tileN]float32, w []float32, n0, n1, N, K int, trans bool) {
	if !trans {
		for k0 := 0; k0 < K; k0 += strip {
			k1 := min(k0+strip, K)
			for n, t := n0, 0; n < n1; n, t = n+tileN, t+K {
				second, third := min(n+1, n1-1)-n, min(n+2, n1-1)-n
				for k := k0; k < k1; k++ {
					from := w[k*N+n:]
					to[t+k] = [...]float32{from[0], from[second], from[third]}
				}
			}
		}
		return
	}
	for n, t := n0, 0; n < n1; n, t = n+tileN, t+K {
		second, third := min(n+1, n1-1), min(n+2, n1-1)
		r0, r1, r2 := w[n*K:(n+1)*K], w[second*K:(second+1)*K], w[third*K:(third+1)*K]
		tile := to[t : t+K]
		for k := range tile {
			tile[k] = [...]float32{r0[k], r1[k], r2[k]}
		}
	}
}

// strip is how many rows a strided pack runs through before the next tile: as
// many lines fit the first-level cache with room to spare.
const strip = 64

func resize[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
