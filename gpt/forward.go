package gpt

import (
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/nn"
)

// Forward computes the logits (B,T,V), or the outputs (B,T,Width) that stand in
// for them, of every position of in. The result and
// what [Runner.Backward] needs live in w until its next use. Forward panics on
// an input that [Model.Check] refuses.
func (r *Runner) Forward(w *Workspace, in Input) []float32 { return r.forward(w, in, nil) }

// forward is Forward; it leaves the keys and values of every block in keep
// (B, KV), unless that is nil.
func (r *Runner) forward(w *Workspace, in Input, keep func(layer int) []nn.KV) []float32 {
	m := r.m
	if err := m.Check(in); err != nil {
		panic(err)
	}
	w.fit(r, in)
	B, T, R, C := in.B, in.T, in.B*in.T, m.Embd

	r.embedInput(w.x, w.cond, in)
	if !m.RawEmbed {
		emb := nn.View(w.emb, R, C)
		nn.RMSNormForward(&emb, w.rrms0, w.x, R, C)
		copy(w.x, w.emb)
	}
	m.dropout(in.Dropout, siteEmbedding, 0).Forward(w.x)

	for l := range r.blocks {
		b, s := &r.blocks[l], w.layer(l)

		nn.RMSNormForward(&s.norm1, s.rrms1, w.x, R, C)
		b.qkv.Project(s.qkv, &s.norm1, w.pos, r.heads)
		var kv []nn.KV
		if keep != nil {
			kv = keep(l)
		}
		nn.AttentionForward(&s.att, s.lse, s.qkv.Q, s.qkv.K, s.qkv.V, kv, in.Branches, B, T, r.heads)
		b.o.Residual(w.x, &s.att, m.dropout(in.Dropout, siteAttention, l))

		nn.RMSNormForward(&s.norm2, s.rrms2, w.x, R, C)
		b.up.ReLU2(&s.act, &s.norm2)
		b.down.Residual(w.x, &s.act, m.dropout(in.Dropout, siteMLP, l))
	}

	nn.RMSNormForward(&w.final, w.rrmsF, w.x, R, C)
	r.headForward(w.logits, &w.final)
	return w.logits
}

// embedInput writes the sum of the token's embedding, those of its
// conditioning integers and its projected features to out (R,C).
// column (R) is scratch.
func (r *Runner) embedInput(out []float32, column []int32, in Input) {
	m := r.m
	R, C := in.B*in.T, m.Embd
	if m.Embed == None {
		clear(out[:R*C])
	} else {
		nn.EmbeddingForward(out, in.Tokens, r.table, R, C)
	}
	for i, t := range m.cond {
		condColumn(column, in.Cond, i, len(m.cond))
		nn.EmbeddingAdd(out, column, m.param(t), R, C)
	}
	if m.Features > 0 {
		nn.LinearAdd(out, in.Features, m.param(m.features), R, m.Features, C)
	}
}

// condColumn picks kind i of n conditioning integers per position.
func condColumn(column, cond []int32, i, n int) {
	for r := range column {
		column[r] = cond[r*n+i]
	}
}

// headForward turns the normed rows x into logits.
func (r *Runner) headForward(logits []float32, x *nn.Mat) {
	r.head.Forward(logits, x)
	if r.m.Head == Basis {
		nn.AddRow(logits, r.m.param(r.m.prior), x.Rows)
	}
	if r.m.Softcap > 0 {
		nn.SoftcapForward(logits[:x.Rows*r.m.Width()], float32(r.m.Softcap))
	}
}

// Places where dropout acts.
const (
	siteEmbedding = iota
	siteAttention
	siteMLP
)

// dropout is what key drops at a site of a layer; key 0 drops nothing.
func (m *Model) dropout(key uint64, site, layer int) nn.Dropout {
	if key == 0 || m.Dropout == 0 {
		return nn.Dropout{}
	}
	return nn.Dropout{P: float32(m.Dropout), Key: rng.Hash(key, uint64(site), uint64(layer))}
}
