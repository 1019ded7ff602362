package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// pretrainFlags are the flags of stage 1 beside those of every stage.
type pretrainFlags struct {
	stageFlags
	shapeFlags
	data, tokenizer   string
	scale             string
	valFrom, testFrom string
	kind, head, embed string
	inputs            []string
	shapes            int
}

func (a *app) train() *cobra.Command {
	f := &pretrainFlags{stageFlags: stageFlags{recipe: train.Defaults(train.Pretrain), out: bestModel}}
	c := &cobra.Command{
		Use:     "train",
		Aliases: []string{"stage1", "pretrain", "base_train"},
		Short:   "Stage 1: pretrain on all assets",
		Long: `Stage 1: pretrain on all assets. Without size flags the model is as large as that
of the specification, 6 layers of 512 channels. Its head and its embedding are
functions of what the tokens stand for, and it sees volatility, calendar and asset
beside them, which helps on few candles; --preset spec is the plain model of the
specification, and so is a model of a bare token file. --preset skill is the small
recipe that has shown skill on daily candles. Without --tokenizer one is fitted on
the training dates.`,
		Example: "  mqc train --data data --depth 2 --epochs 5\n  mqc train --num_epochs 20 --batch_size 64 --learning_rate 1e-3",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.pretrain(c, f) },
	}
	f.bind(c, &a.runs)
	flags := c.Flags()
	flags.StringVar(&f.data, "data", "", "folder of CSV files, one CSV file, or a token file (also --data_file; default: data/all_tokens.txt, else data)")
	flags.StringVar(&f.tokenizer, "tokenizer", "", "tokenizer file, or any checkpoint that holds one")
	f.bindShape(c)
	bindKind(c, &f.kind)
	bindData(c, &f.scale, &f.valFrom, &f.testFrom)
	flags.IntVar(&f.shapes, "shapes", 0, "product: shapes of gap and wicks; the codes over the shapes are cells of the return (default: 8 for 512 codes)")
	flags.StringVar(&f.head, "head", gpt.Basis, "linear: a free row for every token; basis: rows that are a linear function of what a token stands for, on top of how often it occurs; mixture: no tokens, the parameters of a mixture of Student-t of the next return")
	flags.StringVar(&f.embed, "embed", gpt.Basis, "table: a free embedding for every token; basis: one that is a linear function of what it stands for; none: inputs alone, as with --head mixture")
	flags.StringSliceVar(&f.inputs, "inputs", usualInputs(), "what the model sees beside tokens: candle, volatility, calendar, asset, volume (with commas; '' is nothing)")
	flags.Float64Var(&f.recipe.Average, "average", f.recipe.Average, "decay of the moving average of the weights that is validated and kept; 0: the weights themselves")
	return c
}

// bindData registers how candles become tokens and where the borders lie.
func bindData(c *cobra.Command, scale, valFrom, testFrom *string) {
	c.Flags().StringVar(scale, "scale", feature.EWMA, "har: features in units of the volatility that ranges show; ewma: in units of the volatility known before; global: one mean and deviation for all")
	if valFrom != nil {
		c.Flags().StringVar(valFrom, "val-from", "", "first date of validation (default: 80% quantile of all dates)")
		c.Flags().StringVar(testFrom, "test-from", "", "first date of the test (default: 90% quantile)")
	}
}

// bindKind registers the choice of a tokenizer to fit.
func bindKind(c *cobra.Command, kind *string) {
	c.Flags().StringVar(kind, "kind", tokenizer.KindVQVAE, "tokenizer to fit: "+strings.Join(tokenizer.Kinds(), ", "))
	if err := c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(tokenizer.Kinds(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is ours
	}
}

func (a *app) pretrain(c *cobra.Command, f *pretrainFlags) error {
	var err error
	if f.out, err = outPath(f.out, bestModel); err != nil {
		return err
	}
	if f.resume {
		return a.resumeStage(c, &f.stageFlags)
	}
	if err := refuseUnfinished(f.out); err != nil {
		return err
	}
	if f.data == "" {
		f.data = defaultData()
		a.talk("data: %s", f.data)
	}
	if err := checkModelOut(f.out, f.data, f.tokenizer); err != nil {
		return err
	}
	src, err := openSource(f.data)
	if err != nil {
		return err
	}
	f.applyPreset(c, src)
	f.applyHead(c)
	shape, err := f.modelShape(c, f.recipe.Dropout)
	if err != nil {
		return newUsageError(c, err)
	}
	if err := f.setParts(&shape); err != nil {
		return newUsageError(c, err)
	}
	f.recipe.SeqLen, f.recipe.Seed = shape.SeqLen, a.seed
	if f.recipe.Precision, err = gpt.ParsePrecision(f.precision, shape); err != nil {
		return newUsageError(c, err)
	}
	if err := f.recipe.Validate(); err != nil {
		return newUsageError(c, err)
	}
	split, err := parseSplit(c, f.valFrom, f.testFrom)
	if err != nil {
		return err
	}
	var bundle *checkpoint.Bundle
	var streams []*dataset.Stream
	var series []*market.Series
	if src.Tokens != "" {
		if f.head == headMixture {
			return usagef(c, "--head %s: bare tokens have no returns", f.head)
		}
		if len(f.inputs) > 0 {
			return usagef(c, "--inputs %s: bare tokens have nothing beside them", strings.Join(f.inputs, ","))
		}
		bundle, streams, err = a.openTokens(src.Tokens, f.tokenizer, split)
	} else if series, err = a.learnt(src); err == nil {
		bundle, streams, err = a.prepare(c, series, f, shape.Vocab, split)
	}
	if err != nil {
		return err
	}
	if bundle.Tokenizer != nil {
		if kind := bundle.Tokenizer.Kind(); c.Flags().Changed("kind") && f.kind != kind {
			return usagef(c, "--kind %s: the tokenizer is of the kind %s", f.kind, kind)
		}
		if n := bundle.Tokenizer.Codes(); c.Flags().Changed("vocab") && shape.Vocab != n {
			return usagef(c, "--vocab %d: the tokenizer has %d codes", shape.Vocab, n)
		}
	} else if largest := vocabulary(streams); largest > shape.Vocab {
		return usagef(c, "--vocab %d: the token file has tokens up to %d", shape.Vocab, largest-1)
	}
	if err := train.NewModel(bundle, series, shape, a.seed); err != nil {
		return newUsageError(c, err)
	}
	a.talk("model: %d layers × %d × %d heads, context %d, %d parameters, products in %s", shape.Layers, shape.Embd, shape.Heads, shape.SeqLen, bundle.Model.Parameters(), f.recipe.Precision)
	_, err = a.runStage(c.Context(), train.Job{
		Recipe: f.recipe, Start: bundle, Streams: streams, Out: f.out, Build: version, Source: src.encode(),
	}, nil)
	return err
}

func parseSplit(c *cobra.Command, valFrom, testFrom string) (s dataset.Split, err error) {
	if s.ValFrom, err = parseDate("val-from", valFrom); err != nil {
		return s, newUsageError(c, err)
	}
	if s.TestFrom, err = parseDate("test-from", testFrom); err != nil {
		return s, newUsageError(c, err)
	}
	if s.ValFrom.IsZero() && !s.TestFrom.IsZero() {
		return s, usagef(c, "--test-from needs --val-from")
	}
	if !s.TestFrom.IsZero() && s.TestFrom.Before(s.ValFrom) {
		return s, usagef(c, "--test-from %s is before --val-from %s", testFrom, valFrom)
	}
	return s, nil
}

// prepare reads candles and brings a tokenizer: the given one, or one fitted on
// the training dates.
func (a *app) prepare(c *cobra.Command, series []*market.Series, f *pretrainFlags, codes int, split dataset.Split) (*checkpoint.Bundle, []*dataset.Stream, error) {
	if err := tokenizer.CheckCodes(f.kind, codes); f.tokenizer == "" && err != nil {
		return nil, nil, newUsageError(c, err)
	}
	inputs, err := namedInputs(f.inputs, series)
	if err != nil {
		return nil, nil, newUsageError(c, err)
	}
	var bundle *checkpoint.Bundle
	if f.tokenizer != "" {
		if bundle, err = openTokenizer(f.tokenizer, split); err != nil {
			return nil, nil, err
		}
		train.SetInputs(bundle, series, inputs)
	} else {
		vq := tokenizer.DefaultVQ()
		vq.Codes, vq.Seed = codes, a.seed
		a.talk("tokenizer: fitting %d codes (%s) on the training dates", codes, f.kind)
		bundle, err = train.Prepare(c.Context(), series, train.Preparation{Split: split, Scaler: f.scale, Kind: f.kind, Shapes: f.shapes, VQ: vq, Inputs: inputs, Build: version})
		if err != nil {
			return nil, nil, err
		}
	}
	streams, err := train.Encode(bundle, series)
	if err != nil {
		return nil, nil, err
	}
	floored := 0
	for _, s := range streams {
		floored += s.Floored
	}
	if floored > 0 {
		a.talk("scale: %d candles scaled by the floor of the volatility", floored)
	}
	a.talk("split: training before %s, validation before %s, test from there", bundle.Split.ValFrom.Format("2006-01-02"), bundle.Split.TestFrom.Format("2006-01-02"))
	return bundle, streams, nil
}

// openTokenizer reads a tokenizer. Its split comes with it; another one is
// taken only if the tokenizer has seen nothing of its validation and test.
func openTokenizer(path string, split dataset.Split) (*checkpoint.Bundle, error) {
	b, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if _, err := b.Codec(); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	// Only the tokenizer is taken over, not the weights beside it.
	fresh := &checkpoint.Bundle{Tokenizer: b.Tokenizer, Scaler: b.Scaler, Emission: b.Emission, Ranges: b.Ranges, Split: b.Split, Interval: b.Interval, Build: version, Hash: b.Hash}
	for _, r := range b.Fit {
		if r.Part != checkpoint.Weights {
			fresh.Fit = append(fresh.Fit, r)
		}
	}
	if !split.ValFrom.IsZero() {
		for _, r := range fresh.Fit {
			if !r.Last.Before(split.ValFrom) {
				return nil, fmt.Errorf("tokenizer: %s was fitted up to %s, validation would begin %s", path, r.Last.Format("2006-01-02"), split.ValFrom.Format("2006-01-02"))
			}
		}
		if split.TestFrom.IsZero() {
			split.TestFrom = fresh.Split.TestFrom
		}
		if err := split.Validate(); err != nil {
			return nil, err
		}
		fresh.Split = split
	}
	return fresh, nil
}

// tokenizerBeside is the file that the description of a token file names as its
// tokenizer, or "".
func tokenizerBeside(path string, meta dataset.Meta) string {
	if meta.Tokenizer == "" || filepath.IsAbs(meta.Tokenizer) {
		return meta.Tokenizer
	}
	return filepath.Join(filepath.Dir(path), meta.Tokenizer)
}

// openTokens reads a token file with the tokenizer that its description names.
func (a *app) openTokens(path, tokenizerPath string, split dataset.Split) (*checkpoint.Bundle, []*dataset.Stream, error) {
	streams, meta, err := dataset.ReadTokens(path, 0)
	if err != nil {
		return nil, nil, err
	}
	if tokenizerPath == "" && meta.Tokenizer != "" {
		tokenizerPath = tokenizerBeside(path, meta)
		if _, err := os.Stat(tokenizerPath); errors.Is(err, fs.ErrNotExist) {
			a.warn("tokenizer: %s is gone; the model will know tokens, not candles", tokenizerPath)
			tokenizerPath = ""
		}
	}
	bundle := &checkpoint.Bundle{Split: meta.Split, Build: version}
	if tokenizerPath != "" {
		if split.ValFrom.IsZero() {
			split = meta.Split
		}
		if bundle, err = openTokenizer(tokenizerPath, split); err != nil {
			return nil, nil, err
		}
		if err := fitsTokenizer(path, meta, tokenizerPath, bundle); err != nil {
			return nil, nil, err
		}
	} else if !split.ValFrom.IsZero() {
		bundle.Split = split
	}
	for _, s := range streams {
		bundle.Split.Apply(s)
	}
	return bundle, streams, nil
}

// fitsTokenizer refuses a token file with tokens that the tokenizer of a bundle has
// not, or that another one made.
func fitsTokenizer(path string, meta dataset.Meta, tokenizerPath string, b *checkpoint.Bundle) error {
	if n := b.Tokenizer.Codes(); meta.Vocabulary > n {
		return fmt.Errorf("tokens: %s has a vocabulary of %d, the tokenizer %s has %d codes", path, meta.Vocabulary, tokenizerPath, n)
	}
	return sameTokenizer(path, meta, b)
}

// vocabulary is one more than the largest token.
func vocabulary(streams []*dataset.Stream) int {
	largest := int32(-1)
	for _, s := range streams {
		for _, t := range s.Tokens {
			largest = max(largest, t)
		}
	}
	return int(largest) + 1
}
