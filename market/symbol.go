package market

import (
	"path/filepath"
	"regexp"
	"strings"
)

// symbolOf takes the symbol from a file name without its extension: up to the
// first underscore behind which a date, an interval or a source stands, or all of
// it. TradingView writes "NASDAQ_AAPL, 1D", Binance "BTCUSDT-1h-2024-01".
func symbolOf(path string) string {
	name := filepath.Base(filepath.ToSlash(path))
	for again := true; again; {
		again = false
		for _, ext := range []string{".gz", ".zip", ".csv", ".txt", ".tsv", ".parquet"} {
			if len(name) > len(ext) && strings.EqualFold(name[len(name)-len(ext):], ext) {
				name, again = name[:len(name)-len(ext)], true
			}
		}
	}
	for _, form := range []*regexp.Regexp{tradingView, binance} {
		if parts := form.FindStringSubmatch(name); parts != nil {
			return parts[1]
		}
	}
	for i := 1; i < len(name); i++ {
		if name[i] == '_' && afterSymbol.MatchString(name[i+1:]) {
			return name[:i]
		}
	}
	return name
}

var (
	tradingView = regexp.MustCompile(`^(.+), (?:\d{1,4}|\d{0,3}[SHDWM])(?:_\w+)?(?: \(\d+\))?$`)
	binance     = regexp.MustCompile(`^([^-]+)-\d{1,2}(?:s|m|h|d|w|mo)-\d{4}-\d{2}(?:-\d{2})?$`)
	// A figure, as of 2024-01-31 and 1h; an interval such as H4; or one of these words.
	afterSymbol = regexp.MustCompile(`(?i)^(?:$|\d|(?:` +
		`[mhdw]\d{1,2}|mn1?|minute|hourly|hour|daily|day|weekly|week|monthly|month|max|` +
		`data|history|historical|candles|ohlcv?|prices?|` +
		`binance|bitstamp|bitfinex|coinbase|kraken|yahoo|stooq|barchart(?:dotcom)?` +
		`)(?:[^\pL\d]|$))`)
)
