package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gonum.org/v1/gonum/stat"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/train"
)

// comparison is a tokenizer with what it keeps of the candles, and what models of
// its tokens then know of the next return.
type comparison struct {
	eval.TokenizerRow
	Downstream *downstream `json:"downstream,omitempty"`
}

// downstream is the mean log density of the next return on validation, in nats
// per candle, from probabilities of tokens.
type downstream struct {
	Unigram float64   `json:"unigram"` // frequencies of the training dates
	Models  []float64 `json:"models"`  // small models, one for each seed
}

// compareTokenizers fits every kind with every number of codes, otherwise as p
// says, and prints what each keeps of the candles; with models that many small
// models are trained on its tokens.
func (a *app) compareTokenizers(ctx context.Context, series []*market.Series, p train.Preparation, kinds []string, codes []int, models int) error {
	var rows []comparison
	var split dataset.Split
	for _, n := range codes {
		for _, kind := range kinds {
			a.talk("tokenizer: fitting %d codes (%s)", n, kind)
			p.Kind, p.VQ.Codes = kind, n
			bundle, err := train.Prepare(ctx, series, p)
			if err != nil {
				return err
			}
			streams, err := train.Encode(bundle, series)
			if err != nil {
				return err
			}
			codec, err := bundle.Codec()
			if err != nil {
				return err
			}
			row, err := eval.MeasureTokenizer(codec, streams)
			if err != nil {
				return err
			}
			c := comparison{TokenizerRow: row}
			if models > 0 {
				if c.Downstream, err = a.trainDownstream(ctx, bundle, series, models); err != nil {
					return err
				}
			}
			rows, split = append(rows, c), bundle.Split
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"split": split, "rows": rows})
	}
	lost := newTable("kind", "codes", "part", "error (mean)", "return", "body", "upper", "lower", "range", "close, bp", "valid")
	used := newTable("kind", "codes", "part", "used", "dead", "perplexity", "top 10", "stable", "drift", "by chance")
	shape := newTable("kind", "codes", "part", "kurtosis", "true", "acf |r|", "true")
	for _, r := range rows {
		for _, part := range []struct {
			name string
			eval.TokenizerPart
		}{{"train", r.Train}, {"val", r.Val}} {
			e := part.MSE
			lost.add(r.Kind, r.Codes, part.name, part.MeanMSE, e[feature.LogReturn], e[feature.Body], e[feature.UpperWick], e[feature.LowerWick], e[feature.Range], part.CloseError, part.Valid)
			drift, chance := any(""), any("")
			if part.name == "val" {
				drift, chance = r.Drift, r.Chance
			}
			used.add(r.Kind, r.Codes, part.name, part.Used, part.Dead, part.Perplexity, part.Top10, part.Stable, drift, chance)
			shape.add(r.Kind, r.Codes, part.name, part.Kurtosis, part.TrueKurtosis, part.ACF, part.TrueACF)
		}
	}
	a.say("what the tokens lose: shares of each feature's variance, and basis points of the close\n%s", lost)
	a.say("\nhow the codes are used; drift of their frequencies from training to validation in nats, and what chance alone gives\n%s", used)
	a.say("\nwhat is left of the shape of the log returns: fat tails, and clustering of their size\n%s", shape)
	if models == 0 {
		return nil
	}
	known := newTable("kind", "codes", "unigram", "model", "gain", "over seeds")
	for _, r := range rows {
		mean, deviation := stat.MeanStdDev(r.Downstream.Models, nil)
		spread := "–"
		if models > 1 {
			spread = fmt.Sprintf("%.4f", deviation)
		}
		known.add(r.Kind, r.Codes, r.Downstream.Unigram, mean, fmt.Sprintf("%+.4f", mean-r.Downstream.Unigram), spread)
	}
	a.say("\nlog density of the next return on validation, in nats per candle; small models, %d for each row; over seeds is a standard deviation\n%s", models, known)
	return nil
}

// trainDownstream trains small models on the tokens of a bundle, with a head and
// an embedding over the basis that every kind has, so that a kind is not favoured
// by how its tokens are numbered, and scores them on validation.
func (a *app) trainDownstream(ctx context.Context, b *checkpoint.Bundle, series []*market.Series, models int) (*downstream, error) {
	dir, err := os.MkdirTemp("", "mqc-compare-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	streams, err := train.Encode(b, series)
	if err != nil {
		return nil, err
	}
	shape, err := gpt.Preset("quick")
	if err != nil {
		return nil, err
	}
	shape.Vocab, shape.Head, shape.Embed, shape.Dropout = b.Tokenizer.Codes(), gpt.Basis, gpt.Basis, .1
	d := &downstream{}
	for i := range models {
		r := quickStages(shape, a.seed+uint64(i))[0]
		r.WeightDecay, r.Average, r.Batch, r.Epochs, r.Patience = 1, .9, 32, 10, 3
		a.talk("  a model of its tokens, seed %d", r.Seed)
		start := *b
		if err := train.NewModel(&start, series, shape, r.Seed); err != nil {
			return nil, err
		}
		trained, err := train.Run(ctx, train.Job{Recipe: r, Start: &start, Streams: streams, Out: filepath.Join(dir, "model.safetensors")})
		if err != nil {
			return nil, err
		}
		contest, err := eval.NewContest(ctx, []eval.Named{{Name: "model", Bundle: trained}}, series, dataset.Val, eval.Options{Baselines: []string{"unconditional t"}})
		if err != nil {
			return nil, err
		}
		table, err := contest.Densities(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range table.Rows {
			switch row.Name {
			case "model":
				d.Models = append(d.Models, row.LogScore)
			case eval.NameUnigram:
				d.Unigram = row.LogScore
			}
		}
	}
	return d, nil
}
