// Package kernel holds the inner loops. Every element of a result is summed in
// one fixed order that depends neither on the shape of the rest nor on the
// number of workers: a row of a batch has the bits that it has alone.
package kernel

import (
	"fmt"
	"sync"

	"github.com/micro-quant/mqc/internal/parallel"
)

// Tile sizes of the generic code: 2×4 sums stay in registers.
const (
	tileM = 2
	tileN = 4
)

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

// scratch holds the packed panels of one worker.
type scratch struct{ x, w []float32 }

var pool = sync.Pool{New: func() any { return new(scratch) }}

// gemm multiplies op(X) by op(W). Workers share out the longer side of Y. Both
// operands are packed into panels of tileM rows and tileN columns, k by k, so
// that the micro-kernel reads forward only.
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
	s.w = resize(s.w, tileN*K)
	rows := (m1 - m0 + tileM - 1) / tileM
	s.x = resize(s.x, rows*tileM*K)
	for i := range rows {
		packX(s.x[i*tileM*K:(i+1)*tileM*K], x, m0+i*tileM, m1, M, K, transX)
	}
	for n := n0; n < n1; n += tileN {
		packW(s.w, w, n, n1, N, K, transW)
		for i := range rows {
			c := tile2x4(s.x[i*tileM*K:(i+1)*tileM*K], s.w)
			m := m0 + i*tileM
			for a := range min(tileM, m1-m) {
				out := y[(m+a)*N+n : (m+a)*N+min(n+tileN, n1)]
				if accumulate {
					for b := range out {
						out[b] += c[a*tileN+b]
					}
				} else {
					copy(out, c[a*tileN:])
				}
			}
		}
	}
}

// tile2x4 is the micro-kernel: eight dot products over packed panels, each
// summed in the order of k.
func tile2x4(x, w []float32) (c [tileM * tileN]float32) {
	var c0, c1, c2, c3, c4, c5, c6, c7 float32
	for len(x) >= tileM && len(w) >= tileN {
		x0, x1 := x[0], x[1]
		w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
		c0 += x0 * w0
		c1 += x0 * w1
		c2 += x0 * w2
		c3 += x0 * w3
		c4 += x1 * w0
		c5 += x1 * w1
		c6 += x1 * w2
		c7 += x1 * w3
		x, w = x[tileM:], w[tileN:]
	}
	return [...]float32{c0, c1, c2, c3, c4, c5, c6, c7}
}

// packX lays rows m, m+1 of op(X) side by side; rows from end on are zero.
func packX(to, x []float32, m, end, M, K int, trans bool) {
	if m+tileM > end {
		clear(to)
	}
	for a := range min(tileM, end-m) {
		if trans {
			for k := range K {
				to[k*tileM+a] = x[k*M+m+a]
			}
			continue
		}
		for k, v := range x[(m+a)*K : (m+a+1)*K] {
			to[k*tileM+a] = v
		}
	}
}

// packW lays columns n…n+3 of op(W) side by side; columns from end on are zero.
func packW(to, w []float32, n, end, N, K int, trans bool) {
	width := min(tileN, end-n)
	if width < tileN {
		clear(to)
	}
	if !trans {
		for k := range K {
			copy(to[k*tileN:k*tileN+width], w[k*N+n:])
		}
		return
	}
	for b := range width {
		for k, v := range w[(n+b)*K : (n+b+1)*K] {
			to[k*tileN+b] = v
		}
	}
}

func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
