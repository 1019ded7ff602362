package nn

import "math"

// ReLU2Forward is max(x, 0)². out may be x.
//
// So et al. 2021, arXiv 2109.08668.
func ReLU2Forward(out, x []float32) {
	forElements(len(x), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			v := max(x[i], 0)
			out[i] = v * v
		}
	})
}

// ReLU2Backward adds the input gradient of [ReLU2Forward]: dx += dout·2·max(x, 0).
func ReLU2Backward(dx, dout, x []float32) {
	forElements(len(x), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dx[i] += dout[i] * 2 * max(x[i], 0)
		}
	})
}

// SoftcapForward bounds logits smoothly, in place: x ← cap·tanh(x/cap).
//
// Gemma Team 2024, arXiv 2408.00118.
func SoftcapForward(x []float32, cap float32) {
	forElements(len(x), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			x[i] = cap * float32(math.Tanh(float64(x[i]/cap)))
		}
	})
}

// SoftcapBackward turns the gradient of [SoftcapForward] with respect to its
// result y into that with respect to its input, in place: dx ← dx·(1 − (y/cap)²).
func SoftcapBackward(dx, y []float32, cap float32) {
	forElements(len(dx), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s := y[i] / cap
			dx[i] *= 1 - s*s
		}
	})
}
