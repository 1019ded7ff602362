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

func TestGemmStaysInsideItsSlices(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 8))
		for _, p := range products {
			for range 60 {
				M, N, K := 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(40)
				y, x, w := fenced(t, M*N), fenced(t, M*K), fenced(t, K*N)
				p.run(y, x, w, M, N, K, true)
			}
		}
	})
}
