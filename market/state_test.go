package market

import (
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/internal/rng"
)

func TestLogDensityIntegratesToCDF(t *testing.T) {
	s := State{Sigma: 0.02, Mean: 0.001, Regime: 1}
	const step = 1e-5
	var mass, mean, square float64
	for r := -2.0; r < 2; r += step { // 100 σ: the tails beyond hold 1e-9
		p := math.Exp(s.LogDensity(r+step/2)) * step
		mass += p
		mean += p * (r + step/2)
		square += p * (r + step/2 - s.Mean) * (r + step/2 - s.Mean)
		// 1e-6: the midpoint rule and the tail.
		if i := int(math.Round((r + 2) / step)); i%10000 == 0 && math.Abs(mass-s.CDF(r+step)) > 1e-6 {
			t.Errorf("integral to %v is %v, CDF says %v", r+step, mass, s.CDF(r+step))
		}
	}
	if math.Abs(mass-1) > 1e-6 {
		t.Errorf("the density integrates to %v, want 1", mass)
	}
	// The variance that lies beyond 100 σ is of the order of 1e-5 of it.
	if math.Abs(mean-s.Mean) > 1e-7 || math.Abs(math.Sqrt(square)/s.Sigma-1) > 1e-4 {
		t.Errorf("mean %v, deviation %v, want %v, %v", mean, math.Sqrt(square), s.Mean, s.Sigma)
	}
}

func TestSampleFollowsTheDensity(t *testing.T) {
	const n = 20_000
	for regime := range regimes {
		s := State{Sigma: 0.03, Mean: -0.004, Regime: regime}
		stream := rng.New(5, rng.Truth, uint64(regime))
		pit := make([]float64, n)
		for i := range pit {
			c := s.Sample(stream, 50)
			pit[i] = s.CDF(math.Log(c.Close / 50))
		}
		mustBeUniform(t, "sampled log returns", pit)
	}
}

// The same random numbers at three times the scale give three times the moves.
func TestCandleScalesWithSigma(t *testing.T) {
	one := State{Sigma: 0.01, Mean: 0.0005, Regime: 2}
	three := State{Sigma: 0.03, Mean: 0.0015, Regime: 2}
	a, b := rng.New(9), rng.New(9)
	for range 200 {
		x, y := moves(one.Sample(a, 80), 80), moves(three.Sample(b, 7), 7)
		for k := range x {
			// 1e-13: moves of .01 from prices that round at 1e-16.
			if math.Abs(3*x[k]-y[k]) > 1e-13 {
				t.Fatalf("move %d: %v at σ and %v at 3σ", k, x[k], y[k])
			}
		}
	}
}

// The range of a Brownian motion without a fixed end has the second moment
// 4 ln 2 (Parkinson 1980); drawing its two ends apart keeps the mean of each.
func TestExtremesAreThoseOfABridge(t *testing.T) {
	const n = 200_000
	s := State{Sigma: 0.01, Regime: 0}
	stream := rng.New(11)
	var upper, scale float64
	for range n {
		mix := sampleMix(stream)
		z := stream.NormFloat64()
		c := s.candle(1, mix, z, stream)
		upper += math.Log(c.High / c.Open)
		scale += s.Sigma * math.Sqrt(mix*(1-regimes[0].overnight))
	}
	// E[max of a Brownian motion from its start] = √(2/π) of its deviation.
	// The close given the open is normal only on average over z, which it is here.
	if got, want := upper/scale, math.Sqrt(2/math.Pi); math.Abs(got-want) > 0.01 {
		t.Errorf("mean of ln(H/O) is %.4f of the deviation, want %.4f", got, want)
	}
}

// moves are the four log moves of a candle from its previous close.
func moves(c Candle, prevClose float64) [4]float64 {
	return [4]float64{
		math.Log(c.Open / prevClose), math.Log(c.High / prevClose), math.Log(c.Low / prevClose), math.Log(c.Close / prevClose),
	}
}

// mustBeUniform is the Kolmogorov–Smirnov test at 1%.
func mustBeUniform(t *testing.T, name string, sample []float64) {
	t.Helper()
	slices.Sort(sample)
	n := float64(len(sample))
	worst := 0.0
	for i, u := range sample {
		worst = max(worst, math.Abs(u-float64(i)/n), math.Abs(u-float64(i+1)/n))
	}
	if limit := 1.63 / math.Sqrt(n); worst > limit {
		t.Errorf("%s: PIT is %.4f from uniform, want at most %.4f", name, worst, limit)
	}
}
