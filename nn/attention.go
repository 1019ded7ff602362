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
	// A late position has more keys than an early one; B·T rows dealt out in
	// order still balance, because every sequence is cut alike.
	parallel.For(B*T, rowGrain(H*D), func(lo, hi int) {
		s := borrowScores(T)
		defer scores.Put(s)
		for r := lo; r < hi; r++ {
			b, t := r/T, r%T
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
			for u := range span.N {
				x := dot(head, span.K[(u*KV+kv)*D:(u*KV+kv+1)*D]) * scale
				s[n] = x
				peak = max(peak, x)
				n++
			}
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
		n = 0
		for _, span := range spans {
			for u := range span.N {
				axpy(to, s[n]*norm, span.V[(u*KV+kv)*D:(u*KV+kv+1)*D])
				n++
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
		for pair := lo; pair < hi; pair++ {
			b, kv := pair/KV, pair%KV
			for t := range T {
				for h := kv * group; h < (kv+1)*group; h++ {
					row := ((b*T+t)*H + h) * D
					do, qh, dqh := dout[row:row+D], q[row:row+D], dq[row:row+D]
					l := lse[(b*T+t)*H+h]
					delta := dot(do, out[row:row+D])
					for u := range t + 1 {
						at := ((b*T+u)*KV + kv) * D
						ku := k[at : at+D]
						p := kernel.Exp(dot(qh, ku)*scale - l)
						axpy(dv[at:at+D], p, do)
						ds := p * (dot(do, v[at:at+D]) - delta) * scale
						axpy(dqh, ds, ku)
						axpy(dk[at:at+D], ds, qh)
					}
				}
			}
		}
	})
}

// dot sums in four interleaved parts: the latency of one addition would
// otherwise be the limit. The order is a function of the length alone.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func axpy(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * x[i]
	}
}
