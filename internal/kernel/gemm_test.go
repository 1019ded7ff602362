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

func TestGemmMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []int{1, 2, 3, 4, 5, 8, 13, 33}
	for name, p := range products {
		for _, M := range sizes {
			for _, N := range sizes {
				for _, K := range []int{1, 2, 7, 40} {
					x, w, y := random(r, M*K), random(r, K*N), random(r, M*N)
					for _, accumulate := range []bool{false, true} {
						got := append([]float32(nil), y...)
						p.run(got, x, w, M, N, K, accumulate)
						for i := range got {
							want, scale := 0.0, 0.0
							for k := range K {
								v := float64(p.x(x, i/N, k, M, N, K)) * float64(p.w(w, k, i%N, M, N, K))
								want, scale = want+v, scale+math.Abs(v)
							}
							if accumulate {
								want, scale = want+float64(y[i]), scale+math.Abs(float64(y[i]))
							}
							// K+1 roundings of half an ulp of the running sum.
							if tol := float64(K+1) * scale * 0x1p-24; math.Abs(float64(got[i])-want) > tol {
								t.Fatalf("%s M %d N %d K %d accumulate %v: y[%d] = %v, want %v ± %v", name, M, N, K, accumulate, i, got[i], want, tol)
							}
						}
					}
				}
			}
		}
	}
}

// A row has the same bits alone and in any batch, for any number of workers.
func TestGemmRowsDoNotDependOnTheBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const M, N, K = 37, 29, 65
	x, w := random(r, M*K), random(r, N*K)
	want := make([]float32, M*N)
	for m := range M {
		GemmNT(want[m*N:(m+1)*N], x[m*K:(m+1)*K], w, 1, N, K, false)
	}
	for workers := 1; workers <= 4; workers++ {
		previous := parallel.SetWorkers(workers)
		got := make([]float32, M*N)
		GemmNT(got, x, w, M, N, K, false)
		parallel.SetWorkers(previous)
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%d workers: y[%d,%d] = %v, alone %v", workers, i/N, i%N, got[i], want[i])
			}
		}
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
