package report

import (
	"fmt"
	"slices"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/score"
)

// Table is a table as people read it: text, numbers rounded. What a program
// reads are the tables of eval behind it.
type Table struct {
	Title  string   // above it; may be empty
	Header []string // of the columns
	Rows   [][]string
	Notes  []string // below it
}

func newTable(title string, header ...string) *Table { return &Table{Title: title, Header: header} }

func (t *Table) add(cells ...any) { t.Rows = append(t.Rows, Row(cells...)) }

// Row writes the cells of a row: a float64 with four decimals, all else as it prints.
func Row(cells ...any) []string {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case float64:
			row[i] = fmt.Sprintf("%.4f", v)
		default:
			row[i] = fmt.Sprint(v)
		}
	}
	return row
}

func (t *Table) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// Lay lays a table of eval out, as the terminal, HTML and Markdown show it. It
// panics for any other value.
func Lay(table any) []Table {
	switch t := table.(type) {
	case *eval.Table:
		return layTokens(t)
	case *eval.DensityTable:
		return layDensity(t)
	case *eval.RangeTable:
		return layRange(t)
	case *eval.VolatilityTable:
		return layVolatility(t)
	case *eval.DirectionTable:
		return layDirection(t)
	case *eval.CrossTable:
		return layCross(t)
	case *eval.PathTable:
		return layPaths(t)
	}
	panic(fmt.Sprintf("report: no layout of %T", table))
}

// layTokens lays a table of next-token scores out.
func layTokens(t *eval.Table) []Table {
	label := partLabel(t.Part)
	if t.Selected {
		label += ", which early stopping has seen"
	}
	out := newTable(fmt.Sprintf("%d tokens of %d assets (%s)", t.Targets, len(t.Assets), label),
		"model", "steps", "nats/token", "bits", "perplexity", "top-1", "top-5", "")
	for _, r := range t.Rows {
		steps := any("")
		if r.Steps > 0 {
			steps = r.Steps
		}
		out.add(r.Name, steps, r.Nats, r.Bits, r.Perplexity, r.Top1, r.Top5, r.Note)
	}
	for _, asset := range t.Assets {
		if asset.Unseen {
			out.note("%s: unseen in training", asset.Name)
		}
	}
	return []Table{*out}
}

// layDensity lays a table of densities out, and what calibrated intervals held.
func layDensity(t *eval.DensityTable) []Table {
	names := overs(t.Rows, func(r eval.DensityRow) []eval.Gain { return r.Gains })
	head := append([]string{"model", "ln p", "CRPS bp", "50%", "80%", "90%", "95%", "VaR 1%", "VaR 5%"}, over(names)...)
	out := newTable(fmt.Sprintf("density of the next log return: %d candles on %d dates (%s)", t.Targets, t.Dates, scopeLabel(t.Scope)), append(head, "")...)
	for _, r := range t.Rows {
		row := []any{r.Name, fmt.Sprintf("%.4f", r.LogScore), fmt.Sprintf("%.2f", 1e4*r.CRPS)}
		for _, c := range r.Coverage {
			row = append(row, Percent(c.Share))
		}
		for _, k := range r.Risk {
			row = append(row, fmt.Sprintf("%.2f%%", 100*k.Share))
		}
		out.add(append(append(row, gainCells(r.Gains, names, "%+.4f")...), r.Note)...)
	}
	out.note("ln p is the mean log density in nats per candle, more is better; gains are tested by date (Diebold–Mariano, %d autocovariances)", t.Lag)
	if t.Best != "" {
		out.note("best baseline on validation: %s", t.Best)
	}
	calibrated := newTable("", "calibrated intervals", "temperature", "50%", "80%", "90%", "95%", "adaptive 90%")
	for _, r := range t.Rows {
		if len(r.Calibrated) == 0 {
			continue
		}
		row := []any{r.Name, fmt.Sprintf("%.3f", r.Temperature)}
		for _, c := range append(slices.Clone(r.Calibrated), *r.Adaptive) {
			row = append(row, Percent(c.Share))
		}
		calibrated.add(row...)
	}
	if len(calibrated.Rows) == 0 {
		return []Table{*out}
	}
	return []Table{*out, *calibrated}
}

// layDensityAssets lays out what every row of a table of densities scored on each
// asset: a table for each asset.
func layDensityAssets(t *eval.DensityTable) (tables []Table) {
	if len(t.Rows) == 0 {
		return nil
	}
	for i, asset := range t.Rows[0].Assets {
		out := newTable(fmt.Sprintf("%s: %d candles", asset.Name, asset.Targets), "model", "ln p", "in 90%", "Christoffersen p", "in calibrated 90%", "in adaptive 90%")
		for _, r := range t.Rows {
			a := r.Assets[i]
			out.add(r.Name, fmt.Sprintf("%.4f", a.LogScore), Percent(a.Coverage90), PValue(float64(a.Christoffersen)), misses(a.Calibrated), misses(a.Adaptive))
		}
		tables = append(tables, *out)
	}
	return tables
}

func misses(m *eval.Misses) string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf("%s (p %s)", Percent(m.Coverage), PValue(float64(m.Kupiec)))
}

// layRange lays a table of densities of the range out.
func layRange(t *eval.RangeTable) []Table {
	names := overs(t.Rows, func(r eval.RangeRow) []eval.Gain { return r.Gains })
	head := append([]string{"model", "ln p", "CRPS", "50%", "80%", "90%", "95%", "KS"}, over(names)...)
	out := newTable(fmt.Sprintf("density of the logarithm of the next range ln(H/L): %d candles on %d dates (%s)", t.Targets, t.Dates, scopeLabel(t.Scope)), append(head, "")...)
	for _, r := range t.Rows {
		row := []any{r.Name, r.LogScore, r.CRPS}
		for _, c := range r.Coverage {
			row = append(row, Percent(c.Share))
		}
		row = append(row, fmt.Sprintf("%.3f", r.KS))
		out.add(append(append(row, gainCells(r.Gains, names, "%+.4f")...), r.Note)...)
	}
	out.note("ln p is the mean log density of ln range in nats per candle, more is better; gains are tested by date (Diebold–Mariano, %d autocovariances)", t.Lag)
	if t.Floored > 0 {
		out.note("%.2f%% of the candles have a range below %g of the scale, which is what they count as", 100*t.Floored, feature.LeastRange)
	}
	if t.Best != "" {
		out.note("best baseline on validation: %s", t.Best)
	}
	return []Table{*out}
}

// layVolatility lays a table of variances out.
func layVolatility(t *eval.VolatilityTable) []Table {
	names := overs(t.Rows, func(r eval.VolatilityRow) []eval.Gain { return r.Gains })
	out := newTable(fmt.Sprintf("variance of the next log return: %d candles on %d dates (%s)", t.Targets, t.Dates, scopeLabel(t.Scope)),
		append([]string{"model", "QLIKE", "QLIKE r²", "ln MSE", "R²"}, over(names)...)...)
	for _, r := range t.Rows {
		out.add(append([]any{r.Name, r.QLIKE, r.QLIKEr2, r.LogMSE, fmt.Sprintf("%.3f", float64(r.R2))}, gainCells(r.Gains, names, "%+.4f")...)...)
	}
	out.note("QLIKE against the variance that highs, lows and gap show, less is better; gains in it, more is better")
	return []Table{*out}
}

// layDirection lays a table of signs out.
func layDirection(t *eval.DirectionTable) []Table {
	out := newTable(fmt.Sprintf("sign of the next log return: %d candles on %d dates (%s); the commoner sign has %s", t.Targets, t.Dates, scopeLabel(t.Scope), Percent(t.Majority)),
		"model", "hits", "95% interval", "binomial p", "Pesaran–Timmermann p", "Brier")
	for _, r := range t.Rows {
		out.add(r.Name, Percent(float64(r.Hits)), Percent(r.Lo)+"–"+Percent(r.Hi), PValue(float64(r.Binomial)), PValue(float64(r.PT)), r.Brier)
	}
	return []Table{*out}
}

// layCross lays a table of the order of assets out.
func layCross(t *eval.CrossTable) []Table {
	out := newTable(fmt.Sprintf("order of the assets of a date (%s)", scopeLabel(t.Scope)), "model", "IC", "rank IC", "rank IC of volatility", "dates")
	cell := func(t score.Test) string { return fmt.Sprintf("%+.4f (p %s)", t.Mean, PValue(t.P)) }
	for _, r := range t.Rows {
		out.add(r.Name, cell(r.IC), cell(r.RankIC), cell(r.Volatility), r.Volatility.N)
	}
	return []Table{*out}
}

// layPaths lays a table of paths out: a table for each horizon.
func layPaths(t *eval.PathTable) (tables []Table) {
	for k := range t.Rows[0].Horizons {
		title := ""
		if k == 0 {
			title = fmt.Sprintf("%d paths from each of %d origins on %d dates (%s)", t.Paths, t.Origins, t.Dates, t.Part)
		}
		names := overs(t.Rows, func(r eval.PathRow) []eval.Gain { return r.Horizons[k].Gains })
		out := newTable(title, append([]string{fmt.Sprintf("after %d", t.Rows[0].Horizons[k].Horizon), "CRPS bp", "WQL", "50%", "80%", "90%", "95%", "calibrated 90%"}, over(names)...)...)
		for _, r := range t.Rows {
			s := r.Horizons[k]
			row := []any{r.Name, fmt.Sprintf("%.1f", 1e4*s.CRPS), s.WQL}
			for _, c := range s.Coverage {
				row = append(row, Percent(c.Share))
			}
			held := ""
			for _, c := range s.Calibrated {
				if c.Level == forecast.AdaptiveLevel {
					held = fmt.Sprintf("%s (p %s)", Percent(c.Share), PValue(s.CalibratedTest.P))
				}
			}
			row = append(row, held)
			gains := slices.Clone(s.Gains)
			for i := range gains {
				gains[i].Test.Mean *= 1e4
			}
			out.add(append(row, gainCells(gains, names, "%+.2f")...)...)
		}
		tables = append(tables, *out)
	}
	return tables
}

func partLabel(part string) string {
	return map[string]string{"val": "validation", "test": "test"}[part]
}

func scopeLabel(s eval.Scope) string {
	label := partLabel(s.Part)
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
				cell = fmt.Sprintf(format+" (p %s)", g.Test.Mean, PValue(g.Test.P))
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

// Percent is a share as tables show it.
func Percent(x float64) string {
	if x != x {
		return "–"
	}
	return fmt.Sprintf("%.1f%%", 100*x)
}

// PValue is a p as tables show it.
func PValue(p float64) string {
	switch {
	case p != p:
		return "–"
	case p < 1e-4:
		return fmt.Sprintf("%.0e", p)
	}
	return fmt.Sprintf("%.4f", p)
}
