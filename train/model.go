package train

import (
	"errors"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// ErrNoCandles says that there are bare tokens only where a basis, which describes
// candles, or the density of a return was asked for.
var ErrNoCandles = errors.New("train: bare tokens have no candles, which a basis or a density of returns needs")

// NewModel gives b a new model of a shape, a function of seed: with the
// vocabulary of its tokenizer, the inputs that b names and, where the shape wants
// a basis, with that of the tokens on the training candles of series.
func NewModel(b *checkpoint.Bundle, series []*market.Series, shape gpt.Config, seed uint64) error {
	shape.Cond, shape.Features = b.Inputs.Cond(), b.Inputs.Features()
	var basis tokenizer.Basis
	if shape.Head == gpt.Basis || shape.Embed == gpt.Basis {
		if b.Tokenizer == nil || series == nil {
			return ErrNoCandles
		}
		vectors, err := Vectors(*b.Scaler, series, b.Split, dataset.Train)
		if err != nil {
			return err
		}
		basis = tokenizer.NewBasis(b.Tokenizer, vectors)
		shape.Basis = basis.P
	}
	if b.Tokenizer != nil {
		shape.Vocab = b.Tokenizer.Codes()
	}
	model, err := gpt.New(shape, seed)
	if err != nil {
		return err
	}
	if shape.Basis > 0 {
		model.SetBasis(basis.Phi, basis.Prior)
	}
	b.Model = model
	return nil
}
