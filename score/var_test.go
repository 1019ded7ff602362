package score

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func hitsOf(n, hits int) []bool {
	h := make([]bool, n)
	for i := range hits {
		h[i] = true
	}
	return h
}

// Kupiec 1995 in the table of Jorion 2007, chapter 6: numbers of hits that are
// not rejected at 5%, both ends excluded.
func TestKupiecRegions(t *testing.T) {
	for _, c := range []struct {
		p         float64
		n, lo, hi int
	}{
		{0.01, 255, 0, 7}, // no lower end in the table: 0 hits have −510·log .99 = 5.1, beyond 3.84
		{0.01, 510, 1, 11},
		{0.01, 1000, 4, 17},
		{0.025, 255, 2, 12},
		{0.025, 510, 6, 21},
		{0.025, 1000, 15, 36},
		{0.05, 255, 6, 21},
		{0.05, 510, 16, 36},
		{0.05, 1000, 37, 65},
	} {
		for k := range c.n / 10 {
			accepted := Kupiec(hitsOf(c.n, k), c.p).P > 0.05
			if want := c.lo < k && k < c.hi; accepted != want {
				t.Errorf("Kupiec of %d hits in %d at %v: accepted %v, want %v", k, c.n, c.p, accepted, want)
			}
		}
	}
}

// The value at risk of J.P. Morgan in 1998, Jorion 2007, chapter 6: 20 hits in
// 252 days at 5%, 6 of them the day after another. He prints 3.91, 9.53, 13.44.
func TestChristoffersenPublished(t *testing.T) {
	near(t, "Kupiec", Kupiec(hitsOf(252, 20), 0.05).Stat, 3.91, 0.005)

	hits := make([]bool, 253) // 252 transitions
	for i := range 14 {
		hits[5+10*i] = true
		hits[6+10*i] = i < 6
	}
	independence, conditional := Christoffersen(hits, 0.05)
	near(t, "independence", independence.Stat, 9.53, 0.005)
	near(t, "conditional", conditional.Stat, 13.44, 0.005)
	near(t, "sum", conditional.Stat, independence.Stat+Kupiec(hits[1:], 0.05).Stat, 1e-10)
	// χ² with one degree is a normal's square, with two it is exponential.
	near(t, "p, one degree", independence.P, math.Erfc(math.Sqrt(independence.Stat/2)), 1e-12)
	near(t, "p, two degrees", conditional.P, math.Exp(-conditional.Stat/2), 1e-12)
}

func TestCoverageTestsAtTheEnds(t *testing.T) {
	// No hits in n: −2n·log(1 − p).
	near(t, "no hits", Kupiec(make([]bool, 100), 0.05).Stat, -200*math.Log(0.95), 1e-10)
	independence, conditional := Christoffersen(make([]bool, 101), 0.05)
	near(t, "independence without hits", independence.Stat, 0, 0)
	near(t, "conditional without hits", conditional.Stat, -200*math.Log(0.95), 1e-10)
	if got := Kupiec(nil, 0.05); !math.IsNaN(got.P) {
		t.Errorf("Kupiec of nothing = %+v, want NaN", got)
	}
	if got, _ := Christoffersen([]bool{true}, 0.05); !math.IsNaN(got.P) {
		t.Errorf("Christoffersen of one = %+v, want NaN", got)
	}
}

// Of standard normal returns v = Φ⁻¹(α) and e = −φ(v)/α; the expected loss there
// is log(−e), and no other pair has less.
func TestFZ0IsLeastAtTheTruth(t *testing.T) {
	const alpha = 0.05
	v := distuv.UnitNormal.Quantile(alpha)
	e := -distuv.UnitNormal.Prob(v) / alpha
	mean := func(v, e float64) float64 {
		sum, n := 0.0, 200_000
		for i := range n {
			sum += FZ0(distuv.UnitNormal.Quantile((float64(i)+0.5)/float64(n)), v, e, alpha)
		}
		return sum / float64(n)
	}
	least := mean(v, e)
	// Midpoints of 200000 levels: the outermost counts 1/200000 of a loss of
	// order 4/(α|e|) = 40, wrong by less than half of it.
	near(t, "expected FZ0", least, math.Log(-e), 1e-4)
	for _, c := range [][2]float64{{v - 0.1, e}, {v + 0.1, e}, {v, e - 0.1}, {v, e + 0.1}} {
		if got := mean(c[0], c[1]); got <= least+1e-4 {
			t.Errorf("expected FZ0(%v, %v) = %v, want above %v", c[0], c[1], got, least)
		}
	}
	if got := FZ0(0, -1, 0, alpha); !math.IsNaN(got) {
		t.Errorf("FZ0 with no shortfall = %v, want NaN", got)
	}
}

// Independent hits at the promised rate: Stat of conditional coverage has the
// mean of χ² with two degrees of freedom, 2.
func TestChristoffersenUnderTheNull(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const runs = 3000
	sum := 0.0
	for range runs {
		hits := make([]bool, 1000)
		for i := range hits {
			hits[i] = r.Float64() < 0.1
		}
		_, c := Christoffersen(hits, 0.1)
		sum += c.Stat
	}
	// The standard deviation is 2; four standard errors.
	near(t, "mean of Stat", sum/runs, 2, 4*2/math.Sqrt(runs))
}
