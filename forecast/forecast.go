// Package forecast draws the distribution of future candles from a checkpoint
// and holds the baselines that stand beside it: laws of returns ([Baseline]) and
// n-grams of tokens.
package forecast

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// Options says what to draw.
type Options struct {
	Horizon int // candles
	Samples int // paths
	Sampler gpt.Sampler
	Seed    uint64
	Context int // past candles that the model sees at most; 0: as many as fit

	// Given are the log returns of the first candles: a scenario. See
	// [predict.Given].
	Given []float64
}

// maxCandles bounds the memory of all paths together: 20 million candles are
// 1.5 GB.
const maxCandles = 20_000_000

// Validate reports everything that is wrong with o at once.
func (o Options) Validate() error {
	var errs []error
	if o.Horizon < 1 || o.Horizon > 10_000 {
		errs = append(errs, fmt.Errorf("forecast: horizon %d: want 1 to 10000 candles", o.Horizon))
	}
	if o.Samples < 1 || o.Samples > 1_000_000 {
		errs = append(errs, fmt.Errorf("forecast: samples %d: want 1 to 1000000 paths", o.Samples))
	}
	if len(errs) == 0 && o.Horizon > maxCandles/o.Samples {
		errs = append(errs, fmt.Errorf("forecast: %d samples of %d candles: want at most %d candles in all", o.Samples, o.Horizon, maxCandles))
	}
	if o.Context < 0 {
		errs = append(errs, fmt.Errorf("forecast: context %d: want 0 (as many as fit) or more", o.Context))
	}
	if len(o.Given) > max(o.Horizon, 0) {
		errs = append(errs, fmt.Errorf("forecast: %d candles given of a horizon of %d", len(o.Given), o.Horizon))
	}
	return errors.Join(append(errs, o.Sampler.Validate())...)
}

// Forecast is the distribution of the candles after the last known one, as
// drawn paths.
type Forecast struct {
	Asset     string
	From      time.Time // of the last known candle
	LastClose float64
	Times     []time.Time // (Horizon) of the candles to come, by [market.NextTimes]
	Paths     []predict.Path

	Scenario *Scenario // what the first candles were given to be; nil: nothing
}

// New draws the futures of a series with the model of b.
func New(ctx context.Context, b *checkpoint.Bundle, series *market.Series, o Options) (*Forecast, error) {
	m, err := NewModel(b)
	if err != nil {
		return nil, err
	}
	at, err := m.At(series)
	if err != nil {
		return nil, err
	}
	return at.Draw(ctx, o)
}

// windowOf is how many past candles paths start from where a user wants at most
// so many; 0: as many as fit.
func windowOf(m *gpt.Model, horizon, wanted int) int {
	if wanted > 0 {
		return wanted
	}
	return predict.Window(m, horizon)
}

// Step summarises the close after Step candles.
type Step struct {
	Step      int       `json:"step"`
	Time      time.Time `json:"time"`
	Quantiles []float64 `json:"quantiles"` // of the close, at the levels asked for
	Mean      float64   `json:"mean"`
	PUp       float64   `json:"p_up"` // share of paths that close above the last close; ties count half

	Intervals []Interval `json:"intervals,omitempty"` // by [Forecast.Calibrate]
}

// Shown says which steps of a horizon tables show.
func Shown(step, horizon int) bool {
	return step <= 2 || step == 5 || step == horizon || step%10 == 0
}

// Steps returns the quantiles of the close at the given levels, after every
// step.
func (f *Forecast) Steps(levels []float64) []Step {
	steps := make([]Step, len(f.Times))
	closes := make([]float64, len(f.Paths))
	for h := range steps {
		s := Step{Step: h + 1, Time: f.Times[h]}
		for i, p := range f.Paths {
			c := p.Candles[h].Close
			closes[i] = c
			s.Mean += c
			switch {
			case c > f.LastClose:
				s.PUp++
			case c == f.LastClose:
				s.PUp += 0.5
			}
		}
		s.Mean /= float64(len(f.Paths))
		s.PUp /= float64(len(f.Paths)) // once, at the end: never above 1
		slices.Sort(closes)
		for _, level := range levels {
			s.Quantiles = append(s.Quantiles, score.Quantile(closes, level))
		}
		steps[h] = s
	}
	return steps
}

// Volatility is the standard deviation of the log return over the whole
// horizon, across paths.
func (f *Forecast) Volatility() float64 {
	n, sum, squares := float64(len(f.Paths)), 0.0, 0.0
	for _, p := range f.Paths {
		r := math.Log(p.Candles[len(p.Candles)-1].Close / f.LastClose)
		sum, squares = sum+r, squares+r*r
	}
	return math.Sqrt(max(0, squares/n-sum/n*sum/n))
}
