package score

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrTooFew says that there are too few outcomes to calibrate an interval by.
var ErrTooFew = errors.New("too few outcomes")

// ConformalLevels is split conformal prediction on transforms: the levels lo
// and hi such that the intervals F⁻¹(lo) to F⁻¹(hi) of forecasts F hold the next
// outcome with a probability of level or more, whatever F and however few the
// n outcomes of calibration, if these and the next are exchangeable. Each tail
// holds at most (1 − level)/2: with k = ⌊(n+1)(1−level)/2⌋ the levels are the
// k-th smallest and the k-th largest of u. Below n = 2/(1−level) − 1 there is no
// such k: [ErrTooFew].
//
//	u  (n)  forecasts' distribution functions at the outcomes of calibration
//
// Vovk, Gammerman & Shafer 2005; Romano, Patterson & Candès 2019, whose scores
// are here split between the tails.
func ConformalLevels(u []float64, level float64) (lo, hi float64, err error) {
	checkPIT(u)
	checkLevel(level)
	n := len(u)
	// A whole number may fall short by the rounding of level.
	k := int(math.Floor(float64(n+1)*(1-level)/2 + 1e-9))
	if k < 1 {
		return 0, 0, fmt.Errorf("score: %w: %d for an interval of %v, want at least %d", ErrTooFew, n, level, LeastOutcomes(level))
	}
	sorted := slices.Clone(u)
	slices.Sort(sorted)
	return sorted[k-1], sorted[n-k], nil
}

// LeastOutcomes is how many outcomes [ConformalLevels] needs.
func LeastOutcomes(level float64) int { return int(math.Ceil(2/(1-level)-1e-9)) - 1 }

// Adaptive is adaptive conformal inference: it moves the miss rate to ask for
// after every outcome, so that in the long run intervals miss as often as they
// should even if the data drift. Over T steps the share of misses differs from
// 1 − Level by at most (max(a, 1−a) + Gamma)/(T·Gamma), a the first Alpha, with
// no assumption on the data.
//
// Gibbs & Candès 2021, proposition 4.1.
type Adaptive struct {
	Level float64 `json:"level"` // coverage wanted
	Gamma float64 `json:"gamma"` // step, above 0; theirs is .005
	Alpha float64 `json:"alpha"` // miss rate to ask for next
}

// NewAdaptive begins at a miss rate of 1 − level.
func NewAdaptive(level, gamma float64) *Adaptive {
	checkLevel(level)
	if !(gamma > 0) {
		panic(fmt.Sprintf("score: adaptive step %v", gamma))
	}
	return &Adaptive{Level: level, Gamma: gamma, Alpha: 1 - level}
}

// Next is the miss rate to build the next interval for. It leaves 0 to 1 by at
// most Gamma: at 0 or below the interval is the whole line and cannot miss, at
// 1 or above it is empty and always misses.
func (a *Adaptive) Next() float64 { return a.Alpha }

// Update tells whether that interval missed.
func (a *Adaptive) Update(miss bool) {
	a.Alpha += a.Gamma * (1 - a.Level)
	if miss {
		a.Alpha -= a.Gamma
	}
}
