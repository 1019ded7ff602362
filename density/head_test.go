package density_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/testkit"
)

const headWidth = density.MixtureOutputs

var head = density.MixtureT{Around: density.StudentT{Mu: 0.04, Scale: 0.757, Nu: 4.68}}

// headInput is R rows of outputs around 0 with values and weights to score.
func headInput(R int, seed uint64) (outputs, z, weights []float32) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range R {
		for range headWidth {
			outputs = append(outputs, float32(0.7*r.NormFloat64()))
		}
		z = append(z, float32(2*r.NormFloat64()))
		weights = append(weights, float32(r.IntN(4))/2)
	}
	return outputs, z, weights
}

func TestMixtureTGradientMatchesFiniteDifferences(t *testing.T) {
	const R, norm = 12, 2.5
	outputs, z, weights := headInput(R, 1)
	z[0], weights[0] = 25, 1 // far out in a tail
	losses, d := make([]float64, R), make([]float32, R*headWidth)
	head.NegativeLogLikelihood(d, losses, outputs, z, weights, norm, R)
	loss := func() float64 {
		head.NegativeLogLikelihood(nil, losses, outputs, z, weights, norm, R)
		sum := 0.0
		for r, l := range losses {
			sum += float64(weights[r]) / norm * l
		}
		return sum
	}
	// All is float64 but the gradient, 6e-8; the fifth derivative times h⁴ is
	// the rest.
	worst := testkit.Difference{H: 1. / 64, Tolerance: 1e-5}.Check(t, "outputs", outputs, d, loss)
	t.Logf("MixtureT: %.2g", worst)
}

// The loss is that of the mixture that the same outputs stand for.
func TestMixtureTLossIsThatOfItsMixture(t *testing.T) {
	const R = 40
	outputs, z, weights := headInput(R, 2)
	losses := make([]float64, R)
	head.NegativeLogLikelihood(nil, losses, outputs, z, weights, 1, R)
	for r, l := range losses {
		row := outputs[r*headWidth : (r+1)*headWidth]
		want := -head.At(row, 0, 1).LogPDF(float64(z[r]))
		if weights[r] == 0 {
			want = 0
		}
		if math.Abs(l-want) > 1e-12 {
			t.Errorf("row %d: loss %v, want %v", r, l, want)
		}
		// Of shift + unit·z the density is that of z over the unit.
		const shift, unit = 0.003, 0.02
		if got, want := head.At(row, shift, unit).LogPDF(shift+unit*float64(z[r])), head.At(row, 0, 1).LogPDF(float64(z[r]))-math.Log(unit); math.Abs(got-want) > 1e-9 {
			t.Errorf("row %d: density of the return %v, want %v", r, got, want)
		}
	}
}

func TestMixtureTStartsAroundItsLaw(t *testing.T) {
	law := head.Around
	got := head.At(make([]float32, headWidth), 0, 1)
	for m, shift := range []float64{-.4, 0, .4} {
		part := got.Parts[m].(density.StudentT)
		if w := got.Weights[m]; math.Abs(w-1./3) > 1e-12 {
			t.Errorf("part %d has weight %v, want 1/3", m, w)
		}
		if part.Mu != law.Mu || math.Abs(part.Scale-law.Scale*math.Exp(shift)) > 1e-12 || math.Abs(part.Nu-law.Nu) > 1e-12 {
			t.Errorf("part %d is %+v, want %+v at exp(%v) of the scale", m, part, law, shift)
		}
	}
}

// Whatever a network says, the law is one: scales and degrees of freedom keep
// within the bounds that the documentation gives, and the density integrates to
// its distribution.
func TestMixtureTOfAnyOutputsIsALaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outputs := rapid.SliceOfN(rapid.Float32Range(-50, 50), headWidth, headWidth).Draw(t, "outputs")
		m := head.At(outputs, 0, 1)
		sum := 0.0
		for i, p := range m.Parts {
			sum += m.Weights[i]
			d := p.(density.StudentT)
			if shift := math.Abs(math.Log(d.Scale / head.Around.Scale)); shift > 4.4+1e-9 {
				t.Errorf("scale %v", d.Scale)
			}
			if d.Nu < 2.05+math.Exp(-3)-1e-9 || d.Nu > 2.05+math.Exp(4)+1e-9 {
				t.Errorf("%v degrees of freedom", d.Nu)
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("weights sum to %v", sum)
		}
		p := rapid.Float64Range(1e-4, 1-1e-4).Draw(t, "p")
		if got := m.CDF(m.Quantile(p)); math.Abs(got-p) > 1e-7 {
			t.Errorf("CDF(Quantile(%v)) = %v", p, got)
		}
	})
}

func TestMixtureTGradientAddsSkipsAndHasTheSameBitsForAnyNumberOfWorkers(t *testing.T) {
	const R = 300
	outputs, z, weights := headInput(R, 3)
	before := make([]float32, R*headWidth)
	for i := range before {
		before[i] = float32(i%7) / 8
	}
	zero := slices.Index(weights, 0)
	for i := range headWidth { // what is skipped is not read either
		outputs[zero*headWidth+i] = float32(math.NaN())
	}
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	var losses []float64
	var gradient []float32
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		l, d := make([]float64, R), slices.Clone(before)
		head.NegativeLogLikelihood(d, l, outputs, z, weights, R, R)
		if workers == 1 {
			losses, gradient = l, d
		} else if !slices.Equal(l, losses) || !slices.Equal(d, gradient) {
			t.Errorf("%d workers give other bits than 1", workers)
		}
	}
	at := zero * headWidth
	if losses[zero] != 0 || !slices.Equal(gradient[at:at+headWidth], before[at:at+headWidth]) {
		t.Errorf("a row of weight 0 has loss %v and gradient %v", losses[zero], gradient[at:at+headWidth])
	}
	// Softmax weights: the gradients of a row's three weights sum to 0, so
	// what was there remains.
	for r := range R {
		sum := 0.0
		for i := r * headWidth; i < r*headWidth+density.MixtureParts; i++ {
			sum += float64(gradient[i]) - float64(before[i])
		}
		if math.Abs(sum) > 1e-6 {
			t.Fatalf("row %d: the gradients of the weights sum to %v", r, sum)
		}
	}
}
