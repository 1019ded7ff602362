package tokenizer

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/optim"
)

// mlp is a small perceptron: linear layers with bias, softsign between them.
type mlp struct {
	name   string
	layers []layer
}

type layer struct {
	in, out      int
	w, b, dw, db []float32 // (out,in), (out) and their gradients
}

func newMLP(name string, widths ...int) *mlp {
	m := &mlp{name: name}
	for i := range len(widths) - 1 {
		in, out := widths[i], widths[i+1]
		m.layers = append(m.layers, layer{in: in, out: out, w: make([]float32, in*out), b: make([]float32, out)})
	}
	return m
}

// init draws the weights with deviation 1/√in, which keeps the size of what
// passes through; the biases of hidden layers spread the bends of the layer.
func (m *mlp) init(coords ...uint64) {
	r := rng.New(coords...)
	for i := range m.layers {
		l := &m.layers[i]
		l.dw, l.db = make([]float32, len(l.w)), make([]float32, len(l.b))
		for j := range l.w {
			l.w[j] = float32(r.NormFloat64() / math.Sqrt(float64(l.in)))
		}
		if i < len(m.layers)-1 {
			for j := range l.b {
				l.b[j] = float32(r.NormFloat64() / 2)
			}
		}
	}
}

func (m *mlp) groups() []optim.Group {
	var groups []optim.Group
	for i, l := range m.layers {
		name := fmt.Sprintf("%s.%d.", m.name, i)
		groups = append(groups,
			optim.Group{Name: name + "weight", Param: l.w, Grad: l.dw, Decay: true},
			optim.Group{Name: name + "bias", Param: l.b, Grad: l.db})
	}
	return groups
}

func (m *mlp) zeroGrad() {
	for _, l := range m.layers {
		clear(l.dw)
		clear(l.db)
	}
}

func (m *mlp) tensors() []Tensor {
	var tensors []Tensor
	for i, l := range m.layers {
		name := fmt.Sprintf("%s.%d.", m.name, i)
		tensors = append(tensors,
			Tensor{name + "weight", []int{l.out, l.in}, l.w},
			Tensor{name + "bias", []int{l.out}, l.b})
	}
	return tensors
}

func (m *mlp) load(p *parts) {
	for i, l := range m.layers {
		name := fmt.Sprintf("%s.%d.", m.name, i)
		p.take(l.w, name+"weight", l.out, l.in)
		p.take(l.b, name+"bias", l.out)
	}
}

// trace keeps what the layers of one forward pass computed, for the backward
// pass and for reuse.
type trace struct {
	pre, act [][]float32 // per layer: (R,out) before and after the softsign
	dact     [][]float32
}

func (t *trace) fit(m *mlp, R int) {
	if t.pre == nil {
		t.pre, t.act, t.dact = make([][]float32, len(m.layers)), make([][]float32, len(m.layers)), make([][]float32, len(m.layers))
	}
	for i, l := range m.layers {
		if n := R * l.out; cap(t.pre[i]) < n {
			t.pre[i], t.act[i], t.dact[i] = make([]float32, n), make([]float32, n), make([]float32, n)
		} else {
			t.pre[i], t.act[i], t.dact[i] = t.pre[i][:n], t.act[i][:n], t.dact[i][:n]
		}
	}
}

// forward returns the output (R,out) for x (R,in). It lives in t until the
// next pass.
func (m *mlp) forward(t *trace, x []float32, R int) []float32 {
	t.fit(m, R)
	for i, l := range m.layers {
		nn.LinearForward(t.pre[i], x, l.w, R, l.in, l.out)
		addBias(t.pre[i], l.b)
		if i == len(m.layers)-1 {
			return t.pre[i]
		}
		softsign(t.act[i], t.pre[i])
		x = t.act[i]
	}
	panic("tokenizer: mlp without layers")
}

// backward adds the gradients of the weights for dout (R,out), the gradient of
// the output of the last forward pass on x, and that of x to dx (R,in) unless
// dx is nil.
func (m *mlp) backward(t *trace, dx, dout, x []float32, R int) {
	for i := len(m.layers) - 1; i >= 0; i-- {
		l := m.layers[i]
		if i < len(m.layers)-1 {
			softsignBackward(t.dact[i], t.pre[i])
			dout = t.dact[i]
		}
		in, din := x, dx
		if i > 0 {
			in, din = t.act[i-1], t.dact[i-1]
			clear(din)
		}
		nn.LinearBackward(din, l.dw, dout, in, l.w, R, l.in, l.out)
		for r := range R {
			for j, d := range dout[r*l.out : (r+1)*l.out] {
				l.db[j] += d
			}
		}
	}
}

func addBias(y, b []float32) {
	for r := 0; r < len(y); r += len(b) {
		row := y[r : r+len(b)]
		for j, x := range b {
			row[j] += x
		}
	}
}

// softsign is x/(1+|x|): bounded like tanh, but without an exponential, so
// that tokens do not depend on a mathematical library.
func softsign(y, x []float32) {
	parallel.For(len(x), 1<<14, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = x[i] / (1 + abs(x[i]))
		}
	})
}

// softsignBackward multiplies dy by the slope 1/(1+|x|)².
func softsignBackward(dy, x []float32) {
	parallel.For(len(x), 1<<14, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s := 1 / (1 + abs(x[i]))
			dy[i] *= s * s
		}
	})
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
