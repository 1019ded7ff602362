package tokenizer

import (
	"errors"
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/internal/rng"
)

// normalRanges are n logarithms of ranges of K tokens in turn: those of token k
// are normal around middle(k) with a deviation of .3.
func normalRanges(K, n int) (tokens []int32, y []float64) {
	r := rng.New(3)
	for i := range n {
		k := i % K
		tokens, y = append(tokens, int32(k)), append(y, middle(k)+.3*r.NormFloat64())
	}
	return tokens, y
}

func middle(k int) float64 { return .4*float64(k) - .5 }

func TestEmissionRecoversTheLawOfRanges(t *testing.T) {
	const K, each = 4, 5000
	tokens, y := normalRanges(K, K*each)
	e, err := FitEmission(K, tokens, y)
	if err != nil {
		t.Fatal(err)
	}
	probs, cells := make([]float64, K), make([]float64, e.Cells().Len())
	normal := func(x float64) float64 { return .5 * math.Erfc(-x/math.Sqrt2) }
	for k := range K {
		clear(probs)
		probs[k] = 1
		e.Mix(cells, probs)
		d := e.Cells().New(cells, 1)
		for z := -2.5; z <= 2.5; z += .5 {
			// .02: nearly three deviations of a share of 5,000; what the kernel
			// smears is less.
			if got, want := d.CDF(middle(k)+.3*z), normal(z); math.Abs(got-want) > .02 {
				t.Errorf("token %d: %v lie below %v deviations, want %v", k, got, z, want)
			}
		}
	}
	// With the frequencies of the tokens it is the law of all.
	for k := range probs {
		probs[k] = 1. / K
	}
	e.Mix(cells, probs)
	d := e.Cells().New(cells, 1)
	for x := -1.5; x <= 2; x += .25 {
		want := 0.0
		for k := range K {
			want += normal((x-middle(k))/.3) / K
		}
		if got := d.CDF(x); math.Abs(got-want) > .01 {
			t.Errorf("%v of all lie below %v, want %v", got, x, want)
		}
	}
}

// The quadrature knows the density alone: no distribution function, no cells but
// where they end.
func TestRangeDensityIntegratesToOne(t *testing.T) {
	const K = 64
	tokens, y := normalRanges(K, 6400)
	e, err := FitEmission(K, tokens, y)
	if err != nil {
		t.Fatal(err)
	}
	r := rng.New(1)
	probs, cells := make([]float64, K), make([]float64, e.Cells().Len())
	for context := range 1000 {
		for k := range probs {
			probs[k] = math.Exp(3 * r.NormFloat64())
		}
		e.Mix(cells, probs)
		mu := -4 + r.NormFloat64() // ln σ
		d := e.Cells().NewAt(cells, mu, 1)
		pdf := func(x float64) float64 { return math.Exp(d.LogPDF(x)) }
		area := 0.0
		for j := range e.Cells().Len() {
			lo, hi := e.Cells().Bounds(j)
			// A tail is taken in by x = end ± s·u/(1−u) with s about its width.
			tail := func(end, sign float64) float64 {
				s := e.Cells().T.Scale
				return quad.Fixed(func(u float64) float64 { return s * pdf(end+sign*s*u/(1-u)) / ((1 - u) * (1 - u)) }, 0, 1, 32, nil, 0)
			}
			switch {
			case math.IsInf(lo, -1):
				area += tail(mu+hi-1e-12, -1)
			case math.IsInf(hi, 1):
				area += tail(mu+lo+1e-12, 1)
			default:
				area += quad.Fixed(pdf, mu+lo, mu+hi, 6, nil, 0)
			}
		}
		if math.Abs(area-1) > 1e-6 {
			t.Fatalf("context %d: the density integrates to %v", context, area)
		}
	}
}

// Candles without a range have one number in common, and may be nearly all.
func TestEmissionOfRangesThatAreMostlyNone(t *testing.T) {
	tokens, y := normalRanges(4, 2000)
	for i := range y {
		if i%20 != 0 {
			y[i] = -4
		}
	}
	e, err := FitEmission(4, tokens, y)
	if err != nil {
		t.Fatal(err)
	}
	probs, cells := []float64{.25, .25, .25, .25}, make([]float64, e.Cells().Len())
	e.Mix(cells, probs)
	d := e.Cells().New(cells, 1)
	highest := 1 / (LeastWidth * math.Sqrt(2*math.Pi))
	if got := math.Exp(d.LogPDF(-4)); got > 1.05*highest || got < .5*highest {
		t.Errorf("density %v where nearly all are, want about that of the kernel, %v", got, highest)
	}
	if got := d.CDF(-3); math.Abs(got-.95) > .01 {
		t.Errorf("%v have no range, want .95", got)
	}

	for i := range y {
		y[i] = -4
	}
	if _, err := FitEmission(4, tokens, y); !errors.Is(err, density.ErrNoVariation) {
		t.Errorf("without any range: %v, want ErrNoVariation", err)
	}
	y[7] = math.NaN()
	if _, err := FitEmission(4, tokens, y); err == nil {
		t.Error("FitEmission takes a NaN")
	}
}
