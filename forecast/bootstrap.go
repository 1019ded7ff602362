package forecast

import (
	"math"
	"math/rand/v2"

	"github.com/micro-quant/mqc/density"
)

// blockCandles is the length of a block: two weeks of trading.
const blockCandles = 10

// blocks is a constant volatility whose paths are put together from blocks of
// neighbouring training returns, the circular block bootstrap of Politis &
// Romano 1992. A block that reaches the end of a source goes on at its start.
// The fitted law has no part in them.
type blocks struct {
	constant
	sources [][]float64 // log returns
	total   int         // of returns

	source []float64 // of the present block
	at     int
	left   int
}

func (b *blocks) clone() volatility { c := *b; return &c }

func (b *blocks) resample(_ density.StudentT, r *rand.Rand) float64 {
	if b.left == 0 {
		b.left, b.at = blockCandles, r.IntN(b.total)
		for _, b.source = range b.sources {
			if b.at < len(b.source) {
				break
			}
			b.at -= len(b.source)
		}
	}
	x := b.source[b.at%len(b.source)]
	b.at, b.left = b.at+1, b.left-1
	return x
}

// fitBootstrap keeps the training returns. A short asset draws blocks of those
// of all assets, in units of each asset's deviation and times its own.
func fitBootstrap(f *fitter, name string) (Baseline, error) {
	var sources [][]float64
	for _, a := range f.data.assets {
		sources = append(sources, a.returns(0))
	}
	e, err := fitLaws(f.data, nil, func(asset int, variance float64) volatility {
		b := &blocks{constant: constant{math.Sqrt(variance)}}
		if asset != all {
			b.sources = sources[asset : asset+1]
		} else {
			for i, source := range sources {
				b.sources = append(b.sources, times(source, math.Sqrt(variance/f.data.assets[i].variance)))
			}
		}
		for _, source := range b.sources {
			b.total += len(source)
		}
		return b
	})
	if err != nil {
		return nil, err
	}
	return &fitted{name: name, epochs: []epoch{e}}, nil
}

func times(x []float64, factor float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = factor * v
	}
	return y
}
