package nn

import (
	"github.com/micro-quant/mqc/internal/kernel"
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
//	out   (R, C)  overwritten; may be a view of x
//	rrms  (R)     saved for the backward pass
//	x     (R, C)
//
// Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4.
func RMSNormForward(out *Mat, rrms, x []float32, R, C int) {
	want("RMSNormForward", "x", x, R*C)
	type args struct {
		out     Mat
		rrms, x []float32
	}
	parallel.Do(R, rowGrain(C), args{*out, rrms, x}, func(a *args, lo, hi int) {
		C := a.out.Cols
		wide := borrow(C)
		defer wide.giveBack()
		for r := lo; r < hi; r++ {
			to := a.out.Row(r, wide.row)
			a.rrms[r] = kernel.RMSNorm(to, a.x[r*C:(r+1)*C], normEpsilon)
			a.out.Store(r, to)
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
func RMSNormBackward(dx, dout []float32, out *Mat, rrms []float32, R, C int) {
	want("RMSNormBackward", "dx", dx, R*C)
	a := normGrad{dx, *out, rrms}
	type args struct {
		normGrad
		dout []float32
	}
	parallel.Do(R, rowGrain(C), args{a, dout}, func(a *args, lo, hi int) {
		C := a.out.Cols
		a.rows(a.dout[lo*C:hi*C], lo, hi)
	})
}

// RMSNormBackward goes back through a layer and the norm before it:
// [RMSNormBackward] of dout = dy·w.
//
//	dx    (R, In)   accumulated
//	dy    (R, Out)
//	out   (R, In)   what the norm gave to the layer
//	rrms  (R)
func (l *Linear) RMSNormBackward(dx []float32, dy *Mat, out *Mat, rrms []float32) {
	kernel.MulRows(dy, &l.backward, normGrad{dx, *out, rrms}, (*normGrad).rows)
}

// normGrad is the arguments of a norm's backward pass.
type normGrad struct {
	dx   []float32
	out  Mat
	rrms []float32
}

// rows does rows [lo,hi), whose gradients are dout.
func (a *normGrad) rows(dout []float32, lo, hi int) {
	C := a.out.Cols
	wide := borrow(C)
	defer wide.giveBack()
	for r := lo; r < hi; r++ {
		kernel.RMSNormGrad(a.dx[r*C:(r+1)*C], dout[(r-lo)*C:(r-lo+1)*C], a.out.Load(r, wide.row), a.rrms[r])
	}
}
