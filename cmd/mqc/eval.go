package main

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/gpt"
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
			p, err := dataset.ParsePart(part)
			if err != nil || p == dataset.Train {
				return usagef(c, "--split %q: want val or test", part)
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
			var models []eval.Named
			for _, path := range paths {
				b, err := openAt(c, path, precision)
				if err != nil {
					return err
				}
				if c.Flags().Changed("temperature") {
					b = b.WithCalibration(nil, nil)
				}
				b.Model = b.Model.Tempered(temperature)
				models = append(models, eval.Named{Name: modelName(path), Bundle: b})
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
			var results []levelResult
			if level == levelToken || level == levelAll {
				table, err := scoreTable(c, src, models, p, seqLen, truthSamples)
				switch {
				case level == levelAll && (errors.Is(err, eval.ErrTokenizers) || errors.Is(err, gpt.ErrNoLogits)):
					a.talk("level token left out: %v", err)
				case err != nil:
					return err
				default:
					results = append(results, levelResult{levelToken, table})
				}
			}
			if level != levelToken {
				if src.Tokens != "" {
					return usagef(c, "--level %s needs candles: --data %s is a token file", level, data)
				}
				more, err := a.contest(c, src, models, p, level, baselines, drawn)
				if err != nil {
					return err
				}
				results = append(results, more...)
			}
			// Recorded before it is seen.
			if err := a.recordTestRead(paths, models, p, level, data); err != nil {
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
	c.Flags().IntVar(&drawn.Paths, "paths", drawn.Paths, "level path: paths from each origin")
	c.Flags().IntVar(&drawn.Origins, "origins", drawn.Origins, "level path: origins at most")
	c.Flags().IntSliceVar(&drawn.Horizons, "horizons", drawn.Horizons, "level path: candles after which paths are scored")
	c.Flags().StringVar(&part, "split", "val", "val or test")
	return c
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

// scoreTable scores models on a part of a source, with the truth of a synthetic
// market, which is sampled so many times a state. The split is that of the first
// model.
func scoreTable(c *cobra.Command, src source, models []eval.Named, part dataset.Part, seqLen, samples int) (*eval.Table, error) {
	first := models[0].Bundle
	streams, err := src.streams(first, first.Model.Vocab)
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
