package kernel

import (
	"reflect"
	"sync"

	"github.com/micro-quant/mqc/internal/parallel"
)

// MulRows computes Y = X·W in blocks of rows and hands each block to body while
// it is in the cache: y (hi−lo, N) is rows [lo,hi) of Y and lives until body
// returns.
func MulRows[A any](x *Mat, w *Packed, with A, body func(with *A, y []float32, lo, hi int)) {
	free := followers[A]()
	f := free.Get().(*follower[A])
	f.with, f.body = with, body
	mulRows(x, w, f)
	var none A
	f.with, f.body = none, nil
	free.Put(f)
}

// follower is what is to be done with the rows of a product.
type follower[A any] struct {
	with A
	body func(with *A, y []float32, lo, hi int)
}

func (f *follower[A]) rows(y []float32, lo, hi int) { f.body(&f.with, y, lo, hi) }

// follows has the followers that are not in use, a *sync.Pool for each type.
var follows sync.Map

func followers[A any]() *sync.Pool {
	key := reflect.TypeFor[A]()
	if p, ok := follows.Load(key); ok {
		return p.(*sync.Pool)
	}
	p, _ := follows.LoadOrStore(key, &sync.Pool{New: func() any { return new(follower[A]) }})
	return p.(*sync.Pool)
}

func mulRows(x *Mat, w *Packed, then interface{ rows(y []float32, lo, hi int) }) {
	checkMul("MulRows", x, w)
	type args struct {
		x    Mat
		w    *Packed
		y    []float32
		then interface{ rows(y []float32, lo, hi int) }
	}
	a := args{*x, w, nil, then}
	if !tall(x.Rows) {
		s := pool.Get().(*scratch)
		defer pool.Put(s)
		s.out = resize(s.out, x.Rows*w.N)
		a.y = s.out
		Mul(a.y, w.N, x, w, false)
		parallel.Do(x.Rows, ceilDiv(packGrain, w.N), a, func(a *args, lo, hi int) {
			a.then.rows(a.y[lo*a.w.N:hi*a.w.N], lo, hi)
		})
		return
	}
	parallel.Do(ceilDiv(x.Rows, w.e.rows), panelGrain(w.e, w.N*w.K), a, func(a *args, lo, hi int) {
		s := pool.Get().(*scratch)
		defer pool.Put(s)
		lo, hi = lo*a.w.e.rows, min(hi*a.w.e.rows, a.x.Rows)
		for lo < hi {
			next := min(lo+a.w.e.rows*a.w.e.group, hi)
			s.lay(a.w.e, &a.x, lo, next)
			s.out = resize(s.out, (next-lo)*a.w.N)
			s.multiply(s.out, a.w.N, a.w, 0, a.w.N, false)
			a.then.rows(s.out, lo, next)
			lo = next
		}
	})
}
