package tokenizer

import (
	"math"
	"testing"

	"github.com/micro-quant/mqc/feature"
)

func TestQuantileBinsAreEquallyFull(t *testing.T) {
	vectors := heavy(1000, 1)
	q, err := FitQuantile(vectors, 10)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, 10)
	for _, token := range EncodeAll(q, vectors) {
		counts[token]++
	}
	for k, n := range counts {
		if n < 99 || n > 101 { // an edge lies on a value: one may fall to either side
			t.Errorf("bin %d holds %d of 1000 vectors, want 100", k, n)
		}
	}
	if s := Measure(q, vectors); math.Abs(s.Perplexity-10) > 0.01 || s.Used != 10 || s.Dead != 0 || math.Abs(s.Top10-1) > 1e-9 {
		t.Errorf("Measure = %+v, want perplexity 10, all used", s)
	}
}

func TestQuantileDecodesToTheMeanOfTheBin(t *testing.T) {
	vectors := []feature.Vector{{-2, 1, 0, 0, 1}, {-1, 3, 0, 0, 3}, {1, 5, 2, 0, 7}, {2, 7, 4, 0, 11}}
	q, err := FitQuantile(vectors, 2)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range []feature.Vector{{-1.5, 2, 0, 0, 2}, {1.5, 6, 3, 0, 9}} {
		if got := q.Decode(k); got != want {
			t.Errorf("Decode(%d) = %v, want %v", k, got, want)
		}
	}
}

func TestQuantileWithTiesHasEmptyBins(t *testing.T) {
	vectors := make([]feature.Vector, 90) // all returns 0,
	vectors = append(vectors, heavy(10, 1)...)
	q, err := FitQuantile(vectors, 20)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 20 {
		if !q.Decode(k).Finite() {
			t.Errorf("Decode(%d) = %v", k, q.Decode(k))
		}
	}
	if s := Measure(q, vectors); s.Used > 11 || s.Used < 2 {
		t.Errorf("%d of 20 bins are used, want at most 11", s.Used)
	}
}

func TestFitQuantileRefuses(t *testing.T) {
	for _, codes := range []int{-1, 0, 1, MaxCodes + 1} {
		if _, err := FitQuantile(heavy(10, 1), codes); err == nil {
			t.Errorf("FitQuantile with %d codes succeeds", codes)
		}
	}
	if _, err := FitQuantile(nil, 8); err == nil {
		t.Error("FitQuantile without vectors succeeds")
	}
}

// fixed maps the sign of the return to one of four tokens, of which two are used.
type fixed struct{}

func (fixed) Kind() string      { return "fixed" }
func (fixed) Codes() int        { return 4 }
func (fixed) Tensors() []Tensor { return nil }
func (fixed) Config() any       { return nil }
func (fixed) Encode(v feature.Vector) int {
	if v[feature.LogReturn] < 0 {
		return 0
	}
	return 1
}
func (fixed) Decode(k int) feature.Vector { return feature.Vector{float64(2*k - 1)} }

func TestMeasureOnFiguresDoneByHand(t *testing.T) {
	// Decoded to −1, 1, 1, 1: squared errors 0, 0, 1, 1; variance of −1, 1, 2, 2 is 1.5.
	s := Measure(fixed{}, []feature.Vector{{-1}, {1}, {2}, {2}})
	entropy := -0.25*math.Log(0.25) - 0.75*math.Log(0.75)
	want := Stats{Candles: 4, Codes: 4, Used: 2, Dead: 0.5, Perplexity: math.Exp(entropy), Top10: 1, Stable: 0.5}
	want.MSE[feature.LogReturn] = 0.5 / 1.5
	want.MeanMSE = want.MSE[feature.LogReturn] / 5
	for _, p := range []struct {
		name      string
		got, want float64
	}{
		{"dead", s.Dead, want.Dead},
		{"perplexity", s.Perplexity, want.Perplexity},
		{"top10", s.Top10, want.Top10},
		{"stable", s.Stable, want.Stable},
		{"mse", s.MSE[feature.LogReturn], want.MSE[feature.LogReturn]},
		{"mean", s.MeanMSE, want.MeanMSE},
	} {
		if math.Abs(p.got-p.want) > 1e-12 {
			t.Errorf("%s = %v, want %v", p.name, p.got, p.want)
		}
	}
	if s.Used != want.Used || s.Candles != 4 || s.Codes != 4 {
		t.Errorf("Measure = %+v, want %+v", s, want)
	}
	if empty := Measure(fixed{}, nil); empty.Perplexity != 0 || math.IsNaN(empty.Dead) {
		t.Errorf("Measure of nothing = %+v", empty)
	}
}
