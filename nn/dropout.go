package nn

import (
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
)

// Dropout zeroes each element with probability P and divides the others by
// 1−P. Whether element i stays is a hash of (Key, i): the backward pass computes
// it again, and neither workers nor a resumed run can change it. The zero value
// drops nothing.
//
// Srivastava et al. 2014, inverted.
type Dropout struct {
	P   float32
	Key uint64
}

// Forward drops elements of x in place.
func (d Dropout) Forward(x []float32) {
	if d.P > 0 {
		type args struct {
			d Dropout
			x []float32
		}
		parallel.Do(len(x), 1<<12, args{d, x}, func(a *args, lo, hi int) { a.d.apply(a.x[lo:hi], lo) })
	}
}

// Backward applies the mask of [Dropout.Forward] to a gradient, in place.
func (d Dropout) Backward(dx []float32) { d.Forward(dx) }

// apply drops elements of x, of which the first has index from.
func (d Dropout) apply(x []float32, from int) {
	if d.P <= 0 {
		return
	}
	keep := 1 / (1 - d.P)
	threshold := uint64(float64(d.P) * (1 << 32))
	for j := range x {
		// One hash decides for two elements.
		i := from + j
		bits := rng.Hash(d.Key, uint64(i/2)) >> (32 * (i % 2)) & (1<<32 - 1)
		if bits < threshold {
			x[j] = 0
		} else {
			x[j] *= keep
		}
	}
}
