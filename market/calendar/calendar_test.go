package calendar_test

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// irregular reads testdata/nyse.txt: "closed", or the hours of the clock.
func irregular(t *testing.T) map[time.Time]string {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "nyse.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	days := map[time.Time]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text := lines.Text()
		if text == "" || text[0] == '#' {
			continue
		}
		f := strings.Fields(text)
		date, err := time.Parse(time.DateOnly, f[0])
		if err != nil {
			t.Fatal(err)
		}
		days[date] = f[1]
		if f[1] != "closed" {
			days[date] += " " + f[2]
		}
	}
	return days
}

func TestNYSEHours(t *testing.T) {
	days := irregular(t)
	for date := day(1990, 1, 1); date.Year() < 2027; date = date.AddDate(0, 0, 1) {
		s, ok := calendar.NYSE.Session(date)
		got := "closed"
		if ok {
			got = s.Open.Format("15:04") + " " + s.Close.Format("15:04")
		}
		want, known := days[date]
		switch weekend := date.Weekday() == time.Saturday || date.Weekday() == time.Sunday; {
		case weekend:
			want = "closed"
		case !known && date.Year() >= 2021:
			want = "09:30 16:00"
		case !known && ok: // holidays before 2021 are not in the list
			want = "09:30 16:00"
		case !known:
			continue
		}
		if got != want {
			t.Errorf("NYSE on %s: %s, want %s", date.Format("Mon 2006-01-02"), got, want)
		}
	}
	for _, date := range []time.Time{day(1980, 11, 4), day(1985, 9, 27)} {
		if calendar.NYSE.IsSession(date) {
			t.Errorf("NYSE trades on %s", date.Format(time.DateOnly))
		}
	}
}

func TestNYSESessionsOfAYear(t *testing.T) {
	for i, want := range []int{
		253, 253, 254, 253, 252, 252, 254, 253, 252, 252, // 1990
		252, 248, 252, 252, 252, 252, 251, 251, 253, 252, // 2000
		252, 252, 250, 252, 252, 252, 252, 251, 251, 252, // 2010
		253, 252, 251, 250, 252, 250, 251, // 2020
	} {
		got := 0
		for range calendar.NYSE.Sessions(day(1990+i, 1, 1), day(1990+i, 12, 31)) {
			got++
		}
		if got != want {
			t.Errorf("%d sessions in %d, want %d", got, 1990+i, want)
		}
	}
}

// Records of real candles lie beside a checkout and are never part of it.
func realDates(t *testing.T, file string) []time.Time {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", file))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no market records beside this checkout: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var dates []time.Time
	for rows := csv.NewReader(f); ; {
		row, err := rows.Read()
		if err == io.EOF {
			return dates
		} else if err != nil {
			t.Fatal(err)
		}
		if date, err := time.Parse(time.DateOnly, row[0][:min(10, len(row[0]))]); err == nil {
			dates = append(dates, date)
		}
	}
}

// A stock that was never halted for a day shows every session there was.
func TestRealSessionsAreThoseOfNYSE(t *testing.T) {
	for _, c := range []struct {
		file string
		rows int
	}{
		{"ten/JPM_1980-03-17_2024-12-31_1d.csv", 11293},
		{"ten/AAPL_1980-12-12_2024-12-31_1d.csv", 11105},
		{"ten/MSFT_1986-03-13_2024-12-31_1d.csv", 9779},
		{"ten/META_2012-05-18_2024-12-31_1d.csv", 3175},
	} {
		dates := realDates(t, c.file)
		if len(dates) != c.rows {
			t.Fatalf("%s: %d dates, want %d", c.file, len(dates), c.rows)
		}
		var want []time.Time
		for s := range calendar.NYSE.Sessions(dates[0], dates[len(dates)-1]) {
			want = append(want, s.Date)
		}
		missing, strays := without(want, dates), without(dates, want)
		if len(missing)+len(strays) > 0 {
			t.Errorf("%s: sessions without a candle %v, candles without a session %v", c.file, missing, strays)
		}
	}
}

// without returns the elements of a that are not in b.
func without(a, b []time.Time) (rest []string) {
	for _, t := range a {
		if _, found := slices.BinarySearchFunc(b, t, time.Time.Compare); !found {
			rest = append(rest, t.Format(time.DateOnly))
		}
	}
	return rest
}

func TestRealCalendars(t *testing.T) {
	for file, want := range map[string]*calendar.Calendar{
		"ten/AAPL_1980-12-12_2024-12-31_1d.csv":    calendar.NYSE,
		"ten/TSLA_2010-06-29_2024-12-31_1d.csv":    calendar.NYSE,
		"ten/V_2015-01-02_2024-12-30_1d.csv":       calendar.NYSE,
		"ten/BTC-USD_2014-09-17_2024-12-31_1d.csv": calendar.Always,
		"daily-three-line-header/DJI.csv":          calendar.NYSE,
		"daily-three-line-header/ETH_USD.csv":      calendar.Always,
		"daily-three-line-header/FTSE.csv":         calendar.Weekdays,
		"daily-three-line-header/N225.csv":         calendar.Weekdays,
		"messy/nikkei-2010-yahoofinance.csv":       calendar.Weekdays,
	} {
		dates := realDates(t, file)
		slices.SortFunc(dates, time.Time.Compare)
		// The calendar is that of any year in the past too.
		for end := len(dates); end >= min(250, len(dates)); end -= 97 {
			if got := calendar.Infer(dates[:end]); got != want {
				t.Errorf("%s to %s follows %s, want %s", file, dates[end-1].Format(time.DateOnly), got, want)
				break
			}
		}
	}
}

func datesOf(c *calendar.Calendar, from, to time.Time) (dates []time.Time) {
	for s := range c.Sessions(from, to) {
		dates = append(dates, s.Date)
	}
	return dates
}

func TestInfer(t *testing.T) {
	from, to := day(2023, 1, 2), day(2024, 5, 3)
	nyse := datesOf(calendar.NYSE, from, to)
	without := func(dates []time.Time, left ...time.Weekday) []time.Time {
		return slices.DeleteFunc(slices.Clone(dates), func(d time.Time) bool { return slices.Contains(left, d.Weekday()) })
	}
	for _, c := range []struct {
		name  string
		dates []time.Time
		want  string
	}{
		{"stock", nyse, "NYSE"},
		{"stock halted for three days", slices.Delete(slices.Clone(nyse), 100, 103), "NYSE"},
		{"stock with every tenth day lost", slices.DeleteFunc(slices.Clone(nyse), func(d time.Time) bool { return d.Day()%10 == 0 }), "weekdays"},
		{"stock since Labor Day", datesOf(calendar.NYSE, day(2024, 9, 3), day(2024, 11, 20)), "weekdays"},
		{"stock over Labor Day", datesOf(calendar.NYSE, day(2024, 8, 3), day(2024, 11, 20)), "NYSE"},
		{"currency", datesOf(calendar.Weekdays, from, to), "weekdays"},
		{"crypto", datesOf(calendar.Always, from, to), "every day"},
		{"crypto with a day lost", slices.Delete(datesOf(calendar.Always, from, to), 200, 201), "every day"},
		{"Tel Aviv", without(datesOf(calendar.Always, from, to), time.Friday, time.Saturday), "Sun Mon Tue Wed Thu"},
		{"currency with Sunday evenings", without(datesOf(calendar.Always, from, to), time.Saturday), "Sun Mon Tue Wed Thu Fri"},
		{"weekdays, and one Saturday of tests", append(datesOf(calendar.Weekdays, from, day(2024, 4, 26)), day(2024, 4, 27)), "weekdays"},
		{"one day", nyse[:1], "weekdays"},
		{"one Sunday", []time.Time{day(2024, 5, 5)}, "Sun Mon Tue Wed Thu Fri"},
		{"two days of crypto", datesOf(calendar.Always, day(2024, 5, 4), day(2024, 5, 5)), "every day"},
		{"every third day", slices.DeleteFunc(datesOf(calendar.Always, from, to), func(d time.Time) bool { return d.YearDay()%3 != 0 }), "every day"},
	} {
		if got := calendar.Infer(c.dates).String(); got != c.want {
			t.Errorf("%s follows %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNextDate(t *testing.T) {
	if got, want := calendar.NYSE.NextDate(day(2024, 11, 27)), day(2024, 11, 29); !got.Equal(want) {
		t.Errorf("after the day before Thanksgiving comes %s, want %s", got, want)
	}
	s, _ := calendar.Always.Session(day(2024, 11, 28))
	if !s.Open.Equal(day(2024, 11, 28)) || !s.Close.Equal(day(2024, 11, 29)) {
		t.Errorf("a day without an end goes from %s to %s", s.Open, s.Close)
	}
}
