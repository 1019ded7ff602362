package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// Preparation says how candles become tokens.
type Preparation struct {
	Split    dataset.Split      // the zero value: 80% and 90% quantiles of all dates
	Scaler   string             // of feature.EWMA, feature.HAR and feature.Global
	Kind     string             // of the tokenizer, one of tokenizer.Kinds; empty: a VQ-VAE
	VQ       tokenizer.VQConfig // of a VQ-VAE; other kinds take Codes and Seed from it
	Shapes   int                // of a product code; 0: [tokenizer.ProductShapes]
	Inputs   dataset.Inputs     // what the model sees beside tokens, as [SetInputs] takes it
	Build    string
	Progress func(tokenizer.VQProgress) // may be nil
}

// Prepare fits a scaler and a tokenizer on the training dates of series. The
// bundle has no model yet; [Encode] makes the streams.
func Prepare(ctx context.Context, series []*market.Series, p Preparation) (*checkpoint.Bundle, error) {
	split := p.Split
	if calendar := dataset.CalendarSplit(series); split.ValFrom.IsZero() {
		split.ValFrom = calendar.ValFrom
		if split.TestFrom.IsZero() {
			split.TestFrom = calendar.TestFrom
		}
	} else if split.TestFrom.IsZero() {
		split.TestFrom = calendar.TestFrom
	}
	if err := split.Validate(); err != nil {
		return nil, err
	}
	scaler, err := feature.FitScaler(p.Scaler, series, split.ValFrom)
	if err != nil {
		return nil, err
	}
	vectors, err := Vectors(scaler, series, split, dataset.Train)
	if err != nil {
		return nil, err
	}
	tok, err := fitTokenizer(ctx, vectors, p)
	if err != nil {
		return nil, err
	}
	tokens := tokenizer.EncodeAll(tok, vectors)
	emission, err := tokenizer.FitEmission(tok.Codes(), tokens, feature.Returns(vectors))
	if err != nil {
		return nil, fmt.Errorf("train: log returns: %w", err)
	}
	ranges, err := tokenizer.FitEmission(tok.Codes(), tokens, scaler.LogRanges(vectors))
	if err != nil && !errors.Is(err, density.ErrNoVariation) { // files of closes have no ranges
		return nil, fmt.Errorf("train: ranges: %w", err)
	}
	b := &checkpoint.Bundle{Tokenizer: tok, Scaler: &scaler, Emission: emission, Ranges: ranges, Split: split, Build: p.Build, Interval: series[0].Interval.String()}
	SetInputs(b, series, p.Inputs)
	streams, err := Encode(b, series)
	if err != nil {
		return nil, err
	}
	parts := []string{checkpoint.Scaler, checkpoint.Tokenizer, checkpoint.Emission}
	if ranges != nil {
		parts = append(parts, checkpoint.Ranges)
	}
	for _, part := range parts {
		fit, _ := Seen(part, "", streams)
		b.Fit = append(b.Fit, fit...)
	}
	return b, nil
}

// SetInputs says what the model of a bundle with a scaler sees beside tokens. Of
// candles shorter than a day the calendar has the clock of the scaler's season;
// where there is none, that of [feature.FitClock] on the training dates.
func SetInputs(b *checkpoint.Bundle, series []*market.Series, in dataset.Inputs) {
	if in.Calendar && series[0].Interval < market.Day {
		clock := feature.FitClock(series, b.Split.ValFrom, b.Scaler.Initial)
		if b.Scaler.Season != nil {
			clock = b.Scaler.Season.Clock
		}
		in.Clock = &clock
	}
	b.Inputs = in
}

func fitTokenizer(ctx context.Context, vectors []feature.Vector, p Preparation) (tokenizer.Tokenizer, error) {
	if p.Kind == tokenizer.KindProduct && p.Shapes > 0 {
		if p.VQ.Codes%p.Shapes != 0 {
			return nil, fmt.Errorf("train: %d codes are no multiple of %d shapes", p.VQ.Codes, p.Shapes)
		}
		tok, err := tokenizer.FitProduct(vectors, p.VQ.Codes/p.Shapes, p.Shapes, p.VQ.Seed)
		if err != nil {
			return nil, err
		}
		return tok, nil
	}
	if p.Kind != "" && p.Kind != tokenizer.KindVQVAE {
		return tokenizer.Fit(ctx, p.Kind, vectors, p.VQ.Codes, p.VQ.Seed, p.Progress)
	}
	tok, err := tokenizer.TrainVQVAE(ctx, vectors, p.VQ, p.Progress)
	if err != nil {
		return nil, err // not a nil *VQVAE in an interface
	}
	return tok, nil
}

// Vectors returns the scaled features of every candle of a part.
func Vectors(scaler feature.Scaler, series []*market.Series, split dataset.Split, part dataset.Part) ([]feature.Vector, error) {
	var out []feature.Vector
	for _, s := range series {
		states := scaler.States(s)
		for t := 1; t < len(s.Candles); t++ {
			c := s.Candles[t]
			if split.Part(c.Time) != part {
				continue
			}
			v := scaler.Encode(states[t], c)
			if !v.Finite() {
				return nil, fmt.Errorf("train: %s at %s: features %v are not finite", s.Symbol, c.Time.Format("2006-01-02"), v)
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// Encode turns series into streams with the bundle's scaler and tokenizer, cut
// by its split.
func Encode(b *checkpoint.Bundle, series []*market.Series) ([]*dataset.Stream, error) {
	codec, err := b.Codec()
	if err != nil {
		return nil, err
	}
	var streams []*dataset.Stream
	for _, s := range series {
		if text := s.Interval.String(); b.Interval != "" && text != b.Interval {
			return nil, fmt.Errorf("train: %s has candles of %s, the tokenizer was fitted on %s", s.Symbol, text, b.Interval)
		}
		stream, err := codec.Encode(s)
		if err != nil {
			return nil, err
		}
		b.Split.Apply(stream)
		streams = append(streams, stream)
	}
	return streams, nil
}
