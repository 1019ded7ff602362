package measure

import (
	"context"
	"math"
	"time"

	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/train"
)

// Product is the shape of a matrix product, row major:
//
//	NT  y (M, N) = x (M, K) · w (N, K)ᵀ   forward: w are weights
//	NN  y (M, N) = x (M, K) · w (K, N)    gradient of the input: w are weights
//	TN  y (M, N) = x (K, M)ᵀ · w (K, N)   gradient of the weights
type Product struct {
	Kind  string `json:"kind"`
	M     int    `json:"m"`
	N     int    `json:"n"`
	K     int    `json:"k"`
	Use   string `json:"use"`   // train or decode
	Count int    `json:"count"` // in a chunk of a training step, or in a step of decoding
}

// Rate is how fast a product is.
type Rate struct {
	Product
	Workers       int     `json:"workers"`
	MS            float64 `json:"ms"`              // median of the calls
	GFLOPS        float64 `json:"gflops"`          // at the median
	MinMS         float64 `json:"min_ms"`          // fastest call
	BestGFLOPS    float64 `json:"best_gflops"`     // of that
	PeakGFLOPS    float64 `json:"peak_gflops"`     // measured just before
	PercentOfPeak float64 `json:"percent_of_peak"` // of the median
}

// decodePaths are the numbers of paths whose products are measured.
var decodePaths = []int{1, 16, 64}

// Products are the products of a training step on chunks of rows positions,
// each shape once, and the forward products of decoding.
func Products(c gpt.Config, rows int) []Product {
	var out []Product
	linears := Linears(c)
	for _, l := range linears {
		out = append(out, Product{"NT", rows, l.Out, l.In, Train, l.Count})
	}
	for _, l := range linears {
		out = append(out, Product{"NN", rows, l.In, l.Out, Train, l.Count})
	}
	for _, l := range linears {
		out = append(out, Product{"TN", l.Out, l.In, rows, Train, l.Count})
	}
	for _, paths := range decodePaths {
		for _, l := range linears {
			out = append(out, Product{"NT", paths, l.Out, l.In, Decode, l.Count})
		}
	}
	return out
}

// products measures every product with one worker and with all.
func (r *Result) products(ctx context.Context, c Config) error {
	all := r.Workers
	defer parallel.SetWorkers(parallel.SetWorkers(all))
	shapes := Products(c.Model, min(c.Batch, train.ChunkRows(c.T))*c.T)
	buffers := newOperands(shapes, c.Seed)
	logs, n := 0.0, 0
	for workers := 1; ; workers = all {
		parallel.SetWorkers(workers)
		for _, p := range shapes {
			if err := ctx.Err(); err != nil {
				return err
			}
			rate := p.measure(buffers, r.Precision, workers, c)
			if r.TimeToFirstStepS == 0 {
				r.TimeToFirstStepS = time.Since(ProcessStart()).Seconds()
			}
			r.Products = append(r.Products, rate)
			if workers == all && p.Use == Train {
				logs, n = logs+math.Log(rate.GFLOPS), n+1
			}
		}
		if workers == all {
			break
		}
	}
	r.GFLOPS = math.Exp(logs / float64(n))
	r.PeakGFLOPS = peak(r.Precision, all)
	r.PercentOfPeak = 100 * r.GFLOPS / r.PeakGFLOPS
	return nil
}

// callTime is how long a product is called again and again for each step: the
// smallest take microseconds.
const callTime = 20 * time.Millisecond

// measure times calls of p, with at least one for each step.
func (p Product) measure(o *operands, precision gpt.Precision, workers int, c Config) Rate {
	rate := Rate{Product: p, Workers: workers, PeakGFLOPS: peak(precision, workers)}
	call := o.prepare(p, precision)
	for range max(1, c.Warmup) {
		call()
	}
	var times []time.Duration
	for begin := time.Now(); len(times) < c.Steps || time.Since(begin) < time.Duration(c.Steps)*callTime; {
		start := time.Now()
		call()
		times = append(times, time.Since(start))
	}
	middle := median(times)
	work := 2 * float64(p.M) * float64(p.N) * float64(p.K)
	rate.MS, rate.MinMS = middle/1e6, float64(times[0])/1e6
	rate.GFLOPS, rate.BestGFLOPS = work/middle, work/float64(times[0])
	rate.PercentOfPeak = 100 * rate.GFLOPS / rate.PeakGFLOPS
	return rate
}

// operands are random numbers, enough for every shape.
type operands struct{ x, w, y []float32 }

func newOperands(shapes []Product, seed uint64) *operands {
	var x, w, y int
	for _, p := range shapes {
		x, w, y = max(x, p.M*p.K), max(w, p.N*p.K), max(y, p.M*p.N)
	}
	o := &operands{make([]float32, x), make([]float32, w), make([]float32, y)}
	r := rng.New(seed, rng.Trial)
	for _, s := range [][]float32{o.x, o.w} {
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
	}
	return o
}

// prepare does what comes before the products of a step: weights are laid out,
// activations are there in their precision. It returns the call itself.
func (o *operands) prepare(p Product, precision gpt.Precision) (call func()) {
	matrix := func(data []float32, rows, cols int) *nn.Mat {
		m := new(nn.Mat)
		m.Resize(precision, rows, cols)
		nn.Round(m, data, rows, cols)
		return m
	}
	if p.Kind == "TN" {
		x, w := matrix(o.x, p.K, p.M), matrix(o.w, p.K, p.N)
		return func() { kernel.MulTransposed(o.y, x, w, true) }
	}
	var w kernel.Packed
	if p.Kind == "NT" {
		kernel.Pack(precision, &w, nil, o.w, p.N, p.K)
	} else {
		kernel.Pack(precision, nil, &w, o.w, p.K, p.N)
	}
	x := matrix(o.x, p.M, p.K)
	return func() { kernel.Mul(o.y, p.N, x, &w, false) }
}
