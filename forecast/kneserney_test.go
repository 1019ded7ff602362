package forecast

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/rng"
)

// Counted by hand. Trigrams, with B the boundary: B0→1, 01→0 twice, 10→1, 10→2,
// so D = 3/(3+2·1). Bigrams by predecessors: 0→1 after B and 1, 1→0 after 0,
// 0→2 after 1, so D = 2/(2+2·1). Unigrams by predecessors: one each, so D = 1
// and the law is uniform.
func TestKneserNeyByHand(t *testing.T) {
	s := &dataset.Stream{Tokens: []int32{0, 1, 0, 1, 0, 2 /* val: */, 2, 0, 1, 0, 0}, ValFrom: 6, TestFrom: 11}
	g := FitKneserNey([]*dataset.Stream{s}, 3)
	if want := [3]float64{1, .5, .6}; g.Discounts != want {
		t.Errorf("discounts %v, want %v", g.Discounts, want)
	}
	after0 := [3]float64{2. / 18, 11. / 18, 5. / 18}
	for _, c := range []struct {
		index int
		want  [3]float64
	}{
		{1, [3]float64{.6 * after0[0], .4 + .6*after0[1], .6 * after0[2]}},         // B0
		{5, [3]float64{.6 * after0[0], .4/2 + .6*after0[1], .4/2 + .6*after0[2]}},  // 10
		{6, [3]float64{1. / 3, 1. / 3, 1. / 3}},                                    // 02: nothing follows 2
		{8, after0},                                                                // 20: not seen
		{9, [3]float64{1.4/2 + .3*(.5+.5/3), .3 * .5 / 3, .3 * .5 / 3}},            // 01
		{10, [3]float64{.6 * after0[0], .4/2 + .6*after0[1], .4/2 + .6*after0[2]}}, // 10
	} {
		probs := make([]float64, 3)
		g.Probabilities(probs, 0, c.index)
		for k, p := range probs {
			if math.Abs(p-c.want[k]) > 1e-15 {
				t.Errorf("token %d: p(%d) = %v, want %v", c.index, k, p, c.want[k])
			}
		}
	}
}

func TestKneserNeyIsAPositiveDistribution(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		V := rapid.IntRange(2, 9).Draw(t, "V")
		var streams []*dataset.Stream
		for range rapid.IntRange(1, 3).Draw(t, "streams") {
			tokens := rapid.SliceOfN(rapid.Int32Range(0, int32(V-1)), 2, 60).Draw(t, "tokens")
			s := &dataset.Stream{Tokens: tokens}
			s.ValFrom = rapid.IntRange(0, len(tokens)).Draw(t, "val")
			s.TestFrom = rapid.IntRange(s.ValFrom, len(tokens)).Draw(t, "test")
			streams = append(streams, s)
		}
		probs := make([]float64, V)
		for _, g := range []*KneserNey{FitKneserNey(streams, V), FitShuffledKneserNey(streams, V, 5)} {
			for s, stream := range streams {
				for i := 1; i < len(stream.Tokens); i++ {
					g.Probabilities(probs, s, i)
					sum := 0.0
					for k, p := range probs {
						if !(p > 0) {
							t.Fatalf("stream %d, token %d: p(%d) = %v", s, i, k, p)
						}
						sum += p
					}
					if math.Abs(sum-1) > 1e-12 {
						t.Fatalf("stream %d, token %d: sums to %v", s, i, sum)
					}
				}
			}
		}
	})
}

// What is held out is not counted, and no history reaches into another stream.
func TestKneserNeyCountsTrainingTargetsOfEachStream(t *testing.T) {
	train := [][]int32{{0, 1, 2, 0, 1}, {3, 3, 1}}
	fit := func(heldOut ...int32) *KneserNey {
		var streams []*dataset.Stream
		for _, tokens := range train {
			s := &dataset.Stream{Tokens: append(append([]int32{}, tokens...), heldOut...), ValFrom: len(tokens)}
			s.TestFrom = s.ValFrom + len(heldOut)/2
			streams = append(streams, s)
		}
		return FitKneserNey(streams, 4)
	}
	a, b := fit(), fit(2, 2, 2, 2, 3, 1)
	for s, tokens := range train {
		for i := 1; i < len(tokens); i++ {
			p, q := make([]float64, 4), make([]float64, 4)
			a.Probabilities(p, s, i)
			b.Probabilities(q, s, i)
			for k := range p {
				if p[k] != q[k] {
					t.Errorf("stream %d, token %d: p(%d) = %v, with other tokens held out %v", s, i, k, p[k], q[k])
				}
			}
		}
	}
	if _, crossed := a.trigrams[[2]int32{0, 1}].counts[3]; crossed {
		t.Error("the first token of the second stream follows the first stream")
	}
}

// nats is the mean −ln p of the test targets.
func nats(s *dataset.Stream, V int, fill func(probs []float64, i int)) float64 {
	probs, sum := make([]float64, V), 0.0
	lo, hi := s.Bounds(dataset.Test)
	for i := lo; i < hi; i++ {
		fill(probs, i)
		sum -= math.Log(probs[s.Tokens[i]])
	}
	return sum / float64(hi-lo)
}

// A chain whose next token is known from two tokens back in four of five cases:
// the trigram finds it, the bigram cannot, and the control is a unigram.
func TestKneserNeyFindsWhatTheShuffledHistoryHides(t *testing.T) {
	const V, n = 5, 60_000
	r := rng.New(3)
	s := &dataset.Stream{Tokens: make([]int32, n), ValFrom: n * 7 / 10, TestFrom: n * 8 / 10}
	for i := range s.Tokens {
		s.Tokens[i] = int32(min(r.IntN(V), r.IntN(V))) // not uniform
		if i >= 2 && r.Float64() < .8 {
			s.Tokens[i] = s.Tokens[i-2]
		}
	}
	streams := []*dataset.Stream{s}
	unigram, bigram := FitUnigram(streams, V), FitBigram(streams, V)
	model, control := FitKneserNey(streams, V), FitShuffledKneserNey(streams, V, 1)
	uni := nats(s, V, func(p []float64, _ int) { unigram.Probabilities(p, 0) })
	bi := nats(s, V, func(p []float64, i int) { bigram.Probabilities(p, s.Tokens[i-1]) })
	got := nats(s, V, func(p []float64, i int) { model.Probabilities(p, 0, i) })
	shuffled := nats(s, V, func(p []float64, i int) { control.Probabilities(p, 0, i) })

	// The law of the chain: the token two back with .8, else a fresh draw.
	fresh := func(k int32) float64 { return (2*float64(V-int(k)) - 1) / (V * V) }
	truth := nats(s, V, func(p []float64, i int) {
		for k := range p {
			p[k] = .2 * fresh(int32(k))
		}
		p[s.Tokens[i-2]] += .8
	})
	// V²(V−1) = 100 free numbers cost half a nat each over 42,000 targets, and
	// as much again where they are scored.
	const cost = 100. / 42_000
	if got < truth-cost || got > truth+2*cost {
		t.Errorf("Kneser–Ney: %.4f nats, the truth has %.4f", got, truth)
	}
	if bi < truth+.3 {
		t.Errorf("bigram: %.4f nats, the truth has %.4f: the chain tests nothing", bi, truth)
	}
	if math.Abs(shuffled-uni) > 2*cost {
		t.Errorf("shuffled history: %.4f nats, unigram %.4f", shuffled, uni)
	}
}
