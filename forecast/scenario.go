package forecast

import (
	"math"

	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// Scenario is what is known of a forecast whose first returns were given.
type Scenario struct {
	Given     []float64 // log returns
	Surprise  float64   // −ln of their joint density under the model, in nats
	Effective float64   // how many equally weighted paths the weighted ones are worth
}

// condition makes paths, which have the log densities logs of the given returns,
// equally weighted draws from the law given all of them, by systematic resampling
// (Kitagawa 1996). Paths of equal weight stay as they are.
func (f *Forecast) condition(given, logs []float64) {
	n, peak := float64(len(logs)), math.Inf(-1)
	for _, l := range logs {
		peak = max(peak, l)
	}
	weights := make([]float64, len(logs))
	sum, squares := 0.0, 0.0
	for i, l := range logs {
		weights[i] = math.Exp(l - peak)
		sum, squares = sum+weights[i], squares+weights[i]*weights[i]
	}
	f.Scenario = &Scenario{Given: given, Surprise: -(peak + math.Log(sum/n)), Effective: sum * sum / squares}
	paths := make([]predict.Path, len(logs))
	at, below := 0, 0.0
	for i := range paths {
		for at < len(weights)-1 && below+weights[at] <= (float64(i)+.5)*sum/n {
			below += weights[at]
			at++
		}
		paths[i] = f.Paths[at]
	}
	f.Paths = paths
}

// Along is f with paths of given cumulative log returns (paths, horizon), such as
// those of a [Baseline], which are closes alone.
func (f *Forecast) Along(returns [][]float64) *Forecast {
	other := *f
	other.Scenario, other.Paths = nil, make([]predict.Path, len(returns))
	for i, cumulative := range returns {
		for h, r := range cumulative {
			other.Paths[i].Candles = append(other.Paths[i].Candles, market.Candle{Time: f.Times[h], Close: f.LastClose * math.Exp(r)})
		}
	}
	return &other
}

// Share is how often an event holds of the close after a step, from 1, with
// Wilson's 95% interval for what the paths may be off the model.
func (f *Forecast) Share(step int, event func(close float64) bool) (p, lo, hi float64) {
	n := 0
	for _, path := range f.Paths {
		if event(path.Candles[step-1].Close) {
			n++
		}
	}
	lo, hi = score.Wilson(n, len(f.Paths), .95)
	return float64(n) / float64(len(f.Paths)), lo, hi
}
