package eval

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/predict"
)

// ErrParity says that a model gives two answers to one question.
var ErrParity = errors.New("differ, and should have the same bits")

// CheckParity compares the ways in which the outputs of a model come about, on
// the newest window of every stream. The passes that train, those that score and
// the cached ones that draw paths must agree to the last bit. It returns
// [ErrParity] with asset and position of the first difference.
func CheckParity(ctx context.Context, b *checkpoint.Bundle, streams []*dataset.Stream) error {
	if b.Model == nil {
		return fmt.Errorf("eval: %w", checkpoint.ErrNoModel)
	}
	return parity{
		train: b.Model.TrainingRunner(b.Precision),
		score: b.Runner(),
		draw:  b.Runner(),
	}.check(ctx, streams)
}

// parity is the runners that should be one.
type parity struct{ train, score, draw *gpt.Runner }

func (p parity) check(ctx context.Context, streams []*dataset.Stream) error {
	for _, s := range streams {
		T := min(p.score.Model().SeqLen, len(s.Tokens)-1)
		if T < 1 {
			continue
		}
		start := len(s.Tokens) - 1 - T
		window := dataset.Window{Start: start, Len: T, From: start + 1, To: len(s.Tokens)}
		scored, err := p.scored(ctx, s, window)
		if err != nil {
			return fmt.Errorf("eval: %s: %w", s.Asset, err)
		}
		in := predict.Input(dataset.Gather([]*dataset.Stream{s}, []dataset.Window{window}, T), 0)
		for _, other := range []struct {
			name string
			rows func(gpt.Input) ([]float32, int, error)
		}{
			{"the forward pass of training", p.trained},
			{"cached decoding", p.decoded},
		} {
			rows, first, err := other.rows(in)
			if err != nil {
				return fmt.Errorf("eval: %s: %w", s.Asset, err)
			}
			W := p.score.Model().Width()
			for t := first; t < T; t++ {
				if !slices.Equal(rows[(t-first)*W:(t-first+1)*W], scored[t*W:(t+1)*W]) {
					return fmt.Errorf("eval: %s: outputs of %s and of evaluation at token %d %w", s.Asset, other.name, start+t, ErrParity)
				}
			}
		}
	}
	return nil
}

// scored are the outputs (T,Width) as evaluation sees them.
func (p parity) scored(ctx context.Context, s *dataset.Stream, w dataset.Window) (rows []float32, err error) {
	err = predict.Each(ctx, p.score, []*dataset.Stream{s}, []dataset.Window{w}, func(_, _ int, outputs []float32) error {
		rows = append(rows, outputs...)
		return nil
	})
	return rows, err
}

// trained are the outputs as a step of training sees them, beside another
// window.
func (p parity) trained(in gpt.Input) ([]float32, int, error) {
	m := p.train.Model()
	pair := gpt.Input{
		B: 2, T: in.T,
		Tokens:   slices.Concat(make([]int32, in.T), in.Tokens),
		Cond:     slices.Concat(make([]int32, in.T*len(m.Cond)), in.Cond),
		Features: slices.Concat(make([]float32, in.T*m.Features), in.Features),
	}
	var w gpt.Workspace
	return p.train.Forward(&w, pair)[in.T*m.Width():], 0, nil
}

// decoded are the outputs as drawing paths sees them, from the last token of a
// prompt on, which is the first half.
func (p parity) decoded(in gpt.Input) (rows []float32, first int, err error) {
	m := p.draw.Model()
	K, F := len(m.Cond), m.Features
	cut := func(lo, hi int) gpt.Input {
		return gpt.Input{B: 1, T: hi - lo, Tokens: in.Tokens[lo:hi], Cond: in.Cond[lo*K : hi*K], Features: in.Features[lo*F : hi*F]}
	}
	prompt := (in.T + 1) / 2
	prefixes, rows, err := p.draw.Prefill(cut(0, prompt))
	if err != nil || prompt == in.T {
		return rows, prompt - 1, err
	}
	d, err := p.draw.NewDecoder(prefixes, in.T-prompt)
	if err != nil {
		return nil, 0, err
	}
	for t := prompt; t < in.T; t++ {
		row, err := d.Step(cut(t, t+1))
		if err != nil {
			return nil, 0, err
		}
		rows = append(rows, row...)
	}
	return rows, prompt - 1, nil
}
