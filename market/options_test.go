package market

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const plainHeader = "Date,Open,High,Low,Close,Volume\n"

// readOption reads text as F.csv and fails the test on an error.
func readOption(t *testing.T, text string, o Options) (*Series, Report) {
	t.Helper()
	s, r, err := readWith(strings.NewReader(text), "F.csv", o)
	if err != nil {
		t.Fatal(err)
	}
	if widened, err := s.Validate(); widened != 0 || err != nil {
		t.Errorf("Validate = %d, %v, want 0, nil", widened, err)
	}
	return s, r
}

// changesOf shows what was done, line by line.
func changesOf(r Report) (lines []string) {
	for _, c := range r.Changes {
		lines = append(lines, strings.Join([]string{string(c.Action), c.Field, c.What}, ": "))
	}
	return lines
}

func TestRepairMendsWhatARowTells(t *testing.T) {
	text := plainHeader +
		"2024-01-02,10,12,9,11,5\n" +
		"2024-01-04,10,10.5,9,11,5\n" + // high below close
		"2024-01-03,10,12,9,11,-5\n" + // out of place, no volume
		"2024-01-05,10,9,12,11,5\n" + // high and low exchanged
		"2024-01-05,10,9,12,11,5\n" + // a copy
		"2024-01-08,10,12,9,11,5\n"
	s, r := readOption(t, text, Options{Repair: true})
	want := []Candle{
		{day(2024, 1, 2), 10, 12, 9, 11, 5},
		{day(2024, 1, 3), 10, 12, 9, 11, math.NaN()},
		{day(2024, 1, 4), 10, 11, 9, 11, 5},
		{day(2024, 1, 5), 10, 12, 9, 11, 5},
		{day(2024, 1, 8), 10, 12, 9, 11, 5},
	}
	if !sameCandles(s.Candles, want) {
		t.Errorf("candles %v, want %v", s.Candles, want)
	}
	lines := []int{}
	for _, c := range r.Changes {
		lines = append(lines, c.Line)
	}
	if want := []int{4, 6, 4, 3, 5}; !slices.Equal(lines, want) {
		t.Errorf("changes in lines %v, want %v: %q", lines, want, changesOf(r))
	}
	// Without the option the first of them refuses the file, and it can be helped.
	_, _, err := read(strings.NewReader(text), "F.csv")
	var fault *FaultError
	if !errors.As(err, &fault) || !fault.Repairable || !fault.Droppable || fault.Place != "4" || fault.More != 3 {
		t.Errorf("%v (%+v), want line 4 and 3 more, repairable", err, fault)
	}
}

func TestDropLeavesRowsOut(t *testing.T) {
	text := plainHeader +
		"2024-01-02,10,12,9,11,5\n" +
		"2024-01-03,,,,,\n" +
		"2024-01-04,10,12,0,11,5\n" +
		"2024-01-05,10,12,9,11,5\n" +
		"2024-01-05,10,12,9,11,6\n" +
		"n/a,10,12,9,11,6\n" +
		"2024-01-08,10,12\n" +
		"2024-01-09,10,12,9,11,5\n"
	s, r := readOption(t, text, Options{Drop: true})
	if len(s.Candles) != 3 || s.Candles[1].Volume != 5 || len(r.Changes) != 5 {
		t.Errorf("%v, changes %q, want 3 candles and 5 changes", s.Candles, changesOf(r))
	}
	_, _, err := readWith(strings.NewReader(text), "F.csv", Options{Repair: true})
	var fault *FaultError
	if !errors.As(err, &fault) || fault.Repairable || !fault.Droppable {
		t.Errorf("with repair alone: %v, want a fault that drop helps", err)
	}
	if _, _, err := readWith(strings.NewReader(plainHeader+"2024-01-02,0,0,0,0,0\n2024-01-03,0,0,0,0,0\n"), "F.csv", Options{Drop: true}); err == nil ||
		!strings.Contains(err.Error(), "0 rows are left and 2 were dropped, the first in line 2: open: 0 is not positive") {
		t.Errorf("nothing left: %v", err)
	}
}

// Rows in pence between rows in pounds are scaled back; where the jump is not
// taken back, both sides stay.
func TestRepairMendsUnitsThereAndBack(t *testing.T) {
	row := func(d string, unit float64) string {
		return d + "," + strings.Join([]string{decimal(10 * unit), decimal(12 * unit), decimal(9 * unit), decimal(11 * unit)}, ",") + ",5\n"
	}
	s, r := readOption(t, plainHeader+row("2024-01-02", 1)+row("2024-01-03", 100)+row("2024-01-04", 100)+row("2024-01-05", 1), Options{Repair: true})
	if s.Candles[1].High != 12 || s.Candles[2].Low != 9 || len(r.Changes) != 2 || len(r.Jumps) != 0 {
		t.Errorf("%v, changes %q, jumps %v, want pounds", s.Candles, changesOf(r), r.Jumps)
	}
	s, r = readOption(t, plainHeader+row("2024-01-02", 1)+row("2024-01-03", 100)+row("2024-01-04", 100), Options{Repair: true})
	if s.Candles[1].High != 1200 || len(r.Changes) != 0 || len(r.Jumps) != 1 || r.Jumps[0].Looks != "100× unit" {
		t.Errorf("%v, changes %q, jumps %v, want the jump reported", s.Candles, changesOf(r), r.Jumps)
	}
}

// 1.012 beside 998 is read by nobody's guess; where the sign is named, the file
// is read as it says.
func TestSignBetweenThousandsIsNotRepaired(t *testing.T) {
	text := "Datum;Open;High;Low;Close\n01.03.2024;985;992;980;990\n04.03.2024;990;999;985;998\n" +
		"05.03.2024;998;1.012;995;1.008\n13.03.2024;1.008;1.020;1.001;1.015\n"
	for _, o := range []Options{{}, {Repair: true, Drop: true}} {
		_, _, err := readWith(strings.NewReader(text), "F.csv", o)
		want := "market: F.csv:4: prices: the decimal sign: 1.008 beside 998: the point could stand between thousands, and then the comma is the decimal sign"
		if !errors.Is(err, ErrDecimal) || err.Error() != want {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
	if s, _ := readOption(t, text, Options{Decimal: ","}); s.Candles[2].High != 1012 || s.Candles[3].Low != 1001 {
		t.Errorf("%v, want thousands", s.Candles)
	}
	if s, r := readOption(t, text, Options{Decimal: ".", Repair: true}); s.Candles[2].Low != 1.008 || len(r.Changes) != 1 || len(r.Jumps) != 0 {
		t.Errorf("%v, changes %q, want a point and a repair", s.Candles, changesOf(r))
	}
	// No row is at fault, and the first one after the jump tells.
	jump := "Date,Open,High,Low,Close\n2024-01-02,985,992,980,990\n2024-01-03,1.001,1.020,1.001,1.015\n"
	if _, _, err := read(strings.NewReader(jump), "F.csv"); !errors.Is(err, ErrDecimal) {
		t.Errorf("%v, want the decimal sign refused", err)
	}
	if _, r := readOption(t, strings.Replace(jump, "1.015", "1.0151", 1), Options{}); len(r.Jumps) != 1 || !strings.Contains(r.Jumps[0].Looks, "the decimal sign") {
		t.Errorf("jumps %v, want one that names the decimal sign", r.Jumps)
	}
}

// Sorting dates that were read in the wrong order makes nonsense of them.
func TestDatesThatRunBackwards(t *testing.T) {
	text := "Date,Open,High,Low,Close\n"
	for month := 1; month <= 12; month++ {
		for d := 1; d <= 12; d += 3 {
			text += fmt.Sprintf("%02d.%02d.2024,10,12,9,11\n", month, d)
		}
	}
	for _, o := range []Options{{}, {Repair: true, Drop: true}, {DateOrder: DayFirst}} {
		_, _, err := readWith(strings.NewReader(text), "F.csv", o)
		var fault *FaultError
		want := "market: F.csv:6: time: 2024-01-02 is not after 2024-10-01: the dates run backwards in 33 of 48 rows, of which day and month could change places (and 32 more rows at fault, of 48)"
		if !errors.Is(err, ErrDateOrder) || !errors.As(err, &fault) || fault.Repairable || fault.Droppable || err.Error() != want {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
	if s, r := readOption(t, text, Options{DateOrder: MonthFirst}); len(s.Candles) != 48 || len(r.Changes) != 0 {
		t.Errorf("month first: %d candles, %q", len(s.Candles), changesOf(r))
	}
	// A date that is none with the day first, as dots are read, tells as much.
	other := "Date,Open,High,Low,Close\n01.12.2024,10,12,9,11\n01.13.2024,10,12,9,11\n01.14.2024,10,12,9,11\n"
	for _, o := range []Options{{}, {Drop: true}, {DateOrder: DayFirst}} {
		_, _, err := readWith(strings.NewReader(other), "F.csv", o)
		if !errors.Is(err, ErrDateOrder) || !strings.HasPrefix(err.Error(), `market: F.csv:3: time: the order of the dates: "01.13.2024" is a date in another order`) {
			t.Errorf("%+v: %v, want the order of the dates refused", o, err)
		}
	}
	if s, _ := readOption(t, other, Options{DateOrder: MonthFirst}); len(s.Candles) != 3 {
		t.Errorf("month first: %d candles", len(s.Candles))
	}
	var proven *FaultError
	if _, _, err := read(strings.NewReader(other+"15.01.2024,10,12,9,11\n"), "F.csv"); !errors.As(err, &proven) || errors.Is(err, ErrDateOrder) {
		t.Errorf("%v, want two orders in one file, which no option settles", err)
	}
	// Dates that can be read in one way alone: the file is in no order.
	text = plainHeader
	for _, d := range []int{9, 2, 16, 3, 8, 4, 10, 5, 17, 18} {
		text += fmt.Sprintf("2024-01-%02d,10,12,9,11,5\n", d)
	}
	_, _, err := read(strings.NewReader(text), "F.csv")
	var fault *FaultError
	if !errors.As(err, &fault) || errors.Is(err, ErrDateOrder) || fault.Repairable || fault.Droppable || !strings.Contains(err.Error(), "run backwards in 6 of 10 rows") {
		t.Errorf("%v, want rows in no order", err)
	}
	if s, _ := readOption(t, text, Options{Repair: true}); len(s.Candles) != 10 {
		t.Errorf("%d candles, want all sorted", len(s.Candles))
	}
}

// A file of which most rows are at fault is read otherwise, or is another file.
func TestNothingIsOfferedWhereMostRowsAreAtFault(t *testing.T) {
	text := plainHeader
	for d := 1; d <= 28; d++ {
		text += fmt.Sprintf("2024-01-%02d,10,9,12,11,5\n", d) // high and low exchanged
	}
	for _, c := range []struct {
		name, text string
		offered    bool
	}{
		{"all", text, false},
		{"all but some", text + "2024-02-01,10,12,9,11,5\n2024-02-02,10,12,9,11,5\n2024-02-03,10,12,9,11,5\n", false},
		{"some", plainHeader + "2024-01-01,10,12,9,11,5\n2024-01-02,10,12,9,11,5\n2024-01-03,10,9,12,11,5\n", true},
	} {
		_, _, err := read(strings.NewReader(c.text), "F.csv")
		var fault *FaultError
		if !errors.As(err, &fault) || fault.Repairable != c.offered || fault.Droppable != c.offered {
			t.Errorf("%s: %+v, want offered %v", c.name, fault, c.offered)
		}
	}
}

// A high that is ten times the rest makes no jump between candles, and is seen.
func TestSpikesAreCounted(t *testing.T) {
	text := plainHeader
	for d := 1; d <= 20; d++ {
		row := "100,101,99,100"
		switch d {
		case 8:
			row = "100,1010,99,100"
		case 9:
			row = "100,101,9.9,100"
		}
		text += fmt.Sprintf("2024-01-%02d,%s,5\n", d, row)
	}
	if _, r := readOption(t, text, Options{}); r.Spikes != 2 || !r.FirstSpike.Equal(day(2024, 1, 8)) || len(r.Jumps) != 0 {
		t.Errorf("%d spikes from %v, %d jumps, want 2 from the 8th, none", r.Spikes, r.FirstSpike, len(r.Jumps))
	}
	if _, r := readOption(t, good, Options{}); r.Spikes != 0 {
		t.Errorf("%d spikes, want none", r.Spikes)
	}
}

func TestAdjustMultipliesByTheRatio(t *testing.T) {
	text := "Date,Open,High,Low,Close,Adj Close\n2024-01-02,10,12,9,11,5.5\n2024-01-03,10,11,9,11,11\n"
	s, r := readOption(t, text, Options{Adjust: true})
	want := []Candle{{day(2024, 1, 2), 5, 6, 4.5, 5.5, math.NaN()}, {day(2024, 1, 3), 10, 11, 9, 11, math.NaN()}}
	if !sameCandles(s.Candles, want) || r.Widened != 0 {
		t.Errorf("%v, want %v", s.Candles, want)
	}
	for text, want := range map[string]string{
		plainHeader + "2024-01-02,10,12,9,11,5\n2024-01-03,10,12,9,11,5\n":                                "market: F.csv:1: header: no column for adjusted closes",
		"Date,Open,High,Low,Close,Adj Close\n2024-01-02,10,12,9,11,\n2024-01-03,10,12,9,11,5\n":           "market: F.csv:2: adjusted close: empty",
		"Date,Open,High,Low,Close,Adj Close\n2024-01-02,10,12,9,11,-1\n2024-01-03,10,12,9,11,5\n":         "market: F.csv:2: adjusted close: -1 of close 11 is no ratio",
		"Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,12,9,11,x,\n2024-01-03,10,12,9,11,5,\n": `market: F.csv:2: adjusted close: "x" is no number`,
	} {
		if _, _, err := readWith(strings.NewReader(text), "F.csv", Options{Adjust: true}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Points become the prices that people write, noise and all.
func TestScaleTurnsPointsIntoPrices(t *testing.T) {
	text := "Date,open,high,low,close\n2024-01-02,129613.0,130053.0,129587.00000000001,129934.0\n2024-01-03,129931.0,130077.0,129694.0,129815.00000000001\n"
	s, r, err := readWith(strings.NewReader(text), "EURUSDd1.csv", Options{})
	if err != nil || r.ProposedScale != 1e-5 || s.Candles[0].Open != 129613 {
		t.Fatalf("scale %v proposed, %v, want 1e-5 and points as they are", r.ProposedScale, err)
	}
	s, r, err = readWith(strings.NewReader(text), "EURUSDd1.csv", Options{Scale: 1e-5})
	if err != nil || r.ProposedScale != 0 || s.Candles[0].Low != 1.29587 || s.Candles[1].Close != 1.29815 {
		t.Errorf("%v, %v, want 1.29587 and 1.29815", s.Candles, err)
	}
}

// In New York, 2024-11-03 01:30 comes twice, and 2024-03-10 02:30 never. East of
// Greenwich, [time.Date] takes the second of two times, west of it the first.
func TestZoneAcrossDaylightSaving(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Skip("no time zones on this system")
	}
	for _, c := range []struct {
		zone string
		from time.Time
	}{
		{"America/New_York", time.Date(2024, 11, 3, 4, 30, 0, 0, time.UTC)},
		{"America/New_York", time.Date(2024, 3, 10, 5, 30, 0, 0, time.UTC)},
		{"Europe/Berlin", time.Date(2024, 10, 26, 23, 30, 0, 0, time.UTC)},
		{"Australia/Sydney", time.Date(2025, 4, 5, 13, 30, 0, 0, time.UTC)},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []time.Duration{time.Hour, 15 * time.Minute} {
			text := "time,open,high,low,close\n"
			for i := range 20 {
				text += c.from.Add(time.Duration(i)*step).In(zone).Format("2006-01-02 15:04") + ",1,1,1,1\n"
			}
			s, r := readOption(t, text, Options{Zone: zone})
			for i, one := range s.Candles {
				if want := c.from.Add(time.Duration(i) * step); !one.Time.Equal(want) {
					t.Errorf("%s: candle %d at %v, want %v", c.zone, i, one.Time, want)
				}
			}
			if s.Interval != Interval(step) || r.Gaps.Count != 0 {
				t.Errorf("%s: interval %s, %d gaps, want %v, none", c.zone, s.Interval, r.Gaps.Count, step)
			}
		}
	}
	// Times that name their zone keep it.
	s, _ := readOption(t, "time,open,high,low,close\n2024-11-03 00:30Z,1,1,1,1\n2024-11-03 01:30Z,1,1,1,1\n", Options{Zone: zone})
	if want := time.Date(2024, 11, 3, 0, 30, 0, 0, time.UTC); !s.Candles[0].Time.Equal(want) {
		t.Errorf("%v, want %v", s.Candles[0].Time, want)
	}
}

// Midnight in Tokyo is 15:00 of the day before in UTC.
func TestZoneDatesDaysThatAreInstants(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Skip("no time zones on this system")
	}
	head := "time,open,high,low,close\n"
	text := head + "2023-12-31 15:00:00+00:00,1,1,1,1\n2024-01-01 15:00:00+00:00,1,1,1,1\n"
	for _, c := range []struct {
		text  string
		zone  *time.Location
		first time.Time
		start time.Duration
	}{
		{text, nil, day(2023, 12, 31), 15 * time.Hour},
		{text, tokyo, day(2024, 1, 1), 0},
		{head + "1704034800,1,1,1,1\n1704121200,1,1,1,1\n", tokyo, day(2024, 1, 1), 0},
		{head + "1704067200,1,1,1,1\n1704153600,1,1,1,1\n", tokyo, day(2024, 1, 1), 0}, // midnight in UTC
		{head + "2024-01-01 00:00:00-05:00,1,1,1,1\n2024-01-02 00:00:00-05:00,1,1,1,1\n", tokyo, day(2024, 1, 1), 0},
		{head + "2023-12-31 15:00,1,1,1,1\n2024-01-01 15:00,1,1,1,1\n", tokyo, day(2023, 12, 31), 0}, // of Tokyo's clock
	} {
		s, r := readOption(t, c.text, Options{Zone: c.zone})
		if !s.Candles[0].Time.Equal(c.first) || r.DayStart != c.start {
			t.Errorf("%q in %v: from %v, days begin at %v, want %v and %v", c.text, c.zone, s.Candles[0].Time, r.DayStart, c.first, c.start)
		}
	}
}

// Without a zone, an hour that comes twice is a fault, and the zone is what
// settles it.
func TestHourThatComesTwiceAsksForAZone(t *testing.T) {
	minutes := func(step int, copied bool) string {
		text := "time,open,high,low,close\n"
		at, back := time.Date(2024, 11, 2, 20, 0, 0, 0, time.UTC), time.Date(2024, 11, 3, 2, 0, 0, 0, time.UTC)
		for i := range 12 * 60 / step {
			if at = at.Add(time.Duration(step) * time.Minute); at.Equal(back) {
				at, back = at.Add(-time.Hour), time.Time{}
			}
			if copied {
				i = 0
			}
			text += fmt.Sprintf("%s,%d,%d,1,1\n", at.Format("2006-01-02 15:04"), 1+i, 1+i)
		}
		return text
	}
	for _, c := range []struct {
		name, text string
		local      bool
	}{
		{"hours", minutes(60, false), true},
		{"quarters", minutes(15, false), true},
		{"a copy", minutes(60, true), false},
		{"two hours back", strings.Replace(minutes(60, false), "03 05:00", "03 02:00", 1), false},
		{"a day", plainHeader + "2024-01-02,1,1,1,1,5\n2024-01-03,1,1,1,1,5\n2024-01-03,2,2,2,2,5\n2024-01-04,1,1,1,1,5\n", false},
		{"a zone", strings.ReplaceAll(minutes(60, false), ":00,", ":00Z,"), false},
	} {
		_, _, err := read(strings.NewReader(c.text), "F.csv")
		var fault *FaultError
		if !errors.As(err, &fault) || fault.Local != c.local || c.local && fault.Repairable {
			t.Errorf("%s: %+v, want local %v", c.name, fault, c.local)
		}
	}
}

func TestOptionsRefuseNonsense(t *testing.T) {
	err := Options{DateOrder: "ydm", Decimal: ";", Scale: -1}.Validate()
	for _, want := range []string{"ydm", ";", "-1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want also %q", err, want)
		}
	}
	for f := range ReadEach("nowhere.csv", Options{Scale: math.NaN()}) {
		if f.Err == nil || !strings.Contains(f.Err.Error(), "scale") {
			t.Errorf("ReadEach = %v, want the scale refused", f.Err)
		}
	}
}

func zipped(t testing.TB, names ...string) []byte {
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(good))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func tarred(t testing.TB, names ...string) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(good)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(good))
	}
	w.Close()
	z.Close()
	return packed.Bytes()
}

// What the header of a member says of its size is no reason to make room for it.
func TestTarMemberThatIsNotAsLargeAsItSays(t *testing.T) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := w.WriteHeader(&tar.Header{Name: "F.csv", Typeflag: tar.TypeReg, Size: 1 << 50, Mode: 0o600, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	text := plainHeader
	for i := range 4000 {
		text += day(2000, 1, 1).AddDate(0, 0, i).Format(time.DateOnly) + ",10,12,9,11,500\n"
	}
	w.Write([]byte(text))
	path := filepath.Join(t.TempDir(), "F.tar")
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadFile(path, Options{}); err == nil || !strings.Contains(err.Error(), "F.tar: tar: ") {
		t.Errorf("ReadFile = %v, want a fault of the archive", err)
	}
}

func TestArchives(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := put("one.zip", zipped(t, "folder/", "F_1d.csv", "README", "__MACOSX/._F_1d.csv"))
	if s, _, err := ReadFile(one, Options{}); err != nil || s.Symbol != "F" || s.Path != one+"/F_1d.csv" {
		t.Errorf("one member: %v, %v", s, err)
	}
	for _, path := range []string{put("two.zip", zipped(t, "A.csv", "B.csv")), put("two.tar.gz", tarred(t, "A.csv", "B.csv", "notes.md"))} {
		_, _, err := ReadFile(path, Options{})
		if !errors.Is(err, ErrSeveral) || !strings.HasSuffix(err.Error(), ": A.csv, B.csv") {
			t.Errorf("ReadFile = %v, want the names of both", err)
		}
		var symbols []string
		for f := range ReadEach(path, Options{}) {
			if f.Err != nil {
				t.Fatal(f.Err)
			}
			symbols = append(symbols, f.Series.Symbol)
		}
		if !slices.Equal(symbols, []string{"A", "B"}) {
			t.Errorf("ReadEach = %v, want A and B", symbols)
		}
	}
	for _, c := range []struct {
		name string
		text []byte
		want string
	}{
		{"empty.zip", zipped(t), "no candle file: an archive without one"},
		{"book.xlsx", zipped(t, "xl/workbook.xml"), "it is an Excel workbook"},
		{"empty.tar.gz", tarred(t, "notes.md"), "no candle file: an archive without one"},
		{"cut.tar.gz", tarred(t, "A.csv")[:60], "unexpected EOF"},
		{"bomb.csv.gz", bomb(t), errUnpacked.Error()},
	} {
		if _, _, err := ReadFile(put(c.name, c.text), Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A member that is compressed itself may hold as much as one that stands alone.
func TestALargeMemberThatIsPackedTwice(t *testing.T) {
	const rows = 400_000
	var text, packed bytes.Buffer
	z := gzip.NewWriter(&text)
	io.WriteString(z, plainHeader)
	for i := range rows {
		fmt.Fprintf(z, "%s,10.%03d,12,9,11,500\n", day(2000, 1, 1).Add(time.Duration(i)*time.Minute).Format(time.DateTime), i%1000)
	}
	z.Close()
	archive := zip.NewWriter(&packed)
	f, err := archive.Create("F.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	f.Write(text.Bytes())
	archive.Close()
	path := filepath.Join(t.TempDir(), "F.zip")
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, _, err := ReadFile(path, Options{}); err != nil || len(s.Candles) != rows {
		t.Errorf("ReadFile = %v", err)
	}
}

// bomb is a candle file whose rows end in a hundred megabytes of spaces.
func bomb(t testing.TB) []byte {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(good))
	blank := []byte(strings.Repeat(" ", 1000) + "\n")
	for range 100_000 {
		z.Write(blank)
	}
	z.Close()
	return packed.Bytes()
}

func TestFilesThatAreNoFiles(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := ReadFile(dir, Options{}); err == nil {
		t.Error("a folder was read")
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		if _, _, err := ReadFile("/dev/zero", Options{}); !errors.Is(err, ErrNotCandles) {
			t.Errorf("a device: %v, want ErrNotCandles", err)
		}
	}
}

func TestWalkFindsFilesOfFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/X.csv", "a/notes.txt", "a/b/Y.parquet", "a/c.md", ".git/Z.csv", "W.CSV.GZ"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := Walk(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range groups {
		for _, path := range g {
			path, _ = filepath.Rel(dir, path)
			got = append(got, filepath.ToSlash(path))
		}
	}
	if want := []string{"W.CSV.GZ", "a/X.csv", "a/notes.txt", "a/b/Y.parquet"}; !slices.Equal(got, want) || len(groups) != 3 {
		t.Errorf("Walk = %v in %d groups, want %v in 3", got, len(groups), want)
	}
	if _, err := Walk(filepath.Join(dir, "none")); !errors.Is(err, ErrNoData) {
		t.Errorf("Walk(missing) = %v, want ErrNoData", err)
	}
	if _, err := Walk(filepath.Join(dir, ".git")); err != nil {
		t.Errorf("Walk of a folder that was named: %v", err)
	}
}
