package measure

import (
	"context"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/gpt"
)

func TestProductsOfTheSpec(t *testing.T) {
	got := Products(gpt.Defaults(), 1024)
	// q, k and v; o of six blocks and the head, where V is C; up; down.
	want := []Product{
		{"NT", 1024, 1536, 512, Train, 6},
		{"NT", 1024, 512, 512, Train, 7},
		{"NT", 1024, 2048, 512, Train, 6},
		{"NT", 1024, 512, 2048, Train, 6},
		{"NN", 1024, 512, 1536, Train, 6},
		{"NN", 1024, 512, 512, Train, 7},
		{"NN", 1024, 512, 2048, Train, 6},
		{"NN", 1024, 2048, 512, Train, 6},
		{"TN", 1536, 512, 1024, Train, 6},
		{"TN", 512, 512, 1024, Train, 7},
		{"TN", 2048, 512, 1024, Train, 6},
		{"TN", 512, 2048, 1024, Train, 6},
	}
	for _, paths := range []int{1, 16, 64} {
		want = append(want, Product{"NT", paths, 1536, 512, Decode, 6}, Product{"NT", paths, 512, 512, Decode, 7}, Product{"NT", paths, 2048, 512, Decode, 6}, Product{"NT", paths, 512, 2048, Decode, 6})
	}
	if !slices.Equal(got, want) {
		t.Errorf("Products(spec, 1024):\n got %v\nwant %v", got, want)
	}
}

func TestProductsDoTheOperationsOfAStep(t *testing.T) {
	c := grouped()
	c.Features = 0
	const rows = 48
	sum := 0
	for i, p := range Products(c, rows) {
		if p.Use == Train {
			sum += 2 * p.M * p.N * p.K * p.Count
		}
		for _, q := range Products(c, rows)[:i] {
			if q.Kind == p.Kind && q.M == p.M && q.N == p.N && q.K == p.K && q.Use == p.Use {
				t.Errorf("%v comes twice", p)
			}
		}
	}
	if want := 3 * 2 * rows * Weights(c); sum != want {
		t.Errorf("the products of a chunk have %d operations, want %d", sum, want)
	}
}

// tiny is a measurement of milliseconds.
func tiny(work string) Config {
	return Config{
		Work: work, Model: grouped(), Precision: "auto", Batch: 2, T: 8,
		Paths: 3, Prompt: 4, New: 3, Steps: 1, Seed: 1,
	}
}

func TestRunFillsInEveryKindOfWork(t *testing.T) {
	for _, work := range Works {
		c := tiny(work)
		c.Model.Features = 0
		r, err := Run(context.Background(), c)
		if err != nil {
			t.Fatalf("%s: %v", work, err)
		}
		if r.Work != work || r.Precision != gpt.F32 || r.GFLOPS <= 0 || r.PercentOfPeak <= 0 || r.TimeToFirstStepS <= 0 {
			t.Errorf("%s: incomplete result %+v", work, r)
		}
		if (work == Gemm) != (len(r.Products) > 0) || (work == Gemm) != (r.TokensPerSecond == 0) || (work == Decode) != (r.PrefillMS > 0) {
			t.Errorf("%s: numbers of another kind of work: %+v", work, r)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, work := range Works {
		c := tiny(work)
		c.Model.Features = 0
		if _, err := Run(ctx, c); err == nil {
			t.Errorf("%s went on", work)
		}
	}
}
