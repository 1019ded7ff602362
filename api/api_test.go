package api_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/api/apitest"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

func place(model string) api.Place { return api.Place{Model: model, Asset: "SYN-01"} }

func draw(horizon, paths int, temperature float64) api.Drawing {
	return api.Drawing{Horizon: horizon, Paths: paths, Temperature: &temperature}
}

// The temperature that is asked for multiplies the calibrated one, and 1 is that of
// the calibrated model.
func TestTemperatures(t *testing.T) {
	s := apitest.Service(t, apitest.Given(t).Config())
	calibrated := apitest.Given(t).Model("calibrated").Bundle.Calibration.Temperature
	for _, c := range []struct {
		model             string
		temperature, want float64
		intervals         bool
	}{
		{"plain", 1, 1, false},
		{"plain", .5, .5, false},
		{"calibrated", 1, calibrated, true},
		{"calibrated", .5, .5 * calibrated, false},
		{"calibrated", 0, 0, false},
	} {
		f, err := s.Forecast(t.Context(), api.ForecastRequest{Place: place(c.model), Drawing: draw(3, 20, c.temperature)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Identity.Config; got.Temperature != c.want || got.Sampler.Temperature != c.temperature || f.Calibrated != c.intervals || (f.Steps[0].Intervals != nil) != c.intervals {
			t.Errorf("%s at %v: %+v, calibrated %v, want logits at %v", c.model, c.temperature, got, f.Calibrated, c.want)
		}
		if warned := slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.Contains(w, "calibrated") }); warned == c.intervals {
			t.Errorf("%s at %v: %q", c.model, c.temperature, f.Warnings)
		}
	}
}

func TestVolatilities(t *testing.T) {
	w := apitest.Given(t)
	s := apitest.Service(t, w.Config())
	ask := func(asOf string) *api.Forecast {
		t.Helper()
		at := place("")
		at.AsOf = asOf
		f, err := s.Forecast(t.Context(), api.ForecastRequest{Place: at, Drawing: draw(4, 50, 1)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := ask("")
	c := w.Asset("SYN-01").Candles
	sum, inYear := 0.0, 0
	for i := len(c) - 4; i < len(c); i++ {
		sum += math.Pow(math.Log(c[i].Close/c[i-1].Close), 2)
	}
	for _, k := range c {
		if k.Time.After(c[len(c)-1].Time.AddDate(0, 0, -365)) {
			inYear++
		}
	}
	if math.Abs(f.PerCandle-f.Volatility/2) > 1e-12 || math.Abs(*f.Past-math.Sqrt(sum)) > 1e-12 || math.Abs(*f.PerYear-f.PerCandle*math.Sqrt(float64(inYear))) > 1e-12 {
		t.Errorf("%v of %v, a year %v, past %v", f.PerCandle, f.Volatility, *f.PerYear, *f.Past)
	}
	if f := ask(c[3].Time.Format(time.DateOnly)); f.Past != nil || f.PerYear != nil {
		t.Errorf("of four candles: past %v, a year %v", f.Past, f.PerYear)
	}
}

func TestEntropyIsThatOfAllTokens(t *testing.T) {
	s := apitest.Service(t, apitest.Given(t).Config())
	all, err := s.Explain(t.Context(), api.ExplainRequest{Place: place(""), Count: 16})
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, k := range all.Tokens {
		want -= k.Probability * math.Log(k.Probability)
	}
	some, err := s.Explain(t.Context(), api.ExplainRequest{Place: place(""), Count: 2})
	if err != nil || math.Abs(some.Entropy-want) > 1e-9 || len(some.Tokens) != 2 {
		t.Errorf("%v, %v, want %v", some, err, want)
	}
}

func TestModelsShowTheirCalibration(t *testing.T) {
	b := apitest.Given(t).Model("calibrated").Bundle
	list := apitest.Service(t, apitest.Given(t).Config()).Models().Models
	if m := list[0]; m.Calibration != nil || m.CalibratedOn != nil {
		t.Errorf("%s: %v", m.Name, m.Calibration)
	}
	if m := list[1]; m.Calibration != b.Calibration || !m.CalibratedOn.First.Equal(b.CalibratedOn().First) {
		t.Errorf("%s: %v on %v", m.Name, m.Calibration, m.CalibratedOn)
	}
}

func TestAssetsAsOf(t *testing.T) {
	w := apitest.Given(t)
	s := apitest.Service(t, w.Config())
	at := w.Series[0].Candles[9].Time
	list, err := s.Assets(t.Context(), &api.AssetQuery{AsOf: at.Format(time.DateOnly)})
	if err != nil {
		t.Fatal(err)
	}
	if a := list.Assets[0]; len(list.Assets) != 3 || a.Candles != 10 || !a.Last.Equal(at) || a.Close != w.Series[0].Candles[9].Close {
		t.Errorf("%+v", list)
	}
	if list, err = s.Assets(t.Context(), &api.AssetQuery{AsOf: "1990-01-01"}); err != nil || len(list.Assets) != 0 || len(list.Later) != 3 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestDrawnCandlesAreCounted(t *testing.T) {
	c, drawn := apitest.Given(t).Config(), 0
	c.Drawn = func(candles int) { drawn += candles }
	s := apitest.Service(t, c)
	seen := 0
	_, err := s.Forecast(t.Context(), api.ForecastRequest{Place: place(""), Drawing: draw(3, 50, 1)}, func(p api.Progress) error {
		seen++
		return nil
	})
	if err != nil || drawn != 150 || seen != 2 {
		t.Errorf("%d candles in %d chunks, %v", drawn, seen, err)
	}
	stop := errors.New("stop")
	if _, err := s.Forecast(t.Context(), api.ForecastRequest{Place: place(""), Drawing: draw(3, 50, 1)}, func(api.Progress) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// Whoever asks is held to the bounds in the tags, and to the limits.
func TestErrorsSayWhoseTheyAre(t *testing.T) {
	s := apitest.Service(t, apitest.Given(t).Config())
	forecast := func(p api.Place, d api.Drawing) error {
		_, err := s.Forecast(t.Context(), api.ForecastRequest{Place: p, Drawing: d}, nil)
		return err
	}
	scenario := func(returns []float64) error {
		_, err := s.Scenario(t.Context(), api.ScenarioRequest{Place: place(""), Drawing: draw(5, 4, 1), Returns: returns})
		return err
	}
	explain := func(count int) error {
		_, err := s.Explain(t.Context(), api.ExplainRequest{Place: place(""), Count: count})
		return err
	}
	candles := func(limit int) error {
		_, err := s.Candles(t.Context(), &api.CandleQuery{Asset: "SYN-01", Limit: limit})
		return err
	}
	compare := func(baseline string) error {
		_, err := s.Compare(t.Context(), api.CompareRequest{Place: place(""), Drawing: draw(2, 4, 1), Baseline: baseline})
		return err
	}
	none := -1.
	_, below := s.Probability(t.Context(), api.ProbabilityRequest{Place: place(""), Drawing: draw(2, 4, 1), Above: &none})
	early := forecast(api.Place{Asset: "SYN-01", AsOf: "1990-01-01"}, draw(2, 4, 1))
	for _, c := range []struct {
		err  error
		kind error
		want string
	}{
		{forecast(api.Place{Asset: "NOPE"}, draw(2, 4, 1)), api.ErrUnknown, `no asset "NOPE"`},
		{forecast(place("nope"), draw(2, 4, 1)), api.ErrUnknown, `no model "nope"`},
		{forecast(api.Place{}, draw(2, 4, 1)), api.ErrRefused, "want asset"},
		{forecast(place(strings.Repeat("x", 256)), draw(2, 4, 1)), api.ErrRefused, "model of length 256: want at most 255"},
		{forecast(place(""), draw(0, 4, 1)), api.ErrRefused, "horizon 0: want at least 1"},
		{forecast(place(""), draw(2, 4, 5.5)), api.ErrRefused, "temperature 5.5: want at most 5"},
		{forecast(place(""), draw(2, 4, math.NaN())), api.ErrRefused, "temperature NaN"},
		{forecast(place(""), draw(2, 4, .001)), api.ErrRefused, "at least 0.01"},
		{forecast(place(""), draw(401, 4, 1)), api.ErrRefused, "horizon 401: want at most 400"},
		{forecast(place(""), draw(2, 4097, 1)), api.ErrRefused, "paths 4097: want at most 4096"},
		{forecast(place(""), draw(400, 4096, 1)), api.ErrRefused, "want at most 262144 candles in all"},
		{early, api.ErrRefused, "SYN-01 has 0 candles until 1990-01-01, too early: they begin on 2005-"},
		{early, api.ErrTooEarly, ""},
		{scenario(make([]float64, 1001)), api.ErrRefused, "returns of length 1001: want at most 1000"},
		{scenario(make([]float64, 6)), api.ErrRefused, "6 candles given of a horizon of 5"},
		{explain(101), api.ErrRefused, "count 101: want at most 100"},
		{candles(0), api.ErrRefused, "limit 0: want at least 1"},
		{compare("prophet"), api.ErrUnknown, `no baseline "prophet"`},
		{below, api.ErrRefused, "above -1: want at least 0"},
	} {
		if !errors.Is(c.err, c.kind) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want %v with %q", c.err, c.kind, c.want)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err := s.Compare(stopped, api.CompareRequest{Place: place(""), Drawing: draw(2, 4, 1), Baseline: "GARCH-t"})
	if !errors.Is(err, context.Canceled) || errors.Is(err, api.ErrRefused) {
		t.Errorf("a question that was given up: %v", err)
	}
}

// A date that no candle has reached is that of the newest, and the answer says so.
func TestDatesBeyondTheCandlesAreSaid(t *testing.T) {
	s := apitest.Service(t, apitest.Given(t).Config())
	known, err := s.Known(place(""))
	if err != nil {
		t.Fatal(err)
	}
	next := market.NextTimes(known.Times(), known.Interval, 2)
	last := known.Candles[len(known.Candles)-1].Time
	for asOf, late := range map[time.Time]bool{last: false, next[0]: true, next[1].AddDate(5, 0, 0): true} {
		at := place("")
		at.AsOf = asOf.Format(time.DateOnly)
		about, err := s.At(at)
		if err != nil || !about.From.Equal(last) {
			t.Fatalf("as of %v: %+v, %v", asOf, about, err)
		}
		want := fmt.Sprintf("ends with %s: there is no candle of %s", last.Format(time.DateOnly), asOf.Format(time.DateOnly))
		if said := slices.ContainsFunc(about.Warnings, func(w string) bool { return strings.Contains(w, want) }); said != late {
			t.Errorf("as of %v after %v: %q", asOf, last, about.Warnings)
		}
	}
}

// A forecast from few candles says so.
func TestFewCandlesAreSaid(t *testing.T) {
	w := apitest.Given(t)
	s := apitest.Service(t, w.Config())
	candles := w.Config().Series[0].Candles
	for n, few := range map[int]bool{2: true, 29: true, 30: false} {
		at := place("")
		at.AsOf = candles[n-1].Time.Format(time.DateOnly)
		about, err := s.At(at)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("SYN-01 has %d candles until then", n)
		if said := slices.ContainsFunc(about.Warnings, func(w string) bool { return strings.Contains(w, want) }); said != few {
			t.Errorf("%d candles: %q", n, about.Warnings)
		}
	}
}

// What has no dates may have been this.
func TestWhatMayHaveBeenSeenIsSaid(t *testing.T) {
	for want, r := range map[string]checkpoint.Range{
		"was fitted on what is not known":    {Part: checkpoint.Weights, Stage: "import"},
		"was fitted on tokens without dates": {Part: checkpoint.Weights, Stage: "pretrain", Hash: "x", ToIndex: 9},
	} {
		b := *apitest.Given(t).Model("plain").Bundle
		b.Fit = []checkpoint.Range{r}
		m, err := forecast.NewModel(&b)
		if err != nil {
			t.Fatal(err)
		}
		c := apitest.Given(t).Config()
		c.Models = []api.Model{{Name: "odd", Model: m}}
		about, err := apitest.Service(t, c).At(place(""))
		if err != nil || !about.InFit || len(about.Warnings) != 1 || !strings.Contains(about.Warnings[0], want) {
			t.Errorf("%+v, %v, want %q", about, err, want)
		}
	}
}
