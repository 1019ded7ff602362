package nn

import (
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// Heads is the shape of attention: H query heads and KV key and value heads of
// width D, and what turns them.
type Heads struct {
	H, KV, D int
	Rope     *Rope
}

// Width is the number of columns of the projection to queries, keys and
// values, in this order.
func (h Heads) Width() int { return (h.H + 2*h.KV) * h.D }

// QKV is the projections that attention works on. Queries and keys are rotated
// and then normed, head by head:
//
//	q = rmsnorm(rope(x·w_qᵀ)),  k = rmsnorm(rope(x·w_kᵀ)),  v = x·w_vᵀ
//
//	Q             (R, H, D)
//	K, V          (R, KV, D)
//	QRRMS, KRRMS  (R, H), (R, KV)  saved for the backward pass
//
// QK-norm: Henry et al. 2020, arXiv 2010.04245.
type QKV struct{ Q, K, V, QRRMS, KRRMS []float32 }

// Project computes to from the rows of x, whose positions are pos (R).
func (l *Linear) Project(to QKV, x *Mat, pos []int32, h Heads) {
	type args struct {
		QKV
		Heads
		pos []int32
	}
	kernel.MulRows(x, &l.forward, args{to, h, pos}, func(a *args, y []float32, lo, hi int) {
		q, kv := a.H*a.D, a.KV*a.D
		for r := lo; r < hi; r++ {
			row := y[(r-lo)*a.Width() : (r-lo+1)*a.Width()]
			a.turn(a.Q[r*q:(r+1)*q], a.QRRMS[r*a.H:(r+1)*a.H], row[:q], a.pos[r])
			a.turn(a.K[r*kv:(r+1)*kv], a.KRRMS[r*a.KV:(r+1)*a.KV], row[q:q+kv], a.pos[r])
			copy(a.V[r*kv:(r+1)*kv], row[q+kv:])
		}
	})
}

// turn rotates and norms the heads of a row x, which it spoils.
func (h Heads) turn(out, rrms, x []float32, pos int32) {
	for i := range rrms {
		head := x[i*h.D : (i+1)*h.D]
		h.Rope.Forward(head, pos)
		rrms[i] = kernel.RMSNorm(out[i*h.D:(i+1)*h.D], head, normEpsilon)
	}
}

// ProjectBackward turns the gradients of queries, keys and values into that of
// the projection.
//
//	dy  (R, (H+2·KV)·D)  overwritten
//	d   the gradients; its norms are not used
//	at  what [Linear.Project] computed
func ProjectBackward(dy *Mat, d, at QKV, pos []int32, h Heads, R int) {
	type args struct {
		dy    Mat
		d, at QKV
		pos   []int32
		Heads
	}
	parallel.Do(R, rowGrain(h.Width()), args{*dy, d, at, pos, h}, func(a *args, lo, hi int) {
		q, kv := a.H*a.D, a.KV*a.D
		wide := borrow(a.Width())
		defer wide.giveBack()
		for r := lo; r < hi; r++ {
			row := a.dy.Row(r, wide.row)
			a.turnBack(row[:q], a.d.Q[r*q:(r+1)*q], a.at.Q[r*q:(r+1)*q], a.at.QRRMS[r*a.H:(r+1)*a.H], a.pos[r])
			a.turnBack(row[q:q+kv], a.d.K[r*kv:(r+1)*kv], a.at.K[r*kv:(r+1)*kv], a.at.KRRMS[r*a.KV:(r+1)*a.KV], a.pos[r])
			copy(row[q+kv:], a.d.V[r*kv:(r+1)*kv])
			a.dy.Store(r, row)
		}
	})
}

// turnBack is the backward pass of turn; dx is overwritten.
func (h Heads) turnBack(dx, dout, out, rrms []float32, pos int32) {
	for i, s := range rrms {
		lo, hi := i*h.D, (i+1)*h.D
		kernel.RMSNormGradTo(dx[lo:hi], dout[lo:hi], out[lo:hi], s)
		h.Rope.Backward(dx[lo:hi], pos)
	}
}
