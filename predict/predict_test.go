package predict_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// small is a model with random weights, so that every logit counts, and two
// assets in its tokens.
func small(t testing.TB) (*gpt.Model, dataset.Codec, []*dataset.Stream) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 300
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
	streams, err := train.Encode(b, world.Series)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	m, err := gpt.New(gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := rng.New(2)
	for i := range m.Params {
		m.Params[i] += float32(0.3 * r.NormFloat64())
	}
	return m, codec, streams
}

func TestTokensScoresEveryTargetBySoftmax(t *testing.T) {
	m, _, streams := small(t)
	windows := append(dataset.EvalWindows(streams, dataset.Val, m.SeqLen),
		dataset.Window{Stream: 1, Start: 0, Len: 1, From: 1, To: 2}, // shorter than the others
		dataset.Window{Stream: 0, Start: 5, Len: 7, From: 8, To: 10},
		dataset.Window{Stream: 0, Start: 5, Len: 7, From: 2, To: 100}, // more than it holds
		dataset.Window{Stream: 0, Start: 5, Len: 7, From: 20, To: 30}, // none
	)
	got, err := predict.Tokens(t.Context(), m.Runner(gpt.F32), streams, windows)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != dataset.Count(windows) {
		t.Fatalf("%d scores, want %d", len(got), dataset.Count(windows))
	}

	i := 0
	for _, win := range windows {
		tokens := streams[win.Stream].Tokens
		for target := max(win.From, win.Start+1); target < min(win.To, win.Start+win.Len+1); target++ {
			// Alone, up to the target: neither padding nor the rest of the
			// batch may change anything.
			var w gpt.Workspace
			input := tokens[win.Start:target]
			logits := m.Runner(gpt.F32).Forward(&w, gpt.Input{B: 1, T: len(input), Tokens: input})
			row, token := logits[len(logits)-m.Vocab:], tokens[target]
			sum, rank := 0.0, 0
			for k, l := range row {
				sum += math.Exp(float64(l))
				if l > row[token] || l == row[token] && k < int(token) {
					rank++
				}
			}
			entropy := 0.0
			for _, l := range row {
				p := math.Exp(float64(l)) / sum
				entropy -= p * math.Log(p)
			}
			want := predict.Score{Stream: win.Stream, Index: target, Nats: -math.Log(math.Exp(float64(row[token])) / sum), Entropy: entropy, Rank: rank}
			// 1e-5: differences of logits are taken in float32.
			if s := got[i]; s.Stream != want.Stream || s.Index != want.Index || s.Rank != want.Rank || math.Abs(s.Nats-want.Nats) > 1e-5 || math.Abs(s.Entropy-want.Entropy) > 1e-5 {
				t.Fatalf("score %d is %+v, want %+v", i, s, want)
			}
			i++
		}
	}
}

func TestTokensDoesNotDependOnTheBatch(t *testing.T) {
	m, _, streams := small(t)
	windows := dataset.EvalWindows(streams, dataset.Val, m.SeqLen)
	once, err := predict.Tokens(t.Context(), m.Runner(gpt.F32), streams, windows)
	if err != nil {
		t.Fatal(err)
	}
	// 4096 rows are scored at once: these are several batches and a part.
	const times = 50
	many, err := predict.Tokens(t.Context(), m.Runner(gpt.F32), streams, slices.Repeat(windows, times))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(many, slices.Repeat(once, times)) {
		t.Error("the scores of a window depend on the batch that it is in")
	}
}

func TestTiesGoToTheSmallerToken(t *testing.T) {
	_, _, streams := small(t)
	flat, err := gpt.Allocate(gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := predict.Tokens(t.Context(), flat.Runner(gpt.F32), streams, dataset.EvalWindows(streams, dataset.Val, 16))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scores {
		if token := streams[s.Stream].Tokens[s.Index]; s.Rank != int(token) || math.Abs(s.Nats-math.Log(16)) > 1e-6 {
			t.Fatalf("a model that knows nothing gives token %d rank %d and %v nats", token, s.Rank, s.Nats)
		}
	}
}

func TestTokensErrors(t *testing.T) {
	m, _, streams := small(t)
	windows := dataset.EvalWindows(streams, dataset.Val, m.SeqLen)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := predict.Tokens(cancelled, m.Runner(gpt.F32), streams, windows); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	for i, token := range []int32{16, 1 << 20, -1} {
		foreign := []*dataset.Stream{{Asset: "X", Tokens: []int32{1, 2, token}}}
		for _, win := range []dataset.Window{{Len: 2, From: 1, To: 3}, {Len: 2, From: 1, To: 2}} {
			_, err := predict.Tokens(t.Context(), m.Runner(gpt.F32), foreign, []dataset.Window{win})
			if scored := win.To == 3; scored && !errors.Is(err, gpt.ErrVocabulary) || !scored && err != nil {
				t.Errorf("%d: target %d, scored %v: %v", i, token, scored, err)
			}
		}
		foreign[0].Tokens = []int32{1, token, 2}
		if _, err := predict.Tokens(t.Context(), m.Runner(gpt.F32), foreign, []dataset.Window{{Len: 2, From: 1, To: 3}}); !errors.Is(err, gpt.ErrVocabulary) {
			t.Errorf("input %d: %v, want ErrVocabulary", token, err)
		}
	}
	m.Params[len(m.Params)-1] = float32(math.NaN())
	if _, err := predict.Tokens(t.Context(), m.Runner(gpt.F32), streams, windows); !errors.Is(err, gpt.ErrNotFinite) {
		t.Errorf("with a NaN weight: %v, want ErrNotFinite", err)
	}
}

func TestLogSumExp(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		row  []float32
		want float64
	}{
		{[]float32{3}, 3},
		{[]float32{0, 0, 0, 0}, math.Log(4)},
		{[]float32{1, 2, 3}, math.Log(math.E + math.Exp(2) + math.Exp(3))},
		{[]float32{1e4, 1e4}, 1e4 + math.Ln2}, // exp overflows
		{[]float32{-1e4, -1e4}, -1e4 + math.Ln2},
		{[]float32{-3e38, 0}, 0},
		{[]float32{-inf, 5}, 5},
	} {
		if got := predict.LogSumExp(c.row); math.Abs(got-c.want) > 1e-7*max(1, math.Abs(c.want)) {
			t.Errorf("LogSumExp(%v) = %v, want %v", c.row, got, c.want)
		}
	}
	for _, row := range [][]float32{{float32(math.NaN()), 1}, {1, float32(math.NaN())}} {
		if got := predict.LogSumExp(row); !math.IsNaN(got) {
			t.Errorf("LogSumExp(%v) = %v, want NaN", row, got)
		}
	}
}

func TestAverage(t *testing.T) {
	got := predict.Average([]predict.Score{{Nats: 1, Entropy: 2, Rank: 0}, {Nats: 2, Entropy: 1, Rank: 1}, {Nats: 3, Rank: 4}, {Nats: 6, Entropy: 5, Rank: 5}})
	if want := (predict.Mean{Count: 4, Nats: 3, Top1: 0.25, Top5: 0.75, Entropy: 2}); got != want {
		t.Errorf("Average = %+v, want %+v", got, want)
	}
	if got := predict.Average(nil); got != (predict.Mean{}) {
		t.Errorf("Average of nothing = %+v", got)
	}
}

func TestPathsAdvanceTheScaleAlongThemselves(t *testing.T) {
	m, codec, streams := small(t)
	codec.Emission = nil // a token is one candle
	s := streams[0]
	g := gpt.Generation{Paths: 8, Steps: 40, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3} // longer than the context
	for _, origin := range []int{1, 100, len(s.Tokens)} {
		paths, err := predict.Paths(t.Context(), m.Runner(gpt.F32), codec, s, origin, 8, g)
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Runner(gpt.F32).Generate(t.Context(), gpt.Prompt{Tokens: s.Tokens[max(0, origin-8):origin]}, g)
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) != g.Paths {
			t.Fatalf("%d paths, want %d", len(paths), g.Paths)
		}
		for p, path := range paths {
			if !slices.Equal(path.Tokens, want[p]) || len(path.Candles) != g.Steps {
				t.Fatalf("origin %d: path %d is not what the model draws after the 8 tokens before", origin, p)
			}
			state := s.States[origin]
			variance, close := state.Variance, state.PrevClose
			for h, c := range path.Candles {
				v := codec.Tokenizer.Decode(int(path.Tokens[h]))
				sigma := math.Sqrt(max(variance, codec.Scaler.Floor*codec.Scaler.Floor*codec.Scaler.Initial))
				next := close * math.Exp(v[feature.LogReturn]*sigma)
				// 1e-9: forty multiplications.
				if math.Abs(c.Close/next-1) > 1e-9 {
					t.Fatalf("origin %d, path %d, step %d: close %v, want %v", origin, p, h, c.Close, next)
				}
				if !(c.Low > 0 && c.Low <= min(c.Open, c.Close) && c.High >= max(c.Open, c.Close) && !math.IsInf(c.High, 0)) {
					t.Fatalf("origin %d, path %d, step %d: %+v is no candle", origin, p, h, c)
				}
				r := math.Log(next / close)
				variance, close = codec.Scaler.Lambda*variance+(1-codec.Scaler.Lambda)*r*r, next
			}
		}
	}
}

func TestPathsAreAFunctionOfSeedAndNumber(t *testing.T) {
	m, codec, streams := small(t)
	s := streams[0]
	draw := func(change func(*gpt.Generation)) []predict.Path {
		t.Helper()
		g := gpt.Generation{Paths: 6, Steps: 20, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3}
		change(&g)
		paths, err := predict.Paths(t.Context(), m.Runner(gpt.F32), codec, s, 200, m.SeqLen, g)
		if err != nil {
			t.Fatal(err)
		}
		return paths
	}
	tokens := func(paths []predict.Path) (out [][]int32) {
		for _, p := range paths {
			out = append(out, p.Tokens)
		}
		return out
	}
	all := draw(func(*gpt.Generation) {})
	if d := cmp.Diff(tokens(all), tokens(draw(func(*gpt.Generation) {}))); d != "" {
		t.Errorf("the same seed gives other paths:\n%s", d)
	}
	if cmp.Equal(tokens(all), tokens(draw(func(g *gpt.Generation) { g.Seed++ }))) {
		t.Error("another seed gives the same paths")
	}
	for i := range all {
		alone := draw(func(g *gpt.Generation) { g.Paths, g.FirstPath = 1, i })
		if !slices.Equal(alone[0].Tokens, all[i].Tokens) || alone[0].Candles[19].Close != all[i].Candles[19].Close {
			t.Errorf("path %d alone is another", i)
		}
		if i > 0 && slices.Equal(all[i].Tokens, all[0].Tokens) {
			t.Errorf("paths 0 and %d are alike", i)
		}
	}

	// What comes from the origin on is not known before it.
	future := *s
	future.Tokens = slices.Clone(s.Tokens)
	for i := 200; i < len(future.Tokens); i++ {
		future.Tokens[i] = (future.Tokens[i] + 1) % 16
	}
	s = &future
	if !cmp.Equal(tokens(all), tokens(draw(func(*gpt.Generation) {}))) {
		t.Error("the paths know the tokens after their origin")
	}
}

// What goes in with a drawn candle is what a stream of the same candles has.
func TestPathsFeedTheInputsOfTheirCandles(t *testing.T) {
	m, codec, streams := small(t)
	codec.Inputs = dataset.Inputs{Candle: true, Volatility: true, Volume: true, Calendar: true}
	c := m.Config
	c.Cond, c.Features = codec.Inputs.Cond(), codec.Inputs.Features()
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	known := streams[0].Candles[:100]
	series := &market.Series{Symbol: "SYN-01", Interval: market.Day, Candles: known}
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := predict.Paths(t.Context(), m.Runner(gpt.F32), codec, s, len(s.Tokens), 16, gpt.Generation{
		Paths: 2, Steps: 5, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range paths {
		series.Candles = append(slices.Clone(known), p.Candles...)
		whole, err := codec.Encode(series)
		if err != nil {
			t.Fatal(err)
		}
		n := len(s.Tokens)
		if want := whole.Features[n*c.Features:]; !slices.Equal(p.Features, want) {
			t.Errorf("path %d: features\n%v, of a stream of its candles\n%v", i, p.Features, want)
		}
		// The volume is known before the first drawn candle and of none of them.
		if s.Features[n*c.Features-1] != 1 {
			t.Errorf("the volume of the newest candle is unknown")
		}
		for h := range p.Candles {
			if row := p.Features[h*c.Features : (h+1)*c.Features]; row[c.Features-2] != 0 || row[c.Features-1] != 0 {
				t.Errorf("path %d: volume with drawn candle %d is %v, want it unknown", i, h, row[c.Features-2:])
			}
		}
		if want := whole.Cond[n*len(c.Cond):]; !slices.Equal(p.Cond, want) {
			t.Errorf("path %d: conditioning %v, of a stream of its candles %v", i, p.Cond, want)
		}
	}
}

// The candles of a path are scaled by the time of day at which they come.
func TestPathsKnowTheTimeOfDay(t *testing.T) {
	m, codec, streams := small(t)
	codec.Emission = nil // a token is one candle
	clock := feature.Clock{Location: time.UTC}
	day := feature.Profile{Open: 3}
	for k := range feature.DaySlots {
		day.Slots = append(day.Slots, 1+float64(k)/10)
	}
	codec.Scaler.Season = &feature.Season{Interval: market.Hour, Clock: clock, Others: day}
	codec.Inputs = dataset.Inputs{Volatility: true, Calendar: true, Clock: &clock}
	c := m.Config
	c.Cond, c.Features = codec.Inputs.Cond(), codec.Inputs.Features()
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Clone(streams[0].Candles[:100])
	for i := range known {
		known[i].Time = time.Date(2024, 1, 1, i, 0, 0, 0, time.UTC)
	}
	series := &market.Series{Symbol: "SYN-01", Interval: market.Hour, Candles: known}
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := predict.Paths(t.Context(), m.Runner(gpt.F32), codec, s, len(s.Tokens), 16, gpt.Generation{
		Paths: 2, Steps: 30, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	dates := market.NextTimes(series.Times(), series.Interval, 30) // over a weekend
	for i, p := range paths {
		whole := *series
		whole.Candles = append(slices.Clone(known), p.Candles...)
		states := codec.Scaler.States(&whole)
		n := len(known)
		for h, candle := range p.Candles {
			if !candle.Time.Equal(dates[h]) {
				t.Fatalf("path %d: candle %d comes at %s, want %s", i, h, candle.Time, dates[h])
			}
			want := codec.Scaler.Decode(states[n+h], codec.Tokenizer.Decode(int(p.Tokens[h])))
			if candle.Close != want.Close {
				t.Fatalf("path %d: candle %d closes at %v, at the scale of its time of day at %v", i, h, candle.Close, want.Close)
			}
		}
		again, err := codec.Encode(&whole)
		if err != nil {
			t.Fatal(err)
		}
		if want := again.Cond[len(s.Tokens)*len(c.Cond):]; !slices.Equal(p.Cond, want) {
			t.Errorf("path %d: conditioning %v, of a stream of its candles %v", i, p.Cond, want)
		}
	}
}

// A model without logits has no tokens to score or to draw; its outputs come
// for every target.
func TestAModelWithoutLogits(t *testing.T) {
	_, codec, streams := small(t)
	c := gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000, Outputs: 12}
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := rng.New(4)
	for i := range m.Params {
		m.Params[i] = float32(0.3 * r.NormFloat64())
	}
	runner, windows := m.Runner(gpt.F32), dataset.EvalWindows(streams, dataset.Val, m.SeqLen)
	if _, err := predict.Tokens(t.Context(), runner, streams, windows); !errors.Is(err, gpt.ErrNoLogits) {
		t.Errorf("Tokens: %v, want ErrNoLogits", err)
	}
	if _, err := predict.Laws(t.Context(), runner, codec, streams, windows, 1); !errors.Is(err, gpt.ErrNoLogits) {
		t.Errorf("Laws: %v, want ErrNoLogits", err)
	}
	g := gpt.Generation{Paths: 1, Steps: 2, Sampler: gpt.Sampler{Temperature: 1}}
	if _, err := predict.Paths(t.Context(), runner, codec, streams[0], 50, 8, g); !errors.Is(err, gpt.ErrNoLogits) {
		t.Errorf("Paths: %v, want ErrNoLogits", err)
	}

	all, err := predict.Outputs(t.Context(), runner, streams, windows)
	if err != nil {
		t.Fatal(err)
	}
	if want := dataset.Count(windows); len(all) != want {
		t.Fatalf("%d outputs for %d targets", len(all), want)
	}
	i := 0
	for _, win := range windows {
		var w gpt.Workspace
		rows := runner.Forward(&w, predict.Input(dataset.Gather(streams, []dataset.Window{win}, win.Len), 0))
		for k := win.From; k < win.To; k++ {
			at := k - 1 - win.Start
			if o := all[i]; o.Stream != win.Stream || o.Index != k || !slices.Equal(o.Values, rows[at*12:(at+1)*12]) {
				t.Fatalf("output %d is %+v, want that of target %d of stream %d: %v", i, o, k, win.Stream, rows[at*12:(at+1)*12])
			}
			i++
		}
	}

	m.Params[0] = float32(math.NaN())
	if _, err := predict.Outputs(t.Context(), m.Runner(gpt.F32), streams, windows); !errors.Is(err, gpt.ErrNotFinite) {
		t.Errorf("Outputs of a NaN weight: %v, want ErrNotFinite", err)
	}
}

func TestPathsErrors(t *testing.T) {
	m, codec, streams := small(t)
	s := streams[0]
	g := gpt.Generation{Paths: 1, Steps: 1, Sampler: gpt.Sampler{Temperature: 1}}
	bare := &dataset.Stream{Asset: "tokens", Tokens: s.Tokens}
	tiny, err := tokenizer.FitQuantile(make([]feature.Vector, 8), 8)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		codec          dataset.Codec
		s              *dataset.Stream
		origin, window int
		g              gpt.Generation
	}{
		"nothing known":     {codec, s, 0, 8, g},
		"behind the stream": {codec, s, len(s.Tokens) + 1, 8, g},
		"no window":         {codec, s, 10, 0, g},
		"negative window":   {codec, s, 10, -5, g},
		"bare tokens":       {codec, bare, 10, 8, g},
		"fewer codes":       {dataset.Codec{Scaler: codec.Scaler, Tokenizer: tiny}, s, 10, 8, g},
		"no steps":          {codec, s, 10, 8, gpt.Generation{Paths: 1, Sampler: g.Sampler}},
		"bad temperature":   {codec, s, 10, 8, gpt.Generation{Paths: 1, Steps: 1, Sampler: gpt.Sampler{Temperature: -1}}},
	} {
		if _, err := predict.Paths(t.Context(), m.Runner(gpt.F32), c.codec, c.s, c.origin, c.window, c.g); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCumulativeReturns(t *testing.T) {
	got := predict.CumulativeReturns([]float64{9, 9, 9}, 100, []market.Candle{{Close: 110}, {Close: 100}})
	if len(got) != 2 || math.Abs(got[0]-math.Log(1.1)) > 1e-15 || got[1] != 0 {
		t.Errorf("CumulativeReturns = %v, want [ln 1.1, 0]", got)
	}
}
