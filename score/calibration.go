package score

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// The probability integral transform u of an outcome is the forecast's
// distribution function at it. Of calibrated forecasts u is uniform, and
// independent from step to step at horizon 1. A u outside 0 to 1 is a panic.

// Coverage is the share of outcomes inside the central interval of probability
// level, by their transforms u, with the interval of [Wilson] at confidence.
// Of no outcomes the share is NaN.
func Coverage(u []float64, level, confidence float64) (share, lo, hi float64) {
	checkPIT(u)
	checkLevel(level)
	inside := 0
	for _, v := range u {
		if math.Abs(2*v-1) <= level {
			inside++
		}
	}
	lo, hi = Wilson(inside, len(u), confidence)
	return float64(inside) / float64(len(u)), lo, hi
}

// RankPIT is the transform of y by a sample in place of a distribution
// function: its rank among the draws x, which ascend, with u in [0,1) for the
// place among its equals, or in the gap that it falls into. Where y comes from
// the law of x and u is uniform, so is the transform.
func RankPIT(x []float64, y, u float64) float64 {
	rank, _ := slices.BinarySearch(x, y)
	equal := 0
	for rank+equal < len(x) && x[rank+equal] == y {
		equal++
	}
	return (float64(rank) + u*float64(equal+1)) / float64(len(x)+1)
}

// PITHistogram counts u in equal bins from 0 to 1. Calibrated forecasts fill
// them evenly; too narrow ones the ends, too wide ones the middle.
func PITHistogram(u []float64, bins int) []int {
	checkPIT(u)
	if bins < 1 {
		panic(fmt.Sprintf("score: %d bins", bins))
	}
	counts := make([]int, bins)
	for _, v := range u {
		counts[bin(v, bins)]++
	}
	return counts
}

// KolmogorovSmirnov tests whether u is uniform: stat is the largest distance
// between its distribution function and the uniform's. p is that of the limit
// law with the correction of Stephens: from five outcomes on it is within .0014
// of the exact p below .1, and within .023 above. NaN of nothing.
//
// Kolmogorov 1933; Stephens 1970.
func KolmogorovSmirnov(u []float64) (stat, p float64) {
	checkPIT(u)
	if len(u) == 0 {
		return math.NaN(), math.NaN()
	}
	sorted := slices.Clone(u)
	slices.Sort(sorted)
	n := float64(len(u))
	for i, v := range sorted {
		stat = max(stat, v-float64(i)/n, float64(i+1)/n-v)
	}
	root := math.Sqrt(n)
	return stat, kolmogorov((root + 0.12 + 0.11/root) * stat)
}

// kolmogorov is the probability that the limit of √n·D is above x. The two
// series are equal; each converges where it is used in four terms.
func kolmogorov(x float64) float64 {
	sum := 0.0
	if x < 1 {
		if x < 0.1 {
			return 1 // the probability of less is below 1e-52
		}
		for k := 1.0; k <= 7; k += 2 {
			sum += math.Exp(-k * k * math.Pi * math.Pi / (8 * x * x))
		}
		return 1 - math.Sqrt(2*math.Pi)/x*sum
	}
	for k, sign := 1.0, 1.0; k <= 4; k, sign = k+1, -sign {
		sum += sign * math.Exp(-2*k*k*x*x)
	}
	return 2 * sum
}

// Berkowitz tests whether u is uniform and independent: z, the normal quantiles
// of u, are independent standard normals against
// z[t] = a + ρ·z[t−1] + σ·ε[t], likelihoods given the first. A u of 0 or 1 was
// ruled out by the forecast: Stat is +Inf. NaN below five outcomes.
//
//	u  (N)  in the order of time, forecasts one step ahead
//
// Berkowitz 2001.
func Berkowitz(u []float64) LikelihoodRatio {
	checkPIT(u)
	if len(u) < 5 {
		return LikelihoodRatio{Stat: math.NaN(), P: math.NaN(), DF: 3}
	}
	z := make([]float64, len(u))
	for i, v := range u {
		z[i] = distuv.UnitNormal.Quantile(v)
		if math.IsInf(z[i], 0) {
			return LikelihoodRatio{Stat: math.Inf(1), P: 0, DF: 3}
		}
	}
	prev, next := z[:len(z)-1], z[1:]
	n := float64(len(next))
	var meanP, meanN float64
	for t := range next {
		meanP += prev[t] / n
		meanN += next[t] / n
	}
	var pp, pn, nn, square float64
	for t := range next {
		p, q := prev[t]-meanP, next[t]-meanN
		pp += p * p
		pn += p * q
		nn += q * q
		square += next[t] * next[t]
	}
	rest := nn // squared residuals of the regression of next on prev
	if pp > 0 {
		rest = max(nn-pn*pn/pp, 0)
	}
	// Both without −n/2·log 2π.
	return likelihoodRatio(-square/2, -n/2*(math.Log(rest/n)+1), 3)
}

// ReliabilityBin is what happened where an event was forecast with about the
// same probability.
type ReliabilityBin struct {
	Forecast float64 `json:"forecast"` // mean probability
	Observed float64 `json:"observed"` // share that happened
	Lo       float64 `json:"lo"`       // interval of Wilson for the share
	Hi       float64 `json:"hi"`
	N        int     `json:"n"`
}

// Reliability is the table of a reliability diagram: forecasts of an event's
// probability in equal bins from 0 to 1, empty ones left out. Calibrated
// forecasts have Observed equal to Forecast up to chance; confidence is that of
// the intervals for Observed.
//
// Murphy & Winkler 1977.
func Reliability(probability []float64, happened []bool, bins int, confidence float64) []ReliabilityBin {
	checkPIT(probability)
	checkLengths(len(probability), len(happened))
	counts := PITHistogram(probability, bins)
	sum, hits := make([]float64, bins), make([]int, bins)
	for i, p := range probability {
		b := bin(p, bins)
		sum[b] += p
		if happened[i] {
			hits[b]++
		}
	}
	var table []ReliabilityBin
	for b, n := range counts {
		if n == 0 {
			continue
		}
		lo, hi := Wilson(hits[b], n, confidence)
		table = append(table, ReliabilityBin{
			Forecast: sum[b] / float64(n),
			Observed: float64(hits[b]) / float64(n),
			Lo:       lo, Hi: hi, N: n,
		})
	}
	return table
}

// bin is the bin of v in 0 to 1; 1 belongs to the last.
func bin(v float64, bins int) int { return min(int(v*float64(bins)), bins-1) }

// checkPIT panics unless all of u are from 0 to 1.
func checkPIT(u []float64) {
	for i, v := range u {
		if !(v >= 0 && v <= 1) {
			panic(fmt.Sprintf("score: probability %v at %d is not from 0 to 1", v, i))
		}
	}
}
