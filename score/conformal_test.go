package score

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

// Exchangeability says that the next outcome is any of n + 1 with the same
// probability. So hold out each in turn: of distinct values exactly n + 1 − 2k
// are covered, and with ties no fewer.
func TestConformalCoverageIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := float64(rapid.IntRange(1, 19).Draw(t, "level·20")) / 20
		distinct := rapid.Bool().Draw(t, "distinct")
		value := rapid.Map(rapid.IntRange(0, 5), func(i int) float64 { return float64(i) / 5 })
		n := rapid.IntRange(39, 80).Draw(t, "n")
		u := rapid.SliceOfN(value, n+1, n+1).Draw(t, "u")
		if distinct {
			for i, p := range rand.New(rand.NewPCG(1, uint64(n))).Perm(n + 1) {
				u[i] = float64(p) / float64(n)
			}
		}
		covered := 0
		for i, next := range u {
			rest := append(append([]float64{}, u[:i]...), u[i+1:]...)
			lo, hi, err := ConformalLevels(rest, level)
			if err != nil {
				t.Fatal(err)
			}
			if lo <= next && next <= hi {
				covered++
			}
		}
		if float64(covered) < level*float64(n+1)-1e-9 {
			t.Errorf("covered %d of %d at level %v", covered, n+1, level)
		}
		// No more than the two whole ranks that rounding costs.
		if distinct && float64(covered) >= level*float64(n+1)+2 {
			t.Errorf("covered %d of %d at level %v: too wide", covered, n+1, level)
		}
	})
}

// 19 outcomes are the fewest for 90%: with k = 1 the ends are the extremes.
func TestConformalNeedsOutcomes(t *testing.T) {
	u := make([]float64, 19)
	for i := range u {
		u[i] = float64(19-i) / 20
	}
	lo, hi, err := ConformalLevels(u, 0.9)
	if err != nil || lo != 0.05 || hi != 0.95 {
		t.Errorf("ConformalLevels of 19 = %v, %v, %v, want .05, .95", lo, hi, err)
	}
	_, _, err = ConformalLevels(u[:18], 0.9)
	if want := "score: too few outcomes: 18 for an interval of 0.9, want at least 19"; !errors.Is(err, ErrTooFew) || err.Error() != want {
		t.Errorf("ConformalLevels of 18: %v, want %s", err, want)
	}
}

// Forecasts of half the scale cover 90% once their levels are calibrated.
func TestConformalMendsNarrowForecasts(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	pit := func() float64 { return distuv.UnitNormal.CDF(2 * r.NormFloat64()) }
	var u []float64
	for range 5000 {
		u = append(u, pit())
	}
	lo, hi, err := ConformalLevels(u, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	raw, covered := 0, 0
	const n = 20_000
	for range n {
		v := pit()
		if v >= 0.05 && v <= 0.95 {
			raw++
		}
		if v >= lo && v <= hi {
			covered++
		}
	}
	// P(|2z| < 1.645) = .589. Standard errors: .0035 of the first, .0021 of the
	// second and .0042 of what 5000 outcomes know; four of each.
	near(t, "share before", float64(raw)/n, 0.589, 0.014)
	near(t, "share after", float64(covered)/n, 0.9, 0.019)
}

// Gibbs & Candès 2021, proposition 4.1, on a series whose scale drifts from 1
// to 4 under forecasts that stay standard normal: the bound holds at every T,
// where fixed intervals end far below it.
func TestAdaptiveKeepsItsBoundUnderDrift(t *testing.T) {
	const level, gamma, n = 0.9, 0.02, 5000
	a := NewAdaptive(level, gamma)
	first := a.Alpha
	r := rand.New(rand.NewPCG(4, 5))
	misses, fixed := 0.0, 0.0
	for i := 1; i <= n; i++ {
		u := distuv.UnitNormal.CDF((1 + 3*float64(i)/n) * r.NormFloat64())
		alpha := a.Next()
		miss := math.Abs(2*u-1) > 1-alpha
		if miss {
			misses++
		}
		if math.Abs(2*u-1) > level {
			fixed++
		}
		a.Update(miss)
		bound := (max(first, 1-first) + gamma) / (float64(i) * gamma)
		if off := math.Abs(misses/float64(i) - (1 - level)); off > bound+1e-12 {
			t.Fatalf("after %d steps misses are off by %v, bound %v", i, off, bound)
		}
	}
	bound := (max(first, 1-first) + gamma) / (n * gamma)
	if off := fixed/n - (1 - level); off < 10*bound {
		t.Errorf("fixed intervals are off by %v: the drift proves nothing", off)
	}
}

// The proposition needs nothing of the data: an adversary picks the misses
// wherever an interval can both hit and miss.
func TestAdaptiveKeepsItsBoundAgainstAnAdversary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := rapid.Float64Range(0.05, 0.95).Draw(t, "level")
		gamma := rapid.Float64Range(0.01, 0.5).Draw(t, "gamma")
		a := NewAdaptive(level, gamma)
		first, misses := a.Alpha, 0.0
		for i, miss := range rapid.SliceOfN(rapid.Bool(), 1, 200).Draw(t, "misses") {
			switch alpha := a.Next(); {
			case alpha <= 0:
				miss = false
			case alpha >= 1:
				miss = true
			}
			if miss {
				misses++
			}
			a.Update(miss)
			if a.Alpha < -gamma-1e-9 || a.Alpha > 1+gamma+1e-9 {
				t.Fatalf("alpha %v left its range", a.Alpha)
			}
			T := float64(i + 1)
			if off := math.Abs(misses/T - (1 - level)); off > (max(first, 1-first)+gamma)/(T*gamma)+1e-9 {
				t.Fatalf("after %v steps misses are off by %v", T, off)
			}
		}
	})
}
