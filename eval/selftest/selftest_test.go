package selftest

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/score"
)

// contest trains and scores a model on a process.
func contest(t *testing.T, p Process, scale string) *eval.Contest {
	t.Helper()
	series, err := p.Series()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Contest(t.Context(), series, scale, p.Seed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// over is what a row gains over another.
func over(t *testing.T, c *eval.Contest, name, other string) eval.VersusRow {
	t.Helper()
	table, err := c.Versus(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Rows {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no row %q in %+v", name, table.Rows)
	return eval.VersusRow{}
}

// direction is the Pesaran–Timmermann test of the model.
func direction(t *testing.T, c *eval.Contest) (hits, p float64) {
	t.Helper()
	table, err := c.Direction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Rows {
		if r.Name == NameModel {
			return float64(r.Hits), float64(r.PT)
		}
	}
	t.Fatal("the model has no row")
	return 0, 0
}

func found(g score.Test) bool { return g.P < Level && g.Mean > 0 }

func TestNoSkillIsFoundInBrownianMotion(t *testing.T) {
	c := Defaults()
	c.Markets, c.Process.Assets, c.Process.Candles = 6, 4, 800
	gains, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	rows := Judge(gains)
	if err := Check(rows); err != nil {
		t.Error(err)
	}
	for _, r := range rows {
		// Of no law is the expected log score above that of the true one, and
		// the unconditional t is nearly that: what a row gains is chance.
		if r.Name != NameSize && r.Gain > .005 {
			t.Errorf("%s gains %v nats in the mean over %s", r.Name, r.Gain, Over)
		}
	}
	// Unless it has learnt nothing of the assets, σ from 1% to 4%, the model
	// is not far below either. One law for all is .14 nats below.
	for _, r := range rows {
		if r.Name == NameModel && r.Gain < -.05 {
			t.Errorf("the model loses %v nats to %s", r.Gain, Over)
		}
	}
}

// GARCH-t is the truth here but for its fitted numbers, so nothing can beat it,
// while who knows that volatility changes beats who does not. The signs are
// independent of the past.
func TestVolatilityIsFoundInGARCHAndNothingElse(t *testing.T) {
	p := Process{Assets: 6, Candles: 2500, Seed: 3, SigmaLo: .01, SigmaHi: .03, Alpha: .1, Beta: .88, Nu: 6}
	c := contest(t, p, feature.EWMA)
	if g := over(t, c, NameModel, "GARCH-t").LogScore; found(g) {
		t.Errorf("the model beats the truth, GARCH-t, by %v nats (p %v)", g.Mean, g.P)
	}
	if g := over(t, c, NameModel, Over).QLIKE; !found(g) {
		t.Errorf("the model gains %v in QLIKE over constant volatility (p %v), want a significant gain", g.Mean, g.P)
	}
	if g := over(t, c, "GARCH-t", Over); !found(g.LogScore) || !found(g.QLIKE) {
		t.Errorf("GARCH-t over constant volatility: %+v, want significant gains", g)
	}
	if hits, pt := direction(t, c); pt < .01 {
		t.Errorf("the model knows the sign: %v hits (p %v)", hits, pt)
	}
}

// The truth of an AR(1) of normal shocks gains −½·ln(1−φ²) nats over its
// unconditional law: their variances are σ² and σ²/(1−φ²).
func TestPlantedAutocorrelationIsFound(t *testing.T) {
	const phi = .2
	p := Process{Assets: 6, Candles: 2500, Seed: 4, SigmaLo: .01, SigmaHi: .03, Phi: phi}
	c := contest(t, p, feature.HAR)
	g := over(t, c, NameModel, Over).LogScore
	if !found(g) {
		t.Errorf("the model gains %v nats over %s (p %v), want a significant gain", g.Mean, Over, g.P)
	}
	if most := -math.Log(1-phi*phi)/2 + 4*g.SE; g.Mean > most {
		t.Errorf("the model gains %v nats, the truth no more than %v", g.Mean, most)
	}
	// cov(r[t], r[t−1])/var = φ: the best guess of the sign is right with
	// probability ½ + arcsin(φ)/π = .564 (Sheppard 1899).
	hits, pt := direction(t, c)
	if pt > .001 {
		t.Errorf("%v hits (p %v), want p < .001", hits, pt)
	}
	// Four standard errors of 6·500 independent signs.
	if best := .5 + math.Asin(phi)/math.Pi; hits > best+4*.5/math.Sqrt(3000) {
		t.Errorf("%v hits, the truth has %v", hits, best)
	}
}

// A law that is narrow at zero would win on candles that do not move, wherever
// they come. One in ten does here, at random.
func TestStandingCandlesAreNoSkill(t *testing.T) {
	p := Process{Assets: 6, Candles: 2000, Seed: 5, SigmaLo: .02, SigmaHi: .02, Zeros: .1}
	c := contest(t, p, feature.Global)
	if g := over(t, c, NameModel, "token unigram").LogScore; found(g) {
		t.Errorf("the model gains %v nats over the frequencies of tokens (p %v)", g.Mean, g.P)
	}
}

// The level of the test, on many markets since there is nothing to train. Without
// correlation over time it is near 5%; taking the assets of a date to be
// independent, as the control does, it is far from it.
func TestTheTestKeepsItsLevel(t *testing.T) {
	const markets = 400
	p := Brownian()
	p.Assets, p.Candles = 4, 1000
	var clustered, pooled [][]Gain
	for n := range markets {
		p.Seed = uint64(n)
		series, err := p.Series()
		if err != nil {
			t.Fatal(err)
		}
		dates, diffs := p.equallyWrong(series)
		apart := make([]time.Time, len(dates))
		for i := range apart {
			apart[i] = start.AddDate(0, 0, i)
		}
		clustered = append(clustered, []Gain{{NameSize, score.Clustered(dates, diffs, 1, 10)}})
		pooled = append(pooled, []Gain{{NameSize, score.Clustered(apart, diffs, 1, 0)}})
	}
	rows := Judge(clustered)
	if err := Check(rows); err != nil {
		t.Error(err)
	}
	if err := Check(Judge(pooled)); err == nil {
		t.Error("a test that takes correlated assets for independent passes")
	}
	t.Logf("by date %.3f, taken as independent %.3f", rows[0].Rejected, Judge(pooled)[0].Rejected)
}

func TestJudgeCounts(t *testing.T) {
	test := func(mean, p float64) []Gain { return []Gain{{"x", score.Test{Mean: mean, P: p}}} }
	markets := [][]Gain{test(.1, .04), test(.3, .001), test(.2, .05), test(-.1, .01), test(-.1, .5), test(.2, math.NaN())}
	r := Judge(markets)[0]
	if r.Positive != 2 || r.Negative != 1 || math.Abs(r.Gain-.1) > 1e-15 || r.Rejected != .5 {
		t.Errorf("Judge = %+v, want 2 gains, 1 loss, mean .1, half rejected", r)
	}
	// 1 − .975⁶ − 6·.025·.975⁵
	if want := 1 - math.Pow(.975, 6) - 6*.025*math.Pow(.975, 5); math.Abs(r.Chance-want) > 1e-12 {
		t.Errorf("chance of 2 of 6 = %v, want %v", r.Chance, want)
	}
	if err := Check([]Row{r}); err != nil {
		t.Errorf("2 of 6: %v", err)
	}
	// 20·.025³·.975³ + … = 3e-4
	r = Judge([][]Gain{test(.1, .04), test(.1, .01), test(.1, .02), test(0, 1), test(0, 1), test(0, 1)})[0]
	if err := Check([]Row{r}); !errors.Is(err, ErrFalsePositives) {
		t.Errorf("3 of 6: %v, want ErrFalsePositives", err)
	}
}

func TestProcessHasItsMoments(t *testing.T) {
	const n = 50_000
	for name, p := range map[string]Process{
		"Brownian":    {Assets: 2, Candles: n, Seed: 1, Correlation: .5, SigmaLo: .01, SigmaHi: .04},
		"AR(1)":       {Assets: 2, Candles: n, Seed: 1, SigmaLo: .01, SigmaHi: .02, Phi: .2},
		"Student's t": {Assets: 2, Candles: n, Seed: 1, SigmaLo: .01, SigmaHi: .02, Nu: 8},
		"GARCH":       {Assets: 2, Candles: n, Seed: 1, SigmaLo: .01, SigmaHi: .02, Alpha: .05, Beta: .9},
		"zeros":       {Assets: 2, Candles: n, Seed: 1, SigmaLo: .01, SigmaHi: .02, Zeros: .1},
	} {
		series, err := p.Series()
		if err != nil {
			t.Fatal(err)
		}
		var r [2][]float64
		for a, s := range series {
			zeros := 0
			for i := 1; i < n; i++ {
				r[a] = append(r[a], feature.Encode(s.Candles[i-1].Close, s.Candles[i])[feature.LogReturn])
				if s.Candles[i].Close == s.Candles[i-1].Close {
					zeros++
				}
			}
			sigma := p.Sigma(a)
			// Standard errors are about 1/√n for correlations and √(2/n) for
			// variances, a few times that where tails are fat or variances
			// persist: .05 is four of the largest.
			if got, want := product(r[a], r[a])/(sigma*sigma), (1-p.Zeros)/(1-p.Phi*p.Phi); math.Abs(got/want-1) > .05 {
				t.Errorf("%s: variance %v of its own, want %v", name, got, want)
			}
			if got := product(r[a][1:], r[a][:n-2]) / product(r[a], r[a]); math.Abs(got-p.Phi) > .02 {
				t.Errorf("%s: autocorrelation %v, want %v", name, got, p.Phi)
			}
			if got := float64(zeros) / n; math.Abs(got-p.Zeros) > .006 {
				t.Errorf("%s: %v of the candles stand, want %v", name, got, p.Zeros)
			}
		}
		if got := product(r[0], r[1]) / math.Sqrt(product(r[0], r[0])*product(r[1], r[1])); math.Abs(got-p.Correlation) > .02 {
			t.Errorf("%s: correlation %v, want %v", name, got, p.Correlation)
		}
		if p.Alpha > 0 {
			// acf(1) of r² = α(1−αβ−β²)/(1−2αβ−β²) (Bollerslev 1986, section 4).
			a, b := p.Alpha, p.Beta
			want := a * (1 - a*b - b*b) / (1 - 2*a*b - b*b)
			square := make([]float64, n-1)
			for i, x := range r[0] {
				square[i] = x*x - product(r[0], r[0])
			}
			if got := product(square[1:], square[:n-2]) / product(square, square); math.Abs(got-want) > .03 {
				t.Errorf("%s: autocorrelation of squares %v, want %v", name, got, want)
			}
		}
	}
}

// product is the mean of x·y.
func product(x, y []float64) float64 {
	sum := 0.0
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum / float64(len(x))
}

func TestProcessIsAFunctionOfItself(t *testing.T) {
	p := Brownian()
	p.Candles = minCandles
	draw := func(p Process) []*market.Series {
		s, err := p.Series()
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range s {
			for i, c := range one.Candles {
				if !(c.Low > 0 && c.Low <= min(c.Open, c.Close) && c.High >= max(c.Open, c.Close)) {
					t.Fatalf("%s: candle %d is %+v", one.Symbol, i, c)
				}
			}
		}
		return s
	}
	closes := func(s []*market.Series) (x []float64) {
		for _, one := range s {
			for _, c := range one.Candles {
				x = append(x, c.Close)
			}
		}
		return x
	}
	first := closes(draw(p))
	if !reflect.DeepEqual(first, closes(draw(p))) {
		t.Error("two draws differ")
	}
	p.Seed++
	if reflect.DeepEqual(first, closes(draw(p))) {
		t.Error("the seed does not count")
	}
}

func TestConfigValidateReportsEveryFault(t *testing.T) {
	c := Config{Scale: "x", Process: Process{Correlation: 1, Phi: 2, Alpha: 1, Nu: 2, Zeros: 1}}
	err := c.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("Validate() = %v", err)
	}
	inner, ok := joined.Unwrap()[0].(interface{ Unwrap() []error })
	// Of the config markets and scale; of the process assets, candles and σ too.
	if !ok || len(joined.Unwrap()) != 3 || len(inner.Unwrap()) != 8 {
		t.Errorf("Validate() = %v, want 2 faults beside 8 of the process", err)
	}
	if err := Defaults().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}
