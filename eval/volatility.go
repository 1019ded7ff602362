package eval

import (
	"context"
	"math"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/score"
)

// VolatilityTable scores forecasts of the variance of the next log return.
type VolatilityTable struct {
	Scope
	Lag  int             `json:"lag"`
	Rows []VolatilityRow `json:"rows"`
}

// VolatilityRow is one model or baseline.
type VolatilityRow struct {
	Name    string       `json:"name"`
	QLIKE   float64      `json:"qlike"`    // mean, against the range variance; less is better
	QLIKEr2 float64      `json:"qlike_r2"` // mean, against the squared return
	LogMSE  float64      `json:"log_mse"`  // mean squared error of the logarithm of the range variance
	R2      score.Number `json:"r2"`       // of the range variance, out of sample, over the training mean of each asset
	Gains   []Gain       `json:"gains"`    // in QLIKE against the range variance: positive is better
}

// Volatility scores the variance of every law against two proxies of what it
// was: the variance that the candle shows, of Garman and Klass from open to
// close with the squared gap before it, in units in which its training mean is
// that of squared returns for each asset; and the squared return itself. QLIKE
// ranks forecasts as the true variance would (Patton 2011).
func (c *Contest) Volatility(ctx context.Context) (*VolatilityTable, error) {
	t := &VolatilityTable{Scope: c.Scope, Lag: significanceLag}
	proxy, level := c.rangeVariance()
	losses := make([][]float64, len(c.laws))
	for i, l := range c.laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h := c.variances(l)
		row := VolatilityRow{Name: l.name}
		losses[i] = qlike(h, proxy)
		n := float64(len(h))
		for k, v := range h {
			row.QLIKE += losses[i][k] / n
			row.QLIKEr2 += score.QLIKE(v, max(c.returns[k]*c.returns[k], leastProxy*v)) / n
			d := math.Log(v / proxy[k])
			row.LogMSE += d * d / n
		}
		row.R2 = score.Number(score.R2(h, level, proxy))
		t.Rows = append(t.Rows, row)
	}
	for i := range t.Rows {
		t.Rows[i].Gains = c.gains(i, 1, significanceLag, func(law, target int) float64 { return -losses[law][target] })
	}
	return t, nil
}

// qlike is the loss of every variance against its proxy.
func qlike(h, proxy []float64) []float64 {
	loss := make([]float64, len(h))
	for k, v := range h {
		loss[k] = score.QLIKE(v, proxy[k])
	}
	return loss
}

// leastProxy is the smallest share of a variance that a candle without any move
// is taken to show: QLIKE has no value at zero.
const leastProxy = 1e-4

// variances are those of a law for every target.
func (c *Contest) variances(l law) []float64 {
	h := make([]float64, len(c.targets))
	parallel.For(len(h), 64, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			_, h[k] = moments(l.at(c.targets[k].stream, c.targets[k].index))
		}
	})
	return h
}

// moments are mean and variance of a density.
func moments(d density.Density) (mean, variance float64) {
	switch d := d.(type) {
	case density.StudentT:
		std := d.Std()
		return d.Mu, std * std
	case *density.Piecewise:
		m, square := d.Moments()
		return m, square - m*m
	case density.Mixture:
		square := 0.0
		for i, part := range d.Parts {
			m, v := moments(part)
			mean += d.Weights[i] * m
			square += d.Weights[i] * (v + m*m)
		}
		return mean, square - mean*mean
	}
	panic("eval: moments of an unknown density")
}

// rangeVariance is the variance that the candle of every target shows, and the
// mean of it in training for the asset.
func (c *Contest) rangeVariance() (proxy, level []float64) {
	scale, mean := make([]float64, len(c.streams)), make([]float64, len(c.streams))
	for i, s := range c.streams {
		lo, hi := s.Bounds(dataset.Train)
		var shown, squared float64
		for k := lo; k < hi; k++ {
			r := math.Log(s.Candles[k].Close / s.States[k].PrevClose)
			shown += feature.CandleVariance(s.States[k].PrevClose, s.Candles[k])
			squared += r * r
		}
		scale[i], mean[i] = 1, math.NaN()
		if shown > 0 && squared > 0 {
			scale[i], mean[i] = squared/shown, squared/float64(hi-lo)
		}
	}
	for _, at := range c.targets {
		s := c.streams[at.stream]
		v := scale[at.stream] * feature.CandleVariance(s.States[at.index].PrevClose, s.Candles[at.index])
		m := mean[at.stream]
		if math.IsNaN(m) {
			m = v
		}
		proxy = append(proxy, max(v, leastProxy*m, math.SmallestNonzeroFloat64))
		level = append(level, m)
	}
	return proxy, level
}
