package score

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Newcombe 1998, table I, method 3.
func TestWilsonPublished(t *testing.T) {
	for _, c := range []struct {
		k, n   int
		lo, hi float64
	}{
		{81, 263, 0.2553, 0.3662},
		{15, 148, 0.0624, 0.1605},
		{0, 20, 0, 0.1611},
		{1, 29, 0.0061, 0.1718},
		{20, 20, 1 - 0.1611, 1},
		{0, 0, 0, 1},
	} {
		lo, hi := Wilson(c.k, c.n, 0.95)
		if math.Abs(lo-c.lo) > 5e-5 || math.Abs(hi-c.hi) > 5e-5 {
			t.Errorf("Wilson(%d, %d, .95) = %.4f, %.4f, want %.4f, %.4f", c.k, c.n, lo, hi, c.lo, c.hi)
		}
	}
}

// The ends are the probabilities p at which the score test is at its edge:
// |k/n − p| = z·√(p(1−p)/n).
func TestWilsonSolvesItsEquation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 500).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		lo, hi := Wilson(k, n, math.Erf(2/math.Sqrt2)) // z = 2
		for _, p := range []float64{lo, hi} {
			d := float64(k)/float64(n) - p
			near(t, "distance²", d*d, 4*p*(1-p)/float64(n), 1e-12)
		}
	})
}

func TestBinomialPublished(t *testing.T) {
	for _, c := range []struct {
		k, n         int
		p, want, tol float64
	}{
		// Conover 1971, p. 97: Mendel's peas; R's binom.test prints .3825.
		{682, 925, 0.75, 0.3825, 5e-5},
		{8, 10, 0.5, 2 * (45 + 10 + 1) / 1024., 1e-12},
		{5, 10, 0.5, 1, 1e-12},
		{1, 2, 0.2, 0.36, 1e-12}, // of .64, .32, .04
		{2, 2, 0.2, 0.04, 1e-12},
		{0, 0, 0.3, 1, 0},
		{3, 3, 1, 1, 0},
		{2, 3, 1, 0, 0},
		{0, 3, 0, 1, 0},
	} {
		near(t, "Binomial", Binomial(c.k, c.n, c.p), c.want, c.tol)
	}
}

// At ½ the outcomes as likely as k or less are two equal tails, counted by the
// ways to toss them.
func TestBinomialOfACoin(t *testing.T) {
	for n := range 53 {
		ways, tail := 1.0, 0.0
		for k := range n/2 + 1 {
			tail += ways
			want := min(1, 2*tail/math.Pow(2, float64(n)))
			// Logarithms of up to 36 are exact to some 1e-14.
			near(t, "lower tail", Binomial(k, n, 0.5), want, 1e-12)
			near(t, "upper tail", Binomial(n-k, n, 0.5), want, 1e-12)
			ways = ways * float64(n-k) / float64(k+1)
		}
	}
}

func TestHitRateLeavesOutZeros(t *testing.T) {
	hits, n := HitRate([]float64{1, -2, 3, 0, 1}, []float64{0.1, 0.2, 0, 5, 2})
	if hits != 2 || n != 3 {
		t.Errorf("HitRate = %d of %d, want 2 of 3", hits, n)
	}
}

// The statistic as Pesaran & Timmermann 1992 print it, from their estimates of
// the two variances.
func TestPesaranTimmermannIsTheirs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sign := rapid.SampledFrom([]float64{-1, 1})
		n := rapid.IntRange(4, 60).Draw(t, "n")
		x := rapid.SliceOfN(sign, n, n).Draw(t, "x")
		y := rapid.SliceOfN(sign, n, n).Draw(t, "y")
		var N, hit, px, py float64 = float64(n), 0, 0, 0
		for i := range x {
			if x[i] == y[i] {
				hit += 1 / N
			}
			px += (x[i] + 1) / 2 / N
			py += (y[i] + 1) / 2 / N
		}
		got, p := PesaranTimmermann(x, y)
		if constant(x) || constant(y) {
			if got != 0 || p != 1 {
				t.Errorf("one side constant: %v, p %v, want 0, p 1", got, p)
			}
			return
		}
		star := py*px + (1-py)*(1-px)
		vHit := star * (1 - star) / N
		vStar := (2*py-1)*(2*py-1)*px*(1-px)/N + (2*px-1)*(2*px-1)*py*(1-py)/N + 4*py*px*(1-py)*(1-px)/(N*N)
		// The printed form cancels up to four digits at n = 60.
		near(t, "stat", got, (hit-star)/math.Sqrt(vHit-vStar), 1e-9)
		near(t, "p", p, math.Erfc(math.Abs(got)/math.Sqrt2), 1e-15)
	})
}

// All signs right, half of them up: the correlation of the signs is 1, and the
// statistic is n/√(n−1) times it.
func TestPesaranTimmermannOfAProphet(t *testing.T) {
	x := []float64{1, -1, 1, -1, 1, -1, 1, -1, 1, -1}
	stat, p := PesaranTimmermann(x, x)
	near(t, "stat", stat, 10.0/3, 1e-12)
	near(t, "p", p, math.Erfc(10.0/3/math.Sqrt2), 1e-15)
	if p > 0.001 {
		t.Errorf("p = %v, want below .001", p)
	}
}
