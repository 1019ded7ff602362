package forecast

import (
	"math"
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/rng"
)

func TestNGramIsADistributionAfterEveryToken(t *testing.T) {
	const V = 12
	r := rng.New(1)
	s := &dataset.Stream{Tokens: make([]int32, 300), ValFrom: 200, TestFrom: 250}
	for i := range s.Tokens {
		s.Tokens[i] = int32(r.IntN(V - 3)) // the last three never come
	}
	g := FitUnigram([]*dataset.Stream{s}, V)
	probs := make([]float64, V)
	for _, g.Lambda = range append([]float64{1}, mixtureWeights...) {
		for previous := range int32(V) {
			g.Probabilities(probs, previous)
			sum := 0.0
			for k, p := range probs {
				if p < 0 || p != g.P(previous, int32(k)) || p == 0 && g.Lambda < 1 {
					t.Fatalf("λ %v: p(%d|%d) = %v, P says %v", g.Lambda, k, previous, p, g.P(previous, int32(k)))
				}
				sum += p
			}
			// 1e-12: a dozen roundings.
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("λ %v: p(·|%d) sums to %v", g.Lambda, previous, sum)
			}
		}
	}
}

func TestUnigramAddsOneToTheCountsOfTrainingTargets(t *testing.T) {
	streams := []*dataset.Stream{
		// Targets are 1, 1, 2: the first token has none before it, and
		// what follows is validation.
		{Tokens: []int32{0, 1, 1, 2, 3, 3, 3}, ValFrom: 4, TestFrom: 6},
		{Tokens: []int32{1, 2, 0}, ValFrom: 3, TestFrom: 3}, // targets 2, 0
		{Tokens: []int32{3, 3, 3}},                          // all test
	}
	g := FitUnigram(streams, 5)
	for k, count := range []float64{1, 2, 2, 0, 0} {
		if got, want := g.P(4, int32(k)), (count+1)/(5+5); math.Abs(got-want) > 1e-15 {
			t.Errorf("P(%d) = %v, want %v", k, got, want)
		}
	}

	g.Lambda = 0.5
	for _, c := range []struct {
		previous, next int32
		bigram         float64
	}{
		{1, 1, 1. / 3}, // 1 is followed by 1, 2 and, in the second stream, 2
		{1, 2, 2. / 3},
		{0, 1, 1},
		{2, 0, 1}, // not by 3: that is validation
		{2, 3, 0},
		{1, 1, 1. / 3}, // and not across streams
	} {
		want := (c.bigram + FitUnigram(streams, 5).P(0, c.next)) / 2
		if got := g.P(c.previous, c.next); math.Abs(got-want) > 1e-15 {
			t.Errorf("P(%d|%d) = %v, want %v", c.next, c.previous, got, want)
		}
	}
	if got, want := g.P(3, 1), FitUnigram(streams, 5).P(0, 1); got != want {
		t.Errorf("after a token that training never saw: %v, want the unigram's %v", got, want)
	}
}

// The weight is chosen on validation and nowhere else.
func TestBigramWeightFollowsValidation(t *testing.T) {
	const V, n = 6, 4000
	stream := func(structure [3]float64) *dataset.Stream { // in training, validation, test
		r := rng.New(7)
		s := &dataset.Stream{Tokens: make([]int32, n), ValFrom: n / 2, TestFrom: 3 * n / 4}
		for i := 1; i < n; i++ {
			p := structure[0]
			if i >= s.TestFrom {
				p = structure[2]
			} else if i >= s.ValFrom {
				p = structure[1]
			}
			if s.Tokens[i] = int32(r.IntN(V)); r.Float64() < p {
				s.Tokens[i] = (s.Tokens[i-1] + 1) % V
			}
		}
		return s
	}
	for _, c := range []struct {
		name      string
		structure [3]float64
		low, high float64
	}{
		{"structure that lasts", [3]float64{.8, .8, 0}, .8, .9},
		{"structure that ends with training", [3]float64{.8, 0, .8}, 0, 0},
		{"none", [3]float64{0, 0, .8}, 0, .1},
	} {
		g := FitBigram([]*dataset.Stream{stream(c.structure)}, V)
		if g.Lambda < c.low || g.Lambda > c.high {
			t.Errorf("%s: weight %v, want %v to %v", c.name, g.Lambda, c.low, c.high)
		}
	}
	s := stream([3]float64{.8, .8, .8})
	s.ValFrom, s.TestFrom = n, n
	if g := FitBigram([]*dataset.Stream{s}, V); g.Lambda != 0 {
		t.Errorf("without validation: weight %v, want 0", g.Lambda)
	}
}

func TestAssetUnigramMixesOwnCountsWithThoseOfAll(t *testing.T) {
	const V = 4
	streams := []*dataset.Stream{
		{Tokens: []int32{0, 1, 1, 1, 2, 1, 1, 1}, ValFrom: 5, TestFrom: 8}, // own: 1, 1, 1, 2
		{Tokens: []int32{0, 3, 3, 3, 3}, ValFrom: 3, TestFrom: 5},          // own: 3, 3
		{Tokens: []int32{0, 1, 2}, ValFrom: 1, TestFrom: 1},                // unseen
	}
	g, all := FitAssetUnigram(streams, V), FitUnigram(streams, V)
	if g.Lambda < 0.5 {
		t.Errorf("weight %v: the assets go on as they were, want most of it on their own", g.Lambda)
	}
	probs := make([]float64, V)
	for _, g.Lambda = range append([]float64{1}, mixtureWeights...) {
		for s, own := range [][]float64{{0, .75, .25, 0}, {0, 0, 0, 1}, {all.P(0, 0), all.P(0, 1), all.P(0, 2), all.P(0, 3)}} {
			g.Probabilities(probs, s)
			sum := 0.0
			for k, p := range probs {
				if want := g.Lambda*own[k] + (1-g.Lambda)*all.P(0, int32(k)); math.Abs(p-want) > 1e-15 {
					t.Errorf("λ %v, stream %d: p(%d) = %v, want %v", g.Lambda, s, k, p, want)
				}
				sum += p
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("λ %v, stream %d: sums to %v", g.Lambda, s, sum)
			}
		}
	}
}
