package score

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Without ties ρ = 1 − 6Σd²/(n(n²−1)) (Spearman 1904); ranks (1, 2½, 2½, 4)
// against (1, 2, 3, 4) correlate by 4.5/√(4.5·5) = √.9.
func TestSpearman(t *testing.T) {
	near(t, "no ties", Spearman([]float64{10, 30, 20, 50, 40}, []float64{1, 2, 3, 4, 5}), 1-6*4./(5*24), 1e-15)
	near(t, "ties", Spearman([]float64{1, 2, 2, 4}, []float64{1, 20, 30, 400}), math.Sqrt(0.9), 1e-15)
	for name, got := range map[string]float64{
		"constant": Spearman([]float64{1, 1, 1}, []float64{1, 2, 3}),
		"NaN":      Spearman([]float64{1, 2, math.NaN()}, []float64{1, 2, 3}),
		"nothing":  Spearman(nil, nil),
	} {
		if !math.IsNaN(got) {
			t.Errorf("Spearman, %s = %v, want NaN", name, got)
		}
	}
}

func TestSpearmanSeesOrderOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Map(rapid.IntRange(-9, 9), func(i int) float64 { return float64(i) })
		n := rapid.IntRange(2, 30).Draw(t, "n")
		x := rapid.SliceOfN(whole, n, n).Draw(t, "x")
		y := rapid.SliceOfN(whole, n, n).Draw(t, "y")
		if constant(x) || constant(y) {
			t.Skip("one side does not vary")
		}
		cubes := make([]float64, n)
		for i, v := range x {
			cubes[i] = v * v * v
		}
		want := Spearman(x, y)
		near(t, "of cubes", Spearman(cubes, y), want, 1e-14)
		near(t, "of sides swapped", Spearman(y, x), want, 1e-14)
	})
}

// Three dates correlate by 1, −1 and 1; one has two assets, one does not vary.
func panel() (dates []time.Time, forecast, realised []float64) {
	for i, d := range []struct{ f, r []float64 }{
		{[]float64{1, 2, 3}, []float64{10, 20, 30}},
		{[]float64{1, 2}, []float64{2, 1}},
		{[]float64{1, 2, 3}, []float64{3, 2, 1}},
		{[]float64{5, 5, 5}, []float64{3, 2, 1}},
		{[]float64{3, 2, 1}, []float64{9, 8, 7}},
	} {
		for j := range d.f {
			dates = append(dates, day(i))
			forecast, realised = append(forecast, d.f[j]), append(realised, d.r[j])
		}
	}
	return dates, forecast, realised
}

func TestICOfEachDate(t *testing.T) {
	dates, forecast, realised := panel()
	for name, ic := range map[string]func([]time.Time, []float64, []float64, int, int) ([]float64, Test){"IC": IC, "RankIC": RankIC} {
		series, test := ic(dates, forecast, realised, 1, 0)
		if len(series) != 3 {
			t.Fatalf("%s = %v, want three dates", name, series)
		}
		for i, want := range []float64{1, -1, 1} {
			near(t, name, series[i], want, 1e-15)
		}
		near(t, name+" mean", test.Mean, 1.0/3, 1e-15)
		// s² = 4/3, so SE = √(4/9) and t = ½; with two degrees of freedom
		// P = 1 − t/√(2 + t²).
		near(t, name+" stat", test.Stat, 0.5, 1e-12)
		near(t, name+" P", test.P, 1-0.5/1.5, 1e-12)
	}
	// The first date in thousands correlates as before; as cubes only in rank.
	realised[1] = 11
	if series, _ := IC(dates, forecast, realised, 1, 0); series[0] > 0.99 {
		t.Errorf("IC of a bent line = %v, want below .99", series[0])
	}
	series, _ := RankIC(dates, forecast, realised, 1, 0)
	near(t, "RankIC of a bent line", series[0], 1, 1e-15)
}

func TestICSeesMissingForecasts(t *testing.T) {
	dates, forecast, realised := panel()
	forecast[0] = math.NaN()
	series, test := RankIC(dates, forecast, realised, 1, 0)
	if len(series) != 3 || !slices.ContainsFunc(series, math.IsNaN) || !math.IsNaN(test.Mean) {
		t.Errorf("RankIC with a NaN = %v, %+v, want NaN to show", series, test)
	}
}
