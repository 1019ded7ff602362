package nn

import (
	"math"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// CrossEntropy is the loss of a softmax over V logits and its gradient in one
// pass:
//
//	losses[r]     = −ln softmax(logits[r,:])[targets[r]]
//	dlogits[r,:] += weights[r]/norm · (softmax(logits[r,:]) − onehot(targets[r]))
//
// A row with weight 0 is skipped: its loss is 0 and its gradient stays as it
// is. A weight may be negative.
//
//	dlogits  (R, V)  nil: losses only
//	losses   (R)     overwritten, without the weight
//	logits   (R, V)
//	targets  (R)
//	weights  (R)
func CrossEntropy(dlogits []float32, losses []float64, logits []float32, targets []int32, weights []float32, norm float64, R, V int) {
	want("CrossEntropy", "logits", logits, R*V)
	type args struct {
		dlogits []float32
		losses  []float64
		logits  []float32
		targets []int32
		weights []float32
		norm    float64
		V       int
	}
	parallel.Do(R, rowGrain(V), args{dlogits, losses, logits, targets, weights, norm, V}, func(a *args, lo, hi int) {
		V := a.V
		e := borrow(V)
		defer e.giveBack()
		for r := lo; r < hi; r++ {
			a.losses[r] = 0
			if a.weights[r] == 0 {
				continue
			}
			row, target := a.logits[r*V:(r+1)*V], a.targets[r]
			peak := kernel.Max(row)
			sum := float64(kernel.ExpSum(e.row, row, 1, peak))
			a.losses[r] = math.Log(sum) - float64(row[target]-peak)
			if a.dlogits == nil {
				continue
			}
			scale := float64(a.weights[r]) / a.norm
			d := a.dlogits[r*V : (r+1)*V]
			kernel.AddScaled(d, float32(scale/sum), e.row)
			d[target] -= float32(scale)
		}
	})
}

// SoftcapForward bounds logits smoothly, in place: x ← cap·tanh(x/cap).
//
// Gemma Team 2024, arXiv 2408.00118.
func SoftcapForward(x []float32, cap float32) {
	type args struct {
		x   []float32
		cap float32
	}
	parallel.Do(len(x), 1<<11, args{x, cap}, func(a *args, lo, hi int) { kernel.Softcap(a.x[lo:hi], a.cap) })
}

// SoftcapBackward turns the gradient of [SoftcapForward] with respect to its
// result y into that with respect to its input, in place: dx ← dx·(1 − (y/cap)²).
func SoftcapBackward(dx, y []float32, cap float32) {
	type args struct {
		dx, y []float32
		cap   float32
	}
	parallel.Do(len(dx), 1<<12, args{dx, y, cap}, func(a *args, lo, hi int) { kernel.SoftcapGrad(a.dx[lo:hi], a.y[lo:hi], a.cap) })
}
