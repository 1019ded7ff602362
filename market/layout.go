package market

import (
	"fmt"
	"slices"
	"strings"
)

// layout says in which column of a row each field stands.
type layout struct {
	time, open, high, low, close int
	volume, ticker               int    // −1: the file has none
	width                        int    // columns of every row
	symbol                       string // from the header; empty if it names none
}

// columnNames lists the header names of each field, in lower case. Adjusted
// closes, dividends and the rest are left alone: an adjusted close beside
// unadjusted prices is no candle.
var columnNames = map[string]string{
	"date": "time", "datetime": "time", "date time": "time", "time": "time",
	"timestamp": "time", "timestamps": "time",
	"open": "open", "high": "high", "low": "low", "close": "close",
	"volume": "volume", "vol": "volume", "tick volume": "volume",
	"ticker": "ticker", "symbol": "ticker",
}

// columnName brings a header cell to the spelling of columnNames.
func columnName(cell string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(cell)), "_", " ")
}

// readLayout maps the header to columns. next returns the fields of the next
// line, which are valid until it is called again; the error of readLayout
// begins with the line number.
//
// Besides one line of names it knows the three lines that yfinance writes,
//
//	Price,Close,High,Low,Open,Volume
//	Ticker,AAPL,AAPL,AAPL,AAPL,AAPL
//	Date,,,,,
//
// also with the first two exchanged. A first column without a name is the time.
func readLayout(next func() (fields []string, line int, err error)) (layout, error) {
	fields, line, err := next()
	if err != nil {
		return layout{}, err
	}
	header := slices.Clone(fields)
	first := columnName(header[0])
	if first != "price" && first != "ticker" {
		if first == "" {
			header[0] = "date"
		}
		return newLayout(header, line)
	}

	// Three lines: the names, the ticker of every column, the name of the index.
	fields, line2, err := next()
	if err != nil {
		return layout{}, err
	}
	second := slices.Clone(fields)
	prices, tickers, tickerLine := header, second, line2
	if first == "ticker" {
		prices, tickers, tickerLine = second, header, line
	}
	if columnName(prices[0]) != "price" || columnName(tickers[0]) != "ticker" || len(prices) != len(tickers) {
		return layout{}, fmt.Errorf("%d: header: first column is %q, want the time", line, clip(header[0]))
	}
	symbol := ""
	for _, cell := range tickers[1:] {
		cell = strings.TrimSpace(cell)
		if symbol == "" {
			symbol = cell
		}
		if cell != symbol || cell == "" {
			return layout{}, fmt.Errorf("%d: ticker: %q beside %q, want one asset in a file", tickerLine, clip(cell), clip(symbol))
		}
	}
	fields, line3, err := next()
	if err != nil {
		return layout{}, err
	}
	if columnNames[columnName(fields[0])] != "time" || strings.Trim(strings.Join(fields[1:], ""), " ") != "" {
		return layout{}, fmt.Errorf("%d: header: third line begins with %q, want the name of the time column alone", line3, clip(fields[0]))
	}
	prices[0] = "date"
	found, err := newLayout(prices, line)
	found.symbol = symbol
	return found, err
}

// newLayout finds the columns by name. Two columns for one field are refused:
// nobody knows which one is meant.
func newLayout(header []string, line int) (layout, error) {
	at := map[string]int{}
	for i, cell := range header {
		field, known := columnNames[columnName(cell)]
		if !known {
			continue
		}
		if j, twice := at[field]; twice {
			return layout{}, fmt.Errorf("%d: header: %q and %q both name the %s", line, clip(header[j]), clip(cell), field)
		}
		at[field] = i
	}
	var missing []string
	for _, field := range []string{"time", "open", "high", "low", "close"} {
		if _, ok := at[field]; !ok {
			missing = append(missing, field)
		}
	}
	if missing != nil {
		return layout{}, fmt.Errorf("%d: header: no column for %s in %q", line, strings.Join(missing, ", "), clip(strings.Join(header, ",")))
	}
	optional := func(field string) int {
		if i, ok := at[field]; ok {
			return i
		}
		return -1
	}
	return layout{
		time: at["time"], open: at["open"], high: at["high"], low: at["low"], close: at["close"],
		volume: optional("volume"), ticker: optional("ticker"),
		width: len(header),
	}, nil
}
