package nn

import "github.com/micro-quant/mqc/internal/rng"

// DropoutForward zeroes each element with probability p and divides the others
// by 1−p, in place. Whether element i stays is a hash of (key, i): the backward
// pass computes it again, and neither workers nor a resumed run can change it.
//
// Srivastava et al. 2014, inverted.
func DropoutForward(x []float32, p float32, key uint64) { drop(x, p, key) }

// DropoutBackward applies the mask of [DropoutForward] to a gradient, in place.
func DropoutBackward(dx []float32, p float32, key uint64) { drop(dx, p, key) }

func drop(x []float32, p float32, key uint64) {
	if p <= 0 {
		return
	}
	keep := 1 / (1 - p)
	threshold := uint64(float64(p) * (1 << 32))
	forElements(len(x), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			// One hash decides for two elements.
			bits := rng.Hash(key, uint64(i/2)) >> (32 * (i % 2)) & (1<<32 - 1)
			if bits < threshold {
				x[i] = 0
			} else {
				x[i] *= keep
			}
		}
	})
}
