package predict

import (
	"context"
	"fmt"
	"math"
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

// Generator draws tokens: a [gpt.Runner], or a [gpt.Batch] that several share.
type Generator interface {
	Model() *gpt.Model
	Generate(ctx context.Context, prompt gpt.Prompt, g gpt.Generation) ([][]int32, error)
}

// Paths draws g.Paths futures of g.Steps candles of a stream, from what is
// known before its token at index origin (origin = len(Tokens) continues the
// stream). window bounds how many past tokens the model sees. The volatility
// scale of a path advances with the candles of that path.
func Paths(ctx context.Context, r Generator, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation) ([]Path, error) {
	paths, _, err := draw(ctx, r, codec, s, origin, window, g, fixed{})
	return paths, err
}

// PathsAt is [Paths] where a number in (0,1), that of a path at a time, says at
// which quantile of its law the return of every candle lies; seed and number of
// the path draw the rest: the token among those with such a return. For numbers
// that are uniform and independent over the times of a path, a path has the law
// that it has in Paths. It fails with [ErrNoEmission] where the codec does not
// know the returns of tokens.
func PathsAt(ctx context.Context, r Generator, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation, quantile func(path int, at time.Time) float64) ([]Path, error) {
	paths, _, err := draw(ctx, r, codec, s, origin, window, g, fixed{quantile: quantile})
	return paths, err
}

// Given draws paths, as [Paths] does, whose first log returns are given. Of every
// such candle a path draws the token by what the return tells of it,
//
//	p(k | context, r) ∝ p(k | context) · f_k(r/σ)/σ
//
// and with it the shape of the candle. Logs (Paths) are the log densities of the
// given returns along each path, 0 where there are none: paths weighed by their
// exponentials are draws from the law given all returns, and the mean of the
// exponentials estimates the density of the returns (sequential importance
// sampling with the optimal proposal: Doucet, Godsill & Andrieu 2000, eq. 13). With
// one return all weights are equal and the density is exact.
func Given(ctx context.Context, r Generator, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation, returns []float64) (paths []Path, logs []float64, err error) {
	if len(returns) > g.Steps {
		return nil, nil, fmt.Errorf("predict: %s: %d returns given of %d", s.Asset, len(returns), g.Steps)
	}
	for i, x := range returns {
		if math.IsNaN(x) || math.Abs(x) > feature.MaxMove {
			return nil, nil, fmt.Errorf("predict: %s: given return %d is %v: want a log return of at most ±%v", s.Asset, i+1, x, feature.MaxMove)
		}
	}
	return draw(ctx, r, codec, s, origin, window, g, fixed{returns: returns})
}

// fixed is what is known of the returns of paths before their tokens are drawn.
type fixed struct {
	returns  []float64 // log returns of the first candles
	quantile func(path int, at time.Time) float64
}

func (f fixed) any() bool { return len(f.returns) > 0 || f.quantile != nil }

func draw(ctx context.Context, r Generator, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation, known fixed) (paths []Path, logs []float64, err error) {
	m := r.Model()
	if origin < 1 || origin > len(s.Tokens) {
		return nil, nil, fmt.Errorf("predict: %s: origin %d: want 1…%d", s.Asset, origin, len(s.Tokens))
	}
	if window < 1 {
		return nil, nil, fmt.Errorf("predict: %s: window of %d tokens: want at least 1", s.Asset, window)
	}
	if n := codec.Tokenizer.Codes(); n < m.Vocab {
		return nil, nil, fmt.Errorf("predict: %s: the model draws %d tokens, the tokenizer knows %d: %w", s.Asset, m.Vocab, n, gpt.ErrVocabulary)
	}
	if s.States == nil {
		return nil, nil, fmt.Errorf("predict: %s: a bare token stream has no candles to continue", s.Asset)
	}
	futures := newFutures(codec, s, origin, g)
	g.Next = futures.next
	if known.any() {
		if codec.Emission == nil {
			return nil, nil, fmt.Errorf("predict: %s: %w", s.Asset, ErrNoEmission)
		}
		if n := codec.Emission.Codes(); n != m.Vocab {
			return nil, nil, fmt.Errorf("predict: %s: the model draws %d tokens, returns are known for %d: %w", s.Asset, m.Vocab, n, gpt.ErrVocabulary)
		}
		futures.fixed, futures.cells = known, make([]float64, codec.Emission.Cells().Len())
		g.Weigh = futures.weigh
	}
	tokens, err := r.Generate(ctx, promptOf(m, s, origin, window), g)
	if err != nil {
		return nil, nil, err
	}
	paths = make([]Path, len(tokens))
	for i, path := range tokens {
		futures.next(g.FirstPath+i, path) // the last candle
		f := &futures.paths[i]
		paths[i] = Path{Tokens: path, Candles: f.candles, Cond: f.cond, Features: f.features}
		logs = append(logs, f.log)
	}
	return paths, logs, nil
}

// Window is how many past tokens leave room for a path of horizon candles, so that
// the window need not be renewed on the way, but at least half of the context.
func Window(m *gpt.Model, horizon int) int { return max(m.SeqLen-horizon+1, m.SeqLen/2) }

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
// next depends on them. Paths share nothing that next changes.
type futures struct {
	codec dataset.Codec
	s     *dataset.Stream
	first int
	dates []time.Time // one more than there are steps
	paths []future

	fixed
	cells []float64 // scratch
}

type future struct {
	state    feature.State
	random   *rand.Rand
	known    bool    // whether the return of the candle to come is
	scaled   float64 // what it is
	candles  []market.Candle
	cond     []int32
	features []float32
	log      float64 // density of the given returns so far
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

// next draws the candle of the newest token of a path, and returns what goes in
// with it.
func (f *futures) next(path int, generated []int32) ([]int32, []float32) {
	p, h := &f.paths[path-f.first], len(generated)-1
	candle := f.candle(p, generated[h])
	candle.Time = f.dates[h]
	newest := f.codec.Scaler.Encode(p.state, candle)
	p.state = f.codec.Scaler.Advance(p.state, candle, f.dates[h+1])
	p.candles = append(p.candles, candle)
	c, n := len(p.cond), len(p.features)
	p.cond, p.features = f.codec.AppendInputs(p.cond, p.features, f.s, newest, p.state, f.dates[h], f.dates[h+1])
	return p.cond[c:], p.features[n:]
}

func (f *futures) candle(p *future, token int32) market.Candle {
	if !p.known {
		return f.codec.Draw(p.state, token, p.random)
	}
	return f.codec.Scaler.Decode(p.state, f.codec.Tokenizer.Decode(int(token)).WithReturn(p.scaled))
}

// weigh makes probabilities of the next token those given its return, where that
// is known.
func (f *futures) weigh(path int, generated []int32, probs []float64) {
	p, h, e := &f.paths[path-f.first], len(generated), f.codec.Emission
	shift, unit := f.codec.Scaler.Return(p.state)
	cell, given := 0, h < len(f.returns)
	switch {
	case given:
		p.scaled = (f.returns[h] - shift) / unit
		cell = e.Cells().Index(p.scaled)
	case f.quantile != nil:
		e.Mix(f.cells, probs)
		p.scaled, cell = e.Quantile(f.cells, f.quantile(path, f.dates[h]))
	default:
		p.known = false
		return
	}
	p.known = true
	sum := 0.0
	for k := range probs {
		probs[k] *= e.Mass(k, cell)
		sum += probs[k]
	}
	for k := range probs {
		probs[k] /= sum
	}
	if given {
		t := e.Cells().T
		p.log += math.Log(sum) + t.LogPDF(p.scaled) - math.Log(e.Cells().Mass(cell)) - math.Log(unit)
	}
}
