package score

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat/distuv"
	"pgregory.net/rapid"
)

func uniforms(seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 0))
	u := make([]float64, n)
	for i := range u {
		u[i] = r.Float64()
	}
	return u
}

func TestRankPIT(t *testing.T) {
	x := []float64{1, 2, 3}
	for _, c := range []struct{ y, u, want float64 }{
		{0, 0, 0}, {0, 0.5, 0.125}, {1.5, 0.25, 0.3125}, {2.5, 0.5, 0.625}, {9, 0.5, 0.875},
	} {
		if got := RankPIT(x, c.y, c.u); got != c.want {
			t.Errorf("RankPIT(%v, %v, %v) = %v, want %v", x, c.y, c.u, got, c.want)
		}
	}
}

// Of the levels .005, .015 … .995 exactly level are inside a central interval,
// and those on its ends count.
func TestCoverageOfAGrid(t *testing.T) {
	var u []float64
	for i := range 100 {
		u = append(u, (float64(i)+0.5)/100)
	}
	for _, level := range []float64{0.5, 0.8, 0.9} {
		share, lo, hi := Coverage(u, level, 0.95)
		near(t, "share", share, level, 1e-12)
		wantLo, wantHi := Wilson(int(math.Round(100*level)), 100, 0.95)
		if lo != wantLo || hi != wantHi {
			t.Errorf("Coverage at %v: interval %v, %v, want %v, %v", level, lo, hi, wantLo, wantHi)
		}
	}
	if share, _, _ := Coverage([]float64{0.05, 0.95, 0.04, 0.96}, 0.9, 0.95); share != 0.5 {
		t.Errorf("share with ends = %v, want .5", share)
	}
	if share, lo, hi := Coverage(nil, 0.9, 0.95); !math.IsNaN(share) || lo != 0 || hi != 1 {
		t.Errorf("Coverage of nothing = %v, %v, %v, want NaN, 0, 1", share, lo, hi)
	}
}

func TestPITHistogram(t *testing.T) {
	got := PITHistogram([]float64{0, 0.24, 0.25, 0.5, 0.99, 1}, 4)
	if want := []int{2, 1, 1, 2}; !slices.Equal(got, want) {
		t.Errorf("PITHistogram = %v, want %v", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("PITHistogram of 1.5 did not panic")
		}
	}()
	PITHistogram([]float64{1.5}, 4)
}

// Critical values of Miller 1956, two-sided. The even sample i/n,
// moved up by d and cut at 1, has distance d.
func TestKolmogorovSmirnovCriticalValues(t *testing.T) {
	for _, c := range []struct {
		n    int
		d, p float64
	}{
		{10, 0.40925, 0.05},
		{10, 0.48893, 0.01},
		{20, 0.29408, 0.05},
		{20, 0.35241, 0.01},
	} {
		u := make([]float64, c.n)
		for i := range u {
			u[i] = min(float64(i)/float64(c.n)+c.d, 1)
		}
		stat, p := KolmogorovSmirnov(u)
		near(t, "stat", stat, c.d, 1e-12)
		// What Stephens' correction leaves at 10.
		near(t, "p", p, c.p, 0.0006)
	}
}

// D of one value u is max(u, 1 − u), and 1/2n at the midpoints.
func TestKolmogorovSmirnovByHand(t *testing.T) {
	stat, _ := KolmogorovSmirnov([]float64{0.3})
	near(t, "D of one", stat, 0.7, 1e-15)
	stat, p := KolmogorovSmirnov([]float64{0.9, 0.1, 0.5, 0.3, 0.7})
	near(t, "D of midpoints", stat, 0.1, 1e-15)
	near(t, "p of midpoints", p, 1, 1e-6)
	if _, p := KolmogorovSmirnov(nil); !math.IsNaN(p) {
		t.Errorf("p of nothing = %v, want NaN", p)
	}
}

// The two series of the limit are the same function (Jacobi's theta): 1% points
// and the median of Smirnov 1948, and no step where they meet.
func TestKolmogorovLimit(t *testing.T) {
	near(t, "at 1.6276", kolmogorov(1.6276), 0.01, 1e-5)
	near(t, "at 1.3581", kolmogorov(1.3581), 0.05, 1e-5)
	near(t, "at .8276", kolmogorov(0.8276), 0.5, 1e-4)
	// The density is about 1.1 there.
	near(t, "step at 1", kolmogorov(1-1e-12), kolmogorov(1), 1e-11)
}

// The closed form is the maximum that a search finds over a, ρ and σ.
func TestBerkowitzIsTheMaximum(t *testing.T) {
	u := uniforms(3, 60)
	z := make([]float64, len(u))
	for i, v := range u {
		z[i] = distuv.UnitNormal.Quantile(v)
	}
	loss := func(p []float64) float64 {
		sum := 0.0
		for i := 1; i < len(z); i++ {
			sum -= distuv.Normal{Mu: p[0] + p[1]*z[i-1], Sigma: math.Exp(p[2])}.LogProb(z[i])
		}
		return sum
	}
	best, err := optimize.Minimize(optimize.Problem{Func: loss}, []float64{0.3, -0.3, 0.3}, nil, &optimize.NelderMead{})
	if err != nil {
		t.Fatal(err)
	}
	got := Berkowitz(u)
	near(t, "Stat", got.Stat, 2*(loss([]float64{0, 0, 0})-best.F), 1e-6)
	near(t, "P", got.P, distuv.ChiSquared{K: 3}.Survival(got.Stat), 1e-15)
}

func TestBerkowitzUnderTheNull(t *testing.T) {
	const runs = 3000
	sum := 0.0
	for i := range uint64(runs) {
		sum += Berkowitz(uniforms(i, 300)).Stat
	}
	// χ² of three degrees has mean 3, in samples of 300 a little more, and
	// standard deviation √6; four standard errors and 2%.
	near(t, "mean of Stat", sum/runs, 3, 4*math.Sqrt(6.0/runs)+0.06)
}

func TestBerkowitzSeesWhatIsWrong(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	var narrow, dependent []float64
	for _, x := range autoregression(r, 500, 0.3) {
		narrow = append(narrow, distuv.UnitNormal.CDF(1.3*r.NormFloat64()))
		dependent = append(dependent, distuv.UnitNormal.CDF(x*math.Sqrt(1-0.09)))
	}
	for name, u := range map[string][]float64{"too narrow": narrow, "dependent": dependent} {
		if got := Berkowitz(u); got.P > 1e-4 {
			t.Errorf("%s: %+v, want P below 1e-4", name, got)
		}
	}
	if got := Berkowitz([]float64{0.1, 0.4, 0, 0.3, 0.9}); !math.IsInf(got.Stat, 1) || got.P != 0 {
		t.Errorf("an outcome ruled out: %+v, want +Inf, 0", got)
	}
	if got := Berkowitz([]float64{0.1, 0.4, 0.2, 0.3}); !math.IsNaN(got.P) {
		t.Errorf("four outcomes: %+v, want NaN", got)
	}
}

func TestReliability(t *testing.T) {
	got := Reliability(
		[]float64{0.1, 0.3, 0.6, 1, 0.8},
		[]bool{false, true, true, true, false}, 4, 0.95)
	lo0, hi0 := Wilson(0, 1, 0.95)
	lo1, hi1 := Wilson(1, 1, 0.95)
	lo3, hi3 := Wilson(1, 2, 0.95)
	want := []ReliabilityBin{
		{0.1, 0, lo0, hi0, 1},
		{0.3, 1, lo1, hi1, 1},
		{0.6, 1, lo1, hi1, 1},
		{0.9, 0.5, lo3, hi3, 2},
	}
	if !slices.Equal(got, want) {
		t.Errorf("Reliability = %v, want %v", got, want)
	}
}

// Whatever the bins, no forecast is lost, and the table keeps both means.
func TestReliabilityKeepsMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 50).Draw(t, "p")
		happened := rapid.SliceOfN(rapid.Bool(), len(p), len(p)).Draw(t, "happened")
		bins := rapid.IntRange(1, 20).Draw(t, "bins")
		n, forecast, observed := 0, 0.0, 0.0
		for _, b := range Reliability(p, happened, bins, 0.9) {
			n += b.N
			forecast += b.Forecast * float64(b.N)
			observed += b.Observed * float64(b.N)
		}
		for i := range p {
			forecast -= p[i]
			if happened[i] {
				observed--
			}
		}
		if n != len(p) {
			t.Errorf("N = %d, want %d", n, len(p))
		}
		near(t, "forecast", forecast, 0, 1e-11)
		near(t, "observed", observed, 0, 1e-11)
	})
}
