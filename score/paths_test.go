package score

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// In one dimension the energy score is the CRPS (Gneiting & Raftery 2007).
func TestEnergyScoreOfNumbersIsCRPS(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(-10, 10), 1, 30).Draw(t, "x")
		y := rapid.Float64Range(-10, 10).Draw(t, "y")
		vectors := make([][]float64, len(x))
		for i, v := range x {
			vectors[i] = []float64{v}
		}
		near(t, "EnergyScore", EnergyScore(vectors, []float64{y}), CRPS(x, y), 1e-12)
	})
}

// (3, 4) and (0, 0) against (0, 0): mean miss 2.5, less 5/2 of spread.
func TestEnergyScoreByHand(t *testing.T) {
	near(t, "two members", EnergyScore([][]float64{{3, 4}, {0, 0}}, []float64{0, 0}), 0, 1e-15)
	near(t, "one member", EnergyScore([][]float64{{3, 4}}, []float64{0, 0}), 5, 1e-15)
}

// Of standard normal vectors in the plane E‖x − y‖ = √2·√(π/2) = √π, so the
// score of the true law is √π/2 with any number of members, and laws of the same
// margins with correlated coordinates, or of another scale, do worse.
func TestEnergyScoreIsFairAndProper(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	mean := func(K int, scale, rho float64) float64 {
		const n = 20_000
		sum := 0.0
		x := make([][]float64, K)
		for range n {
			for i := range x {
				a := r.NormFloat64()
				x[i] = []float64{scale * a, scale * (rho*a + math.Sqrt(1-rho*rho)*r.NormFloat64())}
			}
			sum += EnergyScore(x, []float64{r.NormFloat64(), r.NormFloat64()})
		}
		return sum / n
	}
	want := math.Sqrt(math.Pi) / 2
	// The standard deviation of one score is below 1: four standard errors.
	const tol = 0.03
	for _, K := range []int{2, 10} {
		near(t, "mean energy score", mean(K, 1, 0), want, tol)
	}
	for name, got := range map[string]float64{"too wide": mean(10, 2, 0), "correlated": mean(10, 1, 0.99)} {
		if got < want+tol {
			t.Errorf("%s: mean energy score %v, want above %v", name, got, want+tol)
		}
	}
}

func TestPinball(t *testing.T) {
	near(t, "y above", Pinball(1, 3, 0.9), 1.8, 1e-15)
	near(t, "y below", Pinball(3, 1, 0.9), 0.2, 1e-15)
	near(t, "y at q", Pinball(3, 3, 0.9), 0, 0)
}

// The integral over levels is half the CRPS, of a uniform forecast
// y³/3 + (1 − y)³/3 (Gneiting & Raftery 2007, section 4.2).
func TestPinballIntegratesToCRPS(t *testing.T) {
	const n = 10_000
	for _, y := range []float64{0, 0.3, 1} {
		sum := 0.0
		for i := range n {
			level := (float64(i) + 0.5) / n
			sum += 2 * Pinball(level, y, level) / n
		}
		// The midpoint rule errs by 1/(24n²) times a second derivative of order 1.
		near(t, "twice the mean pinball", sum, (y*y*y+(1-y)*(1-y)*(1-y))/3, 1e-8)
	}
}

// The WQL of the medians alone is Σ|y − q|/Σ|y|, the normalised deviation.
func TestWQL(t *testing.T) {
	y := []float64{1, -2, 3}
	near(t, "medians", WQL([][]float64{{2}, {-2}, {1}}, y, []float64{0.5}), 3.0/6, 1e-15)
	// Levels .1 and .9 of the first step: .9·1 + .9·1 at q = (2, 0).
	q := [][]float64{{2, 0}, {-2, -2}, {3, 3}}
	near(t, "two levels", WQL(q, y, []float64{0.1, 0.9}), 2*1.8/6/2, 1e-15)
}

func TestMASE(t *testing.T) {
	history := []float64{1, 2, 4, 3} // steps of 1, 2 and 1: mean 4/3
	near(t, "MASE", MASE([]float64{5, 5}, []float64{4, 7}, history, 1), 1.5/(4.0/3), 1e-15)
	near(t, "season 2", MASE([]float64{5, 5}, []float64{4, 7}, history, 2), 1.5/2, 1e-15)
	near(t, "naive on its own history", MASE(history[:3], history[1:], history, 1), 1, 1e-15)
	if got := MASE([]float64{1}, []float64{1}, history, 4); !math.IsNaN(got) {
		t.Errorf("MASE with a season as long as history = %v, want NaN", got)
	}
}

// Gneiting & Raftery 2007, section 6.2: the interval score is 2/α times the
// pinball losses of its two ends.
func TestIntervalScoreIsPinballOfItsEnds(t *testing.T) {
	near(t, "inside", IntervalScore(-1, 2, 0, 0.9), 3, 0)
	near(t, "half below", IntervalScore(-1, 2, -1.5, 0.9), 3+20*0.5, 1e-12)
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(-5, 5).Draw(t, "lo")
		hi := lo + rapid.Float64Range(0, 5).Draw(t, "width")
		y := rapid.Float64Range(-10, 10).Draw(t, "y")
		level := rapid.Float64Range(0.05, 0.95).Draw(t, "level")
		alpha := 1 - level
		want := 2 / alpha * (Pinball(lo, y, alpha/2) + Pinball(hi, y, 1-alpha/2))
		near(t, "IntervalScore", IntervalScore(lo, hi, y, level), want, 1e-10)
	})
}
