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

// tokenizeFlags are the flags of tokenize.
type tokenizeFlags struct {
	data, out, tokens string
	kind, scale       string
	valFrom, testFrom string
	codes             []int
	compare           bool
	downstream        int
}

func (a *app) tokenize() *cobra.Command {
	f := &tokenizeFlags{data: defaultFolder, out: defaultTokenizer, tokens: defaultTokens, codes: []int{tokenizer.DefaultVQ().Codes}}
	c := &cobra.Command{
		Use:   "tokenize",
		Short: "Fit a tokenizer and write all candles as tokens",
		Long: `Fit a tokenizer on the training dates, measure it on validation beside quantile
bins of the same number, and write all candles as tokens.

vqvae learns where its codes lie, which serves every number of them. The codes
of fsq are a grid (a power of two from 16) and those of bsq the corners of a
cube on a sphere (a power of two): nothing to collapse, but not all are used.
product crosses cells of the log return with shapes of gap and wicks. quantile cuts
the log return alone into equally full bins.

With --compare every kind, or that of --kind, is fitted with every number of
--codes and measured on training and on validation; no file is written. With
--downstream N small models of the tokens are trained too, N for each, and the
log density of the next return that they give is shown.`,
		Example: "  mqc tokenize --data data --codes 512\n  mqc tokenize --data data --compare --codes 64,128,512",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runTokenize(c, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.data, "data", f.data, "folder of CSV files, or one CSV file")
	flags.IntSliceVar(&f.codes, "codes", f.codes, "number of codes; with --compare several, by default 64,128,512")
	flags.BoolVar(&f.compare, "compare", false, "measure all kinds beside each other")
	flags.StringVar(&f.out, "out", f.out, "tokenizer file to write")
	flags.StringVar(&f.tokens, "tokens", f.tokens, "token file to write, with a .json beside it")
	flags.IntVar(&f.downstream, "downstream", 0, "with --compare: models to train on each, with as many seeds")
	bindKind(c, &f.kind)
	bindData(c, &f.scale, &f.valFrom, &f.testFrom)
	return c
}

func (a *app) runTokenize(c *cobra.Command, f *tokenizeFlags) error {
	kinds := []string{f.kind}
	if f.compare {
		for _, name := range []string{"out", "tokens"} {
			if c.Flags().Changed(name) {
				return usagef(c, "--%s: --compare writes no file", name)
			}
		}
		if !c.Flags().Changed("kind") {
			kinds = tokenizer.Kinds()
		}
		if !c.Flags().Changed("codes") {
			f.codes = []int{64, 128, 512}
		}
		if f.downstream < 0 {
			return usagef(c, "--downstream %d: want 0 or more", f.downstream)
		}
	} else if f.downstream != 0 {
		return usagef(c, "--downstream belongs to --compare")
	} else if len(f.codes) != 1 {
		return usagef(c, "--codes %v: want one number; --compare takes several", f.codes)
	}
	for _, kind := range kinds {
		for _, codes := range f.codes {
			if err := tokenizer.CheckCodes(kind, codes); err != nil {
				return newUsageError(c, err)
			}
		}
	}
	if !f.compare {
		if err := errors.Join(checkModelOut(f.out, f.data), checkOut(f.tokens, f.data)); err != nil {
			return err
		}
	}
	src, err := openSource(f.data)
	if err != nil {
		return err
	}
	if src.Tokens != "" {
		return usagef(c, "--data %s is a token file: want candles", f.data)
	}
	split, err := parseSplit(c, f.valFrom, f.testFrom)
	if err != nil {
		return err
	}
	series, err := a.learnt(src)
	if err != nil {
		return err
	}
	vq := tokenizer.DefaultVQ()
	vq.Seed = a.seed
	p := train.Preparation{Split: split, Scaler: f.scale, Kind: f.kind, VQ: vq, Build: version}
	if f.compare {
		return a.compareTokenizers(c.Context(), series, p, kinds, f.codes, f.downstream)
	}
	p.VQ.Codes = f.codes[0]
	p.Progress = func(p tokenizer.VQProgress) {
		if p.Epoch%max(1, p.Epochs/10) == 0 {
			a.talk("epoch %d of %d: reconstruction error %.4f", p.Epoch, p.Epochs, p.Recon)
		}
	}
	bundle, err := train.Prepare(c.Context(), series, p)
	if err != nil {
		return err
	}
	return a.writeTokenizer(bundle, series, f.out, f.tokens)
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
	val, err := train.Vectors(*b.Scaler, series, b.Split, dataset.Val)
	if err != nil {
		return nil, err
	}
	stats := []namedStats{{b.Tokenizer.Kind(), tokenizer.Measure(b.Tokenizer, val)}}
	if b.Tokenizer.Kind() == tokenizer.KindQuantile {
		return stats, nil
	}
	fit, err := train.Vectors(*b.Scaler, series, b.Split, dataset.Train)
	if err != nil {
		return nil, err
	}
	bins, err := tokenizer.FitQuantile(fit, b.Tokenizer.Codes())
	if err != nil {
		return nil, err
	}
	return append(stats, namedStats{"quantile bins", tokenizer.Measure(bins, val)}), nil
}
