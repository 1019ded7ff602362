package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
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

// scoreLevels scores a level, or all. series are the candles of src, nil where it
// is a token file. With all levels what does not fit the models is left out, which
// leftOut is told.
func (a *app) scoreLevels(c *cobra.Command, src source, series []*market.Series, models []eval.Named, part dataset.Part, level string, baselines []string, paths eval.PathOptions, seqLen int, leftOut func(format string, args ...any)) ([]levelResult, error) {
	var results []levelResult
	if level == levelToken || level == levelAll {
		table, err := scoreTable(c, src, series, models, part, seqLen, truthSamples)
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
	more, err := a.contest(c, series, models, part, level, baselines, paths, leftOut)
	return append(results, more...), err
}

// contest runs the levels that look at returns.
func (a *app) contest(c *cobra.Command, series []*market.Series, models []eval.Named, part dataset.Part, level string, baselines []string, paths eval.PathOptions, leftOut func(format string, args ...any)) ([]levelResult, error) {
	ctx := c.Context()
	contest, err := eval.NewContest(ctx, models, series, part, eval.Options{Baselines: baselines})
	if err != nil {
		return nil, err
	}
	if contest.Note != "" {
		leftOut("%s", contest.Note)
	}
	paths.Seed = a.seed
	var results []levelResult
	for _, l := range []struct {
		name   string
		score  func() (any, error)
		unless []error // what leaves it out where all levels are wanted
	}{
		{levelDensity, func() (any, error) { return contest.Densities(ctx) }, nil},
		{levelRange, func() (any, error) { return contest.Ranges(ctx) }, []error{gpt.ErrNoLogits, predict.ErrNoRanges}},
		{levelVolatility, func() (any, error) { return contest.Volatility(ctx) }, nil},
		{levelDirection, func() (any, error) { return contest.Direction(ctx) }, nil},
		{levelCross, func() (any, error) { return contest.CrossSection(ctx) }, nil},
		{levelPath, func() (any, error) { return contest.Paths(ctx, paths) }, []error{gpt.ErrNoLogits}},
	} {
		if level != levelAll && level != l.name {
			continue
		}
		table, err := l.score()
		if level == levelAll && slices.ContainsFunc(l.unless, func(reason error) bool { return errors.Is(err, reason) }) {
			leftOut("level %s left out: %v", l.name, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if t, ok := table.(*eval.RangeTable); ok && t.Note != "" {
			leftOut("%s", t.Note)
		}
		results = append(results, levelResult{l.name, table})
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
