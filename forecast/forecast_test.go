package forecast

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// small is an untrained model and the series that its tokenizer was fitted on.
func small(t testing.TB) (*checkpoint.Bundle, *market.Series) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 1, 300
	world, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Hidden, vq.MinSteps, vq.Refine = 16, 8, 30, 10
	b, err := train.Prepare(t.Context(), world.Series, train.Preparation{Scaler: feature.EWMA, VQ: vq})
	if err != nil {
		t.Fatal(err)
	}
	b.Model, err = gpt.New(gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b, world.Series[0]
}

func options() Options {
	return Options{Horizon: 20, Samples: 50, Sampler: gpt.Sampler{Temperature: 1}, Seed: 1}
}

func TestForecastContinuesTheSeries(t *testing.T) {
	b, series := small(t)
	f, err := New(t.Context(), b, series, options())
	if err != nil {
		t.Fatal(err)
	}
	last := series.Candles[len(series.Candles)-1]
	if f.Asset != series.Symbol || !f.From.Equal(last.Time) || f.LastClose != last.Close || len(f.Times) != 20 || len(f.Paths) != 50 {
		t.Fatalf("%s from %v at %v, %d times, %d paths", f.Asset, f.From, f.LastClose, len(f.Times), len(f.Paths))
	}
	for i, p := range f.Paths {
		if len(p.Candles) != 20 {
			t.Fatalf("path %d has %d candles", i, len(p.Candles))
		}
		for h, c := range p.Candles {
			if !c.Time.Equal(f.Times[h]) {
				t.Fatalf("path %d, step %d is at %v, want %v", i, h, c.Time, f.Times[h])
			}
		}
	}
	for i, at := range f.Times {
		if day := at.Weekday(); day == time.Saturday || day == time.Sunday || i > 0 && !at.After(f.Times[i-1]) || !at.After(f.From) {
			t.Errorf("candle %d of a weekday series comes on %v", i, at.Format("Mon 2006-01-02"))
		}
	}

	levels := []float64{0, .05, .25, .5, .75, .95, 1}
	again, err := New(t.Context(), b, series, options())
	if err != nil {
		t.Fatal(err)
	}
	twice := again.Steps(levels)
	for h, s := range f.Steps(levels) {
		if s.Step != h+1 || !s.Time.Equal(f.Times[h]) || len(s.Quantiles) != len(levels) {
			t.Fatalf("step %d: %+v", h, s)
		}
		if !slices.IsSorted(s.Quantiles) || s.Quantiles[0] <= 0 || s.Mean < s.Quantiles[0] || s.Mean > s.Quantiles[6] {
			t.Errorf("step %d: quantiles %v, mean %v", h, s.Quantiles, s.Mean)
		}
		if s.PUp < 0 || s.PUp > 1 {
			t.Errorf("step %d: P(up) = %v", h, s.PUp)
		}
		if !slices.Equal(s.Quantiles, twice[h].Quantiles) {
			t.Errorf("step %d: the same seed gives other quantiles", h)
		}
	}
	if v := f.Volatility(); !(v > 0 && v < 1) {
		t.Errorf("volatility %v", v)
	}
}

func TestContextBoundsWhatTheModelSees(t *testing.T) {
	b, series := small(t)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Context = 3
	f, err := New(t.Context(), b, series, o)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	n := len(stream.Tokens)
	want, err := b.Runner().Generate(t.Context(), gpt.Prompt{Tokens: stream.Tokens[n-3:]}, gpt.Generation{Paths: 50, Steps: 20, Sampler: o.Sampler, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range f.Paths {
		if !slices.Equal(p.Tokens, want[i]) {
			t.Fatalf("path %d does not continue the last 3 tokens", i)
		}
	}
}

func TestStepsOfGivenPaths(t *testing.T) {
	at := time.Date(2024, 5, 3, 0, 0, 0, 0, time.UTC)
	f := &Forecast{LastClose: 100, Times: []time.Time{at, at.AddDate(0, 0, 1)}}
	for _, closes := range [][2]float64{{110, 90}, {100, 100}, {90, 120}, {120, 80}} {
		f.Paths = append(f.Paths, predict.Path{Candles: []market.Candle{{Close: closes[0]}, {Close: closes[1]}}})
	}
	got := f.Steps([]float64{0, 0.5, 1})
	want := []Step{
		{Step: 1, Time: at, Quantiles: []float64{90, 105, 120}, Mean: 105, PUp: 0.625}, // a tie counts half
		{Step: 2, Time: f.Times[1], Quantiles: []float64{80, 95, 120}, Mean: 97.5, PUp: 0.375},
	}
	for h := range want {
		g, w := got[h], want[h]
		if g.Step != w.Step || !g.Time.Equal(w.Time) || !slices.Equal(g.Quantiles, w.Quantiles) || g.Mean != w.Mean || g.PUp != w.PUp {
			t.Errorf("step %d: %+v, want %+v", h+1, g, w)
		}
	}

	sum, squares := 0.0, 0.0
	for _, c := range []float64{.9, 1, 1.2, .8} {
		sum, squares = sum+math.Log(c), squares+math.Log(c)*math.Log(c)
	}
	if got, want := f.Volatility(), math.Sqrt(squares/4-sum*sum/16); math.Abs(got-want) > 1e-12 {
		t.Errorf("volatility %v, want %v", got, want)
	}
}

// A share that is summed up in thirds or sevenths may end above 1.
func TestAllPathsUpIsCertainty(t *testing.T) {
	f := &Forecast{LastClose: 1, Times: make([]time.Time, 1)}
	for range 300 {
		f.Paths = append(f.Paths, predict.Path{Candles: []market.Candle{{Close: 2}}})
		if s := f.Steps(nil)[0]; s.PUp != 1 || s.Mean != 2 {
			t.Fatalf("%d paths: P(up) %v, mean %v", len(f.Paths), s.PUp, s.Mean)
		}
	}
}

func TestForecastErrors(t *testing.T) {
	b, series := small(t)
	without := func(change func(*checkpoint.Bundle)) *checkpoint.Bundle {
		c := *b
		change(&c)
		return &c
	}
	with := func(change func(*Options)) Options {
		o := options()
		change(&o)
		return o
	}
	hourly, short := *series, *series
	hourly.Interval = market.Hour
	short.Candles = series.Candles[:1]
	for name, c := range map[string]struct {
		b      *checkpoint.Bundle
		series *market.Series
		o      Options
		want   error  // or
		text   string // what the message says
	}{
		"no model":            {without(func(b *checkpoint.Bundle) { b.Model = nil }), series, options(), checkpoint.ErrNoModel, ""},
		"no tokenizer":        {without(func(b *checkpoint.Bundle) { b.Tokenizer = nil }), series, options(), checkpoint.ErrNoTokenizer, ""},
		"no scaler":           {without(func(b *checkpoint.Bundle) { b.Scaler = nil }), series, options(), checkpoint.ErrNoTokenizer, ""},
		"one candle":          {b, &short, options(), dataset.ErrTooShort, ""},
		"other interval":      {b, &hourly, options(), nil, "1h"},
		"horizon 0":           {b, series, with(func(o *Options) { o.Horizon = 0 }), nil, "horizon 0"},
		"negative horizon":    {b, series, with(func(o *Options) { o.Horizon = -3 }), nil, "horizon -3"},
		"endless horizon":     {b, series, with(func(o *Options) { o.Horizon = 1 << 40 }), nil, "horizon"},
		"no samples":          {b, series, with(func(o *Options) { o.Samples = 0 }), nil, "samples 0"},
		"more than fits":      {b, series, with(func(o *Options) { o.Samples, o.Horizon = 1_000_000, 10_000 }), nil, "in all"},
		"negative context":    {b, series, with(func(o *Options) { o.Context = -1 }), nil, "context -1"},
		"bad temperature":     {b, series, with(func(o *Options) { o.Sampler.Temperature = math.NaN() }), nil, "temperature"},
		"two faults at once":  {b, series, with(func(o *Options) { o.Horizon, o.Sampler.TopK = 0, -1 }), nil, "top_k -1"},
		"and the first of it": {b, series, with(func(o *Options) { o.Horizon, o.Sampler.TopK = 0, -1 }), nil, "horizon 0"},
	} {
		_, err := New(t.Context(), c.b, c.series, c.o)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: New = %v, want %v %s", name, err, c.want, c.text)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := New(stopped, b, series, options()); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled forecast: %v", err)
	}
	if err := options().Validate(); err != nil {
		t.Errorf("sound options: %v", err)
	}
}
