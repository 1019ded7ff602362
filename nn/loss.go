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
	parallel.For(R, rowGrain(V), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			losses[r] = 0
			if weights[r] == 0 {
				continue
			}
			row := logits[r*V : (r+1)*V]
			peak := row[0]
			for _, x := range row {
				peak = max(peak, x)
			}
			sum := 0.0
			for _, x := range row {
				sum += float64(kernel.Exp(x - peak))
			}
			losses[r] = math.Log(sum) - float64(row[targets[r]]-peak)
			if dlogits == nil {
				continue
			}
			scale := float64(weights[r]) / norm
			share := float32(scale / sum)
			d := dlogits[r*V : (r+1)*V]
			for i, x := range row {
				d[i] += share * kernel.Exp(x-peak)
			}
			d[targets[r]] -= float32(scale)
		}
	})
}
