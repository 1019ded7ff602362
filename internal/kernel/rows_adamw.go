package kernel

// AdamWStep is what one step of [AdamW] is made of, beside the slices.
type AdamWStep struct {
	GradScale    float32 // of every gradient, before all else
	Beta1, Beta2 float32 // decay of the moments
	Keep         float32 // of a parameter, after weight decay
	Size         float32 // learning rate, over the bias of the first moment
	Root         float32 // √ of the bias of the second moment
	Eps          float32
	ClearGrad    bool // gradients are 0 afterwards
}

// adamWConstants are the factors of [AdamWStep] as the loops take them. go vet
// compares their order with the assembly.
type adamWConstants struct {
	gradScale    float32
	beta1, rest1 float32 // rest1 is 1 − beta1
	beta2, rest2 float32
	keep, size   float32
	root         float32 // a factor: 1/Root
	eps          float32
}

// adamWBlock is how many parameters are updated before their gradients are
// cleared: four times 4 KiB are still in L1.
const adamWBlock = 1 << 10

// AdamW is one step of AdamW over parameters, moments and gradients:
//
//	d = g·GradScale
//	m ← β₁m + (1−β₁)d,  v ← β₂v + (1−β₂)d²
//	p ← p·Keep − Size·m/(√v/Root + Eps)
//
// Loshchilov & Hutter 2019, arXiv 1711.05101.
func AdamW(p, m, v, g []float32, s AdamWStep) {
	n := len(p)
	atLeast("AdamW", n, len(m), len(v), len(g))
	c := adamWConstants{
		gradScale: s.GradScale,
		beta1:     s.Beta1, rest1: 1 - s.Beta1,
		beta2: s.Beta2, rest2: 1 - s.Beta2,
		keep: s.Keep, size: s.Size,
		root: 1 / s.Root, eps: s.Eps,
	}
	if !s.ClearGrad {
		activeRows.adamW(p, m, v, g, c)
		return
	}
	for lo := 0; lo < n; lo += adamWBlock {
		hi := min(lo+adamWBlock, n)
		activeRows.adamW(p[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], c)
		clear(g[lo:hi])
	}
}
