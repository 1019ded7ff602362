package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
)

func random(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

type gemmFunc func(y, x, w []float32, M, N, K int, accumulate bool)

// at reads op(X)[m,k] and op(W)[k,n] for each of the three products.
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

// guarded returns n random numbers with no-numbers before and behind: what
// reads past an end shows in the result, what writes there in the guards.
func guarded(r *rand.Rand, n int) (s []float32, intact func() bool) {
	const guard = 8
	all := random(r, n+2*guard)
	nan := float32(math.NaN())
	for i := range guard {
		all[i], all[len(all)-1-i] = nan, nan
	}
	return all[guard : guard+n], func() bool {
		for i := range guard {
			if all[i] == all[i] || all[len(all)-1-i] == all[len(all)-1-i] {
				return false
			}
		}
		return true
	}
}

func TestGemmMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []int{0, 1, 2, 3, 4, 5, 6, 7, 13, 33}
	for name, p := range products {
		for _, M := range sizes {
			for _, N := range sizes {
				for _, K := range []int{0, 1, 2, 7, strip + 1, 2*strip + 2} {
					matchesItsDefinition(t, r, name, p.run, p.x, p.w, M, N, K)
				}
			}
		}
		// Several panels of W, the last of them short.
		matchesItsDefinition(t, r, name, p.run, p.x, p.w, 5, panel/1000+5, 1000)
		// A panel is at least one tile.
		matchesItsDefinition(t, r, name, p.run, p.x, p.w, 2, 7, panel)
	}
}

func matchesItsDefinition(t *testing.T, r *rand.Rand, name string, run gemmFunc, xAt, wAt func(s []float32, i, j, M, N, K int) float32, M, N, K int) {
	t.Helper()
	x, _ := guarded(r, M*K)
	w, _ := guarded(r, K*N)
	for _, accumulate := range []bool{false, true} {
		got, intact := guarded(r, M*N)
		before := append([]float32(nil), got...)
		run(got, x, w, M, N, K, accumulate)
		if !intact() {
			t.Fatalf("%s M %d N %d K %d accumulate %v wrote beyond y", name, M, N, K, accumulate)
		}
		for i := range got {
			want, scale := 0.0, 0.0
			for k := range K {
				v := float64(xAt(x, i/N, k, M, N, K)) * float64(wAt(w, k, i%N, M, N, K))
				want, scale = want+v, scale+math.Abs(v)
			}
			if accumulate {
				want, scale = want+float64(before[i]), scale+math.Abs(float64(before[i]))
			}
			// K+1 roundings of half an ulp of the running sum.
			if tol := float64(K+1) * scale * 0x1p-24; !(math.Abs(float64(got[i])-want) <= tol) {
				t.Fatalf("%s M %d N %d K %d accumulate %v: y[%d] = %v, want %v ± %v", name, M, N, K, accumulate, i, got[i], want, tol)
			}
		}
	}
}

// A row has the same bits alone and in any batch, for any number of workers
// and whichever side they share out. K spans several strips and, with N, panels.
func TestGemmRowsDoNotDependOnTheBatch(t *testing.T) {
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	r := rand.New(rand.NewPCG(2, 2))
	for name, p := range products {
		for _, n := range []struct{ M, N, K int }{{37, 29, 65}, {5, 80, 700}, {64, 3, 700}} {
			M, N, K := n.M, n.N, n.K
			x, w := random(r, M*K), random(r, N*K)
			want := make([]float32, M*N)
			parallel.SetWorkers(1)
			for m := range M {
				row := make([]float32, K)
				for k := range row {
					row[k] = p.x(x, m, k, M, N, K)
				}
				p.run(want[m*N:(m+1)*N], row, w, 1, N, K, false)
			}
			for workers := 1; workers <= 4; workers++ {
				parallel.SetWorkers(workers)
				got := make([]float32, M*N)
				p.run(got, x, w, M, N, K, false)
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("%s %+v, %d workers: y[%d,%d] = %v, alone %v", name, n, workers, i/N, i%N, got[i], want[i])
					}
				}
			}
		}
	}
}

// What is not finite in a row of X or a column of W stays there, also where
// the last tile has room to spare.
func TestGemmKeepsWhatIsNotFiniteInItsRowAndColumn(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	const K = 9
	for M := 1; M <= 5; M++ {
		for N := 1; N <= 7; N++ {
			x, w, y := random(r, M*K), random(r, N*K), make([]float32, M*N)
			badRow, badColumn := M-1, N-1
			x[badRow*K+3], w[badColumn*K+4] = float32(math.NaN()), float32(math.Inf(1))
			GemmNT(y, x, w, M, N, K, false)
			for i, v := range y {
				bad := i/N == badRow || i%N == badColumn
				if finite := v-v == 0; finite == bad {
					t.Errorf("M %d N %d: y[%d,%d] = %v with a NaN in row %d and an infinity in column %d", M, N, i/N, i%N, v, badRow, badColumn)
				}
			}
		}
	}
}

func TestGemmPanicsOnAShortSlice(t *testing.T) {
	for _, n := range [][3]int{{5, 4, 6}, {6, 3, 6}, {6, 4, 5}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("GemmNN with M 2, N 3, K 2 and slices of %d, %d and %d elements did not panic", n[0], n[1], n[2])
				}
			}()
			y, x, w := make([]float32, n[0]), make([]float32, n[1]), make([]float32, n[2])
			GemmNN(y, x, w, 2, 3, 2, false)
		}()
	}
}

func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	const n = 512
	x, w, y := random(r, n*n), random(r, n*n), make([]float32, n*n)
	for _, name := range []string{"NT", "NN", "TN"} {
		for workers := 1; workers <= 2; workers++ {
			b.Run(fmt.Sprintf("%s/%d", name, workers), func(b *testing.B) {
				defer parallel.SetWorkers(parallel.SetWorkers(workers))
				for b.Loop() {
					products[name].run(y, x, w, n, n, n, false)
				}
				b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
