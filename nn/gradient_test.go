package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/testkit"
)

// normal returns n standard normal numbers.
func normal(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func integers(r *rand.Rand, n, below int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = r.Int32N(int32(below))
	}
	return x
}

// layer is a pair of functions under test on inputs of its own.
type layer struct {
	name     string
	names    []string    // of the inputs
	inputs   [][]float32 // those that have a gradient
	forward  func() []float32
	backward func(dout []float32, dx [][]float32) // after forward
	inPlace  bool                                 // backward overwrites the gradient instead of adding to it
}

// dims are the sizes of the layers; large ones are shared out among workers.
type dims struct{ B, T, C, H, KV, D, V int }

var (
	small = dims{B: 2, T: 7, C: 10, H: 4, KV: 2, D: 6, V: 11}
	large = dims{B: 8, T: 48, C: 70, H: 6, KV: 2, D: 22, V: 65}
)

func layers(n dims) []layer {
	r := rand.New(rand.NewPCG(1, 2))
	B, T, C, H, KV, D, V := n.B, n.T, n.C, n.H, n.KV, n.D, n.V
	R := B * T
	x, w := normal(r, R*C), normal(r, V*C)
	tokens := integers(r, R, V)
	pos := integers(r, R, T)
	rope := NewRope(T, D, 100)
	heads := normal(r, R*H*D)
	bent := normal(r, R*C)
	var up, down Linear
	var act, dup Mat
	// Rows of ±1 in few columns: what ReLU² sees stays away from 0, where it
	// bends and a difference across it is no derivative.
	upWeights := make([]float32, 2*C*C)
	for i := range 2 * C {
		upWeights[i*C+i/2] = float32(1 - 2*(i%2))
	}
	for i, v := range bent {
		bent[i] = v + float32(math.Copysign(0.25, float64(v)))
	}
	up.Pack(kernel.F32, upWeights, 2*C, C, true)
	down.Pack(kernel.F32, normal(r, 2*C*C), C, 2*C, true)
	var project Linear
	projectWeights := normal(r, (H+2*KV)*D*C)
	project.Pack(kernel.F32, projectWeights, (H+2*KV)*D, C, true)
	shape := Heads{H: H, KV: KV, D: D, Rope: rope}
	list := []layer{{
		name: "Linear", names: []string{"x", "w"}, inputs: [][]float32{x, w},
		forward: func() []float32 {
			y := make([]float32, R*V)
			LinearForward(y, x, w, R, C, V)
			return y
		},
		backward: func(dout []float32, dx [][]float32) { LinearBackward(dx[0], dx[1], dout, x, w, R, C, V) },
	}, {
		name: "Embedding", names: []string{"table"}, inputs: [][]float32{w},
		forward: func() []float32 {
			y := make([]float32, R*C)
			EmbeddingForward(y, tokens, w, R, C)
			return y
		},
		backward: func(dout []float32, dx [][]float32) { EmbeddingBackward(dx[0], dout, tokens, R, C) },
	}, {
		name: "EmbeddingAdd", names: []string{"table"}, inputs: [][]float32{w},
		forward: func() []float32 {
			y := slices.Clone(x)
			EmbeddingAdd(y, tokens, w, R, C)
			return y
		},
		backward: func(dout []float32, dx [][]float32) { EmbeddingBackward(dx[0], dout, tokens, R, C) },
	}, {
		name: "MLP", names: []string{"x"}, inputs: [][]float32{bent},
		forward: func() []float32 {
			y, x := make([]float32, R*C), View(bent, R, C)
			up.ReLU2(&act, &x)
			down.Forward(y, &act)
			return y
		},
		backward: func(dout []float32, dx [][]float32) {
			dy, d := View(dout, R, C), make([]float32, R*C)
			down.ReLU2Backward(&dup, &dy, &act)
			up.InputGrad(d, &dup)
			kernel.Add(dx[0], d)
		},
	}, {
		name: "Rope", names: []string{"x"}, inputs: [][]float32{heads}, inPlace: true,
		forward: func() []float32 {
			y := slices.Clone(heads)
			for i := range R * H {
				rope.Forward(y[i*D:(i+1)*D], pos[i/H])
			}
			return y
		},
		backward: func(dout []float32, dx [][]float32) {
			copy(dx[0], dout)
			for i := range R * H {
				rope.Backward(dx[0][i*D:(i+1)*D], pos[i/H])
			}
		},
	}, {
		name: "Dropout", names: []string{"x"}, inputs: [][]float32{x}, inPlace: true,
		forward: func() []float32 {
			y := slices.Clone(x)
			Dropout{0.3, 5}.Forward(y)
			return y
		},
		backward: func(dout []float32, dx [][]float32) {
			copy(dx[0], dout)
			Dropout{0.3, 5}.Backward(dx[0])
		},
	}}

	norm, rrms := make([]float32, R*C), make([]float32, R)
	list = append(list, layer{
		name: "RMSNorm", names: []string{"x"}, inputs: [][]float32{x},
		forward: func() []float32 {
			out := View(norm, R, C)
			RMSNormForward(&out, rrms, x, R, C)
			return norm
		},
		backward: func(dout []float32, dx [][]float32) {
			out := View(norm, R, C)
			RMSNormBackward(dx[0], dout, &out, rrms, R, C)
		},
	}, layer{
		name: "Linear after RMSNorm", names: []string{"x"}, inputs: [][]float32{x},
		forward: func() []float32 {
			out, y := View(norm, R, C), make([]float32, R*2*C)
			RMSNormForward(&out, rrms, x, R, C)
			up.Forward(y, &out)
			return y
		},
		backward: func(dout []float32, dx [][]float32) {
			out, dy := View(norm, R, C), View(dout, R, 2*C)
			up.RMSNormBackward(dx[0], &dy, &out, rrms)
		},
	})

	projected := QKV{make([]float32, R*H*D), make([]float32, R*KV*D), make([]float32, R*KV*D), make([]float32, R*H), make([]float32, R*KV)}
	list = append(list, layer{
		name: "Projection to heads", names: []string{"x"}, inputs: [][]float32{x},
		forward: func() []float32 {
			in := View(x, R, C)
			project.Project(projected, &in, pos, shape)
			return slices.Concat(projected.Q, projected.K, projected.V)
		},
		backward: func(dout []float32, dx [][]float32) {
			q, kv := R*H*D, R*KV*D
			d := QKV{Q: dout[:q], K: dout[q : q+kv], V: dout[q+kv:]}
			dy, dxs := View(make([]float32, R*shape.Width()), R, shape.Width()), make([]float32, R*C)
			ProjectBackward(&dy, d, projected, pos, shape, R)
			project.InputGrad(dxs, &dy)
			kernel.Add(dx[0], dxs)
		},
	})

	capped := make([]float32, R*C)
	list = append(list, layer{
		name: "Softcap", names: []string{"x"}, inputs: [][]float32{x}, inPlace: true,
		forward: func() []float32 {
			copy(capped, x)
			SoftcapForward(capped, 2)
			return capped
		},
		backward: func(dout []float32, dx [][]float32) {
			copy(dx[0], dout)
			SoftcapBackward(dx[0], capped, 2)
		},
	})

	for _, kind := range []struct {
		name     string
		KV       int
		branches Branches
	}{{"Attention", H, Branches{}}, {"Attention, grouped", KV, Branches{}}, {"Attention, one key head", 1, Branches{}}, {"Attention, branches", KV, someBranches(B, T)}} {
		KV, branches := kind.KV, kind.branches
		q, k, v := heads, normal(r, R*KV*D), normal(r, R*KV*D)
		data, lse := make([]float32, R*H*D), make([]float32, R*H)
		out, shape := View(data, R, H*D), Heads{H: H, KV: KV, D: D}
		list = append(list, layer{
			name: kind.name, names: []string{"q", "k", "v"}, inputs: [][]float32{q, k, v}, inPlace: true,
			forward: func() []float32 {
				AttentionForward(&out, lse, q, k, v, nil, branches, B, T, shape)
				return data
			},
			backward: func(dout []float32, dx [][]float32) {
				AttentionBackward(dx[0], dx[1], dx[2], dout, &out, lse, q, k, v, branches, B, T, shape)
			},
		})
	}
	return list
}

// gradients runs l forward, and backward times times from zeroed gradients.
func (l layer) gradients(times int) (out []float32, dx [][]float32) {
	out = slices.Clone(l.forward())
	for _, x := range l.inputs {
		dx = append(dx, make([]float32, len(x)))
	}
	dout := normal(rand.New(rand.NewPCG(3, 4)), len(out))
	for range times {
		l.backward(dout, dx)
	}
	return out, dx
}

func TestBackwardMatchesFiniteDifferences(t *testing.T) {
	for _, l := range layers(small) {
		out, dx := l.gradients(1)
		coefficients := normal(rand.New(rand.NewPCG(3, 4)), len(out))
		loss := func() float64 {
			sum := 0.0
			for i, y := range l.forward() {
				sum += float64(coefficients[i]) * float64(y)
			}
			return sum
		}
		for i, x := range l.inputs {
			// A sum of 100 outputs rounded at 6e-8 each, over h: 1e-5 of a
			// gradient near 1; the rest is the fifth derivative times h⁴.
			check := testkit.Difference{Entries: 120, H: 1. / 64, Tolerance: 1e-4}
			worst := check.Check(t, l.name+" "+l.names[i], x, dx[i], loss)
			t.Logf("%s %s: %.2g", l.name, l.names[i], worst)
		}
	}
}

func TestBackwardAdds(t *testing.T) {
	for _, l := range layers(small) {
		if l.inPlace {
			continue
		}
		_, once := l.gradients(1)
		_, twice := l.gradients(2)
		for i := range once {
			for j, g := range once[i] {
				// The terms of a sum of a few dozen are rounded anew.
				if d := math.Abs(float64(twice[i][j]) - 2*float64(g)); d > 1e-5*max(1, math.Abs(float64(g))) {
					t.Errorf("%s d%s[%d] is %v after two passes, %v after one", l.name, l.names[i], j, twice[i][j], g)
				}
			}
		}
	}
}

func TestBackwardSkipsGradientsThatAreNil(t *testing.T) {
	l := layers(small)[0]
	_, want := l.gradients(1)
	dout := normal(rand.New(rand.NewPCG(3, 4)), len(l.forward()))
	dx, dw := make([]float32, len(want[0])), make([]float32, len(want[1]))
	l.backward(dout, [][]float32{dx, nil})
	l.backward(dout, [][]float32{nil, dw})
	if !slices.Equal(dx, want[0]) || !slices.Equal(dw, want[1]) {
		t.Error("LinearBackward with one gradient differs from that with both")
	}
}

func TestLayersHaveTheSameBitsForAnyNumberOfWorkers(t *testing.T) {
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	for _, l := range layers(large) {
		parallel.SetWorkers(1)
		out, dx := l.gradients(1)
		for workers := 2; workers <= 3; workers++ {
			parallel.SetWorkers(workers)
			o, d := l.gradients(1)
			if !slices.Equal(o, out) {
				t.Errorf("%s: output with %d workers differs from that with 1", l.name, workers)
			}
			for i := range dx {
				if !slices.Equal(d[i], dx[i]) {
					t.Errorf("%s: d%s with %d workers differs from that with 1", l.name, l.names[i], workers)
				}
			}
		}
	}
}

func TestAShortSlicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("RMSNormForward of 3 elements as 2 rows of 2 did not panic")
		}
	}()
	out := View(make([]float32, 4), 2, 2)
	RMSNormForward(&out, make([]float32, 2), make([]float32, 3), 2, 2)
}
