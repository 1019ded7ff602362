package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/micro-quant/mqc/internal/parallel"
)

// The products of one training step at R 2048, C 512, and of decoding M paths.
var shapes = []struct {
	product string
	M, N, K int
}{
	{"NT", 2048, 512, 512},
	{"NT", 2048, 2048, 512},
	{"NT", 2048, 512, 2048},
	{"NN", 2048, 512, 512},
	{"NN", 2048, 512, 2048},
	{"NN", 2048, 2048, 512},
	{"TN", 512, 512, 2048},
	{"TN", 2048, 512, 2048},
	{"TN", 512, 2048, 2048},
	{"NT", 1, 512, 512},
	{"NT", 1, 2048, 512},
	{"NT", 1, 512, 2048},
	{"NT", 16, 512, 512},
	{"NT", 16, 2048, 512},
	{"NT", 16, 512, 2048},
	{"NT", 64, 512, 512},
	{"NT", 64, 2048, 512},
	{"NT", 64, 512, 2048},
}

// BenchmarkGemm reports the fastest call of each shape, in GFLOP/s and in
// percent of the peak measured just before: a neighbour on the machine then
// disturbs little.
func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	const most = 2048 * 2048
	x, w, y := random(r, most), random(r, most), make([]float32, most)
	for _, e := range engines {
		if e == &generic {
			continue
		}
		for _, s := range shapes {
			for workers := 1; workers <= 2; workers++ {
				b.Run(fmt.Sprintf("%s/%s-%dx%dx%d/%d", e.name, s.product, s.M, s.N, s.K, workers), func(b *testing.B) {
					use(b, e)
					defer parallel.SetWorkers(parallel.SetWorkers(workers))
					peak := Peak() * float64(workers)
					best := time.Duration(1 << 62)
					for b.Loop() {
						start := time.Now()
						products[s.product].run(y, x, w, s.M, s.N, s.K, false)
						best = min(best, time.Since(start))
					}
					flops := 2 * float64(s.M) * float64(s.N) * float64(s.K) / best.Seconds()
					b.ReportMetric(flops/1e9, "GFLOP/s")
					b.ReportMetric(100*flops/peak, "%peak")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}
