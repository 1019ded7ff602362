package nn

import (
	"math"
	"sync"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// KV is the keys and values of one head at N positions, in the layout that
// products read: K has a column, V a row for each.
type KV struct {
	K, V kernel.Packed
	N    int
}

// MakeKV returns count empty heads of width D with room for n positions.
func MakeKV(count, n, D int) []KV {
	k, v := kernel.PackedLen(D, n), kernel.PackedLen(n, D)
	data := kernel.Floats(count * (k + v))
	heads := make([]KV, count)
	for i := range heads {
		heads[i].K = kernel.PackedOver(data[:k:k], D, n)
		heads[i].V = kernel.PackedOver(data[k:k+v:k+v], n, D)
		data = data[k+v:]
	}
	return heads
}

// Append adds a position with key k and value v (D).
func (c *KV) Append(k, v []float32) {
	c.K.SetColumn(c.N, k)
	c.V.SetRow(c.N, v)
	c.N++
}

// Branches lets a window be a tree: several continuations of one beginning, none of
// which sees another. Row t of a window attends to its first Shared rows and to those
// from Own up to t itself, where Shared ≤ Own ≤ t. Nil slices: to all rows up to t.
type Branches struct{ Shared, Own []int32 } // (B·T)

// hide takes the rows that a row does not see out of its scores.
func (b Branches) hide(s []float32, row int) {
	if b.Own == nil {
		return
	}
	hidden := s[b.Shared[row]:b.Own[row]]
	for i := range hidden {
		hidden[i] = float32(math.Inf(-1))
	}
}

// AttentionForward is causal attention with grouped queries: query head h
// attends with key and value head h/(H/KV).
//
//	s[t,u] = q[t]·k[u]/√D,  u ≤ t
//	out[t] = Σ_u softmax(s[t,:])[u] · v[u]
//
// It goes through blocks of queries; what lies after the last query of a block
// is not computed, and no (T,T) matrix exists.
//
//	out   (B·T, H·D)     overwritten
//	lse   (B, T, H)      ln Σ_u exp s[t,u], saved for the backward pass
//	q     (B, T, H, D)
//	k, v  (B, T, KV, D)
//	keep  (B, KV)        nil, or where keys and values are left for [AttentionDecode]
//
// The sums are over those u that branches leave.
//
// Vaswani et al. 2017; grouped queries: Ainslie et al. 2023, arXiv 2305.13245.
func AttentionForward(out *Mat, lse, q, k, v []float32, keep []KV, branches Branches, B, T int, h Heads) {
	want("AttentionForward", "q", q, B*T*h.H*h.D)
	want("AttentionForward", "k", k, B*T*h.KV*h.D)
	a := attention{Heads: h, T: T, branches: branches, out: *out, lse: lse, q: q, k: k, v: v, keep: keep}
	parallel.Do(B*h.KV, a.grain(), a, func(a *attention, lo, hi int) {
		w := attentionWorkers.Get().(*attentionWorker)
		defer attentionWorkers.Put(w)
		for pair := lo; pair < hi; pair++ {
			a.forward(w, pair)
		}
	})
}

// attention is the arguments of a forward or backward pass.
type attention struct {
	Heads
	T          int
	branches   Branches
	out        Mat
	lse        []float32
	q, k, v    []float32
	keep       []KV
	dq, dk, dv []float32
	dout       []float32
}

// grain is how many pairs of a sequence and a key head pay for another worker.
func (a *attention) grain() int { return max(1, 1<<17/max(1, a.T*a.T*a.D*(a.H/a.KV))) }

// queries is how many rows of queries make a block: few, because a block
// computes all keys up to its last query, but enough to fill the panels of a
// product.
func queries() int { return 2 * kernel.PanelRows() }

// attentionWorker is what one worker works in.
type attentionWorker struct {
	kernel.Worker
	kv              KV
	vT, rows, gRows kernel.Packed
	s, ds, o, wide  []float32
	sum             []float32
}

var attentionWorkers = sync.Pool{New: func() any { return new(attentionWorker) }}

func fit(s *[]float32, n int) []float32 {
	if cap(*s) < n {
		*s = make([]float32, n)
	}
	return (*s)[:n]
}

// head is rows [lo,hi) of head i of n heads of x, which begins at row first.
func (a *attention) head(x []float32, first, lo, hi, i, n int) Mat {
	return kernel.Strided(x[((first+lo)*n+i)*a.D:], hi-lo, a.D, n*a.D)
}

// wholePanels is n rounded up to the columns of whole panels.
func wholePanels(n int) int {
	cols := kernel.PanelCols()
	return (n + cols - 1) / cols * cols
}

// forward does one sequence and key head.
func (a *attention) forward(w *attentionWorker, pair int) {
	b, kv := pair/a.KV, pair%a.KV
	first := b * a.T
	cache := &w.kv
	if a.keep != nil {
		cache = &a.keep[pair]
	}
	cache.N = a.T
	cache.K.PackTransposed(a.head(a.k, first, 0, a.T, kv, a.KV))
	cache.V.PackRows(a.head(a.v, first, 0, a.T, kv, a.KV))

	Q, ld, D := queries(), wholePanels(a.T), a.D
	s, o, sum := fit(&w.s, Q*ld), fit(&w.o, Q*D), fit(&w.sum, Q)
	scale := float32(1 / math.Sqrt(float64(D)))
	for h := kv * (a.H / a.KV); h < (kv+1)*(a.H/a.KV); h++ {
		for lo := 0; lo < a.T; lo += Q {
			hi := min(lo+Q, a.T)
			w.Mul(s, ld, a.head(a.q, first, lo, hi, h, a.H), &cache.K, wholePanels(hi), false)
			for t := lo; t < hi; t++ {
				row := s[(t-lo)*ld : (t-lo)*ld+hi]
				a.branches.hide(row, first+t)
				var lse float32
				sum[t-lo], lse = softmax(row[:t+1], scale)
				clear(row[t+1:])
				if a.lse != nil {
					a.lse[(first+t)*a.H+h] = lse
				}
			}
			w.Mul(o, D, kernel.Strided(s, hi-lo, hi, ld), &cache.V, D, false)
			for t := lo; t < hi; t++ {
				row := o[(t-lo)*D : (t-lo+1)*D]
				kernel.Scale(row, 1/sum[t-lo])
				a.out.StoreAt(first+t, h*D, row)
			}
		}
	}
}

// softmax turns scores into exp(scale·(s − max s)) in place and returns their sum,
// which is still to be divided by, and ln Σ exp(scale·s).
func softmax(s []float32, scale float32) (sum, lse float32) {
	peak := kernel.Max(s)
	sum = kernel.ExpSum(s, s, scale, peak)
	return sum, peak*scale + float32(math.Log(float64(sum)))
}

// AttentionBackward computes the gradients of [AttentionForward]. One worker
// serves a (sequence, key head) pair, since its queries share the sums dk and
// dv.
//
//	p[t,u]  = exp(s[t,u] − lse[t])
//	dv[u]   = Σ_t p[t,u]·dout[t]
//	ds[t,u] = p[t,u]·(dout[t]·v[u] − dout[t]·out[t])
//	dq[t]   = Σ_u ds[t,u]·k[u]/√D
//	dk[u]   = Σ_t ds[t,u]·q[t]/√D
//
//	dq, dout, q  (B, T, H, D)   dq overwritten
//	dk, dv, k, v (B, T, KV, D)  dk, dv overwritten
//	out          (B·T, H·D)
//	lse          (B, T, H)
//
// Dao et al. 2022, arXiv 2205.14135, app. B.
func AttentionBackward(dq, dk, dv, dout []float32, out *Mat, lse, q, k, v []float32, branches Branches, B, T int, h Heads) {
	want("AttentionBackward", "dq", dq, B*T*h.H*h.D)
	want("AttentionBackward", "dk", dk, B*T*h.KV*h.D)
	a := attention{Heads: h, T: T, branches: branches, out: *out, lse: lse, q: q, k: k, v: v, dq: dq, dk: dk, dv: dv, dout: dout}
	parallel.Do(B*h.KV, a.grain(), a, func(a *attention, lo, hi int) {
		w := attentionWorkers.Get().(*attentionWorker)
		defer attentionWorkers.Put(w)
		for pair := lo; pair < hi; pair++ {
			a.backward(w, pair)
		}
	})
}

// backward does one sequence and key head.
func (a *attention) backward(w *attentionWorker, pair int) {
	b, kv := pair/a.KV, pair%a.KV
	first, D := b*a.T, a.D
	keys, values := a.head(a.k, first, 0, a.T, kv, a.KV), a.head(a.v, first, 0, a.T, kv, a.KV)
	w.kv.K.PackTransposed(keys)
	w.vT.PackTransposed(values)
	w.rows.PackRows(keys)
	dk, dv := a.dk[(first*a.KV+kv)*D:], a.dv[(first*a.KV+kv)*D:]
	done := 0 // keys whose gradients have begun

	Q, ld := queries(), wholePanels(a.T)
	p, ds, wide := fit(&w.s, Q*ld), fit(&w.ds, Q*ld), fit(&w.wide, D)
	scale := float32(1 / math.Sqrt(float64(D)))
	for h := kv * (a.H / a.KV); h < (kv+1)*(a.H/a.KV); h++ {
		for lo := 0; lo < a.T; lo += Q {
			hi := min(lo+Q, a.T)
			for ; done < hi; done++ {
				clear(dk[done*a.KV*D:][:D])
				clear(dv[done*a.KV*D:][:D])
			}
			q, dout := a.head(a.q, first, lo, hi, h, a.H), a.head(a.dout, first, lo, hi, h, a.H)
			w.Mul(p, ld, q, &w.kv.K, wholePanels(hi), false)
			w.Mul(ds, ld, dout, &w.vT, wholePanels(hi), false)
			for t := lo; t < hi; t++ {
				row, drow := p[(t-lo)*ld:(t-lo)*ld+hi], ds[(t-lo)*ld:(t-lo)*ld+hi]
				a.branches.hide(row, first+t)
				kernel.ExpSum(row[:t+1], row[:t+1], scale, a.lse[(first+t)*a.H+h]/scale)
				delta := kernel.Product(dout.Load(t-lo, nil), a.out.LoadAt(first+t, h*D, D, wide))
				kernel.SoftmaxGrad(drow[:t+1], row[:t+1], drow[:t+1], delta, scale)
				clear(row[t+1:])
				clear(drow[t+1:])
			}
			w.Mul(a.dq[((first+lo)*a.H+h)*D:], a.H*D, kernel.Strided(ds, hi-lo, hi, ld), &w.rows, D, false)
			w.gRows.PackRows(dout)
			w.MulTransposed(dv, a.KV*D, kernel.Strided(p, hi-lo, hi, ld), &w.gRows, true)
			w.gRows.PackRows(q)
			w.MulTransposed(dk, a.KV*D, kernel.Strided(ds, hi-lo, hi, ld), &w.gRows, true)
		}
	}
}

// Continuation is a path that attention decodes: the heads of its prefix, which
// paths may share, and those of its own tail, the newest position included.
type Continuation struct{ Prefix, Tail []KV }

// together says whether two paths can be decoded together.
func (c Continuation) together(d Continuation) bool {
	return &c.Prefix[0] == &d.Prefix[0] && c.Tail[0].N == d.Tail[0].N
}

// AttentionDecode is the attention of one query row for each path, with the
// bits that [AttentionForward] gives to that row. Neighbouring paths with one
// prefix and tails of one length read it together.
//
//	out  (P, H·D)   overwritten
//	q    (P, H, D)
func AttentionDecode(out *Mat, q []float32, paths []Continuation, h Heads) {
	type args struct {
		attention
		paths []Continuation
	}
	keys := 1
	if len(paths) > 0 {
		keys += paths[0].Prefix[0].N + paths[0].Tail[0].N
	}
	grain := max(1, 1<<15/(keys*h.D*max(1, len(paths))))
	a := args{attention{Heads: h, out: *out, q: q}, paths}
	parallel.Do(h.H, grain, a, func(a *args, lo, hi int) {
		w := attentionWorkers.Get().(*attentionWorker)
		defer attentionWorkers.Put(w)
		for h := lo; h < hi; h++ {
			for p := 0; p < len(a.paths); {
				n := 1
				for p+n < len(a.paths) && n < decodeRows && a.paths[p].together(a.paths[p+n]) {
					n++
				}
				a.decode(w, a.paths[p:p+n], p, h)
				p += n
			}
		}
	})
}

// decodeRows bounds the paths that read a prefix together, so that their scores
// stay in the cache.
const decodeRows = 48

// decode does head h of paths that go together, of which from is the first.
func (a *attention) decode(w *attentionWorker, paths []Continuation, from, h int) {
	kv, D := h/(a.H/a.KV), a.D
	prefix, n, tail := &paths[0].Prefix[kv], paths[0].Prefix[kv].N, paths[0].Tail[kv].N
	ld := wholePanels(n) + wholePanels(tail)
	s, o := fit(&w.s, len(paths)*ld), fit(&w.o, len(paths)*D)
	scale := float32(1 / math.Sqrt(float64(D)))

	w.Mul(s, ld, kernel.Strided(a.q[(from*a.H+h)*D:], len(paths), D, a.H*D), &prefix.K, wholePanels(n), false)
	sum := fit(&w.sum, len(paths))
	for i := range paths {
		row := s[i*ld : (i+1)*ld]
		q := kernel.Strided(a.q[((from+i)*a.H+h)*D:], 1, D, D)
		w.Mul(row[n:], ld-n, q, &paths[i].Tail[kv].K, wholePanels(tail), false)
		sum[i], _ = softmax(row[:n+tail], scale)
	}
	w.Mul(o, D, kernel.Strided(s, len(paths), n, ld), &prefix.V, D, false)
	for i := range paths {
		row := o[i*D : (i+1)*D]
		w.Mul(row, D, kernel.Strided(s[i*ld+n:], 1, tail, tail), &paths[i].Tail[kv].V, D, true)
		kernel.Scale(row, 1/sum[i])
		a.out.StoreAt(from+i, h*D, row)
	}
}
