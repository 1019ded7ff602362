package feed

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/market"
)

// daily is a series of n days.
func daily(symbol string, first time.Time, n int) *market.Series {
	s := &market.Series{Symbol: symbol, Interval: market.Day}
	for i := range n {
		s.Candles = append(s.Candles, market.Candle{Time: first.AddDate(0, 0, i), Open: 1, High: 2, Low: .5, Close: 1, Volume: float64(i)})
	}
	return s
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	save := func(s *market.Series) (string, []string) {
		t.Helper()
		path, beside, err := Save(dir, s, Saved{Source: "yahoo", Fetched: day(2024, 7, 10)})
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Base(path), beside
	}
	name, beside := save(daily("BTC-USD", day(2024, 1, 1), 10))
	if name != "BTC-USD_2024-01-01_2024-01-10_1d.csv" || len(beside) > 0 {
		t.Errorf("Save = %s beside %v", name, beside)
	}
	s, _, err := market.ReadCSV(filepath.Join(dir, name))
	if err != nil || s.Symbol != "BTC-USD" || len(s.Candles) != 10 || s.Candles[9].Volume != 9 {
		t.Errorf("it reads as %+v, %v", s, err)
	}
	save(daily("AAPL", day(2024, 1, 1), 10))

	// A longer one takes the place of a shorter one, and of no other symbol.
	save(daily("BTC-USD", day(2024, 1, 1), 12))
	want := []string{"AAPL_2024-01-01_2024-01-10_1d.csv", "BTC-USD_2024-01-01_2024-01-12_1d.csv", Record}
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
	// One that lacks some of its dates does not, and says so.
	if _, beside := save(daily("BTC-USD", day(2024, 1, 5), 20)); len(beside) != 1 || filepath.Base(beside[0]) != "BTC-USD_2024-01-01_2024-01-12_1d.csv" {
		t.Errorf("beside it are %v", beside)
	}
	// The same again is the same.
	if _, _, err := Save(dir, daily("AAPL", day(2024, 1, 1), 10), Saved{}); err != nil {
		t.Error(err)
	}
}

func TestSaveTouchesNoFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "AAPL_2024-01-01_2024-01-10_1d.csv")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Save(dir, daily("AAPL", day(2024, 1, 1), 10), Saved{}); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("Save over a file of the user: %v", err)
	}
	if _, beside, err := Save(dir, daily("AAPL", day(2024, 1, 1), 12), Saved{}); err != nil || !slices.Equal(beside, []string{mine}) {
		t.Errorf("Save beside a file of the user: %v, %v", beside, err)
	}
	// A download that was edited is the user's.
	edited := filepath.Join(dir, "AAPL_2024-01-01_2024-01-12_1d.csv")
	if err := os.WriteFile(edited, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, beside, err := Save(dir, daily("AAPL", day(2024, 1, 1), 20), Saved{}); err != nil || !slices.Equal(beside, []string{mine, edited}) {
		t.Errorf("Save beside an edited file: %v, %v", beside, err)
	}
	for _, text := range []string{"{", `{"format":2,"files":{}}`, `{"format":1,"files":{"../a.csv":{}}}`, `{"format":1,"files":{"a.txt":{}}}`, `{"format":1,"other":1}`} {
		if err := os.WriteFile(filepath.Join(dir, Record), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Save(dir, daily("V", day(2024, 1, 1), 10), Saved{}); err == nil || !strings.Contains(err.Error(), Record) {
			t.Errorf("Save with the record %s: %v", text, err)
		}
	}
}
