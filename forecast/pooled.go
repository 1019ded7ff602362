package forecast

import (
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
)

// PooledHAR is the scale of kind HAR, whose six coefficients all assets share,
// with one Student-t for all: what highs and lows tell of the next return, and
// nothing else. Of all baselines it is the hardest to beat.
type PooledHAR struct {
	scaler  feature.Scaler
	law     density.StudentT
	candles []feature.Vector // scaled, of training; paths draw from them
}

// NamePooledHAR is the row of [PooledHAR].
const NamePooledHAR = "HAR-t, pooled"

// FitPooledHAR fits coefficients and law on the candles with Time < before.
func FitPooledHAR(series []*market.Series, before time.Time) (*PooledHAR, error) {
	scaler, err := feature.FitScaler(feature.HAR, series, before)
	if err != nil {
		return nil, err
	}
	b := &PooledHAR{scaler: scaler}
	var returns []float64
	for _, s := range series {
		states := scaler.States(s)
		for t := burnIn; t < len(s.Candles) && s.Candles[t].Time.Before(before); t++ {
			v := scaler.Encode(states[t], s.Candles[t])
			b.candles = append(b.candles, v)
			returns = append(returns, v[feature.LogReturn])
		}
	}
	b.law, err = density.FitStudentT(returns)
	return b, err
}

// Name returns [NamePooledHAR].
func (b *PooledHAR) Name() string { return NamePooledHAR }

// OneStep is that of a [Baseline].
func (b *PooledHAR) OneStep(s *market.Series) []density.Density {
	out := make([]density.Density, len(s.Candles))
	states := b.scaler.States(s)
	for t := 1; t < len(out); t++ {
		sigma := b.scaler.Sigma(states[t])
		out[t] = density.StudentT{Mu: sigma * b.law.Mu, Scale: sigma * b.law.Scale, Nu: b.law.Nu}
	}
	return out
}

// Paths is that of a [Baseline]: candles of training, drawn with replacement,
// at the scale that the path has reached (filtered historical simulation).
func (b *PooledHAR) Paths(s *market.Series, origin, horizon, paths int, seed uint64) [][]float64 {
	start, dates := b.scaler.States(s)[origin], datesFrom(s, origin, horizon+1)
	out := make([][]float64, paths)
	for i := range out {
		r, state := rng.New(seed, rng.Path, uint64(i)), start
		for h := range horizon {
			v := b.candles[r.IntN(len(b.candles))]
			state = b.scaler.Advance(state, b.scaler.Decode(state, v), dates[h+1])
			out[i] = append(out[i], math.Log(state.PrevClose/start.PrevClose))
		}
	}
	return out
}

// datesFrom are those of n candles of a series from candle origin on: known ones
// as far as there are, then those of [market.NextTimes].
func datesFrom(s *market.Series, origin, n int) []time.Time {
	times := s.Times()
	known := times[origin:min(origin+n, len(times))]
	return append(slices.Clone(known), market.NextTimes(times, s.Interval, n-len(known))...)
}
