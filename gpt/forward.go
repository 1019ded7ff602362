package gpt

import (
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/nn"
)

// Forward computes the logits (B,T,V) of every position of in. The result and
// what [Model.Backward] needs live in w until its next use. Forward panics on
// an input that [Model.Check] refuses.
func (m *Model) Forward(w *Workspace, in Input) []float32 {
	if err := m.Check(in); err != nil {
		panic(err)
	}
	w.fit(m, in)
	B, T, R := in.B, in.T, in.B*in.T
	C, H, KV, D := m.Embd, m.Heads, m.KVHeads, m.HeadDim()

	m.embedInput(w.emb, w.cond, in)
	nn.RMSNormForward(w.emb, w.rrms0, w.emb, R, C)
	copy(w.x, w.emb)
	m.drop(w.x, in.Dropout, siteEmbedding, 0)

	for l, b := range m.blocks {
		s := &w.layers[l]

		nn.RMSNormForward(s.norm1, s.rrms1, w.x, R, C)
		m.project(b, s.q, s.k, s.v, s.rrmsQ, s.rrmsK, s.norm1, w.pos, R)
		nn.AttentionForward(s.att, s.lse, s.q, s.k, s.v, B, T, H, KV, D)
		nn.LinearForward(w.branch, s.att, m.param(b.o), R, H*D, C)
		m.drop(w.branch, in.Dropout, siteAttention, l)
		nn.AddForward(w.x, w.branch)

		nn.RMSNormForward(s.norm2, s.rrms2, w.x, R, C)
		nn.LinearForward(s.up, s.norm2, m.param(b.up), R, C, 4*C)
		nn.ReLU2Forward(s.act, s.up)
		nn.LinearForward(w.branch, s.act, m.param(b.down), R, 4*C, C)
		m.drop(w.branch, in.Dropout, siteMLP, l)
		nn.AddForward(w.x, w.branch)
	}

	nn.RMSNormForward(w.final, w.rrmsF, w.x, R, C)
	m.headForward(w.logits, w.final, R)
	return w.logits
}

// embedInput writes the sum of the token's embedding, those of its
// conditioning integers and its projected features to out (R,C).
// column (R) is scratch.
func (m *Model) embedInput(out []float32, column []int32, in Input) {
	R, C := in.B*in.T, m.Embd
	nn.EmbeddingForward(out, in.Tokens, m.param(m.embed), R, C)
	for i, t := range m.cond {
		condColumn(column, in.Cond, i, len(m.cond))
		nn.EmbeddingAdd(out, column, m.param(t), R, C)
	}
	if m.Features > 0 {
		projected := make([]float32, R*C)
		nn.LinearForward(projected, in.Features, m.param(m.features), R, m.Features, C)
		nn.AddForward(out, projected)
	}
}

// condColumn picks kind i of n conditioning integers per position.
func condColumn(column, cond []int32, i, n int) {
	for r := range column {
		column[r] = cond[r*n+i]
	}
}

// project computes rotated and normed queries and keys, and values, of the
// normed rows x at positions pos.
func (m *Model) project(b block, q, k, v, rrmsQ, rrmsK, x []float32, pos []int32, R int) {
	C, H, KV, D := m.Embd, m.Heads, m.KVHeads, m.HeadDim()
	nn.LinearForward(q, x, m.param(b.q), R, C, H*D)
	nn.LinearForward(k, x, m.param(b.k), R, C, KV*D)
	nn.LinearForward(v, x, m.param(b.v), R, C, KV*D)

	m.rope.Forward(q, pos, R, H, D)
	m.rope.Forward(k, pos, R, KV, D)
	nn.RMSNormForward(q, rrmsQ, q, R*H, D)
	nn.RMSNormForward(k, rrmsK, k, R*KV, D)
}

// headForward turns the normed rows x into logits.
func (m *Model) headForward(logits, x []float32, R int) {
	nn.LinearForward(logits, x, m.param(m.head), R, m.Embd, m.Vocab)
	if m.Softcap > 0 {
		nn.SoftcapForward(logits, float32(m.Softcap))
	}
}

// Places where dropout acts.
const (
	siteEmbedding = iota
	siteAttention
	siteMLP
)

func (m *Model) drop(x []float32, key uint64, site, layer int) {
	if key != 0 && m.Dropout > 0 {
		nn.DropoutForward(x, float32(m.Dropout), rng.Hash(key, uint64(site), uint64(layer)))
	}
}

func (m *Model) dropBackward(dx []float32, key uint64, site, layer int) {
	if key != 0 && m.Dropout > 0 {
		nn.DropoutBackward(dx, float32(m.Dropout), rng.Hash(key, uint64(site), uint64(layer)))
	}
}
