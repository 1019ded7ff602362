package gpt

import "github.com/micro-quant/mqc/nn"

// Backward adds the gradient of a loss to grads, which has the layout of
// [Model.Params]. It belongs to the last [Model.Forward] on w.
//
//	dlogits  (B,T,V)  gradient with respect to the logits; overwritten
func (m *Model) Backward(w *Workspace, dlogits, grads []float32) {
	g := w.fitGrad(m)
	in := w.in
	B, T, R := in.B, in.T, in.B*in.T
	C, H, KV, D := m.Embd, m.Heads, m.KVHeads, m.HeadDim()
	grad := func(t Tensor) []float32 { return t.View(grads) }

	if m.Softcap > 0 {
		nn.SoftcapBackward(dlogits, w.logits, float32(m.Softcap))
	}
	clear(g.dnorm)
	nn.LinearBackward(g.dnorm, grad(m.head), dlogits, w.final, m.param(m.head), R, C, m.Vocab)
	clear(g.dx)
	nn.RMSNormBackward(g.dx, g.dnorm, w.final, w.rrmsF, R, C)

	for l := m.Layers - 1; l >= 0; l-- {
		b, s := m.blocks[l], &w.layers[l]

		copy(g.dbranch, g.dx)
		m.dropBackward(g.dbranch, in.Dropout, siteMLP, l)
		clear(g.dact)
		nn.LinearBackward(g.dact, grad(b.down), g.dbranch, s.act, m.param(b.down), R, 4*C, C)
		clear(g.dup)
		nn.ReLU2Backward(g.dup, g.dact, s.up)
		clear(g.dnorm)
		nn.LinearBackward(g.dnorm, grad(b.up), g.dup, s.norm2, m.param(b.up), R, C, 4*C)
		nn.RMSNormBackward(g.dx, g.dnorm, s.norm2, s.rrms2, R, C)

		copy(g.dbranch, g.dx)
		m.dropBackward(g.dbranch, in.Dropout, siteAttention, l)
		clear(g.datt)
		nn.LinearBackward(g.datt, grad(b.o), g.dbranch, s.att, m.param(b.o), R, H*D, C)
		clear(g.dqn)
		clear(g.dkn)
		clear(g.dv)
		nn.AttentionBackward(g.dqn, g.dkn, g.dv, g.datt, s.att, s.lse, s.q, s.k, s.v, B, T, H, KV, D)
		clear(g.dq)
		clear(g.dk)
		nn.RMSNormBackward(g.dq, g.dqn, s.q, s.rrmsQ, R*H, D)
		nn.RMSNormBackward(g.dk, g.dkn, s.k, s.rrmsK, R*KV, D)
		m.rope.Backward(g.dq, w.pos, R, H, D)
		m.rope.Backward(g.dk, w.pos, R, KV, D)
		clear(g.dnorm)
		nn.LinearBackward(g.dnorm, grad(b.q), g.dq, s.norm1, m.param(b.q), R, C, H*D)
		nn.LinearBackward(g.dnorm, grad(b.k), g.dk, s.norm1, m.param(b.k), R, C, KV*D)
		nn.LinearBackward(g.dnorm, grad(b.v), g.dv, s.norm1, m.param(b.v), R, C, KV*D)
		nn.RMSNormBackward(g.dx, g.dnorm, s.norm1, s.rrms1, R, C)
	}

	m.dropBackward(g.dx, in.Dropout, siteEmbedding, 0)
	clear(g.dnorm)
	nn.RMSNormBackward(g.dnorm, g.dx, w.emb, w.rrms0, R, C)
	nn.EmbeddingBackward(grad(m.embed), g.dnorm, in.Tokens, R, C)
	for i, t := range m.cond {
		condColumn(w.cond, in.Cond, i, len(m.cond))
		nn.EmbeddingBackward(grad(t), g.dnorm, w.cond, R, C)
	}
	if m.Features > 0 {
		nn.LinearBackward(nil, grad(m.features), g.dnorm, in.Features, m.param(m.features), R, m.Features, C)
	}
}
