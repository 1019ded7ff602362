package gpt

import (
	"fmt"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/nn"
)

// Prefix is the keys and values of a prompt, computed once and shared, never
// copied, by every path that continues it.
type Prefix struct {
	n    int
	k, v [][]float32 // per block (n, KV, D), keys rotated and normed
}

// Len is the number of positions that p covers.
func (p *Prefix) Len() int { return p.n }

// Prefill runs the prompts of in (B,T) and returns what a [Decoder] continues
// from: one prefix per prompt and the logits (B,V) after its last token.
func (m *Model) Prefill(in Input) ([]*Prefix, []float32, error) {
	if err := m.Check(in); err != nil {
		return nil, nil, err
	}
	in.Dropout = 0
	var w Workspace
	logits := m.Forward(&w, in)

	prefixes := make([]*Prefix, in.B)
	last := make([]float32, in.B*m.Vocab)
	row := m.KVHeads * m.HeadDim()
	for b := range prefixes {
		p := &Prefix{n: in.T}
		for l := range w.layers {
			lo, hi := b*in.T*row, (b+1)*in.T*row
			p.k = append(p.k, w.layers[l].k[lo:hi:hi])
			p.v = append(p.v, w.layers[l].v[lo:hi:hi])
		}
		prefixes[b] = p
		copy(last[b*m.Vocab:(b+1)*m.Vocab], logits[((b+1)*in.T-1)*m.Vocab:])
	}
	return prefixes, last, nil
}

// Decoder continues paths one token at a time. Each path attends to its
// prefix and to its own tail; a row has the same bits alone and in any batch.
type Decoder struct {
	m        *Model
	prefixes []*Prefix
	capacity int
	n        int         // tokens in every tail
	k, v     [][]float32 // per block (P, capacity, KV, D)

	// Scratch of a step, R = P rows.
	pos          []int32
	column       []int32
	x, h, branch []float32
	rrms         []float32
	q, kNew      []float32
	vNew, att    []float32
	rrmsQ, rrmsK []float32
	up, logits   []float32
}

// NewDecoder returns a decoder with one path per prefix and room for capacity
// more tokens on each. All prefixes must have one length.
func (m *Model) NewDecoder(prefixes []*Prefix, capacity int) (*Decoder, error) {
	if len(prefixes) == 0 || capacity < 1 {
		return nil, fmt.Errorf("gpt: decoder with %d paths and room for %d tokens: want at least one of each", len(prefixes), capacity)
	}
	for _, p := range prefixes {
		if p.n != prefixes[0].n {
			return nil, fmt.Errorf("gpt: prefixes of %d and %d tokens in one decoder", prefixes[0].n, p.n)
		}
	}
	if n := prefixes[0].n + capacity; n > m.SeqLen {
		return nil, fmt.Errorf("gpt: %d tokens of prompt and %d more: %w of %d", prefixes[0].n, capacity, ErrContext, m.SeqLen)
	}
	P, C, q, kv := len(prefixes), m.Embd, m.Heads*m.HeadDim(), m.KVHeads*m.HeadDim()
	d := &Decoder{
		m: m, prefixes: prefixes, capacity: capacity,
		pos: make([]int32, P), column: make([]int32, P),
		x: make([]float32, P*C), h: make([]float32, P*C), branch: make([]float32, P*C),
		rrms: make([]float32, P),
		q:    make([]float32, P*q), att: make([]float32, P*q),
		kNew: make([]float32, P*kv), vNew: make([]float32, P*kv),
		rrmsQ: make([]float32, P*m.Heads), rrmsK: make([]float32, P*m.KVHeads),
		up: make([]float32, P*4*C), logits: make([]float32, P*m.Vocab),
	}
	for range m.Layers {
		d.k = append(d.k, make([]float32, P*capacity*kv))
		d.v = append(d.v, make([]float32, P*capacity*kv))
	}
	return d, nil
}

// Full reports whether no further token fits.
func (d *Decoder) Full() bool { return d.n == d.capacity }

// Step appends one token to every path and returns the logits (P,V) of the
// next one, valid until the next Step. in holds P rows (B = P, T = 1).
func (d *Decoder) Step(in Input) ([]float32, error) {
	m, P := d.m, len(d.prefixes)
	if in.B != P || in.T != 1 {
		return nil, fmt.Errorf("gpt: step of %d×%d tokens for %d paths", in.B, in.T, P)
	}
	if d.Full() {
		return nil, fmt.Errorf("gpt: no room for token %d of a path", d.n+1)
	}
	if err := m.Check(in); err != nil {
		return nil, err
	}
	C, H, D := m.Embd, m.Heads, m.HeadDim()
	for p := range d.pos {
		d.pos[p] = int32(d.prefixes[p].n + d.n)
	}

	m.embedInput(d.x, d.column, in)
	nn.RMSNormForward(d.x, d.rrms, d.x, P, C)

	for l, b := range m.blocks {
		nn.RMSNormForward(d.h, d.rrms, d.x, P, C)
		m.project(b, d.q, d.kNew, d.vNew, d.rrmsQ, d.rrmsK, d.h, d.pos, P)
		d.append(l)
		d.attend(l)
		nn.LinearForward(d.branch, d.att, m.param(b.o), P, H*D, C)
		nn.AddForward(d.x, d.branch)

		nn.RMSNormForward(d.h, d.rrms, d.x, P, C)
		nn.LinearForward(d.up, d.h, m.param(b.up), P, C, 4*C)
		nn.ReLU2Forward(d.up, d.up)
		nn.LinearForward(d.branch, d.up, m.param(b.down), P, 4*C, C)
		nn.AddForward(d.x, d.branch)
	}
	d.n++

	nn.RMSNormForward(d.h, d.rrms, d.x, P, C)
	m.headForward(d.logits, d.h, P)
	return d.logits, nil
}

// append stores the new key and value of every path at the end of its tail.
func (d *Decoder) append(layer int) {
	row := d.m.KVHeads * d.m.HeadDim()
	for p := range d.prefixes {
		at := (p*d.capacity + d.n) * row
		copy(d.k[layer][at:at+row], d.kNew[p*row:])
		copy(d.v[layer][at:at+row], d.vNew[p*row:])
	}
}

// attend computes the attention of every path's newest query.
func (d *Decoder) attend(layer int) {
	m, P := d.m, len(d.prefixes)
	H, KV, D := m.Heads, m.KVHeads, m.HeadDim()
	row := KV * D
	parallel.For(P, 1, func(lo, hi int) {
		for p := lo; p < hi; p++ {
			prefix, tail := d.prefixes[p], p*d.capacity*row
			end := tail + (d.n+1)*row
			spans := [2]nn.KVSpan{
				{K: prefix.k[layer], V: prefix.v[layer], N: prefix.n},
				{K: d.k[layer][tail:end], V: d.v[layer][tail:end], N: d.n + 1},
			}
			nn.AttentionDecode(d.att[p*H*D:(p+1)*H*D], d.q[p*H*D:(p+1)*H*D], spans[:], H, KV, D)
		}
	})
}
