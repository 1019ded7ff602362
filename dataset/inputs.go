package dataset

import (
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/feature"
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
		gap := int(next.Sub(now)/max(interval, 1)) - 1
		cond = append(cond, int32(next.Weekday()), int32(min(max(gap, 0), maxGap-1)))
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

// Validate reports names that are missing or twice there.
func (in Inputs) Validate() error {
	for i, a := range in.Assets {
		if a == "" || slices.Contains(in.Assets[:i], a) {
			return fmt.Errorf("dataset: inputs: asset %d, %q, is empty or there twice", i, a)
		}
	}
	return nil
}
