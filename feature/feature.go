// Package feature turns a candle into five log moves and back, and scales them
// by a volatility that was known before the candle.
//
// Four of the five features decode, and the two wicks are never negative, so
// that whatever vector a model produces, the decoded candle is valid:
// low ≤ open, close ≤ high, positive, finite.
package feature

import (
	"math"

	"github.com/micro-quant/mqc/market"
)

// Places of the features in a [Vector].
const (
	LogReturn = iota // ln(C/C₋₁)
	Body             // ln(C/O)
	UpperWick        // ln(H/max(O,C)), ≥ 0
	LowerWick        // ln(min(O,C)/L), ≥ 0
	Range            // ln(H/L) = upper + |body| + lower: encoded, never decoded

	Size // number of features
)

// Names spells the features as the tables print them, in the order of a
// [Vector].
var Names = [Size]string{"log_return", "body", "upper_wick", "lower_wick", "range"}

// Vector holds the five features of one candle, as log moves or scaled.
type Vector [Size]float64

// Bounds that keep decoding finite. They are far outside of any market: a
// factor of 4.8e8 within one candle, and prices from 1e-150 to 1e150.
const (
	MaxMove  = 20.0   // largest absolute log move that Decode applies
	MinPrice = 1e-150 // least close that Decode returns
	MaxPrice = 1e150  // largest close that Decode returns
)

// Finite says whether all features are finite numbers.
func (v Vector) Finite() bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// CandleFeatures is how many numbers [Vector.Features] appends.
const CandleFeatures = Size + 1

// maxCandleFeature bounds each of them: a move of 200 times the scale.
const maxCandleFeature = 6

// Features appends what a scaled candle tells a model, as about unit numbers:
// asinh of every feature, which is linear near zero and a logarithm far out,
// and ln(0.05+|z|) of the log return z, which is about linear in volatility.
func (v Vector) Features(to []float32) []float32 {
	put := func(x float64) { to = append(to, float32(clamp(x, -maxCandleFeature, maxCandleFeature))) }
	for _, x := range v {
		put(math.Asinh(x))
	}
	put(math.Log(0.05 + math.Abs(v[LogReturn])))
	return to
}

// Returns are the log returns of vectors.
func Returns(vectors []Vector) []float64 {
	r := make([]float64, len(vectors))
	for i, v := range vectors {
		r[i] = v[LogReturn]
	}
	return r
}

// WithReturn is v with another log return: gap and wicks stay, so the body takes
// the difference.
func (v Vector) WithReturn(r float64) Vector {
	v[Body] += r - v[LogReturn]
	v[LogReturn] = r
	v[Range] = v[UpperWick] + math.Abs(v[Body]) + v[LowerWick]
	return v
}

// Encode returns the log moves of the candle from the close before it. The
// prices must be positive and finite, as [market.Series.Validate] guarantees.
func Encode(prevClose float64, c market.Candle) Vector {
	return Vector{
		LogReturn: logRatio(c.Close, prevClose),
		Body:      logRatio(c.Close, c.Open),
		UpperWick: logRatio(c.High, max(c.Open, c.Close)),
		LowerWick: logRatio(min(c.Open, c.Close), c.Low),
		Range:     logRatio(c.High, c.Low),
	}
}

// logRatio is ln(a/b), also where the quotient leaves the range of a float64.
func logRatio(a, b float64) float64 {
	q := a / b
	if q == 0 || math.IsInf(q, 0) {
		return math.Log(a) - math.Log(b)
	}
	return math.Log(q)
}

// Decode is the inverse of [Encode] for moves up to [MaxMove] and closes
// between [MinPrice] and [MaxPrice]; what lies outside is clamped, negative
// wicks are zero, and a NaN counts as no move. The Range entry is not read:
// the other four define it. For a positive finite prevClose and any vector
// the prices are positive and finite, and low ≤ open, close ≤ high.
func Decode(prevClose float64, v Vector) (open, high, low, close float64) {
	close = prevClose * math.Exp(clamp(v[LogReturn], -MaxMove, MaxMove))
	close = min(max(close, MinPrice), MaxPrice)
	open = close * math.Exp(-clamp(v[Body], -MaxMove, MaxMove))
	// exp(x) ≥ 1 for x ≥ 0, so rounding cannot bring high under the body.
	high = max(open, close) * math.Exp(clamp(v[UpperWick], 0, MaxMove))
	low = min(open, close) * math.Exp(-clamp(v[LowerWick], 0, MaxMove))
	return open, high, low, close
}

// clamp returns x within [lo, hi], and 0 for NaN.
func clamp(x, lo, hi float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, lo), hi)
}
