package market

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

func TestTimesToComeFollowTheCalendarOfTheSeries(t *testing.T) {
	friday := day(2024, 5, 3)
	times := func(interval Interval, last time.Time, n int, weekends bool) (times []time.Time) {
		for at := last; len(times) < n; at = at.Add(-time.Duration(interval)) {
			if weekends || calendar.Weekdays.IsSession(at) {
				times = append(times, at)
			}
		}
		slices.Reverse(times)
		return times
	}
	sessions := func(last time.Time) (dates []time.Time) {
		for s := range calendar.NYSE.Sessions(last.AddDate(-1, 0, 0), last) {
			dates = append(dates, s.Date)
		}
		return dates
	}
	months := func(from time.Time, n int) (times []time.Time) {
		for k := range n {
			times = append(times, from.AddDate(0, k, 0))
		}
		return times
	}
	after := func(d int) time.Time { return friday.AddDate(0, 0, d) }
	for _, c := range []struct {
		name     string
		interval Interval
		times    []time.Time
		want     []time.Time
	}{
		{"stock over Thanksgiving", Day, sessions(day(2024, 11, 27)), []time.Time{day(2024, 11, 29), day(2024, 12, 2)}},
		{"stock over Independence Day and a weekend", Day, sessions(day(2025, 7, 3)), []time.Time{day(2025, 7, 7), day(2025, 7, 8)}},
		{"currency over Thanksgiving", Day, times(Day, day(2024, 11, 27), 300, false), []time.Time{day(2024, 11, 28), day(2024, 11, 29), day(2024, 12, 2)}},
		{"weekdays", Day, times(Day, friday, 100, false), []time.Time{after(3), after(4), after(5), after(6), after(7), after(10)}},
		{"young stock", Day, times(Day, friday, 8, false), []time.Time{after(3), after(4)}},
		{"one candle", Day, []time.Time{friday}, []time.Time{after(3)}},
		{"crypto", Day, times(Day, friday, 100, true), []time.Time{after(1), after(2), after(3)}},
		{"days that begin at noon", Day, times(Day, friday.Add(12*time.Hour), 100, true), []time.Time{after(1).Add(12 * time.Hour)}},
		{"minutes of crypto", Minute, times(Minute, friday.Add(24*time.Hour-time.Minute), 20_000, true), []time.Time{after(1), after(1).Add(time.Minute)}},
		{"three days", 3 * Day, times(3*Day, friday, 100, true), []time.Time{after(3), after(6)}},
		{"weeks that begin on Sunday", Week, times(Week, after(2), 20, true), []time.Time{after(9), after(16)}},
		{"weeks that begin on Monday", Week, times(Week, after(3), 20, true), []time.Time{after(10), after(17)}},
		{"hours of crypto", Hour, times(Hour, friday.Add(23*time.Hour), 200, true), []time.Time{after(1), after(1).Add(time.Hour)}},
		{"hours of weekdays", Hour, times(Hour, friday.Add(23*time.Hour), 200, false), []time.Time{after(3), after(3).Add(time.Hour)}},
		{"a few hours", Hour, times(Hour, friday.Add(23*time.Hour), 30, false), []time.Time{after(3), after(3).Add(time.Hour)}},
		{"months by their first day", Month, months(day(2023, 11, 1), 14), []time.Time{day(2025, 1, 1), day(2025, 2, 1)}},
		{"months by their last day", Month, []time.Time{day(2023, 11, 30), day(2023, 12, 31), day(2024, 1, 31)}, []time.Time{day(2024, 2, 29), day(2024, 3, 31), day(2024, 4, 30)}},
		{"months by a late day", Month, []time.Time{day(2023, 11, 30), day(2023, 12, 30)}, []time.Time{day(2024, 1, 30), day(2024, 2, 29), day(2024, 3, 30)}},
		{"quarters", 3 * Month, []time.Time{day(2023, 7, 1), day(2023, 10, 1)}, []time.Time{day(2024, 1, 1), day(2024, 4, 1)}},
		{"nothing more", Day, []time.Time{friday}, nil},
	} {
		if got := NextTimes(c.times, c.interval, len(c.want)); !slices.EqualFunc(got, c.want, time.Time.Equal) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// bars are the candles of a market that opens for some hours a day; the clock
// is that of zone, and bars of the last session go until the instant last.
func bars(cal *calendar.Calendar, zone *time.Location, from, last time.Time, clocks ...string) (times []time.Time) {
	for s := range cal.Sessions(from, last) {
		for _, text := range clocks {
			clock, err := time.Parse("15:04", text)
			if err != nil {
				panic(err)
			}
			at := atClock(s.Date, clockOf(clock), zone)
			if half := s.Close.Hour() == 13; !at.After(last) && (!half || clock.Hour() < 13) {
				times = append(times, at.UTC())
			}
		}
	}
	return times
}

func TestTimesToComeWithinTheDay(t *testing.T) {
	newYork := calendar.NYSE.Zone()
	hourly := []string{"09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"}
	full := []string{"09:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"}
	ends := []string{"10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00"}
	lunch := []string{"10:30", "11:30", "14:00", "15:00"}
	from := day(2024, 9, 3)
	for _, c := range []struct {
		name  string
		times []time.Time
		zone  *time.Location
		want  []string // in zone
	}{
		{
			"stock, the clock change and Thanksgiving with its half day", bars(calendar.NYSE, newYork, from, time.Date(2024, 11, 27, 14, 30, 0, 0, newYork), hourly...), newYork,
			[]string{"27 15:30", "29 09:30", "29 10:30", "29 11:30", "29 12:30", "02 09:30"},
		},
		{
			"stock with a first half hour", bars(calendar.NYSE, newYork, from, time.Date(2024, 11, 1, 15, 0, 0, 0, newYork), full...), newYork,
			[]string{"04 09:30", "04 10:00", "04 11:00"},
		},
		{
			"stock, the clock of New York without a zone", bars(calendar.NYSE, time.UTC, from, day(2024, 11, 28), hourly...), time.UTC,
			[]string{"29 09:30", "29 10:30", "29 11:30", "29 12:30", "02 09:30"},
		},
		{
			"stock, named by the end", bars(calendar.NYSE, newYork, from, time.Date(2024, 11, 27, 16, 0, 0, 0, newYork), ends...), newYork,
			[]string{"29 10:30", "29 11:30", "29 12:30", "02 10:30"},
		},
		{
			"a market with lunch", bars(calendar.Weekdays, time.UTC, from, day(2024, 11, 22).Add(11*time.Hour+30*time.Minute), lunch...), time.UTC,
			[]string{"22 14:00", "22 15:00", "25 10:30", "25 11:30", "25 14:00"},
		},
	} {
		var got []string
		for _, at := range NextTimes(c.times, Hour, len(c.want)) {
			got = append(got, at.In(c.zone).Format("02 15:04"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Real series go on as foreseen from anywhere in their newest half. The wrong
// ones of currencies are Christmas and New Year, and days without their first
// hours.
func TestRealTimesToCome(t *testing.T) {
	for file, wrong := range map[string]int{
		"ten/AAPL_1980-12-12_2024-12-31_1d.csv":    0,
		"ten/BTC-USD_2014-09-17_2024-12-31_1d.csv": 0,
		"intraday/AAPL_1h.csv.gz":                  0,
		"intraday/SPY_5m.csv.gz":                   0,
		"intraday/USDJPYh1.csv.gz":                 5,
		"intraday/USDCHFd1.csv":                    4,
		"intraday/regression_input.csv":            0, // Shanghai, with lunch
	} {
		s, _, err := ReadCSV(filepath.Join(realData(t, filepath.Dir(file)), filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		times := make([]time.Time, len(s.Candles))
		for i, c := range s.Candles {
			times[i] = c.Time
		}
		var surprises []string
		for i := len(times) / 2; i < len(times); i += 1 + len(times)/2000 {
			if got := NextTimes(times[:i], s.Interval, 1)[0]; !got.Equal(times[i]) {
				surprises = append(surprises, stamp(times[i]))
			}
		}
		if len(surprises) > wrong {
			t.Errorf("%s: other times than foreseen: %s", file, strings.Join(surprises, ", "))
		}
	}
}
