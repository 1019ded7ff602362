// Package score holds proper scores and tests of forecasts: plain functions on
// slices that know nothing of models.
package score

import (
	"slices"
)

// CRPS is the fair estimator of the continuous ranked probability score of an
// ensemble x against what happened, y, in the unit of both; smaller is better:
//
//	mean|xᵢ − y| − 1/(2K(K−1)) Σᵢ Σⱼ |xᵢ − xⱼ|
//
// Fair means that its expectation does not depend on K. A single member gives
// |x − y|. CRPS sorts a copy: O(K log K).
//
// Gneiting & Raftery 2007; Ferro 2014.
func CRPS(x []float64, y float64) float64 {
	K := len(x)
	if K == 0 {
		panic("score: CRPS of an empty ensemble")
	}
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	var miss, spread float64
	for i, v := range sorted {
		miss += abs(v - y)
		// Σᵢ<ⱼ (xⱼ − xᵢ) counts member i once up for each smaller member and
		// once down for each larger one.
		spread += v * float64(2*i-K+1)
	}
	miss /= float64(K)
	if K == 1 {
		return miss
	}
	return miss - spread/(float64(K)*float64(K-1))
}

// Quantile is the p-quantile of an ascending slice, linear between order
// statistics (type 7 of Hyndman & Fan 1996).
func Quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		panic("score: quantile of nothing")
	}
	at := p * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-1)
	if i == len(sorted)-1 {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}
