package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/micro-quant/mqc/score"
)

// VersusTable tests every model and baseline against one of them.
type VersusTable struct {
	Scope
	Over string      `json:"over"`
	Lag  int         `json:"lag"` // autocovariances in the tests
	Rows []VersusRow `json:"rows"`
}

// VersusRow is what one model or baseline gains over the row of the table;
// positive is better.
type VersusRow struct {
	Name     string     `json:"name"`
	LogScore score.Test `json:"log_score"` // nats per candle
	QLIKE    score.Test `json:"qlike"`     // against the range variance, as in [Contest.Volatility]
}

// Versus tests the gains of all rows over the row of a name, by date. It fails
// if there is no such row.
func (c *Contest) Versus(ctx context.Context, over string) (*VersusTable, error) {
	t := &VersusTable{Scope: c.Scope, Over: over, Lag: significanceLag}
	reference := slices.IndexFunc(c.laws, func(l law) bool { return l.name == over })
	if reference < 0 {
		return nil, fmt.Errorf("eval: no row %q to compare with", over)
	}
	proxy, _ := c.rangeVariance()
	logs, losses := make([][]float64, len(c.laws)), make([][]float64, len(c.laws))
	for i, l := range c.laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		logs[i] = make([]float64, len(c.targets))
		for k, at := range c.targets {
			logs[i][k] = l.at(at.stream, at.index).LogPDF(c.returns[k])
		}
		losses[i] = qlike(c.variances(l), proxy)
	}
	for i, l := range c.laws {
		if i == reference {
			continue
		}
		t.Rows = append(t.Rows, VersusRow{
			Name:     l.name,
			LogScore: c.gain(i, reference, 1, significanceLag, func(law, target int) float64 { return logs[law][target] }),
			QLIKE:    c.gain(i, reference, 1, significanceLag, func(law, target int) float64 { return -losses[law][target] }),
		})
	}
	return t, nil
}
