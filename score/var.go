package score

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// LikelihoodRatio is a test of a hypothesis inside a wider model. Stat and P
// are NaN where the data cannot tell; the function says when.
type LikelihoodRatio struct {
	Stat float64 // twice the gain in log likelihood of the wider model
	P    float64 // by the χ² law
	DF   int     // degrees of freedom of that law
}

// likelihoodRatio is the test from the log likelihoods of the hypothesis and of
// the wider model's best fit.
func likelihoodRatio(null, best float64, df int) LikelihoodRatio {
	stat := max(2*(best-null), 0) // a gain below zero is rounding
	p := 0.0
	if !math.IsInf(stat, 1) {
		p = distuv.ChiSquared{K: float64(df)}.Survival(stat)
	}
	return LikelihoodRatio{Stat: stat, P: p, DF: df}
}

// Kupiec tests whether a share p of hits, returns beyond their value at risk,
// is what was observed: unconditional coverage. NaN of no hits at all to count.
//
// Kupiec 1995.
func Kupiec(hits []bool, p float64) LikelihoodRatio {
	checkLevel(p)
	if len(hits) == 0 {
		return LikelihoodRatio{Stat: math.NaN(), P: math.NaN(), DF: 1}
	}
	var no, yes float64
	for _, hit := range hits {
		if hit {
			yes++
		} else {
			no++
		}
	}
	return likelihoodRatio(bernoulli(no, yes, p), bernoulli(no, yes, yes/(no+yes)), 1)
}

// Christoffersen tests value at risk given the step before. Independence asks
// whether a hit is as probable after a hit as after none; conditional, whether
// it is p after either: Stat is the sum of that of independence and that of
// [Kupiec] without the first step. NaN below two steps.
//
//	hits  (N)  whether the return went beyond its value at risk, in order of time
//	p     share of hits that was promised
//
// Christoffersen 1998, sections 3.2 and 3.3, given the first step.
func Christoffersen(hits []bool, p float64) (independence, conditional LikelihoodRatio) {
	checkLevel(p)
	if len(hits) < 2 {
		nan := math.NaN()
		return LikelihoodRatio{nan, nan, 1}, LikelihoodRatio{nan, nan, 2}
	}
	var n [2][2]float64 // transitions, from and to
	for i := 1; i < len(hits); i++ {
		n[index(hits[i-1])][index(hits[i])]++
	}
	no, yes := n[0][0]+n[1][0], n[0][1]+n[1][1]
	markov := 0.0
	for _, row := range n {
		if row[0]+row[1] > 0 {
			markov += bernoulli(row[0], row[1], row[1]/(row[0]+row[1]))
		}
	}
	return likelihoodRatio(bernoulli(no, yes, yes/(no+yes)), markov, 1),
		likelihoodRatio(bernoulli(no, yes, p), markov, 2)
}

// bernoulli is the log likelihood of probability p, with 0·log 0 = 0.
func bernoulli(no, yes, p float64) float64 {
	sum := 0.0
	if no > 0 {
		sum += no * math.Log1p(-p)
	}
	if yes > 0 {
		sum += yes * math.Log(p)
	}
	return sum
}

func index(hit bool) int {
	if hit {
		return 1
	}
	return 0
}

// FZ0 is the loss of a forecast of value at risk and expected shortfall
// together; smaller is better, and the true pair is best in expectation, where
// it is log(−shortfall):
//
//	−1{y ≤ v}·(v − y)/(α·e) + v/e + log(−e) − 1
//
//	y       return that came
//	v       forecast α-quantile of the return
//	e       forecast mean of the returns below v; not negative: NaN
//	alpha   share of returns below v, such as .05
//
// Fissler & Ziegel 2016; Patton, Ziegel & Chen 2019, there L_FZ0. For value at risk
// alone the loss is [Pinball].
func FZ0(y, v, e, alpha float64) float64 {
	checkLevel(alpha)
	if !(e < 0) {
		return math.NaN()
	}
	loss := v/e + math.Log(-e) - 1
	if y <= v {
		loss -= (v - y) / (alpha * e)
	}
	return loss
}
