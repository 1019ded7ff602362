package nn

import (
	"math"
	"sync"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// KVSpan is a run of N keys and values, row by row.
//
//	K, V  (N, KV, D)
type KVSpan struct {
	K, V []float32
	N    int
}

// scores lends out buffers for one row of attention scores.
var scores = sync.Pool{New: func() any { return new([]float32) }}

func borrowScores(n int) *[]float32 {
	p := scores.Get().(*[]float32)
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
	return p
}

// AttentionForward is causal attention with grouped queries: query head h
// attends with key and value head h/(H/KV).
//
//	s[t,u] = q[t]·k[u]/√D,  u ≤ t
//	out[t] = Σ_u softmax(s[t,:])[u] · v[u]
//
//	out   (B, T, H, D)   overwritten
//	lse   (B, T, H)      ln Σ_u exp s[t,u], saved for the backward pass
//	q     (B, T, H, D)
//	k, v  (B, T, KV, D)
//
// Vaswani et al. 2017; grouped queries: Ainslie et al. 2023, arXiv 2305.13245.
func AttentionForward(out, lse, q, k, v []float32, B, T, H, KV, D int) {
	want("AttentionForward", "q", q, B*T*H*D)
	want("AttentionForward", "k", k, B*T*KV*D)
	parallel.For(B*T, rowGrain(H*D), func(lo, hi int) {
		s := borrowScores(T)
		defer scores.Put(s)
		for i := lo; i < hi; i++ {
			// A late position has more keys than an early one. They take turns
			// from both ends, so that ranges of equal length are equal work.
			b, t := i/T, i%T/2
			if i%T%2 == 1 {
				t = T - 1 - t
			}
			r := b*T + t
			span := [1]KVSpan{{K: k[b*T*KV*D:], V: v[b*T*KV*D:], N: t + 1}}
			attendRow(out[r*H*D:(r+1)*H*D], lse[r*H:(r+1)*H], q[r*H*D:(r+1)*H*D], span[:], *s, H, KV, D)
		}
	})
}

// AttentionDecode is the attention of a single query row over the spans one
// after the other, with the bits that [AttentionForward] gives to that row.
//
//	out, q  (H, D)
func AttentionDecode(out, q []float32, spans []KVSpan, H, KV, D int) {
	n := 0
	for _, s := range spans {
		n += s.N
	}
	s := borrowScores(n)
	attendRow(out, nil, q, spans, *s, H, KV, D)
	scores.Put(s)
}

// attendRow computes one row of attention. lse may be nil; s is scratch for
// all keys.
func attendRow(out, lse, q []float32, spans []KVSpan, s []float32, H, KV, D int) {
	scale := float32(1 / math.Sqrt(float64(D)))
	group := H / KV
	for h := range H {
		head, kv := q[h*D:(h+1)*D], h/group
		n, peak := 0, float32(math.Inf(-1))
		for _, span := range spans {
			if span.N > 0 {
				kernel.Dots(s[n:n+span.N], head, span.K[kv*D:], KV*D)
				n += span.N
			}
		}
		for u, x := range s[:n] {
			x *= scale
			s[u] = x
			peak = max(peak, x)
		}
		sum := 0.0
		for u, x := range s[:n] {
			e := kernel.Exp(x - peak)
			s[u] = e
			sum += float64(e)
		}
		if lse != nil {
			lse[h] = peak + float32(math.Log(sum))
		}
		to := out[h*D : (h+1)*D]
		clear(to)
		norm := float32(1 / sum)
		for u := range s[:n] {
			s[u] *= norm
		}
		n = 0
		for _, span := range spans {
			if span.N > 0 {
				kernel.Mix(to, s[n:n+span.N], span.V[kv*D:], KV*D)
				n += span.N
			}
		}
	}
}

// AttentionBackward adds the gradients of [AttentionForward]. One worker serves
// a (sequence, key head) pair, since its queries share the sums dk and dv.
//
//	p[t,u]  = exp(s[t,u] − lse[t])
//	dv[u]  += Σ_t p[t,u]·dout[t]
//	ds[t,u] = p[t,u]·(dout[t]·v[u] − dout[t]·out[t])
//	dq[t]  += Σ_u ds[t,u]·k[u]/√D
//	dk[u]  += Σ_t ds[t,u]·q[t]/√D
//
//	dq, dout, out, q  (B, T, H, D)
//	dk, dv, k, v      (B, T, KV, D)
//	lse               (B, T, H)
//
// Dao et al. 2022, arXiv 2205.14135, app. B.
func AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v []float32, B, T, H, KV, D int) {
	want("AttentionBackward", "dq", dq, B*T*H*D)
	want("AttentionBackward", "dk", dk, B*T*KV*D)
	scale := float32(1 / math.Sqrt(float64(D)))
	group := H / KV
	parallel.For(B*KV, 1, func(lo, hi int) {
		buffer := borrowScores(2 * T)
		defer scores.Put(buffer)
		for pair := lo; pair < hi; pair++ {
			b, kv := pair/KV, pair%KV
			first := (b*T*KV + kv) * D
			for t := range T {
				p, ds := (*buffer)[:t+1], (*buffer)[T:T+t+1]
				for h := kv * group; h < (kv+1)*group; h++ {
					row := ((b*T+t)*H + h) * D
					do, qh := dout[row:row+D], q[row:row+D]
					l := lse[(b*T+t)*H+h]
					delta := kernel.Dot(do, out[row:row+D])
					kernel.Dots(p, qh, k[first:], KV*D)
					kernel.Dots(ds, do, v[first:], KV*D)
					for u := range p {
						p[u] = kernel.Exp(p[u]*scale - l)
						ds[u] = p[u] * (ds[u] - delta) * scale
					}
					kernel.Mix(dq[row:row+D], ds, k[first:], KV*D)
					kernel.Outer(dv[first:], p, do, KV*D)
					kernel.Outer(dk[first:], ds, qh, KV*D)
				}
			}
		}
	})
}
