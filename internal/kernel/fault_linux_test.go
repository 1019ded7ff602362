package kernel

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// fenced returns n floats that end where memory ends: a load or store beyond
// them is a fault.
func fenced(t *testing.T, n int) []float32 {
	page := syscall.Getpagesize()
	size := (4*n + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(memory) })
	if err := syscall.Mprotect(memory[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&memory[size-4*n])), n)
}

func TestProductsStayInsideTheirSlices(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(8, 8))
		for _, transposed := range []bool{false, true} {
			for range 60 {
				M, N, K := 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(80)
				rows, cols := M, K
				if transposed {
					rows, cols = K, M
				}
				x := Mat{Precision: e.precision, Rows: rows, Cols: cols, ld: e.precision.steps(cols)}
				x.data = fenced(t, rows*x.ld)
				y := fenced(t, M*N)
				if transposed {
					w := Mat{Precision: e.precision, Rows: K, Cols: N, ld: e.precision.steps(N)}
					w.data = fenced(t, K*w.ld)
					MulTransposed(y, &x, &w, true)
					continue
				}
				var w Packed
				Pack(e.precision, &w, nil, fenced(t, N*K), N, K)
				Mul(y, N, &x, &w, true)
			}
		}
	})
}
