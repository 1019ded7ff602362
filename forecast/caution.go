package forecast

import (
	"fmt"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// Short says so where a series has fewer than [feature.WarmUp] candles; else it is
// empty.
func Short(s *market.Series) string {
	n := len(s.Candles)
	if n >= feature.WarmUp {
		return ""
	}
	return fmt.Sprintf("%s has %d candles until then: with fewer than %d its volatility is in part that of the training candles", s.Symbol, n, feature.WarmUp)
}

// Over says so where a series, of at least one candle, ends before a date, which
// lasts from asked to end, and another candle would begin before it is over. Else it
// is empty.
func Over(s *market.Series, asked, end time.Time, date string) string {
	last := s.Candles[len(s.Candles)-1].Time
	if !last.Before(asked) || !market.NextTimes(s.Times(), s.Interval, 1)[0].Before(end) {
		return ""
	}
	return fmt.Sprintf("%s ends with %s: there is no candle of %s", s.Symbol, last.Format(s.Interval.Layout()), date)
}
