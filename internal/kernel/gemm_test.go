package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
)

// use runs the rest of the test on one engine.
func use(t testing.TB, e *engine) {
	previous := active
	active = e
	t.Cleanup(func() { active = previous })
}

// onEach runs a test on every engine that this machine has.
func onEach(t *testing.T, test func(t *testing.T)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			use(t, e)
			test(t)
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

type gemmFunc func(y, x, w []float32, M, N, K int, accumulate bool)

// x reads op(X)[m,k] and w reads op(W)[k,n] for each of the three products.
var products = map[string]struct {
	run  gemmFunc
	x, w func(s []float32, i, j, M, N, K int) float32
}{
	"NT": {
		GemmNT,
		func(s []float32, m, k, _, _, K int) float32 { return s[m*K+k] },
		func(s []float32, k, n, _, _, K int) float32 { return s[n*K+k] },
	},
	"NN": {
		GemmNN,
		func(s []float32, m, k, _, _, K int) float32 { return s[m*K+k] },
		func(s []float32, k, n, _, N, _ int) float32 { return s[k*N+n] },
	},
	"TN": {
		GemmTN,
		func(s []float32, m, k, M, _, _ int) float32 { return s[k*M+m] },
		func(s []float32, k, n, _, N, _ int) float32 { return s[k*N+n] },
	},
}

// checkProduct compares one call with the definition in float64, and looks at
// what lies around its slices.
func checkProduct(t *testing.T, r *rand.Rand, product string, M, N, K int, accumulate bool) {
	t.Helper()
	p := products[product]
	y := random(r, M*N)
	_, x := guard(random(r, M*K))
	_, w := guard(random(r, K*N))
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
		// K+1 roundings of half an ulp of the running sum.
		if tol := float64(K+1) * scale * 0x1p-24; !(math.Abs(float64(got[i])-want) <= tol) {
			t.Fatalf("%s M %d N %d K %d accumulate %v: y[%d,%d] = %v, want %v ± %v", product, M, N, K, accumulate, i/N, i%N, got[i], want, tol)
		}
	}
	for i, v := range all {
		if margin := (len(all) - len(got)) / 2; v == v && (i < margin || i >= margin+len(got)) {
			t.Fatalf("%s M %d N %d K %d: wrote %v at %d outside of y", product, M, N, K, v, i-margin)
		}
	}
}

func TestGemmMatchesItsDefinition(t *testing.T) {
	// Around the tiles of every engine, the groups of packing and the unrolling.
	heights := []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 17, 24, 37}
	widths := []int{1, 3, 4, 7, 8, 12, 15, 16, 17, 31, 32, 33, 49, 65}
	depths := []int{1, 2, 3, 4, 5, 8, 13, 67}
	if testing.Short() {
		depths = []int{1, 5, 13}
	}
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for product := range products {
			for _, M := range heights {
				for _, N := range widths {
					for _, K := range depths {
						checkProduct(t, r, product, M, N, K, (M+N+K)%2 == 0)
						checkProduct(t, r, product, M, N, K, (M+N+K)%2 == 1)
					}
				}
			}
		}
	})
}

// Several blocks in each direction, the last one incomplete.
func TestGemmOverBlocks(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 2))
		for product := range products {
			for _, s := range [][3]int{
				{5, 7, 2*blockK + 3},
				{12*blockPanels + 5, 9, blockK + 1},
				{12*blockPanels + 5, sliceN + 37, 19},
				{3, 2*sliceN + 5, 11},
				{12*blockPanels + 1, blockN + 33, 3},
			} {
				checkProduct(t, r, product, s[0], s[1], s[2], false)
				checkProduct(t, r, product, s[0], s[1], s[2], true)
			}
		}
	})
}

func TestGemmOfNothing(t *testing.T) {
	onEach(t, func(t *testing.T) {
		for product, p := range products {
			y := []float32{1, 2, 3, 4}
			p.run(y, nil, nil, 2, 2, 0, true)
			if y[0] != 1 || y[3] != 4 {
				t.Errorf("%s of K 0, accumulate: y = %v, want it as it was", product, y)
			}
			p.run(y, nil, nil, 2, 2, 0, false)
			if y[0] != 0 || y[3] != 0 {
				t.Errorf("%s of K 0: y = %v, want zeros", product, y)
			}
			p.run(nil, nil, make([]float32, 6), 0, 2, 3, false)
			p.run(nil, make([]float32, 6), nil, 2, 0, 3, false)
		}
	})
}

// What is not finite reaches exactly the elements that the definition says,
// also from a zero times infinity.
func TestGemmPassesNaNAndInfOn(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		const M, N, K = 29, 43, 21
		for product, p := range products {
			x, w, y := random(r, M*K), random(r, K*N), make([]float32, M*N)
			x[r.IntN(len(x))] = float32(math.Inf(1))
			x[r.IntN(len(x))] = float32(math.NaN())
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
					t.Errorf("%s: y[%d,%d] = %v, want %v", product, i/N, i%N, got, want)
				}
			}
		}
	})
}

// A row has the same bits alone and in any batch, a column in any matrix, for
// any number of workers; K runs over a block and the batch over several tiles.
func TestGemmBitsDoNotDependOnTheBatch(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 4))
		const N, K = 77, blockK + 65
		for _, M := range []int{2, 5, 13, 16, 37, 64, 101} {
			x, w := random(r, M*K), random(r, N*K)
			want := make([]float32, M*N)
			for m := range M {
				GemmNT(want[m*N:(m+1)*N], x[m*K:(m+1)*K], w, 1, N, K, false)
			}
			for _, cols := range []int{1, 20, 33, N} {
				for workers := 1; workers <= 4; workers++ {
					previous := parallel.SetWorkers(workers)
					got := make([]float32, M*cols)
					from := (N - cols) / 2
					GemmNT(got, x, w[from*K:], M, cols, K, false)
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

func TestGemmBitsDoNotDependOnWorkers(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 5))
		for product, p := range products {
			for _, s := range [][3]int{{301, 130, 97}, {130, 301, 97}, {40, 50, 3 * blockK}} {
				M, N, K := s[0], s[1], s[2]
				x, w, start := random(r, M*K), random(r, K*N), random(r, M*N)
				var want []float32
				for workers := 1; workers <= 4; workers++ {
					previous := parallel.SetWorkers(workers)
					got := append([]float32(nil), start...)
					p.run(got, x, w, M, N, K, true)
					parallel.SetWorkers(previous)
					if workers == 1 {
						want = got
					}
					for i := range got {
						if got[i] != want[i] {
							t.Fatalf("%s %d×%d×%d, %d workers: y[%d,%d] = %v, one: %v", product, M, N, K, workers, i/N, i%N, got[i], want[i])
						}
					}
				}
			}
		}
	})
}

// The engines with fused instructions compute the same chains.
func TestFusedEnginesAgreeInEveryBit(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const M, N, K = 67, 83, blockK + 131
	x, w := random(r, M*K), random(r, K*N)
	var want []float32
	for _, e := range engines[:len(engines)-1] {
		use(t, e)
		got := make([]float32, M*N)
		GemmNN(got, x, w, M, N, K, false)
		if want == nil {
			want = got
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: y[%d,%d] = %v, %s: %v", e.name, i/N, i%N, got[i], engines[0].name, want[i])
			}
		}
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint8(13), uint8(33), uint16(21), uint64(1), false)
	f.Add(uint8(97), uint8(255), uint16(600), uint64(2), true)
	f.Fuzz(func(t *testing.T, M, N uint8, K uint16, seed uint64, accumulate bool) {
		m, n, k := int(M)%128+1, int(N)+1, int(K)%(blockK+100)+1
		for _, e := range engines {
			use(t, e)
			for product := range products {
				checkProduct(t, rand.New(rand.NewPCG(seed, 7)), product, m, n, k, accumulate)
			}
		}
	})
}

func TestPeakIsPlausible(t *testing.T) {
	onEach(t, func(t *testing.T) {
		// From 0.1 to 500 GFLOP/s: one core, old or new, busy or idle.
		if got := Peak(); got < 1e8 || got > 5e11 {
			t.Errorf("Peak() = %s, want 0.1 to 500 GFLOP/s", fmt.Sprintf("%.2f GFLOP/s", got/1e9))
		}
	})
}
