package eval

import (
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/score"
)

// Misses is how often returns of one asset fell into an interval, and whether
// that is its probability.
type Misses struct {
	Coverage float64      `json:"coverage"`
	Kupiec   score.Number `json:"kupiec_p"` // Kupiec 1995
}

// calibrated fills in what the intervals of a calibration held. pit are the
// transforms of all targets at its temperature, asset by asset as in row.Assets,
// each in the order of time.
func (row *DensityRow) calibrated(c *checkpoint.Calibration, pit []float64) {
	if c == nil {
		return
	}
	row.Temperature = c.Temperature
	if len(c.OneStep) == 0 {
		return
	}
	for _, level := range coverageLevels {
		row.Calibrated = append(row.Calibrated, covered(conformalMisses(c, level, pit), level))
	}
	var all []bool
	for i := range row.Assets {
		a := &row.Assets[i]
		var u []float64
		u, pit = pit[:a.Targets], pit[a.Targets:]
		a.Calibrated = missesOf(conformalMisses(c, forecast.AdaptiveLevel, u))
		adaptive := forecast.NewAdaptive(c.OneStep, c.Gamma)
		missed := make([]bool, len(u))
		for k, v := range u {
			missed[k] = adaptive.Update(v)
		}
		a.Adaptive = missesOf(missed)
		all = append(all, missed...)
	}
	adaptive := covered(all, forecast.AdaptiveLevel)
	row.Adaptive = &adaptive
}

// calibratedPaths fills in what the intervals of a calibration held of the returns
// after at.Horizon candles. pit are their transforms by the paths of origins; lag
// counts the dates whose horizons overlap.
func (c *Contest) calibratedPaths(at *HorizonScore, cal *checkpoint.Calibration, origins []dataset.Window, pit []float64, lag int) {
	if _, _, ok := cal.PathLevels(at.Horizon, forecast.AdaptiveLevel); !ok {
		return
	}
	for _, level := range coverageLevels {
		lo, hi, _ := cal.PathLevels(at.Horizon, level)
		at.Calibrated = append(at.Calibrated, covered(missesOutside(pit, lo, hi), level))
	}
	lo, hi, _ := cal.PathLevels(at.Horizon, forecast.AdaptiveLevel)
	missed := missesOutside(pit, lo, hi)
	test := func(keep func(stream int) bool) score.Test {
		var dates []time.Time
		var excess []float64
		for i, w := range origins {
			if !keep(w.Stream) {
				continue
			}
			dates = append(dates, c.streams[w.Stream].Times[w.From])
			held := 1.
			if missed[i] {
				held = 0
			}
			excess = append(excess, held-forecast.AdaptiveLevel)
		}
		return score.Clustered(dates, excess, 1, lag)
	}
	all := test(func(int) bool { return true })
	at.CalibratedTest = &all
	for k, s := range c.streams {
		own := test(func(stream int) bool { return stream == k })
		if own.N > 0 {
			at.Assets = append(at.Assets, PathCoverage{Name: s.Asset, Coverage: forecast.AdaptiveLevel + own.Mean, Test: own})
		}
	}
}

// conformalMisses are the misses of the interval of a probability.
func conformalMisses(c *checkpoint.Calibration, level float64, u []float64) []bool {
	lo, hi := c.OneStep.At(level)
	return missesOutside(u, lo, hi)
}

// missesOutside says which transforms lie outside lo to hi.
func missesOutside(u []float64, lo, hi float64) []bool {
	missed := make([]bool, len(u))
	for i, v := range u {
		missed[i] = v < lo || v > hi
	}
	return missed
}

// covered is the share that was not missed.
func covered(missed []bool, level float64) Interval {
	inside := 0
	for _, m := range missed {
		if !m {
			inside++
		}
	}
	lo, hi := score.Wilson(inside, len(missed), confidence)
	return Interval{Level: level, Share: float64(inside) / float64(len(missed)), Lo: lo, Hi: hi}
}

func missesOf(missed []bool) *Misses {
	return &Misses{
		Coverage: covered(missed, forecast.AdaptiveLevel).Share,
		Kupiec:   score.Number(score.Kupiec(missed, 1-forecast.AdaptiveLevel).P),
	}
}
