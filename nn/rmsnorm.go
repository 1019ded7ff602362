package nn

import (
	"math"

	"github.com/micro-quant/mqc/internal/parallel"
)

// normEpsilon keeps a row of zeros from dividing by zero.
const normEpsilon = 1e-6

// RMSNormForward divides each row by its root mean square; it has no
// parameters:
//
//	rrms[r]  = 1/√(mean(x[r,:]²) + ε)
//	out[r,:] = x[r,:] · rrms[r]
//
//	out   (R, C)  overwritten; may be x
//	rrms  (R)     saved for the backward pass
//	x     (R, C)
//
// Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4.
func RMSNormForward(out, rrms, x []float32, R, C int) {
	want("RMSNormForward", "x", x, R*C)
	parallel.For(R, rowGrain(C), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row, to := x[r*C:(r+1)*C], out[r*C:(r+1)*C]
			sum := 0.0
			for _, v := range row {
				sum += float64(v) * float64(v)
			}
			s := float32(1 / math.Sqrt(sum/float64(C)+normEpsilon))
			rrms[r] = s
			for i, v := range row {
				to[i] = v * s
			}
		}
	})
}

// RMSNormBackward adds the input gradient of [RMSNormForward]:
//
//	dx[r,:] += rrms[r] · (dout[r,:] − out[r,:] · mean(dout[r,:]·out[r,:]))
//
//	dx    (R, C)  another slice than dout
//	dout  (R, C)  gradient of the loss with respect to out
//	out   (R, C)  result of the forward pass
//	rrms  (R)     saved by the forward pass
func RMSNormBackward(dx, dout, out, rrms []float32, R, C int) {
	want("RMSNormBackward", "dx", dx, R*C)
	parallel.For(R, rowGrain(C), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			d, o, to := dout[r*C:(r+1)*C], out[r*C:(r+1)*C], dx[r*C:(r+1)*C]
			dot := 0.0
			for i, v := range d {
				dot += float64(v) * float64(o[i])
			}
			mean, s := float32(dot/float64(C)), rrms[r]
			for i, v := range d {
				to[i] += s * (v - o[i]*mean)
			}
		}
	})
}
