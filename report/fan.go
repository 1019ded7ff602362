package report

import (
	"context"
	"fmt"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// Fan is a forecast from a date of the past, with what then happened.
type Fan struct {
	Model      string      `json:"model"`
	Asset      string      `json:"asset"`
	From       time.Time   `json:"from"`   // the last candle that the model has seen
	Past       []Bar       `json:"past"`   // some candles up to it
	Future     []Bar       `json:"future"` // what happened (horizon)
	Times      []time.Time `json:"times"`  // that the forecast is of (horizon)
	Median     []float64   `json:"median"` // of the close (horizon)
	Bands      []Band      `json:"bands"`  // the widest first
	Calibrated bool        `json:"calibrated"`
}

// Bar is a candle without its volume.
type Bar struct {
	Time  time.Time `json:"time"`
	Open  float64   `json:"open"`
	High  float64   `json:"high"`
	Low   float64   `json:"low"`
	Close float64   `json:"close"`
}

// Band is a central interval of the close at every step.
type Band struct {
	Level float64   `json:"level"`
	Lo    []float64 `json:"lo"`
	Hi    []float64 `json:"hi"`
}

// fanLevels are the bands of a fan, of those that calibration knows.
var fanLevels = []float64{.95, .8, .5}

// drawFans draws forecasts from dates of a part that are spread evenly over it,
// the assets in turn: the choice depends on no result.
func drawFans(ctx context.Context, m Source, series []*market.Series, split dataset.Split, o Options) (fans []Fan, err error) {
	var able []*market.Series
	for _, s := range series {
		if from, to := partOf(s, split, o.Part); to-o.Horizon >= max(from, 2) {
			able = append(able, s)
		}
	}
	if len(able) == 0 || o.Fans < 1 {
		return nil, nil
	}
	model, err := forecast.NewModel(m.Bundle)
	if err != nil {
		return nil, err
	}
	for i := range o.Fans {
		s := able[i%len(able)]
		from, to := partOf(s, split, o.Part)
		from = max(from, 2)
		f, err := drawFan(ctx, model, s, from+(to-o.Horizon-from)*(2*i+1)/(2*o.Fans), o)
		if err != nil {
			return nil, err
		}
		f.Model = m.Name
		fans = append(fans, f)
	}
	return fans, nil
}

// drawFan draws from before the candle at index origin.
func drawFan(ctx context.Context, model *forecast.Model, s *market.Series, origin int, o Options) (fan Fan, err error) {
	known := *s
	known.Candles = s.Candles[:origin:origin]
	at, err := model.At(&known)
	if err != nil {
		return fan, err
	}
	calibration := model.Bundle.Calibration
	drawn, err := at.Draw(ctx, forecast.Options{Horizon: o.Horizon, Samples: o.Samples, Seed: o.Seed, Sampler: gpt.Sampler{Temperature: calibration.SampleAt()}})
	if err != nil {
		return fan, err
	}
	levels := []float64{.5}
	for _, level := range fanLevels {
		levels = append(levels, (1-level)/2, (1+level)/2)
	}
	steps := drawn.Steps(levels)
	fan = Fan{Asset: s.Symbol, From: drawn.From, Times: drawn.Times}
	if calibration != nil && o.Horizon <= calibration.MaxHorizon() {
		drawn.Calibrate(steps, calibration)
		fan.Calibrated = true
	}
	fan.Past = bars(s.Candles[max(0, origin-2*o.Horizon):origin])
	fan.Future = bars(s.Candles[origin : origin+o.Horizon])
	for k, level := range fanLevels {
		fan.Bands = append(fan.Bands, Band{Level: level})
		b := &fan.Bands[k]
		for _, step := range steps {
			lo, hi := step.Quantiles[1+2*k], step.Quantiles[2+2*k]
			if fan.Calibrated {
				if lo, hi, err = interval(step, level); err != nil {
					return fan, err
				}
			}
			b.Lo, b.Hi = append(b.Lo, lo), append(b.Hi, hi)
		}
	}
	for _, step := range steps {
		fan.Median = append(fan.Median, step.Quantiles[0])
	}
	return fan, nil
}

// interval is the calibrated interval of a step.
func interval(s forecast.Step, level float64) (lo, hi float64, err error) {
	for _, i := range s.Intervals {
		if i.Level == level {
			return i.Lo, i.Hi, nil
		}
	}
	return 0, 0, fmt.Errorf("step %d has no calibrated interval of %g", s.Step, level)
}

// partOf are the candles [from, to) of a part.
func partOf(s *market.Series, split dataset.Split, part dataset.Part) (from, to int) {
	for to < len(s.Candles) && split.Part(s.Candles[to].Time) <= part {
		if split.Part(s.Candles[to].Time) < part {
			from = to + 1
		}
		to++
	}
	return from, to
}

func bars(candles []market.Candle) []Bar {
	out := make([]Bar, len(candles))
	for i, c := range candles {
		out[i] = Bar{c.Time, c.Open, c.High, c.Low, c.Close}
	}
	return out
}
