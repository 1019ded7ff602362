package predict

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
)

// Path is one drawn future: its tokens and the candles that they stand for.
type Path struct {
	Tokens  []int32
	Candles []market.Candle // with their dates, without volume

	// What goes in with each of the tokens where the model sees more than
	// them, as a stream has it.
	Cond     []int32
	Features []float32
}

// Paths draws g.Paths futures of g.Steps candles of a stream, from what is
// known before its token at index origin (origin = len(Tokens) continues the
// stream). window bounds how many past tokens the model sees. The volatility
// scale of a path advances with the candles of that path.
func Paths(ctx context.Context, r *gpt.Runner, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation) ([]Path, error) {
	return draw(ctx, r, codec, s, origin, window, g, nil)
}

// PathsAt is [Paths] where a number in (0,1), that of a path at a time, says at
// which quantile of its law the return of every candle lies; seed and number of
// the path draw the rest: the token among those with such a return. For numbers
// that are uniform and independent over the times of a path, a path has the law
// that it has in Paths. It fails with [ErrNoEmission] where the codec does not
// know the returns of tokens.
func PathsAt(ctx context.Context, r *gpt.Runner, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation, quantile func(path int, at time.Time) float64) ([]Path, error) {
	if codec.Emission == nil {
		return nil, fmt.Errorf("predict: %s: %w", s.Asset, ErrNoEmission)
	}
	return draw(ctx, r, codec, s, origin, window, g, quantile)
}

// draw is [PathsAt], or [Paths] where quantile is nil.
func draw(ctx context.Context, r *gpt.Runner, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation, quantile func(path int, at time.Time) float64) ([]Path, error) {
	m := r.Model()
	if origin < 1 || origin > len(s.Tokens) {
		return nil, fmt.Errorf("predict: %s: origin %d: want 1…%d", s.Asset, origin, len(s.Tokens))
	}
	if window < 1 {
		return nil, fmt.Errorf("predict: %s: window of %d tokens: want at least 1", s.Asset, window)
	}
	if n := codec.Tokenizer.Codes(); n < m.Vocab {
		return nil, fmt.Errorf("predict: %s: the model draws %d tokens, the tokenizer knows %d: %w", s.Asset, m.Vocab, n, gpt.ErrVocabulary)
	}
	if s.States == nil {
		return nil, fmt.Errorf("predict: %s: a bare token stream has no candles to continue", s.Asset)
	}
	futures := newFutures(codec, s, origin, g)
	g.Next = futures.next
	if quantile != nil {
		if n := codec.Emission.Codes(); n != m.Vocab {
			return nil, fmt.Errorf("predict: %s: the model draws %d tokens, returns are known for %d: %w", s.Asset, m.Vocab, n, gpt.ErrVocabulary)
		}
		futures.quantile, futures.cells = quantile, make([]float64, codec.Emission.Cells().Len())
		futures.posterior = make([]float64, m.Vocab)
		g.Pick = futures.pick
	}
	tokens, err := r.Generate(ctx, promptOf(m, s, origin, window), g)
	if err != nil {
		return nil, err
	}
	paths := make([]Path, len(tokens))
	for i, path := range tokens {
		futures.next(g.FirstPath+i, path) // the last candle
		f := &futures.paths[i]
		paths[i] = Path{Tokens: path, Candles: f.candles, Cond: f.cond, Features: f.features}
	}
	return paths, nil
}

// promptOf is what a model sees of at most window tokens before an origin.
func promptOf(m *gpt.Model, s *dataset.Stream, origin, window int) gpt.Prompt {
	from := max(0, origin-min(window, m.SeqLen))
	K, F := len(m.Cond), m.Features
	prompt := gpt.Prompt{Tokens: s.Tokens[from:origin]}
	if len(s.Cond) == K*len(s.Tokens) && len(s.Features) == F*len(s.Tokens) {
		prompt.Cond, prompt.Features = s.Cond[from*K:origin*K], s.Features[from*F:origin*F]
	}
	return prompt
}

// futures turns tokens into candles while paths are drawn: what the model sees
// next depends on them.
type futures struct {
	codec dataset.Codec
	s     *dataset.Stream
	first int
	dates []time.Time // one more than there are steps
	paths []future

	// Where returns are drawn before tokens.
	quantile         func(path int, at time.Time) float64
	cells, posterior []float64 // scratch
}

type future struct {
	state    feature.State
	random   *rand.Rand
	scaled   float64 // return of the candle to come, where it is drawn before its token
	candles  []market.Candle
	cond     []int32
	features []float32
}

func newFutures(codec dataset.Codec, s *dataset.Stream, origin int, g gpt.Generation) *futures {
	f := &futures{codec: codec, s: s, first: g.FirstPath, dates: s.Dates(origin, g.Steps+1)}
	for p := range g.Paths {
		f.paths = append(f.paths, future{
			state:  s.States[origin],
			random: rng.New(g.Seed, rng.Residual, uint64(g.FirstPath+p)),
		})
	}
	return f
}

// pick draws the return of the next candle of a path, and a token that has it:
// p(token | return) ∝ p(token)·p(return | token).
func (f *futures) pick(path int, probs []float64) int32 {
	p, e := &f.paths[path-f.first], f.codec.Emission
	e.Mix(f.cells, probs)
	cell := 0
	p.scaled, cell = e.Quantile(f.cells, f.quantile(path, f.dates[len(p.candles)]))
	for k, prior := range probs {
		f.posterior[k] = prior * e.Mass(k, cell) / f.cells[cell]
	}
	return gpt.Pick(f.posterior, p.random.Float64())
}

// next draws the candle of the newest token of a path, and returns what goes in
// with it.
func (f *futures) next(path int, generated []int32) ([]int32, []float32) {
	p, h := &f.paths[path-f.first], len(generated)-1
	var candle market.Candle
	if f.quantile != nil {
		v := f.codec.Tokenizer.Decode(int(generated[h]))
		candle = f.codec.Scaler.Decode(p.state, v.WithReturn(p.scaled))
	} else {
		candle = f.codec.Draw(p.state, generated[h], p.random)
	}
	candle.Time = f.dates[h]
	newest := f.codec.Scaler.Encode(p.state, candle)
	p.state = f.codec.Scaler.Advance(p.state, candle)
	p.candles = append(p.candles, candle)
	c, n := len(p.cond), len(p.features)
	p.cond, p.features = f.codec.AppendInputs(p.cond, p.features, f.s, newest, p.state, f.dates[h], f.dates[h+1])
	return p.cond[c:], p.features[n:]
}
