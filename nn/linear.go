package nn

import "github.com/micro-quant/mqc/internal/kernel"

// LinearForward is a layer without bias:
//
//	y = x · wᵀ
//
//	y  (R, Out)  overwritten
//	x  (R, In)
//	w  (Out, In)
func LinearForward(y, x, w []float32, R, In, Out int) {
	kernel.GemmNT(y, x, w, R, Out, In, false)
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
