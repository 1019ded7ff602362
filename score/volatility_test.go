package score

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestQLIKE(t *testing.T) {
	near(t, "QLIKE(h, h)", QLIKE(0.3, 0.3), 0, 0)
	near(t, "QLIKE(1, 2)", QLIKE(1, 2), 1-math.Ln2, 1e-15)
	near(t, "QLIKE(2, 1)", QLIKE(2, 1), math.Ln2-0.5, 1e-15)
	if got := QLIKE(1, 0); !math.IsInf(got, 1) {
		t.Errorf("QLIKE(1, 0) = %v, want +Inf", got)
	}
	for _, c := range [][2]float64{{0, 1}, {-1, 1}, {1, -1}, {math.NaN(), 1}, {1, math.NaN()}} {
		if got := QLIKE(c[0], c[1]); !math.IsNaN(got) {
			t.Errorf("QLIKE(%v, %v) = %v, want NaN", c[0], c[1], got)
		}
	}
}

// Patton 2011: the mean of the proxies has the least mean loss, which is what
// makes the loss robust to noise of the proxy.
func TestQLIKEIsLeastAtTheMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		proxies := rapid.SliceOfN(rapid.Float64Range(0.01, 10), 1, 20).Draw(t, "proxies")
		off := rapid.Float64Range(0.1, 3).Draw(t, "off")
		mean := 0.0
		for _, p := range proxies {
			mean += p / float64(len(proxies))
		}
		loss := func(h float64) float64 {
			sum := 0.0
			for _, p := range proxies {
				sum += QLIKE(h, p)
			}
			return sum / float64(len(proxies))
		}
		// The loss of off·mean is 1/off + log off − 1 more.
		near(t, "excess", loss(off*mean)-loss(mean), 1/off+math.Log(off)-1, 1e-11)
	})
}

func TestR2(t *testing.T) {
	actual, benchmark := []float64{1, 2, 3}, []float64{2, 2, 2}
	near(t, "MSE", MSE(benchmark, actual), 2.0/3, 1e-15)
	near(t, "R2 of the truth", R2(actual, benchmark, actual), 1, 0)
	near(t, "R2 of the benchmark", R2(benchmark, benchmark, actual), 0, 0)
	near(t, "R2", R2([]float64{1, 2, 4}, benchmark, actual), 0.5, 1e-15)
	if got := R2(benchmark, actual, actual); !math.IsInf(got, -1) {
		t.Errorf("R2 against the truth = %v, want -Inf", got)
	}
}

// One candle of o = 0, h = 2, l = −1, c = 1, and two with nights for Yang–Zhang.
func TestVarianceOfOneCandle(t *testing.T) {
	o, h, l, c := []float64{0}, []float64{2}, []float64{-1}, []float64{1}
	near(t, "Parkinson", Parkinson(h, l), 9/(4*math.Ln2), 1e-15)
	near(t, "GarmanKlass", GarmanKlass(o, h, l, c), 4.5-(2*math.Ln2-1), 1e-15)
	near(t, "RogersSatchell", RogersSatchell(o, h, l, c), 2*1+(-1)*(-2), 1e-15)
	if got := YangZhang(o, h, l, c); !math.IsNaN(got) {
		t.Errorf("YangZhang of one candle = %v, want NaN", got)
	}
	// Opens 0 and 2 have variance 2, days 1 and 5 have 8, Rogers–Satchell is
	// (4 + 0)/2, and k = .34/(1.34 + 3).
	k := 0.34 / 4.34
	got := YangZhang([]float64{0, 2}, []float64{2, 7}, []float64{-1, 2}, []float64{1, 7})
	near(t, "YangZhang", got, 2+k*8+(1-k)*2, 1e-15)
}

// candles are n candles of Brownian motion with drift a day, variance 1 a day,
// after nights of variance nightly. The extremes are exact: within each of the
// steps they are drawn from the law of a Brownian bridge's.
func candles(r *rand.Rand, n int, drift, nightly float64) (o, h, l, c []float64) {
	const steps = 64
	const v = 1.0 / steps
	for range n {
		at := r.NormFloat64() * math.Sqrt(nightly)
		o = append(o, at)
		hi, lo := at, at
		for range steps {
			next := at + drift*v + math.Sqrt(v)*r.NormFloat64()
			up := math.Sqrt((next-at)*(next-at) - 2*v*math.Log(1-r.Float64()))
			down := math.Sqrt((next-at)*(next-at) - 2*v*math.Log(1-r.Float64()))
			hi, lo = max(hi, (at+next+up)/2), min(lo, (at+next-down)/2)
			at = next
		}
		h, l, c = append(h, hi), append(l, lo), append(c, at)
	}
	return o, h, l, c
}

// All are unbiased for Brownian motion; with drift only Rogers–Satchell and
// Yang–Zhang are.
func TestVarianceOfBrownianMotion(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	o, h, l, c := candles(r, 20_000, 0, 0.5)
	// A squared return has variance 2; their efficiencies of 4.9 and more make
	// the standard error below √(2/4.9/20000) = .0045. Four of them.
	const tol = 0.018
	near(t, "Parkinson", Parkinson(h, l), 1, tol)
	near(t, "GarmanKlass", GarmanKlass(o, h, l, c), 1, tol)
	near(t, "RogersSatchell", RogersSatchell(o, h, l, c), 1, tol)
	// And the nights: √(2·.25/20000) = .005 more.
	near(t, "YangZhang", YangZhang(o, h, l, c), 1.5, 0.03)

	o, h, l, c = candles(r, 20_000, 1, 0.5)
	near(t, "RogersSatchell with drift", RogersSatchell(o, h, l, c), 1, tol)
	near(t, "YangZhang with drift", YangZhang(o, h, l, c), 1.5, 0.03)
	if got := Parkinson(h, l); got < 1.1 {
		t.Errorf("Parkinson with drift = %v, want above 1.1", got)
	}
}

// Efficiency is the variance of a squared return, 2, over that of the estimator
// of one candle: 4.91 of Parkinson (Garman & Klass 1980 print 5.2), 7.4 of
// Garman–Klass, 6.0 of Rogers–Satchell (1991).
func TestEfficiencyOfVarianceEstimators(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const n = 20_000
	o, h, l, c := candles(r, n, 0, 0)
	var p, g, s []float64
	for i := range n {
		p = append(p, Parkinson(h[i:i+1], l[i:i+1]))
		g = append(g, GarmanKlass(o[i:i+1], h[i:i+1], l[i:i+1], c[i:i+1]))
		s = append(s, RogersSatchell(o[i:i+1], h[i:i+1], l[i:i+1], c[i:i+1]))
	}
	// A variance of 20000 values with a kurtosis of about 10 is known to
	// √(9/20000) = 2%; four of that.
	near(t, "Parkinson", 2/variance(p), 4.91, 0.4)
	near(t, "GarmanKlass", 2/variance(g), 7.4, 0.6)
	near(t, "RogersSatchell", 2/variance(s), 6.0, 0.5)
}

// A path of one direction has no variance about its drift, by Rogers–Satchell;
// the level of a day moves no estimator of the day.
func TestVarianceOfMovedCandles(t *testing.T) {
	near(t, "RogersSatchell", RogersSatchell([]float64{0}, []float64{3}, []float64{0}, []float64{3}), 0, 0)
	o, h, l, c := candles(rand.New(rand.NewPCG(11, 12)), 50, 0, 1)
	move := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for i := range x {
			y[i] = x[i] + 0.25
		}
		return y
	}
	near(t, "Parkinson", Parkinson(move(h), move(l)), Parkinson(h, l), 1e-12)
	near(t, "GarmanKlass", GarmanKlass(move(o), move(h), move(l), move(c)), GarmanKlass(o, h, l, c), 1e-12)
	near(t, "YangZhang", YangZhang(move(o), move(h), move(l), move(c)), YangZhang(o, h, l, c), 1e-12)
}
