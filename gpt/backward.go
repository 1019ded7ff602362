package gpt

import "github.com/micro-quant/mqc/nn"

// Backward adds the gradient of a loss to grads, which has the layout of
// [Model.Params]. It belongs to the last [Runner.Forward] on w, a runner made by
// [Model.TrainingRunner].
//
//	dlogits  (B,T,Width)  gradient with respect to the logits; overwritten
func (r *Runner) Backward(w *Workspace, dlogits, grads []float32) {
	m, g := r.m, w.fitGrad(r)
	in := w.in
	B, T, R, C := in.B, in.T, in.B*in.T, m.Embd
	grad := func(t Tensor) []float32 { return t.View(grads) }

	if m.Softcap > 0 {
		nn.SoftcapBackward(dlogits, w.logits, float32(m.Softcap))
	}
	nn.Round(&g.dlogits, dlogits, R, m.Width())
	if m.Head == Basis {
		clear(g.tokens)
		nn.WeightGrad(g.tokens, &g.dlogits, &w.final)
		m.contract(grad(m.head), g.tokens)
	} else {
		nn.WeightGrad(grad(m.head), &g.dlogits, &w.final)
	}
	clear(g.dx)
	r.head.RMSNormBackward(g.dx, &g.dlogits, &w.final, w.rrmsF)

	for l := m.Layers - 1; l >= 0; l-- {
		t, b, s := m.blocks[l], &r.blocks[l], w.layer(l)

		nn.RoundDropped(&g.dy, g.dx, m.dropout(in.Dropout, siteMLP, l), R, C)
		nn.WeightGrad(grad(t.down), &g.dy, &s.act)
		b.down.ReLU2Backward(&g.dup, &g.dy, &s.act)
		nn.WeightGrad(grad(t.up), &g.dup, &s.norm2)
		b.up.RMSNormBackward(g.dx, &g.dup, &s.norm2, s.rrms2)

		nn.RoundDropped(&g.dy, g.dx, m.dropout(in.Dropout, siteAttention, l), R, C)
		nn.WeightGrad(grad(t.o), &g.dy, &s.att)
		b.o.InputGrad(g.datt, &g.dy)
		nn.AttentionBackward(g.d.Q, g.d.K, g.d.V, g.datt, &s.att, s.lse, s.qkv.Q, s.qkv.K, s.qkv.V, in.Branches, B, T, r.heads)
		nn.ProjectBackward(&g.dqkv, g.d, s.qkv, w.pos, r.heads, R)
		nn.WeightGrad(grads[t.q.offset:t.v.offset+t.v.Len()], &g.dqkv, &s.norm1)
		b.qkv.RMSNormBackward(g.dx, &g.dqkv, &s.norm1, s.rrms1)
	}

	m.dropout(in.Dropout, siteEmbedding, 0).Backward(g.dx)
	if m.RawEmbed {
		copy(g.demb, g.dx)
	} else {
		clear(g.demb)
		emb := nn.View(w.emb, R, C)
		nn.RMSNormBackward(g.demb, g.dx, &emb, w.rrms0, R, C)
	}
	switch m.Embed {
	case Basis:
		clear(g.tokens)
		nn.EmbeddingBackward(g.tokens, g.demb, in.Tokens, R, C)
		m.contract(grad(m.embed), g.tokens)
	case None:
	default:
		nn.EmbeddingBackward(grad(m.embed), g.demb, in.Tokens, R, C)
	}
	for i, t := range m.cond {
		condColumn(w.cond, in.Cond, i, len(m.cond))
		nn.EmbeddingBackward(grad(t), g.demb, w.cond, R, C)
	}
	if m.Features > 0 {
		nn.LinearBackward(nil, grad(m.features), g.demb, in.Features, m.param(m.features), R, m.Features, C)
	}
}
