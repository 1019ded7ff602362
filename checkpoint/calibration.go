package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Calibration says how far the probabilities of a model can be taken at their
// word, as the validation part has shown. It belongs to the weights beside it:
// training on drops it.
type Calibration struct {
	// Temperature divides the logits. Of all in [MinTemperature,
	// MaxTemperature] it has the best mean score: Guo et al. 2017, section 4.2.
	Temperature float64 `json:"temperature"`
	Score       string  `json:"score"`   // what the mean is of: ScoreDensity or ScoreToken
	Before      float64 `json:"before"`  // mean score at temperature 1, in nats per candle; more is better
	After       float64 `json:"after"`   // and at Temperature
	Targets     int     `json:"targets"` // how many candles it is the mean of

	// OneStep are quantile levels of the exact density of the next return at
	// Temperature, by split conformal prediction. None where returns given
	// tokens are not known.
	OneStep Levels `json:"one_step,omitempty"`

	// Gamma is the step of adaptive conformal inference that starts from
	// OneStep; 0 where that is missing.
	Gamma float64 `json:"gamma,omitempty"`

	// Paths are quantile levels of the cumulative returns of free-running
	// paths at Temperature, by horizon.
	Paths []HorizonLevels `json:"paths"`
}

// What a temperature is chosen by.
const (
	ScoreDensity = "density" // log of the exact density of the next return
	ScoreToken   = "token"   // log of the probability of the next token
)

// Bounds of the temperature.
const (
	MinTemperature = 0.5
	MaxTemperature = 2
)

// Level is one calibrated central interval: between the quantiles Lo and Hi of
// the forecast, about Nominal of the outcomes fall.
type Level struct {
	Nominal float64 `json:"nominal"`
	Lo      float64 `json:"lo"`
	Hi      float64 `json:"hi"`
}

// Levels are calibrated intervals, each inside the next.
type Levels []Level

// HorizonLevels are the levels of the return over Horizon candles.
type HorizonLevels struct {
	Horizon int    `json:"horizon"`
	Origins int    `json:"origins"` // how many outcomes show them
	Levels  Levels `json:"levels"`
}

// At returns the quantile levels of the central interval of any probability.
// Between those that l has they are interpolated; the interval of 0 is the
// middle of the narrowest, that of 1 the whole line.
func (l Levels) At(nominal float64) (lo, hi float64) {
	middle := (l[0].Lo + l[0].Hi) / 2
	at := Level{Nominal: 0, Lo: middle, Hi: middle}
	for _, next := range append(slices.Clone(l), Level{Nominal: 1, Lo: 0, Hi: 1}) {
		if nominal <= next.Nominal {
			share := max(0, (nominal-at.Nominal)/(next.Nominal-at.Nominal))
			return at.Lo + share*(next.Lo-at.Lo), at.Hi + share*(next.Hi-at.Hi)
		}
		at = next
	}
	return 0, 1
}

// PathLevels returns the quantile levels of the central interval of the return
// over horizon candles. Between the horizons of c they are interpolated in
// √horizon, as the width of a random walk grows; beyond the last nothing is
// known and ok is false.
func (c *Calibration) PathLevels(horizon int, nominal float64) (lo, hi float64, ok bool) {
	i, found := slices.BinarySearchFunc(c.Paths, horizon, func(h HorizonLevels, want int) int { return h.Horizon - want })
	switch {
	case i == len(c.Paths) || i == 0 && !found:
		return 0, 0, false
	case found:
		lo, hi = c.Paths[i].Levels.At(nominal)
		return lo, hi, true
	}
	before, after := c.Paths[i-1], c.Paths[i]
	root := func(h int) float64 { return math.Sqrt(float64(h)) }
	share := (root(horizon) - root(before.Horizon)) / (root(after.Horizon) - root(before.Horizon))
	lo, hi = before.Levels.At(nominal)
	farLo, farHi := after.Levels.At(nominal)
	return lo + share*(farLo-lo), hi + share*(farHi-hi), true
}

// SampleAt is the temperature that logits are read at: 1 without a calibration.
func (c *Calibration) SampleAt() float64 {
	if c == nil {
		return 1
	}
	return c.Temperature
}

// MaxHorizon is the longest horizon that c knows.
func (c *Calibration) MaxHorizon() int { return c.Paths[len(c.Paths)-1].Horizon }

// Validate reports everything that is wrong with c at once.
func (c *Calibration) Validate() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("calibration: "+format, args...))
	}
	if !(c.Temperature >= MinTemperature && c.Temperature <= MaxTemperature) {
		fault("temperature %v: want %v to %v", c.Temperature, float64(MinTemperature), float64(MaxTemperature))
	}
	if c.Score != ScoreDensity && c.Score != ScoreToken {
		fault("score %q: want %s or %s", c.Score, ScoreDensity, ScoreToken)
	}
	if c.Targets < 1 {
		fault("of %d targets", c.Targets)
	}
	switch exact := c.Score == ScoreDensity; {
	case exact != (len(c.OneStep) > 0):
		fault("%d intervals of the next return by the score %q", len(c.OneStep), c.Score)
	case exact && !(c.Gamma > 0 && c.Gamma <= 1), !exact && c.Gamma != 0:
		fault("gamma %v by the score %q", c.Gamma, c.Score)
	case exact:
		if err := c.OneStep.validate(); err != nil {
			fault("next return: %w", err)
		}
	}
	if len(c.Paths) == 0 || c.Paths[0].Horizon != 1 {
		fault("%d horizons: want some, the first of them 1", len(c.Paths))
	}
	for i, p := range c.Paths {
		if i > 0 && p.Horizon <= c.Paths[i-1].Horizon {
			fault("horizon %d after %d", p.Horizon, c.Paths[i-1].Horizon)
		}
		if p.Origins < 1 {
			fault("horizon %d: %d origins", p.Horizon, p.Origins)
		}
		if err := p.Levels.validate(); err != nil {
			fault("horizon %d: %w", p.Horizon, err)
		}
	}
	return errors.Join(errs...)
}

func (l Levels) validate() error {
	if len(l) == 0 {
		return errors.New("no intervals")
	}
	for i, v := range l {
		switch {
		case !(v.Nominal > 0 && v.Nominal < 1):
			return fmt.Errorf("an interval of probability %v", v.Nominal)
		case !(v.Lo >= 0 && v.Lo <= v.Hi && v.Hi <= 1):
			return fmt.Errorf("an interval of the quantiles %v to %v", v.Lo, v.Hi)
		case i > 0 && !(v.Nominal > l[i-1].Nominal && v.Lo <= l[i-1].Lo && v.Hi >= l[i-1].Hi):
			return fmt.Errorf("the interval of %v is not around that of %v", v.Nominal, l[i-1].Nominal)
		}
	}
	return nil
}

// WithCalibration returns b with c, which ranges of data have shown, in place
// of what calibration it has; nil takes that away. The weights are shared.
func (b *Bundle) WithCalibration(c *Calibration, ranges []Range) *Bundle {
	out := *b
	out.Calibration, out.Selected = c, nil
	for _, r := range b.Selected {
		if r.Part != Calibrated {
			out.Selected = append(out.Selected, r)
		}
	}
	if c != nil {
		out.Selected = append(out.Selected, ranges...)
	}
	return &out
}

// CalibratedOn is the range of dates that the calibration has seen; the zero
// Range where there is none.
func (b *Bundle) CalibratedOn() Range {
	for _, r := range b.Selected {
		if r.Part == Calibrated {
			return r
		}
	}
	return Range{}
}

// checkCalibration refuses a calibration that is unsound, or that does not say
// what it has seen, which would make its scores look like those of a forecast.
func (b *Bundle) checkCalibration() error {
	if b.Calibration == nil {
		return nil
	}
	if err := b.Calibration.Validate(); err != nil {
		return err
	}
	switch exact := b.Calibration.Score == ScoreDensity; {
	case b.Model == nil || b.Tokenizer == nil:
		return errors.New("calibration: of no model of candles")
	case exact != (b.Emission != nil):
		return fmt.Errorf("calibration: by the score %q, the returns given tokens are known: %v", b.Calibration.Score, b.Emission != nil)
	case b.CalibratedOn().First.IsZero():
		return fmt.Errorf("calibration: no dates that the %s has seen", Calibrated)
	}
	return nil
}
