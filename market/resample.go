package market

import (
	"fmt"
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

// Resample joins candles into longer ones: the first open, the highest high, the
// lowest low, the last close and the sum of the volumes, which is missing where
// one of them is. An interval without a candle gives none.
//
// Below a day, candles begin at multiples of the interval since midnight UTC, so
// that the first of a session may be shorter than the others. From a day on they
// are those of the calendar of zone (nil: UTC): days, weeks from Monday, months;
// several of them are counted from 1970. The last candle may be unfinished.
//
// The interval must be a multiple of that of s.
func Resample(s *Series, interval Interval, zone *time.Location) (*Series, error) {
	if interval <= s.Interval || interval%s.Interval != 0 {
		return nil, fmt.Errorf("market: %s: candles of %s make none of %s: want a multiple of the interval", s.Symbol, s.Interval, interval)
	}
	if interval < Day && Day%interval != 0 {
		return nil, fmt.Errorf("market: %s: %s does not divide a day", s.Symbol, interval)
	}
	out := &Series{Symbol: s.Symbol, Interval: interval, Path: s.Path}
	for _, c := range s.Candles {
		at := c.Time
		if s.Interval < Day && interval >= Day && zone != nil {
			at = at.In(zone)
		}
		start := beginning(at, interval)
		n := len(out.Candles)
		if n == 0 || !start.Equal(out.Candles[n-1].Time) {
			c.Time = start
			out.Candles = append(out.Candles, c)
			continue
		}
		sum := &out.Candles[n-1]
		sum.High, sum.Low = max(sum.High, c.High), min(sum.Low, c.Low)
		sum.Close = c.Close
		sum.Volume += c.Volume
	}
	return out, nil
}

// beginning is the start of the interval that t is in.
func beginning(t time.Time, interval Interval) time.Time {
	if interval < Day {
		return t.UTC().Truncate(time.Duration(interval))
	}
	date := calendar.Date(t)
	switch {
	case interval%Month == 0:
		months := (date.Year()-1970)*12 + int(date.Month()) - 1
		return time.Date(1970, time.Month(1+floor(months, int(interval/Month))), 1, 0, 0, 0, 0, time.UTC)
	case interval%Week == 0:
		const monday = 4 // 1970-01-05
		days := int(date.Unix()/(24*3600)) - monday
		return time.Unix(int64(floor(days, int(interval/Day))+monday)*24*3600, 0).UTC()
	}
	return time.Unix(int64(floor(int(date.Unix()/(24*3600)), int(interval/Day)))*24*3600, 0).UTC()
}

// floor is the largest multiple of step that is not above n.
func floor(n, step int) int {
	if rest := n % step; rest < 0 {
		return n - rest - step
	}
	return n - n%step
}
