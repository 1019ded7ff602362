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
	hours := days(10)
	hours.Interval = market.Hour
	for i := range hours.Candles {
		hours.Candles[i].Time = time.Date(2020, 1, 10, 9+i, 0, 0, 0, time.UTC)
	}
	for _, c := range []struct {
		series *market.Series
		day    int
		want   string
	}{
		{days(10), 9, ""},
		{days(10), 10, ""},
		{days(10), 11, "X ends with 2020-01-10: there is no candle of 2020-01-11"},
		{hours, 10, ""}, // which has some
		{hours, 11, "X ends with 2020-01-10 18:00: there is no candle of 2020-01-11"},
	} {
		asked := time.Date(2020, 1, c.day, 0, 0, 0, 0, time.UTC)
		if got := forecast.Over(c.series, asked, asked.AddDate(0, 0, 1), asked.Format(time.DateOnly)); got != c.want {
			t.Errorf("%s, day %d: %q, want %q", c.series.Interval, c.day, got, c.want)
		}
	}
}
