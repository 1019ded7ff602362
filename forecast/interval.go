package forecast

import (
	"context"
	"math"
	"slices"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// Interval is a calibrated central interval of the close.
type Interval struct {
	Level   float64 `json:"level"` // its probability
	Lo      float64 `json:"lo"`
	Hi      float64 `json:"hi"`
	LoLevel float64 `json:"lo_level"` // quantile of the paths that Lo is
	HiLevel float64 `json:"hi_level"`
}

// Calibrate fills in the intervals of steps by what c knows of paths, which f
// has drawn at its temperature. Steps beyond the horizons of c get none.
func (f *Forecast) Calibrate(steps []Step, c *checkpoint.Calibration) {
	closes := make([]float64, len(f.Paths))
	for h := range steps {
		for i, p := range f.Paths {
			closes[i] = p.Candles[h].Close
		}
		slices.Sort(closes)
		steps[h].Intervals = nil
		for _, level := range NominalLevels {
			lo, hi, ok := c.PathLevels(steps[h].Step, level)
			if !ok {
				continue
			}
			steps[h].Intervals = append(steps[h].Intervals, Interval{
				Level: level, Lo: rankQuantile(closes, lo), Hi: rankQuantile(closes, hi), LoLevel: lo, HiLevel: hi,
			})
		}
	}
}

// Next is the interval of the next close at [AdaptiveLevel], from the exact
// density of the next return.
type Next struct {
	Level    float64      `json:"level"`
	Lo       float64      `json:"lo"`
	Hi       score.Number `json:"hi"` // infinite where the interval is the whole line
	LoLevel  float64      `json:"lo_level"`
	HiLevel  float64      `json:"hi_level"`
	MissRate float64      `json:"miss_rate"` // that adaptive conformal inference asks for today
	Outcomes int          `json:"outcomes"`  // candles since validation began that it has learnt from
}

// Next runs adaptive conformal inference over the candles of the series since
// validation began. It is nil where the checkpoint has no calibrated density.
func (o *Origin) Next(ctx context.Context) (*Next, error) {
	b := o.m.Bundle
	c := b.Calibration
	if c == nil || len(c.OneStep) == 0 {
		return nil, nil
	}
	streams := []*dataset.Stream{o.stream}
	windows := append(dataset.EvalWindows(streams, dataset.Val, b.Model.SeqLen), dataset.EvalWindows(streams, dataset.Test, b.Model.SeqLen)...)
	laws, err := predict.Laws(ctx, o.m.runner, o.m.codec, streams, windows, c.Temperature)
	if err != nil {
		return nil, err
	}
	a := NewAdaptive(c.OneStep, c.Gamma)
	for _, u := range transforms(o.m.codec, streams, laws) {
		a.Update(u)
	}
	d, err := o.Density(c.Temperature)
	if err != nil {
		return nil, err
	}
	last := o.Series.Candles[len(o.Series.Candles)-1].Close
	n := &Next{Level: AdaptiveLevel, MissRate: a.MissRate(), Outcomes: len(laws), Hi: score.Number(math.Inf(1))}
	n.LoLevel, n.HiLevel = a.Levels()
	if n.LoLevel > 0 {
		n.Lo = last * math.Exp(d.Quantile(n.LoLevel))
	}
	if n.HiLevel < 1 {
		n.Hi = score.Number(last * math.Exp(d.Quantile(n.HiLevel)))
	}
	return n, nil
}
