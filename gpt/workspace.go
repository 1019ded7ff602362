package gpt

import (
	"errors"
	"fmt"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/nn"
)

// Faults of an input that a user can cause.
var (
	ErrContext    = errors.New("longer than the model's context")
	ErrVocabulary = errors.New("outside the vocabulary")
	// ErrNoLogits says that the outputs of a model are the parameters of a
	// density.
	ErrNoLogits = errors.New("the model gives the parameters of a density and knows no tokens")
)

// Input is one batch of windows, row major: (B,T) tokens, (B,T,len(Cond))
// conditioning integers, (B,T,F) floats.
type Input struct {
	B, T     int
	Tokens   []int32
	Cond     []int32   // nil when Config.Cond is empty
	Features []float32 // nil when Config.Features is 0

	// Branches, where they are given, say that a window is a tree. The position of
	// row t, which must be below SeqLen, is then Shared + t − Own.
	Branches nn.Branches

	// Dropout names the random mask of this pass; 0 turns dropout off.
	Dropout uint64
}

// position is where in its text the token of row r stands.
func (in *Input) position(r int) int {
	if in.Branches.Own == nil {
		return r % in.T
	}
	return r%in.T - int(in.Branches.Own[r]-in.Branches.Shared[r])
}

// Check returns an error that names the first thing of in that m cannot take.
func (m *Model) Check(in Input) error {
	n := in.B * in.T
	switch {
	case in.B < 1 || in.T < 1:
		return fmt.Errorf("gpt: input of %d×%d tokens: want at least one", in.B, in.T)
	case in.T > m.SeqLen && in.Branches.Own == nil:
		return fmt.Errorf("gpt: %d tokens: %w of %d", in.T, ErrContext, m.SeqLen)
	case len(in.Tokens) != n:
		return fmt.Errorf("gpt: %d tokens for a batch of %d×%d", len(in.Tokens), in.B, in.T)
	case len(in.Cond) != n*len(m.Cond):
		return fmt.Errorf("gpt: %d conditioning integers, want %d·%d", len(in.Cond), n, len(m.Cond))
	case len(in.Features) != n*m.Features:
		return fmt.Errorf("gpt: %d features, want %d·%d", len(in.Features), n, m.Features)
	}
	for i, t := range in.Tokens {
		if t < 0 || int(t) >= m.Vocab {
			return fmt.Errorf("gpt: token %d at position %d: %w 0…%d", t, i, ErrVocabulary, m.Vocab-1)
		}
	}
	if b := in.Branches; b.Shared != nil || b.Own != nil {
		if len(b.Shared) != n || len(b.Own) != n {
			return fmt.Errorf("gpt: branches of %d and %d rows, want %d", len(b.Shared), len(b.Own), n)
		}
		for r := range n {
			if shared, own := b.Shared[r], b.Own[r]; shared < 0 || shared > own || own > int32(r%in.T) {
				return fmt.Errorf("gpt: row %d of a window shares %d rows and owns those from %d on", r%in.T, shared, own)
			}
			if at := in.position(r); at >= m.SeqLen {
				return fmt.Errorf("gpt: position %d of a branch: %w of %d", at, ErrContext, m.SeqLen)
			}
		}
	}
	for i, v := range in.Cond {
		if k := i % len(m.Cond); v < 0 || int(v) >= m.Config.Cond[k] {
			return fmt.Errorf("gpt: conditioning value %d of kind %d is outside 0…%d", v, k, m.Config.Cond[k]-1)
		}
	}
	return nil
}

// layerState is what the forward pass of one block leaves for its backward.
// R = B·T rows.
type layerState struct {
	norm1 nn.Mat    // (R,C) normed input of attention
	rrms1 []float32 // (R)
	qkv   nn.QKV
	att   nn.Mat    // (R,H·D)
	lse   []float32 // (R,H)
	norm2 nn.Mat    // (R,C) normed input of the MLP
	rrms2 []float32 // (R)
	act   nn.Mat    // (R,4C) after ReLU²
}

// Workspace holds the activations of one batch shape. It is reused from step
// to step and grows when a larger batch comes.
type Workspace struct {
	in     Input
	pos    []int32
	cond   []int32   // one conditioning column at a time
	emb    []float32 // (R,C) normed embedding
	rrms0  []float32 // (R)
	x      []float32 // (R,C) residual stream
	layers []layerState
	final  nn.Mat    // (R,C) normed output of the last block
	rrmsF  []float32 // (R)
	logits []float32 // (R,Width)
	grad   *gradState
}

// gradState is the scratch of the backward pass.
type gradState struct {
	dlogits   nn.Mat    // (R,Width)
	dx, demb  []float32 // (R,C)
	dy        nn.Mat    // (R,C) dx as the products of a branch read it
	datt      []float32 // (R,H·D)
	d         nn.QKV    // of attention
	dqkv, dup nn.Mat    // (R,(H+2·KV)·D), (R,4C)
	tokens    []float32 // (V,C) of a matrix over the basis, before it is contracted
}

// resize returns a slice of n floats, reusing s where it is large enough. The
// contents are unspecified.
func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return kernel.Floats(n)
	}
	return s[:n]
}

// resizeInts is resize for integers.
func resizeInts(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// layer is the state of block l. A runner that does not train has one for all.
func (w *Workspace) layer(l int) *layerState { return &w.layers[min(l, len(w.layers)-1)] }

func (w *Workspace) fit(r *Runner, in Input) {
	m, p, h := r.m, r.precision, r.heads
	R, C := in.B*in.T, m.Embd
	w.in = in
	w.pos = resizeInts(w.pos, R)
	for r := range w.pos {
		w.pos[r] = int32(in.position(r))
	}
	w.cond = resizeInts(w.cond, R)
	w.emb, w.rrms0, w.x = resize(w.emb, R*C), resize(w.rrms0, R), resize(w.x, R*C)
	layers := 1
	if r.training {
		layers = m.Layers
	}
	if len(w.layers) != layers {
		w.layers = make([]layerState, layers)
	}
	for l := range w.layers {
		s := &w.layers[l]
		s.norm1.Resize(p, R, C)
		s.norm2.Resize(p, R, C)
		s.att.Resize(p, R, h.H*h.D)
		s.act.Resize(p, R, 4*C)
		s.rrms1, s.rrms2, s.lse = resize(s.rrms1, R), resize(s.rrms2, R), resize(s.lse, R*h.H)
		fitQKV(&s.qkv, R, h)
		s.qkv.QRRMS, s.qkv.KRRMS = resize(s.qkv.QRRMS, R*h.H), resize(s.qkv.KRRMS, R*h.KV)
	}
	w.final.Resize(p, R, C)
	w.rrmsF, w.logits = resize(w.rrmsF, R), resize(w.logits, R*m.Width())
}

func fitQKV(s *nn.QKV, R int, h nn.Heads) {
	s.Q, s.K, s.V = resize(s.Q, R*h.H*h.D), resize(s.K, R*h.KV*h.D), resize(s.V, R*h.KV*h.D)
}

func (w *Workspace) fitGrad(r *Runner) *gradState {
	if w.grad == nil {
		w.grad = &gradState{}
	}
	g, p, R, C := w.grad, r.precision, w.in.B*w.in.T, r.m.Embd
	g.dlogits.Resize(p, R, r.m.Width())
	g.dx, g.demb = resize(g.dx, R*C), resize(g.demb, R*C)
	g.dy.Resize(p, R, C)
	g.datt = resize(g.datt, R*r.heads.H*r.heads.D)
	fitQKV(&g.d, R, r.heads)
	g.dqkv.Resize(p, R, r.heads.Width())
	g.dup.Resize(p, R, 4*C)
	if r.m.Config.Basis > 0 {
		g.tokens = resize(g.tokens, r.m.Vocab*C)
	}
	return g
}
