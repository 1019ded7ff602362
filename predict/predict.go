// Package predict runs a model over candle streams: teacher-forced, to see
// what probability it gives to what happened, and free-running, to draw paths
// of what may happen. Training validates with it and forecasts are made of it,
// so both mean the same by a path.
package predict

import (
	"context"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// Score is what a distribution over tokens gave to one token that came.
type Score struct {
	Stream, Index int     // which stream, which of its tokens
	Nats          float64 // −ln p(token)
	Entropy       float64 // −Σ p ln p of the whole distribution, in nats
	Rank          int     // tokens that were likelier, or as likely and smaller; 0 is a top-1 hit
}

// scoreRows is how many positions are scored in one forward pass: enough to
// keep the cores busy, few enough that activations stay in the cache.
const scoreRows = 1024

// Each runs r over windows and visits the outputs (Width), logits for most models,
// of every weighted target once, in the order of windows: index is that of the
// target in its stream.
func Each(ctx context.Context, r *gpt.Runner, streams []*dataset.Stream, windows []dataset.Window, visit func(stream, index int, outputs []float32) error) error {
	var w gpt.Workspace
	m := r.Model()
	r = r.ForwardOnly()
	batch := max(1, scoreRows/m.SeqLen)
	for len(windows) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(batch, len(windows))
		T := 0
		for _, win := range windows[:n] {
			T = max(T, win.Len)
		}
		b := dataset.Gather(streams, windows[:n], T)
		in := Input(b, 0)
		if err := m.Check(in); err != nil {
			return err
		}
		outputs, W := r.Forward(&w, in), m.Width()
		for i, win := range windows[:n] {
			for t := range T {
				if at := i*T + t; b.Weights[at] != 0 {
					if err := visit(win.Stream, win.Start+t+1, outputs[at*W:(at+1)*W]); err != nil {
						return err
					}
				}
			}
		}
		windows = windows[n:]
	}
	return nil
}

// Tokens scores every weighted target of windows once, in the order of windows.
func Tokens(ctx context.Context, r *gpt.Runner, streams []*dataset.Stream, windows []dataset.Window) ([]Score, error) {
	if r.Model().Outputs > 0 {
		return nil, fmt.Errorf("predict: %w", gpt.ErrNoLogits)
	}
	var scores []Score
	V := r.Model().Vocab
	err := Each(ctx, r, streams, windows, func(stream, index int, row []float32) error {
		s := streams[stream]
		target := s.Tokens[index]
		if target < 0 || int(target) >= V {
			return fmt.Errorf("predict: %s: token %d is %d: %w 0…%d", s.Asset, index, target, gpt.ErrVocabulary, V-1)
		}
		norm := LogSumExp(row)
		nats := norm - float64(row[target])
		if math.IsNaN(nats) || math.IsInf(nats, 0) {
			return fmt.Errorf("predict: %s: token %d: %w", s.Asset, index, gpt.ErrNotFinite)
		}
		rank := 0
		for k, l := range row {
			if l > row[target] || l == row[target] && int32(k) < target {
				rank++
			}
		}
		scores = append(scores, Score{Stream: stream, Index: index, Nats: nats, Entropy: entropy(row, norm), Rank: rank})
		return nil
	})
	return scores, err
}

// Probabilities writes the softmax of logits (V) over a temperature to probs.
func Probabilities(probs []float64, logits []float32, temperature float64) {
	peak, sum := math.Inf(-1), 0.0
	for _, l := range logits {
		peak = max(peak, float64(l))
	}
	for k, l := range logits {
		probs[k] = math.Exp((float64(l) - peak) / temperature)
		sum += probs[k]
	}
	for k := range probs {
		probs[k] /= sum
	}
}

// Input is a batch as the model takes it; dropout names its mask, 0 for none.
func Input(b dataset.Batch, dropout uint64) gpt.Input {
	in := gpt.Input{B: b.B, T: b.T, Tokens: b.Inputs, Cond: b.Cond, Features: b.Features, Dropout: dropout}
	in.Branches.Shared, in.Branches.Own = b.Shared, b.Own
	return in
}

// LogSumExp is ln Σ exp(row), in float64.
func LogSumExp(row []float32) float64 {
	peak := row[0]
	for _, l := range row {
		peak = max(peak, l)
	}
	sum := 0.0
	for _, l := range row {
		sum += math.Exp(float64(l - peak))
	}
	return float64(peak) + math.Log(sum)
}

// entropy is norm − Σ p·row, in nats, of the softmax p of row; norm is its
// [LogSumExp].
func entropy(row []float32, norm float64) float64 {
	mean := 0.0
	for _, l := range row {
		mean += math.Exp(float64(l)-norm) * float64(l)
	}
	return norm - mean
}

// Mean is the mean of a list of scores.
type Mean struct {
	Count int     `json:"count"`
	Nats  float64 `json:"nats"` // per token
	Top1  float64 `json:"top1"` // fraction of tokens that were the likeliest
	Top5  float64 `json:"top5"` // fraction among the five likeliest

	Entropy float64 `json:"entropy"` // nats of a distribution
}

// Average returns the means of scores.
func Average(scores []Score) Mean {
	m := Mean{Count: len(scores)}
	for _, s := range scores {
		m.Nats += s.Nats
		m.Entropy += s.Entropy
		if s.Rank < 1 {
			m.Top1++
		}
		if s.Rank < 5 {
			m.Top5++
		}
	}
	if n := float64(m.Count); n > 0 {
		m.Nats, m.Top1, m.Top5, m.Entropy = m.Nats/n, m.Top1/n, m.Top5/n, m.Entropy/n
	}
	return m
}

// CumulativeReturns writes ln(close/previous close) after every step of a
// path, counted from the close before it.
func CumulativeReturns(out []float64, prevClose float64, candles []market.Candle) []float64 {
	out = out[:0]
	for _, c := range candles {
		out = append(out, math.Log(c.Close/prevClose))
	}
	return out
}
