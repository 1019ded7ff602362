package market

import (
	"slices"
	"time"
)

// weekendMemory is how far back is looked to tell whether an asset trades on
// weekends: over four of them, whatever the interval.
const weekendMemory = 28 * 24 * time.Hour

// NextTimes continues the times of candles, of which there is at least one, by
// n. Weekends are left out where the newest candles have none.
func NextTimes(times []time.Time, interval Interval, n int) []time.Time {
	t := times[len(times)-1]
	weekends := false
	for _, at := range slices.Backward(times) {
		if t.Sub(at) >= weekendMemory {
			break
		}
		weekends = weekends || weekend(at)
	}
	skip := !weekends && time.Duration(interval) <= 24*time.Hour
	step := max(time.Duration(interval), time.Second)
	var next []time.Time
	for len(next) < n {
		t = t.Add(step)
		if skip && weekend(t) {
			continue
		}
		next = append(next, t)
	}
	return next
}

func weekend(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }
