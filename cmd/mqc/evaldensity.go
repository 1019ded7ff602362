package main

import (
	"fmt"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/score"
)

// printDensities prints a table of densities.
func (a *app) printDensities(t *eval.DensityTable) {
	label := map[string]string{"val": "validation", "test": "test"}[t.Part]
	if t.Selected {
		label += ", which early stopping or calibration has seen"
	}
	a.say("density of the next log return: %d candles on %d dates (%s)", t.Targets, t.Dates, label)
	head := []string{"model", "ln p", "CRPS bp", "50%", "80%", "90%", "95%", "VaR 1%", "VaR 5%"}
	overs := []string{}
	for _, r := range t.Rows {
		for _, g := range r.Gains {
			known := false
			for _, o := range overs {
				known = known || o == g.Over
			}
			if !known {
				overs = append(overs, g.Over)
			}
		}
	}
	for _, o := range overs {
		head = append(head, "over "+o)
	}
	out := newTable(append(head, "")...)
	for _, r := range t.Rows {
		row := []any{r.Name, fmt.Sprintf("%.4f", r.LogScore), fmt.Sprintf("%.2f", 1e4*r.CRPS)}
		for _, c := range r.Coverage {
			row = append(row, percent(c.Share))
		}
		for _, k := range r.Risk {
			row = append(row, fmt.Sprintf("%.2f%%", 100*k.Share))
		}
		for _, o := range overs {
			cell := ""
			for _, g := range r.Gains {
				if g.Over == o {
					cell = gain(g.Test)
				}
			}
			row = append(row, cell)
		}
		out.add(append(row, r.Note)...)
	}
	a.say("%s", out)
	a.say("ln p is the mean log density in nats per candle, more is better; gains are tested by date (Diebold–Mariano with %d autocovariances)", t.Lag)
	if t.Best != "" {
		a.say("best baseline on validation: %s", t.Best)
	}
}

func percent(x float64) string { return fmt.Sprintf("%.1f%%", 100*x) }

// gain is a mean with its p.
func gain(t score.Test) string {
	return fmt.Sprintf("%+.4f (p %s)", t.Mean, pValue(t.P))
}

func pValue(p float64) string {
	if p < 1e-4 {
		return fmt.Sprintf("%.0e", p)
	}
	return fmt.Sprintf("%.4f", p)
}
