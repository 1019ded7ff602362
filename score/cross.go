package score

import (
	"cmp"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
)

// IC is the information coefficient: the correlation over the assets of a date
// of forecasts with what they forecast. series has one for each date, ascending,
// that has three assets or more and variation on both sides; test is whether its
// mean is zero, as in [Clustered]. NaN goes through to both.
//
//	dates     (M)  dates of the forecasts, in any order
//	forecast  (M)
//	realised  (M)
//	horizon   steps ahead of the forecasts, from 1
//	lag       autocovariances of the series that count, from 0
//
// Grinold & Kahn 2000.
func IC(dates []time.Time, forecast, realised []float64, horizon, lag int) (series []float64, test Test) {
	return correlations(dates, forecast, realised, horizon, lag, pearson)
}

// RankIC is [IC] with the rank correlation of Spearman.
func RankIC(dates []time.Time, forecast, realised []float64, horizon, lag int) (series []float64, test Test) {
	return correlations(dates, forecast, realised, horizon, lag, Spearman)
}

func correlations(dates []time.Time, forecast, realised []float64, horizon, lag int, of func(x, y []float64) float64) ([]float64, Test) {
	checkLengths(len(dates), len(forecast), len(realised))
	var series []float64
	for _, group := range byDate(dates) {
		if len(group) < 3 { // two points always correlate fully
			continue
		}
		var x, y []float64
		for _, i := range group {
			x, y = append(x, forecast[i]), append(y, realised[i])
		}
		if constant(x) || constant(y) {
			continue
		}
		series = append(series, of(x, y))
	}
	return series, testOfMean(series, ones(len(series)), horizon, lag)
}

// constant says whether all of x are alike; NaN is not.
func constant(x []float64) bool { return slices.Min(x) == slices.Max(x) }

func pearson(x, y []float64) float64 { return stat.Correlation(x, y, nil) }

// Spearman is the rank correlation of x and y, where equal values have the mean
// of their ranks; NaN where one side does not vary, or holds NaN.
//
// Spearman 1904.
func Spearman(x, y []float64) float64 {
	checkLengths(len(x), len(y))
	if len(x) == 0 || slices.ContainsFunc(x, math.IsNaN) || slices.ContainsFunc(y, math.IsNaN) {
		return math.NaN()
	}
	return pearson(ranks(x), ranks(y))
}

// ranks are the ranks of x from 1, equal values at the mean of theirs.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	r := make([]float64, len(x))
	for at := 0; at < len(order); {
		end := at + 1
		for end < len(order) && x[order[end]] == x[order[at]] {
			end++
		}
		for _, i := range order[at:end] {
			r[i] = float64(at+end+1) / 2
		}
		at = end
	}
	return r
}
