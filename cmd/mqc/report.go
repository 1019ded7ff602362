package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/report"
)

// Size of the forecasts that a report draws of each model.
const (
	reportFans    = 6
	reportSamples = 256
)

func (a *app) report() *cobra.Command {
	var paths, outs, baselines []string
	var data, part, precision string
	drawn := eval.DefaultPaths()
	c := &cobra.Command{
		Use:   "report",
		Short: "Write all that is known of a model on one page, with a verdict",
		Long: `Write all that is known of models on one page: data and split, lineage, what they
have seen, the tokenizer, training curves, every table of mqc eval --level all,
calibration, forecasts with what then happened, and a verdict in words that follows
from the tests of significance.

The ending of --out chooses HTML, one file that needs nothing beside it, Markdown
without the plots, or JSON; several with commas. A report on the test part is
recorded as mqc eval records its readings.`,
		Example: "  mqc report --checkpoint checkpoints/best_model.pt --data data --split test --out report.html\n  mqc report --checkpoint a.pt,b.pt --data data --out report.html,report.md,report.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := parseHeldOut(c, part)
			if err != nil {
				return err
			}
			if err := drawn.Validate(); err != nil {
				return newUsageError(c, err)
			}
			for _, out := range outs {
				if !reportEnding(out) {
					return usagef(c, "--out %s: want a name that ends in .html, .md or .json", out)
				}
				if err := checkOut(out); err != nil {
					return err
				}
			}
			if len(paths) == 0 {
				paths = []string{newestCheckpoint()}
			}
			models, err := openModels(c, paths, precision)
			if err != nil {
				return err
			}
			src, err := openSource(data)
			if err != nil {
				return err
			}
			if src.Tokens != "" {
				return usagef(c, "--data %s is a token file: a report needs candles", data)
			}
			series, err := src.series()
			if err != nil {
				return err
			}
			results, notes, err := a.allLevels(c, src, series, models, p, baselines, drawn)
			if err != nil {
				return err
			}
			reading, err := a.recordTestRead(paths, models, p, "report", data)
			if err != nil {
				return err
			}
			o := report.Options{
				Build: version, Commands: []string{a.command()}, Path: data, Part: p, Reading: reading, Results: results, Notes: notes,
				Fans: reportFans, Horizon: drawn.Horizons[len(drawn.Horizons)-1], Samples: reportSamples, Seed: a.seed,
			}
			card, err := a.writeReport(c.Context(), sources(models, paths), series, o, outs)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"files": outs, "verdicts": card.Verdicts, "notes": card.Notes})
			}
			a.printVerdicts(card)
			a.say("%s", strings.Join(outs, "\n"))
			return nil
		},
	}
	c.Flags().StringSliceVar(&paths, "checkpoint", nil, "checkpoint, or several with commas (default: the furthest stage in checkpoints/)")
	c.Flags().StringVar(&data, "data", defaultFolder, "folder of candle files, or one")
	c.Flags().StringVar(&part, "split", "val", "val or test")
	c.Flags().StringSliceVar(&outs, "out", []string{"report.html"}, "file to write, or several with commas: .html, .md or .json")
	c.Flags().StringSliceVar(&baselines, "baselines", nil, "baselines by name, with commas (default: all)")
	bindPaths(c, &drawn)
	bindOwnPrecision(c.Flags(), &precision)
	return c
}

func reportEnding(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".html", ".md", ".json":
		return true
	}
	return false
}

// sources are models with the places of their files.
func sources(models []eval.Named, paths []string) []report.Source {
	list := make([]report.Source, len(models))
	for i, m := range models {
		list[i] = report.Source{Named: m, Path: paths[i]}
	}
	return list
}

// writeReport gathers a report and writes it to every file.
func (a *app) writeReport(ctx context.Context, models []report.Source, series []*market.Series, o report.Options, outs []string) (*report.Card, error) {
	card, err := report.New(ctx, models, series, o)
	if err != nil {
		return nil, err
	}
	for _, out := range outs {
		var text []byte
		switch strings.ToLower(filepath.Ext(out)) {
		case ".html":
			text, err = card.HTML()
		case ".md":
			text = card.Markdown()
		case ".json":
			text, err = card.JSON()
		}
		if err != nil {
			return nil, err
		}
		err = atomicfile.WriteBytes(out, text)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	return card, nil
}

func (a *app) printVerdicts(card *report.Card) {
	for _, v := range card.Verdicts {
		a.say("%s: %s", v.Model, v.Headline)
		for _, d := range v.Details {
			a.say("  %s", d)
		}
	}
	for _, n := range card.Notes {
		a.say("%s", n)
	}
}

// allLevels are the tables of eval --level all, and what was left out of them.
func (a *app) allLevels(c *cobra.Command, src source, series []*market.Series, models []eval.Named, part dataset.Part, baselines []string, paths eval.PathOptions) (r report.Results, notes []string, err error) {
	scored, err := a.scoreLevels(c, src, series, models, part, levelAll, baselines, paths, 0, func(format string, args ...any) {
		notes = append(notes, fmt.Sprintf(format, args...)+".")
	})
	if err != nil {
		return r, nil, err
	}
	return resultsOf(scored), notes, nil
}

// resultsOf are tables by their kind.
func resultsOf(scored []levelResult) (r report.Results) {
	for _, s := range scored {
		switch t := s.table.(type) {
		case *eval.Table:
			r.Token = t
		case *eval.DensityTable:
			r.Density = t
		case *eval.RangeTable:
			r.Range = t
		case *eval.VolatilityTable:
			r.Volatility = t
		case *eval.DirectionTable:
			r.Direction = t
		case *eval.CrossTable:
			r.Cross = t
		case *eval.PathTable:
			r.Path = t
		}
	}
	return r
}
