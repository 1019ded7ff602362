package market

import (
	"testing"
	"time"
)

func TestIntervalText(t *testing.T) {
	for text, want := range map[string]Interval{
		"30s": Interval(30 * time.Second), "5m": 5 * Minute, "1h": Hour, "4h": 4 * Hour, "1d": Day, "1w": Week, "2w": 2 * Week, "1mo": Month, "3mo": 3 * Month,
	} {
		if got, err := ParseInterval(text); got != want || err != nil {
			t.Errorf("ParseInterval(%q) = %v, %v, want %v", text, got, err, want)
		}
		if got := want.String(); got != text {
			t.Errorf("String of %d = %q, want %q", want, got, text)
		}
	}
	for _, text := range []string{"", "d", "1", "0d", "-1d", "1.5h", "1x", "d1", "1 d", "9999999999999mo", "é"} {
		if got, err := ParseInterval(text); err == nil {
			t.Errorf("ParseInterval(%q) = %v, want an error", text, got)
		}
	}
}

func TestMedianStep(t *testing.T) {
	weekdays := SyntheticConfig{Candles: 20, Interval: Day, Start: day(2024, 1, 1)}.times()
	months := []time.Time{}
	for m := range 14 {
		months = append(months, day(2024, 1+m, 1))
	}
	hours := []time.Time{}
	for d := range 10 { // six candles a day, then the night
		for h := range 6 {
			hours = append(hours, day(2024, 1, 1+d).Add(time.Duration(9+h)*time.Hour))
		}
	}
	var quarters []time.Time
	for q := range 9 {
		quarters = append(quarters, day(2020, 1+3*q, 1))
	}
	for name, c := range map[string]struct {
		times []time.Time
		want  Interval
	}{
		"weekdays": {weekdays, Day},
		"weeks":    {[]time.Time{day(2024, 1, 1), day(2024, 1, 8), day(2024, 1, 15), day(2024, 2, 5)}, Week},
		"months":   {months, Month},
		"quarters": {quarters, 3 * Month},
		"sessions": {hours, Hour},
		"one time": {weekdays[:1], 0},
		"none":     {nil, 0},
		"same":     {[]time.Time{day(2024, 1, 1), day(2024, 1, 1)}, 0},
	} {
		var steps []time.Duration
		for i := 1; i < len(c.times); i++ {
			steps = append(steps, c.times[i].Sub(c.times[i-1]))
		}
		if got := medianStep(steps); got != c.want {
			t.Errorf("medianStep(%s) = %v, want %v", name, got, c.want)
		}
	}
}
