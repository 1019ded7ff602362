package forecast

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// CalibrationOptions say how the intervals of paths are calibrated.
type CalibrationOptions struct {
	Horizon int // longest one, in candles
	Origins int // dates that paths start from, over all assets, at most
	Samples int // paths from each
	Seed    uint64
}

// DefaultCalibration takes 128 paths of 32 candles from 300 origins.
func DefaultCalibration() CalibrationOptions {
	return CalibrationOptions{Horizon: 32, Origins: 300, Samples: 128, Seed: 1}
}

// Validate reports everything that is wrong with o at once.
func (o CalibrationOptions) Validate() error {
	var errs []error
	if n := leastOutcomes(); o.Origins < n {
		errs = append(errs, fmt.Errorf("forecast: origins %d: want %d or more", o.Origins, n))
	}
	paths := Options{Horizon: o.Horizon, Samples: o.Samples, Sampler: gpt.Sampler{Temperature: 1}}
	return errors.Join(append(errs, paths.Validate())...)
}

// Levels of calibration.
var (
	// NominalLevels are the probabilities of the intervals that are calibrated.
	NominalLevels = []float64{.5, .8, .9, .95}
	// calibratedHorizons are those of paths, with the longest beside them.
	calibratedHorizons = []int{1, 5, 20}
	// gammas are the steps of adaptive conformal inference that are tried.
	gammas = []float64{.001, .002, .005, .01, .02, .05}
)

// AdaptiveLevel is the probability of the interval that adapts.
const AdaptiveLevel = .9

// usualGamma is the step where validation is too short to choose one: that of
// Gibbs & Candès 2021.
const usualGamma = .005

// temperatureTolerance is how near the temperature comes to the best, as a
// ratio.
const temperatureTolerance = 1e-4

// Calibrate returns b with a [checkpoint.Calibration] from the validation part
// of streams, which the codec of b encoded and its split cut: a temperature by
// the log score of the next return, then, at that temperature, conformal levels
// for the intervals of the next return and of the returns over several candles,
// and the step of an adaptive interval. Without densities of returns given
// tokens the temperature is that of the tokens, and intervals are those of
// paths alone.
//
// Validation has been seen by early stopping, and outcomes of one date or of
// overlapping horizons are not independent: coverage on later dates is about
// nominal, without the guarantee that conformal prediction gives for
// exchangeable outcomes.
//
// It fails with [score.ErrTooFew] where validation is too short, with
// [checkpoint.ErrFitted] where b was fitted on it. Horizons that validation is
// too short for are left out.
func Calibrate(ctx context.Context, b *checkpoint.Bundle, streams []*dataset.Stream, o CalibrationOptions) (*checkpoint.Bundle, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if b.Model == nil {
		return nil, checkpoint.ErrNoModel
	}
	codec, err := b.Codec()
	if err != nil {
		return nil, err
	}
	hash := dataset.Hash(streams)
	for _, s := range streams {
		if s.States == nil {
			return nil, fmt.Errorf("forecast: calibrate: %s: a bare token stream has no returns", s.Asset)
		}
		lo, hi := s.Bounds(dataset.Val)
		if _, err := b.CheckHeldOut(s, lo, hi, hash); err != nil {
			return nil, fmt.Errorf("forecast: calibrate: %w", err)
		}
	}
	runner := b.Runner()
	logits, err := predict.AllLogits(ctx, runner, streams, dataset.EvalWindows(streams, dataset.Val, b.Model.SeqLen))
	if err != nil {
		return nil, err
	}
	c := &checkpoint.Calibration{Targets: len(logits.Targets)}
	if c.Targets == 0 {
		return nil, fmt.Errorf("forecast: calibrate: %w: validation has no candles", score.ErrTooFew)
	}
	fitTemperature(c, codec, logits)
	if codec.Emission != nil {
		if err := fitOneStep(c, codec, logits); err != nil {
			return nil, fmt.Errorf("forecast: calibrate: next return: %w", err)
		}
	}
	if c.Paths, err = fitPaths(ctx, runner, codec, streams, c.Temperature, o); err != nil {
		return nil, fmt.Errorf("forecast: calibrate: %w", err)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return b.WithCalibration(c, checkpoint.Seen(checkpoint.Calibrated, "calibrate", streams, dataset.Val)), nil
}

// fitTemperature finds the temperature with the best mean score.
func fitTemperature(c *checkpoint.Calibration, codec dataset.Codec, logits *predict.Logits) {
	c.Score = checkpoint.ScoreToken
	mean := logits.LogTokens
	if codec.Emission != nil {
		c.Score = checkpoint.ScoreDensity
		mean = func(temperature float64) float64 { return logits.LogReturns(codec, temperature) }
	}
	c.Temperature = math.Exp(goldenSection(func(x float64) float64 { return mean(math.Exp(x)) },
		math.Log(checkpoint.MinTemperature), math.Log(checkpoint.MaxTemperature), temperatureTolerance))
	c.Temperature = min(max(c.Temperature, checkpoint.MinTemperature), checkpoint.MaxTemperature)
	c.Before, c.After = mean(1), mean(c.Temperature)
}

// goldenSection finds the greatest value of f, which has one peak, between lo
// and hi, to a tolerance.
//
// Kiefer 1953.
func goldenSection(f func(float64) float64, lo, hi, tolerance float64) float64 {
	inverse := 1 / math.Phi
	a, b := hi-inverse*(hi-lo), lo+inverse*(hi-lo)
	fa, fb := f(a), f(b)
	for hi-lo > tolerance {
		if fa >= fb {
			hi, b, fb = b, a, fa
			a = hi - inverse*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + inverse*(hi-lo)
			fb = f(b)
		}
	}
	return (lo + hi) / 2
}

// conformal are the conformal levels of transforms u.
func conformal(u []float64) (levels checkpoint.Levels, err error) {
	for _, nominal := range NominalLevels {
		l := checkpoint.Level{Nominal: nominal}
		if l.Lo, l.Hi, err = score.ConformalLevels(u, nominal); err != nil {
			return nil, err
		}
		levels = append(levels, l)
	}
	return levels, nil
}

// fitOneStep fits the levels of the next return and the step of the adaptive
// interval.
func fitOneStep(c *checkpoint.Calibration, codec dataset.Codec, logits *predict.Logits) error {
	laws, err := logits.Laws(codec, c.Temperature)
	if err != nil {
		return err
	}
	u := transforms(codec, logits.Streams, laws)
	if c.OneStep, err = conformal(u); err != nil {
		return err
	}
	c.Gamma = fitGamma(logits.Streams, laws, u)
	return nil
}

// transforms are the distribution functions of laws at what happened.
func transforms(codec dataset.Codec, streams []*dataset.Stream, laws []predict.Law) []float64 {
	u := make([]float64, len(laws))
	cells := codec.Emission.Cells()
	parallel.For(len(u), 64, func(lo, hi int) {
		for i, l := range laws[lo:hi] {
			u[lo+i] = min(max(cells.New32(l.Cells, l.Mean, l.Sigma).CDF(streams[l.Stream].Return(l.Index)), 0), 1)
		}
	})
	return u
}

// fitGamma chooses the step of adaptive conformal inference by the interval
// score, in probability, of the second half of the dates, with levels of the
// first half.
func fitGamma(streams []*dataset.Stream, laws []predict.Law, u []float64) float64 {
	date := func(i int) int64 { return streams[laws[i].Stream].Times[laws[i].Index].Unix() }
	dates := make([]int64, len(laws))
	for i := range laws {
		dates[i] = date(i)
	}
	slices.Sort(dates)
	middle := dates[len(dates)/2]
	var first []float64
	second := make([][]float64, len(streams))
	for i, l := range laws {
		if date(i) < middle {
			first = append(first, u[i])
		} else {
			second[l.Stream] = append(second[l.Stream], u[i])
		}
	}
	levels, err := conformal(first)
	if err != nil {
		return usualGamma
	}
	best, gamma := math.Inf(1), usualGamma
	for _, g := range gammas {
		loss := 0.0
		for _, u := range second {
			a := NewAdaptive(levels, g)
			for _, v := range u {
				lo, hi := a.Levels()
				loss += score.IntervalScore(lo, hi, v, AdaptiveLevel)
				a.Update(v)
			}
		}
		if loss < best {
			best, gamma = loss, g
		}
	}
	return gamma
}

// Adaptive is the interval of the next return of one asset by adaptive
// conformal inference: that of [AdaptiveLevel], made wider after a miss and
// narrower after none.
type Adaptive struct {
	levels checkpoint.Levels
	state  *score.Adaptive
}

// NewAdaptive begins at the calibrated level.
func NewAdaptive(levels checkpoint.Levels, gamma float64) *Adaptive {
	return &Adaptive{levels, score.NewAdaptive(AdaptiveLevel, gamma)}
}

// MissRate is what the next interval is built for. It is outside 0 to 1 at
// times: see [score.Adaptive.Next].
func (a *Adaptive) MissRate() float64 { return a.state.Next() }

// Levels are the quantile levels of the next interval: 0 and 1 where it is the
// whole line, one and the same where it is empty.
func (a *Adaptive) Levels() (lo, hi float64) { return a.levels.At(1 - a.MissRate()) }

// Update takes in the transform u of what happened, and reports whether the
// interval missed it.
func (a *Adaptive) Update(u float64) (miss bool) {
	lo, hi := a.Levels()
	switch rate := a.MissRate(); {
	case rate >= 1:
		miss = true
	case rate > 0:
		miss = u < lo || u > hi
	}
	a.state.Update(miss)
	return miss
}

// fitPaths fits the levels of the cumulative returns of paths. All horizons are
// read off the same paths, whose origins lie evenly over the validation part.
func fitPaths(ctx context.Context, r *gpt.Runner, codec dataset.Codec, streams []*dataset.Stream, temperature float64, o CalibrationOptions) ([]checkpoint.HorizonLevels, error) {
	horizons := feasible(streams, o)
	if len(horizons) == 0 {
		return nil, fmt.Errorf("paths: %w: validation has %d candles, want at least %d", score.ErrTooFew, len(originsOf(streams, 1)), leastOutcomes())
	}
	longest := horizons[len(horizons)-1]
	origins := spread(originsOf(streams, longest), o.Origins)
	u := make([][]float64, len(horizons))
	for h := range u {
		u[h] = make([]float64, len(origins))
	}
	faults := make([]error, len(origins))
	parallel.For(len(origins), 1, func(lo, hi int) {
		for i := lo; i < hi && ctx.Err() == nil; i++ {
			at := origins[i]
			s := streams[at.Stream]
			paths, err := predict.Paths(ctx, r, codec, s, at.From, predict.Window(r.Model(), longest), gpt.Generation{
				Paths: o.Samples, Steps: longest, Sampler: gpt.Sampler{Temperature: temperature},
				Seed: rng.Hash(o.Seed, rng.Rank, uint64(at.Stream), uint64(at.From)),
			})
			if err != nil {
				faults[i] = err
				continue
			}
			closes := make([]float64, len(paths))
			for h, horizon := range horizons {
				for k, p := range paths {
					closes[k] = p.Candles[horizon-1].Close
				}
				slices.Sort(closes)
				tie := rng.New(o.Seed, rng.Rank, uint64(at.Stream), uint64(at.From), uint64(horizon)).Float64()
				u[h][i] = score.RankPIT(closes, s.Candles[at.From+horizon-1].Close, tie)
			}
		}
	})
	if err := errors.Join(append(faults, ctx.Err())...); err != nil {
		return nil, err
	}
	var out []checkpoint.HorizonLevels
	for h, horizon := range horizons {
		levels, err := conformal(u[h])
		if err != nil {
			return nil, fmt.Errorf("horizon %d: %w", horizon, err)
		}
		out = append(out, checkpoint.HorizonLevels{Horizon: horizon, Origins: len(origins), Levels: levels})
	}
	return out, nil
}

// leastOutcomes is how many outcomes the widest interval needs.
func leastOutcomes() int { return score.LeastOutcomes(NominalLevels[len(NominalLevels)-1]) }

// feasible are the horizons with enough origins in the validation part.
func feasible(streams []*dataset.Stream, o CalibrationOptions) (horizons []int) {
	for _, h := range append(slices.Clone(calibratedHorizons), o.Horizon) {
		if h <= o.Horizon && !slices.Contains(horizons, h) && len(originsOf(streams, h)) >= leastOutcomes() {
			horizons = append(horizons, h)
		}
	}
	return horizons
}

// originsOf are the windows of one token before horizon candles of the
// validation part.
func originsOf(streams []*dataset.Stream, horizon int) []dataset.Window {
	return dataset.HorizonWindows(streams, dataset.Val, 1, horizon, 1, 0)
}

// spread is n of all, or all if they are fewer, at even distances.
func spread(all []dataset.Window, n int) (some []dataset.Window) {
	n = min(n, len(all))
	for i := range n {
		some = append(some, all[i*len(all)/n])
	}
	return some
}

// rankQuantile is the inverse of [score.RankPIT] over ascending draws: the
// value that a further draw is below with probability p (type 6 of Hyndman &
// Fan 1996), the extremes of the draws beyond them.
func rankQuantile(sorted []float64, p float64) float64 {
	n := float64(len(sorted))
	if n == 1 {
		return sorted[0]
	}
	return score.Quantile(sorted, min(max((p*(n+1)-1)/(n-1), 0), 1))
}
