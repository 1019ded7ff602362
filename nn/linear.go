package nn

import (
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// LinearForward is a layer without bias, for weights that change with every
// call:
//
//	y = x · wᵀ
//
//	y  (R, Out)  overwritten
//	x  (R, In)
//	w  (Out, In)
func LinearForward(y, x, w []float32, R, In, Out int) {
	kernel.GemmNT(y, x, w, R, Out, In, false)
}

// LinearAdd is y += x · wᵀ, otherwise [LinearForward].
func LinearAdd(y, x, w []float32, R, In, Out int) {
	kernel.GemmNT(y, x, w, R, Out, In, true)
}

// LinearBackward adds the gradients of [LinearForward]:
//
//	dx += dy · w
//	dw += dyᵀ · x
//
//	dx  (R, In)    nil: skipped
//	dw  (Out, In)  nil: skipped
//	dy  (R, Out)
//	x   (R, In)
//	w   (Out, In)
func LinearBackward(dx, dw, dy, x, w []float32, R, In, Out int) {
	if dx != nil {
		kernel.GemmNN(dx, dy, w, R, In, Out, true)
	}
	if dw != nil {
		kernel.GemmTN(dw, dy, x, Out, In, R, true)
	}
}

// Mat is a matrix that products read: rows of float32 or of bfloat16.
type Mat = kernel.Mat

// View is a matrix over a slice of float32.
func View(x []float32, R, C int) Mat { return kernel.View(x, R, C) }

// Linear is a layer without bias whose weights w (Out, In) are laid out once
// for many products. Its methods multiply at one precision and sum in float32;
// what follows a product is done to blocks of its rows while they are in the
// cache.
type Linear struct {
	forward, backward kernel.Packed
}

// Pack takes a copy of the weights, for the backward pass too if backward.
func (l *Linear) Pack(p kernel.Precision, w []float32, Out, In int, backward bool) {
	if backward {
		kernel.Pack(p, &l.forward, &l.backward, w, Out, In)
	} else {
		kernel.Pack(p, &l.forward, nil, w, Out, In)
	}
}

// Forward is y = x·wᵀ.
//
//	y  (R, Out)  overwritten
//	x  (R, In)
func (l *Linear) Forward(y []float32, x *Mat) { kernel.Mul(y, l.forward.N, x, &l.forward, false) }

// Residual adds a branch, of which d drops a part: y += drop(x·wᵀ).
//
//	y  (R, Out)
//	x  (R, In)
func (l *Linear) Residual(y []float32, x *Mat, d Dropout) {
	if d.P == 0 {
		kernel.Mul(y, l.forward.N, x, &l.forward, true)
		return
	}
	type args struct {
		y []float32
		d Dropout
		C int
	}
	kernel.MulRows(x, &l.forward, args{y, d, l.forward.N}, func(a *args, branch []float32, lo, hi int) {
		a.d.apply(branch, lo*a.C)
		kernel.Add(a.y[lo*a.C:hi*a.C], branch)
	})
}

// InputGrad is dx = dy·w.
//
//	dx  (R, In)   overwritten
//	dy  (R, Out)
func (l *Linear) InputGrad(dx []float32, dy *Mat) {
	kernel.Mul(dx, l.backward.N, dy, &l.backward, false)
}

// WeightGrad adds the gradient of the weights: dw += dyᵀ·x.
//
//	dw  (Out, In)
//	dy  (R, Out)
//	x   (R, In)
func WeightGrad(dw []float32, dy, x *Mat) { kernel.MulTransposed(dw, dy, x, true) }

// Round copies rows of float32 to a matrix, in its precision.
//
//	out  (R, C)  overwritten
//	x    (R, C)
func Round(out *Mat, x []float32, R, C int) { RoundDropped(out, x, Dropout{}, R, C) }

// RoundDropped is [Round] of what [Dropout.Backward] leaves of x, which stays
// as it is.
func RoundDropped(out *Mat, x []float32, d Dropout, R, C int) {
	type args struct {
		out Mat
		x   []float32
		d   Dropout
	}
	parallel.Do(R, rowGrain(C), args{*out, x, d}, func(a *args, lo, hi int) {
		C := a.out.Cols
		wide := borrow(C)
		defer wide.giveBack()
		for r := lo; r < hi; r++ {
			row := a.x[r*C : (r+1)*C]
			if a.d.P > 0 {
				copy(wide.row, row)
				a.d.apply(wide.row, r*C)
				row = wide.row
			}
			a.out.Store(r, row)
		}
	})
}
