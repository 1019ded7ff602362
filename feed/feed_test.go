package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/micro-quant/mqc/market"
)

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// clock is a time that only sleeping moves.
type clock struct {
	now   time.Time
	slept []time.Duration
}

// newSource is a source that asks a handler, with a clock of its own.
func newSource(t *testing.T, name string, handler http.HandlerFunc, change func(*Config)) (*source, *clock) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := DefaultConfig()
	c.BaseURL, c.Pause = server.URL, 0
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	k := &clock{now: time.Date(2024, 7, 10, 15, 0, 0, 0, time.UTC)}
	client := newClient(name, c)
	client.now = func() time.Time { return k.now }
	client.sleep = func(ctx context.Context, d time.Duration) error {
		k.slept = append(k.slept, d)
		k.now = k.now.Add(d)
		return ctx.Err()
	}
	return &source{client, services[name]}, k
}

// yahooAnswer is a chart of days of New York, of which today's session runs.
func yahooAnswer(rows string) string {
	return `{"chart":{"result":[{"meta":{"exchangeTimezoneName":"America/New_York","currentTradingPeriod":{"regular":{"start":1720618200,"end":1720641600}}},` + rows + `}],"error":null}}`
}

// The last two rows are 2024-07-09 and, during its session, 2024-07-10.
const yahooDays = `"timestamp":[1720013400,1720186200,1720445400,1720531800,1720623600],
"indicators":{"quote":[{"open":[10,11,null,12,13],"high":[11,12,null,13,14],"low":[9,10,null,11,12],"close":[10,12,null,12,13],"volume":[100,200,null,null,5]}],
"adjclose":[{"adjclose":[5,6,null,12,13]}]}`

func answers(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func TestYahoo(t *testing.T) {
	var asked *http.Request
	source, _ := newSource(t, "yahoo", func(w http.ResponseWriter, r *http.Request) {
		asked = r
		fmt.Fprint(w, yahooAnswer(yahooDays))
	}, func(c *Config) { c.UserAgent = "agent/1" })
	r, err := source.Fetch(t.Context(), Request{Symbol: "^GSPC", Interval: market.Day})
	if err != nil {
		t.Fatal(err)
	}
	want := []market.Candle{
		{Time: day(2024, 7, 3), Open: 5, High: 5.5, Low: 4.5, Close: 5, Volume: 100},
		{Time: day(2024, 7, 5), Open: 5.5, High: 6, Low: 5, Close: 6, Volume: 200},
		{Time: day(2024, 7, 9), Open: 12, High: 13, Low: 11, Close: 12, Volume: math.NaN()},
	}
	if len(r.Series.Candles) != len(want) || r.Skipped != 1 || r.Series.Symbol != "^GSPC" {
		t.Fatalf("Fetch = %+v, %d skipped, want three candles of ^GSPC and one row skipped", r.Series, r.Skipped)
	}
	for i, c := range r.Series.Candles {
		if fmt.Sprint(c) != fmt.Sprint(want[i]) {
			t.Errorf("candle %d is %v, want %v", i, c, want[i])
		}
	}
	if got := asked.URL.Path; got != "/v8/finance/chart/^GSPC" {
		t.Errorf("asked for %s", got)
	}
	if q := asked.URL.Query(); q.Get("interval") != "1d" || q.Get("period2") != strconv.FormatInt(day(2024, 7, 11).Unix(), 10) {
		t.Errorf("asked for %s", asked.URL.RawQuery)
	}
	if got := asked.Header.Get("User-Agent"); got != "agent/1" {
		t.Errorf("the agent is %q", got)
	}

	r, err = source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day, AsTraded: true, Start: day(2024, 7, 4), End: day(2024, 7, 9)})
	if err != nil || len(r.Series.Candles) != 2 || r.Series.Candles[0].Close != 12 {
		t.Errorf("as traded between two dates: %+v, %v", r.Series, err)
	}
}

func TestYahooToday(t *testing.T) {
	source, k := newSource(t, "yahoo", answers(yahooAnswer(yahooDays)), nil)
	k.now = time.Unix(1720641600, 0) // the close
	r, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day})
	if err != nil || lastTime(r.Series.Candles) != day(2024, 7, 10) {
		t.Errorf("after the close the last candle is %v, %v, want that of the day", lastTime(r.Series.Candles), err)
	}
	hours := strings.NewReplacer("1720013400", "1720609800", "1720186200", "1720613400", "1720445400", "1720617000", "1720531800", "1720620600", "1720623600", "1720624200").Replace(yahooDays)
	source, _ = newSource(t, "yahoo", answers(yahooAnswer(hours)), nil)
	r, err = source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Hour, AsTraded: true})
	if want := time.Date(2024, 7, 10, 12, 10, 0, 0, time.UTC); err != nil || lastTime(r.Series.Candles) != want {
		t.Errorf("the last hour is %v, %v, want %v, which is over", lastTime(r.Series.Candles), err, want)
	}
}

// What the services answer when they have no candles.
func TestNoCandles(t *testing.T) {
	const html = "<!doctype html><html><body>Before you continue</body></html>"
	half := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(text)*2))
			w.WriteHeader(status)
			fmt.Fprint(w, text)
		}
	}
	status := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, text)
		}
	}
	for _, c := range []struct {
		name, source string
		handler      http.HandlerFunc
		is           error
		want         string
		tries        int
	}{
		{"unknown", "yahoo", status(404, `{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}`), ErrUnknown, "symbol may be delisted", 1},
		{"range", "yahoo", status(422, `{"chart":{"result":null,"error":{"code":"Unprocessable Entity","description":"must be within the last 730 days"}}}`), nil, "must be within the last 730 days", 1},
		{"empty", "yahoo", answers(yahooAnswer(`"indicators":{"quote":[{}]}`)), ErrUnknown, "", 1},
		{"web page", "yahoo", answers(html), ErrBlocked, "a web page", 1},
		{"web page with an error", "yahoo", status(404, html), ErrBlocked, "404 Not Found", 1},
		{"nonsense", "yahoo", answers(`{"chart":12}`), nil, "none of this service", 1},
		{"other JSON", "yahoo", answers(`{}`), nil, "0 results", 1},
		{"text", "yahoo", answers(`nonsense`), nil, "none of this service", 1},
		{"uneven columns", "yahoo", answers(yahooAnswer(strings.Replace(yahooDays, "100,", "", 1))), nil, "4 volumes", 1},
		{"no zone", "yahoo", answers(strings.Replace(yahooAnswer(yahooDays), "America/New_York", "America/Gotham", 1)), nil, "America/Gotham", 1},
		{"no candle", "yahoo", answers(yahooAnswer(strings.Replace(yahooDays, `"high":[11`, `"high":[1`, 1))), nil, "high", 1},
		{"half an answer", "yahoo", half(200, yahooAnswer(yahooDays)[:200]), nil, "breaks off after 200 bytes", 3},
		{"half the JSON", "yahoo", answers(yahooAnswer(yahooDays)[:200]), nil, "stops half way", 3},
		{"nothing", "yahoo", answers(""), nil, "stops half way", 3},
		{"busy", "yahoo", status(429, "Too Many Requests"), ErrBusy, "after 3 tries", 3},
		{"broken", "yahoo", status(502, html), nil, "502 Bad Gateway, after 3 tries", 3},
		{"forbidden", "yahoo", status(403, ""), ErrBlocked, "403", 1},

		{"unknown", "binance", status(400, `{"code":-1121,"msg":"Invalid symbol."}`), ErrUnknown, "Invalid symbol", 1},
		{"refused", "binance", status(400, `{"code":-1100,"msg":"Illegal characters"}`), nil, "code -1100: Illegal characters", 1},
		{"banned", "binance", status(418, `{"code":-1003,"msg":"banned"}`), ErrBusy, "after 3 tries", 3},
		{"not here", "binance", status(451, `{"code":0,"msg":"restricted location"}`), ErrBlocked, "451", 1},
		{"nonsense", "binance", answers(`{"a":1}`), nil, "none of this service", 1},
		{"short rows", "binance", answers(`[[1,"1"]]`), nil, "candle 0: 2 fields", 1},
		{"numbers as words", "binance", answers(`[[1,"x","1","1","1","1",2]]`), nil, `field 1: "x"`, 1},
		{"back in time", "binance", answers(`[[9,"1","1","1","1","1",10],[5,"1","1","1","1","1",6]]`), nil, "candle 1: opens at 5", 1},
		{"half the JSON", "binance", answers(`[[1,"1","1"`), nil, "stops half way", 3},
		{"nothing", "binance", answers(`[]`), ErrUnknown, "0 candles", 1},

		{"unknown", "stooq", answers("No data"), ErrUnknown, "", 1},
		{"limit", "stooq", answers("Exceeded the daily hits limit"), ErrBusy, "the limit of a day", 1},
		{"key", "stooq", answers("Get your apikey:\n1. Open"), ErrBlocked, "wants a key", 1},
		{"other columns", "stooq", answers("a,b\n1,2\n"), nil, "it begins", 1},
		{"text for a price", "stooq", answers("Date,Open,High,Low,Close,Volume\n2024-01-02,1,x,1,1,1\n"), nil, `line 2: high "x"`, 1},
		{"no date", "stooq", answers("Date,Open,High,Low,Close,Volume\n02.01.24,1,1,1,1,1\n"), nil, "line 2: date", 1},
		{"half a file", "stooq", answers("Date,Open,High,Low,Close,Volume\n2024-01-02,1,1,1,1,1\n2024-01-"), nil, "stops half way", 3},
	} {
		tries := 0
		source, _ := newSource(t, c.source, func(w http.ResponseWriter, r *http.Request) {
			tries++
			c.handler(w, r)
		}, func(c *Config) { c.Retries = 2 })
		_, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day})
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "feed: "+c.source+" AAPL: ") {
			t.Errorf("%s, %s: %v, want %v with %q", c.source, c.name, err, c.is, c.want)
		}
		if tries != c.tries {
			t.Errorf("%s, %s: asked %d times, want %d", c.source, c.name, tries, c.tries)
		}
	}
}

func TestWaitsAsLongAsTheServiceAsks(t *testing.T) {
	tries := 0
	source, k := newSource(t, "yahoo", func(w http.ResponseWriter, _ *http.Request) {
		switch tries++; tries {
		case 1:
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(429)
		case 2:
			w.Header().Set("Retry-After", "Wed, 10 Jul 2024 15:04:00 GMT")
			w.WriteHeader(503)
		case 3, 4:
			w.WriteHeader(500)
		default:
			fmt.Fprint(w, yahooAnswer(yahooDays))
		}
	}, func(c *Config) { c.Backoff = 2 * time.Second })
	if _, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day}); err != nil {
		t.Fatal(err)
	}
	if len(k.slept) != 4 || k.slept[0] != 90*time.Second || k.slept[1] != 150*time.Second {
		t.Fatalf("slept %v, want 1m30s, 2m30s and two more", k.slept)
	}
	for i, want := range []time.Duration{8 * time.Second, 16 * time.Second} {
		if got := k.slept[2+i]; got < want*3/4 || got > want*5/4 || got == want {
			t.Errorf("wait %d is %s, want about %s", 2+i, got, want)
		}
	}

	source, k = newSource(t, "yahoo", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(429)
	}, nil)
	if _, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day}); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "2h0m0s") || len(k.slept) > 0 {
		t.Errorf("a wait of two hours: %v after %v, want to give up at once", err, k.slept)
	}
}

func TestWaitsAreThoseOfTheSeed(t *testing.T) {
	slept := func(seed uint64) string {
		source, k := newSource(t, "yahoo", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, func(c *Config) { c.Seed = seed })
		source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day})
		return fmt.Sprint(k.slept)
	}
	if a, b := slept(1), slept(1); a != b {
		t.Errorf("the same seed waits %s and %s", a, b)
	}
	if a, b := slept(1), slept(2); a == b {
		t.Errorf("two seeds wait %s", a)
	}
}

func TestPausesBetweenRequests(t *testing.T) {
	source, k := newSource(t, "yahoo", answers(yahooAnswer(yahooDays)), func(c *Config) { c.Pause = 3 * time.Second })
	for range 3 {
		if _, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day}); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(k.slept) != "[3s 3s]" {
		t.Errorf("slept %v between three requests, want 3s twice", k.slept)
	}
}

// A service that hangs, before its answer or in it, is asked again.
func TestSlowService(t *testing.T) {
	var tries atomic.Int64 // a try that was given up may still be served beside the next
	done := make(chan struct{})
	defer close(done)
	source, _ := newSource(t, "yahoo", func(w http.ResponseWriter, r *http.Request) {
		switch tries.Add(1) {
		case 1:
		case 2:
			fmt.Fprint(w, "{")
			w.(http.Flusher).Flush()
		default:
			fmt.Fprint(w, yahooAnswer(yahooDays))
			return
		}
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}, func(c *Config) { c.Timeout, c.Retries = 300*time.Millisecond, 10 })
	var faults []string
	source.Observe = func(e Event) {
		if e.Fault != nil {
			faults = append(faults, e.Fault.Error())
		}
	}
	if _, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day}); err != nil {
		t.Fatal(err)
	}
	if len(faults) < 2 {
		t.Errorf("the faults were %q, want two", faults)
	}
	for _, f := range faults {
		if !strings.HasSuffix(f, "no answer within 300ms") {
			t.Errorf("a fault was %q", f)
		}
	}
}

func TestStopsWhenTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	source, _ := newSource(t, "yahoo", func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(500)
	}, nil)
	if _, err := source.Fetch(ctx, Request{Symbol: "AAPL", Interval: market.Day}); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch = %v, want that it was cancelled", err)
	}
}

func TestAnswerWithoutEnd(t *testing.T) {
	source, _ := newSource(t, "yahoo", func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			fmt.Fprint(w, strings.Repeat(" ", 1000))
		}
	}, func(c *Config) { c.MaxBody = 5000 })
	if _, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day}); err == nil || !strings.Contains(err.Error(), "more than 5000 bytes") {
		t.Errorf("Fetch = %v, want the answer refused", err)
	}
}

// klines are n candles of an hour from a time on.
func klines(from time.Time, n int) string {
	rows := make([][]any, n)
	for i := range rows {
		opens := from.Add(time.Duration(i) * time.Hour)
		rows[i] = []any{opens.UnixMilli(), "10.5", "11", "9.25", "10", "1.5", opens.Add(time.Hour).UnixMilli() - 1, "0", 1, "0", "0", "0"}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// hourly answers as Binance does, for candles of so many hours.
func hourly(t *testing.T, first time.Time, n int, asked *int, broken func(int) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*asked++
		if broken(*asked) {
			w.WriteHeader(500)
			return
		}
		ms, err := strconv.ParseInt(r.FormValue("startTime"), 10, 64)
		if err != nil || r.FormValue("symbol") != "BTCUSDT" || r.FormValue("interval") != "1h" || r.FormValue("limit") != "1000" {
			t.Errorf("asked for %s", r.URL)
		}
		from := max(0, int((time.UnixMilli(ms).Sub(first)+time.Hour-1)/time.Hour))
		fmt.Fprint(w, klines(first.Add(time.Duration(from)*time.Hour), min(1000, n-from)))
	}
}

func TestBinancePages(t *testing.T) {
	asked := 0
	first := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	now := time.Date(2024, 7, 10, 15, 30, 0, 0, time.UTC)
	hours := int(now.Sub(first)/time.Hour) + 1 // the last one runs
	whole := func(int) bool { return false }
	source, k := newSource(t, "binance", hourly(t, first, hours, &asked, whole), nil)
	k.now = now
	r, err := source.Fetch(t.Context(), Request{Symbol: "BTCUSDT", Interval: market.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Series
	if len(s.Candles) != hours-1 || !s.Candles[0].Time.Equal(first) || !lastTime(s.Candles).Equal(now.Truncate(time.Hour).Add(-time.Hour)) {
		t.Errorf("%d candles from %v to %v, want %d", len(s.Candles), s.Candles[0].Time, lastTime(s.Candles), hours-1)
	}
	if asked != 4 {
		t.Errorf("asked %d times for %d candles, want 4", asked, hours)
	}
	if c := s.Candles[0]; c.Open != 10.5 || c.High != 11 || c.Low != 9.25 || c.Close != 10 || c.Volume != 1.5 {
		t.Errorf("the first candle is %v", c)
	}
	r, err = source.Fetch(t.Context(), Request{Symbol: "BTCUSDT", Interval: market.Hour, Start: day(2024, 4, 1), End: time.Date(2024, 4, 2, 23, 59, 59, 0, time.UTC)})
	if err != nil || len(r.Series.Candles) != 48 || !r.Series.Candles[0].Time.Equal(day(2024, 4, 1)) {
		t.Errorf("two days: %d candles, %v, want 48", len(r.Series.Candles), err)
	}
}

// A download that broke asks for no page that it has.
func TestBrokenDownloadGoesOn(t *testing.T) {
	asked, bad := 0, true
	first, cache := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), t.TempDir()
	handler := hourly(t, first, 2500, &asked, func(n int) bool { return bad && n > 2 })
	source, _ := newSource(t, "binance", handler, func(c *Config) { c.Cache, c.Retries = cache, 1 })
	r := Request{Symbol: "BTCUSDT", Interval: market.Hour}
	if _, err := source.Fetch(t.Context(), r); err == nil || asked != 4 {
		t.Fatalf("Fetch = %v after %d requests, want the third page to fail twice", err, asked)
	}
	asked, bad = 0, false
	got, err := source.Fetch(t.Context(), r)
	if err != nil || len(got.Series.Candles) != 2500 || asked != 1 || got.Cached != 2 {
		t.Errorf("Fetch = %d candles, %v, with %d requests and %d pages of the disk, want 2500 with 1 and 2", len(got.Series.Candles), err, asked, got.Cached)
	}
}

func TestAnswersAreKeptForAWhile(t *testing.T) {
	asked := 0
	source, k := newSource(t, "yahoo", func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprint(w, yahooAnswer(yahooDays))
	}, func(c *Config) { c.Cache = t.TempDir() })
	newest := Request{Symbol: "AAPL", Interval: market.Day}
	past := Request{Symbol: "AAPL", Interval: market.Day, End: day(2024, 7, 8)}
	for _, c := range []struct {
		after time.Duration // since the one before
		r     Request
		asked int // so far
	}{
		{0, past, 1},
		{23 * time.Hour, past, 1},
		{2 * time.Hour, past, 2},
		{0, newest, 3},
		{9 * time.Minute, newest, 3},
		{2 * time.Minute, newest, 4},
	} {
		k.now = k.now.Add(c.after)
		if _, err := source.Fetch(t.Context(), c.r); err != nil {
			t.Fatal(err)
		}
		if asked != c.asked {
			t.Errorf("%s after the one before: asked %d times in all, want %d", c.after, asked, c.asked)
		}
	}
}

func TestStooq(t *testing.T) {
	var asked *http.Request
	source, _ := newSource(t, "stooq", func(w http.ResponseWriter, r *http.Request) {
		asked = r
		fmt.Fprint(w, "Date,Open,High,Low,Close,Volume\r\n2024-07-08,1,2,0.5,1.5,100\r\n2024-07-09,1,2,0.5,1.5,100\r\n2024-07-10,1,2,0.5,1.5,100\r\n")
	}, func(c *Config) { c.APIKey = "secret" })
	r, err := source.Fetch(t.Context(), Request{Symbol: "AAPL.US", Interval: market.Day, Start: day(2024, 7, 1)})
	if err != nil || len(r.Series.Candles) != 2 || r.Series.Candles[1] != (market.Candle{Time: day(2024, 7, 9), Open: 1, High: 2, Low: .5, Close: 1.5, Volume: 100}) {
		t.Errorf("Fetch = %+v, %v, want the candles before today", r.Series, err)
	}
	if got := asked.URL.RawQuery; got != "apikey=secret&d1=20240701&d2=20240710&i=d&s=aapl.us" {
		t.Errorf("asked for %s", got)
	}
	source, _ = newSource(t, "stooq", answers("Date,Open,High,Low,Close\n2024-07-08,1,2,0.5,1.5\n2024-07-09,1,2,0.5,1.5\n"), nil)
	if r, err = source.Fetch(t.Context(), Request{Symbol: "eurusd", Interval: market.Day}); err != nil || !math.IsNaN(r.Series.Candles[0].Volume) {
		t.Errorf("without volume: %+v, %v", r.Series, err)
	}
}

// An error must not carry the key into a log.
func TestErrorsKeepTheKey(t *testing.T) {
	source, err := New("stooq", func() Config {
		c := DefaultConfig()
		c.BaseURL, c.APIKey, c.Retries = "http://127.0.0.1:1", "secret", 0
		return c
	}())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Fetch(t.Context(), Request{Symbol: "aapl.us", Interval: market.Day}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Fetch = %v, want an error without the key", err)
	}
}

func TestRefusedRequests(t *testing.T) {
	for want, r := range map[string]Request{
		"symbol \"\"":                   {Interval: market.Day},
		"symbol \"a/b\"":                {Symbol: "a/b", Interval: market.Day},
		"symbol \"a_b\"":                {Symbol: "a_b", Interval: market.Day},
		"symbol \"..\"":                 {Symbol: "..", Interval: market.Day},
		"interval":                      {Symbol: "AAPL"},
		"end 2024-01-01 is before":      {Symbol: "AAPL", Interval: market.Day, Start: day(2024, 1, 2), End: day(2024, 1, 1)},
		"interval 8d: the service has ": {Symbol: "AAPL", Interval: 8 * market.Day},
	} {
		for _, name := range Names() {
			source, _ := newSource(t, name, func(http.ResponseWriter, *http.Request) { t.Error("asked") }, nil)
			if _, err := source.Fetch(t.Context(), r); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Fetch(%+v) = %v, want %q", name, r, err, want)
			}
		}
	}
	if _, err := New("nowhere", DefaultConfig()); err == nil || !strings.Contains(err.Error(), "yahoo, binance, stooq") {
		t.Errorf("New(nowhere) = %v", err)
	}
	bad := Config{BaseURL: "ftp://x", UserAgent: "a\nb", Pause: -1, Retries: -1}
	if err := bad.Validate(); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("Validate = %v, want six faults", err)
	}
	for _, name := range Names() {
		source, err := New(name, DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		for _, symbol := range source.Popular() {
			if err := (Request{Symbol: symbol, Interval: market.Day}).Validate(); err != nil {
				t.Error(err)
			}
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(yahooAnswer(yahooDays)))
	f.Add(404, []byte(`{"chart":{"result":null,"error":{"code":"Not Found","description":"no"}}}`))
	f.Add(200, []byte(klines(day(2024, 1, 1), 2)))
	f.Add(400, []byte(`{"code":-1121,"msg":"Invalid symbol."}`))
	f.Add(200, []byte("Date,Open,High,Low,Close,Volume\n2024-01-02,1,2,0.5,1.5,100\n2024-01-03,1,2,0.5,1.5,100\n"))
	f.Add(200, []byte("No data"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		now := day(2024, 7, 10)
		for _, interval := range []market.Interval{market.Hour, market.Day, market.Month} {
			r := Request{Symbol: "AAPL", Interval: interval}
			if candles, skipped, err := parseChart(status, body, r, now); err == nil {
				sound(t, r, candles, skipped)
			}
			if candles, err := parseStooq(status, body, r, now); err == nil {
				sound(t, r, candles, 0)
			}
		}
		rows, err := parseKlines(status, body, 0)
		for i := 1; err == nil && i < len(rows); i++ {
			if !rows[i].Time.After(rows[i-1].Time) {
				t.Fatalf("candle %d goes back in time", i)
			}
		}
	})
}

// sound: what passes as a result is a valid series.
func sound(t *testing.T, r Request, candles []market.Candle, skipped int) {
	result, err := download{candles, skipped, 0}.result(r)
	if err != nil {
		return
	}
	if widened, err := result.Series.Validate(); err != nil || widened != 0 {
		t.Fatalf("a result of %d candles: %v, %d more to widen", len(candles), err, widened)
	}
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNamesWithoutAnAddressAreTriedTwice(t *testing.T) {
	for retries, want := range map[int]int{0: 1, 1: 2, 5: 2} {
		source, k := newSource(t, "yahoo", answers(""), func(c *Config) { c.Retries = retries })
		tries := 0
		source.client.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
			tries++
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: r.URL.Host, IsNotFound: true}}
		})
		_, err := source.Fetch(t.Context(), Request{Symbol: "AAPL", Interval: market.Day})
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no such host") || tries != want || len(k.slept) != want-1 {
			t.Errorf("%d retries: %d tries, %d waits, %v, want %d tries", retries, tries, len(k.slept), err, want)
		}
	}
}
