// Package optim turns gradients into steps: AdamW, clipping by the global norm,
// and the schedule of the learning rate.
package optim

import (
	"math"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// Group is a parameter tensor with its gradient.
type Group struct {
	Name  string
	Param []float32
	Grad  []float32
	Decay bool // weight decay applies
	Fixed bool // stays as it is; its moments are there, so that they have the layout of the model
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

	parts []float64 // of a sum
}

// NewAdamW returns an optimizer of groups with moments at zero.
func NewAdamW(c AdamWConfig, groups []Group) *AdamW {
	n := 0
	for _, g := range groups {
		n += len(g.Param)
	}
	return &AdamW{Config: c, Groups: groups, M: kernel.Floats(n), V: kernel.Floats(n)}
}

// Update takes one step at learning rate lr along scale times the gradients,
// in one pass over all of them, and leaves the gradients at zero.
func (a *AdamW) Update(lr, scale float64) {
	a.Step++
	c := a.Config
	step := kernel.AdamWStep{
		GradScale: float32(scale), Beta1: float32(c.Beta1), Beta2: float32(c.Beta2), Eps: float32(c.Eps),
		Size:      float32(lr / (1 - math.Pow(c.Beta1, float64(a.Step)))),
		Root:      float32(math.Sqrt(1 - math.Pow(c.Beta2, float64(a.Step)))),
		ClearGrad: true,
	}
	type args struct {
		p, m, v, g []float32
		step       kernel.AdamWStep
	}
	offset := 0
	for _, g := range a.Groups {
		m, v := a.M[offset:offset+len(g.Param)], a.V[offset:offset+len(g.Param)]
		offset += len(g.Param)
		if g.Fixed {
			continue
		}
		step.Keep = 1
		if g.Decay {
			step.Keep = float32(1 - lr*c.WeightDecay)
		}
		parallel.Do(len(g.Param), grain, args{g.Param, m, v, g.Grad, step}, func(a *args, lo, hi int) {
			kernel.AdamW(a.p[lo:hi], a.m[lo:hi], a.v[lo:hi], a.g[lo:hi], a.step)
		})
	}
}

// grain is how many weights pay for another worker.
const grain = 1 << 13

// chunk is the length of the pieces whose squares are summed in float32 before
// they add up in float64. It decides the order of the sum, hence it is a
// constant.
const chunk = 4096

// GradNorm returns the joint Euclidean norm of all gradients.
func (a *AdamW) GradNorm() float64 {
	sum := 0.0
	type args struct {
		g     []float32
		parts []float64
	}
	for _, g := range a.Groups {
		n := (len(g.Grad) + chunk - 1) / chunk
		if cap(a.parts) < n {
			a.parts = make([]float64, n)
		}
		parts := a.parts[:n]
		parallel.Do(n, grain/chunk, args{g.Grad, parts}, func(a *args, lo, hi int) {
			for c := lo; c < hi; c++ {
				a.parts[c] = float64(kernel.SumSquares(a.g[c*chunk : min((c+1)*chunk, len(a.g))]))
			}
		})
		for _, p := range parts {
			sum += p
		}
	}
	return math.Sqrt(sum)
}

// ClipScale is what gradients of a norm are multiplied by so that their norm is
// at most limit.
func ClipScale(norm, limit float64) float64 {
	if norm > limit {
		return limit / norm
	}
	return 1
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
