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
	Rank          int     // tokens that were likelier, or as likely and smaller; 0 is a top-1 hit
}

// scoreRows is how many positions are scored in one forward pass: enough to
// keep the cores busy, few enough that activations stay in the cache.
const scoreRows = 1024

// Tokens scores every weighted target of windows once, in the order of windows.
func Tokens(ctx context.Context, r *gpt.Runner, streams []*dataset.Stream, windows []dataset.Window) ([]Score, error) {
	var (
		w      gpt.Workspace
		scores []Score
		m      = r.Model()
	)
	r = r.ForwardOnly()
	batch := max(1, scoreRows/m.SeqLen)
	for len(windows) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(batch, len(windows))
		T := 0
		for _, win := range windows[:n] {
			T = max(T, win.Len)
		}
		b := dataset.Gather(streams, windows[:n], T)
		in := Input(b, 0)
		if err := m.Check(in); err != nil {
			return nil, err
		}
		logits := r.Forward(&w, in)
		for i, win := range windows[:n] {
			for t := range T {
				at := i*T + t
				if b.Weights[at] == 0 {
					continue
				}
				row, target := logits[at*m.Vocab:(at+1)*m.Vocab], b.Targets[at]
				if target < 0 || int(target) >= m.Vocab {
					return nil, fmt.Errorf("predict: %s: token %d is %d: %w 0…%d", streams[win.Stream].Asset, win.Start+t+1, target, gpt.ErrVocabulary, m.Vocab-1)
				}
				nats := LogSumExp(row) - float64(row[target])
				if math.IsNaN(nats) || math.IsInf(nats, 0) {
					return nil, fmt.Errorf("predict: %s: token %d: %w", streams[win.Stream].Asset, win.Start+t+1, gpt.ErrNotFinite)
				}
				rank := 0
				for k, l := range row {
					if l > row[target] || l == row[target] && int32(k) < target {
						rank++
					}
				}
				scores = append(scores, Score{Stream: win.Stream, Index: win.Start + t + 1, Nats: nats, Rank: rank})
			}
		}
		windows = windows[n:]
	}
	return scores, nil
}

// Input is a batch as the model takes it; dropout names its mask, 0 for none.
func Input(b dataset.Batch, dropout uint64) gpt.Input {
	return gpt.Input{B: b.B, T: b.T, Tokens: b.Inputs, Cond: b.Cond, Features: b.Features, Dropout: dropout}
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

// Mean is the mean of a list of scores.
type Mean struct {
	Count int     `json:"count"`
	Nats  float64 `json:"nats"` // per token
	Top1  float64 `json:"top1"` // fraction of tokens that were the likeliest
	Top5  float64 `json:"top5"` // fraction among the five likeliest
}

// Average returns the means of scores.
func Average(scores []Score) Mean {
	m := Mean{Count: len(scores)}
	for _, s := range scores {
		m.Nats += s.Nats
		if s.Rank < 1 {
			m.Top1++
		}
		if s.Rank < 5 {
			m.Top5++
		}
	}
	if n := float64(m.Count); n > 0 {
		m.Nats, m.Top1, m.Top5 = m.Nats/n, m.Top1/n, m.Top5/n
	}
	return m
}

// Path is one drawn future: its tokens and the candles that they decode to.
type Path struct {
	Tokens  []int32
	Candles []market.Candle
}

// Paths draws g.Paths futures of g.Steps candles of a stream, from what is
// known before its token at index origin (origin = len(Tokens) continues the
// stream). window bounds how many past tokens the model sees. The volatility
// scale of a path advances with the candles of that path.
func Paths(ctx context.Context, r *gpt.Runner, codec dataset.Codec, s *dataset.Stream, origin, window int, g gpt.Generation) ([]Path, error) {
	m := r.Model()
	if origin < 1 || origin > len(s.Tokens) {
		return nil, fmt.Errorf("predict: %s: origin %d: want 1…%d", s.Asset, origin, len(s.Tokens))
	}
	if window < 1 {
		return nil, fmt.Errorf("predict: %s: window of %d tokens: want at least 1", s.Asset, window)
	}
	if n := codec.Tokenizer.Codes(); n < m.Vocab {
		return nil, fmt.Errorf("predict: %s: the model draws %d tokens, the tokenizer knows %d: %w", s.Asset, m.Vocab, n, gpt.ErrVocabulary)
	}
	if s.States == nil {
		return nil, fmt.Errorf("predict: %s: a bare token stream has no candles to continue", s.Asset)
	}
	from := max(0, origin-min(window, m.SeqLen))
	tokens, err := r.Generate(ctx, gpt.Prompt{Tokens: s.Tokens[from:origin]}, g)
	if err != nil {
		return nil, err
	}
	paths := make([]Path, len(tokens))
	for i, path := range tokens {
		paths[i] = Path{Tokens: path, Candles: codec.Roll(s.States[origin], path)}
	}
	return paths, nil
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
