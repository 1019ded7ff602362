package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
	"github.com/micro-quant/mqc/tokenizer"
)

// Scope is what a table was scored on.
type Scope struct {
	Part     string `json:"part"`
	Targets  int    `json:"targets"`
	Dates    int    `json:"dates"`
	Selected bool   `json:"selected"` // early stopping or calibration has seen these targets
	Best     string `json:"best"`     // the baseline with the best log score on validation
	Note     string `json:"note,omitempty"`
}

// Options say what stands beside the models.
type Options struct {
	Baselines []string // of forecast.BaselineNames; nil: all
}

// Contest is models and baselines on the same targets, each with a density of
// the log return of every candle before it comes, and models of tokens with one of
// its range. All tables about the next candle are made of it.
type Contest struct {
	Scope
	models    []Named
	series    []*market.Series
	streams   []*dataset.Stream
	part      dataset.Part
	baselines []forecast.Baseline
	laws      []law
	targets   []target
	returns   []float64
	dates     []time.Time

	ranges    []law   // of the logarithm of the range: tokens, models, their mean
	rangeless []error // why a model has no law of the range
}

// NewContest fits the baselines on the training dates and runs the models over a
// part. Several models have a row for the mean of their probabilities too. It
// refuses targets that a model was fitted on. The split is that of the first
// model.
func NewContest(ctx context.Context, models []Named, series []*market.Series, part dataset.Part, o Options) (*Contest, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("eval: no model to score")
	}
	c := &Contest{Scope: Scope{Part: part.String()}, models: models, series: series, part: part}
	border := models[0].Bundle.Split.ValFrom
	var err error
	c.baselines, err = forecast.FitBaselines(series, border, o.Baselines...)
	if err == nil {
		var pooled *forecast.PooledHAR
		if pooled, err = forecast.FitPooledHAR(series, border); err == nil {
			c.baselines = append(c.baselines, pooled)
		}
	}
	switch {
	case errors.Is(err, forecast.ErrFewReturns) || errors.Is(err, feature.ErrFewReturns):
		c.Note = "without the baselines of volatility: " + err.Error()
		c.baselines = nil
	case err != nil:
		return nil, err
	}
	for _, b := range c.baselines {
		c.laws = append(c.laws, law{name: b.Name(), baseline: true, at: oneStep(b, series)})
	}
	streams, own, err := c.modelLaws(ctx, models, series, part)
	if err != nil {
		return nil, err
	}
	c.streams = streams
	targets, returns, _ := targetsOf(streams, dataset.Val)
	c.Best = bestBaseline(c.laws, targets, returns)
	c.laws = append(c.laws, own...)
	c.targets, c.returns, c.dates = targetsOf(streams, part)
	if len(c.targets) == 0 {
		return nil, fmt.Errorf("eval: the %s part has no candles", part)
	}
	c.Targets, c.Dates = len(c.targets), countDates(c.dates)
	return c, nil
}

// law is a model or a baseline: a density for every target, of its return or of
// the logarithm of its range.
type law struct {
	name, note string
	baseline   bool
	at         func(stream, index int) density.Density

	calibration *checkpoint.Calibration // nil: none
}

// target is a candle whose return is scored.
type target struct{ stream, index int }

// Gain is a mean score of a row less that of another on the same targets,
// tested by date.
type Gain struct {
	Over string     `json:"over"`
	Test score.Test `json:"test"`
}

// gains tests the scores of a law against those of the baselines that every
// table names. Larger scores are better.
func (c *Contest) gains(law, horizon, lag int, of func(law, target int) float64) (gains []Gain) {
	for j, l := range c.laws {
		if j == law || l.name != nameGARCH && l.name != forecast.NamePooledHAR && l.name != c.Best {
			continue
		}
		gains = append(gains, Gain{Over: l.name, Test: c.gain(law, j, horizon, lag, of)})
	}
	return gains
}

// gain tests the scores of a law against those of another.
func (c *Contest) gain(law, over, horizon, lag int, of func(law, target int) float64) score.Test {
	diff := make([]float64, len(c.targets))
	for k := range diff {
		diff[k] = of(law, k) - of(over, k)
	}
	return score.Clustered(c.dates, diff, horizon, lag)
}

const nameGARCH = "GARCH-t"

// NameUnigram is the baseline that counts tokens.
const NameUnigram = "token unigram"

// EnsembleName is the row of the mean of the densities of several models.
func EnsembleName(models int) string { return fmt.Sprintf("ensemble of %d", models) }

// oneStep looks the densities of a baseline up by token: token i of a stream is
// candle i+1 of its series.
func oneStep(b forecast.Baseline, series []*market.Series) func(stream, index int) density.Density {
	all := make([][]density.Density, len(series))
	parallel.For(len(series), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			all[i] = b.OneStep(series[i])
		}
	})
	return func(stream, index int) density.Density { return all[stream][index+1] }
}

// modelLaws are the rows of the models, of the mean of several, and of the
// tokens without a model.
func (c *Contest) modelLaws(ctx context.Context, models []Named, series []*market.Series, part dataset.Part) ([]*dataset.Stream, []law, error) {
	var first []*dataset.Stream
	var laws, own, ranges []law
	var members [][]predict.Law // of models that share the cells of the first
	for n, m := range models {
		codec, err := m.Bundle.Codec()
		if err != nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		if m.Bundle.Model == nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, checkpoint.ErrNoModel)
		}
		streams, err := encode(codec, series, models[0].Bundle.Split)
		if err != nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		hash := dataset.Hash(streams)
		for _, s := range streams {
			lo, hi := s.Bounds(part)
			selected, err := m.Bundle.CheckHeldOut(s, max(lo, 1), hi, hash)
			if err != nil {
				return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
			}
			c.Selected = c.Selected || selected
		}
		windows := dataset.EvalWindows(streams, part, m.Bundle.Model.SeqLen)
		if codec.Emission == nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, predict.ErrNoEmission)
		}
		if n == 0 {
			first = streams
			laws = append(laws, unigramLaw(codec, streams))
		}
		if m.Bundle.Model.Outputs > 0 {
			found, err := predict.Outputs(ctx, m.Bundle.Runner(), streams, windows)
			if err != nil {
				return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
			}
			own = append(own, law{name: m.Name, note: "mixture of t, no tokens", at: lookUpMixture(codec, streams, found)})
			c.rangeless = append(c.rangeless, fmt.Errorf("%s: %w", m.Name, gpt.ErrNoLogits))
			continue
		}
		found, err := predict.Laws(ctx, m.Bundle.Runner(), codec, streams, windows, m.Bundle.Calibration.SampleAt())
		if err != nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		cells := codec.Emission.Cells()
		own = append(own, law{name: m.Name, at: lookUp(cells, found), calibration: m.Bundle.Calibration})
		if codec.Ranges == nil {
			c.rangeless = append(c.rangeless, fmt.Errorf("%s: %w", m.Name, predict.ErrNoRanges))
		} else {
			if len(ranges) == 0 {
				c.ranges = append(c.ranges, unigramRanges(codec, streams))
			}
			ranges = append(ranges, law{name: m.Name, at: lookUpRange(codec.Ranges.Cells(), found)})
		}
		if sameCells(codec, models[0].Bundle) {
			members = append(members, found)
		}
	}
	laws = append(laws, own...)
	c.ranges = append(c.ranges, ranges...)
	if len(models) > 1 {
		all := law{name: EnsembleName(len(models)), note: "mean of the densities"}
		mean := law{name: EnsembleName(len(ranges)), note: all.note}
		if len(members) == len(models) {
			shared := predict.MeanLaws(members)
			all.at = lookUp(models[0].Bundle.Emission.Cells(), shared)
			if len(ranges) > 0 {
				mean.at = lookUpRange(models[0].Bundle.Ranges.Cells(), shared)
			}
		} else {
			all.at, mean.at = meanOf(own), meanOf(ranges)
		}
		laws = append(laws, all)
		if len(ranges) > 1 {
			c.ranges = append(c.ranges, mean)
		}
	}
	return first, laws, nil
}

// sameCells reports whether probabilities of the cells of two models may be
// averaged.
func sameCells(a dataset.Codec, b *checkpoint.Bundle) bool {
	same := func(a, b *tokenizer.Emission) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.Cells().T == b.Cells().T && slices.Equal(a.Cells().Edges, b.Cells().Edges)
	}
	return same(a.Emission, b.Emission) && same(a.Ranges, b.Ranges)
}

// encode turns series into streams, cut by a split.
func encode(codec dataset.Codec, series []*market.Series, split dataset.Split) ([]*dataset.Stream, error) {
	var streams []*dataset.Stream
	for _, s := range series {
		stream, err := codec.Encode(s)
		if err != nil {
			return nil, err
		}
		split.Apply(stream)
		streams = append(streams, stream)
	}
	return streams, nil
}

// lookUp finds the law of the return of a target.
func lookUp(cells *density.Cells, laws []predict.Law) func(stream, index int) density.Density {
	at := byTarget(laws)
	return func(stream, index int) density.Density {
		l := laws[at[target{stream, index}]]
		return cells.New32(l.Cells, l.Mean, l.Sigma)
	}
}

// byTarget is where the law of a target is.
func byTarget(laws []predict.Law) map[target]int {
	at := make(map[target]int, len(laws))
	for i, l := range laws {
		at[target{l.Stream, l.Index}] = i
	}
	return at
}

// unigramLaw is how often tokens occur in training, at the scale of the codec.
func unigramLaw(codec dataset.Codec, streams []*dataset.Stream) law {
	mixed := unigramCells(codec.Emission, streams)
	return law{
		name: NameUnigram, note: "filtered historical simulation at the scale " + codec.Scaler.Kind, baseline: true,
		at: func(stream, index int) density.Density {
			mean, unit := codec.Scaler.Return(streams[stream].States[index])
			return codec.Emission.Cells().NewAt(mixed, mean, unit)
		},
	}
}

// unigramCells are the probabilities of the cells of an emission under how often
// tokens occur in training.
func unigramCells(e *tokenizer.Emission, streams []*dataset.Stream) []float64 {
	probs, mixed := make([]float64, e.Codes()), make([]float64, e.Cells().Len())
	forecast.FitUnigram(streams, e.Codes()).Probabilities(probs, 0)
	e.Mix(mixed, probs)
	return mixed
}

// targetsOf lists the candles of a part that have one before them, their log
// returns and their dates.
func targetsOf(streams []*dataset.Stream, part dataset.Part) (targets []target, returns []float64, dates []time.Time) {
	for i, s := range streams {
		lo, hi := s.Bounds(part)
		for k := max(lo, 1); k < hi; k++ {
			targets = append(targets, target{i, k})
			returns = append(returns, s.Return(k))
			dates = append(dates, s.Times[k])
		}
	}
	return targets, returns, dates
}

func countDates(dates []time.Time) int {
	seen := map[time.Time]bool{}
	for _, d := range dates {
		seen[d] = true
	}
	return len(seen)
}

// bestBaseline is the one with the best log score of the outcomes x of targets,
// which are those of validation.
func bestBaseline(laws []law, targets []target, x []float64) string {
	best, name := math.Inf(-1), ""
	for _, l := range laws {
		if len(targets) == 0 {
			break
		}
		sum := 0.0
		for i, at := range targets {
			sum += l.at(at.stream, at.index).LogPDF(x[i])
		}
		if sum > best {
			best, name = sum, l.name
		}
	}
	return name
}
