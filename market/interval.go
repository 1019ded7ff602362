package market

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Interval is the time from one candle to the next. A month counts as 30 days.
type Interval time.Duration

// Common intervals.
const (
	Minute Interval = Interval(time.Minute)
	Hour   Interval = Interval(time.Hour)
	Day    Interval = 24 * Hour
	Week   Interval = 7 * Day
	Month  Interval = 30 * Day
)

// intervalUnits are tried from the longest: 7 days print as 1w.
var intervalUnits = []struct {
	name string
	unit Interval
}{
	{"mo", Month}, {"w", Week}, {"d", Day}, {"h", Hour}, {"m", Minute}, {"s", Interval(time.Second)},
}

// String gives a whole number of the longest unit that fits: 5m, 1h, 1d, 1w,
// 1mo.
func (i Interval) String() string {
	for _, u := range intervalUnits {
		if i > 0 && i%u.unit == 0 {
			return strconv.FormatInt(int64(i/u.unit), 10) + u.name
		}
	}
	return time.Duration(i).String()
}

// ParseInterval reads what [Interval.String] writes: a whole number and one of
// s, m, h, d, w, mo.
func ParseInterval(text string) (Interval, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	for _, u := range intervalUnits {
		if text[len(digits):] != u.name {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/int64(u.unit) {
			break
		}
		return Interval(n) * u.unit, nil
	}
	return 0, fmt.Errorf("market: interval %q: want a whole number and one of s, m, h, d, w, mo, such as 1d", clip(text))
}

// MarshalText makes JSON show an interval as [Interval.String] does.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (i *Interval) UnmarshalText(text []byte) error {
	parsed, err := ParseInterval(string(text))
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

// medianStep is the median of steps, which it sorts, so that weekends, holidays and
// gaps do not count: 0 without one, or if it is shorter than a second. From a day on
// it is rounded to days, from four weeks on to months.
func medianStep(steps []time.Duration) Interval {
	if len(steps) == 0 {
		return 0
	}
	slices.Sort(steps)
	return roundStep(steps[len(steps)/2])
}

// roundStep turns a median step into an interval.
func roundStep(step time.Duration) Interval {
	const day = 24 * time.Hour
	switch {
	case step < time.Second:
		return 0
	case step < day:
		return Interval(step.Round(time.Second))
	case step < 28*day:
		return Interval(step.Round(day))
	}
	months := math.Round(step.Hours() / 24 / 30.436875) // mean Gregorian month, days
	return Interval(months) * Month
}

// Layout is how [time.Time.Format] writes the times of candles.
func (i Interval) Layout() string {
	if i < Day {
		return "2006-01-02 15:04"
	}
	return time.DateOnly
}
