package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/testkit"
)

// weighted is the loss whose gradient CrossEntropy gives.
func weighted(losses []float64, weights []float32, norm float64) float64 {
	sum := 0.0
	for r, l := range losses {
		sum += float64(weights[r]) / norm * l
	}
	return sum
}

func TestCrossEntropyMatchesFiniteDifferences(t *testing.T) {
	const R, V, norm = 6, 9, 2.5
	r := rand.New(rand.NewPCG(1, 2))
	logits, targets := normal(r, R*V), integers(r, R, V)
	weights := []float32{1, 0.5, 2, 0, -1, 1}
	losses, dlogits := make([]float64, R), make([]float32, R*V)
	CrossEntropy(dlogits, losses, logits, targets, weights, norm, R, V)
	loss := func() float64 {
		CrossEntropy(nil, losses, logits, targets, weights, norm, R, V)
		return weighted(losses, weights, norm)
	}
	// The exponentials are float32: 1e-7 over h.
	worst := testkit.Difference{H: 1. / 64, Tolerance: 1e-4}.Check(t, "logits", logits, dlogits, loss)
	t.Logf("CrossEntropy: %.2g", worst)
}

func TestCrossEntropyMatchesItsDefinition(t *testing.T) {
	const R, V = 40, 33
	r := rand.New(rand.NewPCG(1, 2))
	logits, targets := normal(r, R*V), integers(r, R, V)
	weights, losses := make([]float32, R), make([]float64, R)
	for i := range weights {
		weights[i] = float32(i + 1)
	}
	CrossEntropy(nil, losses, logits, targets, weights, 7, R, V)
	for i := range losses {
		sum := 0.0
		for _, x := range logits[i*V : (i+1)*V] {
			sum += math.Exp(float64(x))
		}
		want := math.Log(sum) - float64(logits[i*V+int(targets[i])])
		if !(math.Abs(losses[i]-want) <= 1e-6) {
			t.Errorf("loss of row %d is %.8f, want %.8f whatever its weight", i, losses[i], want)
		}
	}
}

func TestCrossEntropyOfWeightZeroLeavesTheGradient(t *testing.T) {
	nan := float32(math.NaN())
	logits := []float32{1, 2, 3, nan, nan, nan, 3, 2, 1}
	dlogits := []float32{0, 0, 0, 0.1, 0.2, 0.3, 0, 0, 0}
	losses := []float64{9, 9, 9}
	CrossEntropy(dlogits, losses, logits, []int32{0, 1, 2}, []float32{1, 0, 0}, 1, 3, 3)
	if want := []float32{0.1, 0.2, 0.3, 0, 0, 0}; !slices.Equal(dlogits[3:], want) {
		t.Errorf("rows of weight 0 have gradient %v, want exactly what was there: %v", dlogits[3:], want)
	}
	if losses[1] != 0 || losses[2] != 0 {
		t.Errorf("rows of weight 0 have losses %v, want 0", losses[1:])
	}
	if dlogits[0] >= 0 || losses[0] <= 0 {
		t.Errorf("the row of weight 1 has gradient %v and loss %v", dlogits[:3], losses[0])
	}
}

func TestCrossEntropyOfHugeLogitsIsFinite(t *testing.T) {
	logits := []float32{1e6, -1e6, 0, 1e6, -1e6, 0}
	dlogits, losses := make([]float32, 6), make([]float64, 2)
	CrossEntropy(dlogits, losses, logits, []int32{0, 1}, []float32{1, 1}, 1, 2, 3)
	if losses[0] != 0 || losses[1] != 2e6 {
		t.Errorf("losses %v, want 0 and 2e6", losses)
	}
	if want := []float32{0, 0, 0, 1, -1, 0}; !slices.Equal(dlogits, want) {
		t.Errorf("gradient %v, want %v", dlogits, want)
	}
}

func TestCrossEntropyAddsAndHasTheSameBitsForAnyNumberOfWorkers(t *testing.T) {
	const R, V = 300, 101
	r := rand.New(rand.NewPCG(1, 2))
	logits, targets, before, weights := normal(r, R*V), integers(r, R, V), normal(r, R*V), normal(r, R)
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	var losses []float64
	var dlogits []float32
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		l, d := make([]float64, R), slices.Clone(before)
		CrossEntropy(d, l, logits, targets, weights, R, R, V)
		if workers == 1 {
			losses, dlogits = l, d
			continue
		}
		if !slices.Equal(l, losses) || !slices.Equal(d, dlogits) {
			t.Errorf("%d workers give other bits than 1", workers)
		}
	}
	// A row of softmax minus one-hot sums to 0: what was there must remain.
	for row := range R {
		sum := 0.0
		for i := row * V; i < (row+1)*V; i++ {
			sum += float64(dlogits[i]) - float64(before[i])
		}
		if !(math.Abs(sum) <= 1e-5) {
			t.Fatalf("row %d of the gradient grew by %v, want 0", row, sum)
		}
	}
}
