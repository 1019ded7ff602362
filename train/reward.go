package train

import "math"

// Rewards of the RL stage.
const (
	RewardTokenAcc  = "token_acc"  // fraction of the path's tokens that came true
	RewardReturnMSE = "return_mse" // −mean squared error of the path's log returns, in units of the volatility at the origin
	RewardCRPS      = "crps"       // −CRPS of cumulative log returns, in the same unit: the only proper one
	RewardSharpe    = "sharpe"     // Sharpe ratio per candle of trading the signs of the path's log returns
)

// Rewards are the names of all rewards.
func Rewards() []string {
	return []string{RewardTokenAcc, RewardReturnMSE, RewardCRPS, RewardSharpe}
}

// tokenAccuracy is the fraction of path that equals truth.
func tokenAccuracy(path, truth []int32) float64 {
	hits := 0
	for i := range path {
		if path[i] == truth[i] {
			hits++
		}
	}
	return float64(hits) / float64(len(path))
}

// returnMSE is minus the mean squared difference of the one-step returns whose
// cumulative sums are given.
func returnMSE(path, truth []float64) float64 {
	sum, x, y := 0.0, 0.0, 0.0
	for i := range path {
		d := (path[i] - x) - (truth[i] - y)
		sum += d * d
		x, y = path[i], truth[i]
	}
	return -sum / float64(len(path))
}

// sharpeRidge bounds the deviation that profits are divided by from below, in
// units of the volatility at the origin. A horizon of one candle has no
// deviation, and of few candles some have next to none by chance.
const sharpeRidge = 0.1

// sharpe is the Sharpe ratio, per candle and without costs, of a policy that
// trades its own draw: in every candle it holds the sign of the path's return
// and earns that times the return that came,
//
//	profit[h] = sign(Δpath[h])·Δtruth[h]
//	sharpe    = mean(profit) / √(var(profit) + sharpeRidge²)
//
// with the population variance over the horizon. It is no proper score: of a
// path it sees the signs alone, so it says nothing of how far prices go; and its
// expectation is linear in the distribution that paths are drawn from, so it is
// largest with all of the mass on one sequence of signs, not for the
// distribution that candles come from.
//
//	path, truth  (H)  cumulative log returns in units of the volatility at the origin
//
// Sharpe 1994, "The Sharpe Ratio".
func sharpe(path, truth []float64) float64 {
	n := float64(len(path))
	mean, square, x, y := 0.0, 0.0, 0.0, 0.0
	for h := range path {
		profit := 0.0
		if move := path[h] - x; move != 0 {
			profit = math.Copysign(1, move) * (truth[h] - y)
		}
		mean += profit / n
		square += profit * profit / n
		x, y = path[h], truth[h]
	}
	// Rounding may take the difference below zero by less than the ridge.
	return mean / math.Sqrt(square-mean*mean+sharpeRidge*sharpeRidge)
}

// leaveOneOut subtracts from each reward the mean of the others: a baseline
// that does not depend on the path that it judges, so the gradient stays
// unbiased.
//
// Kool, van Hoof & Welling 2019, "Buy 4 REINFORCE samples, get a baseline for free!".
func leaveOneOut(rewards []float64) []float64 {
	sum := 0.0
	for _, r := range rewards {
		sum += r
	}
	n := float64(len(rewards))
	advantages := make([]float64, len(rewards))
	for i, r := range rewards {
		advantages[i] = r - (sum-r)/(n-1)
	}
	return advantages
}

// crpsAdvantages returns the reward of every path of a group and what remains
// of it after a baseline,
//
//	r[i] = −|x[i] − y| + 1/(K−1) Σ_{j≠i} |x[i] − x[j]|
//	b[i] = mean over j≠i of ( −|x[j] − y| + 1/(K−2) Σ_{l≠i,j} |x[j] − x[l]| )
//
// averaged over the steps of the path. E r[i]∇ln p(x[i]) is the exact gradient
// of −CRPS. The plain leave-one-out mean would be a biased baseline, because
// r[j] contains |x[j] − x[i]|; b[i] leaves path i out of everything.
//
//	x  (K, H)  cumulative log returns of the paths, K ≥ 3
//	y  (H)     what happened
func crpsAdvantages(x [][]float64, y []float64) (rewards, advantages []float64) {
	K, H := len(x), len(y)
	rewards, advantages = make([]float64, K), make([]float64, K)
	miss := make([]float64, K)   // |x[j] − y|
	spread := make([]float64, K) // Σ_l |x[j] − x[l]|
	for h := range H {
		allMiss, allSpread := 0.0, 0.0
		for j := range K {
			miss[j] = math.Abs(x[j][h] - y[h])
			spread[j] = 0
			for l := range K {
				spread[j] += math.Abs(x[j][h] - x[l][h])
			}
			allMiss += miss[j]
			allSpread += spread[j]
		}
		k := float64(K)
		for i := range K {
			r := -miss[i] + spread[i]/(k-1)
			// Σ_{j≠i} Σ_{l≠i,j} |x[j] − x[l]|: all pairs without those of i.
			others := allSpread - 2*spread[i]
			b := (-(allMiss - miss[i]) + others/(k-2)) / (k - 1)
			rewards[i] += r / float64(H)
			advantages[i] += (r - b) / float64(H)
		}
	}
	return rewards, advantages
}
