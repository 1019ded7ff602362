package eval

import (
	"math"
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/tokenizer"
)

func TestTruthBeatsUnigram(t *testing.T) {
	for _, c := range []struct {
		kind string
		gap  float64 // least gain in nats
	}{
		{feature.Global, 0.1}, // the volatility can be known
		{feature.EWMA, 0},     // and here the scale has taken most of it
	} {
		m, b, streams := world(t, c.kind, 2000)
		codec, err := b.Codec()
		if err != nil {
			t.Fatal(err)
		}
		truth, err := NewTruth(m, codec, streams, dataset.Val, 1000)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Tokens(t.Context(), []Named{{"flat", b}}, streams, dataset.Val, 0, truth)
		if err != nil {
			t.Fatal(err)
		}
		if gap := row(t, table, "unigram").Nats - row(t, table, "truth").Nats; gap <= c.gap {
			t.Errorf("%s: the truth is %v nats below the unigram, want more than %v", c.kind, gap, c.gap)
		}
	}
}

// The grid of states stands for drawing many candles at the very state of a
// target, from its own close and scale.
func TestTruthAgreesWithSamplesAtTheState(t *testing.T) {
	const draws, targets = 20_000, 4
	for _, kind := range []string{feature.Global, feature.EWMA} {
		m, b, streams := world(t, kind, 400)
		codec, err := b.Codec()
		if err != nil {
			t.Fatal(err)
		}
		truth, err := NewTruth(m, codec, streams, dataset.Val, draws)
		if err != nil {
			t.Fatal(err)
		}
		probs, vectors := make([]float64, 16), make([]feature.Vector, draws)
		divergence := 0.0
		for s, stream := range streams {
			lo, hi := stream.Bounds(dataset.Val)
			for n := range targets {
				i := lo + n*(hi-lo)/targets
				random := rng.New(1, uint64(s), uint64(i))
				for d := range vectors {
					candle := m.State(s, i+1).Sample(random, stream.States[i].PrevClose)
					vectors[d] = codec.Scaler.Encode(stream.States[i], candle)
				}
				counts := make([]float64, len(probs))
				for _, token := range tokenizer.EncodeAll(codec.Tokenizer, vectors) {
					counts[token]++
				}
				truth(probs, s, i)
				sum := 0.0
				for k, p := range probs {
					sum += p
					if q := counts[k] / draws; q > 0 {
						divergence += q * math.Log(q/p) / float64(targets*len(streams))
					}
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Fatalf("%s: stream %d, token %d: the truth sums to %v", kind, s, i, sum)
				}
			}
		}
		// V/2·(1/draws + 1/draws) = .0008 comes from both being samples, give
		// or take .0001. A mean return of .05 σ that was forgotten is .0012
		// more.
		if divergence > 0.0013 {
			t.Errorf("%s: the truth costs %v nats more than samples at its states", kind, divergence)
		}
	}
}

func TestTruthIsAFunctionOfTheMarket(t *testing.T) {
	m, b, streams := world(t, feature.EWMA, 300)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	draw := func(part dataset.Part) []float64 {
		truth, err := NewTruth(m, codec, streams, part, 100)
		if err != nil {
			t.Fatal(err)
		}
		probs := make([]float64, 16)
		lo, _ := streams[1].Bounds(part)
		truth(probs, 1, lo)
		return probs
	}
	first, second := draw(dataset.Val), draw(dataset.Val)
	for k := range first {
		if first[k] != second[k] {
			t.Fatalf("p(%d) is %v, then %v", k, first[k], second[k])
		}
	}
}

func TestTruthWantsTheStreamsOfItsMarket(t *testing.T) {
	m, b, streams := world(t, feature.EWMA, 300)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	bare := *streams[0]
	bare.States = nil
	cut := *m.Series[0]
	cut.Candles = cut.Candles[:200]
	short, err := codec.Encode(&cut)
	if err != nil {
		t.Fatal(err)
	}
	for name, streams := range map[string][]*dataset.Stream{
		"one is missing": streams[:1],
		"other order":    {streams[1], streams[0]},
		"fewer candles":  {short, streams[1]},
		"bare tokens":    {&bare, streams[1]},
		"one too many":   {streams[0], streams[1], streams[1]},
	} {
		if _, err := NewTruth(m, codec, streams, dataset.Val, 10); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
