package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// RangeTable scores densities of the logarithm of the range ln(H/L) of the next
// candle: what is known of its volatility. Best is the baseline with the best log
// score of it on validation.
type RangeTable struct {
	Scope
	Floored float64    `json:"floored"` // share of targets whose range was below feature.LeastRange, and was taken to be that
	Lag     int        `json:"lag"`     // autocovariances in the tests of the gains
	Rows    []RangeRow `json:"rows"`
}

// RangeRow is one model or baseline.
type RangeRow struct {
	Name     string     `json:"name"`
	Note     string     `json:"note,omitempty"`
	LogScore float64    `json:"log_score"` // mean ln p(ln range), in nats per candle; more is better
	CRPS     float64    `json:"crps"`      // mean, of ln range; less is better
	Coverage []Interval `json:"coverage"`  // of central intervals
	KS       float64    `json:"ks"`        // largest distance of the distribution of PITs from the uniform
	Gains    []Gain     `json:"gains"`
}

// Ranges scores the densities of the range beside baselines of their own
// ([forecast.FitRanges]), on the same targets. The density is that of ln range
// itself, so that scales are compared with it and not taken out. Models that know
// no ranges are left out, and the note says so; where no model is left, it fails
// with the reason, [predict.ErrNoRanges] or [gpt.ErrNoLogits].
func (c *Contest) Ranges(ctx context.Context) (*RangeTable, error) {
	if len(c.ranges) == 0 {
		return nil, fmt.Errorf("eval: no model to score ranges with: %w", errors.Join(c.rangeless...))
	}
	of := &Contest{Scope: c.Scope, streams: c.streams, targets: c.targets, dates: c.dates}
	of.Note = ""
	x, floored := c.logRanges()
	baselines, err := c.rangeBaselines(x)
	if errors.Is(err, forecast.ErrFewReturns) {
		of.Note = "without the baselines of the range: " + err.Error()
	} else if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	outcomes := func(targets []target) []float64 {
		var out []float64
		for _, at := range targets {
			out = append(out, x[at.stream][at.index])
		}
		return out
	}
	validation, _, _ := targetsOf(c.streams, dataset.Val)
	of.Best = bestBaseline(baselines, validation, outcomes(validation))
	of.laws = slices.Concat(baselines, c.ranges)
	for _, err := range c.rangeless {
		of.Note = strings.TrimPrefix(of.Note+"; without "+err.Error(), "; ")
	}

	t := &RangeTable{Scope: of.Scope, Lag: significanceLag}
	for _, at := range c.targets {
		if floored[at.stream][at.index] {
			t.Floored += 1 / float64(len(c.targets))
		}
	}
	happened := outcomes(c.targets)
	scores := make([]densityScores, len(of.laws))
	for i, l := range of.laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scores[i] = scoreLaw(l, c.targets, happened)
	}
	for i, l := range of.laws {
		s := scores[i]
		row := RangeRow{Name: l.name, Note: l.note, LogScore: mean(s.log), CRPS: mean(s.crps), Coverage: s.coverage()}
		row.KS, _ = score.KolmogorovSmirnov(s.pit)
		row.Gains = of.gains(i, 1, significanceLag, func(law, target int) float64 { return scores[law].log[target] })
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// logRanges are the logarithms of the ranges of all candles of all streams, at
// least that of feature.LeastRange in units of the first model's scale, and
// whether they were below it.
func (c *Contest) logRanges() (x [][]float64, floored [][]bool) {
	scaler := *c.models[0].Bundle.Scaler
	least := math.Log(feature.LeastRange)
	for _, s := range c.streams {
		var own []float64
		var below []bool
		for i, candle := range s.Candles {
			_, unit := scaler.Return(s.States[i])
			y := scaler.LogRange(scaler.Encode(s.States[i], candle))
			own, below = append(own, math.Log(unit)+y), append(below, y == least)
		}
		x, floored = append(x, own), append(floored, below)
	}
	return x, floored
}

// rangeBaselines are fitted on the training part of x.
func (c *Contest) rangeBaselines(x [][]float64) (laws []law, err error) {
	var sigma func(stream, index int) density.Density
	for _, b := range c.baselines {
		if b.Name() == nameGARCH {
			sigma = oneStep(b, c.series)
		}
	}
	var samples []forecast.RangeSample
	for i, s := range c.streams {
		_, train := s.Bounds(dataset.Train)
		sample := forecast.RangeSample{Asset: s.Asset, LogRanges: x[i], Train: train}
		for k := 0; sigma != nil && k < len(x[i]); k++ {
			_, variance := moments(sigma(i, k))
			sample.Sigma = append(sample.Sigma, math.Sqrt(variance))
		}
		samples = append(samples, sample)
	}
	fitted, err := forecast.FitRanges(samples)
	for _, b := range fitted {
		laws = append(laws, law{
			name: b.Name, note: b.Note, baseline: true,
			at: func(stream, index int) density.Density { return b.At[stream][index] },
		})
	}
	return laws, err
}

// lookUpRange finds the law of the logarithm of the range of a target.
func lookUpRange(cells *density.Cells, laws []predict.Law) func(stream, index int) density.Density {
	at := byTarget(laws)
	return func(stream, index int) density.Density {
		l := laws[at[target{stream, index}]]
		return cells.New32(l.Ranges, math.Log(l.Sigma), 1)
	}
}

// unigramRanges is how often tokens occur in training, at the scale of the codec.
func unigramRanges(codec dataset.Codec, streams []*dataset.Stream) law {
	mixed := unigramCells(codec.Ranges, streams)
	return law{
		name: NameUnigram, note: "at the scale " + codec.Scaler.Kind, baseline: true,
		at: func(stream, index int) density.Density {
			_, unit := codec.Scaler.Return(streams[stream].States[index])
			return codec.Ranges.Cells().NewAt(mixed, math.Log(unit), 1)
		},
	}
}
