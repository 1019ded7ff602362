package gpt

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Sampler turns logits into the distribution that a token is drawn from.
type Sampler struct {
	Temperature float64 `json:"temperature"`     // 0 is greedy; 1 is the model's own distribution
	TopK        int     `json:"top_k,omitempty"` // keep the k likeliest tokens; 0 keeps all
	TopP        float64 `json:"top_p,omitempty"` // keep the likeliest tokens that reach this mass; 0 or 1 keeps all
}

// Validate reports everything that is wrong with s at once.
func (s Sampler) Validate() error {
	var errs []error
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) {
		errs = append(errs, fmt.Errorf("gpt: temperature %v: want 0 (greedy) or more", s.Temperature))
	}
	if s.TopK < 0 {
		errs = append(errs, fmt.Errorf("gpt: top_k %d: want 0 (all) or more", s.TopK))
	}
	if !(s.TopP >= 0 && s.TopP <= 1) {
		errs = append(errs, fmt.Errorf("gpt: top_p %v: want 0 ≤ p ≤ 1", s.TopP))
	}
	return errors.Join(errs...)
}

// Exact reports whether s draws from the model's own distribution.
func (s Sampler) Exact() bool {
	return s.Temperature == 1 && s.TopK == 0 && (s.TopP == 0 || s.TopP == 1)
}

// Probabilities writes the distribution of s over logits to probs (V):
// tempered, truncated to the likeliest tokens, and normed to one. Ties go to
// the smaller token. order (V) is scratch, used only when s truncates.
func (s Sampler) Probabilities(probs []float64, logits []float32, order []int32) {
	best := 0
	for i, l := range logits {
		if l > logits[best] {
			best = i
		}
	}
	if s.Temperature == 0 {
		clear(probs)
		probs[best] = 1
		return
	}
	peak, sum := float64(logits[best]), 0.0
	for i, l := range logits {
		probs[i] = math.Exp((float64(l) - peak) / s.Temperature)
		sum += probs[i]
	}
	if s.TopK > 0 && s.TopK < len(probs) || s.TopP > 0 && s.TopP < 1 {
		sum = s.truncate(probs, order, sum)
	}
	for i := range probs {
		probs[i] /= sum
	}
}

// truncate zeroes all but the likeliest tokens and returns the mass that is left.
func (s Sampler) truncate(probs []float64, order []int32, sum float64) float64 {
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch {
		case probs[a] > probs[b]:
			return -1
		case probs[a] < probs[b]:
			return 1
		}
		return int(a) - int(b)
	})
	keep := len(order)
	if s.TopK > 0 {
		keep = min(keep, s.TopK)
	}
	if s.TopP > 0 && s.TopP < 1 {
		mass := 0.0
		for i, k := range order[:keep] {
			if mass += probs[k]; mass >= s.TopP*sum {
				keep = i + 1
				break
			}
		}
	}
	for _, k := range order[keep:] {
		probs[k] = 0
	}
	left := 0.0
	for _, k := range order[:keep] {
		left += probs[k]
	}
	return left
}

// Pick returns the token at quantile u ∈ [0,1) of probs.
func Pick(probs []float64, u float64) int32 {
	sum, last := 0.0, 0
	for i, p := range probs {
		if p == 0 {
			continue
		}
		last = i
		if sum += p; u < sum {
			return int32(i)
		}
	}
	return int32(last) // u above a sum that rounding left short of 1
}
