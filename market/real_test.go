package market

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realData is a folder of the records that lie beside a checkout of the
// project and are never part of it.
func realData(t *testing.T, folder string) string {
	t.Helper()
	dir := filepath.Join("..", "..", "shared", "data", folder)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no market records beside this checkout: %v", err)
	}
	return dir
}

// realFiles gives rows, first and last date as the index of the records states
// them; the symbol is that of the header, else of the file name.
var realFiles = []struct {
	folder, file, symbol, first, last string
	rows                              int
}{
	{"ten", "AAPL_1980-12-12_2024-12-31_1d.csv", "AAPL", "1980-12-12", "2024-12-31", 11105},
	{"ten", "AMZN_1997-05-15_2024-12-31_1d.csv", "AMZN", "1997-05-15", "2024-12-31", 6953},
	{"ten", "BTC-USD_2014-09-17_2024-12-31_1d.csv", "BTC-USD", "2014-09-17", "2024-12-31", 3759},
	{"ten", "GOOGL_2004-08-19_2024-12-31_1d.csv", "GOOGL", "2004-08-19", "2024-12-31", 5127},
	{"ten", "JPM_1980-03-17_2024-12-31_1d.csv", "JPM", "1980-03-17", "2024-12-31", 11293},
	{"ten", "META_2012-05-18_2024-12-31_1d.csv", "META", "2012-05-18", "2024-12-31", 3175},
	{"ten", "MSFT_1986-03-13_2024-12-31_1d.csv", "MSFT", "1986-03-13", "2024-12-31", 9779},
	{"ten", "NVDA_1999-01-22_2024-12-31_1d.csv", "NVDA", "1999-01-22", "2024-12-31", 6528},
	{"ten", "TSLA_2010-06-29_2024-12-31_1d.csv", "TSLA", "2010-06-29", "2024-12-31", 3652},
	{"ten", "V_2015-01-02_2024-12-30_1d.csv", "V", "2015-01-02", "2024-12-30", 2515},

	{"daily", "AAPL.csv.gz", "AAPL", "1980-12-12", "2024-12-31", 11105},
	{"daily", "AMZN.csv.gz", "AMZN", "1997-05-15", "2024-12-31", 6953},
	{"daily", "BTC-USD.csv", "BTC-USD", "2014-09-17", "2024-12-31", 3759},
	{"daily", "GOOG.csv", "GOOG", "2004-08-19", "2013-03-01", 2148},
	{"daily", "GOOGL.csv.gz", "GOOGL", "2004-08-19", "2024-12-31", 5127},
	{"daily", "JPM.csv.gz", "JPM", "1980-03-17", "2024-12-31", 11293},
	{"daily", "META.csv", "META", "2016-06-28", "2024-12-31", 2142},
	{"daily", "META.csv.gz", "META", "2012-05-18", "2024-12-31", 3175},
	{"daily", "MSFT.csv.gz", "MSFT", "1986-03-13", "2024-12-31", 9779},
	{"daily", "NVDA.csv", "NVDA", "2016-06-28", "2024-12-31", 2142},
	{"daily", "NVDA.csv.gz", "NVDA", "2011-01-03", "2024-12-31", 3522},
	{"daily", "StockPredict-NVDA.csv.gz", "StockPredict-NVDA", "1999-01-22", "2024-12-31", 6528},
	{"daily", "TSLA.csv.gz", "TSLA", "2010-06-29", "2024-12-31", 3652},
	{"daily", "sp500-ohlc-AAPL.csv.gz", "sp500-ohlc-AAPL", "1984-09-07", "2024-12-31", 10160},

	{"daily-three-line-header", "AAPL.csv", "AAPL", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "AMZN.csv", "AMZN", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "BTC_USD.csv", "BTC-USD", "2015-01-01", "2024-12-30", 3652},
	{"daily-three-line-header", "DJI.csv", "^DJI", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "ETH_USD.csv", "ETH-USD", "2017-11-09", "2024-12-30", 2609},
	{"daily-three-line-header", "FTSE.csv", "^FTSE", "2015-01-02", "2024-12-30", 2524},
	{"daily-three-line-header", "GOOGL.csv", "GOOGL", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "GSPC.csv", "^GSPC", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "IXIC.csv", "^IXIC", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "JNJ.csv", "JNJ", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "JPM.csv", "JPM", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "MSFT.csv", "MSFT", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "N225.csv", "^N225", "2015-01-05", "2024-12-30", 2445},
	{"daily-three-line-header", "TSLA.csv", "TSLA", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "V.csv", "V", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "VIX.csv", "^VIX", "2015-01-02", "2024-12-30", 2515},
	{"daily-three-line-header", "XOM.csv", "XOM", "2015-01-02", "2024-12-30", 2515},
}

func TestRealFiles(t *testing.T) {
	realData(t, "ten")
	for _, want := range realFiles {
		path := filepath.Join(realData(t, want.folder), want.file)
		s, got, err := ReadCSV(path)
		if err != nil {
			t.Errorf("ReadCSV: %v", err)
			continue
		}
		if got.Rows != want.rows || len(s.Candles) != want.rows || got.Symbol != want.symbol || got.Interval != Day ||
			stamp(got.First) != want.first || stamp(got.Last) != want.last {
			t.Errorf("ReadCSV(%s) = %+v, want %d rows of %s, 1d, %s to %s", path, got, want.rows, want.symbol, want.first, want.last)
		}
		if want.folder == "ten" {
			t.Logf("%s: widened %d, zero volume %d, flat %d, largest move %.2f", got.Symbol, got.Widened, got.ZeroVolume, got.Flat, got.MaxMove)
			// Prices of these are adjusted for dividends in floating point.
			if dozens := want.symbol == "AAPL" || want.symbol == "JPM" || want.symbol == "MSFT"; dozens && got.Widened < 12 {
				t.Errorf("%s: %d rows widened, want dozens", got.Symbol, got.Widened)
			}
		}
	}
}

// Oil had a negative price on 2020-04-20, in line 1334 with the three of the
// header.
func TestRealNegativePrice(t *testing.T) {
	path := filepath.Join(realData(t, "daily-three-line-header"), "CL=F.csv")
	_, _, err := ReadCSV(path)
	if err == nil || !strings.HasPrefix(err.Error(), "market: "+path+":1334: ") {
		t.Errorf("ReadCSV = %v, want %s:1334: …", err, path)
	}
}

func TestRealFolders(t *testing.T) {
	series, _, err := ReadDir(realData(t, "ten"))
	if err != nil || len(series) != 10 || series[0].Symbol != "AAPL" || series[9].Symbol != "V" {
		t.Errorf("ReadDir(ten) = %d series, %v, want AAPL … V", len(series), err)
	}
	// The folder holds META and NVDA twice, of two vendors.
	_, _, err = ReadDir(realData(t, "daily"))
	if err == nil || strings.Count(err.Error(), " is also in ") != 2 {
		t.Errorf("ReadDir(daily) = %v, want META and NVDA refused", err)
	}
}

// Files of other layouts are read right or refused with a place; here only that
// none of them stops the program.
func TestRealOddFiles(t *testing.T) {
	for _, folder := range []string{"messy", "intraday"} {
		entries, err := os.ReadDir(realData(t, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			path := filepath.Join(realData(t, folder), entry.Name())
			_, report, err := ReadCSV(path)
			if err != nil && !strings.HasPrefix(err.Error(), "market: "+path+":") {
				t.Errorf("error without a place: %v", err)
			}
			t.Logf("%s: %s %s, %d rows, %v", path, report.Symbol, report.Interval, report.Rows, err)
		}
	}
}
