package eval

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// truthStep is the distance of grid points in the logarithm of the ratio of
// the true volatility to the scale. Between them the distribution is a mixture
// of its neighbours.
const truthStep = 0.1

// NewTruth returns the true distribution of every token of streams, which
// encode the series of market in its order: the generator's law of a candle
// at its true state, pushed through scaler and tokenizer by drawing samples
// candles at each point of a grid. The law of a candle in units of its σ
// depends on the regime alone, so a token depends on the regime and on the
// ratio of σ to the scale. The expected score is above the exact one by about
// V/(2·samples) nats. Only the targets of part can be asked for.
func NewTruth(m *market.Synthetic, codec dataset.Codec, streams []*dataset.Stream, part dataset.Part, samples int) (Truth, error) {
	if len(streams) != len(m.Series) {
		return nil, fmt.Errorf("eval: truth: %d streams for a market of %d assets", len(streams), len(m.Series))
	}
	g := truthGrid{codec: codec, samples: samples, points: map[gridPoint][]float64{}}
	// The global scaler has the scale 1: there the ratio is σ itself.
	ratio := func(s, i int) (float64, int) {
		// Token i stands for candle i+1 of the series.
		state := m.State(s, i+1)
		return math.Log(state.Sigma / codec.Scaler.Sigma(streams[s].States[i])), state.Regime
	}
	for s, stream := range streams {
		if stream.Asset != m.Series[s].Symbol || len(stream.Tokens) != len(m.Series[s].Candles)-1 {
			return nil, fmt.Errorf("eval: truth: stream %d is %s with %d tokens, the market has %s with %d candles", s, stream.Asset, len(stream.Tokens), m.Series[s].Symbol, len(m.Series[s].Candles))
		}
		if stream.States == nil {
			return nil, fmt.Errorf("eval: truth: %s is a bare token stream, whose scale is not known", stream.Asset)
		}
		lo, hi := stream.Bounds(part)
		for i := lo; i < hi; i++ {
			x, regime := ratio(s, i)
			at := int(math.Floor(x / truthStep))
			for k := at; k <= at+1; k++ {
				p := gridPoint{regime, k}
				if g.points[p] == nil {
					g.points[p] = make([]float64, codec.Tokenizer.Codes())
					g.states = append(g.states, m.State(s, i+1))
				}
			}
		}
	}
	g.fill()
	return func(probs []float64, s, i int) {
		x, regime := ratio(s, i)
		at := math.Floor(x / truthStep)
		f := x/truthStep - at
		lo, hi := g.points[gridPoint{regime, int(at)}], g.points[gridPoint{regime, int(at) + 1}]
		for k := range probs {
			probs[k] = (1-f)*lo[k] + f*hi[k]
		}
	}, nil
}

// gridPoint is a regime and a multiple of truthStep.
type gridPoint struct{ regime, at int }

type truthGrid struct {
	codec   dataset.Codec
	samples int
	points  map[gridPoint][]float64
	states  []market.State // one for each point, in no order: carries the mean per σ of its regime
}

// fill draws the samples of all points.
func (g *truthGrid) fill() {
	perSigma := map[int]float64{} // mean log return per σ, a constant of the regime
	for _, s := range g.states {
		perSigma[s.Regime] = s.Mean / s.Sigma
	}
	points := make([]gridPoint, 0, len(g.points))
	for p := range g.points {
		points = append(points, p)
	}
	known := feature.State{PrevClose: 1, Variance: g.codec.Scaler.Initial}
	unit := g.codec.Scaler.Sigma(known)
	parallel.For(len(points), 1, func(lo, hi int) {
		vectors := make([]feature.Vector, g.samples)
		for _, p := range points[lo:hi] {
			sigma := unit * math.Exp(float64(p.at)*truthStep)
			state := market.State{Sigma: sigma, Mean: perSigma[p.regime] * sigma, Regime: p.regime}
			random := rng.New(rng.Truth, uint64(p.regime), uint64(p.at))
			for i := range vectors {
				vectors[i] = g.codec.Scaler.Encode(known, state.Sample(random, known.PrevClose))
			}
			// Half a count for every token: none is impossible.
			probs := g.points[p]
			V := float64(len(probs))
			for _, token := range tokenizer.EncodeAll(g.codec.Tokenizer, vectors) {
				probs[token]++
			}
			for k := range probs {
				probs[k] = (probs[k] + 0.5) / (float64(g.samples) + V/2)
			}
		}
	})
}
