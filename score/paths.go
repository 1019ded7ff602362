package score

import (
	"fmt"
	"math"
)

// EnergyScore is the fair estimator of the energy score of an ensemble of
// vectors, such as paths, against what happened, in the unit of both; smaller
// is better. In one dimension it is [CRPS]:
//
//	mean‖xᵢ − y‖ − 1/(2K(K−1)) Σᵢ Σⱼ ‖xᵢ − xⱼ‖
//
//	x  (K, H)  members, of any length in common
//	y  (H)
//
// A single member gives ‖x − y‖. O(K²·H).
//
// Gneiting & Raftery 2007, section 4.3, with exponent 1; fair as in Ferro 2014.
func EnergyScore(x [][]float64, y []float64) float64 {
	K := len(x)
	if K == 0 {
		panic("score: energy score of an empty ensemble")
	}
	var miss, spread float64
	for i, a := range x {
		miss += distance(a, y)
		for _, b := range x[:i] {
			spread += distance(a, b)
		}
	}
	miss /= float64(K)
	if K == 1 {
		return miss
	}
	return miss - spread/(float64(K)*float64(K-1))
}

// distance is the Euclidean norm of a − b.
func distance(a, b []float64) float64 {
	checkLengths(len(a), len(b))
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

// Pinball is the quantile loss, also tick loss, of forecast q of the
// level-quantile against y, in the unit of both; smaller is better. The mean
// over all levels is half the CRPS.
//
//	(level − 1{y < q})·(y − q)
//
// Koenker & Bassett 1978.
func Pinball(q, y, level float64) float64 {
	checkLevel(level)
	if y < q {
		return (1 - level) * (q - y)
	}
	return level * (y - q)
}

// WQL is the weighted quantile loss, without unit: the mean over levels of
// 2·Σ pinball/Σ|y|. NaN or +Inf where all y are 0.
//
//	q       (N, L)  forecast quantiles
//	y       (N)     what happened
//	levels  (L)
//
// As mean_weighted_sum_quantile_loss of GluonTS, Alexandrov et al. 2020.
func WQL(q [][]float64, y, levels []float64) float64 {
	checkLengths(len(q), len(y))
	if len(levels) == 0 {
		panic("score: WQL at no levels")
	}
	var loss, size float64
	for i, row := range q {
		checkLengths(len(row), len(levels))
		for j, level := range levels {
			loss += Pinball(row[j], y[i], level)
		}
		size += abs(y[i])
	}
	return 2 * loss / size / float64(len(levels))
}

// MASE is the mean absolute error of forecasts in units of that of the
// seasonal naive forecast, h[t−season], on history: below 1 is better than
// naive one step ahead. NaN where history is no longer than season; NaN or +Inf
// where naive has no error.
//
//	forecast  (N)
//	actual    (N)
//	history   (T)  what was known before
//	season    steps of a period, 1 for last value
//
// Hyndman & Koehler 2006.
func MASE(forecast, actual, history []float64, season int) float64 {
	if season < 1 {
		panic(fmt.Sprintf("score: season of %d steps", season))
	}
	if len(history) <= season {
		return math.NaN()
	}
	return mae(forecast, actual) / mae(history[:len(history)-season], history[season:])
}

// mae is the mean absolute error.
func mae(forecast, actual []float64) float64 {
	checkLengths(len(forecast), len(actual))
	sum := 0.0
	for i, f := range forecast {
		sum += abs(f - actual[i])
	}
	return sum / float64(len(actual))
}

// IntervalScore is the score of Winkler of a central interval of probability
// level, in the unit of y; smaller is better: the width, and 2/(1 − level)
// times the distance of a y outside.
//
// Winkler 1972; Gneiting & Raftery 2007, section 6.2.
func IntervalScore(lo, hi, y, level float64) float64 {
	checkLevel(level)
	return hi - lo + 2/(1-level)*max(lo-y, y-hi, 0)
}
