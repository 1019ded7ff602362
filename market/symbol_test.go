package market

import "testing"

func TestSymbolsOfFileNames(t *testing.T) {
	for name, want := range map[string]string{
		"AAPL.csv":                                 "AAPL",
		"dir/AAPL.CSV.gz":                          "AAPL",
		"BTC-USD_2014-09-17_2025-12-31_1d.csv":     "BTC-USD",
		"BTC_USD_2014-09-17_2025-12-31_1d.parquet": "BTC_USD",
		"EUR_USD.csv":                              "EUR_USD",
		"EUR_USD_1h.csv":                           "EUR_USD",
		"EURUSD_M15.csv":                           "EURUSD",
		"AAPL_daily.csv":                           "AAPL",
		"AAPL_data.csv":                            "AAPL",
		"AAPL_max":                                 "AAPL",
		"MAX_MAXIMUS.csv":                          "MAX_MAXIMUS",
		"BRK_B.csv":                                "BRK_B",
		"NASDAQ_AAPL, 1D.csv":                      "NASDAQ_AAPL",
		"NASDAQ_AAPL, 60.csv":                      "NASDAQ_AAPL",
		"BINANCE_BTCUSDT, 240_3f2a1.csv":           "BINANCE_BTCUSDT",
		"NASDAQ_AAPL, 1D (1).csv":                  "NASDAQ_AAPL",
		"BTCUSDT-1h-2024-01.zip":                   "BTCUSDT",
		"X.zip/BTCUSDT-1m-2024-01-05.csv":          "BTCUSDT",
		"BTCUSDT_Binance_futures_data_hour.csv.gz": "BTCUSDT",
		"_issue.csv":                               "_issue",
		"X_.csv":                                   "X",
	} {
		if got := symbolOf(name); got != want {
			t.Errorf("symbolOf(%q) = %q, want %q", name, got, want)
		}
	}
}
