package main

import (
	"context"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/train"
)

// compareTokenizers fits every kind with every number of codes, otherwise as p
// says, and prints what each keeps of the candles.
func (a *app) compareTokenizers(ctx context.Context, series []*market.Series, p train.Preparation, kinds []string, codes []int) error {
	var rows []eval.TokenizerRow
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
			rows, split = append(rows, row), bundle.Split
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
	return nil
}
