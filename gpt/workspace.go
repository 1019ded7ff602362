package gpt

import (
	"errors"
	"fmt"
)

// Faults of an input that a user can cause.
var (
	ErrContext    = errors.New("longer than the model's context")
	ErrVocabulary = errors.New("outside the vocabulary")
)

// Input is one batch of windows, row major: (B,T) tokens, (B,T,len(Cond))
// conditioning integers, (B,T,F) floats.
type Input struct {
	B, T     int
	Tokens   []int32
	Cond     []int32   // nil when Config.Cond is empty
	Features []float32 // nil when Config.Features is 0

	// Dropout names the random mask of this pass; 0 turns dropout off.
	Dropout uint64
}

// Check returns an error that names the first thing of in that m cannot take.
func (m *Model) Check(in Input) error {
	n := in.B * in.T
	switch {
	case in.B < 1 || in.T < 1:
		return fmt.Errorf("gpt: input of %d×%d tokens: want at least one", in.B, in.T)
	case in.T > m.SeqLen:
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
	norm1, rrms1 []float32 // (R,C), (R): normed input of attention
	q, rrmsQ     []float32 // (R,H,D) after rotation and norm, (R,H)
	k, rrmsK     []float32 // (R,KV,D), (R,KV)
	v            []float32 // (R,KV,D)
	att, lse     []float32 // (R,H,D), (B,H,T)
	norm2, rrms2 []float32 // (R,C), (R): normed input of the MLP
	up, act      []float32 // (R,4C) before and after ReLU²
}

// Workspace holds the activations of one batch shape. It is reused from step
// to step and grows when a larger batch comes.
type Workspace struct {
	in     Input
	pos    []int32
	cond   []int32 // one conditioning column at a time
	emb    []float32
	rrms0  []float32
	x      []float32 // (R,C) residual stream
	branch []float32 // (R,C) output of a residual branch before it is added
	layers []layerState
	final  []float32 // (R,C) normed output of the last block
	rrmsF  []float32
	logits []float32 // (R,V)
	grad   *gradState
}

// gradState is the scratch of the backward pass.
type gradState struct {
	dx, dbranch, dnorm []float32 // (R,C)
	dq, dqn            []float32 // (R,H,D) before and after the norm's backward
	dk, dkn, dv        []float32 // (R,KV,D)
	datt               []float32 // (R,H,D)
	dup, dact          []float32 // (R,4C)
}

// resize returns a slice of n elements, reusing s where it is large enough.
// The contents are unspecified.
func resize[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

func (w *Workspace) fit(m *Model, in Input) {
	R, C, H, KV, D := in.B*in.T, m.Embd, m.Heads, m.KVHeads, m.HeadDim()
	w.in = in
	w.pos = resize(w.pos, R)
	for r := range w.pos {
		w.pos[r] = int32(r % in.T)
	}
	w.cond = resize(w.cond, R)
	w.emb, w.rrms0 = resize(w.emb, R*C), resize(w.rrms0, R)
	w.x, w.branch = resize(w.x, R*C), resize(w.branch, R*C)
	if len(w.layers) != m.Layers {
		w.layers = make([]layerState, m.Layers)
	}
	for l := range w.layers {
		s := &w.layers[l]
		s.norm1, s.rrms1 = resize(s.norm1, R*C), resize(s.rrms1, R)
		s.q, s.rrmsQ = resize(s.q, R*H*D), resize(s.rrmsQ, R*H)
		s.k, s.rrmsK = resize(s.k, R*KV*D), resize(s.rrmsK, R*KV)
		s.v = resize(s.v, R*KV*D)
		s.att, s.lse = resize(s.att, R*H*D), resize(s.lse, R*H)
		s.norm2, s.rrms2 = resize(s.norm2, R*C), resize(s.rrms2, R)
		s.up, s.act = resize(s.up, R*4*C), resize(s.act, R*4*C)
	}
	w.final, w.rrmsF = resize(w.final, R*C), resize(w.rrmsF, R)
	w.logits = resize(w.logits, R*m.Vocab)
}

func (w *Workspace) fitGrad(m *Model) *gradState {
	if w.grad == nil {
		w.grad = &gradState{}
	}
	g, R, C := w.grad, w.in.B*w.in.T, m.Embd
	q, kv := m.Heads*m.HeadDim(), m.KVHeads*m.HeadDim()
	g.dx, g.dbranch, g.dnorm = resize(g.dx, R*C), resize(g.dbranch, R*C), resize(g.dnorm, R*C)
	g.dq, g.dqn, g.datt = resize(g.dq, R*q), resize(g.dqn, R*q), resize(g.datt, R*q)
	g.dk, g.dkn, g.dv = resize(g.dk, R*kv), resize(g.dkn, R*kv), resize(g.dv, R*kv)
	g.dup, g.dact = resize(g.dup, R*4*C), resize(g.dact, R*4*C)
	return g
}
