package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"strconv"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/forecast"
)

// printCSV writes tables in long form: one line for each number, with the p of
// its test where it has one.
func (a *app) printCSV(results []levelResult) error {
	w := csv.NewWriter(a.out)
	line := func(level, part, row, measure string, value float64, p float64) {
		text := ""
		if p == p {
			text = strconv.FormatFloat(p, 'g', 3, 64)
		}
		w.Write([]string{level, part, row, measure, strconv.FormatFloat(value, 'g', 6, 64), text})
	}
	w.Write([]string{"level", "part", "model", "measure", "value", "p"})
	none := math.NaN()
	for _, r := range results {
		switch t := r.table.(type) {
		case *eval.Table:
			for _, row := range t.Rows {
				line(r.level, t.Part, row.Name, "nats", row.Nats, none)
				line(r.level, t.Part, row.Name, "top1", row.Top1, none)
			}
		case *eval.DensityTable:
			for _, row := range t.Rows {
				put := func(measure string, value, p float64) { line(r.level, t.Part, row.Name, measure, value, p) }
				put("log_score", row.LogScore, none)
				put("crps_bp", 1e4*row.CRPS, none)
				for _, c := range row.Coverage {
					put(fmt.Sprintf("coverage_%g", 100*c.Level), c.Share, none)
				}
				for _, c := range row.Calibrated {
					put(fmt.Sprintf("calibrated_%g", 100*c.Level), c.Share, none)
				}
				if row.Adaptive != nil {
					put(fmt.Sprintf("adaptive_%g", 100*row.Adaptive.Level), row.Adaptive.Share, none)
				}
				for _, asset := range row.Assets {
					if asset.Calibrated != nil {
						put("calibrated_90 of "+asset.Name, asset.Calibrated.Coverage, float64(asset.Calibrated.Kupiec))
						put("adaptive_90 of "+asset.Name, asset.Adaptive.Coverage, float64(asset.Adaptive.Kupiec))
					}
				}
				for _, k := range row.Risk {
					put(fmt.Sprintf("below_var_%g", 100*k.Level), k.Share, float64(k.Kupiec))
				}
				putGains(put, "", row.Gains, 1)
			}
		case *eval.RangeTable:
			for _, row := range t.Rows {
				put := func(measure string, value, p float64) { line(r.level, t.Part, row.Name, measure, value, p) }
				put("log_score", row.LogScore, none)
				put("crps", row.CRPS, none)
				for _, c := range row.Coverage {
					put(fmt.Sprintf("coverage_%g", 100*c.Level), c.Share, none)
				}
				put("ks", row.KS, none)
				putGains(put, "", row.Gains, 1)
			}
		case *eval.VolatilityTable:
			for _, row := range t.Rows {
				put := func(measure string, value, p float64) { line(r.level, t.Part, row.Name, measure, value, p) }
				put("qlike", row.QLIKE, none)
				put("r2", float64(row.R2), none)
				putGains(put, "", row.Gains, 1)
			}
		case *eval.DirectionTable:
			for _, row := range t.Rows {
				line(r.level, t.Part, row.Name, "hits", float64(row.Hits), float64(row.Binomial))
				line(r.level, t.Part, row.Name, "pesaran_timmermann", float64(row.Hits), float64(row.PT))
			}
		case *eval.CrossTable:
			for _, row := range t.Rows {
				line(r.level, t.Part, row.Name, "rank_ic", row.RankIC.Mean, row.RankIC.P)
				line(r.level, t.Part, row.Name, "rank_ic_volatility", row.Volatility.Mean, row.Volatility.P)
			}
		case *eval.PathTable:
			for _, row := range t.Rows {
				put := func(measure string, value, p float64) { line(r.level, t.Part, row.Name, measure, value, p) }
				for _, h := range row.Horizons {
					put(fmt.Sprintf("crps_bp_%d", h.Horizon), 1e4*h.CRPS, none)
					for _, c := range h.Coverage {
						put(fmt.Sprintf("coverage_%g_%d", 100*c.Level, h.Horizon), c.Share, none)
					}
					for _, c := range h.Calibrated {
						p := none
						if c.Level == forecast.AdaptiveLevel {
							p = h.CalibratedTest.P
						}
						put(fmt.Sprintf("calibrated_%g_%d", 100*c.Level, h.Horizon), c.Share, p)
					}
					for _, asset := range h.Assets {
						put(fmt.Sprintf("calibrated_90_%d of %s", h.Horizon, asset.Name), asset.Coverage, asset.Test.P)
					}
					putGains(put, fmt.Sprintf("_%d", h.Horizon), h.Gains, 1e4)
				}
			}
		default:
			panic(fmt.Sprintf("eval: no CSV of %T", t))
		}
	}
	w.Flush()
	return w.Error()
}

func putGains(put func(measure string, value, p float64), suffix string, gains []eval.Gain, unit float64) {
	for _, g := range gains {
		put("gain_over_"+g.Over+suffix, unit*g.Test.Mean, g.Test.P)
	}
}
