package market

import (
	"slices"
	"testing"
	"time"
)

func TestTimesToComeFollowTheCalendarOfTheSeries(t *testing.T) {
	friday := time.Date(2024, 5, 3, 0, 0, 0, 0, time.UTC)
	times := func(interval Interval, last time.Time, n int, weekends bool) (times []time.Time) {
		for at := last; len(times) < n; at = at.Add(-time.Duration(interval)) {
			if weekends || !weekend(at) {
				times = append(times, at)
			}
		}
		slices.Reverse(times)
		return times
	}
	day := func(d int) time.Time { return friday.AddDate(0, 0, d) }
	for _, c := range []struct {
		name     string
		interval Interval
		times    []time.Time
		want     []time.Time
	}{
		{"stock", Day, times(Day, friday, 100, false), []time.Time{day(3), day(4), day(5), day(6), day(7), day(10)}},
		{"young stock", Day, times(Day, friday, 8, false), []time.Time{day(3), day(4)}},
		{"crypto", Day, times(Day, friday, 100, true), []time.Time{day(1), day(2), day(3)}},
		{"minutes of crypto", Minute, times(Minute, friday.Add(24*time.Hour-time.Minute), 20_000, true), []time.Time{day(1), day(1).Add(time.Minute)}},
		{"weeks that begin on Sunday", Week, times(Week, day(2), 20, true), []time.Time{day(9), day(16)}},
		{"weeks that begin on Monday", Week, times(Week, day(3), 20, true), []time.Time{day(10), day(17)}},
		{"hours of crypto", Hour, times(Hour, friday.Add(23*time.Hour), 200, true), []time.Time{day(1), day(1).Add(time.Hour)}},
		{"hours of weekdays", Hour, times(Hour, friday.Add(23*time.Hour), 200, false), []time.Time{day(3), day(3).Add(time.Hour)}},
	} {
		if got := NextTimes(c.times, c.interval, len(c.want)); !slices.EqualFunc(got, c.want, time.Time.Equal) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
