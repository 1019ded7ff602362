package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

func (a *app) tokenize() *cobra.Command {
	data, out, tokens := defaultFolder, defaultTokenizer, defaultTokens
	codes := tokenizer.DefaultVQ().Codes
	var scale, valFrom, testFrom string
	c := &cobra.Command{
		Use:     "tokenize",
		Short:   "Fit a tokenizer and write all candles as tokens",
		Long:    "Fit a VQ-VAE on the training dates, measure it on validation beside quantile\nbins of the same number, and write all candles as tokens.",
		Example: "  mqc tokenize --data data --codes 512",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(checkOut(out), checkOut(tokens)); err != nil {
				return err
			}
			src, err := openSource(data)
			if err != nil {
				return err
			}
			if src.Tokens != "" {
				return usagef(c, "--data %s is a token file: want candles", data)
			}
			split, err := parseSplit(c, valFrom, testFrom)
			if err != nil {
				return err
			}
			vq := tokenizer.DefaultVQ()
			vq.Codes, vq.Seed = codes, a.seed
			if err := vq.Validate(); err != nil {
				return newUsageError(c, err)
			}
			series, err := src.series()
			if err != nil {
				return err
			}
			bundle, err := train.Prepare(c.Context(), series, train.Preparation{
				Split: split, Scaler: scale, VQ: vq, Build: version,
				Progress: func(p tokenizer.VQProgress) {
					if p.Epoch%max(1, p.Epochs/10) == 0 {
						a.talk("epoch %d of %d: reconstruction error %.4f", p.Epoch, p.Epochs, p.Recon)
					}
				},
			})
			if err != nil {
				return err
			}
			return a.writeTokenizer(bundle, series, out, tokens)
		},
	}
	flags := c.Flags()
	flags.StringVar(&data, "data", data, "folder of CSV files, or one CSV file")
	flags.IntVar(&codes, "codes", codes, "size of the codebook")
	flags.StringVar(&out, "out", out, "tokenizer file to write")
	flags.StringVar(&tokens, "tokens", tokens, "token file to write, with a .json beside it")
	bindData(c, &scale, &valFrom, &testFrom)
	return c
}

// writeTokenizer saves a fitted tokenizer and the tokens of all series, and
// prints how good it is on validation.
func (a *app) writeTokenizer(bundle *checkpoint.Bundle, series []*market.Series, out, tokens string) error {
	if err := checkpoint.Save(out, bundle); err != nil {
		return err
	}
	streams, err := train.Encode(bundle, series)
	if err != nil {
		return err
	}
	reference, err := filepath.Rel(filepath.Dir(tokens), out)
	if err != nil {
		reference = out
	}
	meta := dataset.Meta{Vocabulary: bundle.Tokenizer.Codes(), Tokenizer: reference, Fingerprint: tokenizer.Fingerprint(bundle.Tokenizer)}
	if err := dataset.WriteTokens(tokens, streams, bundle.Split, meta); err != nil {
		return err
	}
	stats, err := measureTokenizer(bundle, series)
	if err != nil {
		return err
	}
	count, floored := 0, 0
	for _, s := range streams {
		count, floored = count+len(s.Tokens), floored+s.Floored
	}
	if a.json {
		return a.printJSON(map[string]any{"out": out, "tokens": tokens, "candles": count, "floored": floored, "split": bundle.Split, "validation": stats})
	}
	t := newTable("validation", "perplexity", "codes used", "dead", "top 10", "error (mean)", "return", "body", "upper", "lower", "range")
	for _, s := range stats {
		t.add(s.Name, s.Perplexity, s.Used, s.Dead, s.Top10, s.MeanMSE, s.MSE[feature.LogReturn], s.MSE[feature.Body], s.MSE[feature.UpperWick], s.MSE[feature.LowerWick], s.MSE[feature.Range])
	}
	a.say("%s", t)
	a.say("errors are shares of each feature's variance; %d candles scaled by the floor of the volatility", floored)
	a.say("%s, %d tokens in %s", out, count, tokens)
	return nil
}

// namedStats is the row of a tokenizer.
type namedStats struct {
	Name string `json:"name"`
	tokenizer.Stats
}

// measureTokenizer compares a tokenizer with quantile bins of the same number
// on the validation candles.
func measureTokenizer(b *checkpoint.Bundle, series []*market.Series) ([]namedStats, error) {
	fit, err := train.Vectors(*b.Scaler, series, b.Split, dataset.Train)
	if err != nil {
		return nil, err
	}
	val, err := train.Vectors(*b.Scaler, series, b.Split, dataset.Val)
	if err != nil {
		return nil, err
	}
	bins, err := tokenizer.FitQuantile(fit, b.Tokenizer.Codes())
	if err != nil {
		return nil, err
	}
	return []namedStats{{"VQ-VAE", tokenizer.Measure(b.Tokenizer, val)}, {"quantile bins", tokenizer.Measure(bins, val)}}, nil
}
