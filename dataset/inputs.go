package dataset

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// Inputs says what a model sees with every token beside the token. All of it is
// known before the candle that is to be predicted: the newest candle itself, the
// volatility so far, how much was traded, the date for which it is predicted, and
// the asset.
type Inputs struct {
	Candle     bool     `json:"candle,omitempty"`     // feature.CandleFeatures floats of the token's own candle
	Volatility bool     `json:"volatility,omitempty"` // feature.StateFeatures floats
	Volume     bool     `json:"volume,omitempty"`     // feature.VolumeFeatures floats
	Calendar   bool     `json:"calendar,omitempty"`   // weekday of the next candle, and how long until then
	Assets     []string `json:"assets,omitempty"`     // these by name; all others are alike

	// Clock, of candles shorter than a day, is that of the weekday; with it the
	// calendar tells the half hour too, and whether the next candle opens a
	// session.
	Clock *feature.Clock `json:"clock,omitempty"`
}

// maxGap is the longest gap between candles that is told apart, in days for
// daily candles and in candles for all others.
const maxGap = 5

// Cond is the number of values of each conditioning integer, as a model's
// config takes it.
func (in Inputs) Cond() (sizes []int) {
	if in.Calendar {
		sizes = append(sizes, 7, maxGap)
	}
	if in.Clock != nil {
		sizes = append(sizes, feature.DaySlots, 2)
	}
	if len(in.Assets) > 0 {
		sizes = append(sizes, len(in.Assets)+1)
	}
	return sizes
}

// Features is the number of floats.
func (in Inputs) Features() (n int) {
	if in.Candle {
		n += feature.CandleFeatures
	}
	if in.Volatility {
		n += feature.StateFeatures
	}
	if in.Volume {
		n += feature.VolumeFeatures
	}
	return n
}

// Any reports whether there is anything.
func (in Inputs) Any() bool {
	return in.Candle || in.Volatility || in.Volume || in.Calendar || len(in.Assets) > 0
}

// append is [Codec.AppendInputs]; interval is the usual time between candles.
func (in Inputs) append(cond []int32, features []float32, asset string, s feature.Scaler, newest feature.Vector, state feature.State, now, next time.Time, interval time.Duration) ([]int32, []float32) {
	if in.Calendar {
		day := next
		if in.Clock != nil {
			day = next.In(in.Clock.Location)
		}
		gap := int(next.Sub(now)/max(interval, 1)) - 1
		cond = append(cond, int32(day.Weekday()), int32(min(max(gap, 0), maxGap-1)))
	}
	if in.Clock != nil {
		opens := int32(0)
		if feature.Opens(now, next, market.Interval(interval)) {
			opens = 1
		}
		cond = append(cond, int32(in.Clock.Slot(next)), opens)
	}
	if len(in.Assets) > 0 {
		cond = append(cond, int32(slices.Index(in.Assets, asset)+1))
	}
	if in.Candle {
		features = newest.Features(features)
	}
	if in.Volatility {
		features = s.Features(features, state)
	}
	if in.Volume {
		features = state.Volume(features)
	}
	return cond, features
}

// Validate reports names that are missing or twice there, and a clock where there
// is no calendar, or where candles of the interval do not lie within the day.
func (in Inputs) Validate(interval string) error {
	if in.Clock != nil {
		if !in.Calendar {
			return errors.New("dataset: inputs: a clock without the calendar")
		}
		if i, err := market.ParseInterval(interval); err != nil || i >= market.Day {
			return fmt.Errorf("dataset: inputs: a clock for candles of %q, want an interval shorter than a day", interval)
		}
	}
	for i, a := range in.Assets {
		if a == "" || slices.Contains(in.Assets[:i], a) {
			return fmt.Errorf("dataset: inputs: asset %d, %q, is empty or there twice", i, a)
		}
	}
	return nil
}
