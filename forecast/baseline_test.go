package forecast

import (
	"math"
	"reflect"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/market"
)

// Places in the series of [world].
const (
	whole  = iota // asset with 1000 training candles
	second        // the same
	young         // asset with 100 training candles
	unborn        // asset with none
)

// world is a synthetic market, its border and all baselines fitted before it.
// It ends in the fourth calendar year from that of the border on.
var world = sync.OnceValue(func() (w struct {
	series []*market.Series
	before time.Time
	fitted []Baseline
},
) {
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 4, 1600
	m, err := market.NewSynthetic(config)
	if err != nil {
		panic(err)
	}
	w.series = m.Series
	w.before = w.series[whole].Candles[1000].Time
	w.series[young].Candles = w.series[young].Candles[900:]
	w.series[unborn].Candles = w.series[unborn].Candles[1000:]
	if w.fitted, err = FitBaselines(w.series, w.before); err != nil {
		panic(err)
	}
	return w
})

// border is the first candle of a series that is not training.
func border(s *market.Series, before time.Time) int {
	return sort.Search(len(s.Candles), func(t int) bool { return !s.Candles[t].Time.Before(before) })
}

// disturb returns the series with other candles from t on: other closes, other
// ranges, still valid.
func disturb(s *market.Series, t int, factor float64) *market.Series {
	other := *s
	other.Candles = slices.Clone(s.Candles)
	for i := t; i < len(other.Candles); i++ {
		c := &other.Candles[i]
		if (i-t)%3 == 0 {
			c.Open, c.Low, c.Close = c.Open*factor, c.Low*factor, c.Close*factor
			c.High *= factor * 1.01
		}
	}
	return &other
}

func TestNoDensityKnowsItsCandleOrLaterOnes(t *testing.T) {
	w := world()
	rapid.Check(t, func(t *rapid.T) {
		s := w.series[rapid.IntRange(0, len(w.series)-1).Draw(t, "asset")]
		from := rapid.IntRange(1, len(s.Candles)-2).Draw(t, "from")
		other := disturb(s, from, rapid.SampledFrom([]float64{.5, .9, 1.2, 3}).Draw(t, "factor"))
		for _, b := range w.fitted {
			was, is := b.OneStep(s), b.OneStep(other)
			for i := range from + 1 {
				if was[i] != is[i] {
					t.Fatalf("%s: density %d is %v, with other candles from %d on %v", b.Name(), i, was[i], from, is[i])
				}
			}
			constant := slices.Contains([]string{"drift", "unconditional t", "block bootstrap"}, b.Name())
			if same := was[from+1] == is[from+1]; same != constant {
				t.Fatalf("%s: density %d of another candle before it: same %v, want %v", b.Name(), from+1, same, constant)
			}
			if !reflect.DeepEqual(b.Paths(s, from, 3, 2, 1), b.Paths(other, from, 3, 2, 1)) {
				t.Fatalf("%s: paths from candle %d know later ones", b.Name(), from)
			}
		}
	})
}

func TestFitSeesNothingFromTheBorderOn(t *testing.T) {
	w := world()
	change := func(from time.Time) []Baseline {
		var other []*market.Series
		for _, s := range w.series {
			other = append(other, disturb(s, border(s, from), 1.3))
		}
		fitted, err := FitBaselines(other, w.before)
		if err != nil {
			t.Fatal(err)
		}
		return fitted
	}
	for i, b := range change(w.before) {
		for _, s := range w.series {
			was, is := w.fitted[i].OneStep(s), b.OneStep(s)
			end := len(was)
			if b.Name() == "GARCH-t, refitted yearly" {
				end = border(s, time.Date(w.before.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC))
				if was[end] == is[end] {
					t.Errorf("%s: %s: another year before it leaves density %d as it was", b.Name(), s.Symbol, end)
				}
			}
			if !slices.Equal(was[:end], is[:end]) {
				t.Errorf("%s: %s: the fit knows what follows the border", b.Name(), s.Symbol)
			}
		}
	}
	// The law of a year knows nothing of that year.
	year := time.Date(w.before.Year()+2, 1, 1, 0, 0, 0, 0, time.UTC)
	i := slices.Index(BaselineNames(), "GARCH-t, refitted yearly")
	refitted := change(year)[i]
	for _, s := range w.series {
		was, is := w.fitted[i].OneStep(s), refitted.OneStep(s)
		next := border(s, year.AddDate(1, 0, 0))
		if !slices.Equal(was[:next], is[:next]) {
			t.Errorf("%s: %s: the law of %d knows that year", refitted.Name(), s.Symbol, year.Year())
		}
		if was[next] == is[next] {
			t.Errorf("%s: %s: the law after %d does not know that year", refitted.Name(), s.Symbol, year.Year())
		}
	}
}

func TestYearlyRefitIsAFitBeforeThatYear(t *testing.T) {
	w := world()
	fit := func(before time.Time, name string) Baseline {
		list, err := FitBaselines(w.series, before, name)
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	s := w.series[whole]
	yearly := fit(w.before, "GARCH-t, refitted yearly").OneStep(s)
	for year := w.before.Year() + 1; year <= w.before.Year()+2; year++ {
		from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		want := fit(from, "GARCH-t").OneStep(s)
		for i := border(s, from); i < border(s, from.AddDate(1, 0, 0)); i++ {
			a, b := yearly[i].(density.StudentT), want[i].(density.StudentT)
			// Another start of the search: a hundredth of a standard
			// error, as in TestGARCHAgainstFGarch, is less than 1%.
			if math.Abs(a.Scale/b.Scale-1) > .01 || math.Abs(a.Nu/b.Nu-1) > .02 {
				t.Fatalf("%d, candle %d: %+v, fitted before that year %+v", year, i, a, b)
			}
		}
	}
	i := border(s, time.Date(w.before.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC))
	if base := fit(w.before, "GARCH-t").OneStep(s); !slices.Equal(base[:i], yearly[:i]) || base[i] == yearly[i] {
		t.Errorf("the law does not change with candle %d", i)
	}
}

// kolmogorov is the greatest distance between the distribution of x and d.
func kolmogorov(x []float64, d density.Density) float64 {
	x = slices.Sorted(slices.Values(x))
	far := 0.0
	for i, v := range x {
		F := d.CDF(v)
		far = max(far, F-float64(i)/float64(len(x)), float64(i+1)/float64(len(x))-F)
	}
	return far
}

func TestPathsBeginWithTheOneStepLaw(t *testing.T) {
	w := world()
	const paths = 4000
	for _, b := range w.fitted {
		for i, s := range w.series {
			origin := border(s, w.before) + 300
			want := b.OneStep(s)[origin]
			var first []float64
			for _, p := range b.Paths(s, origin, 1, paths, 9) {
				first = append(first, p[0])
			}
			// 1.95/√n is exceeded by one sample in a thousand (Kolmogorov).
			limit := 1.95 / math.Sqrt(paths)
			switch b.Name() {
			case "block bootstrap", "HAR-t":
				// What is drawn is itself a sample: of 1000 candles, or of
				// all assets.
				limit += 1.95 / math.Sqrt(1000)
			}
			if far := kolmogorov(first, want); far > limit {
				t.Errorf("%s: asset %d: first steps are %.4f from their law, want at most %.4f", b.Name(), i, far, limit)
			}
		}
	}
}

func TestPathsAreAFunctionOfTheirArguments(t *testing.T) {
	w := world()
	for _, b := range w.fitted {
		s := w.series[whole]
		long := b.Paths(s, 1200, 12, 20, 4)
		short := b.Paths(s, 1200, 5, 10, 4)
		for i := range short {
			if !slices.Equal(short[i], long[i][:5]) {
				t.Errorf("%s: path %d depends on the horizon or on how many there are", b.Name(), i)
			}
		}
		for name, other := range map[string][][]float64{
			"seed":   b.Paths(s, 1200, 5, 10, 5),
			"origin": b.Paths(s, 1201, 5, 10, 4),
			"asset":  b.Paths(w.series[second], 1200, 5, 10, 4),
		} {
			if reflect.DeepEqual(other, short) {
				t.Errorf("%s: another %s, the same paths", b.Name(), name)
			}
		}
		known := *s
		known.Candles = s.Candles[:1200]
		if !reflect.DeepEqual(b.Paths(&known, 1200, 5, 10, 4), short) {
			t.Errorf("%s: a series that ends at the origin has other paths", b.Name())
		}
	}
}

func TestFitDoesNotDependOnWorkers(t *testing.T) {
	w := world()
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	one, err := FitBaselines(w.series, w.before)
	if err != nil {
		t.Fatal(err)
	}
	parallel.SetWorkers(3)
	many, err := FitBaselines(w.series, w.before)
	if err != nil || !reflect.DeepEqual(one, many) {
		t.Errorf("3 workers fit other laws than one (%v)", err)
	}
}

// The variance of a sum of independent returns is the sum of their variances;
// of GARCH, whose returns are uncorrelated, the sum of the expected h.
func TestPathsOfGARCHHaveTheExpectedVariance(t *testing.T) {
	const horizon, paths = 30, 20_000
	g := garch{Omega: 2e-6, Alpha: .05, Gamma: .06, Beta: .85, Nu: 30}
	h := 4 * g.Omega / (1 - g.persistence())
	b := &fitted{epochs: []epoch{{pooled: g.law(h)}}}
	s := &market.Series{Candles: []market.Candle{{Close: 1}}}
	want := 0.0
	for range horizon {
		want += h
		h = g.Omega + g.persistence()*h
	}
	got := 0.0
	for _, p := range b.Paths(s, 1, horizon, paths, 2) {
		got += p[horizon-1] * p[horizon-1] / paths
	}
	// Four standard errors √(2/n), doubled for the tails.
	if math.Abs(got/want-1) > 8*math.Sqrt(2./paths) {
		t.Errorf("variance over %d steps %v, want %v", horizon, got, want)
	}
}

func TestShortAssetsHaveTheParametersOfAll(t *testing.T) {
	w := world()
	at := func(name string) epoch {
		return w.fitted[slices.Index(BaselineNames(), name)].(*fitted).epochs[0]
	}
	for _, name := range BaselineNames() {
		e := at(name)
		for i, s := range w.series {
			if own := e.laws[s.Symbol].t != e.pooled.t; own != (i == whole || i == second) {
				t.Errorf("%s: asset %d has a law of its own: %v", name, i, own)
			}
		}
		stranger := &market.Series{Symbol: "new", Candles: w.series[unborn].Candles}
		b := w.fitted[slices.Index(BaselineNames(), name)]
		end := len(stranger.Candles)
		if name == "GARCH-t, refitted yearly" { // in the next year it has some
			end = border(stranger, time.Date(w.before.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC))
		}
		if !slices.Equal(b.OneStep(stranger)[:end], b.OneStep(w.series[unborn])[:end]) {
			t.Errorf("%s: an asset that was not there is not like one without training candles", name)
		}
	}

	e := at("GARCH-t")
	law := func(i int) *garchState { return e.laws[w.series[i].Symbol].start.(*garchState) }
	a, b, c := law(whole), law(second), law(young)
	for _, p := range [][3]float64{{a.Mu, b.Mu, c.Mu}, {a.Alpha, b.Alpha, c.Alpha}, {a.Beta, b.Beta, c.Beta}, {a.Nu, b.Nu, c.Nu}} {
		if got, want := p[2], (p[0]+p[1])/2; math.Abs(got-want) > 1e-12 {
			t.Errorf("GARCH-t: short asset has %v, want the mean %v of %v and %v", got, want, p[0], p[1])
		}
	}
	var r []float64
	for i := 1; i < border(w.series[young], w.before); i++ {
		r = append(r, math.Log(w.series[young].Candles[i].Close/w.series[young].Candles[i-1].Close))
	}
	if got, want := c.Omega/(1-c.persistence()), variance(r); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("GARCH-t: long-run variance of a short asset %v, that of its returns is %v", got, want)
	}
}

func TestVolatilitiesInClosedForm(t *testing.T) {
	move := func(r float64) feature.Vector { return feature.Vector{feature.LogReturn: r} }

	w := newWindow(1)
	for range windowCandles / 2 {
		w.observe(move(.03))
		w.observe(move(-.04))
	}
	if got, want := w.scale(), math.Sqrt((.0009+.0016)/2); math.Abs(got-want) > 1e-15 {
		t.Errorf("20-day volatility of ±3%% and 4%% in turn is %v, want %v", got, want)
	}
	w.observe(move(0)) // for the first .03
	if got, want := w.scale(), math.Sqrt((9*.0009+10*.0016)/20); math.Abs(got-want) > 1e-15 {
		t.Errorf("a return later %v, want %v", got, want)
	}
	for range windowCandles {
		w.observe(move(0))
	}
	if w.scale() != leastSigma {
		t.Errorf("20-day volatility of zeros %v, want the floor", w.scale())
	}

	// h − r² shrinks by λ a candle.
	e := newEWMA(.04)
	for range 30 {
		e.observe(move(-.1))
	}
	if got, want := e.scale(), math.Sqrt(.01+math.Pow(.94, 30)*.03); math.Abs(got-want) > 1e-15 {
		t.Errorf("EWMA %v, want %v", got, want)
	}
}

func TestLawsOfConstantVolatility(t *testing.T) {
	w := world()
	s := w.series[whole]
	var r []float64
	for i := burnIn; i < border(s, w.before); i++ {
		r = append(r, math.Log(s.Candles[i].Close/s.Candles[i-1].Close))
	}
	want, err := density.FitStudentT(r)
	if err != nil {
		t.Fatal(err)
	}
	of := func(name string, i int) density.StudentT {
		return w.fitted[slices.Index(BaselineNames(), name)].OneStep(s)[i].(density.StudentT)
	}
	nll := func(d density.StudentT) (sum float64) {
		for _, x := range r {
			sum -= d.LogPDF(x)
		}
		return sum
	}
	got := of("unconditional t", 500)
	// 1e-4 nats in all: both searches stop near the maximum, which is flat.
	if math.Abs(nll(got)-nll(want)) > 1e-4 || math.Abs(got.Scale/want.Scale-1) > 1e-3 {
		t.Errorf("unconditional t %+v, the fit to its returns is %+v", got, want)
	}
	if of("block bootstrap", 500) != got {
		t.Error("block bootstrap has another density than the unconditional t")
	}
	if got := of("random walk", 500); got.Mu != 0 {
		t.Errorf("random walk drifts by %v", got.Mu)
	}
	if got := of("drift", 500).Mu; math.Abs(got-mean(r)) > 1e-12 {
		t.Errorf("drift %v, the mean return is %v", got, mean(r))
	}
}

// A return is σ times one of a law: with σ known, the fit finds the law and no
// other parameters near it are likelier.
func TestFitLawOverAKnownVolatility(t *testing.T) {
	truth := density.StudentT{Mu: 4e-4, Scale: .7, Nu: 5}
	unit := law{t: density.StudentT{Scale: truth.Scale, Nu: truth.Nu}, start: constant{1}}
	path := unit.path(unit.start, 5000, seeded(8))
	var r, sigma []float64
	last := 0.0
	for i, x := range path {
		sigma = append(sigma, .01*math.Exp(math.Sin(float64(i)/50)))
		r = append(r, truth.Mu+sigma[i]*(x-last))
		last = x
	}
	got, err := fitLaw(r, sigma, nil)
	if err != nil {
		t.Fatal(err)
	}
	nll := func(d density.StudentT) (sum float64) {
		for i, x := range r {
			sum -= density.StudentT{Mu: d.Mu, Scale: d.Scale * sigma[i], Nu: d.Nu}.LogPDF(x)
		}
		return sum
	}
	// Twice the gain over the truth is χ² with 3 degrees of freedom: 16.3 is
	// exceeded once in a thousand.
	if gain := 2 * (nll(truth) - nll(got)); gain < 0 || gain > 16.3 {
		t.Errorf("fit %+v gains %v over the truth %+v", got, gain, truth)
	}
	for _, d := range []density.StudentT{
		{Mu: got.Mu + 3e-5, Scale: got.Scale, Nu: got.Nu},
		{Mu: got.Mu - 3e-5, Scale: got.Scale, Nu: got.Nu},
		{Mu: got.Mu, Scale: got.Scale * 1.01, Nu: got.Nu},
		{Mu: got.Mu, Scale: got.Scale / 1.01, Nu: got.Nu},
		{Mu: got.Mu, Scale: got.Scale, Nu: got.Nu * 1.05},
		{Mu: got.Mu, Scale: got.Scale, Nu: got.Nu / 1.05},
	} {
		if nll(d) <= nll(got) {
			t.Errorf("%+v is likelier than the fit %+v", d, got)
		}
	}
	const fixed = .002
	if got, err := fitLaw(r, sigma, func([]float64) float64 { return fixed }); err != nil || got.Mu != fixed {
		t.Errorf("with μ given as %v: %+v, %v", fixed, got, err)
	}
}

// A path of the bootstrap is made of runs of 10 training returns in their order.
func TestBootstrapDrawsBlocks(t *testing.T) {
	w := world()
	s := w.series[whole]
	n := border(s, w.before) - 1
	place := map[float64]int{}
	for i := range n {
		place[math.Log(s.Candles[i+1].Close/s.Candles[i].Close)] = i
	}
	if len(place) != n {
		t.Fatalf("%d different returns of %d", len(place), n)
	}
	l := w.fitted[slices.Index(BaselineNames(), "block bootstrap")].(*fitted).law(0, s.Symbol)
	starts := map[int]bool{}
	for seed := range uint64(200) {
		b, r := l.start.clone().(*blocks), seeded(seed)
		before := 0
		for h := range 30 {
			at, ok := place[b.resample(l.t, r)]
			if !ok {
				t.Fatal("a return that was not in training")
			}
			if h%blockCandles == 0 {
				starts[at] = true
			} else if at != (before+1)%n {
				t.Fatalf("step %d is training return %d after %d", h, at, before)
			}
			before = at
		}
	}
	if len(starts) < 400 {
		t.Errorf("600 blocks have %d different starts", len(starts))
	}
}

func TestFitBaselinesRefuses(t *testing.T) {
	w := world()
	flat := &market.Series{Symbol: "FLAT", Candles: slices.Clone(w.series[whole].Candles)}
	for i := range flat.Candles {
		c := &flat.Candles[i]
		c.Open, c.High, c.Low, c.Close = 5, 5, 5, 5
	}
	first := w.series[whole].Candles[0].Time
	for name, fit := range map[string]func() ([]Baseline, error){
		"an unknown name":      func() ([]Baseline, error) { return FitBaselines(w.series, w.before, "oracle") },
		"no training candle":   func() ([]Baseline, error) { return FitBaselines(w.series, first) },
		"100 training returns": func() ([]Baseline, error) { return FitBaselines(w.series[:1], w.series[0].Candles[101].Time) },
		"prices that rest":     func() ([]Baseline, error) { return FitBaselines([]*market.Series{flat}, w.before) },
		"one of them resting":  func() ([]Baseline, error) { return FitBaselines([]*market.Series{w.series[0], flat}, w.before) },
		"an asset twice":       func() ([]Baseline, error) { return FitBaselines([]*market.Series{w.series[0], w.series[0]}, w.before) },
	} {
		if _, err := fit(); err == nil {
			t.Errorf("FitBaselines takes %s", name)
		}
	}
	for _, name := range BaselineNames() {
		if _, err := FitBaselines(w.series[:1], w.series[0].Candles[101].Time, name); err == nil {
			t.Errorf("%s takes 100 training returns", name)
		}
		b, err := FitBaselines(w.series, w.before, name)
		if err != nil || len(b) != 1 || b[0].Name() != name {
			t.Errorf("FitBaselines(%q) = %v, %v", name, b, err)
		}
	}
}
