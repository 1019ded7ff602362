package market

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const good = "Date,Open,High,Low,Close,Volume\n" +
	"2024-01-02,10,12,9,11,500\n" +
	"2024-01-03,11,13,10,12,0\n" +
	"2024-01-04,12,12,12,12,\n"

func TestReadCSVLayouts(t *testing.T) {
	for name, text := range map[string]string{
		"plain":           good,
		"CRLF":            strings.ReplaceAll(good, "\n", "\r\n"),
		"byte order mark": "\ufeff" + good,
		"no last newline": strings.TrimSuffix(good, "\n"),
		"blank lines":     "\n" + strings.ReplaceAll(good, "\n", "\n\n"),
		"no index name":   strings.Replace(good, "Date", "", 1),
		"case and spaces": strings.Replace(good, "Date,Open,High", " DATE , oPEN,High ", 1),
		"quoted":          strings.Replace(good, "Open", `"Open"`, 1),
		"other order and columns": "close,wap,low,date,high,open,VOLUME,Adj Close\n" +
			"11,x,9,2024-01-02,12,10,500,1\n12,,10,2024-01-03,13,11,0,1\n12,,12,2024-01-04,12,12,,1\n",
		"zones": strings.NewReplacer("-02,", "-02 00:00:00-05:00,", "-03,", "-03 00:00:00-05:00,", "-04,", "-04 00:00:00-04:00,").Replace(good),
		"three header lines": "Price,Close,High,Low,Open,Volume\nTicker,F,F,F,F,F\nDate,,,,,\n" +
			"2024-01-02,11,12,9,10,500\n2024-01-03,12,13,10,11,0\n2024-01-04,12,12,12,12,\n",
		"three header lines, ticker first": "Ticker,F,F,F,F,F\nPrice,Open,High,Low,Close,Volume\nDate,,,,,\n" + strings.SplitAfterN(good, "\n", 2)[1],
		"ticker column":                    strings.NewReplacer("Volume\n", "Volume,Ticker\n", "500\n", "500,F\n", ",0\n", ",0,F\n", "12,\n", "12,,F\n").Replace(good),
	} {
		t.Run(name, func(t *testing.T) {
			s, report, err := read(strings.NewReader(text), "dir/F_2024.csv")
			if err != nil {
				t.Fatalf("read: %v", err)
			}
			want := []Candle{
				{day(2024, 1, 2), 10, 12, 9, 11, 500},
				{day(2024, 1, 3), 11, 13, 10, 12, 0},
				{day(2024, 1, 4), 12, 12, 12, 12, math.NaN()},
			}
			if s.Symbol != "F" || s.Interval != Day || !sameCandles(s.Candles, want) {
				t.Errorf("read = %s %s %v, want F 1d %v", s.Symbol, s.Interval, s.Candles, want)
			}
			if report.Rows != 3 || report.ZeroVolume != 1 || report.MissingVolume != 1 || report.Flat != 1 || report.MaxGapDays != 1 {
				t.Errorf("report %+v, want 3 rows, 1 zero, 1 missing volume, 1 flat, gap of 1 day", report)
			}
			if want := math.Log(12. / 11); report.MaxMove != want || report.MaxMoveTime != day(2024, 1, 3) {
				t.Errorf("largest move %v at %v, want %v on the 3rd", report.MaxMove, report.MaxMoveTime, want)
			}
		})
	}
}

func TestReadCSVRefuses(t *testing.T) {
	const head = "Date,Open,High,Low,Close,Volume\n2024-01-02,10,12,9,11,500\n"
	three := func(tickers, index string) string {
		return "Price,Close,High,Low,Open,Volume\n" + tickers + "\n" + index + "\n2024-01-02,11,12,9,10,5\n2024-01-03,11,12,9,10,5\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "f.csv: no candle file: the file is empty"},
		"only blank lines":  {"\n\n", "f.csv: no candle file: no line at its beginning names columns"},
		"prose":             {"Candles were made of tallow,\nbut not any more.\n", "f.csv: no candle file: no line at its beginning names columns"},
		"binary":            {"\x00\xff\xfe\n", "f.csv: no candle file: byte 0 is 0x00, so it is no text"},
		"endless line":      {strings.Repeat("x", 100_000), "f.csv: no candle file: the first line is longer than 65536 bytes"},
		"endless line late": {head + strings.Repeat("x", 100_000), "f.csv:3: line: longer than 65536 bytes"},
		"noise late":        {head + strings.Repeat("2024-01-02,1,1,1,1,1\n", 4000) + "\xff\xfe\n", "f.csv:4003: line: not UTF-8 text"},
		"web page":          {"\n<!DOCTYPE html>\n<html>\n", "f.csv: no candle file: it is a web page"},
		"JSON":              {"[[1,2,3,4,5]]", "f.csv: no candle file: it is JSON"},
		"workbook":          {"\xd0\xcf\x11\xe0", "f.csv: no candle file: it is an old Excel workbook"},
		"bzip2":             {"BZh9", "f.csv: no candle file that can be read: it is compressed by bzip2"},
		"cut gzip":          {"\x1f\x8b\x08", "f.csv: gzip: unexpected EOF"},
		"cut zip":           {"PK\x03\x04", "f.csv: zip: "},
		"Parquet in name":   {"PAR1 and nothing more", "f.csv: no candle file: Parquet: "},
		"tokens":            {"17 4 200 511\n", "f.csv: no candle file: no line at its beginning names columns"},
		"row numbers":       {"time,open,high,low,close\n0,1,1,1,1\n1,1,1,1,1\n", `f.csv: no candle file: numbers such as "0" are no time`},
		"no rows":           {"Date,Open,High,Low,Close\n", "f.csv: 0 rows, want at least 2"},
		"one row":           {head, "f.csv: 1 rows, want at least 2"},
		"one bare row":      {"2024-01-02,10,12,9,11,500\n", "f.csv: no candle file: no line names the columns, and fewer than 2 rows are of one form"},
		"other bare order":  {"2024-01-02,10,9,12,11,500\n2024-01-03,10,9,12,11,500\n", "f.csv: no candle file: no line names the columns, and four columns in the order open"},
		"no close":          {"Date,Open,High,Low,Adj Close\n", "f.csv:1: header: no column for close in"},
		"the same twice":    {"Date,Open,High,Low,Close,close\n", `f.csv:1: header: "Close" and "close" are the same`},
		"line break in quotes": {
			head + "2024-01-03,1,1,1,1,\"1\n2\"\n2024-01-04,1,1,1,1,1\n2024-01-05,1,1,1,1,1\n2024-01-06,1,1,1,1,1\n",
			"f.csv:3: line: quotes do not match: line breaks within quotes are not supported (and 1 more row at fault)",
		},
		"line break in header": {"Date,\"Open\nUSD\",High\n2024-01-02,10,12\n", "f.csv: no candle file: line 1: quotes do not match: line breaks within quotes"},
		"endless quote":        {head + "\"2024-01-03,1,1,1,1,1\n", "f.csv:3: line: quotes do not match"},
		"two tickers":          {three("Ticker,A,A,B,A,A", "Date,,,,,"), `f.csv:2: ticker: "B" beside "A", want one asset`},
		"no index line":        {three("Ticker,A,A,A,A,A", "2024-01-01,1,1,1,1,1"), "f.csv:3: header: third line begins with"},
		"price, no ticker":     {three("Volume,A,A,A,A,A", "Date,,,,,"), `f.csv:1: header: no column for time in "Price,Close`},
		"short row":            {head + "2024-01-03,10,12\n", "f.csv:3: row: 3 columns, the header has 6"},
		"empty price":          {head + "2024-01-03,10,12,,11,500\n", "f.csv:3: low: empty"},
		"word":                 {head + "2024-01-03,ten,12,9,11,500\n", `f.csv:3: open: "ten" is no number`},
		"NaN":                  {head + "2024-01-03,NaN,12,9,11,500\n", `f.csv:3: open: "NaN" is a missing value`},
		"infinite":             {head + "2024-01-03,10,Inf,9,11,500\n", `f.csv:3: high: "Inf" is no number`},
		"hexadecimal":          {head + "2024-01-03,10,0x1p4,9,11,500\n", `f.csv:3: high: "0x1p4" is no number`},
		"zero":                 {head + "2024-01-03,10,12,0,11,500\n", "f.csv:3: low: 0 is not positive"},
		"negative volume":      {head + "2024-01-03,10,12,9,11,-5\n", "f.csv:3: volume: -5 is no volume"},
		"high below close":     {head + "2024-01-03,10,10.5,9,11,500\n", "f.csv:3: high: 10.5 below close 11"},
		"low above open":       {head + "2024-01-03,10,12,10.5,11,500\n", "f.csv:3: low: 10.5 above open 10"},
		"high below low":       {head + "2024-01-03,10,9,12,11,500\n", "f.csv:3: high: 9 below close 11"},
		"same date twice":      {head + "2024-01-02,10,12,9,11,500\n", "f.csv:3: time: 2024-01-02 is not after 2024-01-02, and the row is a copy"},
		"two of one date":      {head + "2024-01-02,10,12,9,11,501\n2024-01-03,1,1,1,1,1\n", "f.csv:3: time: 2024-01-02 is not after 2024-01-02"},
		"backwards": {
			head + "2024-01-01,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n2024-01-02,1,1,1,1,2\n2024-01-05,1,1,1,1,1\n2024-01-06,1,1,1,1,1\n",
			"f.csv:3: time: 2024-01-01 is not after 2024-01-02 (and 1 more row at fault)",
		},
		"order of dates":        {"Date,Open,High,Low,Close\n01/02/2024,10,12,9,11\n02/02/2024,1,1,1,1\n", "f.csv:2: time: the order of the dates: day and month could change places in every date: 1 February 2024 or 2 January 2024"},
		"decimal sign":          {"Date;Open;High;Low;Close\n2024-01-02;1,100;1,200;1,000;1,100\n", `f.csv:2: the decimal sign: "1,100" could be one and a fraction`},
		"two decimal signs":     {"Date;Open;High;Low;Close\n2024-01-02;1,5;1.5;1,5;1,5\n", `f.csv:2: the decimal sign: "1.5" and "1,5" stand in one file`},
		"two spellings":         {head + "3 Jan 2024,10,12,9,11,500\n", `f.csv:3: time: "3 Jan 2024" is spelled otherwise than the times before`},
		"a zone here and there": {head + "2024-01-03 00:00Z,10,12,9,11,500\n", "f.csv:3: time: \"2024-01-03 00:00Z\" differs from the times before in naming a time zone"},
		"distant year":          {head + "9024-01-03,10,12,9,11,500\n", "f.csv:3: time: year 9024 is outside of"},
		"no day":                {head + "2024-02-30,10,12,9,11,500\n", `f.csv:3: time: "2024-02-30" is no day of the calendar`},
		"two in ticker column":  {"Date,Open,High,Low,Close,Symbol\n2024-01-02,1,1,1,1,A\n2024-01-03,1,1,1,1,B\n", `f.csv:3: ticker: "B" after "A"`},
		"counts":                {head + "2024-01-03,-1,12,9,11,5\nx\ny\n2024-01-04,a,12,9,11,5\n", "f.csv:4: row: 1 columns, the header has 6 (and 2 more rows at fault)"},
		"noise of rows":         {head + strings.Repeat("2024-01-03,a,12,9,11,5\n", 5000), `f.csv:3: open: "a" is no number (and more than 999 more rows at fault)`},
		"ticks": {
			"Date,Open,High,Low,Close\n2024-01-02 00:00:00.1,1,1,1,1\n2024-01-02 00:00:00.2,1,1,1,1\n2024-01-02 00:00:00.3,1,1,1,1\n",
			"f.csv: time: the median step is shorter than a second",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(strings.NewReader(c.text), "f.csv")
			var fault *FaultError
			if errors.As(err, &fault) && strings.HasPrefix(name, "line break") && fault.Droppable {
				t.Errorf("%v: dropping is offered, and leaves half a row", err)
			}
			if err == nil || !strings.HasPrefix(err.Error(), "market: "+c.want) {
				t.Errorf("read(%q) = %v, want market: %s…", clip(c.text), err, c.want)
			}
		})
	}
}

// A violation of .9 millionths is rounding, one of two is not.
func TestReadCSVWidensRounding(t *testing.T) {
	text := "Date,Open,High,Low,Close\n2024-01-02,100,99.99991,90,95\n2024-01-03,100,110,100.00009,105\n2024-01-04,100,110,90,95\n"
	s, report, err := read(strings.NewReader(text), "f.csv")
	if err != nil {
		t.Fatal(err)
	}
	if s.Candles[0].High != 100 || s.Candles[1].Low != 100 || report.Widened != 2 {
		t.Errorf("high %v, low %v, widened %d, want 100, 100, 2", s.Candles[0].High, s.Candles[1].Low, report.Widened)
	}
	if widened, err := s.Validate(); widened != 0 || err != nil {
		t.Errorf("Validate of what was read = %d, %v, want 0, nil", widened, err)
	}
	_, _, err = read(strings.NewReader(strings.Replace(text, "99.99991", "99.9998", 1)), "f.csv")
	if err == nil || err.Error() != "market: f.csv:2: high: 99.9998 below open 100" {
		t.Errorf("two millionths: %v, want a refusal", err)
	}
}

func TestReadCSVIntraday(t *testing.T) {
	text := "timestamps,open,high,low,close\n" +
		"2024-03-08 15:30:00-05:00,1,1,1,1\n2024-03-08 16:30:00-05:00,1,1,1,1\n2024-03-11 09:30:00-04:00,1,1,1,1\n2024-03-11 10:30:00-04:00,1,1,1,1\n"
	s, _, err := read(strings.NewReader(text), "X.csv")
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2024, 3, 11, 13, 30, 0, 0, time.UTC); s.Interval != Hour || s.Candles[2].Time != want {
		t.Errorf("interval %s, time %v, want 1h, %v", s.Interval, s.Candles[2].Time, want)
	}
}

// Lines are counted in the decompressed text.
func TestReadCSVGzip(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte(good + "2024-01-05,1,1,1,0,1\n"))
	w.Close()
	if _, _, err := read(&packed, "a.csv"); err == nil || err.Error() != "market: a.csv:5: close: 0 is not positive" {
		t.Errorf("read(gzip) = %v, want the fault in line 5", err)
	}
}

func TestValidateNamesTheCandle(t *testing.T) {
	s := &Series{Symbol: "F", Candles: []Candle{{day(2024, 1, 2), 1, 1, 1, 1, 0}, {day(2024, 1, 3), 1, 2, 1.5, 1, 0}}}
	if _, err := s.Validate(); err == nil || err.Error() != "market: F:candle 1: low: 1.5 above open 1" {
		t.Errorf("Validate = %v, want the low of candle 1", err)
	}
}

func TestReadDir(t *testing.T) {
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if _, _, err := ReadDir(dir); !isNoData(err) {
		t.Errorf("ReadDir(empty) = %v, want ErrNoData", err)
	}
	if _, _, err := ReadDir(filepath.Join(dir, "none")); !isNoData(err) {
		t.Errorf("ReadDir(missing) = %v, want ErrNoData", err)
	}

	write(dir, "B_2024_1d.csv", good)
	write(dir, "A.CSV", good)
	write(dir, "notes.txt", "no candles")
	write(dir, ".hidden.csv", "no candles")
	if err := os.Mkdir(filepath.Join(dir, "folder.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	series, reports, err := ReadDir(dir)
	if err != nil || len(series) != 2 || series[0].Symbol != "A" || series[1].Symbol != "B" || reports[1].Symbol != "B" {
		t.Fatalf("ReadDir = %v, %v, %v, want A and B", series, reports, err)
	}

	write(dir, "B_2023_1d.csv", good)
	write(dir, "C.csv", strings.NewReplacer("01-02", "01-01", "01-03", "01-08", "01-04", "01-15").Replace(good))
	write(dir, "D.csv", "noise")
	_, _, err = ReadDir(dir)
	for _, want := range []string{
		"B_2024_1d.csv: symbol B is also in " + filepath.Join(dir, "B_2023_1d.csv"),
		"C.csv: interval 1w, but " + filepath.Join(dir, "A.CSV") + " has 1d",
		"D.csv: no candle file",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadDir = %v, want also %q", err, want)
		}
	}
}

// Files of the months of one market are one series; those that overlap are not.
func TestReadDirJoinsMonths(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, first time.Time, n int) string {
		text := "Date,Open,High,Low,Close,Volume\n"
		for i := range n {
			text += first.Add(time.Duration(i)*time.Hour).Format("2006-01-02 15:04") + ",10,12,9,11,5\n"
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	second := write("BTCUSDT-1h-2024-01.csv", day(2024, 2, 1), 48)
	first := write("BTCUSDT-1h-2024-02.csv", day(2024, 1, 30), 48)
	write("ETHUSDT-1h-2024-01.csv", day(2024, 1, 1), 10)
	series, reports, err := ReadDir(dir)
	if err != nil || len(series) != 2 || len(reports) != 2 {
		t.Fatalf("%d series, %d reports, %v, want two", len(series), len(reports), err)
	}
	s, r := series[0], reports[0]
	if widened, err := s.Validate(); widened != 0 || err != nil || s.Symbol != "BTCUSDT" || len(s.Candles) != 96 {
		t.Errorf("%s: %d candles, %v, want 96 in order", s.Symbol, len(s.Candles), err)
	}
	if r.Rows != 96 || r.Path != first+", "+second || !r.First.Equal(day(2024, 1, 30)) || r.Gaps.Count != 0 || reports[1].Symbol != "ETHUSDT" {
		t.Errorf("report %+v, want both files", r)
	}

	write("BTCUSDT-1h-2024-03.csv", day(2024, 2, 2), 48)
	if _, _, err := ReadDir(dir); err == nil || !strings.Contains(err.Error(), "symbol BTCUSDT is also in") || !strings.Contains(err.Error(), "renaming one of them settles it") {
		t.Errorf("overlap: %v, want it refused", err)
	}
}

func TestWriteCSVRoundTrip(t *testing.T) {
	for _, interval := range []Interval{Day, 5 * Minute} {
		s := &Series{Symbol: "X", Interval: interval}
		price := 1e-7
		for i := range 50 {
			c := Candle{Time: day(2024, 1, 1).Add(time.Duration(i) * time.Duration(interval)), Open: price, High: price * 1.7, Low: price / 3, Close: price * 1.1, Volume: float64(i) / 7}
			if i == 9 {
				c.Volume = math.NaN()
			}
			s.Candles = append(s.Candles, c)
			price *= 2.3
		}
		var text bytes.Buffer
		if err := WriteCSV(&text, s); err != nil {
			t.Fatal(err)
		}
		got, _, err := read(&text, "X.csv")
		if err != nil || got.Interval != interval || !sameCandles(got.Candles, s.Candles) {
			t.Errorf("%s: read(WriteCSV(s)) differs from s: %v", interval, err)
		}
	}
}

// read is ReadFile on text.
func read(r io.Reader, path string) (*Series, Report, error) { return readWith(r, path, Options{}) }

func readWith(r io.Reader, path string, o Options) (*Series, Report, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, Report{}, err
	}
	var f File
	c := container{bytes.NewReader(text), int64(len(text)), path, o}
	if err := c.walk(func(m member) bool { f = m.read(); return false }); err != nil {
		return nil, Report{Path: path}, err
	}
	return f.Series, f.Report, f.Err
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

func isNoData(err error) bool { return err != nil && strings.Contains(err.Error(), ErrNoData.Error()) }

// sameCandles compares bit for bit; two missing volumes are the same.
func sameCandles(a, b []Candle) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		d := b[i]
		if math.IsNaN(c.Volume) && math.IsNaN(d.Volume) {
			c.Volume, d.Volume = 0, 0
		}
		if c != d {
			return false
		}
	}
	return true
}

func TestReadTextIsReadingAFile(t *testing.T) {
	want, _, err := readBytes([]byte(good), "X.csv")
	if err != nil {
		t.Fatal(err)
	}
	got, report, err := ReadText([]byte(good), "X.csv", Options{})
	if err != nil || got.Symbol != "X" || report.Rows != 3 || !sameCandles(got.Candles, want.Candles) {
		t.Errorf("ReadText: %+v, %v", report, err)
	}
	if _, _, err := ReadText([]byte("PK\x03\x04"), "X.csv", Options{}); err == nil || !strings.HasPrefix(err.Error(), "market: X.csv") {
		t.Errorf("an archive: error %v, want one with the name", err)
	}
	if _, _, err := ReadText([]byte(good), "X.csv", Options{Scale: -1}); err == nil {
		t.Error("a scale of −1 was taken")
	}
}

// Prices whose point could stand between thousands are written so that it cannot.
func TestWriteCSVSettlesTheDecimalSign(t *testing.T) {
	s := &Series{Symbol: "X", Interval: Day, Candles: []Candle{
		{Time: day(2024, 1, 2), Open: 998, High: 999, Low: 1.008, Close: 1.01, Volume: 1.234},
		{Time: day(2024, 1, 3), Open: 1.008, High: 1.102, Low: 1.002, Close: 1.015},
	}}
	for _, last := range []float64{1.01, 1.011} {
		s.Candles[0].Close = last
		var text bytes.Buffer
		if err := WriteCSV(&text, s); err != nil {
			t.Fatal(err)
		}
		again, _, err := readBytes(text.Bytes(), "X.csv")
		if err != nil || !sameCandles(again.Candles, s.Candles) {
			t.Errorf("%s is read as %v, %v", text.String(), again, err)
		}
	}
}
