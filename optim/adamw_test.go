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
		a.Update(lr)
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
	NewAdamW(AdamWConfig{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.5}, groups).Update(0.1)
	if got, want := groups[0].Param[0], float32(2*(1-0.1*0.5)); got != want {
		t.Errorf("marked group: %v, want %v", got, want)
	}
	if got := groups[1].Param[0]; got != 2 {
		t.Errorf("unmarked group: %v, want 2", got)
	}
}

func TestClipGradNorm(t *testing.T) {
	gradients := func() []Group { return []Group{{Grad: []float32{3, 0}}, {Grad: []float32{0, -4}}} }
	g := gradients()
	if norm := ClipGradNorm(g, 1); norm != 5 {
		t.Errorf("norm %v, want 5", norm)
	}
	if g[0].Grad[0] != 0.6 || g[1].Grad[1] != -0.8 {
		t.Errorf("clipped to %v, %v, want .6, -.8", g[0].Grad[0], g[1].Grad[1])
	}
	g = gradients()
	if norm := ClipGradNorm(g, 10); norm != 5 || g[0].Grad[0] != 3 {
		t.Errorf("norm %v and gradient %v under the limit, want 5 and 3", norm, g[0].Grad[0])
	}
	g[0].Grad[1] = float32(math.NaN())
	if norm := ClipGradNorm(g, 1); !math.IsNaN(norm) || g[1].Grad[1] != -4 {
		t.Errorf("with NaN: norm %v, other gradient %v, want NaN and -4", norm, g[1].Grad[1])
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
		ClipGradNorm([]Group{g}, 1)
		NewAdamW(Defaults(), []Group{g}).Update(0.01)
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
