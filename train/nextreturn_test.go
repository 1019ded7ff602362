package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
)

// mixture is a small world whose model reads candles and gives the density of
// the next return. Its market has no scale, so that there is something to learn.
func mixture(t *testing.T) (*checkpoint.Bundle, []*market.Series, []*dataset.Stream) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 3, 400
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Hidden, vq.MinSteps, vq.Refine = 16, 8, 60, 10
	b, err := Prepare(context.Background(), m.Series, Preparation{
		Scaler: feature.Global, VQ: vq,
		Inputs: dataset.Inputs{Candle: true, Volatility: true, Calendar: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := Encode(b, m.Series)
	if err != nil {
		t.Fatal(err)
	}
	err = NewModel(b, m.Series, gpt.Config{
		SeqLen: 24, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000,
		Embed: gpt.None, Outputs: b.Emission.Mixture().Outputs(),
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b, m.Series, streams
}

func mixtureRecipe() Recipe {
	r := recipes()[0]
	r.Epochs, r.LR, r.Dropout = 6, 5e-3, 0
	return r
}

func TestPretrainOfReturnsLowersTheLoss(t *testing.T) {
	b, _, streams := mixture(t)
	out := filepath.Join(t.TempDir(), "mixture.pt")
	var losses []float64
	_, err := Run(context.Background(), Job{Recipe: mixtureRecipe(), Start: b, Streams: streams, Out: out, Observe: func(e Event) {
		if e.Kind == EventStep {
			losses = append(losses, e.Measures["loss"])
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	next, err := checkpoint.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	step := next.Lineage[0]
	// A scale that follows volatility gains .1 nats here. Half of that is no
	// accident of where it started.
	if step.Metric != "nats" || !(step.After < step.Before-.05) {
		t.Errorf("validation %s %v → %v, want at least .05 less", step.Metric, step.Before, step.After)
	}
	t.Logf("validation %v → %v", step.Before, step.After)
	n := len(losses) / 6
	if first, last := average(losses[:n]), average(losses[len(losses)-n:]); !(last < first-.05) {
		t.Errorf("loss %v in the first epoch, %v in the last", first, last)
	}

	// The validation is that of the law of every target, as predict gives it,
	// and the start is the density that the outputs 0 stand for.
	stage, err := newStage(mixtureRecipe(), mustCodec(t, b), streams, b.Model)
	if err != nil {
		t.Fatal(err)
	}
	measures, err := stage.Validate(context.Background(), b.Model.Runner(gpt.F32))
	if err != nil {
		t.Fatal(err)
	}
	head, want, count := b.Emission.Mixture(), 0.0, 0.0
	for _, s := range streams {
		lo, hi := s.Bounds(dataset.Val)
		for k := lo; k < hi; k++ {
			want -= head.At(make([]float32, head.Outputs()), 0, 1).LogPDF(float64(s.Returns[k]))
			count++
		}
	}
	if want /= count; math.Abs(measures["nats"]-want) > 1e-12*count || measures["nats"] != step.Before {
		t.Errorf("validation of a fresh model is %v, want %v; the run began with %v", measures["nats"], want, step.Before)
	}
}

func average(x []float64) (mean float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	return mean
}

func mustCodec(t *testing.T, b *checkpoint.Bundle) dataset.Codec {
	t.Helper()
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

// Changing a candle changes no law of it or of what came before it.
func TestLawsOfReturnsDoNotKnowLaterCandles(t *testing.T) {
	b, series, streams := mixture(t)
	for i := range b.Model.Params { // every weight counts
		b.Model.Params[i] += float32(0.2 * math.Sin(float64(i)))
	}
	outputs := func() []predict.Output {
		s, err := Encode(b, series)
		if err != nil {
			t.Fatal(err)
		}
		all, err := predict.Outputs(context.Background(), b.Runner(), s, dataset.EvalWindows(s, dataset.Val, b.Model.SeqLen))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := outputs()
	lo, hi := streams[1].Bounds(dataset.Val)
	changed := (lo + hi) / 2 // a token; its candle is one further
	c := &series[1].Candles[changed+1]
	c.Close, c.High = c.Close*1.07, c.High*1.1
	later := 0
	for i, o := range outputs() {
		same := slices.Equal(o.Values, before[i].Values)
		if o.Stream != 1 || o.Index <= changed {
			if !same {
				t.Errorf("the law of candle %d of stream %d changed with candle %d of stream 1", o.Index, o.Stream, changed)
			}
		} else if !same {
			later++
		}
	}
	if want := hi - changed - 1; later != want {
		t.Errorf("%d laws changed after the candle, want all %d", later, want)
	}
}

func TestReturnsResumeToTheBitsOfAnUnbrokenRun(t *testing.T) {
	b, _, streams := mixture(t)
	dir := t.TempDir()
	r := mixtureRecipe()
	r.Average, r.Dropout = .9, .2
	job := Job{Recipe: r, Start: b, Streams: streams, Out: filepath.Join(dir, "whole")}
	whole, err := Run(context.Background(), job)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	job.Out = filepath.Join(dir, "broken")
	events := 0
	job.Observe = func(Event) {
		if events++; events == 20 {
			cancel()
		}
	}
	if _, err := Run(ctx, job); !errors.Is(err, context.Canceled) {
		t.Fatalf("a run that is stopped: %v", err)
	}
	job.Observe = nil
	p, err := OpenPending(job.Out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Continue(context.Background(), p, job)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Model.Params, whole.Model.Params) {
		t.Error("the weights differ from those of the unbroken run")
	}
}

func TestModelsWithoutLogitsAreRefused(t *testing.T) {
	b, _, streams := mixture(t)
	codec := mustCodec(t, b)
	for _, r := range recipes()[2:] { // SFT and RL
		out := filepath.Join(t.TempDir(), "x")
		if _, err := Run(context.Background(), Job{Recipe: r, Start: b, Streams: streams, Out: out}); !errors.Is(err, gpt.ErrNoLogits) {
			t.Errorf("%s: %v, want ErrNoLogits", r.Stage, err)
		}
	}
	bare := *streams[0]
	bare.Returns = nil
	if _, err := newStage(mixtureRecipe(), codec, []*dataset.Stream{&bare}, b.Model); !errors.Is(err, ErrNoCandles) {
		t.Errorf("bare tokens: %v, want ErrNoCandles", err)
	}
	codec.Emission = nil
	if _, err := newStage(mixtureRecipe(), codec, streams, b.Model); !errors.Is(err, predict.ErrNoEmission) {
		t.Errorf("without the law to start around: %v, want ErrNoEmission", err)
	}
}
