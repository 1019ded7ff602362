package feed

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/micro-quant/mqc/market"
)

// binance has the candles of Binance's spot market, a thousand at a time. A full page
// of candles that are complete cannot change: it is kept, so that a download that
// broke asks for no page twice.
var binance = service{
	base: "https://api.binance.com",
	intervals: map[string]string{
		"1s": "1s", "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m",
		"1h": "1h", "2h": "2h", "4h": "4h", "6h": "6h", "8h": "8h", "12h": "12h",
		"1d": "1d", "3d": "3d", "1w": "1w", "1mo": "1M",
	},
	popular:  []string{"BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "DOGEUSDT", "LTCUSDT", "LINKUSDT", "TRXUSDT"},
	download: downloadKlines,
}

// binancePage is the most candles of an answer.
const binancePage = 1000

func downloadKlines(ctx context.Context, c *client, r Request, interval string) (d download, err error) {
	now := c.now()
	from := int64(0) // milliseconds
	if !r.Start.IsZero() {
		from = max(0, r.Start.UnixMilli())
	}
	for {
		var rows []kline
		cached, err := c.get(ctx, page{
			symbol: r.Symbol,
			path:   "/api/v3/klines",
			query: url.Values{
				"symbol": {r.Symbol}, "interval": {interval}, "limit": {strconv.Itoa(binancePage)}, "startTime": {strconv.FormatInt(from, 10)},
			},
			maxAge: forever,
			parse: func(status int, body []byte) (keep bool, err error) {
				rows, err = parseKlines(status, body, from)
				full := len(rows) == binancePage && rows[len(rows)-1].closes < now.UnixMilli()
				return full, err
			},
		})
		if err != nil {
			return d, err
		}
		d.cached += count(cached)
		done := len(rows) < binancePage
		for _, row := range rows {
			if row.closes >= now.UnixMilli() || row.Time.After(r.end(now)) {
				done = true
				break
			}
			d.candles = append(d.candles, row.Candle)
			from = row.closes + 1
		}
		c.observe(Event{Symbol: r.Symbol, Candles: len(d.candles), Until: lastTime(d.candles)})
		if done {
			return d, nil
		}
	}
}

// kline is a candle of an answer.
type kline struct {
	market.Candle
	closes int64 // its last millisecond
}

// parseKlines reads the candles of an answer; from is the time, in
// milliseconds, from which they were asked for.
func parseKlines(status int, body []byte, from int64) ([]kline, error) {
	if status != http.StatusOK {
		var refusal struct {
			Code int
			Msg  string
		}
		if err := decode(body, &refusal); err != nil || refusal.Code == 0 {
			return nil, unread(fmt.Errorf("status %d", status))
		}
		const invalidSymbol = -1121
		if refusal.Code == invalidSymbol {
			return nil, fmt.Errorf("%w: %s", ErrUnknown, clip(refusal.Msg))
		}
		return nil, fmt.Errorf("code %d: %s", refusal.Code, clip(refusal.Msg))
	}
	var rows [][]json.RawMessage
	if err := decode(body, &rows); err != nil {
		return nil, unread(err)
	}
	if len(rows) > binancePage {
		return nil, unread(fmt.Errorf("%d candles, %d were asked for", len(rows), binancePage))
	}
	klines := make([]kline, len(rows))
	for i, row := range rows {
		k, err := parseKline(row)
		if err != nil {
			return nil, unread(fmt.Errorf("candle %d: %w", i, err))
		}
		// A service that goes back in time would be asked for ever.
		if opens := k.Time.UnixMilli(); opens < from || k.closes < opens {
			return nil, unread(fmt.Errorf("candle %d: opens at %d and closes at %d after %d", i, opens, k.closes, from))
		}
		from = k.closes + 1
		klines[i] = k
	}
	return klines, nil
}

func parseKline(row []json.RawMessage) (k kline, err error) {
	if len(row) < 7 {
		return k, fmt.Errorf("%d fields, want at least 7", len(row))
	}
	var opens int64
	if err := json.Unmarshal(row[0], &opens); err != nil {
		return k, fmt.Errorf("opening time: %w", err)
	}
	if err := json.Unmarshal(row[6], &k.closes); err != nil {
		return k, fmt.Errorf("closing time: %w", err)
	}
	if opens < 0 || k.closes > 1<<43 { // 2248
		return k, fmt.Errorf("times %d and %d", opens, k.closes)
	}
	k.Time = time.UnixMilli(opens).UTC()
	for i, x := range []*float64{&k.Open, &k.High, &k.Low, &k.Close, &k.Volume} {
		var text string
		if err := json.Unmarshal(row[1+i], &text); err != nil {
			return k, fmt.Errorf("field %d: %w", 1+i, err)
		}
		if *x, err = strconv.ParseFloat(text, 64); err != nil {
			return k, fmt.Errorf("field %d: %q is no number", 1+i, clip(text))
		}
	}
	return k, nil
}
