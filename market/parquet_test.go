package market

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

func decimal(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// readBytes reads a file that is in memory.
func readBytes(text []byte, path string) (*Series, Report, error) {
	return readWith(bytes.NewReader(text), path, Options{})
}

// anySeries draws valid series of all intervals that times tell.
func anySeries(t *rapid.T) *Series {
	interval := rapid.SampledFrom([]Interval{Minute, 5 * Minute, Hour, 4 * Hour, Day, Week}).Draw(t, "interval")
	s := &Series{Symbol: rapid.SampledFrom([]string{"X", "BTC-USD", "^GSPC"}).Draw(t, "symbol"), Interval: interval}
	at := day(2024, 1, 1)
	for range rapid.IntRange(2, 60).Draw(t, "candles") {
		price := rapid.Float64Range(1e-8, 1e8)
		low, open, close := price.Draw(t, "low"), price.Draw(t, "open"), price.Draw(t, "close")
		c := Candle{Time: at, Open: open, High: max(open, close, low), Low: min(open, close, low), Close: close, Volume: rapid.Float64Range(0, 1e12).Draw(t, "volume")}
		if rapid.IntRange(0, 9).Draw(t, "missing") == 0 {
			c.Volume = math.NaN()
		}
		s.Candles = append(s.Candles, c)
		at = at.Add(time.Duration(interval))
	}
	return s
}

// CSV and Parquet hold the same bits, in both directions.
func TestCSVAndParquetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySeries(t)
		var columns, text bytes.Buffer
		if err := WriteParquet(&columns, s); err != nil {
			t.Fatal(err)
		}
		a, _, err := readBytes(columns.Bytes(), "any.parquet")
		if err != nil || a.Symbol != s.Symbol || a.Interval != s.Interval || !sameCandles(a.Candles, s.Candles) {
			t.Fatalf("Parquet: %v, %v, want %v", a, err, s)
		}
		if err := WriteCSV(&text, a); err != nil {
			t.Fatal(err)
		}
		b, _, err := readBytes(text.Bytes(), s.FileName(".csv"))
		if err != nil || b.Symbol != s.Symbol || b.Interval != s.Interval || !sameCandles(b.Candles, s.Candles) {
			t.Fatalf("CSV: %v, %v, want %v", b, err, s)
		}
		var again bytes.Buffer
		if err := WriteParquet(&again, b); err != nil || !bytes.Equal(again.Bytes(), columns.Bytes()) {
			t.Fatalf("Parquet of CSV of Parquet differs: %v", err)
		}
	})
}

// Columns as other programs write them.
func TestReadsParquetOfOthers(t *testing.T) {
	first := day(2024, 1, 2)
	write := func(rows any) []byte {
		var out bytes.Buffer
		var err error
		switch rows := rows.(type) {
		case []pandasRow:
			err = parquet.Write(&out, rows)
		case []sparkRow:
			err = parquet.Write(&out, rows)
		case []textRow:
			err = parquet.Write(&out, rows)
		case []epochRow:
			err = parquet.Write(&out, rows)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, packed := range map[string][]byte{
		"pandas": write([]pandasRow{{12, 9, 10, 11, 500, first}, {13, 10, 11, 12, 600, first.AddDate(0, 0, 1)}}),
		"dates":  write([]sparkRow{{19724, 10, 12, 9, 11, 500}, {19725, 11, 13, 10, 12, 600}}),
		"text":   write([]textRow{{"X", "2024-01-02", 10, 12, 9, 11, 500}, {"X", "2024-01-03", 11, 13, 10, 12, 600}}),
		"epoch":  write([]epochRow{{1704153600, 10, 12, 9, 11, 500}, {1704240000, 11, 13, 10, 12, 600}}),
	} {
		s, r, err := readBytes(packed, "X.parquet")
		want := []Candle{{first, 10, 12, 9, 11, 500}, {first.AddDate(0, 0, 1), 11, 13, 10, 12, 600}}
		if err != nil || s.Symbol != "X" || !sameCandles(s.Candles, want) || r.Rows != 2 {
			t.Errorf("%s: %v, %v, want %v", name, s, err, want)
		}
	}
	for name, c := range map[string]struct {
		packed []byte
		want   string
	}{
		"two assets": {write([]textRow{{"X", "2024-01-02", 10, 12, 9, 11, 500}, {"Y", "2024-01-03", 11, 13, 10, 12, 600}}), `row 2: ticker: "Y" after "X"`},
		"a fault":    {write([]textRow{{"X", "2024-01-02", 10, 12, 9, 11, 500}, {"X", "2024-01-03", 11, 9, 10, 12, 600}}), "market: X.parquet:2: high: 9 below close 12"},
		"no time":    {write([]textRow{{"X", "noon", 10, 12, 9, 11, 500}}), `row 1: time: "noon" is no time`},
		"cut":        {write([]epochRow{{1704153600, 10, 12, 9, 11, 500}})[:100], "no candle file: Parquet"},
	} {
		if _, _, err := readBytes(c.packed, "X.parquet"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

type pandasRow struct {
	High   float64   `parquet:"High"`
	Low    float64   `parquet:"Low"`
	Open   float64   `parquet:"Open"`
	Close  float64   `parquet:"Close"`
	Volume int64     `parquet:"Volume"`
	Date   time.Time `parquet:"__index_level_0__,timestamp(microsecond)"`
}

type sparkRow struct {
	Date                   int32 `parquet:"date,date"`
	Open, High, Low, Close float32
	Volume                 int32
}

type textRow struct {
	Ticker, Date           string
	Open, High, Low, Close float64
	Volume                 float64
}

type epochRow struct {
	Time                   int64 `parquet:"timestamp"`
	Open, High, Low, Close float64
	Volume                 float64
}

// Dates as text are month first once one of them tells, those before it too.
func TestParquetDatesTurnMonthFirst(t *testing.T) {
	var rows []textRow
	text := plainHeader
	for _, date := range []string{"12/11/2023", "12/12/2023", "12/13/2023", "12/14/2023", "12/15/2023"} {
		rows = append(rows, textRow{"F", date, 10, 12, 9, 11, 500})
		text += date + ",10,12,9,11,500\n"
	}
	var packed bytes.Buffer
	if err := parquet.Write(&packed, rows); err != nil {
		t.Fatal(err)
	}
	got, _, err := readBytes(packed.Bytes(), "F.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := readOption(t, text, Options{}); !sameCandles(got.Candles, want.Candles) || !got.Candles[0].Time.Equal(day(2023, 12, 11)) {
		t.Errorf("%v, want %v", got.Candles, want.Candles)
	}
}

// A column of instants keeps them, whatever zone times without one are in.
func TestParquetInstantsKeepTheirZone(t *testing.T) {
	s := &Series{Symbol: "F", Interval: Hour}
	for hour := range 5 {
		s.Candles = append(s.Candles, Candle{Time: day(2024, 1, 2).Add(time.Duration(14+hour) * time.Hour), Open: 1, High: 1, Low: 1, Close: 1, Volume: 1})
	}
	var packed bytes.Buffer
	if err := WriteParquet(&packed, s); err != nil {
		t.Fatal(err)
	}
	got, _, err := readWith(bytes.NewReader(packed.Bytes()), "F.parquet", Options{Zone: time.FixedZone("five hours behind", -5*3600)})
	if err != nil || !sameCandles(got.Candles, s.Candles) {
		t.Errorf("%v, %v, want %v", got, err, s)
	}
}

// Date and time of day may stand apart, in whatever types, and of two volumes the one
// that is not always 0 is read, as in text.
func TestParquetDateAndClockApart(t *testing.T) {
	type textClock struct {
		Date                   string `parquet:"<DATE>"`
		Clock                  string `parquet:"<TIME>"`
		Open, High, Low, Close float64
		Volume                 int64 `parquet:"<VOL>"`
		Ticks                  int64 `parquet:"<TICKVOL>"`
	}
	type typedClock struct {
		Clock                  int64 `parquet:"time,time(microsecond)"`
		Date                   int32 `parquet:"date,date"`
		Open, High, Low, Close float64
		Volume                 int64
	}
	type midnightClock struct {
		Date                   time.Time `parquet:"Date,timestamp(nanosecond)"`
		Clock                  string    `parquet:"Time,optional"`
		Open, High, Low, Close float64
		Volume                 int64
	}
	want := dailyCandles(40)
	for i := range want {
		want[i].Time = day(2024, 1, 2).AddDate(0, 0, i/7).Add(time.Duration(9+i%7) * time.Hour)
	}
	midnight := func(c Candle) time.Time { return c.Time.Truncate(24 * time.Hour) }
	for name, file := range map[string][]byte{
		"text": writeRows(t, want, func(c Candle) textClock {
			return textClock{c.Time.Format("2006.01.02"), c.Time.Format("15:04:05"), c.Open, c.High, c.Low, c.Close, 0, int64(c.Volume)}
		}),
		"types": writeRows(t, want, func(c Candle) typedClock {
			return typedClock{c.Time.Sub(midnight(c)).Microseconds(), int32(c.Time.Unix() / (24 * 3600)), c.Open, c.High, c.Low, c.Close, int64(c.Volume)}
		}),
		"midnight and text": writeRows(t, want, func(c Candle) midnightClock {
			return midnightClock{midnight(c), c.Time.Format("15:04"), c.Open, c.High, c.Low, c.Close, int64(c.Volume)}
		}),
	} {
		s, _, err := readBytes(file, "X.parquet")
		if err != nil || s.Interval != Hour || !sameCandles(s.Candles, want) {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

// Of columns that could be the same field, one that cannot be read is not chosen, and
// what is null counts as missing.
func TestParquetRivalColumns(t *testing.T) {
	type row struct {
		Index                  bool      `parquet:"index"`
		Time                   time.Time `parquet:"timestamp,timestamp"`
		Open, High, Low, Close float64
		Volume                 *int64 `parquet:"volume,optional"`
		Ticks                  int64  `parquet:"tick volume"`
	}
	want := dailyCandles(5)
	file := writeRows(t, want, func(c Candle) row {
		return row{true, c.Time, c.Open, c.High, c.Low, c.Close, nil, int64(c.Volume)}
	})
	if s, _, err := readBytes(file, "X.parquet"); err != nil || !sameCandles(s.Candles, want) {
		t.Errorf("%v, %v", s, err)
	}
}
