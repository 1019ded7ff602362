package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

// Forecast draws the candles to come, and hands progress over after each chunk of
// paths where progress is not nil. It ends with the error of progress, if that gives
// one.
func (s *Service) Forecast(ctx context.Context, r ForecastRequest, progress func(Progress) error) (*Forecast, error) {
	q, err := s.drawing(r.Place, r.Drawing)
	if err != nil {
		return nil, err
	}
	chunk := q.option.Samples
	if progress != nil {
		// At most 16 times, as a quantile costs more the more paths there are.
		chunk = max(32, (chunk+15)/16)
	}
	f, err := s.stream(ctx, q, chunk, func(f *forecast.Forecast) error {
		if progress == nil {
			return nil
		}
		return progress(Progress{Paths: len(f.Paths), Levels: Levels, Steps: q.calibrated(f, false).Steps})
	})
	if err != nil {
		return nil, err
	}
	a := &Forecast{About: q.about, Fan: q.calibrated(f, r.ReturnPaths), Realised: q.realised()}
	a.PerCandle = a.Volatility / math.Sqrt(float64(r.Horizon))
	if n := candlesOfYear(q.known.Candles); n > 0 {
		year := a.PerCandle * math.Sqrt(n)
		a.PerYear = &year
	}
	if past, ok := realisedVolatility(q.known.Candles, r.Horizon); ok {
		a.Past = &past
	}
	a.Density, err = q.density()
	return a, err
}

// candlesOfYear counts the candles of the newest 365 days; 0 where there are not so
// many days.
func candlesOfYear(c []market.Candle) float64 {
	from := c[len(c)-1].Time.AddDate(0, 0, -365)
	if c[0].Time.After(from) {
		return 0
	}
	return float64(len(c) - indexAfter(c, from.Add(1)))
}

// realisedVolatility is the root of the sum of the last n squared log returns.
func realisedVolatility(c []market.Candle, n int) (float64, bool) {
	if len(c) <= n {
		return 0, false
	}
	sum := 0.0
	for i := len(c) - n; i < len(c); i++ {
		r := math.Log(c[i].Close / c[i-1].Close)
		sum += r * r
	}
	return math.Sqrt(sum), true
}

// stream draws the paths of q, counts them, and returns the forecast of all.
func (s *Service) stream(ctx context.Context, q *question, chunk int, emit func(*forecast.Forecast) error) (last *forecast.Forecast, err error) {
	before := 0
	err = q.at.Stream(ctx, q.option, chunk, func(f *forecast.Forecast) error {
		s.config.Drawn((len(f.Paths) - before) * q.option.Horizon)
		before, last = len(f.Paths), f
		return emit(f)
	})
	return last, err
}

// draw draws all paths of q.
func (s *Service) draw(ctx context.Context, q *question) (*forecast.Forecast, error) {
	return s.stream(ctx, q, q.option.Samples, func(*forecast.Forecast) error { return nil })
}

// fanOf describes the paths of f.
func fanOf(f *forecast.Forecast, withPaths bool) Fan {
	fan := Fan{Levels: Levels, Steps: f.Steps(Levels), Volatility: f.Volatility()}
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

// calibrated is fanOf with intervals, where q has them.
func (q *question) calibrated(f *forecast.Forecast, withPaths bool) Fan {
	fan := fanOf(f, withPaths)
	if c := q.model.Bundle.Calibration; c != nil && q.plain {
		f.Calibrate(fan.Steps, c)
		fan.Calibrated = true
	}
	return fan
}

// density is nil where the checkpoint does not know the returns of its tokens.
func (q *question) density() (*Density, error) {
	d := &Density{Temperature: q.model.Bundle.Calibration.SampleAt(), Levels: Levels}
	law, err := q.at.Density(d.Temperature)
	if errors.Is(err, predict.ErrNoEmission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range Levels {
		d.Quantiles = append(d.Quantiles, q.about.LastClose*math.Exp(law.Quantile(p)))
	}
	d.PUp = 1 - law.CDF(0)
	return d, nil
}

// realised are the candles that followed what was known, as far as there are.
func (q *question) realised() []Candle {
	n := len(q.known.Candles)
	return candlesOf(q.whole.Candles[n:min(n+q.option.Horizon, len(q.whole.Candles))])
}

// maxGiven bounds a given log return.
const maxGiven = 5

// givenOf are the log returns of a scenario after a last close.
func (r ScenarioRequest) givenOf(last float64) ([]float64, error) {
	given := r.Returns
	switch n := len(r.Returns) + len(r.Closes); {
	case len(r.Returns) > 0 && len(r.Closes) > 0:
		return nil, refuse("returns and closes: want one of them")
	case n == 0:
		return nil, refuse("want returns or closes of the first candles to come")
	case n > r.Horizon:
		return nil, refuse("%d candles given of a horizon of %d", n, r.Horizon)
	}
	for i, c := range r.Closes {
		if !(c > 0) {
			return nil, refuse("close %d is %v: want more than 0", i+1, c)
		}
		given = append(given, math.Log(c/last))
		last = c
	}
	for i, x := range given {
		if !(math.Abs(x) <= maxGiven) {
			return nil, refuse("log return %d is %v: want at most ±%d", i+1, x, maxGiven)
		}
	}
	return given, nil
}

// Scenario draws the candles to come given the first of them, and given nothing. It
// fails with [ErrImpossible] where the model cannot draw what is given.
func (s *Service) Scenario(ctx context.Context, r ScenarioRequest) (*Scenario, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	q, err := s.drawing(r.Place, r.Drawing)
	if err != nil {
		return nil, err
	}
	given, err := r.givenOf(q.about.LastClose)
	if err != nil {
		return nil, err
	}
	free, err := s.draw(ctx, q)
	if err != nil {
		return nil, err
	}
	q.option.Given = given
	bound, err := s.draw(ctx, q)
	if errors.Is(err, predict.ErrNoEmission) {
		return nil, refused(err)
	}
	if err != nil {
		return nil, err
	}
	surprise, effective := bound.Scenario.Surprise, bound.Scenario.Effective
	if math.IsNaN(surprise) || math.IsInf(surprise, 0) {
		return nil, refuse("returns %.4g: %w: ask for smaller ones", given, ErrImpossible)
	}
	if effective < max(float64(r.Paths)/10, min(fewPaths, float64(r.Paths)/2)) {
		q.about.warn(fmt.Sprintf("the %d paths are worth %.0f of equal weight: draw more for a steadier answer", r.Paths, effective))
	}
	return &Scenario{
		About: q.about, Given: given, Surprise: surprise, Effective: effective,
		Conditional: fanOf(bound, r.ReturnPaths), Unconditional: q.calibrated(free, r.ReturnPaths), Realised: q.realised(),
	}, nil
}

// fewPaths are too few of equal weight for the edges of a fan.
const fewPaths = 25

// Probability counts the paths whose last close is where it is asked for.
func (s *Service) Probability(ctx context.Context, r ProbabilityRequest) (*Probability, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	if r.Above == nil && r.Below == nil {
		return nil, refuse("want above, below or both: prices")
	}
	above, below := 0., math.Inf(1)
	if r.Above != nil {
		above = *r.Above
	}
	if r.Below != nil {
		below = *r.Below
	}
	if !(above < below) {
		return nil, refuse("no close is above %v and below %v", above, below)
	}
	q, err := s.drawing(r.Place, r.Drawing)
	if err != nil {
		return nil, err
	}
	f, err := s.draw(ctx, q)
	if err != nil {
		return nil, err
	}
	a := &Probability{About: q.about, Until: f.Times[r.Horizon-1]}
	a.P, a.Lo, a.Hi = f.Share(r.Horizon, func(close float64) bool { return above < close && close < below })
	if r.Horizon > 1 {
		return a, nil
	}
	law, err := q.at.Density(q.model.Bundle.Calibration.SampleAt())
	if errors.Is(err, predict.ErrNoEmission) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	exact := law.CDF(math.Log(below/q.about.LastClose)) - law.CDF(math.Log(above/q.about.LastClose))
	a.Exact = &exact
	return a, nil
}

// Compare draws the candles to come by a model and by a baseline.
func (s *Service) Compare(ctx context.Context, r CompareRequest) (*Compare, error) {
	if !slices.Contains(BaselineNames(), r.Baseline) {
		return nil, unknown("no baseline %q: GET /v1/models lists them", r.Baseline)
	}
	q, err := s.drawing(r.Place, r.Drawing)
	if err != nil {
		return nil, err
	}
	a := &Compare{Baseline: r.Baseline, FittedBefore: q.at.Border(), Realised: q.realised()}
	law, err := s.fits.Get(ctx, r.Baseline, a.FittedBefore)
	if err != nil {
		return nil, refused(err)
	}
	f, err := s.draw(ctx, q)
	if err != nil {
		return nil, err
	}
	a.About, a.Model = q.about, q.calibrated(f, r.ReturnPaths)
	a.Other = fanOf(f.Along(law.Paths(q.known, len(q.known.Candles), r.Horizon, r.Paths, q.option.Seed)), r.ReturnPaths)
	return a, ctx.Err()
}
