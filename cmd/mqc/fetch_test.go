package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// serve starts a service that answers as Yahoo, Binance and Stooq do, with 300
// candles of 2023, and puts its address into $SERVICE. Some symbols fare badly:
// BUSY is refused once, BROKEN always, GONE is unknown, PAGE is a web page, HALF
// breaks off, ODD is nonsense; DOWN breaks on its second page until it was asked
// for it twice.
func serve(ts *testscript.TestScript, _ bool, _ []string) {
	var mu sync.Mutex
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		symbol := r.FormValue("symbol") + r.FormValue("s") + strings.TrimPrefix(r.URL.Path, "/v8/finance/chart/")
		mu.Lock()
		asked[symbol]++
		n := asked[symbol]
		mu.Unlock()
		switch {
		case symbol == "BUSY" && n == 1:
			http.Error(w, "Too Many Requests", http.StatusTooManyRequests)
		case symbol == "BROKEN":
			w.WriteHeader(http.StatusBadGateway)
		case symbol == "GONE":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}`)
		case symbol == "PAGE":
			fmt.Fprint(w, "<!DOCTYPE html><html>Before you continue</html>")
		case symbol == "HALF":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"chart":`)
		case symbol == "ODD":
			fmt.Fprint(w, `{"chart":{"result":7}}`)
		case strings.HasPrefix(r.URL.Path, "/v8/"):
			fmt.Fprint(w, chartOf(300))
		case strings.HasPrefix(r.URL.Path, "/api/v3/klines"):
			if strings.HasPrefix(symbol, "DOWN") && (n == 2 || n == 3) {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			fmt.Fprint(w, klinesOf(r.FormValue("startTime"), 1500))
		case r.FormValue("apikey") != "open sesame":
			fmt.Fprint(w, "Get your apikey:\n")
		default:
			fmt.Fprint(w, "Date,Open,High,Low,Close,Volume\n2023-01-03,1,2,0.5,1.5,100\n2023-01-04,1,2,0.5,1.5,100\n2023-01-05,1,2,0.5,1.5,100\n")
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("SERVICE", server.URL)
}

var firstServed = time.Date(2023, 1, 2, 0, 0, 0, 0, time.UTC)

// chartOf is Yahoo's answer of so many days.
func chartOf(n int) string {
	column := func(value func(int) any) []any {
		values := make([]any, n)
		for i := range values {
			values[i] = value(i)
		}
		return values
	}
	same := func(x float64) []any { return column(func(int) any { return x }) }
	text, err := json.Marshal(map[string]any{"chart": map[string]any{"error": nil, "result": []any{map[string]any{
		"meta":      map[string]any{"exchangeTimezoneName": "UTC"},
		"timestamp": column(func(i int) any { return firstServed.AddDate(0, 0, i).Unix() }),
		"indicators": map[string]any{
			"quote":    []any{map[string]any{"open": same(10), "high": same(12), "low": same(9), "close": same(11), "volume": same(5)}},
			"adjclose": []any{map[string]any{"adjclose": same(5.5)}},
		},
	}}}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// klinesOf is Binance's answer from a time, in milliseconds, where there are so
// many hours.
func klinesOf(from string, n int) string {
	ms, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		panic(err)
	}
	rows := [][]any{}
	for i := range n {
		opens := firstServed.Add(time.Duration(i) * time.Hour).UnixMilli()
		if opens >= ms && len(rows) < 1000 {
			rows = append(rows, []any{opens, "10", "12", "9", "11", "5", opens + time.Hour.Milliseconds() - 1})
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		panic(err)
	}
	return string(text)
}
