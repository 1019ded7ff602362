package server

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

// levels are those of all quantiles.
var levels = []float64{.025, .1, .25, .5, .75, .9, .975}

// Candle is one candle.
type Candle struct {
	Time   time.Time `json:"time,omitzero"`
	Open   float64   `json:"open"`
	High   float64   `json:"high"`
	Low    float64   `json:"low"`
	Close  float64   `json:"close"`
	Volume *float64  `json:"volume,omitempty"`
}

func candlesOf(candles []market.Candle) []Candle {
	out := make([]Candle, len(candles))
	for i, c := range candles {
		out[i] = Candle{Time: c.Time, Open: c.Open, High: c.High, Low: c.Low, Close: c.Close}
		if !math.IsNaN(c.Volume) {
			out[i].Volume = &c.Volume
		}
	}
	return out
}

// Fan is the distribution of the closes to come.
type Fan struct {
	Levels     []float64       `json:"levels" doc:"of the quantiles of every step"`
	Steps      []forecast.Step `json:"steps" doc:"the close after every candle"`
	Volatility float64         `json:"volatility" doc:"standard deviation of the log return over the whole horizon, across paths"`
	Calibrated bool            `json:"calibrated" doc:"steps have intervals that held their share of the outcomes on validation"`
	Closes     [][]float64     `json:"closes,omitempty" doc:"of every path, with return_paths"`
}

// fanOf describes the paths of f.
func fanOf(f *forecast.Forecast, withPaths bool) Fan {
	fan := Fan{Levels: levels, Steps: f.Steps(levels), Volatility: f.Volatility()}
	if withPaths {
		for _, p := range f.Paths {
			closes := make([]float64, len(p.Candles))
			for h, c := range p.Candles {
				closes[h] = c.Close
			}
			fan.Closes = append(fan.Closes, closes)
		}
	}
	return fan
}

// calibrated is fanOf with intervals, where j has them.
func (j *job) calibrated(f *forecast.Forecast, withPaths bool) Fan {
	fan := fanOf(f, withPaths)
	if c := j.model.Bundle.Calibration; c != nil && j.plain {
		f.Calibrate(fan.Steps, c)
		fan.Calibrated = true
	}
	return fan
}

// Density is the exact law of the next close, without paths.
type Density struct {
	Temperature float64   `json:"temperature" doc:"of the logits: that of the calibration, or 1"`
	Levels      []float64 `json:"levels"`
	Quantiles   []float64 `json:"quantiles" doc:"of the next close"`
	PUp         float64   `json:"p_up" doc:"probability of a close above the last one"`
}

// density is nil where the checkpoint does not know the returns of its tokens.
func (j *job) density() (*Density, error) {
	d := &Density{Temperature: j.model.Bundle.Calibration.SampleAt(), Levels: levels}
	law, err := j.at.Density(d.Temperature)
	if errors.Is(err, predict.ErrNoEmission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range levels {
		d.Quantiles = append(d.Quantiles, j.about.LastClose*math.Exp(law.Quantile(p)))
	}
	d.PUp = 1 - law.CDF(0)
	return d, nil
}

// realised are the candles that followed what was known, as far as there are.
func (j *job) realised() []Candle {
	n := len(j.known.Candles)
	return candlesOf(j.whole.Candles[n:min(n+j.option.Horizon, len(j.whole.Candles))])
}

// Forecast is an answer of /v1/forecast.
type Forecast struct {
	About
	Fan
	Density  *Density `json:"density,omitempty" doc:"exact law of the next close, where the checkpoint knows the returns of its tokens"`
	Realised []Candle `json:"realised" doc:"candles that followed, where the data have them"`
}

// Progress is a forecast of the paths that have been drawn so far.
type Progress struct {
	Paths  int             `json:"paths" doc:"drawn so far"`
	Levels []float64       `json:"levels" doc:"of the quantiles of every step"`
	Steps  []forecast.Step `json:"steps"`
}

// ForecastRequest asks for the distribution of the candles to come.
type ForecastRequest struct {
	Place
	Drawing
	ReturnPaths bool `json:"return_paths,omitempty" doc:"with the closes of every path"`
}

// chunk is how many paths are drawn between two events: at most 16 of them come,
// as a quantile costs more the more paths there are.
func chunk(paths int) int { return max(32, (paths+15)/16) }

// forecast draws, and hands progress over after each chunk of paths where progress
// is not nil.
func (s *Server) forecast(ctx context.Context, r ForecastRequest, progress func(Progress) error) (*Forecast, error) {
	j, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	if err := s.drawn(j, r.Drawing); err != nil {
		return nil, err
	}
	n := chunk(j.option.Samples)
	if progress == nil {
		n = j.option.Samples
	}
	var last *forecast.Forecast
	err = s.stream(ctx, j, n, func(f *forecast.Forecast) error {
		last = f
		if progress == nil {
			return nil
		}
		return progress(Progress{Paths: len(f.Paths), Levels: levels, Steps: j.calibrated(f, false).Steps})
	})
	if err != nil {
		return nil, err
	}
	a := &Forecast{About: j.about, Fan: j.calibrated(last, r.ReturnPaths), Realised: j.realised()}
	a.Density, err = j.density()
	return a, err
}

// stream draws the paths of j, and counts them.
func (s *Server) stream(ctx context.Context, j *job, chunk int, emit func(*forecast.Forecast) error) error {
	before := 0
	return j.at.Stream(ctx, j.option, chunk, func(f *forecast.Forecast) error {
		s.metrics.candles.Add(float64((len(f.Paths) - before) * j.option.Horizon))
		before = len(f.Paths)
		return emit(f)
	})
}

// draw draws all paths of j.
func (s *Server) draw(ctx context.Context, j *job) (last *forecast.Forecast, err error) {
	err = s.stream(ctx, j, j.option.Samples, func(f *forecast.Forecast) error {
		last = f
		return nil
	})
	return last, err
}
