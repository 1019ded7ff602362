package score

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// HitRate counts the forecasts whose sign came true, hits of n. A pair with a
// zero on either side has no direction and is left out; NaN is a panic.
func HitRate(predicted, realised []float64) (hits, n int) {
	eachSign(predicted, realised, func(p, r bool) {
		n++
		if p == r {
			hits++
		}
	})
	return hits, n
}

// Wilson is the interval for the probability of which k of n came true, with
// coverage level. Of n = 0 nothing is known: 0 to 1.
//
// Wilson 1927; Newcombe 1998, method 3.
func Wilson(k, n int, level float64) (lo, hi float64) {
	checkCount(k, n)
	checkLevel(level)
	if n == 0 {
		return 0, 1
	}
	z, N := distuv.UnitNormal.Quantile((1+level)/2), float64(n)
	p := float64(k) / N
	mid := p + z*z/(2*N)
	half := z * math.Sqrt(p*(1-p)/N+z*z/(4*N*N))
	lo, hi = (mid-half)/(1+z*z/N), (mid+half)/(1+z*z/N)
	// At the ends the two terms are equal, but not their rounding.
	if k == 0 {
		lo = 0
	}
	if k == n {
		hi = 1
	}
	return lo, hi
}

// Binomial is the exact two-sided test of k of n against probability p: the
// probability of all outcomes that are at most as likely as k. O(n).
func Binomial(k, n int, p float64) float64 {
	checkCount(k, n)
	if !(p >= 0 && p <= 1) {
		panic(fmt.Sprintf("score: probability %v", p))
	}
	if p == 0 || p == 1 {
		if float64(k) == p*float64(n) {
			return 1
		}
		return 0
	}
	law := distuv.Binomial{N: float64(n), P: p}
	// Outcomes that are equally likely, such as k and n−k at ½, differ by the
	// rounding of their logarithms.
	most := law.LogProb(float64(k)) + 1e-7
	sum := 0.0
	for i := range n + 1 {
		if l := law.LogProb(float64(i)); l <= most {
			sum += math.Exp(l)
		}
	}
	return min(sum, 1)
}

// PesaranTimmermann tests whether the signs of predicted and realised depend on
// each other. With P̂ the share of hits, P* the share expected of independent
// signs, and V their variances,
//
//	stat = (P̂ − P*) / √(V(P̂) − V(P*))
//
// is standard normal without dependence and positive where predictions hit more
// often than that. p is two-sided. Pairs with a zero are left out, as in
// [HitRate]; where one side never varies, which tells of no dependence, stat is
// 0 and p is 1.
//
// Pesaran & Timmermann 1992.
func PesaranTimmermann(predicted, realised []float64) (stat, p float64) {
	var n, up, rose, both float64
	eachSign(predicted, realised, func(p, r bool) {
		n++
		if p {
			up++
		}
		if r {
			rose++
		}
		if p && r {
			both++
		}
	})
	if up == 0 || up == n || rose == 0 || rose == n {
		return 0, 1
	}
	// P̂ − P* is twice the covariance of the two indicators, and the variances
	// differ by 4·x(1−x)·y(1−y)·(n−1)/n² with x and y the shares of ups: written
	// so, nothing cancels.
	x, y := up/n, rose/n
	stat = (both/n - x*y) * n / math.Sqrt(x*(1-x)*y*(1-y)*(n-1))
	return stat, math.Erfc(abs(stat) / math.Sqrt2)
}

// eachSign calls f with whether each pair's sides are positive, zeros left out.
func eachSign(predicted, realised []float64, f func(p, r bool)) {
	checkLengths(len(predicted), len(realised))
	for i, p := range predicted {
		r := realised[i]
		if math.IsNaN(p) || math.IsNaN(r) {
			panic(fmt.Sprintf("score: sign of NaN at %d", i))
		}
		if p != 0 && r != 0 {
			f(p > 0, r > 0)
		}
	}
}

// checkCount panics unless k of n is possible.
func checkCount(k, n int) {
	if k < 0 || k > n {
		panic(fmt.Sprintf("score: %d of %d", k, n))
	}
}
