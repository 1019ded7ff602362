package forecast

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

func modelOf(t testing.TB, b *checkpoint.Bundle) *Model {
	t.Helper()
	m, err := NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func originOf(t testing.TB) (*Origin, density.Density) {
	t.Helper()
	b, series, _ := lively(t)
	m, err := NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	at, err := m.At(series)
	if err != nil {
		t.Fatal(err)
	}
	d, err := at.Density(1)
	if err != nil {
		t.Fatal(err)
	}
	return at, d
}

func scenario(t testing.TB, at *Origin, paths, horizon int, seed uint64, given ...float64) *Forecast {
	t.Helper()
	f, err := at.Draw(t.Context(), Options{Horizon: horizon, Samples: paths, Sampler: gpt.Sampler{Temperature: 1}, Seed: seed, Given: given})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGivenReturnsHappen(t *testing.T) {
	at, d := originOf(t)
	given := []float64{-.08, 0, .02}
	f := scenario(t, at, 60, 5, 1, given...)
	for _, p := range f.Paths {
		last := f.LastClose
		for h, r := range given {
			c := p.Candles[h]
			if got := math.Log(c.Close / last); math.Abs(got-r) > 1e-9 {
				t.Fatalf("return %d is %v, %v was given", h+1, got, r)
			}
			if !(0 < c.Low && c.Low <= min(c.Open, c.Close) && max(c.Open, c.Close) <= c.High) {
				t.Fatalf("no candle: %+v", c)
			}
			last = c.Close
		}
	}
	if s := f.Scenario; s.Effective < 1 || s.Effective > 60 || !slices.Equal(s.Given, given) {
		t.Errorf("%+v", s)
	}
	// One return: its density is exact, and no path weighs more than another.
	one := scenario(t, at, 60, 1, 1, -.03)
	if got, want := one.Scenario.Surprise, -d.LogPDF(-.03); math.Abs(got-want) > 1e-5 {
		t.Errorf("surprise %v, want %v", got, want)
	}
	if math.Abs(one.Scenario.Effective-60) > 1e-6 {
		t.Errorf("%v of 60 paths", one.Scenario.Effective)
	}
	if scenario(t, at, 60, 5, 1).Scenario != nil {
		t.Error("a scenario without anything given")
	}
}

// What is drawn without a scenario is what scenarios give on the average over
// the next return. Its density is that of a longer past than paths leave room
// for, so scenarios are weighed by the ratio of the two.
func TestScenariosAverageToTheForecast(t *testing.T) {
	at, d := originOf(t)
	const scenarios, each = 200, 30
	plain := scenario(t, at, scenarios*each, 3, 1)
	var weights, below, square, fourth float64 // of the return after 3 candles
	for i := range scenarios {
		next := d.Quantile((float64(i) + .5) / scenarios)
		f := scenario(t, at, each, 3, uint64(i+2), next)
		weight := math.Exp(-f.Scenario.Surprise - d.LogPDF(next))
		for _, p := range f.Paths {
			r := math.Log(p.Candles[2].Close / f.LastClose)
			if r < -.01 {
				below += weight
			}
			weights += weight
			square += weight * r * r
			fourth += weight * r * r * r * r
		}
	}
	var plainBelow, plainSquare float64
	for _, p := range plain.Paths {
		r := math.Log(p.Candles[2].Close / plain.LastClose)
		if r < -.01 {
			plainBelow++
		}
		plainSquare += r * r
	}
	n := float64(scenarios * each)
	if math.Abs(weights/n-1) > .02 {
		t.Errorf("weights of mean %v", weights/n)
	}
	share, want := below/weights, plainBelow/n
	// Five standard errors of the difference of two samples.
	if d := math.Abs(share - want); d > 5*math.Sqrt(2*want*(1-want)/n) {
		t.Errorf("P(r < −1%%) is %v over scenarios, %v without", share, want)
	}
	if d := math.Abs(square-plainSquare) / n; d > 5*math.Sqrt(2*(fourth/n-(square/n)*(square/n))/n) {
		t.Errorf("mean square %v over scenarios, %v without", square/n, plainSquare/n)
	}
}

// The density of a second return given the first integrates to one.
func TestSurpriseOfTwoReturnsIsADensity(t *testing.T) {
	at, d := originOf(t)
	first := scenario(t, at, 8, 2, 1, -.02).Scenario.Surprise
	lo, hi := d.Quantile(1e-5)*4, d.Quantile(1-1e-5)*4
	const n = 1500
	sum := 0.0
	for i := range n {
		r := lo + (hi-lo)*(float64(i)+.5)/n
		sum += math.Exp(first-scenario(t, at, 8, 2, 1, -.02, r).Scenario.Surprise) * (hi - lo) / n
	}
	// The tails beyond, and the steps of the density at the borders of cells.
	if math.Abs(sum-1) > 5e-3 {
		t.Errorf("the density of the second return integrates to %v", sum)
	}
}

func TestStreamEndsWithTheForecast(t *testing.T) {
	at, _ := originOf(t)
	options := Options{Horizon: 4, Samples: 50, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3, Given: []float64{.01, -.02}}
	want, err := at.Draw(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	at.m.Share(7)
	var sizes []int
	var last *Forecast
	err = at.Stream(t.Context(), options, 16, func(f *Forecast) error {
		sizes, last = append(sizes, len(f.Paths)), f
		return nil
	})
	if err != nil || !slices.Equal(sizes, []int{16, 32, 48, 50}) {
		t.Fatalf("sizes %v, %v", sizes, err)
	}
	if diff := cmp.Diff(want, last, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" {
		t.Error(diff)
	}
	stop := errors.New("enough")
	if err := at.Stream(t.Context(), options, 16, func(*Forecast) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an emit that fails: %v", err)
	}
}

func TestScenarioRefuses(t *testing.T) {
	at, _ := originOf(t)
	for name, o := range map[string]Options{
		"more returns than candles": {Horizon: 1, Samples: 2, Sampler: gpt.Sampler{Temperature: 1}, Given: []float64{0, 0}},
		"no number":                 {Horizon: 2, Samples: 2, Sampler: gpt.Sampler{Temperature: 1}, Given: []float64{math.NaN()}},
		"out of this world":         {Horizon: 2, Samples: 2, Sampler: gpt.Sampler{Temperature: 1}, Given: []float64{1e3}},
	} {
		if _, err := at.Draw(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	bare := *at.m.Bundle
	bare.Emission = nil
	m, err := NewModel(&bare)
	if err != nil {
		t.Fatal(err)
	}
	other, err := m.At(at.Series)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Draw(t.Context(), Options{Horizon: 1, Samples: 2, Sampler: gpt.Sampler{Temperature: 1}, Given: []float64{0}}); !errors.Is(err, predict.ErrNoEmission) {
		t.Errorf("without densities of returns: %v", err)
	}
}

func TestLikeliestAreTheLargest(t *testing.T) {
	at, _ := originOf(t)
	all, err := at.Likeliest(1000)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, c := range all {
		sum += c.Probability
		if i > 0 && c.Probability > all[i-1].Probability {
			t.Errorf("candidate %d has %v, the one before %v", i, c.Probability, all[i-1].Probability)
		}
	}
	if len(all) != 16 || math.Abs(sum-1) > 1e-6 {
		t.Errorf("%d candidates with %v", len(all), sum)
	}
	if three, _ := at.Likeliest(3); !cmp.Equal(three, all[:3], cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })) {
		t.Errorf("three: %+v", three)
	}
}

func TestAnaloguesFindThePlantedStretch(t *testing.T) {
	at, _ := originOf(t)
	c := at.Series.Candles
	window, horizon := 10, 5
	// A past whose candles 40 to 50 move as the newest ones do.
	past := &market.Series{Symbol: "PAST", Interval: at.Series.Interval, Candles: slices.Clone(c[:120])}
	tail := c[len(c)-60:]
	for i := range 60 {
		k := past.Candles[59].Close / tail[0].Close
		moved := tail[i]
		moved.Time = c[60+i].Time
		moved.Open, moved.High, moved.Low, moved.Close = moved.Open*k, moved.High*k, moved.Low*k, moved.Close*k
		past.Candles[60+i] = moved
	}
	past.Candles = append(past.Candles, c[120:140]...)
	before := c[len(c)-1].Time
	found, err := at.Analogues([]*market.Series{past}, before, window, horizon, 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 || !found[0].Window[window-1].Time.Equal(c[119].Time) {
		t.Fatalf("the nearest ends %v, planted up to %v", found[0].Window[window-1].Time, c[119].Time)
	}
	for i, a := range found {
		if i > 0 && a.Distance < found[i-1].Distance {
			t.Errorf("distances %v, %v", found[i-1].Distance, a.Distance)
		}
		if len(a.Window) != window || len(a.Followed) != horizon || len(a.Returns) != horizon || !a.Followed[horizon-1].Time.Before(before) {
			t.Errorf("%d candles, followed by %d", len(a.Window), len(a.Followed))
		}
		if want := math.Log(a.Followed[1].Close / a.Window[window-1].Close); a.Returns[1] != want {
			t.Errorf("return %v, want %v", a.Returns[1], want)
		}
		for _, b := range found[:i] {
			if !a.Window[0].Time.After(b.Window[window-1].Time) && !b.Window[0].Time.After(a.Window[window-1].Time) {
				t.Error("two stretches overlap")
			}
		}
	}
	// What followed the planted stretch is known only later.
	if early, err := at.Analogues([]*market.Series{past}, c[122].Time, window, horizon, 1); err != nil || early[0].Window[window-1].Time.Equal(c[119].Time) {
		t.Errorf("the planted stretch is found before what followed it: %v", err)
	}
	if _, err := at.Analogues([]*market.Series{past}, c[5].Time, window, horizon, 1); !errors.Is(err, ErrNoAnalogues) {
		t.Errorf("without a past: %v", err)
	}
	if _, err := at.Analogues(nil, before, 1, horizon, 1); err == nil {
		t.Error("windows of one candle: no error")
	}
}

func TestModelRefuses(t *testing.T) {
	b, series, _ := lively(t)
	none := *b
	none.Model = nil
	if _, err := NewModel(&none); !errors.Is(err, checkpoint.ErrNoModel) {
		t.Errorf("no model: %v", err)
	}
	m, err := NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	hourly := *series
	hourly.Interval = market.Hour
	if _, err := m.At(&hourly); err == nil {
		t.Error("candles of another interval: no error")
	}
}
