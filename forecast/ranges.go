package forecast

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
)

// RangeSample is the logarithm of the range ln(H/L) of every candle of an asset.
type RangeSample struct {
	Asset     string
	LogRanges []float64
	Train     int       // the first so many belong to training
	Sigma     []float64 // of every candle, what GARCH-t knew of its deviation; nil: not known
}

// RangeLaws are the laws that a baseline gives the logarithm of the range of every
// candle of every sample, each from the candles before it.
type RangeLaws struct {
	Name, Note string
	At         [][]density.StudentT
}

// leastRangeScale is the least scale of a law of a logarithm of a range: where
// most candles have none, the likelihood has no greatest value.
const leastRangeScale = 0.05

// FitRanges fits laws x = m + t of the logarithm x of the range on the training
// candles of samples, where m is known before the candle and t is Student's:
//
//	unconditional t  m = 0
//	EWMA .94 t       m an exponential mean of the x before
//	GARCH-t          m = ln σ; only where all samples have Sigma
//	HAR-t, pooled    m = b0 + b1·x[t−1] + b2·mean₅ + b3·mean₂₂ (Corsi 2009), by least
//	                 squares over all assets together
//
// The Student-t is that of all assets for the last, and of each asset for the
// others; an asset with fewer than 250 training candles has that of all. It fails
// with [ErrFewReturns] where there are fewer in all.
func FitRanges(samples []RangeSample) ([]RangeLaws, error) {
	har, err := fitRangeHAR(samples)
	if err != nil {
		return nil, err
	}
	var list []RangeLaws
	for _, b := range []struct {
		name, note string
		pooled     bool
		location   func(RangeSample) []float64
	}{
		{"unconditional t", "", false, func(s RangeSample) []float64 { return make([]float64, len(s.LogRanges)) }},
		{"EWMA .94 t", "of ln range", false, func(s RangeSample) []float64 { return rangeEWMA(s.LogRanges, har.mean) }},
		{"GARCH-t", "t of ln(range/σ)", false, func(s RangeSample) []float64 { return logs(s.Sigma) }},
		{NamePooledHAR, "of ln range", true, func(s RangeSample) []float64 { return har.locations(s.LogRanges) }},
	} {
		laws := RangeLaws{Name: b.name, Note: b.note}
		m := make([][]float64, len(samples))
		known := true
		for i, s := range samples {
			m[i] = b.location(s)
			known = known && len(m[i]) == len(s.LogRanges)
		}
		if !known {
			continue
		}
		if laws.At, err = fitRangeLaws(samples, m, b.pooled); err != nil {
			return nil, fmt.Errorf("forecast: ranges: %s: %w", b.name, err)
		}
		list = append(list, laws)
	}
	return list, nil
}

// fitRangeLaws fits the law of x − m to each asset, or one to all, and returns
// those of x around m.
func fitRangeLaws(samples []RangeSample, m [][]float64, pooled bool) ([][]density.StudentT, error) {
	residuals, all := make([][]float64, len(samples)), []float64(nil)
	for i, s := range samples {
		for t := burnIn; t < s.Train; t++ {
			residuals[i] = append(residuals[i], s.LogRanges[t]-m[i][t])
		}
		all = append(all, residuals[i]...)
	}
	common, err := density.FitStudentT(all)
	if err != nil {
		return nil, err
	}
	at := make([][]density.StudentT, len(samples))
	for i, s := range samples {
		law := common
		if !pooled && s.Train >= fewReturns {
			if law, err = density.FitStudentT(residuals[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Asset, err)
			}
		}
		law.Scale = max(law.Scale, leastRangeScale)
		for _, location := range m[i] {
			at[i] = append(at[i], density.StudentT{Mu: location + law.Mu, Scale: law.Scale, Nu: law.Nu})
		}
	}
	return at, nil
}

// rangeEWMA is the exponential mean of the x before each, with weights that sum to
// 1 however few there are; first stands before any.
func rangeEWMA(x []float64, first float64) []float64 {
	m := make([]float64, len(x))
	sum, weight := 0.0, 0.0
	for t, v := range x {
		m[t] = first
		if t > 0 {
			m[t] = sum / weight
		}
		sum = feature.DefaultLambda*sum + v
		weight = feature.DefaultLambda*weight + 1
	}
	return m
}

func logs(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Log(v)
	}
	return y
}

// fitRangeHAR is the regression of all x after the burn-in on their past.
func fitRangeHAR(samples []RangeSample) (*har, error) {
	h, n := &har{}, 0
	var X, y []float64
	for _, s := range samples {
		state := &harState{har: h}
		for t, x := range s.LogRanges[:s.Train] {
			if t >= burnIn {
				now := state.regressors()
				X, y = append(X, now[:]...), append(y, x)
			}
			state.push(x)
			h.mean += x
			n++
		}
	}
	if n < fewReturns || len(y) < fewReturns-burnIn {
		return nil, ErrFewReturns
	}
	h.mean /= float64(n)
	return h, h.regress(X, y)
}

// locations are the predictions of all x (n).
func (h *har) locations(x []float64) []float64 {
	m := make([]float64, len(x))
	state := &harState{har: h}
	for t, v := range x {
		m[t] = state.prediction()
		state.push(v)
	}
	return m
}
