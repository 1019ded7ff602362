package kernel

import "github.com/micro-quant/mqc/internal/parallel"

// Packed is the right side of a product, W (K,N), in the layout that the inner
// loops read: panels of columns, each with its steps of k one after the other.
// The panels serve any number of products until the weights change.
type Packed struct {
	K, N int

	e     *engine
	depth int       // steps of k of a panel
	data  []float32 // dwords: panel after panel, step after step, column after column
}

// resize makes w a matrix of that shape with unspecified contents.
func (w *Packed) resize(e *engine, K, N int) {
	w.K, w.N, w.e = K, N, e
	w.depth = e.depth(K)
	w.data = resize(w.data, ceilDiv(N, e.cols)*e.cols*w.depth)
}

// depth is the number of steps of a panel for K numbers.
func (e *engine) depth(K int) int {
	if e.wide {
		return K
	}
	return e.precision.steps(K)
}

// at is what a panel holds from step k0 on.
func (w *Packed) at(panel, k0 int) []float32 {
	return w.data[(panel*w.depth+k0)*w.e.cols : (panel+1)*w.depth*w.e.cols]
}

// packRows is how many rows of a matrix are laid out together: a multiple of
// the panels of every engine, and the pairs of a tile of bfloat16.
const packRows = 32

// packGrain is how many numbers to lay out pay for another worker.
const packGrain = 1 << 15

// Pack lays out weights (Out,In) for products with their transpose, In numbers
// deep, in forward, and for products with themselves, Out numbers deep, in
// backward. Either may be nil.
func Pack(p Precision, forward, backward *Packed, weights []float32, Out, In int) {
	e := active[p]
	if forward != nil {
		forward.resize(e, In, Out)
	}
	if backward != nil {
		backward.resize(e, Out, In)
	}
	type args struct {
		e                 *engine
		forward, backward *Packed
		weights           []float32
		Out, In           int
	}
	a := args{e, forward, backward, weights, Out, In}
	parallel.Do(ceilDiv(Out, packRows), ceilDiv(packGrain, packRows*In), a, func(a *args, lo, hi int) {
		s := pool.Get().(*scratch)
		defer pool.Put(s)
		for b := lo; b < hi; b++ {
			from, to := b*packRows, min((b+1)*packRows, a.Out)
			rows := View(a.weights[from*a.In:to*a.In], to-from, a.In)
			if a.e.precision == BF16 {
				rows = s.whole(a.e, &rows, 0, rows.Rows)
			}
			if a.forward != nil {
				for n := from; n < to; n += a.e.cols {
					width := min(a.e.cols, to-n)
					a.e.packLines(a.forward.at(n/a.e.cols, 0), a.e.cols, &rows, n-from, width, a.forward.depth)
				}
			}
			if a.backward != nil {
				a.backward.layRows(&rows, from)
			}
		}
	})
}

// packColumns lays out the rows of m as steps of k.
func (w *Packed) packColumns(m Mat) {
	e := active[m.Precision]
	w.resize(e, m.Rows, m.Cols)
	type args struct {
		w *Packed
		m Mat
	}
	parallel.Do(ceilDiv(m.Rows, packRows), ceilDiv(packGrain, packRows*m.Cols), args{w, m}, func(a *args, lo, hi int) {
		s := pool.Get().(*scratch)
		defer pool.Put(s)
		for b := lo; b < hi; b++ {
			from, to := b*packRows, min((b+1)*packRows, a.m.Rows)
			rows := a.m.part(from, to)
			if a.m.Precision == BF16 && to-from < packRows {
				rows = s.whole(a.w.e, &a.m, from, to)
			}
			a.w.layRows(&rows, from)
		}
	})
}

// PackTransposed lays out W = mᵀ for [Worker.Mul]: every row of m is a column.
func (w *Packed) PackTransposed(m Mat) {
	e := active[F32]
	w.resize(e, m.Cols, m.Rows)
	for n := 0; n < m.Rows; n += e.cols {
		e.packLines(w.at(n/e.cols, 0), e.cols, &m, n, min(e.cols, m.Rows-n), w.depth)
	}
}

// PackRows lays out W = m for [Worker.Mul].
func (w *Packed) PackRows(m Mat) {
	w.resize(active[F32], m.Rows, m.Cols)
	w.layRows(&m, 0)
}

// PackedLen is how many floats a float32 matrix (K,N) takes when it is packed.
func PackedLen(K, N int) int {
	cols := PanelCols()
	return ceilDiv(N, cols) * cols * K
}

// PackedOver is a float32 matrix (K,N) in data, which has [PackedLen] floats
// and starts as zeros, to be filled by SetRow or SetColumn.
func PackedOver(data []float32, K, N int) Packed {
	return Packed{K: K, N: N, e: active[F32], depth: K, data: data[:PackedLen(K, N)]}
}

// SetRow writes row k of W.
func (w *Packed) SetRow(k int, row []float32) {
	cols := w.e.cols
	for n := 0; n < w.N; n += cols {
		copy(w.data[(n*w.depth + k*cols):][:cols], row[n:w.N])
	}
}

// SetColumn writes column n of W.
func (w *Packed) SetColumn(n int, column []float32) {
	cols := w.e.cols
	panel := w.data[n/cols*cols*w.depth+n%cols:]
	for k, v := range column[:w.K] {
		panel[k*cols] = v
	}
}

// whole returns rows [from,to) of m in bfloat16 with rows of zeros behind them
// up to packRows.
func (s *scratch) whole(e *engine, m *Mat, from, to int) Mat {
	s.rows.Resize(BF16, packRows, m.Cols)
	s.wide = resize(s.wide, m.Cols)
	for i := range packRows {
		if from+i < to {
			s.rows.Store(i, m.Load(from+i, s.wide))
		} else {
			clear(s.rows.halves(i))
		}
	}
	return s.rows
}

// layRows lays the rows of m side by side in all panels, as numbers k0, k0+1, …
// along k. k0 is a multiple of packRows.
func (w *Packed) layRows(m *Mat, k0 int) {
	e := w.e
	step, steps := k0, min(m.Rows, w.depth-k0)
	if e.precision == BF16 && !e.wide {
		step, steps = k0/2, min(packRows/2, w.depth-k0/2)
	}
	for n := 0; n < w.N; n += e.cols {
		to, width := w.at(n/e.cols, step), min(e.cols, w.N-n)
		if width < e.cols {
			clear(to[:e.cols*steps])
		}
		e.packColumns(to, e.cols, m, n, 0, width, steps)
	}
}

// packLines is, for rows i0 … i0+width−1 of m and depth steps,
//
//	to[k·stride+i] = m[i0+i, k]
//
// and zero in what lacks from width to stride.
func (e *engine) packLines(to []float32, stride int, m *Mat, i0, width, depth int) {
	if width < stride {
		clear(to[:stride*depth])
	}
	if e.wide {
		for i := range width {
			for k := range depth {
				to[k*stride+i] = m.widened(i0+i, k)
			}
		}
		return
	}
	layLines(e, to, stride, m.data[i0*m.ld:], m.ld, width, depth)
}

// layLines is to[k·stride+i] = from[i·ld+k] for i < width and k < depth.
func layLines(e *engine, to []float32, stride int, from []float32, ld, width, depth int) {
	done := 0
	if e.lines != nil {
		done = e.lines(to, stride, from, ld, width, depth)
	}
	for i := range width {
		for k, v := range from[i*ld+done : i*ld+depth] {
			to[(done+k)*stride+i] = v
		}
	}
}

// packColumns is, for steps of k from number k0 on and width columns from n,
//
//	to[k·stride+i] = m[k, n+i]
//
// A step of bfloat16 is a pair of rows; what lacks at the end of an odd number
// of them is zero.
func (e *engine) packColumns(to []float32, stride int, m *Mat, n, k0, width, steps int) {
	switch {
	case e.wide:
		for k := range steps {
			for i := range width {
				to[k*stride+i] = m.widened(k0+k, n+i)
			}
		}
	case e.precision == BF16:
		whole := max(0, min(steps, (m.Rows-k0)/2))
		if whole > 0 {
			e.pairs(to, stride, m.halves(k0)[n:], 2*m.ld, width, whole)
		}
		for k := whole; k < steps; k++ {
			row := to[k*stride : k*stride+width]
			clear(row)
			if r := k0 + 2*k; r < m.Rows {
				for i, h := range m.halves(r)[n : n+width] {
					row[i] = lowHalf(h)
				}
			}
		}
	case e.columns != nil && e.columns(to, stride, m.data[k0*m.ld+n:], m.ld, width, steps):
	default:
		for k := range steps {
			copy(to[k*stride:k*stride+width], m.data[(k0+k)*m.ld+n:])
		}
	}
}
