package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
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

func TestSharpeByHand(t *testing.T) {
	for _, c := range []struct {
		path, truth []float64
		want        float64
	}{
		// Positions +, −, + on moves .3, −.2, .3: profits .3, .2, .3 with
		// mean .8/3 and variance .22/3 − (.8/3)².
		{[]float64{1, 0, 0.5}, []float64{0.3, 0.1, 0.4}, (0.8 / 3) / math.Sqrt(0.22/3-0.64/9+0.01)},
		// Profits −.3 and, without a position, 0: mean −.15, variance .0225.
		{[]float64{-2, -2}, []float64{0.3, 0.9}, -0.15 / math.Sqrt(0.0225+0.01)},
		// One candle has no deviation: the ridge alone.
		{[]float64{0.001}, []float64{0.5}, 5},
		{[]float64{0, 0}, []float64{1, 2}, 0},
	} {
		// 1e-12: a few operations on numbers near 1.
		if got := sharpe(c.path, c.truth); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("sharpe(%v, %v) = %v, want %v", c.path, c.truth, got, c.want)
		}
	}
}

// The reward of a mirrored path is the negative of its own, a path of twice the
// moves has the same, and none is larger than the mean profit over the ridge.
func TestSharpeSeesSignsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		H := rapid.IntRange(1, 20).Draw(t, "horizon")
		// Quarters add up exactly, so that a move of zero stays one.
		draw := func(name string) []float64 {
			x := make([]float64, H)
			for h, q := range rapid.SliceOfN(rapid.IntRange(-20, 20), H, H).Draw(t, name) {
				x[h] = float64(q) / 4
			}
			return x
		}
		path, truth := draw("path"), draw("truth")
		mirrored, twice := make([]float64, H), make([]float64, H)
		for h, x := range path {
			mirrored[h], twice[h] = -x, 2*x
		}
		got := sharpe(path, truth)
		if m := sharpe(mirrored, truth); m != -got {
			t.Fatalf("mirrored %v, want %v", m, -got)
		}
		if s := sharpe(twice, truth); s != got {
			t.Fatalf("twice the moves %v, want %v", s, got)
		}
		if bound := 10 / sharpeRidge; !(math.Abs(got) <= bound) {
			t.Fatalf("%v, beyond %v, of moves up to 10", got, bound)
		}
	})
}

// Of candles that rise with probability .7 the reward prefers the policy that
// is sure of it to the one that is right.
func TestSharpeIsImproper(t *testing.T) {
	expected := func(up float64) (sum float64) {
		for _, draw := range []struct{ move, p float64 }{{1, up}, {-1, 1 - up}} {
			for _, came := range []struct{ move, p float64 }{{1, 0.7}, {-1, 0.3}} {
				sum += draw.p * came.p * sharpe([]float64{draw.move}, []float64{came.move})
			}
		}
		return sum
	}
	if right, sure := expected(0.7), expected(1); !(sure > right) {
		t.Errorf("expected reward of the right policy %v, of the sure one %v", right, sure)
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
