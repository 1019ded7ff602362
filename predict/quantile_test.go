package predict_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/predict"
)

// A return drawn at a quantile lies there in the law of the model, and its
// token is one that the model draws as often as before.
func TestPathsAtQuantiles(t *testing.T) {
	m, codec, streams := small(t)
	s := streams[0]
	law, err := predict.NextLaw(m.Runner(gpt.F32), codec, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	density := codec.Emission.Cells().New32(law.Cells, law.Mean, law.Sigma)
	const N = 4000
	level := func(path int, at time.Time) float64 { return (float64(path) + .5) / N }
	g := gpt.Generation{Paths: N, Steps: 1, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3}
	at, err := predict.PathsAt(t.Context(), m.Runner(gpt.F32), codec, s, len(s.Tokens), 16, g, level)
	if err != nil {
		t.Fatal(err)
	}
	free, err := predict.Paths(t.Context(), m.Runner(gpt.F32), codec, s, len(s.Tokens), 16, g)
	if err != nil {
		t.Fatal(err)
	}
	last := s.Candles[len(s.Candles)-1].Close
	counts := make([]float64, m.Vocab)
	for i, p := range at {
		r := math.Log(p.Candles[0].Close / last)
		// The law holds float32.
		if got, want := density.CDF(r), level(i, time.Time{}); math.Abs(got-want) > 1e-5 {
			t.Fatalf("path %d is at %v of the law, want %v", i, got, want)
		}
		counts[p.Tokens[0]]++
		counts[free[i].Tokens[0]]--
	}
	for k, d := range counts {
		// Four standard deviations of a difference of two counts of N/2.
		if math.Abs(d) > 4*math.Sqrt(N/2) {
			t.Errorf("token %d is drawn %+.0f times more often than without quantiles", k, d)
		}
	}

	codec.Emission = nil
	if _, err := predict.PathsAt(t.Context(), m.Runner(gpt.F32), codec, s, len(s.Tokens), 16, g, level); !errors.Is(err, predict.ErrNoEmission) {
		t.Errorf("without returns of tokens: %v, want %v", err, predict.ErrNoEmission)
	}
}

// The times asked for are those of the candles.
func TestPathsAtTimes(t *testing.T) {
	m, codec, streams := small(t)
	s := streams[0]
	asked := map[int][]time.Time{}
	g := gpt.Generation{Paths: 3, Steps: 20, FirstPath: 5, Sampler: gpt.Sampler{Temperature: 1}, Seed: 3}
	paths, err := predict.PathsAt(t.Context(), m.Runner(gpt.F32), codec, s, len(s.Tokens), 8, g, func(path int, at time.Time) float64 {
		asked[path] = append(asked[path], at)
		return .5
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range paths {
		for h, c := range p.Candles {
			if !c.Time.Equal(asked[5+i][h]) || !(c.Low > 0 && c.Low <= min(c.Open, c.Close) && c.High >= max(c.Open, c.Close)) {
				t.Fatalf("path %d, step %d: %+v, asked for %v", i, h, c, asked[5+i])
			}
		}
	}
}
