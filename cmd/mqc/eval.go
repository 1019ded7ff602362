package main

import (
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/train"
)

// truthSamples is how many candles of the synthetic market are drawn for each
// state of its truth: its row is then less than .01 nats above the exact one.
const truthSamples = 40_000

func (a *app) eval() *cobra.Command {
	var paths []string
	var data, part, precision, level string
	var seqLen int
	var temperature float64
	var baselines []string
	var asCSV bool
	drawn := eval.DefaultPaths()
	c := &cobra.Command{
		Use:     "eval",
		Aliases: []string{"evaluate", "base_eval"},
		Short:   "Score next-token predictions beside the baselines",
		Long: `Score next-token predictions on held-out dates beside uniform, unigram and
bigram, and beside the truth where the market is synthetic. Dates that a model
was fitted on are refused.`,
		Example: "  mqc eval --checkpoint checkpoints/best_model.pt --data data --split val",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := parseHeldOut(c, part)
			if err != nil {
				return err
			}
			if !slices.Contains(evalLevels, level) {
				return usagef(c, "--level %q: want one of %s", level, strings.Join(evalLevels, ", "))
			}
			if seqLen < 0 {
				return usagef(c, "--seq-len %d: want 1 or more, or 0 for the models' context", seqLen)
			}
			if !(temperature > 0) || math.IsInf(temperature, 0) {
				return usagef(c, "--temperature %v: want a number above 0", temperature)
			}
			if len(paths) == 0 {
				paths = []string{newestCheckpoint()}
			}
			models, err := openModels(c, paths, precision)
			if err != nil {
				return err
			}
			for i, m := range models {
				if c.Flags().Changed("temperature") {
					models[i].Bundle = m.Bundle.WithCalibration(nil, nil)
				}
				models[i].Bundle.Model = models[i].Bundle.Model.Tempered(temperature)
			}
			if data == "" {
				data = defaultData()
				if models[0].Bundle.Inputs.Any() {
					data = defaultFolder // tokens alone are not enough
				}
			}
			src, err := openSource(data)
			if err != nil {
				return err
			}
			if level != levelToken && src.Tokens != "" {
				return usagef(c, "--level %s needs candles: --data %s is a token file", level, data)
			}
			var series []*market.Series
			if src.Tokens == "" {
				if series, err = src.series(); err != nil {
					return err
				}
			}
			results, err := a.scoreLevels(c, src, series, models, p, level, baselines, drawn, seqLen, a.talk)
			if err != nil {
				return err
			}
			// Recorded before it is seen.
			if _, err := a.recordTestRead(paths, models, p, level, data); err != nil {
				return err
			}
			if asCSV {
				return a.printCSV(results)
			}
			return a.printLevels(level, results)
		},
	}
	c.Flags().StringSliceVar(&paths, "checkpoint", nil, "checkpoint, or several with commas (default: the furthest stage in checkpoints/)")
	c.Flags().StringVar(&data, "data", "", "folder of CSV files, one CSV file, or a token file (also --data_file; default: data/all_tokens.txt, else data)")
	c.Flags().IntVar(&seqLen, "seq-len", 0, "window of the models in tokens (default: their context)")
	bindOwnPrecision(c.Flags(), &precision)
	c.Flags().Float64Var(&temperature, "temperature", 1, "that the models' logits are divided by, in place of what calibration says (also --temp; default: 1 where there is none)")
	c.Flags().StringVar(&level, "level", levelToken, "what is scored: "+strings.Join(evalLevels, ", "))
	c.Flags().BoolVar(&asCSV, "csv", false, "print one line for each number")
	c.Flags().StringSliceVar(&baselines, "baselines", nil, "baselines by name, with commas (default: all)")
	bindPaths(c, &drawn)
	c.Flags().StringVar(&part, "split", "val", "val or test")
	return c
}

// bindPaths registers how paths are drawn.
func bindPaths(c *cobra.Command, o *eval.PathOptions) {
	c.Flags().IntVar(&o.Paths, "paths", o.Paths, "level path: paths from each origin")
	c.Flags().IntVar(&o.Origins, "origins", o.Origins, "level path: origins at most")
	c.Flags().IntSliceVar(&o.Horizons, "horizons", o.Horizons, "level path: candles after which paths are scored")
}

// parseHeldOut reads the value of --split.
func parseHeldOut(c *cobra.Command, part string) (dataset.Part, error) {
	p, err := dataset.ParsePart(part)
	if err != nil || p == dataset.Train {
		return p, usagef(c, "--split %q: want val or test", part)
	}
	return p, nil
}

// openModels opens checkpoints, each under the name of its file, or under its
// path where two files have one name.
func openModels(c *cobra.Command, paths []string, precision string) (models []eval.Named, err error) {
	files := map[string]int{}
	for _, path := range paths {
		files[modelName(path)]++
	}
	for _, path := range paths {
		b, err := openAt(c, path, precision)
		if err != nil {
			return nil, err
		}
		name := modelName(path)
		if files[name] > 1 {
			name = path
		}
		models = append(models, eval.Named{Name: name, Bundle: b})
	}
	return models, nil
}

// printLevels prints tables one after the other; as JSON one level is its table,
// and all of them are an object with a table for each.
func (a *app) printLevels(level string, results []levelResult) error {
	if a.json && level != levelAll {
		return a.printJSON(results[0].table)
	}
	if a.json {
		all := map[string]any{}
		for _, r := range results {
			all[r.level] = r.table
		}
		return a.printJSON(all)
	}
	for i, r := range results {
		if i > 0 {
			a.say("")
		}
		a.printTable(r.table)
	}
	return nil
}

func modelName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// scoreTable scores models on a part of a source, of which series are the candles,
// if it has any, with the truth of a synthetic market, which is sampled so many
// times a state. The split is that of the first model.
func scoreTable(c *cobra.Command, src source, series []*market.Series, models []eval.Named, part dataset.Part, seqLen, samples int) (*eval.Table, error) {
	first := models[0].Bundle
	var streams []*dataset.Stream
	var err error
	if src.Tokens != "" {
		streams, err = src.streams(first, first.Model.Vocab)
	} else {
		streams, err = train.Encode(first, series)
	}
	if err != nil {
		return nil, err
	}
	var truth eval.Truth
	if codec, err := first.Codec(); err == nil {
		m, err := loadTruth(src)
		if err != nil {
			return nil, err
		}
		// Candles beside the synthetic ones have no truth, so the whole
		// table has none.
		if m != nil && len(m.Series) == len(streams) {
			if truth, err = eval.NewTruth(m, codec, streams, part, samples); err != nil {
				return nil, err
			}
		}
	}
	return eval.Tokens(c.Context(), models, streams, part, seqLen, truth)
}
