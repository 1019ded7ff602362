package eval

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// flat is a model with all weights zero: every token is as likely as any other.
func flat(t testing.TB, V int) *gpt.Model {
	t.Helper()
	m, err := gpt.Allocate(gpt.Config{Vocab: V, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func row(t testing.TB, table *Table, name string) Row {
	t.Helper()
	for _, r := range table.Rows {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no row %q in %+v", name, table.Rows)
	return Row{}
}

// trained says that a bundle was fitted on the training part of streams and
// chosen on their validation part.
func trained(b *checkpoint.Bundle, streams []*dataset.Stream) {
	fit, selected := train.Seen(checkpoint.Weights, train.Pretrain, streams)
	b.Fit, b.Selected = append(b.Fit, fit...), append(b.Selected, selected...)
}

// A token is followed by its successor with probability p and else by any, so
// that all tokens are equally frequent and only the one before says anything.
func TestBigramFindsPlantedStructure(t *testing.T) {
	const V, n, p = 8, 40_000, 0.6
	r := rng.New(1)
	s := &dataset.Stream{Asset: "tokens", Tokens: make([]int32, n), ValFrom: n * 8 / 10, TestFrom: n}
	for i := 1; i < n; i++ {
		if s.Tokens[i] = int32(r.IntN(V)); r.Float64() < p {
			s.Tokens[i] = (s.Tokens[i-1] + 1) % V
		}
	}
	streams := []*dataset.Stream{s}
	follow, other := p+(1-p)/V, (1-p)/V
	entropy := -follow*math.Log(follow) - (V-1)*other*math.Log(other)
	truth := func(probs []float64, _, i int) {
		for k := range probs {
			probs[k] = other
		}
		probs[(s.Tokens[i-1]+1)%V] = follow
	}
	b := &checkpoint.Bundle{Model: flat(t, V)}
	trained(b, streams)
	table, err := Tokens(t.Context(), []Named{{"flat", b}}, streams, dataset.Val, 0, truth)
	if err != nil {
		t.Fatal(err)
	}

	uniform, unigram, bigram, known := row(t, table, "uniform"), row(t, table, "unigram"), row(t, table, "bigram"), row(t, table, "truth")
	if math.Abs(uniform.Nats-math.Log(V)) > 1e-12 || math.Abs(uniform.Perplexity-V) > 1e-9 || math.Abs(uniform.Bits-3) > 1e-12 {
		t.Errorf("uniform: %+v, want %v nats, 3 bits, perplexity 8", uniform, math.Log(V))
	}
	// V/2n of counting and as much from the unequal frequencies of a part.
	if math.Abs(unigram.Nats-math.Log(V)) > 2e-3 {
		t.Errorf("unigram: %v nats, want about %v", unigram.Nats, math.Log(V))
	}
	// .013 nats is the standard error of the mean over 8000 targets; on the
	// same targets the bigram misses the truth only by its counts, V²/2n =
	// .001, and by its weight, which stops at .9: .006.
	if math.Abs(known.Nats-entropy) > 0.04 {
		t.Errorf("truth: %v nats, want %v", known.Nats, entropy)
	}
	if d := bigram.Nats - known.Nats; d < 0 || d > 0.015 {
		t.Errorf("bigram: %v nats, want those of the truth, %v, and little more", bigram.Nats, known.Nats)
	}
	if gap, want := unigram.Nats-bigram.Nats, math.Log(V)-entropy; math.Abs(gap-want) > 0.05 {
		t.Errorf("the bigram gains %v nats, want %v", gap, want)
	}
	if math.Abs(known.Top1-follow) > 0.02 || bigram.Top1 != known.Top1 {
		t.Errorf("top-1 of truth and bigram: %v, %v, want about %v", known.Top1, bigram.Top1, follow)
	}
}

func TestAllRowsAreScoredOnTheSameTargets(t *testing.T) {
	const V = 8
	r := rng.New(2)
	var streams []*dataset.Stream
	want := 0
	for _, c := range []struct{ n, val, test int }{{100, 50, 80}, {40, 0, 1}, {30, 0, 20}, {20, 20, 20}, {3, 1, 2}, {200, 199, 200}} {
		s := &dataset.Stream{Asset: string(rune('A' + len(streams))), Tokens: make([]int32, c.n), ValFrom: c.val, TestFrom: c.test}
		for i := range s.Tokens {
			s.Tokens[i] = int32(r.IntN(V))
		}
		streams = append(streams, s)
		want += max(0, c.test-max(c.val, 1)) // token 0 has none before it
	}
	b := &checkpoint.Bundle{Model: flat(t, V), Fit: []checkpoint.Range{{Part: checkpoint.Weights, Hash: dataset.Hash(streams)}}}
	for _, seqLen := range []int{0, 1, 2, 7, 16} {
		seen := map[[2]int]int{}
		truth := func(probs []float64, s, i int) {
			seen[[2]int{s, i}]++
			for k := range probs {
				probs[k] = 1. / V
			}
		}
		table, err := Tokens(t.Context(), []Named{{"flat", b}}, streams, dataset.Val, seqLen, truth)
		if err != nil {
			t.Fatal(err)
		}
		if table.Targets != want || len(seen) != want || table.Part != "val" {
			t.Errorf("seq_len %d: %d targets, %d asked of the truth, want %d", seqLen, table.Targets, len(seen), want)
		}
		for at, times := range seen {
			if times != 1 {
				t.Errorf("seq_len %d: target %v is scored %d times", seqLen, at, times)
			}
		}
		// Which of the tokens come is all that tells flat rows apart: on
		// the same targets they agree.
		uniform := row(t, table, "uniform")
		for _, name := range []string{"flat", "truth"} {
			if got := row(t, table, name); got.Top1 != uniform.Top1 || got.Top5 != uniform.Top5 || math.Abs(got.Nats-uniform.Nats) > 1e-6 {
				t.Errorf("seq_len %d: %+v, want the scores of %+v", seqLen, got, uniform)
			}
		}
		sum := 0
		for _, a := range table.Assets {
			sum += a.Targets
		}
		if sum != want {
			t.Errorf("the assets have %d targets, want %d", sum, want)
		}
	}
}

// world is a small market with the bundle that a training run would have left.
func world(t testing.TB, kind string, candles int) (*market.Synthetic, *checkpoint.Bundle, []*dataset.Stream) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, candles
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	b, streams := prepare(t, kind, m.Series, dataset.Split{})
	b.Model = flat(t, 16)
	trained(b, streams)
	return m, b, streams
}

func prepare(t testing.TB, kind string, series []*market.Series, split dataset.Split) (*checkpoint.Bundle, []*dataset.Stream) {
	t.Helper()
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Hidden, vq.MinSteps, vq.Refine = 16, 8, 40, 10
	b, err := train.Prepare(t.Context(), series, train.Preparation{Split: split, Scaler: kind, VQ: vq})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := train.Encode(b, series)
	if err != nil {
		t.Fatal(err)
	}
	return b, streams
}

func TestScoresOnWhatWasSeenAreRefusedOrLabelled(t *testing.T) {
	_, b, streams := world(t, feature.EWMA, 300)
	models := []Named{{"flat", b}}
	if _, err := Tokens(t.Context(), models, streams, dataset.Train, 0, nil); !errors.Is(err, checkpoint.ErrFitted) || !strings.Contains(err.Error(), "flat") {
		t.Errorf("on the training part: %v, want ErrFitted with the model's name", err)
	}
	for part, selected := range map[dataset.Part]bool{dataset.Val: true, dataset.Test: false} {
		table, err := Tokens(t.Context(), models, streams, part, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if table.Selected != selected {
			t.Errorf("%v: selected %v, want %v", part, table.Selected, selected)
		}
	}

	// Each part of a bundle counts, whoever else has seen nothing.
	for _, part := range []string{checkpoint.Scaler, checkpoint.Tokenizer, checkpoint.Weights} {
		late := *b
		late.Fit = []checkpoint.Range{{Part: part, First: streams[0].Times[0], Last: streams[0].Times[streams[0].ValFrom]}}
		if _, err := Tokens(t.Context(), []Named{{"flat", b}, {"late", &late}}, streams, dataset.Val, 0, nil); !errors.Is(err, checkpoint.ErrFitted) || !strings.Contains(err.Error(), "late") {
			t.Errorf("a %s fitted on the first day of validation: %v, want ErrFitted", part, err)
		}
	}
}

func TestUnseenAssetsAreMarked(t *testing.T) {
	m, _, _ := world(t, feature.EWMA, 300)
	young := *m.Series[1]
	young.Candles = young.Candles[250:] // after the start of validation
	series := []*market.Series{m.Series[0], &young}
	b, streams := prepare(t, feature.EWMA, series, dataset.Split{ValFrom: m.Series[0].Candles[240].Time, TestFrom: m.Series[0].Candles[270].Time})
	b.Model = flat(t, 16)
	trained(b, streams)
	table, err := Tokens(t.Context(), []Named{{"flat", b}}, streams, dataset.Val, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Asset{{Name: series[0].Symbol, Targets: 30}, {Name: young.Symbol, Targets: 18, Unseen: true}} // 20 candles, less the first two
	if d := cmp.Diff(want, table.Assets); d != "" {
		t.Errorf("assets:\n%s", d)
	}

	// One model of the table is enough, though its tokenizer knows the asset.
	other := *b
	other.Fit = b.Fit[:2] // scaler and tokenizer
	if table, err = Tokens(t.Context(), []Named{{"flat", b}, {"other", &other}}, streams, dataset.Val, 0, nil); err != nil {
		t.Fatal(err)
	}
	for _, a := range table.Assets {
		if !a.Unseen {
			t.Errorf("%s, which a model was not trained on, is not marked", a.Name)
		}
	}
}

func TestTokensRefusesWhatCannotShareATable(t *testing.T) {
	m, b, streams := world(t, feature.EWMA, 300)
	change := func(f func(*checkpoint.Bundle)) Named {
		c := *b
		f(&c)
		return Named{"other", &c}
	}
	global, _ := prepare(t, feature.Global, m.Series, dataset.Split{})
	nan := flat(t, 16)
	nan.Params[0] = float32(math.NaN())
	stranger := []*dataset.Stream{{Asset: "X", Times: streams[0].Times[:2], Tokens: []int32{1, 16}}}
	for name, c := range map[string]struct {
		models  []Named
		streams []*dataset.Stream
		part    dataset.Part
		seqLen  int
		want    error  // or
		text    string // what the message says
	}{
		"no models":       {nil, streams, dataset.Val, 0, nil, "no model"},
		"no weights":      {[]Named{change(func(b *checkpoint.Bundle) { b.Model = nil })}, streams, dataset.Val, 0, checkpoint.ErrNoModel, ""},
		"vocabularies":    {[]Named{{"flat", b}, change(func(b *checkpoint.Bundle) { b.Model = flat(t, 8) })}, streams, dataset.Val, 0, nil, "8"},
		"tokenizers":      {[]Named{{"flat", b}, change(func(b *checkpoint.Bundle) { b.Tokenizer, b.Scaler = global.Tokenizer, global.Scaler })}, streams, dataset.Val, 0, nil, "different tokenizers"},
		"scalers":         {[]Named{{"flat", b}, change(func(b *checkpoint.Bundle) { s := *b.Scaler; s.Initial *= 2; b.Scaler = &s })}, streams, dataset.Val, 0, nil, "different tokenizers"},
		"foreign tokens":  {[]Named{{"flat", b}}, stranger, dataset.Test, 0, gpt.ErrVocabulary, "X"},
		"a long window":   {[]Named{{"flat", b}}, streams, dataset.Val, 17, gpt.ErrContext, ""},
		"no targets":      {[]Named{{"flat", b}}, streams[:0], dataset.Val, 0, nil, "no candles"},
		"not a number":    {[]Named{change(func(b *checkpoint.Bundle) { b.Model = nan })}, streams, dataset.Val, 0, gpt.ErrNotFinite, "other"},
		"unknown origins": {[]Named{{"flat", b}}, []*dataset.Stream{{Asset: "tokens", Tokens: []int32{1, 2}}}, dataset.Test, 0, checkpoint.ErrFitted, ""},
	} {
		_, err := Tokens(t.Context(), c.models, c.streams, c.part, c.seqLen, nil)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: Tokens = %v, want %v %s", name, err, c.want, c.text)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Tokens(stopped, []Named{{"flat", b}}, streams, dataset.Val, 0, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled evaluation: %v", err)
	}
	if _, err := Tokens(t.Context(), []Named{{"a", b}, {"b", b}}, streams, dataset.Val, 0, nil); err != nil {
		t.Errorf("two models with one tokenizer: %v", err)
	}
}

// Whatever is fitted must not change with candles that come after its dates.
// The same check finds each way to leak that this package guards against.
func TestFittingDoesNotSeeHeldOutCandles(t *testing.T) {
	m, _, _ := world(t, feature.EWMA, 300)
	split := dataset.CalendarSplit(m.Series)
	future := make([]*market.Series, len(m.Series))
	for a, s := range m.Series {
		changed := *s
		changed.Candles = append([]market.Candle(nil), s.Candles...)
		for i := range changed.Candles {
			if c := &changed.Candles[i]; !c.Time.Before(split.ValFrom) {
				c.Open, c.High, c.Close = c.Open*1.5, c.High*3, c.Close*2
			}
		}
		future[a] = &changed
	}
	end := m.Series[0].Candles[299].Time.Add(time.Hour)
	fitTokenizer := func(scaler feature.Scaler, series []*market.Series, split dataset.Split) dataset.Codec {
		vectors, err := train.Vectors(scaler, series, split, dataset.Train)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.FitQuantile(vectors, 16)
		if err != nil {
			t.Fatal(err)
		}
		return dataset.Codec{Scaler: scaler, Tokenizer: tok}
	}
	fitScaler := func(series []*market.Series, before time.Time) feature.Scaler {
		s, err := feature.FitScaler(feature.Global, series, before)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	fixed := fitScaler(m.Series, split.ValFrom)

	for name, c := range map[string]struct {
		fit   func(series []*market.Series) dataset.Codec
		leaks bool
	}{
		"prepare, ewma": {func(series []*market.Series) dataset.Codec {
			b, _ := prepare(t, feature.EWMA, series, split)
			return dataset.Codec{Scaler: *b.Scaler, Tokenizer: b.Tokenizer}
		}, false},
		"prepare, global": {func(series []*market.Series) dataset.Codec {
			b, _ := prepare(t, feature.Global, series, split)
			return dataset.Codec{Scaler: *b.Scaler, Tokenizer: b.Tokenizer}
		}, false},
		"quantiles": {func(series []*market.Series) dataset.Codec {
			return fitTokenizer(fitScaler(series, split.ValFrom), series, split)
		}, false},
		"scaler fitted on all dates": {func(series []*market.Series) dataset.Codec {
			return dataset.Codec{Scaler: fitScaler(series, end), Tokenizer: fitTokenizer(fixed, m.Series, split).Tokenizer}
		}, true},
		"tokenizer fitted on all dates": {func(series []*market.Series) dataset.Codec {
			return fitTokenizer(fixed, series, dataset.Split{ValFrom: end, TestFrom: end})
		}, true},
		"split that gives validation to training": {func(series []*market.Series) dataset.Codec {
			return fitTokenizer(fitScaler(series, split.TestFrom), series, dataset.Split{ValFrom: split.TestFrom, TestFrom: end})
		}, true},
	} {
		changed := 0
		before, after := c.fit(m.Series), c.fit(future)
		for a := range m.Series {
			x, err := before.Encode(m.Series[a])
			if err != nil {
				t.Fatal(err)
			}
			y, err := after.Encode(future[a])
			if err != nil {
				t.Fatal(err)
			}
			split.Apply(x)
			for i := range x.ValFrom {
				if x.Tokens[i] != y.Tokens[i] || x.States[i] != y.States[i] {
					changed++
				}
			}
		}
		if leaks := changed > 0; leaks != c.leaks {
			t.Errorf("%s: later candles change %d earlier tokens, leaks: want %v", name, changed, c.leaks)
		}
	}
	if d := cmp.Diff(split, dataset.CalendarSplit(future)); d != "" {
		t.Errorf("the split depends on prices:\n%s", d)
	}
}

func TestRowsOfATable(t *testing.T) {
	got := newRow("x", predict.Mean{Count: 10, Nats: math.Ln2 * 3, Top1: .25, Top5: .5})
	if got.Name != "x" || math.Abs(got.Bits-3) > 1e-12 || math.Abs(got.Perplexity-8) > 1e-12 || got.Top1 != .25 || got.Top5 != .5 {
		t.Errorf("newRow = %+v, want 3 bits and perplexity 8", got)
	}
}
