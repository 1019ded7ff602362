// Package optim turns gradients into steps: AdamW, clipping by the global norm,
// and the schedule of the learning rate.
package optim

import (
	"math"

	"github.com/micro-quant/mqc/internal/parallel"
)

// Group is a parameter tensor with its gradient.
type Group struct {
	Name  string
	Param []float32
	Grad  []float32
	Decay bool // weight decay applies
}

// AdamWConfig holds the constants of AdamW.
type AdamWConfig struct {
	Beta1       float64 // decay of the mean of gradients
	Beta2       float64 // decay of the mean of squared gradients
	Eps         float64 // added to the root of the second
	WeightDecay float64 // fraction of a weight taken off per unit of learning rate
}

// Defaults are the constants that small transformers are usually trained with.
func Defaults() AdamWConfig {
	return AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}
}

// AdamW is Adam with weight decay apart from the gradient; it computes what
// PyTorch's AdamW computes:
//
//	p ← p·(1 − lr·wd)                        where the group decays
//	m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²
//	p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)
//
// Loshchilov & Hutter 2019, arXiv 1711.05101.
type AdamW struct {
	Config AdamWConfig
	Groups []Group
	M, V   []float32 // first and second moments, group after group
	Step   int       // steps taken
}

// NewAdamW returns an optimizer of groups with moments at zero.
func NewAdamW(c AdamWConfig, groups []Group) *AdamW {
	n := 0
	for _, g := range groups {
		n += len(g.Param)
	}
	return &AdamW{Config: c, Groups: groups, M: make([]float32, n), V: make([]float32, n)}
}

// Update takes one step at learning rate lr.
func (a *AdamW) Update(lr float64) {
	a.Step++
	c := a.Config
	b1, b2 := float32(c.Beta1), float32(c.Beta2)
	size := float32(lr / (1 - math.Pow(c.Beta1, float64(a.Step))))
	root := float32(math.Sqrt(1 - math.Pow(c.Beta2, float64(a.Step))))
	eps := float32(c.Eps)

	offset := 0
	for _, g := range a.Groups {
		m, v := a.M[offset:offset+len(g.Param)], a.V[offset:offset+len(g.Param)]
		offset += len(g.Param)
		keep := float32(1)
		if g.Decay {
			keep = float32(1 - lr*c.WeightDecay)
		}
		parallel.For(len(g.Param), 1<<13, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				d := g.Grad[i]
				m[i] = b1*m[i] + (1-b1)*d
				v[i] = b2*v[i] + (1-b2)*d*d
				g.Param[i] = g.Param[i]*keep - size*m[i]/(float32(math.Sqrt(float64(v[i])))/root+eps)
			}
		})
	}
}

// ClipGradNorm scales all gradients so that their joint Euclidean norm is at
// most limit, and returns the norm before. A norm that is not finite is
// returned and nothing is scaled: the caller must stop.
func ClipGradNorm(groups []Group, limit float64) float64 {
	sum := 0.0
	for _, g := range groups {
		sum += parallel.SumFloat64(len(g.Grad), func(lo, hi int) (s float64) {
			for _, d := range g.Grad[lo:hi] {
				s += float64(d) * float64(d)
			}
			return s
		})
	}
	norm := math.Sqrt(sum)
	if !(norm > limit) || math.IsInf(norm, 0) {
		return norm
	}
	scale := float32(limit / norm)
	for _, g := range groups {
		parallel.For(len(g.Grad), 1<<13, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				g.Grad[i] *= scale
			}
		})
	}
	return norm
}

// Schedule is the learning rate over a run: a linear warm-up to Peak, then half
// a cosine down to Floor·Peak at Total steps.
//
// Loshchilov & Hutter 2017, arXiv 1608.03983.
type Schedule struct {
	Peak   float64
	Warmup int // steps
	Total  int // steps, warm-up included
	Floor  float64
}

// At returns the learning rate of a step, counted from 0.
func (s Schedule) At(step int) float64 {
	// A run shorter than its warm-up would never reach the peak.
	warmup := min(s.Warmup, s.Total/2)
	if step < warmup {
		return s.Peak * float64(step+1) / float64(warmup)
	}
	done := float64(step-warmup) / float64(max(1, s.Total-warmup))
	return s.Peak * (s.Floor + (1-s.Floor)*0.5*(1+math.Cos(math.Pi*min(done, 1))))
}
