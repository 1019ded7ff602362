package market

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestResample(t *testing.T) {
	s := &Series{Symbol: "X", Interval: Day}
	for i := range 400 { // from Friday 1969-12-26: before and after 1970
		x := float64(i + 1)
		s.Candles = append(s.Candles, Candle{day(1969, 12, 26).AddDate(0, 0, i), x, x + 2, x - 0.5, x + 1, 1})
	}
	for _, c := range []struct {
		interval Interval
		first    Candle // and the times of the next two
		next     [2]time.Time
	}{
		{2 * Day, Candle{day(1969, 12, 26), 1, 4, 0.5, 3, 2}, [2]time.Time{day(1969, 12, 28), day(1969, 12, 30)}},
		{Week, Candle{day(1969, 12, 22), 1, 5, 0.5, 4, 3}, [2]time.Time{day(1969, 12, 29), day(1970, 1, 5)}},
		{2 * Week, Candle{day(1969, 12, 22), 1, 12, 0.5, 11, 10}, [2]time.Time{day(1970, 1, 5), day(1970, 1, 19)}},
		{Month, Candle{day(1969, 12, 1), 1, 8, 0.5, 7, 6}, [2]time.Time{day(1970, 1, 1), day(1970, 2, 1)}},
		{3 * Month, Candle{day(1969, 10, 1), 1, 8, 0.5, 7, 6}, [2]time.Time{day(1970, 1, 1), day(1970, 4, 1)}},
	} {
		got, err := Resample(s, c.interval, nil)
		if err != nil {
			t.Errorf("%s: %v", c.interval, err)
			continue
		}
		if got.Candles[0] != c.first || got.Candles[1].Time != c.next[0] || got.Candles[2].Time != c.next[1] || got.Interval != c.interval {
			t.Errorf("%s: %v, want %v, then %v", c.interval, got.Candles[:3], c.first, c.next)
		}
	}
	for _, c := range []struct{ from, to Interval }{{Day, Day}, {Day, Hour}, {Week, Month}, {5 * Minute, 7 * Minute}, {5 * Minute, 35 * Minute}} {
		if _, err := Resample(&Series{Symbol: "X", Interval: c.from}, c.to, nil); err == nil {
			t.Errorf("%s to %s is accepted", c.from, c.to)
		}
	}
}

// Days and weeks are those of the zone; hours are not.
func TestResampleInAZone(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	s := &Series{Symbol: "X", Interval: Hour}
	for i := range 48 {
		s.Candles = append(s.Candles, Candle{day(2024, 1, 1).Add(time.Duration(i) * time.Hour), 1, 1, 1, 1, 1})
	}
	got, err := Resample(s, Day, zone)
	if err != nil || len(got.Candles) != 3 || got.Candles[0].Time != day(2023, 12, 31) || got.Candles[0].Volume != 5 || got.Candles[1].Volume != 24 {
		t.Errorf("%v, %v, want 5, 24 and 19 hours", got, err)
	}
	got, err = Resample(s, 4*Hour, zone)
	if err != nil || len(got.Candles) != 12 || got.Candles[1].Time.Hour() != 4 {
		t.Errorf("%v, %v, want 12 candles from midnight UTC", got, err)
	}
}

// Whatever is joined is a valid series with the same ends, extremes and volume.
func TestResampleKeepsWhatMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySeries(t)
		to := s.Interval * Interval(rapid.SampledFrom([]int{2, 3, 4, 6, 12, 24}).Draw(t, "times"))
		got, err := Resample(s, to, nil)
		if err != nil {
			t.Skip(err)
		}
		if widened, err := got.Validate(); widened != 0 || err != nil {
			t.Fatalf("Validate = %d, %v", widened, err)
		}
		first, last := s.Candles[0], s.Candles[len(s.Candles)-1]
		if a, b := got.Candles[0], got.Candles[len(got.Candles)-1]; a.Open != first.Open || b.Close != last.Close || a.Time.After(first.Time) || b.Time.After(last.Time) {
			t.Fatalf("from %v to %v, want %v to %v", a, b, first, last)
		}
		high := func(c []Candle) float64 {
			return slices.MaxFunc(c, func(a, b Candle) int { return cmp.Compare(a.High, b.High) }).High
		}
		if high(got.Candles) != high(s.Candles) {
			t.Fatalf("highest %v, want %v", high(got.Candles), high(s.Candles))
		}
	})
}
