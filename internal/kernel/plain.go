package kernel

// Products of plain float32 matrices, for weights that change with every call.

// GemmNT is Y = X·Wᵀ, or Y += X·Wᵀ if accumulate.
//
//	y (M, N)   x (M, K)   w (N, K)
func GemmNT(y, x, w []float32, M, N, K int, accumulate bool) {
	if empty(y, M, N, K, accumulate) {
		return
	}
	packed := packs.Get().(*Packed)
	defer packs.Put(packed)
	Pack(F32, packed, nil, w, N, K)
	m := View(x, M, K)
	Mul(y, N, &m, packed, accumulate)
}

// GemmNN is Y = X·W, or Y += X·W if accumulate.
//
//	y (M, N)   x (M, K)   w (K, N)
func GemmNN(y, x, w []float32, M, N, K int, accumulate bool) {
	if empty(y, M, N, K, accumulate) {
		return
	}
	packed := packs.Get().(*Packed)
	defer packs.Put(packed)
	Pack(F32, nil, packed, w, K, N)
	m := View(x, M, K)
	Mul(y, N, &m, packed, accumulate)
}

// GemmTN is Y = Xᵀ·W, or Y += Xᵀ·W if accumulate.
//
//	y (M, N)   x (K, M)   w (K, N)
func GemmTN(y, x, w []float32, M, N, K int, accumulate bool) {
	if empty(y, M, N, K, accumulate) {
		return
	}
	xm, wm := View(x, K, M), View(w, K, N)
	MulTransposed(y, &xm, &wm, accumulate)
}

// empty does what there is to do for a product without elements or without
// terms.
func empty(y []float32, M, N, K int, accumulate bool) bool {
	if M > 0 && N > 0 && K > 0 {
		return false
	}
	if K <= 0 && !accumulate {
		clear(y[:max(0, M*N)])
	}
	return true
}
