package forecast_test

import (
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// days is a series of n days from Wednesday 2020-01-01 on, weekends too.
func days(n int) *market.Series {
	s := &market.Series{Symbol: "X", Interval: market.Day}
	for i := range n {
		s.Candles = append(s.Candles, market.Candle{Time: time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC), Open: 1, High: 1, Low: 1, Close: 1})
	}
	return s
}

func TestShortSeriesAreSaid(t *testing.T) {
	if got := forecast.Short(days(feature.WarmUp)); got != "" {
		t.Errorf("%d candles: %q, want silence", feature.WarmUp, got)
	}
	if got, want := forecast.Short(days(feature.WarmUp-1)), "X has 29 candles until then: with fewer than 30 "; !strings.HasPrefix(got, want) {
		t.Errorf("%d candles: %q, want %q", feature.WarmUp-1, got, want)
	}
}

func TestSeriesThatEndBeforeADateAreSaid(t *testing.T) {
	s := days(10) // to 2020-01-10
	if got := forecast.Over(s, time.Date(2020, 1, 11, 0, 0, 0, 0, time.UTC), "2020-01-10"); got != "" {
		t.Errorf("of the last day: %q, want silence", got)
	}
	got := forecast.Over(s, time.Date(2020, 1, 12, 0, 0, 0, 0, time.UTC), "2020-01-11")
	if want := "X ends with 2020-01-10: there is no candle of 2020-01-11"; got != want {
		t.Errorf("of the next day: %q, want %q", got, want)
	}
}
