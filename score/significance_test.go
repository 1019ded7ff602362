package score

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// near fails unless got is within tol of want.
func near(t interface {
	Helper()
	Errorf(string, ...any)
}, what string, got, want, tol float64,
) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %v, want %v ± %v", what, got, want, tol)
	}
}

func day(i int) time.Time { return time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC) }

func days(n int) []time.Time {
	d := make([]time.Time, n)
	for i := range d {
		d[i] = day(i)
	}
	return d
}

// Student 1908: hours of sleep gained, second drug less first. R's
// t.test(extra ~ group, sleep, paired) prints t = 4.0621, df = 9,
// p = .002833, mean 1.58.
func TestClusteredIsStudentsTest(t *testing.T) {
	sleep := []float64{1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4}
	for name, got := range map[string]Test{
		"Clustered":      Clustered(days(10), sleep, 1, 0),
		"DieboldMariano": DieboldMariano(sleep, make([]float64, 10), 1, 0),
	} {
		near(t, name+" mean", got.Mean, 1.58, 1e-12)
		near(t, name+" stat", got.Stat, 4.0621, 5e-5)
		near(t, name+" p", got.P, 0.002833, 5e-7)
		near(t, name+" mean/SE", got.Mean/got.SE, got.Stat, 1e-12)
		if got.N != 10 {
			t.Errorf("%s N = %d, want 10", name, got.N)
		}
	}
}

// The factor of Harvey, Leybourne & Newbold 1997 for N = 10, h = 3 is
// √((10 + 1 − 6 + 6/10)/10) = √.56, where that of h = 1 is √.9.
func TestHorizonShrinksTheStatistic(t *testing.T) {
	x := []float64{1.2, 2.4, 1.3, 1.3, 0, 1, 1.8, 0.8, 4.6, 1.4}
	one, three := Clustered(days(10), x, 1, 2), Clustered(days(10), x, 3, 2)
	near(t, "ratio", three.Stat/one.Stat, math.Sqrt(0.56/0.9), 1e-12)
	if got := Clustered(days(10), x, 10, 2); !math.IsNaN(got.P) {
		t.Errorf("horizon of all dates: %+v, want no P", got)
	}
}

// With weights w the variance is the quadratic form Σᵢ Σⱼ w(|i−j|) eᵢ eⱼ / n².
func TestNeweyWestIsAQuadraticForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(-5, 5), 2, 30).Draw(t, "x")
		lag := rapid.IntRange(0, 40).Draw(t, "lag")
		n, mean := float64(len(x)), 0.0
		for _, v := range x {
			mean += v / n
		}
		sum, own := 0.0, 0.0
		for i, a := range x {
			own += (a - mean) * (a - mean)
			for j, b := range x {
				sum += max(0, 1-math.Abs(float64(i-j))/float64(min(lag+1, len(x)))) * (a - mean) * (b - mean)
			}
		}
		if own < 1e-6 {
			t.Skip("no variance beyond rounding")
		}
		if sum < own/(4*n*n) {
			t.Errorf("variance %v of squares %v is below their bound", sum, own)
		}
		gotMean, se := NeweyWest(x, lag)
		near(t, "mean", gotMean, mean, 1e-13)
		// 900 terms of at most 100, under a root.
		near(t, "variance", se*se*n*n, sum, 1e-10)
	})
}

// e = (1, −1, 1, −1) with lag 3 has the form 4 + 2(−3·¾ + 2·½ − ¼) = 1, and
// e = (1, 1, −1, −1) with lag 1 has 4 + 2·½·1 = 5.
func TestNeweyWestByHand(t *testing.T) {
	_, se := NeweyWest([]float64{3, 1, 3, 1}, 3)
	near(t, "alternating", se, math.Sqrt(1)/4, 1e-15)
	_, se = NeweyWest([]float64{3, 1, 3, 1}, 1000)
	near(t, "alternating, lag beyond the series", se, math.Sqrt(1)/4, 1e-15)
	_, se = NeweyWest([]float64{3, 3, 1, 1}, 1)
	near(t, "persistent", se, math.Sqrt(5)/4, 1e-15)
}

// Assets that are copies of one another tell no more than one of them, and the
// order of the rows tells nothing.
func TestClusteredIgnoresCopiesAndOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.SliceOfN(rapid.Float64Range(-1, 1), 3, 20).Draw(t, "x")
		copies := rapid.IntRange(1, 4).Draw(t, "copies")
		lag := rapid.IntRange(0, 3).Draw(t, "lag")
		if _, se := NeweyWest(x, lag); se < 1e-6 {
			t.Skip("no variance beyond rounding")
		}
		want := DieboldMariano(x, make([]float64, len(x)), 1, lag)
		var rows []int
		for i := range x {
			for range copies {
				rows = append(rows, i)
			}
		}
		rows = rapid.Permutation(rows).Draw(t, "rows")
		dates, diffs := make([]time.Time, len(rows)), make([]float64, len(rows))
		for i, r := range rows {
			dates[i], diffs[i] = day(r), x[r]
		}
		got := Clustered(dates, diffs, 1, lag)
		near(t, "mean", got.Mean, want.Mean, 1e-12)
		near(t, "SE", got.SE, want.SE, 1e-9)
		near(t, "P", got.P, want.P, 1e-6)
		if got.N != len(x) {
			t.Errorf("N = %d, want %d", got.N, len(x))
		}
	})
}

// Two assets on the first date, one on the second: mean 2, e = (1+2−4, 3−2).
func TestClusteredWeighsAssetsAlike(t *testing.T) {
	got := Clustered([]time.Time{day(1), day(0), day(0)}, []float64{3, 1, 2}, 1, 0)
	near(t, "mean", got.Mean, 2, 0)
	// √(1 + 1)/3, over the factor √((2 + 1 − 2)/2).
	near(t, "SE", got.SE, math.Sqrt2/3*math.Sqrt2, 1e-15)
	// One degree of freedom is Cauchy's law: P = 1 − (2/π)·atan 3.
	near(t, "P", got.P, 1-2/math.Pi*math.Atan(3), 1e-12)
}

// One date apart in two time zones is one date.
func TestDatesAreInstants(t *testing.T) {
	there := day(0).In(time.FixedZone("east", 3600))
	if got := Clustered([]time.Time{day(0), there, day(1)}, []float64{1, 2, 3}, 1, 0); got.N != 2 {
		t.Errorf("N = %d, want 2", got.N)
	}
}

func TestNothingToTestBy(t *testing.T) {
	for name, got := range map[string]Test{
		"nothing":  Clustered(nil, nil, 1, 0),
		"one date": Clustered([]time.Time{day(0), day(0)}, []float64{1, 2}, 1, 0),
		"equal":    Clustered(days(7), []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, 1, 2),
		"zero":     DieboldMariano([]float64{1, 2, 3}, []float64{1, 2, 3}, 1, 0),
		"NaN":      Clustered(days(3), []float64{1, math.NaN(), 3}, 1, 0),
	} {
		if !math.IsNaN(got.SE) || !math.IsNaN(got.Stat) || !math.IsNaN(got.P) {
			t.Errorf("%s: %+v, want NaN", name, got)
		}
	}
}

func TestResultsSurviveJSON(t *testing.T) {
	b, err := json.Marshal(Test{Mean: 0.5, SE: math.NaN(), Stat: math.Inf(1), P: 0.25, N: 3})
	if want := `{"mean":0.5,"se":null,"stat":null,"p":0.25,"n":3}`; err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
	var back Test
	if err := json.Unmarshal(b, &back); err != nil || back.Mean != 0.5 || !math.IsNaN(back.SE) || back.P != 0.25 || back.N != 3 {
		t.Errorf("Unmarshal = %+v, %v", back, err)
	}
	b, err = json.Marshal(LikelihoodRatio{Stat: math.Inf(1), P: 0, DF: 2})
	if want := `{"stat":null,"p":0,"df":2}`; err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v, want %s", b, err, want)
	}
	ratio := LikelihoodRatio{Stat: 1}
	if err := json.Unmarshal(b, &ratio); err != nil || !math.IsNaN(ratio.Stat) || ratio.DF != 2 {
		t.Errorf("Unmarshal = %+v, %v", ratio, err)
	}
}

// autoregression is an AR(1) with standard normal shocks from 0.
func autoregression(r *rand.Rand, n int, rho float64) []float64 {
	x, last := make([]float64, n), 0.0
	for i := range x {
		last = rho*last + r.NormFloat64()
		x[i] = last
	}
	return x
}

// Blocks of one date are the bootstrap of independent dates: the interval is
// mean ± 1.96·s/√n. Of an AR(1) with ρ = .8 the mean has (1+ρ)/(1−ρ) = 9 times
// that variance; blocks of 50 find (1 − 1/50·2ρ/(1−ρ²)) = .91 of it.
func TestBlockBootstrapWidth(t *testing.T) {
	const n = 4000
	x := autoregression(rand.New(rand.NewPCG(1, 2)), n, 0.8)
	width := func(block int) float64 {
		lo, hi := BlockBootstrap(days(n), x, block, 2000, 0.95, 1)
		if again, _ := BlockBootstrap(days(n), x, block, 2000, 0.95, 1); again != lo {
			t.Errorf("same seed, blocks of %d: %v then %v", block, lo, again)
		}
		return hi - lo
	}
	_, se := NeweyWest(x, 0)
	one, fifty := width(1), width(50)
	// The quantiles of 2000 draws are right to some 3%, each.
	near(t, "width of independent dates", one/(2*1.96*se), 1, 0.1)
	// And 80 blocks know their variance to √(2/80) = 16%, the width to 8%.
	near(t, "width of blocks", fifty/one, math.Sqrt(9*0.91), 3*(1+math.Sqrt2)*0.1)
}

// Any block of a whole period has the same sum, wherever it begins.
func TestBlocksWrapAround(t *testing.T) {
	x := []float64{1, 5, -3, 1, 5, -3, 1, 5, -3}
	lo, hi := BlockBootstrap(days(9), x, 3, 50, 0.9, 7)
	if lo != 1 || hi != 1 {
		t.Errorf("interval of whole periods = %v, %v, want 1, 1", lo, hi)
	}
	if lo, _ := BlockBootstrap(days(9), x, 9, 50, 0.9, 7); !math.IsNaN(lo) {
		t.Errorf("one block of all dates = %v, want NaN", lo)
	}
	x[4] = math.NaN()
	if lo, hi := BlockBootstrap(days(9), x, 3, 50, 0.9, 7); !math.IsNaN(lo) || !math.IsNaN(hi) {
		t.Errorf("interval with a NaN = %v, %v, want NaN", lo, hi)
	}
}

// Under the null hypothesis a test at 5% rejects 5% of the time, also where
// steps overlap: differentials of horizon 3 are sums of three shocks.
func TestDieboldMarianoHasItsSize(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const runs, n, h = 2000, 200, 3
	rejected := 0
	zero := make([]float64, n)
	for range runs {
		e := make([]float64, n+h-1)
		for i := range e {
			e[i] = r.NormFloat64()
		}
		d := make([]float64, n)
		for i := range d {
			d[i] = e[i] + e[i+1] + e[i+2]
		}
		if DieboldMariano(d, zero, h, 6).P < 0.05 {
			rejected++
		}
	}
	// The standard error is .005. The kernel weighs the two autocovariances
	// 6/7 and 5/7 and so finds 1 + 2(6/7·2/3 + 5/7·1/3) = 2.62 of 3, which
	// makes .05 into P(|t| > 1.96·√(2.62/3)) = .067.
	near(t, "share rejected", float64(rejected)/runs, 0.06, 0.03)
}
