package load

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/server"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// tiny is a server of a model that nobody has trained, with inputs beside tokens.
func tiny(t *testing.T) Config {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 300
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	codes := tokenizer.DefaultVQ()
	codes.Codes = 16
	p := train.Preparation{Scaler: feature.EWMA, Kind: tokenizer.KindQuantile, VQ: codes}
	p.Inputs.Volatility, p.Inputs.Calendar = true, true
	b, err := train.Prepare(t.Context(), m.Series, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := train.NewModel(b, m.Series, gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}, 1); err != nil {
		t.Fatal(err)
	}
	model, err := forecast.NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Server:  server.Config{Models: []api.Model{{Name: "tiny", Model: model}}, Series: m.Series, Limits: server.DefaultLimits()},
		Clients: 200, Time: 300 * time.Millisecond, Paths: 4, Horizon: 3, Leave: .3, Repeats: 1, Seed: 1,
	}
}

func TestACrowdIsMeasured(t *testing.T) {
	c := tiny(t)
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	w := r.Crowd
	if !w.SameBytes || w.Accepted == 0 || !(w.TokensPerSecond > 0) || !(w.P50MS <= w.P95MS && w.P95MS <= w.P99MS) || w.Seconds < .3 {
		t.Errorf("%+v", w)
	}
	if w.GoroutinesAfter > w.GoroutinesBefore {
		t.Errorf("%d goroutines before, %d after", w.GoroutinesBefore, w.GoroutinesAfter)
	}
	if q := r.Quiet; !(0 < q.FirstQuantileMS && q.FirstQuantileMS <= q.DoneMS) || !(q.JSONMS > 0) || q.Paths != 256 {
		t.Errorf("%+v", q)
	}
	if d := r.Decode; d.Prompt != 8 || d.New != 8 || !(d.TokensPerSecond > 0) || d.Ratio != w.TokensPerSecond/d.TokensPerSecond {
		t.Errorf("%+v", d)
	}
}

// Clients wait when they are refused, and a refusal is no answer.
func TestRefusalsAreCounted(t *testing.T) {
	c := tiny(t)
	c.Server.Limits.Concurrent, c.Leave, c.Paths, c.Horizon = 1, 0, 64, 50
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if w := r.Crowd; w.Accepted == 0 || w.Refused == 0 || w.Left != 0 || !w.SameBytes {
		t.Errorf("%+v", w)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	c := tiny(t)
	c.Time = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
}

func TestValidate(t *testing.T) {
	err := Config{Server: server.Config{Limits: server.DefaultLimits()}, Paths: 5000, Horizon: 1, Leave: 1}.Validate()
	for _, want := range []string{"no model", "no asset", "clients 0", "time 0s", "paths 5000", "horizon 1", "share 1", "repeats 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want %q in it", err, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	for p, want := range map[float64]float64{0: 1, .2: 1, .21: 2, .5: 3, .95: 5, 1: 5} {
		if got := quantile(v, p); got != want {
			t.Errorf("quantile(%v, %v) = %v, want %v", v, p, got, want)
		}
	}
}
