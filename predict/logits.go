package predict

import (
	"context"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
)

// Logits are those of targets, computed once, to be read at any temperature.
type Logits struct {
	V       int
	Streams []*dataset.Stream
	Targets []Target
	Values  []float32 // (len(Targets), V)
}

// Target is a candle that is predicted: a token of a stream.
type Target struct{ Stream, Index int }

// AllLogits returns the logits of every weighted target of windows, in the
// order of windows.
func AllLogits(ctx context.Context, r *gpt.Runner, streams []*dataset.Stream, windows []dataset.Window) (*Logits, error) {
	if r.Model().Outputs > 0 {
		return nil, fmt.Errorf("predict: %w", gpt.ErrNoLogits)
	}
	l := &Logits{V: r.Model().Vocab, Streams: streams}
	err := Each(ctx, r, streams, windows, func(stream, index int, row []float32) error {
		if sum := LogSumExp(row); math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("predict: %s: token %d: %w", streams[stream].Asset, index, gpt.ErrNotFinite)
		}
		l.Targets = append(l.Targets, Target{stream, index})
		l.Values = append(l.Values, row...)
		return nil
	})
	return l, err
}

func (l *Logits) row(i int) []float32 { return l.Values[i*l.V : (i+1)*l.V] }

// Laws returns the laws of all targets, as [Laws] does.
func (l *Logits) Laws(codec dataset.Codec, temperature float64) ([]Law, error) {
	m, err := newMixer(l.V, codec, temperature)
	if err != nil {
		return nil, err
	}
	laws := make([]Law, len(l.Targets))
	for i, t := range l.Targets {
		if laws[i], err = m.law(l.Streams, t.Stream, t.Index, l.row(i)); err != nil {
			return nil, err
		}
	}
	return laws, nil
}

// LogTokens returns the mean of ln p(token) at a temperature, in nats.
func (l *Logits) LogTokens(temperature float64) float64 {
	return l.mean(temperature, func(i, token int) float64 {
		if t := l.Targets[i]; int(l.Streams[t.Stream].Tokens[t.Index]) == token {
			return 1
		}
		return 0
	})
}

// LogReturns returns the mean log density of the next log return at a
// temperature, in nats: that of [Laws], up to float32. The codec must know the
// returns of tokens.
func (l *Logits) LogReturns(codec dataset.Codec, temperature float64) float64 {
	grid := codec.Emission.Cells()
	cells := make([]int, len(l.Targets))
	rest := 0.0 // what no temperature changes
	for i, t := range l.Targets {
		s := l.Streams[t.Stream]
		mean, sigma := codec.Scaler.Return(s.States[t.Index])
		z := (s.Return(t.Index) - mean) / sigma
		cells[i] = grid.Index(z)
		rest += grid.T.LogPDF(z) - math.Log(grid.Mass(cells[i])) - math.Log(sigma)
	}
	return rest/float64(len(cells)) + l.mean(temperature, func(i, token int) float64 {
		return codec.Emission.Mass(token, cells[i])
	})
}

// mean is that of ln Σ p(token)·given(i, token) over the targets i.
func (l *Logits) mean(temperature float64, given func(i, token int) float64) float64 {
	sum := parallel.SumFloat64(len(l.Targets), func(lo, hi int) (sum float64) {
		probs := make([]float64, l.V)
		for i := lo; i < hi; i++ {
			Probabilities(probs, l.row(i), temperature)
			p := 0.0
			for token, q := range probs {
				p += q * given(i, token)
			}
			sum += math.Log(p)
		}
		return sum
	})
	return sum / float64(len(l.Targets))
}
