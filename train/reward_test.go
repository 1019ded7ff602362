package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTokenAccuracy(t *testing.T) {
	if got := tokenAccuracy([]int32{1, 2, 3, 4}, []int32{1, 0, 3, 0}); got != 0.5 {
		t.Errorf("tokenAccuracy = %v, want .5", got)
	}
}

func TestReturnMSE(t *testing.T) {
	// One-step returns (1, 2) against (1, 4): errors 0 and 2.
	if got := returnMSE([]float64{1, 3}, []float64{1, 5}); got != -2 {
		t.Errorf("returnMSE = %v, want -2", got)
	}
}

func TestLeaveOneOut(t *testing.T) {
	got := leaveOneOut([]float64{1, 2, 6})
	if want := []float64{1 - 4, 2 - 3.5, 6 - 1.5}; !slices.Equal(got, want) {
		t.Errorf("leaveOneOut = %v, want %v", got, want)
	}
}

// A policy over a few outcomes, for which the gradient of −E CRPS is a sum
// that can be written down.
var (
	outcomes = []float64{-2, -0.5, 0.3, 1.5}
	policy   = []float64{0.1, 0.4, 0.3, 0.2} // softmax probabilities
	truth    = 0.6
)

// exactGradient is d/dlogit[k] of −CRPS(policy, truth) = −Σ p|x−y| + ½ΣΣ pp|x−x'|:
// p[k]·(g[k] − Σ p g) with g[k] = −|x[k]−y| + Σ p[j]|x[k]−x[j]|.
func exactGradient() []float64 {
	g := make([]float64, len(outcomes))
	mean := 0.0
	for k, x := range outcomes {
		g[k] = -math.Abs(x - truth)
		for j, z := range outcomes {
			g[k] += policy[j] * math.Abs(x-z)
		}
		mean += policy[k] * g[k]
	}
	for k := range g {
		g[k] = policy[k] * (g[k] - mean)
	}
	return g
}

// estimate returns mean and standard error of the REINFORCE gradient with the
// given advantages, over groups of K draws.
func estimate(K, groups int, advantages func(x [][]float64, y []float64) []float64) (mean, se []float64) {
	r := rand.New(rand.NewPCG(11, 12))
	mean, se = make([]float64, len(outcomes)), make([]float64, len(outcomes))
	squares := make([]float64, len(outcomes))
	drawn := make([]int, K)
	x := make([][]float64, K)
	for range groups {
		for i := range drawn {
			u, k := r.Float64(), 0
			for u >= policy[k] && k < len(policy)-1 {
				u -= policy[k]
				k++
			}
			drawn[i], x[i] = k, []float64{outcomes[k]}
		}
		a := advantages(x, []float64{truth})
		for k := range outcomes {
			// ∇ln p(x[i]) with respect to logit k is 1{x[i]=k} − p[k].
			g := 0.0
			for i := range drawn {
				d := -policy[k]
				if drawn[i] == k {
					d++
				}
				g += a[i] * d / float64(K)
			}
			mean[k] += g / float64(groups)
			squares[k] += g * g / float64(groups)
		}
	}
	for k := range se {
		se[k] = math.Sqrt((squares[k] - mean[k]*mean[k]) / float64(groups))
	}
	return mean, se
}

// misses counts the logits whose estimate is more than three standard errors
// from the exact gradient.
func misses(mean, se []float64) (n int) {
	for k, want := range exactGradient() {
		if math.Abs(mean[k]-want) > 3*se[k] {
			n++
		}
	}
	return n
}

func TestCRPSGradientIsUnbiased(t *testing.T) {
	mean, se := estimate(4, 200_000, func(x [][]float64, y []float64) []float64 {
		_, a := crpsAdvantages(x, y)
		return a
	})
	if n := misses(mean, se); n > 0 {
		t.Errorf("gradient %v ± %v, exact %v: %d of %d off by more than 3 standard errors", mean, se, exactGradient(), n, len(mean))
	}
}

// The test above can tell: the mean reward of the others, which contains the
// path itself, fails it.
func TestPlainBaselineIsBiased(t *testing.T) {
	mean, se := estimate(4, 200_000, func(x [][]float64, y []float64) []float64 {
		rewards, _ := crpsAdvantages(x, y)
		return leaveOneOut(rewards)
	})
	if n := misses(mean, se); n == 0 {
		t.Errorf("gradient %v ± %v agrees with the exact %v: the test cannot tell a bias", mean, se, exactGradient())
	}
}
