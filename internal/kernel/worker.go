package kernel

// A Worker does small products on one core, for loops that are shared out
// themselves. Its matrices are float32.
type Worker struct{ s scratch }

// Mul is the first cols columns of Y = X·W, or of Y += X·W if accumulate, where
// W may have more rows than X has columns: the first K count. cols is a
// multiple of [PanelCols], or W's own number of columns.
//
//	y (M, cols), rows ldy apart   x (M, K)   w (≥ K, ≥ cols)
func (t *Worker) Mul(y []float32, ldy int, x Mat, w *Packed, cols int, accumulate bool) {
	t.s.lay(w.e, &x, 0, x.Rows)
	t.s.multiply(y, ldy, w, 0, cols, accumulate)
}

// MulTransposed is Y = Xᵀ·W, or Y += Xᵀ·W if accumulate.
//
//	y (M, N), rows ldy apart   x (K, M)   w (K, N)
func (t *Worker) MulTransposed(y []float32, ldy int, x Mat, w *Packed, accumulate bool) {
	e := w.e
	for lo := 0; lo < x.Cols; lo += e.rows * e.group {
		t.s.layTransposed(e, &x, lo, min(lo+e.rows*e.group, x.Cols))
		t.s.multiply(y[lo*ldy:], ldy, w, 0, w.N, accumulate)
	}
}

// PanelCols is what the columns of a float32 panel come in multiples of, and
// PanelRows what rows of X do best to come in multiples of.
func PanelCols() int { return active[F32].cols }
func PanelRows() int { return active[F32].rows }
