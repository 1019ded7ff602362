package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/report"
)

// Levels of eval.
const (
	levelToken      = "token"
	levelDensity    = "density"
	levelRange      = "range"
	levelPath       = "path"
	levelVolatility = "volatility"
	levelDirection  = "direction"
	levelCross      = "cross-section"
	levelAll        = "all"
)

var evalLevels = []string{levelToken, levelDensity, levelRange, levelPath, levelVolatility, levelDirection, levelCross, levelAll}

// levelResult is one table as eval --json prints it, under the name of its level.
type levelResult struct {
	level string
	table any
}

// scoreLevels scores a level, or all. With all of them what does not fit the models
// is left out, which leftOut is told.
func (a *app) scoreLevels(c *cobra.Command, src source, models []eval.Named, part dataset.Part, level string, baselines []string, paths eval.PathOptions, seqLen, samples int, leftOut func(format string, args ...any)) ([]levelResult, error) {
	var results []levelResult
	if level == levelToken || level == levelAll {
		table, err := scoreTable(c, src, models, part, seqLen, samples)
		switch {
		case level == levelAll && (errors.Is(err, eval.ErrTokenizers) || errors.Is(err, gpt.ErrNoLogits)):
			leftOut("level token left out: %v", err)
		case err != nil:
			return nil, err
		default:
			results = append(results, levelResult{levelToken, table})
		}
	}
	if level == levelToken {
		return results, nil
	}
	more, err := a.contest(c, src, models, part, level, baselines, paths, leftOut)
	return append(results, more...), err
}

// contest runs the levels that look at returns.
func (a *app) contest(c *cobra.Command, src source, models []eval.Named, part dataset.Part, level string, baselines []string, paths eval.PathOptions, leftOut func(format string, args ...any)) ([]levelResult, error) {
	series, err := src.series()
	if err != nil {
		return nil, err
	}
	contest, err := eval.NewContest(c.Context(), models, series, part, eval.Options{Baselines: baselines})
	if err != nil {
		return nil, err
	}
	if contest.Note != "" {
		leftOut("%s", contest.Note)
	}
	wanted := func(l string) bool { return level == levelAll || level == l }
	var results []levelResult
	if wanted(levelDensity) {
		t, err := contest.Densities(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelDensity, t})
	}
	if wanted(levelRange) {
		t, err := contest.Ranges(c.Context())
		switch {
		case level == levelAll && (errors.Is(err, gpt.ErrNoLogits) || errors.Is(err, predict.ErrNoRanges)):
			leftOut("level range left out: %v", err)
		case err != nil:
			return nil, err
		default:
			if t.Note != "" {
				leftOut("%s", t.Note)
			}
			results = append(results, levelResult{levelRange, t})
		}
	}
	if wanted(levelVolatility) {
		t, err := contest.Volatility(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelVolatility, t})
	}
	if wanted(levelDirection) {
		t, err := contest.Direction(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelDirection, t})
	}
	if wanted(levelCross) {
		t, err := contest.CrossSection(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelCross, t})
	}
	if wanted(levelPath) {
		paths.Seed = a.seed
		t, err := contest.Paths(c.Context(), paths)
		switch {
		case level == levelAll && errors.Is(err, gpt.ErrNoLogits):
			leftOut("level path left out: %v", err)
		case err != nil:
			return nil, err
		default:
			results = append(results, levelResult{levelPath, t})
		}
	}
	return results, nil
}

// printTable prints a table of eval.
func (a *app) printTable(table any) {
	for i, t := range report.Lay(table) {
		if i > 0 {
			a.say("")
		}
		if t.Title != "" {
			a.say("%s", t.Title)
		}
		a.say("%s", &textTable{header: t.Header, rows: t.Rows})
		for _, note := range t.Notes {
			a.say("%s", note)
		}
	}
}
