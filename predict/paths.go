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
	paths, _, err := Given(ctx, r, codec, s, origin, window, g, nil)
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
	if len(returns) > 0 && codec.Emission == nil {
		return nil, nil, ErrNoEmission
	}
	if len(returns) > g.Steps {
		return nil, nil, fmt.Errorf("predict: %s: %d returns given of %d", s.Asset, len(returns), g.Steps)
	}
	for i, x := range returns {
		if math.IsNaN(x) || math.Abs(x) > feature.MaxMove {
			return nil, nil, fmt.Errorf("predict: %s: given return %d is %v: want a log return of at most ±%v", s.Asset, i+1, x, feature.MaxMove)
		}
	}
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
	futures.given = returns
	g.Next = futures.next
	if len(returns) > 0 {
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
	given []float64   // log returns of the first candles
	paths []future
}

type future struct {
	state    feature.State
	random   *rand.Rand
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
	candle := f.candle(p, h, generated[h])
	candle.Time = f.dates[h]
	newest := f.codec.Scaler.Encode(p.state, candle)
	p.state = f.codec.Scaler.Advance(p.state, candle)
	p.candles = append(p.candles, candle)
	c, n := len(p.cond), len(p.features)
	p.cond, p.features = f.codec.AppendInputs(p.cond, p.features, f.s, newest, p.state, f.dates[h], f.dates[h+1])
	return p.cond[c:], p.features[n:]
}

func (f *futures) candle(p *future, h int, token int32) market.Candle {
	if h >= len(f.given) {
		return f.codec.Draw(p.state, token, p.random)
	}
	shift, unit := f.codec.Scaler.Return(p.state)
	return f.codec.Scaler.Decode(p.state, f.codec.Tokenizer.Decode(int(token)).WithReturn((f.given[h]-shift)/unit))
}

// weigh makes probabilities of the next token those given its return, and adds
// the log density of that.
func (f *futures) weigh(path int, generated []int32, probs []float64) {
	h := len(generated)
	if h >= len(f.given) {
		return
	}
	p, cells := &f.paths[path-f.first], f.codec.Emission.Cells()
	shift, unit := f.codec.Scaler.Return(p.state)
	z := (f.given[h] - shift) / unit
	cell, sum := cells.Index(z), 0.0
	for k := range probs {
		probs[k] *= f.codec.Emission.Mass(k, cell)
		sum += probs[k]
	}
	for k := range probs {
		probs[k] /= sum
	}
	p.log += math.Log(sum) + cells.T.LogPDF(z) - math.Log(cells.Mass(cell)) - math.Log(unit)
}
