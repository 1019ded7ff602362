// Package market reads candles from files, checks them, and generates a
// synthetic market whose true one-step law is known.
//
// Nothing is repaired in silence. A file that the package is not sure of is
// refused with one error that names file, line and field; what may be done about
// it is asked for in [Options], and every row that is changed or left out then
// stands in the [Report].
package market

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Kinds of refusal.
var (
	ErrNoData     = errors.New("no candle files")              // a folder holds none, or does not exist
	ErrNotCandles = errors.New("no candle file")               // it holds something else
	ErrDateOrder  = errors.New("the order of the dates")       // settled by Options.DateOrder
	ErrDecimal    = errors.New("the decimal sign")             // settled by Options.Decimal
	ErrSeveral    = errors.New("it holds more than one asset") // an archive, read by [ReadEach]
)

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
// a time without a zone is taken for UTC, or for that of [Options].
type Series struct {
	Symbol   string
	Interval Interval
	Candles  []Candle
	Path     string // where it was read; empty if it was not
}

// Times are those of the candles.
func (s *Series) Times() []time.Time {
	times := make([]time.Time, len(s.Candles))
	for i, c := range s.Candles {
		times[i] = c.Time
	}
	return times
}

// Before is s as far as its candles come before a time.
func (s *Series) Before(t time.Time) *Series {
	n, _ := slices.BinarySearchFunc(s.Candles, t, func(c Candle, t time.Time) int { return c.Time.Compare(t) })
	cut := *s
	cut.Candles = s.Candles[:n:n]
	return &cut
}

// FormatPrice writes five significant digits, and all digits before the point.
func FormatPrice(x float64) string {
	digits := max(0, 4-int(math.Floor(math.Log10(x))))
	return strconv.FormatFloat(x, 'f', min(digits, 12), 64)
}

// Options say how a file is read where it does not say so itself, and what may
// be done about its faults. The zero value reads what is plain and repairs
// nothing.
type Options struct {
	DateOrder DateOrder      // of dates such as 01/02/2024; empty: found out, or refused
	Decimal   string         // "." or ","; empty: found out, or refused
	Zone      *time.Location // of times that name none, and of the dates of daily candles that are instants; nil: UTC
	Scale     float64        // price of one point; 0: prices are prices
	Adjust    bool           // multiply prices by adjusted close / close
	Repair    bool           // see [Report]: order, exact copies, high and low, volume, units
	Drop      bool           // leave out rows at fault
}

// Validate reports all faults of o at once.
func (o Options) Validate() error {
	var errs []error
	switch o.DateOrder {
	case "", DayFirst, MonthFirst, YearFirst:
	default:
		errs = append(errs, fmt.Errorf("market: date order %q: want dmy, mdy or ymd", o.DateOrder))
	}
	switch o.Decimal {
	case "", ".", ",":
	default:
		errs = append(errs, fmt.Errorf("market: decimal sign %q: want a point or a comma", o.Decimal))
	}
	if o.Scale < 0 || math.IsNaN(o.Scale) || math.IsInf(o.Scale, 0) {
		errs = append(errs, fmt.Errorf("market: scale %v: want a positive number, such as 1e-5", o.Scale))
	}
	return errors.Join(errs...)
}
