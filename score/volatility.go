package score

import "math"

// QLIKE is the loss of a variance forecast h against a proxy of the variance,
// such as a squared return or [Parkinson]'s: smaller is better, and 0 is exact.
//
//	proxy/h − log(proxy/h) − 1
//
// The order of forecasts in expectation is that against the true variance, if
// the proxy is unbiased. A proxy of 0 costs +Inf; a negative one, and an h that
// is not positive, are NaN.
//
// Patton 2011.
func QLIKE(h, proxy float64) float64 {
	if !(h > 0) || !(proxy >= 0) {
		return math.NaN()
	}
	return proxy/h - math.Log(proxy/h) - 1
}

// MSE is the mean squared error of forecasts, in the square of their unit; NaN
// of nothing.
func MSE(forecast, actual []float64) float64 {
	checkLengths(len(forecast), len(actual))
	sum := 0.0
	for i, f := range forecast {
		sum += (f - actual[i]) * (f - actual[i])
	}
	return sum / float64(len(actual))
}

// R2 is the coefficient of determination out of sample, 1 less the ratio of
// the squared errors of forecast and benchmark: positive where forecast is
// better. NaN or −Inf where the benchmark has no error.
//
//	forecast   (N)
//	benchmark  (N)  such as the mean of what was known before each actual
//	actual     (N)
//
// Campbell & Thompson 2008.
func R2(forecast, benchmark, actual []float64) float64 {
	return 1 - MSE(forecast, actual)/MSE(benchmark, actual)
}

// The estimators of variance take the log moves of N candles from the close
// before: o, h, l and c (N) are log(open/previous close) and so on. They are
// variances a candle, in squared log return; NaN of nothing. All but YangZhang
// are of the time from open to close; Parkinson and GarmanKlass take it to have
// no drift.

// Parkinson estimates variance by ranges: mean (h − l)² / (4 log 2).
//
// Parkinson 1980.
func Parkinson(h, l []float64) float64 {
	return candleMean(func(i int) float64 { return (h[i] - l[i]) * (h[i] - l[i]) / (4 * math.Ln2) }, len(h), len(l))
}

// GarmanKlass estimates variance by ranges and closes:
// mean ½(h − l)² − (2 log 2 − 1)·(c − o)².
//
// Garman & Klass 1980, their practical estimator.
func GarmanKlass(o, h, l, c []float64) float64 {
	return candleMean(func(i int) float64 {
		r, m := h[i]-l[i], c[i]-o[i]
		return 0.5*r*r - (2*math.Ln2-1)*m*m
	}, len(h), len(l), len(o), len(c))
}

// RogersSatchell estimates variance whatever the drift:
// mean (h − o)(h − c) + (l − o)(l − c).
//
// Rogers & Satchell 1991.
func RogersSatchell(o, h, l, c []float64) float64 {
	return candleMean(func(i int) float64 {
		return (h[i]-o[i])*(h[i]-c[i]) + (l[i]-o[i])*(l[i]-c[i])
	}, len(h), len(l), len(o), len(c))
}

// YangZhang estimates the variance from close to close, the night included,
// whatever the drift: with V the sample variance over N candles,
//
//	V(o) + k·V(c − o) + (1 − k)·RogersSatchell,  k = .34/(1.34 + (N+1)/(N−1))
//
// NaN below two candles.
//
// Yang & Zhang 2000.
func YangZhang(o, h, l, c []float64) float64 {
	rs := RogersSatchell(o, h, l, c)
	if len(o) < 2 {
		return math.NaN()
	}
	day := make([]float64, len(o))
	for i := range day {
		day[i] = c[i] - o[i]
	}
	n := float64(len(o))
	k := 0.34 / (1.34 + (n+1)/(n-1))
	return variance(o) + k*variance(day) + (1-k)*rs
}

// variance is that of a sample, over n − 1.
func variance(x []float64) float64 {
	n := float64(len(x))
	mean, sum := 0.0, 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return sum / (n - 1)
}

// candleMean is the mean of f over candles whose arrays have these lengths.
func candleMean(f func(i int) float64, lengths ...int) float64 {
	checkLengths(lengths...)
	sum := 0.0
	for i := range lengths[0] {
		sum += f(i)
	}
	return sum / float64(lengths[0])
}
