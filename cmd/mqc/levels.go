package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
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
	print func()
}

// contest runs the levels that look at returns.
func (a *app) contest(c *cobra.Command, src source, models []eval.Named, part dataset.Part, level string, baselines []string, paths eval.PathOptions) ([]levelResult, error) {
	series, err := src.series()
	if err != nil {
		return nil, err
	}
	contest, err := eval.NewContest(c.Context(), models, series, part, eval.Options{Baselines: baselines})
	if err != nil {
		return nil, err
	}
	if contest.Note != "" {
		a.talk("%s", contest.Note)
	}
	wanted := func(l string) bool { return level == levelAll || level == l }
	var results []levelResult
	if wanted(levelDensity) {
		t, err := contest.Densities(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelDensity, t, func() { a.printDensities(t) }})
	}
	if wanted(levelRange) {
		t, err := contest.Ranges(c.Context())
		switch {
		case level == levelAll && (errors.Is(err, gpt.ErrNoLogits) || errors.Is(err, predict.ErrNoRanges)):
			a.talk("level range left out: %v", err)
		case err != nil:
			return nil, err
		default:
			if t.Note != "" {
				a.talk("%s", t.Note)
			}
			results = append(results, levelResult{levelRange, t, func() { a.printRangeTable(t) }})
		}
	}
	if wanted(levelVolatility) {
		t, err := contest.Volatility(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelVolatility, t, func() { a.printVolatility(t) }})
	}
	if wanted(levelDirection) {
		t, err := contest.Direction(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelDirection, t, func() { a.printDirection(t) }})
	}
	if wanted(levelCross) {
		t, err := contest.CrossSection(c.Context())
		if err != nil {
			return nil, err
		}
		results = append(results, levelResult{levelCross, t, func() { a.printCross(t) }})
	}
	if wanted(levelPath) {
		paths.Seed = a.seed
		t, err := contest.Paths(c.Context(), paths)
		switch {
		case level == levelAll && errors.Is(err, gpt.ErrNoLogits):
			a.talk("level path left out: %v", err)
		case err != nil:
			return nil, err
		default:
			results = append(results, levelResult{levelPath, t, func() { a.printPaths(t) }})
		}
	}
	return results, nil
}

func scopeLabel(s eval.Scope) string {
	label := map[string]string{"val": "validation", "test": "test"}[s.Part]
	if s.Selected {
		label += ", which early stopping or calibration has seen"
	}
	return label
}

// overs are the rows that gains are over, in the order of their first mention.
func overs[Row any](rows []Row, gains func(Row) []eval.Gain) (names []string) {
	for _, r := range rows {
		for _, g := range gains(r) {
			if !slices.Contains(names, g.Over) {
				names = append(names, g.Over)
			}
		}
	}
	return names
}

// gainCells are a row's gains in the order of names.
func gainCells(gains []eval.Gain, names []string, format string) (cells []any) {
	for _, name := range names {
		cell := ""
		for _, g := range gains {
			if g.Over == name {
				cell = fmt.Sprintf(format+" (p %s)", g.Test.Mean, pValue(g.Test.P))
			}
		}
		cells = append(cells, cell)
	}
	return cells
}

func over(names []string) (heads []string) {
	for _, n := range names {
		heads = append(heads, "over "+n)
	}
	return heads
}

// printDensities prints a table of densities.
func (a *app) printDensities(t *eval.DensityTable) {
	a.say("density of the next log return: %d candles on %d dates (%s)", t.Targets, t.Dates, scopeLabel(t.Scope))
	names := overs(t.Rows, func(r eval.DensityRow) []eval.Gain { return r.Gains })
	head := append([]string{"model", "ln p", "CRPS bp", "50%", "80%", "90%", "95%", "VaR 1%", "VaR 5%"}, over(names)...)
	out := newTable(append(head, "")...)
	for _, r := range t.Rows {
		row := []any{r.Name, fmt.Sprintf("%.4f", r.LogScore), fmt.Sprintf("%.2f", 1e4*r.CRPS)}
		for _, c := range r.Coverage {
			row = append(row, percent(c.Share))
		}
		for _, k := range r.Risk {
			row = append(row, fmt.Sprintf("%.2f%%", 100*k.Share))
		}
		out.add(append(append(row, gainCells(r.Gains, names, "%+.4f")...), r.Note)...)
	}
	a.say("%s", out)
	a.say("ln p is the mean log density in nats per candle, more is better; gains are tested by date (Diebold–Mariano, %d autocovariances)", t.Lag)
	if t.Best != "" {
		a.say("best baseline on validation: %s", t.Best)
	}
	calibrated := newTable("calibrated intervals", "temperature", "50%", "80%", "90%", "95%", "adaptive 90%")
	for _, r := range t.Rows {
		if len(r.Calibrated) == 0 {
			continue
		}
		row := []any{r.Name, fmt.Sprintf("%.3f", r.Temperature)}
		for _, c := range append(slices.Clone(r.Calibrated), *r.Adaptive) {
			row = append(row, percent(c.Share))
		}
		calibrated.add(row...)
	}
	if len(calibrated.rows) > 0 {
		a.say("\n%s", calibrated)
	}
}

// printRangeTable prints a table of densities of the range.
func (a *app) printRangeTable(t *eval.RangeTable) {
	a.say("density of the logarithm of the next range ln(H/L): %d candles on %d dates (%s)", t.Targets, t.Dates, scopeLabel(t.Scope))
	names := overs(t.Rows, func(r eval.RangeRow) []eval.Gain { return r.Gains })
	head := append([]string{"model", "ln p", "CRPS", "50%", "80%", "90%", "95%", "KS"}, over(names)...)
	out := newTable(append(head, "")...)
	for _, r := range t.Rows {
		row := []any{r.Name, fmt.Sprintf("%.4f", r.LogScore), fmt.Sprintf("%.4f", r.CRPS)}
		for _, c := range r.Coverage {
			row = append(row, percent(c.Share))
		}
		row = append(row, fmt.Sprintf("%.3f", r.KS))
		out.add(append(append(row, gainCells(r.Gains, names, "%+.4f")...), r.Note)...)
	}
	a.say("%s", out)
	a.say("ln p is the mean log density of ln range in nats per candle, more is better; gains are tested by date (Diebold–Mariano, %d autocovariances)", t.Lag)
	if t.Floored > 0 {
		a.say("%.2f%% of the candles have a range below %g of the scale, which is what they count as", 100*t.Floored, feature.LeastRange)
	}
	if t.Best != "" {
		a.say("best baseline on validation: %s", t.Best)
	}
}

func (a *app) printVolatility(t *eval.VolatilityTable) {
	a.say("variance of the next log return: %d candles on %d dates (%s)", t.Targets, t.Dates, scopeLabel(t.Scope))
	names := overs(t.Rows, func(r eval.VolatilityRow) []eval.Gain { return r.Gains })
	out := newTable(append([]string{"model", "QLIKE", "QLIKE r²", "ln MSE", "R²"}, over(names)...)...)
	for _, r := range t.Rows {
		out.add(append([]any{r.Name, fmt.Sprintf("%.4f", r.QLIKE), fmt.Sprintf("%.4f", r.QLIKEr2), fmt.Sprintf("%.4f", r.LogMSE), fmt.Sprintf("%.3f", float64(r.R2))}, gainCells(r.Gains, names, "%+.4f")...)...)
	}
	a.say("%s", out)
	a.say("QLIKE against the variance that highs, lows and gap show, less is better; gains in it, more is better")
}

func (a *app) printDirection(t *eval.DirectionTable) {
	a.say("sign of the next log return: %d candles on %d dates (%s); the commoner sign has %s", t.Targets, t.Dates, scopeLabel(t.Scope), percent(t.Majority))
	out := newTable("model", "hits", "95% interval", "binomial p", "Pesaran–Timmermann p", "Brier")
	for _, r := range t.Rows {
		out.add(r.Name, percent(float64(r.Hits)), percent(r.Lo)+"–"+percent(r.Hi), pValue(float64(r.Binomial)), pValue(float64(r.PT)), fmt.Sprintf("%.4f", r.Brier))
	}
	a.say("%s", out)
}

func (a *app) printCross(t *eval.CrossTable) {
	a.say("order of the assets of a date (%s)", scopeLabel(t.Scope))
	out := newTable("model", "IC", "rank IC", "rank IC of volatility", "dates")
	cell := func(t score.Test) string { return fmt.Sprintf("%+.4f (p %s)", t.Mean, pValue(t.P)) }
	for _, r := range t.Rows {
		out.add(r.Name, cell(r.IC), cell(r.RankIC), cell(r.Volatility), r.Volatility.N)
	}
	a.say("%s", out)
}

func (a *app) printPaths(t *eval.PathTable) {
	a.say("%d paths from each of %d origins on %d dates (%s)", t.Paths, t.Origins, t.Dates, t.Part)
	for k := range t.Rows[0].Horizons {
		h := t.Rows[0].Horizons[k].Horizon
		names := overs(t.Rows, func(r eval.PathRow) []eval.Gain { return r.Horizons[k].Gains })
		out := newTable(append([]string{fmt.Sprintf("after %d", h), "CRPS bp", "WQL", "50%", "80%", "90%", "95%", "calibrated 90%"}, over(names)...)...)
		for _, r := range t.Rows {
			s := r.Horizons[k]
			row := []any{r.Name, fmt.Sprintf("%.1f", 1e4*s.CRPS), fmt.Sprintf("%.4f", s.WQL)}
			for _, c := range s.Coverage {
				row = append(row, percent(c.Share))
			}
			held := ""
			for _, c := range s.Calibrated {
				if c.Level == forecast.AdaptiveLevel {
					held = fmt.Sprintf("%s (p %s)", percent(c.Share), pValue(s.CalibratedTest.P))
				}
			}
			row = append(row, held)
			gains := slices.Clone(s.Gains)
			for i := range gains {
				gains[i].Test.Mean *= 1e4
			}
			out.add(append(row, gainCells(gains, names, "%+.2f")...)...)
		}
		a.say("%s", out)
	}
}

func percent(x float64) string {
	if x != x {
		return "–"
	}
	return fmt.Sprintf("%.1f%%", 100*x)
}

func pValue(p float64) string {
	switch {
	case p != p:
		return "–"
	case p < 1e-4:
		return fmt.Sprintf("%.0e", p)
	}
	return fmt.Sprintf("%.4f", p)
}
