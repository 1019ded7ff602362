package market

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// seeds adds the corpus of broken files and others.
func seeds(f *testing.F, others ...[]byte) {
	for _, text := range others {
		f.Add(text)
	}
	paths, err := filepath.Glob(filepath.Join("testdata", "broken", "*"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// checkRead wants a valid series that survives being written, or an error with
// the name of the file.
func checkRead(t *testing.T, file []byte, o Options) {
	c := container{bytes.NewReader(file), int64(len(file)), "fuzz.csv", o}
	err := c.walk(func(m member) bool {
		f := m.read()
		if f.Err != nil {
			if !strings.HasPrefix(f.Err.Error(), "market: fuzz.csv") {
				t.Errorf("error without a place: %v", f.Err)
			}
			return true
		}
		s := f.Series
		if widened, err := s.Validate(); widened != 0 || err != nil || f.Report.Rows != len(s.Candles) || s.Interval <= 0 {
			t.Fatalf("a series that is not valid: %d widened, %v, %+v", widened, err, f.Report)
		}
		var text, columns bytes.Buffer
		if err := WriteCSV(&text, s); err != nil {
			t.Fatal(err)
		}
		if again, _, err := readBytes(text.Bytes(), "again.csv"); err != nil || !sameCandles(again.Candles, s.Candles) {
			t.Fatalf("what WriteCSV writes differs: %v", err)
		}
		if err := WriteParquet(&columns, s); err != nil {
			t.Fatal(err)
		}
		if again, _, err := readBytes(columns.Bytes(), "again.parquet"); err != nil || !sameCandles(again.Candles, s.Candles) {
			t.Fatalf("what WriteParquet writes differs: %v", err)
		}
		return true
	})
	if err != nil && !strings.HasPrefix(err.Error(), "market: fuzz.csv") {
		t.Errorf("error without a place: %v", err)
	}
}

func FuzzReadText(f *testing.F) {
	seeds(f, []byte(good), []byte("\ufeff,Open,High,Low,Close\n"),
		[]byte("Price,Close,High,Low,Open\nTicker,A,A,A,A\nDate,,,,\n2024-01-02,1,1,1,1\n2024-01-03,1,1,1,1\n"),
		[]byte("Ticker\nPrice\nDate\n"), []byte("Price,\nTicker,\n\"\"\n"),
		[]byte("time,open,high,low,close,symbol\n2024-01-02T10:00Z,1e-300,1e300,1e-308,1,A\n2024-01-02T10:05+05:30,1,1,1,1,A\n"),
		[]byte("\"Datum\";\"Zuletzt\";\"Eröffn.\";\"Hoch\";\"Tief\";\"Vol.\"\n\"31.01.2024\";\"1.012,00\";\"11,00\";\"1.013,00\";\"10,00\";\"1,2M\"\n\"30.01.2024\";\"11,00\";\"10,00\";\"12,00\";\"9,00\";\"-\"\n"),
		[]byte("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\n2024.01.30\t09:30:00\t10\t12\t9\t11\t500\t0\n2024.01.30\t10:30:00\t11\t13\t10\t12\t600\t0\n"),
		[]byte("1706607000000,10.0,12.0,9.0,11.0,500.0,1\n1706610600000,11.0,13.0,10.0,12.0,600.0,1\n"),
		[]byte("20240130 093000;10;12;9;11;500\n20240130 103000;11;13;10;12;600\n"),
		[]byte("Date,Open,High,Low,Close\nJan 31, 2024,1,1,1,1\n"), []byte("\xff\xfeD\x00a\x00t\x00e\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.HasPrefix(text, []byte("PAR1")) || bytes.HasPrefix(text, []byte("PK")) {
			t.Skip() // have targets of their own
		}
		checkRead(t, text, Options{})
		checkRead(t, text, Options{Repair: true, Drop: true, DateOrder: MonthFirst, Decimal: ".", Adjust: bytes.Contains(text, []byte("dj"))})
	})
}

func FuzzReadArchive(f *testing.F) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte(good))
	w.Close()
	seeds(f, packed.Bytes(), packed.Bytes()[:20], zipped(f, "A.csv"), zipped(f, "A.csv", "B.csv"), tarred(f, "A.csv", "B.csv"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if !bytes.HasPrefix(file, []byte("PK")) && !bytes.HasPrefix(file, []byte("\x1f\x8b")) {
			t.Skip()
		}
		checkRead(t, file, Options{})
	})
}

func FuzzReadParquet(f *testing.F) {
	s, _, err := readBytes([]byte(good), "F.csv")
	if err != nil {
		f.Fatal(err)
	}
	var packed bytes.Buffer
	if err := WriteParquet(&packed, s); err != nil {
		f.Fatal(err)
	}
	seeds(f, packed.Bytes(), packed.Bytes()[:packed.Len()-8])
	for version := 1; version <= 2; version++ {
		few, option := dailyCandles(20), parquet.DataPageVersion(version)
		f.Add(writeRows(f, few, toPlainRow, option))
		f.Add(writeRows(f, few, toDictRow, option))
		f.Add(writeRows(f, few, toDeltaRow, option))
		f.Add(writeRows(f, few, toDictRow, option, parquet.Compression(&parquet.Snappy)))
		f.Add(writeRows(f, few, toDictRow, option, parquet.Compression(&parquet.Gzip), parquet.MaxRowsPerRowGroup(8)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if !bytes.HasPrefix(file, []byte("PAR1")) {
			t.Skip()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := readBytes(file, "F.parquet")
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 512<<20 {
			t.Fatalf("%d bytes taken for a file of %d: %v", taken, len(file), err)
		}
		checkRead(t, file, Options{})
	})
}

// A time is read as the same instant or refused, never with a panic, and what it
// becomes is a year that series may have.
func FuzzClock(f *testing.F) {
	for _, text := range []string{"2024-01-31", "31/01/24 5:05 pm", "Wed, Jan 3, 2022", "20240131153001", "1706715000.25", "-1", "45322.5", "2024年1月31日", "3-Jan-22 10:00 GMT+0100"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := newClock([]string{text}, "")
		if err != nil {
			return
		}
		at, err := c.parse(text)
		if err == nil && checkYear(at) != nil {
			t.Errorf("parse(%q) = %v", text, at)
		}
	})
}
