package gpt

import (
	"fmt"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/nn"
)

// Precision is that of the numbers that the matrix products of a model
// multiply. Weights, sums, norms, attention and the optimizer are float32 at
// either.
type Precision = kernel.Precision

// The precisions.
const (
	F32  = kernel.F32
	BF16 = kernel.BF16
)

// ParsePrecision reads "f32", "bf16" or "auto", which is bf16 for models whose
// training it speeds up on this CPU: see docs/performance.md.
func ParsePrecision(s string, c Config) (Precision, error) {
	if s == "auto" {
		if c.Embd >= autoWidth && kernel.Faster(BF16) {
			return BF16, nil
		}
		return F32, nil
	}
	p, err := kernel.ParsePrecision(s)
	if err != nil {
		return p, fmt.Errorf("gpt: %w, nor auto", err)
	}
	return p, nil
}

// autoWidth is the number of channels from which on products are most of a step.
const autoWidth = 256

// Runner runs a model. It holds a copy of its matrices in the layout that
// products read, at one precision; [Runner.Update] renews the copy. A Runner
// may serve any number of goroutines while nobody updates it.
type Runner struct {
	m         *Model
	precision Precision
	training  bool

	*weights
	heads nn.Heads
}

// weights are the matrices of a model, laid out.
type weights struct {
	blocks []blockWeights
	head   nn.Linear

	table    []float32 // (V,C) embedding of every token
	expanded []float32 // (V,C) head over the basis, written out for every token
}

// blockWeights are the matrices of one transformer block. Those of queries,
// keys and values lie one after the other, and are one.
type blockWeights struct{ qkv, o, up, down nn.Linear }

// Runner returns a runner of the weights that m has now, for forward passes
// alone.
func (m *Model) Runner(p Precision) *Runner { return m.newRunner(p, false) }

// TrainingRunner is [Model.Runner] for backward passes too.
func (m *Model) TrainingRunner(p Precision) *Runner { return m.newRunner(p, true) }

func (m *Model) newRunner(p Precision, training bool) *Runner {
	r := &Runner{
		m: m, precision: p, training: training,
		weights: &weights{blocks: make([]blockWeights, len(m.blocks))},
		heads:   nn.Heads{H: m.Heads, KV: m.KVHeads, D: m.HeadDim(), Rope: m.rope},
	}
	r.Update()
	return r
}

// ForwardOnly returns a runner of the same copy that keeps nothing for a
// backward pass. Updating the one updates the other.
func (r *Runner) ForwardOnly() *Runner {
	f := *r
	f.training = false
	return &f
}

// Model returns the model that r runs.
func (r *Runner) Model() *Model { return r.m }

// Precision returns that of r's products.
func (r *Runner) Precision() Precision { return r.precision }

// Update takes over the weights that the model has now. Whoever changes them
// calls it before the next pass.
func (r *Runner) Update() {
	m, C := r.m, r.m.Embd
	for l, b := range m.blocks {
		w := &r.blocks[l]
		qkv := m.Params[b.q.offset : b.v.offset+b.v.Len()]
		w.qkv.Pack(r.precision, qkv, r.heads.Width(), C, r.training)
		w.o.Pack(r.precision, m.param(b.o), C, m.Heads*m.HeadDim(), r.training)
		w.up.Pack(r.precision, m.param(b.up), 4*C, C, r.training)
		w.down.Pack(r.precision, m.param(b.down), C, 4*C, r.training)
	}
	head := m.param(m.head)
	if m.Head == Basis {
		r.expanded = resize(r.expanded, m.Vocab*C)
		m.expand(r.expanded, head)
		head = r.expanded
	}
	r.head.Pack(r.precision, head, m.Width(), C, r.training)
	switch m.Embed {
	case Basis:
		r.table = resize(r.table, m.Vocab*C)
		m.expand(r.table, m.param(m.embed))
	case None:
	default:
		r.table = m.param(m.embed)
	}
}

// expand writes the row of every token, phi·w, to out (V,C); w (P,C).
func (m *Model) expand(out, w []float32) {
	kernel.GemmNN(out, m.param(m.phi), w, m.Vocab, m.Embd, m.Config.Basis, false)
}

// contract adds the gradient of expand to dw (P,C); dout (V,C).
func (m *Model) contract(dw, dout []float32) {
	kernel.GemmTN(dw, m.param(m.phi), dout, m.Config.Basis, m.Embd, m.Vocab, true)
}
