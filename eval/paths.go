package eval

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// PathOptions say how paths are drawn.
type PathOptions struct {
	Horizons []int // after which candles cumulative returns are scored, ascending
	Paths    int   // drawn from each origin
	Origins  int   // at most, spread over the part
	Seed     uint64
}

// DefaultPaths draws enough paths that the error of the fair CRPS is that of
// what happened, and from enough origins for a minute or two.
func DefaultPaths() PathOptions {
	return PathOptions{Horizons: []int{1, 5, 20}, Paths: 100, Origins: 600, Seed: 1}
}

// Validate reports what is wrong with o.
func (o PathOptions) Validate() error {
	if len(o.Horizons) == 0 || !slices.IsSorted(o.Horizons) || o.Horizons[0] < 1 || o.Paths < 2 || o.Origins < 1 {
		return fmt.Errorf("eval: paths: horizons %v, %d paths from %d origins: want ascending horizons from 1, at least 2 paths and 1 origin", o.Horizons, o.Paths, o.Origins)
	}
	return nil
}

// PathTable scores drawn paths of cumulative log returns.
type PathTable struct {
	Part    string    `json:"part"`
	Origins int       `json:"origins"`
	Dates   int       `json:"dates"`
	Stride  int       `json:"stride"` // candles between origins of an asset
	Paths   int       `json:"paths"`
	Rows    []PathRow `json:"rows"`
}

// PathRow is one model or baseline.
type PathRow struct {
	Name     string         `json:"name"`
	Horizons []HorizonScore `json:"horizons"`
	Energy   float64        `json:"energy"` // energy score of the whole path, in log returns
}

// HorizonScore is how good the cumulative return after some candles was.
type HorizonScore struct {
	Horizon  int          `json:"horizon"`
	CRPS     float64      `json:"crps"`     // mean, of log returns; less is better
	WQL      float64      `json:"wql"`      // weighted quantile loss at .1 … .9
	Coverage []Interval   `json:"coverage"` // of central intervals of the paths
	PIT      []int        `json:"pit"`      // histogram of ten bins
	Gains    []Gain       `json:"gains"`    // in CRPS: positive is better
	Scale    score.Number `json:"spread"`   // mean deviation of the paths

	// Of a calibrated checkpoint that knows the horizon.
	Calibrated     []Interval     `json:"calibrated,omitempty"`
	CalibratedTest *score.Test    `json:"calibrated_90_test,omitempty"` // of the share in the 90% interval less .9, by date
	Assets         []PathCoverage `json:"assets,omitempty"`
}

// PathCoverage is how often the return of an asset fell into the calibrated 90%
// interval, and the test of that share less .9, by date.
type PathCoverage struct {
	Name     string     `json:"name"`
	Coverage float64    `json:"coverage"`
	Test     score.Test `json:"test"`
}

// quantileLevels are those of the weighted quantile loss.
var quantileLevels = []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9}

// sampler draws cumulative log returns (paths, horizon) from before the token at
// index origin of a stream.
type sampler struct {
	name        string
	serial      bool // shares out its own work
	calibration *checkpoint.Calibration
	draw        func(ctx context.Context, stream, origin, horizon, paths int, seed uint64) ([][]float64, error)
}

// Paths scores paths that models and baselines draw from the same origins.
func (c *Contest) Paths(ctx context.Context, o PathOptions) (*PathTable, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	H := slices.Max(o.Horizons)
	every := len(dataset.HorizonWindows(c.streams, c.part, 1, H, 1, 0))
	if every == 0 {
		return nil, fmt.Errorf("eval: the %s part has no stretch of %d candles", c.part, H)
	}
	t := &PathTable{Part: c.part.String(), Stride: (every + o.Origins - 1) / o.Origins, Paths: o.Paths}
	origins := dataset.HorizonWindows(c.streams, c.part, 1, H, t.Stride, 0)
	t.Origins = len(origins)
	dates := make([]time.Time, len(origins))
	for i, w := range origins {
		dates[i] = c.streams[w.Stream].Times[w.From]
	}
	t.Dates = countDates(dates)

	crps := map[string][][]float64{} // by row, horizon, origin
	var samplers []sampler
	for _, b := range c.baselines {
		samplers = append(samplers, c.baselineSampler(b))
	}
	for i, m := range c.models {
		own, err := c.modelSampler(m, i)
		if err != nil {
			return nil, err
		}
		samplers = append(samplers, own)
	}
	for _, s := range samplers {
		row, scores, err := c.scorePaths(ctx, s, origins, t.Stride, o)
		if err != nil {
			return nil, fmt.Errorf("eval: %s: %w", s.name, err)
		}
		crps[s.name] = scores
		t.Rows = append(t.Rows, row)
	}
	for i, row := range t.Rows {
		for k, h := range o.Horizons {
			for _, over := range []string{nameGARCH, forecast.NamePooledHAR} {
				if over == row.Name || crps[over] == nil {
					continue
				}
				gain := make([]float64, len(origins))
				for j := range gain {
					gain[j] = crps[over][k][j] - crps[row.Name][k][j]
				}
				// Origins whose horizons overlap are correlated by construction.
				lag := max((h+t.Stride-1)/t.Stride, 2)
				t.Rows[i].Horizons[k].Gains = append(t.Rows[i].Horizons[k].Gains, Gain{Over: over, Test: score.Clustered(dates, gain, 1, lag)})
			}
		}
	}
	return t, nil
}

func (c *Contest) baselineSampler(b forecast.Baseline) sampler {
	return sampler{name: b.Name(), draw: func(_ context.Context, stream, origin, horizon, paths int, seed uint64) ([][]float64, error) {
		return b.Paths(c.series[stream], origin+1, horizon, paths, seed), nil
	}}
}

func (c *Contest) modelSampler(m Named, number int) (sampler, error) {
	codec, err := m.Bundle.Codec()
	if err != nil {
		return sampler{}, err
	}
	streams := c.streams
	if number > 0 {
		if streams, err = encode(codec, c.series, c.models[0].Bundle.Split); err != nil {
			return sampler{}, err
		}
	}
	runner, calibration := m.Bundle.Runner(), m.Bundle.Calibration
	return sampler{name: m.Name, serial: true, calibration: calibration, draw: func(ctx context.Context, stream, origin, horizon, paths int, seed uint64) ([][]float64, error) {
		s := streams[stream]
		drawn, err := predict.Paths(ctx, runner, codec, s, origin, predict.Window(m.Bundle.Model, horizon), gpt.Generation{
			Paths: paths, Steps: horizon, Sampler: gpt.Sampler{Temperature: calibration.SampleAt()}, Seed: seed,
		})
		if err != nil {
			return nil, err
		}
		out := make([][]float64, paths)
		for i, p := range drawn {
			out[i] = predict.CumulativeReturns(nil, s.States[origin].PrevClose, p.Candles)
		}
		return out, nil
	}}, nil
}

// scorePaths draws from all origins and scores; crps is (horizons, origins).
func (c *Contest) scorePaths(ctx context.Context, s sampler, origins []dataset.Window, stride int, o PathOptions) (row PathRow, crps [][]float64, err error) {
	H, n := slices.Max(o.Horizons), len(origins)
	drawn := make([][][]float64, n)
	faults := make([]error, n)
	draw := func(lo, hi int) {
		for i := lo; i < hi; i++ {
			w := origins[i]
			drawn[i], faults[i] = s.draw(ctx, w.Stream, w.From, H, o.Paths, rng.Hash(o.Seed, rng.Path, uint64(i)))
		}
	}
	if s.serial {
		draw(0, n)
	} else {
		parallel.For(n, 1, draw)
	}
	for _, err := range faults {
		if err != nil {
			return row, nil, err
		}
	}
	truth := make([][]float64, n)
	for i, w := range origins {
		stream := c.streams[w.Stream]
		truth[i] = predict.CumulativeReturns(nil, stream.States[w.From].PrevClose, stream.Candles[w.From:w.From+H])
	}
	row.Name = s.name
	for i := range origins {
		row.Energy += score.EnergyScore(drawn[i], truth[i]) / float64(n)
	}
	for _, h := range o.Horizons {
		crpsAt, y, pit := make([]float64, n), make([]float64, n), make([]float64, n)
		quantiles := make([][]float64, n)
		spread := 0.0
		for i := range origins {
			x := make([]float64, len(drawn[i]))
			for p, path := range drawn[i] {
				x[p] = path[h-1]
			}
			y[i] = truth[i][h-1]
			crpsAt[i] = score.CRPS(x, y[i])
			slices.Sort(x)
			pit[i] = score.RankPIT(x, y[i], rng.New(o.Seed, rng.Truth, uint64(i), uint64(h)).Float64())
			for _, level := range quantileLevels {
				quantiles[i] = append(quantiles[i], score.Quantile(x, level))
			}
			spread += deviation(x) / float64(n)
		}
		at := HorizonScore{Horizon: h, CRPS: mean(crpsAt), WQL: score.WQL(quantiles, y, quantileLevels), PIT: score.PITHistogram(pit, 10), Scale: score.Number(spread)}
		for _, level := range coverageLevels {
			share, lo, hi := score.Coverage(pit, level, confidence)
			at.Coverage = append(at.Coverage, Interval{level, share, lo, hi})
		}
		if s.calibration != nil {
			c.calibratedPaths(&at, s.calibration, origins, pit, max((h+stride-1)/stride, 2))
		}
		row.Horizons = append(row.Horizons, at)
		crps = append(crps, crpsAt)
	}
	return row, crps, nil
}

func deviation(x []float64) float64 {
	m, square := mean(x), 0.0
	for _, v := range x {
		square += (v - m) * (v - m) / float64(len(x))
	}
	return math.Sqrt(square)
}
