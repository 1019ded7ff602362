package gpt

import (
	"fmt"
	"math"
	"slices"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/nn"
)

// Tensor is a named matrix of a model: a view into the one slice that holds
// all parameters, so an optimizer's moments and gradients share its layout.
type Tensor struct {
	Name       string
	Rows, Cols int
	offset     int
	decay      bool // weight decay applies: a matrix that multiplies, not a table that is looked up
	fixed      bool // not learnt
}

// Len is the number of elements.
func (t Tensor) Len() int { return t.Rows * t.Cols }

// Decays reports whether weight decay applies to t.
func (t Tensor) Decays() bool { return t.decay }

// Fixed reports whether t is given and not learnt.
func (t Tensor) Fixed() bool { return t.fixed }

// View returns t's part of a slice with the layout of [Model.Params].
func (t Tensor) View(arena []float32) []float32 {
	return arena[t.offset : t.offset+t.Len() : t.offset+t.Len()]
}

// block names the matrices of one transformer block.
type block struct {
	q, k, v, o Tensor // (H·D, C), (KV·D, C), (KV·D, C), (C, H·D)
	up, down   Tensor // (4C, C), (C, 4C)
}

// Model is a transformer's shape and weights.
type Model struct {
	Config
	Params  []float32 // every weight, in the order of Tensors
	Tensors []Tensor

	embed    Tensor   // (V, C), or (P, C) over the basis; empty where there is none
	cond     []Tensor // (Cond[i], C) each
	features Tensor   // (C, F)
	blocks   []block
	head     Tensor // (Width, C), or (P, C) over the basis
	phi      Tensor // (V, P)
	prior    Tensor // (V, 1)

	rope *nn.Rope
}

// New returns a model with fresh weights, a function of seed alone. The
// projections that close a residual branch start at zero, so that every block
// starts as the identity, and the head starts small, so that the first loss is
// near ln V.
func New(c Config, seed uint64) (*Model, error) {
	m, err := Allocate(c)
	if err != nil {
		return nil, err
	}
	parallel.For(len(m.Tensors), 1, func(lo, hi int) {
		for i, t := range m.Tensors[lo:hi] {
			std := m.initStd(t)
			if std == 0 {
				continue
			}
			r := rng.New(seed, rng.Init, uint64(lo+i))
			w := t.View(m.Params)
			for j := range w {
				w[j] = float32(std * r.NormFloat64())
			}
		}
	})
	return m, nil
}

// initStd is the standard deviation of a tensor's first values.
func (m *Model) initStd(t Tensor) float64 {
	switch t.Name {
	case m.embed.Name:
		// Small beside what AdamW moves a weight by in a few hundred steps:
		// the norm that follows makes the scale itself irrelevant.
		return 0.02
	case m.head.Name:
		if m.Head == Basis || m.Outputs > 0 {
			return 0 // the model starts as the prior, or as the law of all returns
		}
		return 0.001
	}
	if t.fixed {
		return 0
	}
	for _, b := range m.blocks {
		if t.Name == b.o.Name || t.Name == b.down.Name {
			return 0
		}
	}
	if !m.isInput(t) {
		return 1 / math.Sqrt(float64(t.Cols))
	}
	if m.Embed == None {
		// Nothing else is there: with zeros no gradient would ever pass.
		return 1 / math.Sqrt(float64(m.Config.Features+len(m.Config.Cond)))
	}
	return 0 // the model starts without any conditioning
}

// isInput reports whether t brings conditioning or features in.
func (m *Model) isInput(t Tensor) bool {
	return t.Name == m.features.Name || slices.ContainsFunc(m.cond, func(c Tensor) bool { return c.Name == t.Name })
}

// Allocate returns a model whose weights are all zero, for a checkpoint to fill.
func Allocate(c Config) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Model{Config: c, rope: nn.NewRope(c.SeqLen, c.HeadDim(), c.RopeBase)}
	size := 0
	add := func(decay bool, rows, cols int, format string, args ...any) Tensor {
		t := Tensor{Name: fmt.Sprintf(format, args...), Rows: rows, Cols: cols, offset: size, decay: decay}
		size += t.Len()
		m.Tensors = append(m.Tensors, t)
		return t
	}
	C, q, kv := c.Embd, c.Heads*c.HeadDim(), c.KVHeads*c.HeadDim()

	if c.Embed != None {
		m.embed = add(c.Embed == Basis, c.embedRows(), C, "embed")
	}
	for i, n := range c.Cond {
		m.cond = append(m.cond, add(false, n, C, "cond.%d", i))
	}
	if c.Features > 0 {
		m.features = add(true, C, c.Features, "features")
	}
	for l := range c.Layers {
		m.blocks = append(m.blocks, block{
			q:    add(true, q, C, "blocks.%d.attn.q", l),
			k:    add(true, kv, C, "blocks.%d.attn.k", l),
			v:    add(true, kv, C, "blocks.%d.attn.v", l),
			o:    add(true, C, q, "blocks.%d.attn.o", l),
			up:   add(true, 4*C, C, "blocks.%d.mlp.up", l),
			down: add(true, C, 4*C, "blocks.%d.mlp.down", l),
		})
	}
	m.head = add(true, c.headRows(), C, "head")
	if c.Basis > 0 {
		m.phi, m.prior = add(false, c.Vocab, c.Basis, "phi"), add(false, c.Vocab, 1, "prior")
		for i := len(m.Tensors) - 2; i < len(m.Tensors); i++ {
			m.Tensors[i].fixed = true
		}
	}
	m.Params = kernel.Floats(size)
	return m, nil
}

// SetBasis gives a model with a basis its functions phi (V,P) and the logits
// prior (V) that it starts from.
func (m *Model) SetBasis(phi, prior []float32) {
	if m.Config.Basis == 0 || len(phi) != m.phi.Len() || len(prior) != m.prior.Len() {
		panic(fmt.Sprintf("gpt: a basis of %d and %d numbers for %d tokens and %d functions", len(phi), len(prior), m.Vocab, m.Config.Basis))
	}
	copy(m.param(m.phi), phi)
	copy(m.param(m.prior), prior)
}

// Clone returns a copy that shares nothing that changes.
func (m *Model) Clone() *Model {
	c := *m
	c.Params = kernel.Floats(len(m.Params))
	copy(c.Params, m.Params)
	return &c
}

// Tempered returns a copy of m whose logits are those of m divided by a
// temperature above 0. It is exact but for rounding: what makes the logits is
// divided, and the soft cap with it, since
// cap·tanh(z/cap)/T = (cap/T)·tanh((z/T)/(cap/T)).
func (m *Model) Tempered(temperature float64) *Model {
	c := m.Clone()
	c.Softcap /= temperature
	parts := []Tensor{c.head}
	if c.Head == Basis {
		parts = append(parts, c.prior)
	}
	for _, t := range parts {
		for i, w := range c.param(t) {
			c.param(t)[i] = float32(float64(w) / temperature)
		}
	}
	return c
}

func (m *Model) param(t Tensor) []float32 { return t.View(m.Params) }
