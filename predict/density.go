package predict

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
)

// Law is what a model says of one candle before it comes: probabilities of the
// cells of two emissions, of which those of the log return r cut (r − Mean)/Sigma
// and those of the range cut ln(range/Sigma).
type Law struct {
	Stream, Index int
	Cells         []float32
	Ranges        []float32 // nil where the codec knows no ranges
	Mean, Sigma   float64   // as in [feature.Scaler.Return]
}

// Laws returns the law of every weighted target of windows, in the order of
// windows, at a temperature of the logits.
func Laws(ctx context.Context, r *gpt.Runner, codec dataset.Codec, streams []*dataset.Stream, windows []dataset.Window, temperature float64) ([]Law, error) {
	m, err := mixerOf(r, codec, temperature)
	if err != nil {
		return nil, err
	}
	var laws []Law
	err = Each(ctx, r, streams, windows, func(stream, index int, logits []float32) error {
		law, err := m.law(streams, stream, index, logits)
		laws = append(laws, law)
		return err
	})
	return laws, err
}

// NextLaw is the law of the candle after all that a stream holds, at a
// temperature of the logits.
func NextLaw(r *gpt.Runner, codec dataset.Codec, s *dataset.Stream, temperature float64) (Law, error) {
	m, err := mixerOf(r, codec, temperature)
	if err != nil {
		return Law{}, err
	}
	logits, err := nextLogits(r, s)
	if err != nil {
		return Law{}, err
	}
	return m.law([]*dataset.Stream{s}, 0, len(s.Tokens), logits)
}

// NextTokens are the probabilities (V) of the token after all that a stream holds.
func NextTokens(r *gpt.Runner, s *dataset.Stream) ([]float64, error) {
	if r.Model().Outputs > 0 {
		return nil, fmt.Errorf("predict: %w", gpt.ErrNoLogits)
	}
	logits, err := nextLogits(r, s)
	if err != nil {
		return nil, err
	}
	probs := make([]float64, len(logits))
	Probabilities(probs, logits, 1)
	return probs, nil
}

func nextLogits(r *gpt.Runner, s *dataset.Stream) ([]float32, error) {
	p := promptOf(r.Model(), s, len(s.Tokens), r.Model().SeqLen)
	_, logits, err := r.Prefill(gpt.Input{B: 1, T: len(p.Tokens), Tokens: p.Tokens, Cond: p.Cond, Features: p.Features})
	if err != nil {
		return nil, fmt.Errorf("predict: %s: %w", s.Asset, err)
	}
	return logits, nil
}

// mixer makes laws of logits.
type mixer struct {
	codec                dataset.Codec
	temperature          float64
	probs, cells, ranges []float64 // scratch
}

func mixerOf(r *gpt.Runner, codec dataset.Codec, temperature float64) (*mixer, error) {
	if r.Model().Outputs > 0 {
		return nil, fmt.Errorf("predict: %w", gpt.ErrNoLogits)
	}
	return newMixer(r.Model().Vocab, codec, temperature)
}

func newMixer(V int, codec dataset.Codec, temperature float64) (*mixer, error) {
	e := codec.Emission
	if e == nil {
		return nil, ErrNoEmission
	}
	if V != e.Codes() {
		return nil, fmt.Errorf("predict: the model has %d tokens, returns are known for %d: %w", V, e.Codes(), gpt.ErrVocabulary)
	}
	m := &mixer{codec: codec, temperature: temperature, probs: make([]float64, e.Codes()), cells: make([]float64, e.Cells().Len())}
	if codec.Ranges != nil {
		m.ranges = make([]float64, codec.Ranges.Cells().Len())
	}
	return m, nil
}

// law is that of the candle at index, after the state before it.
func (m *mixer) law(streams []*dataset.Stream, stream, index int, logits []float32) (Law, error) {
	Probabilities(m.probs, logits, m.temperature)
	m.codec.Emission.Mix(m.cells, m.probs)
	law := Law{Stream: stream, Index: index}
	law.Mean, law.Sigma = m.codec.Scaler.Return(streams[stream].States[index])
	for _, p := range m.cells {
		if math.IsNaN(p) {
			return law, fmt.Errorf("predict: %s: token %d: %w", streams[stream].Asset, index, gpt.ErrNotFinite)
		}
		law.Cells = append(law.Cells, float32(p))
	}
	if m.codec.Ranges != nil {
		m.codec.Ranges.Mix(m.ranges, m.probs)
		for _, p := range m.ranges {
			law.Ranges = append(law.Ranges, float32(p))
		}
	}
	return law, nil
}

// Output is what a model without logits gives for one candle before it comes: the
// parameters of the density of its scaled log return.
type Output struct {
	Stream, Index int
	Values        []float32
}

// Outputs returns those of every weighted target of windows, in the order of
// windows.
func Outputs(ctx context.Context, r *gpt.Runner, streams []*dataset.Stream, windows []dataset.Window) ([]Output, error) {
	var all []Output
	err := Each(ctx, r, streams, windows, func(stream, index int, outputs []float32) error {
		for _, v := range outputs {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("predict: %s: candle %d: %w", streams[stream].Asset, index, gpt.ErrNotFinite)
			}
		}
		all = append(all, Output{Stream: stream, Index: index, Values: slices.Clone(outputs)})
		return nil
	})
	return all, err
}

// ErrNoEmission says that a checkpoint does not know which returns a token
// stands for.
var ErrNoEmission = fmt.Errorf("predict: the checkpoint holds no densities of returns given tokens: train its tokenizer anew with this version")

// ErrNoRanges says that a checkpoint does not know which ranges a token stands
// for.
var ErrNoRanges = fmt.Errorf("predict: the checkpoint holds no densities of ranges given tokens: train its tokenizer anew with this version, on candles with highs and lows")

// MeanLaws returns the laws with the mean of the probabilities of several models.
func MeanLaws(members [][]Law) []Law {
	laws := make([]Law, len(members[0]))
	for i, first := range members[0] {
		mean := func(of func(Law) []float32) []float32 {
			cells := make([]float32, len(of(first)))
			for _, m := range members {
				for j, p := range of(m[i]) {
					cells[j] += p / float32(len(members))
				}
			}
			return cells
		}
		laws[i] = first
		laws[i].Cells = mean(func(l Law) []float32 { return l.Cells })
		laws[i].Ranges = mean(func(l Law) []float32 { return l.Ranges })
	}
	return laws
}
