package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
)

// use runs the rest of the test on one engine.
func use(t testing.TB, e *engine) {
	previous := active
	active[e.precision] = e
	t.Cleanup(func() { active = previous })
}

// onEach runs a test on every engine that this machine has.
func onEach(t *testing.T, test func(t *testing.T, e *engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			use(t, e)
			test(t, e)
		})
	}
}

func random(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// guard copies s between values that would be noticed in a sum, at an address
// that is no multiple of a vector.
func guard(s []float32) (all, middle []float32) {
	const margin = 67
	all = make([]float32, len(s)+2*margin)
	for i := range all {
		all[i] = float32(math.NaN())
	}
	middle = all[margin : margin+len(s) : margin+len(s)]
	copy(middle, s)
	return all, middle
}

// matrix is s (rows, cols) at a precision. A float32 matrix lies between guards.
func matrix(p Precision, s []float32, rows, cols int) Mat {
	if p == F32 {
		_, s := guard(s)
		return View(s, rows, cols)
	}
	var m Mat
	m.Resize(p, rows, cols)
	for i := range rows {
		m.Store(i, s[i*cols:(i+1)*cols])
	}
	return m
}

// product is one of the three that training consists of: op(X)·op(W) with K
// terms, as x and w read them.
type product struct {
	run  func(y []float32, x, w []float32, M, N, K int, accumulate bool)
	x, w func(s []float32, i, j, M, N, K int) float32
}

// products are those of an engine's precision, operands rounded to it.
func products(p Precision) map[string]product {
	packed := func(transposed bool) func(y, x, w []float32, M, N, K int, accumulate bool) {
		return func(y, x, w []float32, M, N, K int, accumulate bool) {
			xm := matrix(p, x, M, K)
			var packed Packed
			if transposed {
				Pack(p, &packed, nil, w, N, K)
			} else {
				Pack(p, nil, &packed, w, K, N)
			}
			Mul(y, N, &xm, &packed, accumulate)
		}
	}
	return map[string]product{
		"NT": {
			packed(true),
			func(s []float32, m, k, _, _, K int) float32 { return s[m*K+k] },
			func(s []float32, k, n, _, _, K int) float32 { return s[n*K+k] },
		},
		"NN": {
			packed(false),
			func(s []float32, m, k, _, _, K int) float32 { return s[m*K+k] },
			func(s []float32, k, n, _, N, _ int) float32 { return s[k*N+n] },
		},
		"TN": {
			func(y, x, w []float32, M, N, K int, accumulate bool) {
				xm, wm := matrix(p, x, K, M), matrix(p, w, K, N)
				MulTransposed(y, &xm, &wm, accumulate)
			},
			func(s []float32, m, k, M, _, _ int) float32 { return s[k*M+m] },
			func(s []float32, k, n, _, N, _ int) float32 { return s[k*N+n] },
		},
	}
}

// rounded returns s in the numbers that a precision has.
func inPrecision(p Precision, s []float32) []float32 {
	if p == BF16 {
		for i, v := range s {
			s[i] = fromBF16(toBF16(v))
		}
	}
	return s
}

// checkProduct compares one call with the definition in float64, and looks at
// what lies around its result.
func checkProduct(t *testing.T, r *rand.Rand, e *engine, name string, M, N, K int, accumulate bool) {
	t.Helper()
	p := products(e.precision)[name]
	y := random(r, M*N)
	x, w := inPrecision(e.precision, random(r, M*K)), inPrecision(e.precision, random(r, K*N))
	all, got := guard(y)
	p.run(got, x, w, M, N, K, accumulate)

	for i := range got {
		want, scale := 0.0, 0.0
		if accumulate {
			want, scale = float64(y[i]), math.Abs(float64(y[i]))
		}
		for k := range K {
			v := float64(p.x(x, i/N, k, M, N, K)) * float64(p.w(w, k, i%N, M, N, K))
			want, scale = want+v, scale+math.Abs(v)
		}
		// K+1 roundings of half an ulp of the running sum. Products of two
		// bfloat16 are exact in float32.
		if tol := float64(K+1) * scale * 0x1p-24; !(math.Abs(float64(got[i])-want) <= tol) {
			t.Fatalf("%s M %d N %d K %d accumulate %v: y[%d,%d] = %v, want %v ± %v", name, M, N, K, accumulate, i/N, i%N, got[i], want, tol)
		}
	}
	for i, v := range all {
		if margin := (len(all) - len(got)) / 2; v == v && (i < margin || i >= margin+len(got)) {
			t.Fatalf("%s M %d N %d K %d: wrote %v at %d outside of y", name, M, N, K, v, i-margin)
		}
	}
}

func TestProductsMatchTheirDefinition(t *testing.T) {
	// Around the panels of every engine, the groups of packing and the
	// unrolling; the rest is for FuzzProducts.
	heights := []int{1, 2, 5, 6, 7, 11, 12, 13, 16, 17, 31, 33}
	widths := []int{1, 3, 4, 15, 16, 17, 31, 32, 33, 65}
	depths := []int{1, 2, 3, 8, 31, 32, 33, 67}
	if testing.Short() {
		heights, depths = []int{1, 7, 33}, []int{1, 33}
	}
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(1, 1))
		for product := range products(e.precision) {
			for _, M := range heights {
				for _, N := range widths {
					for _, K := range depths {
						checkProduct(t, r, e, product, M, N, K, (M+N+K)%2 == 0)
					}
				}
			}
		}
	})
}

// Several blocks in each direction, the last one incomplete.
func TestProductsOverBlocks(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(2, 2))
		for product := range products(e.precision) {
			for _, s := range [][3]int{
				{5, 7, 4*blockK + 3},
				{2*e.rows*e.group + 5, 9, 2*blockK + 1},
				{2*tallRows + 5, 37, 19},
				{tallRows - 1, 2*e.cols + 5, 11},
			} {
				checkProduct(t, r, e, product, s[0], s[1], s[2], false)
				checkProduct(t, r, e, product, s[0], s[1], s[2], true)
			}
		}
	})
}

func TestProductsOfNothing(t *testing.T) {
	for name, run := range map[string]func(y, x, w []float32, M, N, K int, accumulate bool){"NT": GemmNT, "NN": GemmNN, "TN": GemmTN} {
		y := []float32{1, 2}
		run(y, nil, make([]float32, 6), 0, 2, 3, false)
		run(y, make([]float32, 6), nil, 2, 0, 3, false)
		run(y, nil, nil, 1, 2, 0, true)
		if !slices.Equal(y, []float32{1, 2}) {
			t.Errorf("%s without elements, or with nothing to add, left %v", name, y)
		}
		run(y, nil, nil, 1, 2, 0, false)
		if !slices.Equal(y, []float32{0, 0}) {
			t.Errorf("%s without terms is %v, want zeros", name, y)
		}
	}
}

// MulRows hands out every row once, with the bits of Mul.
func TestMulRowsIsMul(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(3, 3))
		const N, K = 45, 70
		for _, M := range []int{1, 7, tallRows, 3*tallRows + 11} {
			x := matrix(e.precision, random(r, M*K), M, K)
			var w Packed
			Pack(e.precision, &w, nil, random(r, N*K), N, K)
			want, got := make([]float32, M*N), make([]float32, M*N)
			Mul(want, N, &x, &w, false)
			MulRows(&x, &w, got, func(got *[]float32, y []float32, lo, hi int) {
				for i, v := range y[:(hi-lo)*N] {
					(*got)[lo*N+i] += v
				}
			})
			if !slices.Equal(got, want) {
				t.Errorf("%d rows: MulRows and Mul differ", M)
			}
		}
	})
}

// The small products of a worker are those of all, over parts of matrices too.
func TestWorkerMultiplies(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		if e.precision != F32 {
			t.Skip("workers multiply float32")
		}
		r := rand.New(rand.NewPCG(4, 4))
		var w Worker
		for range 60 {
			M, N, K, ld := 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(60), 75
			cols := PanelCols() * ceilDiv(N, PanelCols())
			x, m := Strided(random(r, M*ld), M, K, ld), Strided(random(r, max(N, K)*ld), N, K, ld)
			want := func(m *Mat, i, n int) (sum float64) {
				for k := range K {
					sum += float64(x.Load(i, nil)[k]) * float64(m.Load(n, nil)[k])
				}
				return sum
			}
			var keys Packed
			keys.PackTransposed(m)
			y := make([]float32, M*(cols+3))
			w.Mul(y, cols+3, x, &keys, cols, false)
			// Deeper than x is wide: the first K rows count.
			rows := Strided(m.data, K, min(N, K), ld)
			rows.Cols = min(N, ld)
			deep := PackedOver(make([]float32, PackedLen(K+5, rows.Cols)), K+5, rows.Cols)
			for k := range K {
				deep.SetRow(k, random(r, rows.Cols))
			}
			filled := PackedOver(make([]float32, PackedLen(K, N)), K, N)
			for n := range N {
				filled.SetColumn(n, m.Load(n, nil))
			}
			again := make([]float32, M*N)
			w.Mul(again, N, x, &filled, N, false)
			for i := range M {
				for n := range N {
					if d := math.Abs(float64(y[i*(cols+3)+n]) - want(&m, i, n)); d > 1e-4 {
						t.Fatalf("M %d N %d K %d: y[%d,%d] is off by %v", M, N, K, i, n, d)
					}
					if again[i*N+n] != y[i*(cols+3)+n] {
						t.Fatalf("M %d N %d K %d: filled column by column, y[%d,%d] differs", M, N, K, i, n)
					}
				}
			}
		}
	})
}

func TestProductsPassNaNAndInfOn(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(3, 3))
		for name, p := range products(e.precision) {
			const M, N, K = 14, 35, 9
			x, w := inPrecision(e.precision, random(r, M*K)), inPrecision(e.precision, random(r, K*N))
			y := make([]float32, M*N)
			x[r.IntN(len(x))] = float32(math.NaN())
			x[r.IntN(len(x))] = float32(math.Inf(1))
			w[r.IntN(len(w))] = float32(math.NaN())
			w[r.IntN(len(w))] = float32(math.Inf(-1))
			for range 40 {
				x[r.IntN(len(x))], w[r.IntN(len(w))] = 0, 0
			}
			p.run(y, x, w, M, N, K, false)
			for i, got := range y {
				want := 0.0
				for k := range K {
					want += float64(p.x(x, i/N, k, M, N, K)) * float64(p.w(w, k, i%N, M, N, K))
				}
				finite := !math.IsNaN(want) && !math.IsInf(want, 0)
				same := math.IsNaN(want) == (got != got) && (!math.IsInf(want, 0) || want == float64(got))
				if !same || finite && math.Abs(want-float64(got)) > 1e-3 {
					t.Errorf("%s: y[%d,%d] = %v, want %v", name, i/N, i%N, got, want)
				}
			}
		}
	})
}

// A row has the same bits alone and in any batch, a column in any matrix, for
// any number of workers; K runs over a block and the batch over several panels.
func TestBitsDoNotDependOnTheBatch(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(4, 4))
		const N, K = 77, 2*blockK + 65
		w := random(r, N*K)
		run := func(x []float32, M, from, cols int) []float32 {
			y := make([]float32, M*cols)
			products(e.precision)["NT"].run(y, x, w[from*K:], M, cols, K, false)
			return y
		}
		for _, M := range []int{2, 5, 13, 16, 37, 64, 301} {
			x := random(r, M*K)
			var want []float32
			for m := range M {
				want = append(want, run(x[m*K:(m+1)*K], 1, 0, N)...)
			}
			for _, cols := range []int{1, 20, 33, N} {
				for workers := 1; workers <= 4; workers++ {
					previous := parallel.SetWorkers(workers)
					from := (N - cols) / 2
					got := run(x, M, from, cols)
					parallel.SetWorkers(previous)
					for i := range got {
						if m, n := i/cols, from+i%cols; got[i] != want[m*N+n] {
							t.Fatalf("M %d, %d columns, %d workers: y[%d,%d] = %v, alone %v", M, cols, workers, m, n, got[i], want[m*N+n])
						}
					}
				}
			}
		}
	})
}

func TestBitsDoNotDependOnWorkers(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		r := rand.New(rand.NewPCG(5, 5))
		for product, p := range products(e.precision) {
			for _, s := range [][3]int{{301, 130, 97}, {130, 301, 97}, {40, 50, 3 * blockK}} {
				M, N, K := s[0], s[1], s[2]
				x, w, start := random(r, M*K), random(r, K*N), random(r, M*N)
				var want []float32
				for workers := 1; workers <= 4; workers++ {
					previous := parallel.SetWorkers(workers)
					got := slices.Clone(start)
					p.run(got, x, w, M, N, K, true)
					parallel.SetWorkers(previous)
					if workers == 1 {
						want = got
					}
					if !slices.Equal(got, want) {
						t.Fatalf("%s %d×%d×%d: %d workers and one differ", product, M, N, K, workers)
					}
				}
			}
		}
	})
}

// The float32 engines with fused instructions compute the same chains.
func TestFusedEnginesAgreeInEveryBit(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const M, N, K = 67, 83, 2*blockK + 131
	x, w := random(r, M*K), random(r, K*N)
	var want []float32
	for _, e := range engines {
		if e.precision != F32 || e == generic {
			continue
		}
		use(t, e)
		got := make([]float32, M*N)
		GemmNN(got, x, w, M, N, K, false)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s differs", e.name)
		}
	}
}

func TestPlainProductsAreThoseOfPackedOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	const M, N, K = 19, 34, 40
	x, w, start := random(r, M*K), random(r, K*N), random(r, M*N)
	for name, run := range map[string]func(y, x, w []float32, M, N, K int, accumulate bool){"NT": GemmNT, "NN": GemmNN, "TN": GemmTN} {
		got, want := slices.Clone(start), slices.Clone(start)
		run(got, x, w, M, N, K, true)
		products(F32)[name].run(want, x, w, M, N, K, true)
		if !slices.Equal(got, want) {
			t.Errorf("Gemm%s differs from the packed product", name)
		}
	}
}

func TestAMatrixKeepsItsRows(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, p := range []Precision{F32, BF16} {
		var m Mat
		for _, s := range [][2]int{{3, 40}, {5, 7}, {4, 512}, {2, 33}} {
			rows, cols := s[0], s[1]
			m.Resize(p, rows, cols)
			want := inPrecision(p, random(r, rows*cols))
			scratch := make([]float32, cols)
			for i := range rows {
				to := m.Row(i, scratch)
				copy(to, want[i*cols:])
				m.Store(i, to)
			}
			for i := range rows {
				if got := m.Load(i, scratch); !slices.Equal(got, want[i*cols:(i+1)*cols]) {
					t.Fatalf("%v %v: row %d is %v, want %v", p, s, i, got, want[i*cols:(i+1)*cols])
				}
			}
			m.StoreAt(1, 2, []float32{1, 2, 3})
			if got := m.LoadAt(1, 1, 4, scratch); !slices.Equal(got[1:], []float32{1, 2, 3}) || got[0] != want[cols+1] {
				t.Errorf("%v %v: part of row 1 is %v", p, s, got)
			}
		}
	}
}

func TestMismatchesPanic(t *testing.T) {
	var w Packed
	Pack(F32, &w, nil, make([]float32, 12), 3, 4)
	x, narrow := View(make([]float32, 8), 2, 4), View(make([]float32, 6), 2, 3)
	var half Mat
	half.Resize(BF16, 2, 4)
	for name, call := range map[string]func(){
		"short y":         func() { Mul(make([]float32, 5), 3, &x, &w, false) },
		"another depth":   func() { Mul(make([]float32, 6), 3, &narrow, &w, false) },
		"two precisions":  func() { Mul(make([]float32, 6), 3, &half, &w, false) },
		"rows, MulRows":   func() { MulRows(&narrow, &w, 0, func(*int, []float32, int, int) {}) },
		"short y, dW":     func() { MulTransposed(make([]float32, 11), &narrow, &x, false) },
		"precisions of W": func() { MulTransposed(make([]float32, 16), &x, &half, false) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

func FuzzProducts(f *testing.F) {
	f.Add(uint8(13), uint8(33), uint16(21), uint64(1), false)
	f.Add(uint8(97), uint8(255), uint16(600), uint64(2), true)
	f.Fuzz(func(t *testing.T, M, N uint8, K uint16, seed uint64, accumulate bool) {
		m, n, k := int(M)+1, int(N)%128+1, int(K)%(2*blockK+100)+1
		for _, e := range engines {
			use(t, e)
			for product := range products(e.precision) {
				checkProduct(t, rand.New(rand.NewPCG(seed, 7)), e, product, m, n, k, accumulate)
			}
		}
	})
}

func TestPeakIsPlausible(t *testing.T) {
	onEach(t, func(t *testing.T, e *engine) {
		// From 0.1 GFLOP/s to 20 TFLOP/s: one core, old or new, busy or idle.
		if got := Peak(e.precision); got < 1e8 || got > 2e13 {
			t.Errorf("Peak() = %.2f GFLOP/s, want 0.1 to 20,000", got/1e9)
		}
	})
}
