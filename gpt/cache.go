package gpt

import (
	"fmt"
	"slices"

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
	r    *Runner
	rows []*row

	// Scratch of a step, R = P rows.
	pos      []int32
	column   []int32
	x        []float32
	rrms     []float32
	h        nn.Mat
	qkv      nn.QKV
	att, act nn.Mat
	paths    []nn.Continuation
	logits   []float32
}

// row is a path in a decoder.
type row struct {
	prefix   *Prefix
	capacity int // tokens that its tail has room for
	n        int // tokens in its tail
	blocks   []nn.Continuation
}

func (r *Runner) newRow(prefix *Prefix, capacity int) (*row, error) {
	m, h := r.m, r.heads
	if n := prefix.n + capacity; n > m.SeqLen {
		return nil, fmt.Errorf("gpt: %d tokens of prompt and %d more: %w of %d", prefix.n, capacity, ErrContext, m.SeqLen)
	}
	p := &row{prefix: prefix, capacity: capacity, blocks: make([]nn.Continuation, m.Layers)}
	tails := nn.MakeKV(m.Layers*h.KV, capacity, h.D)
	for l := range p.blocks {
		p.blocks[l] = nn.Continuation{Prefix: prefix.kv[l], Tail: tails[l*h.KV : (l+1)*h.KV]}
	}
	return p, nil
}

func (p *row) full() bool { return p.n == p.capacity }

// NewDecoder returns a decoder with one path per prefix and room for capacity
// more tokens on each.
func (r *Runner) NewDecoder(prefixes []*Prefix, capacity int) (*Decoder, error) {
	if len(prefixes) == 0 || capacity < 1 {
		return nil, fmt.Errorf("gpt: decoder with %d paths and room for %d tokens: want at least one of each", len(prefixes), capacity)
	}
	rows := make([]*row, len(prefixes))
	for i, p := range prefixes {
		var err error
		if rows[i], err = r.newRow(p, capacity); err != nil {
			return nil, err
		}
	}
	d := &Decoder{r: r}
	d.hold(rows)
	return d, nil
}

// hold makes rows the paths of the next step.
func (d *Decoder) hold(rows []*row) {
	r, P, C, h := d.r, len(rows), d.r.m.Embd, d.r.heads
	d.rows = rows
	d.pos, d.column = resizeInts(d.pos, P), resizeInts(d.column, P)
	d.x, d.rrms, d.logits = resize(d.x, P*C), resize(d.rrms, P), resize(d.logits, P*r.m.Width())
	d.h.Resize(r.precision, P, C)
	d.att.Resize(r.precision, P, h.H*h.D)
	d.act.Resize(r.precision, P, 4*C)
	fitQKV(&d.qkv, P, h)
	d.qkv.QRRMS, d.qkv.KRRMS = resize(d.qkv.QRRMS, P*h.H), resize(d.qkv.KRRMS, P*h.KV)
	if cap(d.paths) < P {
		d.paths = make([]nn.Continuation, P)
	}
	d.paths = d.paths[:P]
}

// Full reports whether no further token fits.
func (d *Decoder) Full() bool { return slices.ContainsFunc(d.rows, (*row).full) }

// Step appends one token to every path and returns the logits (P,V) of the
// next one, valid until the next Step. in holds P rows (B = P, T = 1).
func (d *Decoder) Step(in Input) ([]float32, error) {
	r, m, P := d.r, d.r.m, len(d.rows)
	if in.B != P || in.T != 1 {
		return nil, fmt.Errorf("gpt: step of %d×%d tokens for %d paths", in.B, in.T, P)
	}
	if d.Full() {
		return nil, fmt.Errorf("gpt: no room for another token of a path")
	}
	if err := m.Check(in); err != nil {
		return nil, err
	}
	for p, row := range d.rows {
		d.pos[p] = int32(row.prefix.n + row.n)
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
		nn.AttentionDecode(&d.att, d.qkv.Q, d.paths, r.heads)
		b.o.Residual(d.x, &d.att, nn.Dropout{})

		nn.RMSNormForward(&d.h, d.rrms, d.x, P, C)
		b.up.ReLU2(&d.act, &d.h)
		b.down.Residual(d.x, &d.act, nn.Dropout{})
	}
	for _, row := range d.rows {
		row.n++
	}

	nn.RMSNormForward(&d.h, d.rrms, d.x, P, C)
	r.headForward(d.logits, &d.h)
	return d.logits, nil
}

// append stores the new key and value of every path at the end of its tail in a
// block, and makes d.paths those of the block.
func (d *Decoder) append(layer int) {
	KV, D := d.r.heads.KV, d.r.heads.D
	for p, row := range d.rows {
		d.paths[p] = row.blocks[layer]
		for h := range d.paths[p].Tail {
			at := (p*KV + h) * D
			d.paths[p].Tail[h].Append(d.qkv.K[at:at+D], d.qkv.V[at:at+D])
		}
	}
}
