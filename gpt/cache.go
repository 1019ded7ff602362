package gpt

import (
	"fmt"

	"github.com/micro-quant/mqc/nn"
)

// Prefix is the keys and values of a prompt, computed once and shared, never
// copied, by every path that continues it.
type Prefix struct {
	n  int
	kv [][]nn.KV // per block, per key head
}

// Len is the number of positions that p covers.
func (p *Prefix) Len() int { return p.n }

// Prefill runs the prompts of in (B,T) and returns what a [Decoder] continues
// from: one prefix per prompt and the logits (B,V) after its last token.
func (r *Runner) Prefill(in Input) ([]*Prefix, []float32, error) {
	m := r.m
	if err := m.Check(in); err != nil {
		return nil, nil, err
	}
	in.Dropout = 0
	kv := make([][]nn.KV, m.Layers)
	var w Workspace
	logits := r.forward(&w, in, func(layer int) []nn.KV {
		kv[layer] = make([]nn.KV, in.B*m.KVHeads)
		return kv[layer]
	})

	V := m.Width()
	prefixes := make([]*Prefix, in.B)
	last := make([]float32, in.B*V)
	for b := range prefixes {
		p := &Prefix{n: in.T}
		for l := range kv {
			p.kv = append(p.kv, kv[l][b*m.KVHeads:(b+1)*m.KVHeads])
		}
		prefixes[b] = p
		copy(last[b*V:(b+1)*V], logits[((b+1)*in.T-1)*V:])
	}
	return prefixes, last, nil
}

// Decoder continues paths one token at a time. Each path attends to its
// prefix and to its own tail; a row has the same bits alone and in any batch.
type Decoder struct {
	r        *Runner
	prefixes []*Prefix
	capacity int
	n        int                 // tokens in every tail
	paths    [][]nn.Continuation // per block, per path

	// Scratch of a step, R = P rows.
	pos      []int32
	column   []int32
	x        []float32
	rrms     []float32
	h        nn.Mat
	qkv      nn.QKV
	att, act nn.Mat
	logits   []float32
}

// NewDecoder returns a decoder with one path per prefix and room for capacity
// more tokens on each. All prefixes must have one length.
func (r *Runner) NewDecoder(prefixes []*Prefix, capacity int) (*Decoder, error) {
	if len(prefixes) == 0 || capacity < 1 {
		return nil, fmt.Errorf("gpt: decoder with %d paths and room for %d tokens: want at least one of each", len(prefixes), capacity)
	}
	for _, p := range prefixes {
		if p.n != prefixes[0].n {
			return nil, fmt.Errorf("gpt: prefixes of %d and %d tokens in one decoder", prefixes[0].n, p.n)
		}
	}
	m := r.m
	if n := prefixes[0].n + capacity; n > m.SeqLen {
		return nil, fmt.Errorf("gpt: %d tokens of prompt and %d more: %w of %d", prefixes[0].n, capacity, ErrContext, m.SeqLen)
	}
	P, C, h := len(prefixes), m.Embd, r.heads
	d := &Decoder{
		r: r, prefixes: prefixes, capacity: capacity,
		pos: make([]int32, P), column: make([]int32, P),
		x: make([]float32, P*C), rrms: make([]float32, P),
		logits: make([]float32, P*m.Width()),
	}
	d.h.Resize(r.precision, P, C)
	d.att.Resize(r.precision, P, h.H*h.D)
	d.act.Resize(r.precision, P, 4*C)
	fitQKV(&d.qkv, P, h)
	d.qkv.QRRMS, d.qkv.KRRMS = make([]float32, P*h.H), make([]float32, P*h.KV)
	for l := range m.Layers {
		tails := nn.MakeKV(P*h.KV, capacity, h.D)
		paths := make([]nn.Continuation, P)
		for p := range paths {
			paths[p] = nn.Continuation{Prefix: prefixes[p].kv[l], Tail: tails[p*h.KV : (p+1)*h.KV]}
		}
		d.paths = append(d.paths, paths)
	}
	return d, nil
}

// Full reports whether no further token fits.
func (d *Decoder) Full() bool { return d.n == d.capacity }

// Step appends one token to every path and returns the logits (P,V) of the
// next one, valid until the next Step. in holds P rows (B = P, T = 1).
func (d *Decoder) Step(in Input) ([]float32, error) {
	r, m, P := d.r, d.r.m, len(d.prefixes)
	if in.B != P || in.T != 1 {
		return nil, fmt.Errorf("gpt: step of %d×%d tokens for %d paths", in.B, in.T, P)
	}
	if d.Full() {
		return nil, fmt.Errorf("gpt: no room for token %d of a path", d.n+1)
	}
	if err := m.Check(in); err != nil {
		return nil, err
	}
	for p := range d.pos {
		d.pos[p] = int32(d.prefixes[p].n + d.n)
	}
	C := m.Embd

	r.embedInput(d.x, d.column, in)
	if !m.RawEmbed {
		x := nn.View(d.x, P, C)
		nn.RMSNormForward(&x, d.rrms, d.x, P, C)
	}

	for l := range r.blocks {
		b := &r.blocks[l]
		nn.RMSNormForward(&d.h, d.rrms, d.x, P, C)
		b.qkv.Project(d.qkv, &d.h, d.pos, r.heads)
		d.append(l)
		nn.AttentionDecode(&d.att, d.qkv.Q, d.paths[l], r.heads)
		b.o.Residual(d.x, &d.att, nn.Dropout{})

		nn.RMSNormForward(&d.h, d.rrms, d.x, P, C)
		b.up.ReLU2(&d.act, &d.h)
		b.down.Residual(d.x, &d.act, nn.Dropout{})
	}
	d.n++

	nn.RMSNormForward(&d.h, d.rrms, d.x, P, C)
	r.headForward(d.logits, &d.h)
	return d.logits, nil
}

// append stores the new key and value of every path at the end of its tail.
func (d *Decoder) append(layer int) {
	KV, D := d.r.heads.KV, d.r.heads.D
	for p, path := range d.paths[layer] {
		for h := range path.Tail {
			at := (p*KV + h) * D
			path.Tail[h].Append(d.qkv.K[at:at+D], d.qkv.V[at:at+D])
		}
	}
}
