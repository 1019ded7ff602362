package feed

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/micro-quant/mqc/market"
)

// stooq has CSV files.
var stooq = service{
	base:      "https://stooq.com",
	intervals: map[string]string{"1d": "d", "1w": "w", "1mo": "m", "3mo": "q"},
	popular:   []string{"aapl.us", "amzn.us", "googl.us", "jpm.us", "meta.us", "msft.us", "nvda.us", "tsla.us", "v.us", "btc.v"},
	download:  downloadCSV,
}

func downloadCSV(ctx context.Context, c *client, r Request, interval string) (d download, err error) {
	now := c.now()
	query := url.Values{"s": {strings.ToLower(r.Symbol)}, "i": {interval}, "d2": {r.end(now).Format("20060102")}}
	if !r.Start.IsZero() {
		query.Set("d1", r.Start.Format("20060102"))
	}
	cached, err := c.get(ctx, page{
		symbol: r.Symbol, path: "/q/d/l/", query: query, maxAge: r.maxAge(now),
		parse: func(status int, body []byte) (keep bool, err error) {
			d.candles, err = parseStooq(status, body, r, now)
			return true, err
		},
	})
	if err != nil {
		return d, err
	}
	d.cached = count(cached)
	c.observe(Event{Symbol: r.Symbol, Candles: len(d.candles), Until: lastTime(d.candles)})
	return d, nil
}

// parseStooq reads Date,Open,High,Low,Close and, where there is one, Volume. The
// candle of today is left out: the file does not say whether it is complete.
func parseStooq(status int, body []byte, r Request, now time.Time) (candles []market.Candle, err error) {
	text := strings.TrimSpace(string(body[:min(len(body), 512)]))
	switch lower := strings.ToLower(text); {
	case status != http.StatusOK:
		return nil, unread(fmt.Errorf("status %d", status))
	case strings.HasPrefix(lower, "no data"):
		return nil, ErrUnknown
	case strings.Contains(lower, "exceeded the daily hits limit"):
		return nil, fmt.Errorf("the limit of a day: %w", ErrBusy)
	case strings.Contains(lower, "apikey"):
		return nil, fmt.Errorf("the service wants a key: %w", ErrBlocked)
	case len(body) == 0 || body[len(body)-1] != '\n':
		return nil, unread(io.ErrUnexpectedEOF)
	}
	rows := csv.NewReader(bytes.NewReader(body))
	header, err := rows.Read()
	if err != nil || !strings.HasPrefix(strings.Join(header, ","), "Date,Open,High,Low,Close") {
		return nil, unread(fmt.Errorf("it begins %q", clip(text)))
	}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return candles, nil
		} else if err != nil {
			return nil, unread(err)
		}
		line, _ := rows.FieldPos(0)
		c := market.Candle{Volume: math.NaN()}
		if c.Time, err = time.Parse(time.DateOnly, row[0]); err != nil {
			return nil, unread(fmt.Errorf("line %d: date %q", line, clip(row[0])))
		}
		for i, x := range []*float64{&c.Open, &c.High, &c.Low, &c.Close, &c.Volume} {
			if 1+i == len(row) { // no volume
				break
			}
			if *x, err = strconv.ParseFloat(row[1+i], 64); err != nil {
				return nil, unread(fmt.Errorf("line %d: %s %q", line, strings.ToLower(header[1+i]), clip(row[1+i])))
			}
		}
		if r.keeps(c.Time, now) {
			candles = append(candles, c)
		}
	}
}
