package nn

import "github.com/micro-quant/mqc/internal/kernel"

// ReLU2 is the first half of the feed-forward network:
//
//	act = max(x·wᵀ, 0)²
//
//	act  (R, Out)  overwritten
//	x    (R, In)
//
// So et al. 2021, arXiv 2109.08668.
func (l *Linear) ReLU2(act, x *Mat) {
	act.Resize(x.Precision, x.Rows, l.forward.N)
	kernel.MulRows(x, &l.forward, *act, func(act *Mat, y []float32, lo, hi int) {
		N := act.Cols
		for r := lo; r < hi; r++ {
			up := y[(r-lo)*N : (r-lo+1)*N]
			to := act.Row(r, up)
			kernel.ReLU2(to, up)
			act.Store(r, to)
		}
	})
}

// ReLU2Backward goes back through the second half of the feed-forward network,
// a layer with the weights of l, and the ReLU² before it. The slope of ReLU² is
// 2·max(x, 0) = 2·√act, so what was before it need not be kept.
//
//	dup = (dy·w) · 2√act
//
//	dup  (R, In)   overwritten
//	dy   (R, Out)
//	act  (R, In)   what [Linear.ReLU2] computed
func (l *Linear) ReLU2Backward(dup, dy, act *Mat) {
	dup.Resize(dy.Precision, dy.Rows, l.backward.N)
	type args struct{ dup, act Mat }
	kernel.MulRows(dy, &l.backward, args{*dup, *act}, func(a *args, y []float32, lo, hi int) {
		N := a.dup.Cols
		wide := borrow(N)
		defer wide.giveBack()
		for r := lo; r < hi; r++ {
			dact := y[(r-lo)*N : (r-lo+1)*N]
			to := a.dup.Row(r, dact)
			kernel.ReLU2Grad(to, dact, a.act.Load(r, wide.row))
			a.dup.Store(r, to)
		}
	})
}
