package eval

import (
	"context"
	"math"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/score"
)

// DirectionTable scores the sign of the next log return, and its rank among the
// assets of a date. Do not expect much of it.
type DirectionTable struct {
	Scope
	Majority float64        `json:"majority"` // share of the commoner sign; returns of zero count nowhere
	Lag      int            `json:"lag"`
	Rows     []DirectionRow `json:"rows"`
}

// DirectionRow is one model or baseline.
type DirectionRow struct {
	Name     string       `json:"name"`
	Hits     score.Number `json:"hits"` // share of signs that were right; null: the law never leans to a side
	Lo       float64      `json:"lo"`   // Wilson's interval, 95%
	Hi       float64      `json:"hi"`
	Count    int          `json:"count"`
	Binomial score.Number `json:"binomial_p"` // that of hits where each is as likely as the commoner sign
	PTStat   score.Number `json:"pt"`         // Pesaran–Timmermann 1992: positive where signs agree more often than by chance
	PT       score.Number `json:"pt_p"`       // its p, two-sided; 1: the law never changes its mind
	Brier    float64      `json:"brier"`      // mean (P(up) − up)²; .25 is a coin

	Reliability []score.ReliabilityBin `json:"reliability"` // of P(up), in bins of .05
}

// Direction scores the probability of a rise. As all assets share a market, the
// tests that take targets to be independent are too sure of themselves.
func (c *Contest) Direction(ctx context.Context) (*DirectionTable, error) {
	t := &DirectionTable{Scope: c.Scope, Lag: significanceLag}
	up, moved := 0, 0
	for _, r := range c.returns {
		if r != 0 {
			moved++
		}
		if r > 0 {
			up++
		}
	}
	if moved > 0 {
		t.Majority = float64(max(up, moved-up)) / float64(moved)
	}
	for _, l := range c.laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lean := c.each(l, func(d density.Density) float64 { return 0.5 - d.CDF(0) })
		nan := score.Number(math.NaN())
		row := DirectionRow{Name: l.name, Hits: nan, Binomial: nan}
		hits, n := score.HitRate(lean, c.returns)
		row.Count = n
		if n > 0 {
			row.Hits = score.Number(float64(hits) / float64(n))
			row.Lo, row.Hi = score.Wilson(hits, n, confidence)
			row.Binomial = score.Number(score.Binomial(hits, n, t.Majority))
		}
		stat, p := score.PesaranTimmermann(lean, c.returns)
		row.PTStat, row.PT = score.Number(stat), score.Number(p)
		var rise []float64
		var rose []bool
		for k, r := range c.returns {
			if r == 0 {
				continue
			}
			rise, rose = append(rise, min(max(lean[k]+0.5, 0), 1)), append(rose, r > 0)
			miss := lean[k] + 0.5
			if r > 0 {
				miss--
			}
			row.Brier += miss * miss / float64(max(1, moved))
		}
		row.Reliability = score.Reliability(rise, rose, 20, confidence)
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// each is a number of the density of every target.
func (c *Contest) each(l law, of func(density.Density) float64) []float64 {
	x := make([]float64, len(c.targets))
	parallel.For(len(x), 64, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			x[k] = of(l.at(c.targets[k].stream, c.targets[k].index))
		}
	})
	return x
}

// CrossTable scores the order of the assets of a date.
type CrossTable struct {
	Scope
	Lag  int        `json:"lag"`
	Rows []CrossRow `json:"rows"`
}

// CrossRow is one model or baseline: means over dates of correlations over
// assets, tested with Newey–West.
type CrossRow struct {
	Name       string     `json:"name"`
	IC         score.Test `json:"ic"`              // of the forecast mean with the return
	RankIC     score.Test `json:"rank_ic"`         // the same of ranks
	Volatility score.Test `json:"volatility_rank"` // rank correlation of forecast deviation with absolute return
}

// CrossSection scores the order of means and of deviations on the dates that
// have at least three assets.
func (c *Contest) CrossSection(ctx context.Context) (*CrossTable, error) {
	t := &CrossTable{Scope: c.Scope, Lag: significanceLag}
	absolute := make([]float64, len(c.returns))
	for k, r := range c.returns {
		absolute[k] = max(r, -r)
	}
	for _, l := range c.laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		variance := c.variances(l)
		means := c.each(l, func(d density.Density) float64 { m, _ := moments(d); return m })
		row := CrossRow{Name: l.name}
		_, row.IC = score.IC(c.dates, means, c.returns, 1, significanceLag)
		_, row.RankIC = score.RankIC(c.dates, means, c.returns, 1, significanceLag)
		_, row.Volatility = score.RankIC(c.dates, variance, absolute, 1, significanceLag)
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}
