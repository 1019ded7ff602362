package density_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"
	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/density"
)

// Below is E[X; X ≤ x]: the derivative of the mean below x is x·f(x).
func TestBelowIsTheIntegralOfTheMean(t *testing.T) {
	for name, d := range laws(t) {
		for _, p := range []float64{.005, .05, .5, .97} {
			lo, hi := d.Quantile(p/50), d.Quantile(p)
			want := over(d, lo, hi, func(x float64) float64 { return x * math.Exp(d.LogPDF(x)) })
			if got := d.Below(hi) - d.Below(lo); math.Abs(got-want) > 1e-4*(math.Abs(lo)+math.Abs(hi)) {
				t.Errorf("%s: %v of the mean lies between %v and %v, want %v", name, got, lo, hi, want)
			}
		}
		if got := d.Below(math.Inf(-1)); got != 0 {
			t.Errorf("%s: Below(−∞) = %v, want 0", name, got)
		}
	}
	// With ν = 3 and location 0 the mean below 0 is −√3/π in units of the
	// scale: half the mean absolute value, 2√3/π.
	law := density.StudentT{Scale: 2, Nu: 3}
	if got, want := law.Below(0), -2*math.Sqrt(3)/math.Pi; math.Abs(got-want) > 1e-12 {
		t.Errorf("Below(0) = %v, want %v", got, want)
	}
	if got := (density.StudentT{Mu: 1.5, Scale: 2, Nu: 3}).Below(math.Inf(1)); got != 1.5 {
		t.Errorf("Below(∞) = %v, want the mean 1.5", got)
	}
}

// The definition, ∫(F − 1{x ≥ y})² dx, by Gauss and Legendre over short pieces of
// asinh x.
func crpsByDefinition(d density.Density, y float64) float64 {
	const reach, piece = 16, 0.25 // sinh(16) is 4.4e6
	sum := 0.0
	for u := -float64(reach); u < reach; u += piece {
		cuts := []float64{u, u + piece}
		if at := math.Asinh(y); at > u && at < u+piece {
			cuts = []float64{u, at, u + piece}
		}
		for i := 1; i < len(cuts); i++ {
			sum += quad.Fixed(func(u float64) float64 {
				x := math.Sinh(u)
				F := d.CDF(x)
				if x >= y {
					F = 1 - F
				}
				return F * F * math.Cosh(u)
			}, cuts[i-1], cuts[i], 8, nil, 0)
		}
	}
	return sum
}

func TestCRPSOfMixturesIsItsDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := density.Mixture{}
		sum := 0.0
		for range rapid.IntRange(2, 4).Draw(t, "parts") {
			w := rapid.Float64Range(.05, 1).Draw(t, "weight")
			sum += w
			m.Weights = append(m.Weights, w)
			m.Parts = append(m.Parts, density.StudentT{
				Mu:    rapid.Float64Range(-.7, .7).Draw(t, "mu"),
				Scale: math.Exp(rapid.Float64Range(-1.2, 1.2).Draw(t, "log scale")),
				Nu:    rapid.Float64Range(2.2, 30).Draw(t, "nu"),
			})
		}
		for i := range m.Weights {
			m.Weights[i] /= sum
		}
		y := rapid.Float64Range(-8, 8).Draw(t, "y")
		// As the constants of the quadrature say.
		if got, want := m.CRPS(y), crpsByDefinition(m, y); math.Abs(got-want) > 1e-4*(1+want) {
			t.Errorf("CRPS(%v) = %v, its integral %v", y, got, want)
		}
	})
}

// A mixture of one law in several parts is that law.
func TestMixtureOfOneLawIsThatLaw(t *testing.T) {
	law := density.StudentT{Mu: .1, Scale: .7, Nu: 5}
	m := density.Mean(law, law, law)
	for _, y := range []float64{-20, -.5, .1, 3} {
		for name, c := range map[string][2]float64{
			"LogPDF": {m.LogPDF(y), law.LogPDF(y)}, "CDF": {m.CDF(y), law.CDF(y)},
			"CRPS": {m.CRPS(y), law.CRPS(y)}, "Below": {m.Below(y), law.Below(y)},
		} {
			if math.Abs(c[0]-c[1]) > 1e-12*(1+math.Abs(c[1])) {
				t.Errorf("%s(%v) = %v, want %v", name, y, c[0], c[1])
			}
		}
	}
}

func TestMeanTakesMixturesApart(t *testing.T) {
	a, b := density.StudentT{Mu: -1, Scale: .4, Nu: 4}, density.StudentT{Mu: 1, Scale: .8, Nu: 7}
	inner := density.Mixture{Weights: []float64{.25, .75}, Parts: []density.Density{a, b}}
	m := density.Mean(inner, b)
	if len(m.Parts) != 3 {
		t.Fatalf("the mean of a mixture of 2 and a law has %d parts, want 3", len(m.Parts))
	}
	for _, x := range []float64{-3, -1, 0, .5, 2} {
		if got, want := m.CDF(x), (inner.CDF(x)+b.CDF(x))/2; math.Abs(got-want) > 1e-14 {
			t.Errorf("CDF(%v) = %v, want the mean %v", x, got, want)
		}
	}
}

// Two parts far from each other leave a gap where the density is nearly 0, and
// tails that one of them alone decides.
func TestQuantileOfPartsFarApart(t *testing.T) {
	m := density.Mixture{Weights: []float64{.5, .5}, Parts: []density.Density{
		density.StudentT{Mu: -50, Scale: .01, Nu: 30}, density.StudentT{Mu: 50, Scale: 1, Nu: 2.1},
	}}
	for _, p := range []float64{1e-6, .1, .4999, .5, .5001, .9, 1 - 1e-6} {
		if got := m.CDF(m.Quantile(p)); math.Abs(got-p) > 1e-9 {
			t.Errorf("CDF(Quantile(%v)) = %v", p, got)
		}
	}
}
