package optim

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
)

// The formula in float64, step by step.
func TestAdamWMatchesItsFormula(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n = 50
	groups := []Group{
		{Name: "matrix", Param: make([]float32, n), Grad: make([]float32, n), Decay: true},
		{Name: "table", Param: make([]float32, n), Grad: make([]float32, n)},
	}
	ref := make([][]float64, 2)
	m, v := make([][]float64, 2), make([][]float64, 2)
	for g := range groups {
		ref[g], m[g], v[g] = make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			groups[g].Param[i] = float32(r.NormFloat64())
			ref[g][i] = float64(groups[g].Param[i])
		}
	}
	c := Defaults()
	a := NewAdamW(c, groups)
	for step := 1; step <= 20; step++ {
		lr := 0.01 / float64(step)
		for g := range groups {
			for i := range n {
				d := r.NormFloat64()
				groups[g].Grad[i] = float32(d)
				d = float64(groups[g].Grad[i])
				if groups[g].Decay {
					ref[g][i] *= 1 - lr*c.WeightDecay
				}
				m[g][i] = c.Beta1*m[g][i] + (1-c.Beta1)*d
				v[g][i] = c.Beta2*v[g][i] + (1-c.Beta2)*d*d
				mh, vh := m[g][i]/(1-math.Pow(c.Beta1, float64(step))), v[g][i]/(1-math.Pow(c.Beta2, float64(step)))
				ref[g][i] -= lr * mh / (math.Sqrt(vh) + c.Eps)
			}
		}
		a.Update(lr, 1)
	}
	for g := range groups {
		for i, want := range ref[g] {
			// Twenty steps of float32 rounding of values of order one.
			if got := float64(groups[g].Param[i]); math.Abs(got-want) > 3e-6 {
				t.Fatalf("%s[%d] = %v, want %v", groups[g].Name, i, got, want)
			}
		}
	}
}

func TestDecayTouchesMarkedGroupsOnly(t *testing.T) {
	groups := []Group{
		{Param: []float32{2}, Grad: []float32{0}, Decay: true},
		{Param: []float32{2}, Grad: []float32{0}},
	}
	NewAdamW(AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.5}, groups).Update(0.1, 1)
	if got, want := groups[0].Param[0], float32(2*(1-0.1*0.5)); got != want {
		t.Errorf("marked group: %v, want %v", got, want)
	}
	if got := groups[1].Param[0]; got != 2 {
		t.Errorf("unmarked group: %v, want 2", got)
	}
}

func TestGradNormAndClipScale(t *testing.T) {
	a := NewAdamW(Defaults(), []Group{{Grad: []float32{3, 0}}, {Grad: []float32{0, -4}}})
	if norm := a.GradNorm(); norm != 5 {
		t.Errorf("norm of 3 and -4 is %v, want 5", norm)
	}
	for _, c := range []struct{ norm, limit, want float64 }{{5, 1, 0.2}, {5, 10, 1}, {5, 5, 1}, {0, 1, 1}} {
		if got := ClipScale(c.norm, c.limit); got != c.want {
			t.Errorf("ClipScale(%v, %v) = %v, want %v", c.norm, c.limit, got, c.want)
		}
	}
	a.Groups[0].Grad[1] = float32(math.NaN())
	if norm := a.GradNorm(); !math.IsNaN(norm) {
		t.Errorf("norm of a gradient with NaN is %v", norm)
	}
}

// Scaling in the step is scaling before it, and the gradients are spent.
func TestUpdateScalesAndClearsGradients(t *testing.T) {
	one := Group{Param: []float32{1, 2, 3}, Grad: []float32{0.5, -2, 8}}
	two := Group{Param: []float32{1, 2, 3}, Grad: []float32{0.125, -0.5, 2}}
	NewAdamW(Defaults(), []Group{one}).Update(0.1, 0.25)
	NewAdamW(Defaults(), []Group{two}).Update(0.1, 1)
	for i := range one.Param {
		if one.Param[i] != two.Param[i] {
			t.Errorf("weight %d: %v with a scale, %v with gradients scaled", i, one.Param[i], two.Param[i])
		}
		if one.Grad[i] != 0 {
			t.Errorf("gradient %d is left at %v", i, one.Grad[i])
		}
	}
}

func TestUpdateHasTheSameBitsForAnyWorkers(t *testing.T) {
	run := func(workers int) []float32 {
		defer parallel.SetWorkers(parallel.SetWorkers(workers))
		r := rand.New(rand.NewPCG(2, 2))
		g := Group{Param: make([]float32, 40_000), Grad: make([]float32, 40_000), Decay: true}
		for i := range g.Param {
			g.Param[i], g.Grad[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
		}
		a := NewAdamW(Defaults(), []Group{g})
		a.Update(0.01, ClipScale(a.GradNorm(), 1))
		return g.Param
	}
	want := run(1)
	for workers := 2; workers <= 3; workers++ {
		for i, got := range run(workers) {
			if got != want[i] {
				t.Fatalf("%d workers: weight %d is %v, with one %v", workers, i, got, want[i])
			}
		}
	}
}
