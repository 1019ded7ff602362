// Package market reads candles from files, checks them, and generates a
// synthetic market whose true one-step law is known.
//
// Nothing is repaired in silence. A file that the package is not sure of is
// refused with one error that names file, line and field; the only correction,
// widening a high or a low by a rounding error, is counted in the [Report].
package market

import (
	"errors"
	"time"
)

// ErrNoData says that a folder holds no candle file, or does not exist.
var ErrNoData = errors.New("no candle files")

// Candle is the trade of one interval: four prices and a volume.
type Candle struct {
	Time                   time.Time // see [Series]
	Open, High, Low, Close float64   // positive, Low ≤ Open, Close ≤ High
	Volume                 float64   // ≥ 0, NaN where the source has none
}

// Series holds the candles of one asset, in time order.
//
// For intervals of a day and longer, Time is midnight UTC of the local calendar
// date in the file: 1980-12-12 00:00:00-05:00 becomes 1980-12-12T00:00Z, so
// that dates align across assets. For shorter ones it is the instant, in UTC;
// a time without a zone is taken for UTC.
type Series struct {
	Symbol   string
	Interval Interval
	Candles  []Candle
	Path     string // where it was read; empty if it was not
}

// Report says what was found in a file.
type Report struct {
	Path          string    `json:"path"`
	Symbol        string    `json:"symbol"`
	Interval      Interval  `json:"interval"`
	Rows          int       `json:"rows"`
	First         time.Time `json:"first"`
	Last          time.Time `json:"last"`
	Widened       int       `json:"widened"`        // rows whose high or low was widened by a rounding error
	ZeroVolume    int       `json:"zero_volume"`    // rows
	MissingVolume int       `json:"missing_volume"` // rows
	Flat          int       `json:"flat"`           // rows with open = high = low = close
	MaxMove       float64   `json:"max_move"`       // largest absolute log return between closes
	MaxMoveTime   time.Time `json:"max_move_time"`
	MaxGapDays    float64   `json:"max_gap_days"` // longest time between neighbouring candles
}
