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

// Over says so where a series, of at least one candle, ends so early that another
// candle would begin before end; date is what was asked for. Else it is empty.
func Over(s *market.Series, end time.Time, date string) string {
	if !market.NextTimes(s.Times(), s.Interval, 1)[0].Before(end) {
		return ""
	}
	last := s.Candles[len(s.Candles)-1].Time
	return fmt.Sprintf("%s ends with %s: there is no candle of %s", s.Symbol, last.Format(s.Interval.Layout()), date)
}
