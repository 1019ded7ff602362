package gpt

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func probabilities(s Sampler, logits []float32) []float64 {
	probs := make([]float64, len(logits))
	s.Probabilities(probs, logits, make([]int32, len(logits)))
	return probs
}

// support lists the tokens that can be drawn.
func support(probs []float64) (tokens []int) {
	for i, p := range probs {
		if p > 0 {
			tokens = append(tokens, i)
		}
	}
	return tokens
}

func TestProbabilitiesKeepTheLikeliestTokens(t *testing.T) {
	// Probabilities 1/15 · (2, 8, 1, 4).
	logits := []float32{float32(math.Log(2)), float32(math.Log(8)), 0, float32(math.Log(4))}
	for _, c := range []struct {
		name    string
		sampler Sampler
		want    []float64
	}{
		{"the model's own", Sampler{Temperature: 1}, []float64{2. / 15, 8. / 15, 1. / 15, 4. / 15}},
		{"greedy", Sampler{}, []float64{0, 1, 0, 0}},
		{"greedy ignores the rest", Sampler{TopK: 3, TopP: 0.9}, []float64{0, 1, 0, 0}},
		{"half the temperature squares", Sampler{Temperature: 0.5}, []float64{4. / 85, 64. / 85, 1. / 85, 16. / 85}},
		{"top 1", Sampler{Temperature: 1, TopK: 1}, []float64{0, 1, 0, 0}},
		{"top 2", Sampler{Temperature: 1, TopK: 2}, []float64{0, 2. / 3, 0, 1. / 3}},
		{"top 3", Sampler{Temperature: 1, TopK: 3}, []float64{2. / 14, 8. / 14, 0, 4. / 14}},
		{"more than all", Sampler{Temperature: 1, TopK: 9}, []float64{2. / 15, 8. / 15, 1. / 15, 4. / 15}},
		{"a mass that one token has", Sampler{Temperature: 1, TopP: 0.5}, []float64{0, 1, 0, 0}},
		{"a mass that two tokens have", Sampler{Temperature: 1, TopP: 0.6}, []float64{0, 2. / 3, 0, 1. / 3}},
		{"a tiny mass", Sampler{Temperature: 1, TopP: 1e-9}, []float64{0, 1, 0, 0}},
		{"the whole mass", Sampler{Temperature: 1, TopP: 1}, []float64{2. / 15, 8. / 15, 1. / 15, 4. / 15}},
		{"k is the tighter", Sampler{Temperature: 1, TopK: 2, TopP: 0.99}, []float64{0, 2. / 3, 0, 1. / 3}},
		{"p is the tighter", Sampler{Temperature: 1, TopK: 3, TopP: 0.5}, []float64{0, 1, 0, 0}},
	} {
		got := probabilities(c.sampler, logits)
		for i := range got {
			// The logits are float32.
			if !(math.Abs(got[i]-c.want[i]) <= 1e-6) {
				t.Errorf("%s: %+v gives %.4f, want %.4f", c.name, c.sampler, got, c.want)
				break
			}
		}
	}
}

func TestTiesGoToTheSmallerToken(t *testing.T) {
	logits := []float32{0, 3, 1, 3, 1, 1, 3}
	for _, c := range []struct {
		sampler Sampler
		want    []int
	}{
		{Sampler{}, []int{1}},
		{Sampler{Temperature: 1, TopK: 1}, []int{1}},
		{Sampler{Temperature: 1, TopK: 2}, []int{1, 3}},
		{Sampler{Temperature: 1, TopK: 4}, []int{1, 2, 3, 6}},
		{Sampler{Temperature: 1, TopP: 0.2}, []int{1}},
		{Sampler{Temperature: 1, TopP: 0.5}, []int{1, 3}},
	} {
		if got := support(probabilities(c.sampler, logits)); !slices.Equal(got, c.want) {
			t.Errorf("%+v keeps tokens %v, want %v", c.sampler, got, c.want)
		}
	}
	// Two of four equals are exactly half of the mass.
	half := Sampler{Temperature: 1, TopP: 0.5}
	if got := support(probabilities(half, make([]float32, 4))); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("%+v over four equals keeps tokens %v, want [0 1]", half, got)
	}
}

func TestProbabilitiesAreADistributionForAnyLogits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		logits := make([]float32, 1+r.IntN(40))
		spread := math.Exp(8*r.Float64() - 4)
		for i := range logits {
			logits[i] = float32(spread * r.NormFloat64())
		}
		s := Sampler{Temperature: 2 * r.Float64(), TopK: r.IntN(45), TopP: r.Float64()}
		probs := probabilities(s, logits)
		sum := 0.0
		for _, p := range probs {
			if !(p >= 0) {
				t.Fatalf("%+v over %v: probability %v", s, logits, p)
			}
			sum += p
		}
		if !(math.Abs(sum-1) <= 1e-12) {
			t.Fatalf("%+v over %v: probabilities sum to %v", s, logits, sum)
		}
		if n := len(support(probs)); n < 1 || s.TopK > 0 && n > s.TopK {
			t.Fatalf("%+v over %d tokens keeps %d", s, len(logits), n)
		}
	}
}

func TestPick(t *testing.T) {
	probs := []float64{0, 0.25, 0, 0.5, 0.25, 0}
	for _, c := range []struct {
		u    float64
		want int32
	}{{0, 1}, {0.2499, 1}, {0.25, 3}, {0.7499, 3}, {0.75, 4}, {math.Nextafter(1, 0), 4}} {
		if got := Pick(probs, c.u); got != c.want {
			t.Errorf("Pick(%v, %v) = %d, want %d", probs, c.u, got, c.want)
		}
	}
	// Rounding may leave the sum short of 1: still a token that is possible.
	if got := Pick([]float64{0.5, 0.4999, 0}, 0.99995); got != 1 {
		t.Errorf("Pick beyond the sum = %d, want 1", got)
	}
}

func TestSamplerValidateReportsAllFaultsAtOnce(t *testing.T) {
	err := Sampler{Temperature: math.NaN(), TopK: -1, TopP: 1.5}.Validate()
	for _, want := range []string{"temperature NaN", "top_k -1", "top_p 1.5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want %q in it", err, want)
		}
	}
	if err := (Sampler{Temperature: 0, TopK: 0, TopP: 1}).Validate(); err != nil {
		t.Errorf("a greedy sampler: %v", err)
	}
}

func TestExactMeansTheModelsOwnDistribution(t *testing.T) {
	for sampler, want := range map[Sampler]bool{
		{Temperature: 1}:            true,
		{Temperature: 1, TopP: 1}:   true,
		{}:                          false,
		{Temperature: 0.9}:          false,
		{Temperature: 1, TopK: 5}:   false,
		{Temperature: 1, TopP: 0.9}: false,
	} {
		if got := sampler.Exact(); got != want {
			t.Errorf("%+v.Exact() = %v, want %v", sampler, got, want)
		}
	}
}
