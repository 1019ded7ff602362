package eval

import (
	"context"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/score"
)

// DensityTable scores densities of the log return of the next candle, of all
// models and baselines on the same targets.
type DensityTable struct {
	Scope
	Lag  int          `json:"lag"` // autocovariances in the tests of the gains
	Rows []DensityRow `json:"rows"`
}

// DensityRow is one model or baseline.
type DensityRow struct {
	Name     string       `json:"name"`
	Note     string       `json:"note,omitempty"`
	LogScore float64      `json:"log_score"` // mean ln p(r), in nats per candle; more is better
	CRPS     float64      `json:"crps"`      // mean, of log returns; less is better
	Coverage []Interval   `json:"coverage"`  // of central intervals
	PIT      []int        `json:"pit"`       // histogram of probability integral transforms, twenty bins
	KS       float64      `json:"ks"`        // largest distance of the distribution of PITs from the uniform
	Risk     []Risk       `json:"risk"`
	Gains    []Gain       `json:"gains"`
	Assets   []AssetScore `json:"assets"`

	// Of a calibrated checkpoint, whose other numbers are those of its
	// density at the calibrated temperature.
	Temperature float64    `json:"temperature,omitempty"`
	Calibrated  []Interval `json:"calibrated,omitempty"`
	Adaptive    *Interval  `json:"adaptive,omitempty"` // run along the part, each asset by itself
}

// Interval is how often returns fell into central intervals.
type Interval struct {
	Level float64 `json:"level"`
	Share float64 `json:"share"`
	Lo    float64 `json:"lo"` // Wilson's interval of the share, 95%
	Hi    float64 `json:"hi"`
}

// Risk is the lower tail: how often a return fell below the value at risk.
type Risk struct {
	Level  float64      `json:"level"`
	Share  float64      `json:"share"`
	Kupiec score.Number `json:"kupiec_p"` // Kupiec 1995, as if all targets were independent
	FZ0    score.Number `json:"fz0"`      // mean joint loss of value at risk and expected shortfall (Patton et al. 2019)
}

// AssetScore is what a row scored on one asset.
type AssetScore struct {
	Name           string       `json:"name"`
	Targets        int          `json:"targets"`
	LogScore       float64      `json:"log_score"`
	Coverage90     float64      `json:"coverage_90"`
	Christoffersen score.Number `json:"christoffersen_p"` // of the 5% value at risk, conditional coverage (1998)

	// Of a calibrated checkpoint, its 90% intervals.
	Calibrated *Misses `json:"calibrated_90,omitempty"`
	Adaptive   *Misses `json:"adaptive_90,omitempty"`
}

// Levels of the tables.
var (
	coverageLevels = forecast.NominalLevels
	riskLevels     = []float64{.01, .05}
)

// significanceLag is how many dates a gain is taken to be correlated with: two
// weeks of trading.
const significanceLag = 10

// pitBins are the bins of the transforms of one-step densities.
const pitBins = 20

// confidence is that of the intervals of a table.
const confidence = .95

// Densities scores the densities of all laws on every target.
func (c *Contest) Densities(ctx context.Context) (*DensityTable, error) {
	t := &DensityTable{Scope: c.Scope, Lag: significanceLag}
	scores := make([]densityScores, len(c.laws))
	for i, l := range c.laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scores[i] = scoreLaw(l, c.targets, c.returns)
		scores[i].tail(l, c.targets, c.returns)
	}
	for i, l := range c.laws {
		row := scores[i].row(l, c.targets, c.streams)
		row.Gains = c.gains(i, 1, significanceLag, func(law, target int) float64 { return scores[law].log[target] })
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// densityScores are those of one law on every target.
type densityScores struct {
	log, crps, pit []float64
	loss           [][]float64 // FZ0 at each of the risk levels; of returns alone
}

// scoreLaw scores a law on the outcomes x of targets.
func scoreLaw(l law, targets []target, x []float64) densityScores {
	n := len(targets)
	s := densityScores{log: make([]float64, n), crps: make([]float64, n), pit: make([]float64, n)}
	parallel.For(n, 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d := l.at(targets[i].stream, targets[i].index)
			s.log[i], s.crps[i], s.pit[i] = d.LogPDF(x[i]), d.CRPS(x[i]), min(max(d.CDF(x[i]), 0), 1)
		}
	})
	return s
}

// tail scores the lower tail of a law of returns.
func (s *densityScores) tail(l law, targets []target, returns []float64) {
	for range riskLevels {
		s.loss = append(s.loss, make([]float64, len(targets)))
	}
	parallel.For(len(targets), 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d := l.at(targets[i].stream, targets[i].index)
			for k, level := range riskLevels {
				v, e := shortfall(d, level)
				s.loss[k][i] = score.FZ0(returns[i], v, e, level)
			}
		}
	})
}

// shortfall is the value at risk of a density at a level, and the mean of what
// lies below it.
func shortfall(d density.Density, level float64) (v, e float64) {
	v = d.Quantile(level)
	return v, min(d.Below(v)/level, v)
}

// coverage is that of central intervals.
func (s densityScores) coverage() (held []Interval) {
	for _, level := range coverageLevels {
		share, lo, hi := score.Coverage(s.pit, level, confidence)
		held = append(held, Interval{level, share, lo, hi})
	}
	return held
}

func (s densityScores) row(l law, targets []target, streams []*dataset.Stream) DensityRow {
	row := DensityRow{Name: l.name, Note: l.note, LogScore: mean(s.log), CRPS: mean(s.crps)}
	row.Coverage = s.coverage()
	row.PIT = score.PITHistogram(s.pit, pitBins)
	row.KS, _ = score.KolmogorovSmirnov(s.pit)
	for k, level := range riskLevels {
		hits := make([]bool, len(s.pit))
		n := 0.0
		for i, u := range s.pit {
			if hits[i] = u < level; hits[i] {
				n++
			}
		}
		row.Risk = append(row.Risk, Risk{level, n / float64(len(hits)), score.Number(score.Kupiec(hits, level).P), score.Number(mean(s.loss[k]))})
	}
	for from := 0; from < len(targets); {
		to := from
		for to < len(targets) && targets[to].stream == targets[from].stream {
			to++
		}
		hits := make([]bool, to-from)
		for i, u := range s.pit[from:to] {
			hits[i] = u < .05
		}
		share, _, _ := score.Coverage(s.pit[from:to], .9, confidence)
		_, conditional := score.Christoffersen(hits, .05)
		row.Assets = append(row.Assets, AssetScore{
			Name: streams[targets[from].stream].Asset, Targets: to - from,
			LogScore: mean(s.log[from:to]), Coverage90: share, Christoffersen: score.Number(conditional.P),
		})
		from = to
	}
	row.calibrated(l.calibration, s.pit)
	return row
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
