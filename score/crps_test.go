package score

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The naive double sum is the definition.
func TestCRPSMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for K := 1; K < 20; K++ {
		x := make([]float64, K)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		y := r.NormFloat64()
		want := 0.0
		for i := range x {
			want += math.Abs(x[i]-y) / float64(K)
			for j := range x {
				if K > 1 {
					want -= math.Abs(x[i]-x[j]) / float64(2*K*(K-1))
				}
			}
		}
		// Sums of up to 400 terms of order one.
		if got := CRPS(x, y); math.Abs(got-want) > 1e-13 {
			t.Errorf("CRPS of %d members = %v, want %v", K, got, want)
		}
	}
}

// Gneiting & Raftery 2007, eq. 21: the CRPS of a standard normal at y is
// y(2Φ(y) − 1) + 2φ(y) − 1/√π.
func TestCRPSOfANormal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, 200_000)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	for _, y := range []float64{-2, 0, 0.7} {
		want := y*math.Erf(y/math.Sqrt2) + 2*math.Exp(-y*y/2)/math.Sqrt(2*math.Pi) - 1/math.Sqrt(math.Pi)
		// The standard error is below 1/√200000 = .0022 times the spread of
		// |x − y|, which is below 1; 4 of them.
		if got := CRPS(x, y); math.Abs(got-want) > 0.009 {
			t.Errorf("CRPS(normal, %v) = %.4f, want %.4f", y, got, want)
		}
	}
}

func TestCRPSIsFair(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	mean := func(K int) float64 {
		sum := 0.0
		const n = 60_000
		x := make([]float64, K)
		for range n {
			for i := range x {
				x[i] = r.NormFloat64()
			}
			sum += CRPS(x, r.NormFloat64())
		}
		return sum / n
	}
	// E = E|x − y|/2 = 1/√π for every K; standard error about .004 at K = 2.
	for _, K := range []int{2, 16} {
		if got := mean(K); math.Abs(got-1/math.Sqrt(math.Pi)) > 0.02 {
			t.Errorf("mean CRPS with %d members = %.4f, want %.4f", K, got, 1/math.Sqrt(math.Pi))
		}
	}
}

func TestQuantile(t *testing.T) {
	x := []float64{4, 1, 3, 2}
	slices.Sort(x)
	for _, c := range []struct{ p, want float64 }{{0, 1}, {1, 4}, {0.5, 2.5}, {1. / 3, 2}} {
		if got := Quantile(x, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Quantile(%v, %v) = %v, want %v", x, c.p, got, c.want)
		}
	}
}
