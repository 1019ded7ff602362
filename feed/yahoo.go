package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/market/calendar"
)

// yahoo has the charts of Yahoo Finance, version 8. Prices are adjusted for splits
// by the service; for dividends they are by its adjusted closes.
var yahoo = service{
	base: "https://query1.finance.yahoo.com",
	intervals: map[string]string{
		"1m": "1m", "2m": "2m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1h", "90m": "90m",
		"1d": "1d", "1w": "1wk", "1mo": "1mo", "3mo": "3mo",
	},
	popular:  []string{"AAPL", "AMZN", "GOOGL", "JPM", "META", "MSFT", "NVDA", "TSLA", "V", "BTC-USD"},
	download: downloadChart,
}

// chart is the part of an answer that is used. Numbers that may be null are
// pointers.
type chart struct {
	Chart struct {
		Result []struct {
			Meta struct {
				Zone    string `json:"exchangeTimezoneName"`
				Current struct {
					Regular struct{ Start, End int64 } // of the session of today
				} `json:"currentTradingPeriod"`
			}
			Timestamp  []int64 // seconds
			Indicators struct {
				Quote    []struct{ Open, High, Low, Close, Volume []*float64 }
				AdjClose []struct{ AdjClose []*float64 }
			}
		}
		Error *struct{ Code, Description string }
	}
}

func downloadChart(ctx context.Context, c *client, r Request, interval string) (d download, err error) {
	now := c.now()
	from, to := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), now.Truncate(24*time.Hour).Add(24*time.Hour)
	if !r.Start.IsZero() {
		from = r.Start.Add(-24 * time.Hour) // east of Greenwich a date begins before it
	}
	maxAge := r.maxAge(now)
	if maxAge == aDay {
		to = r.End.Add(24 * time.Hour)
	}
	cached, err := c.get(ctx, page{
		symbol: r.Symbol,
		path:   "/v8/finance/chart/" + url.PathEscape(r.Symbol),
		query: url.Values{
			"period1": {strconv.FormatInt(from.Unix(), 10)}, "period2": {strconv.FormatInt(to.Unix(), 10)}, "interval": {interval},
			"includeAdjustedClose": {"true"}, "includePrePost": {"false"},
		},
		maxAge: maxAge,
		parse: func(status int, body []byte) (keep bool, err error) {
			d.candles, d.skipped, err = parseChart(status, body, r, now)
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

// parseChart returns the candles of an answer that r asks for; skipped counts
// rows without prices and rows that a later one of the same time replaces.
func parseChart(status int, body []byte, r Request, now time.Time) (candles []market.Candle, skipped int, err error) {
	var c chart
	if err := decode(body, &c); err != nil {
		return nil, 0, unread(err)
	}
	if e := c.Chart.Error; e != nil {
		if status == http.StatusNotFound {
			return nil, 0, fmt.Errorf("%w: %s", ErrUnknown, clip(e.Description))
		}
		return nil, 0, fmt.Errorf("%s: %s", clip(e.Code), clip(e.Description))
	}
	if status != http.StatusOK || len(c.Chart.Result) != 1 {
		return nil, 0, unread(fmt.Errorf("status %d, %d results", status, len(c.Chart.Result)))
	}
	result := c.Chart.Result[0]
	n := len(result.Timestamp)
	if n == 0 {
		return nil, 0, ErrUnknown
	}
	if len(result.Indicators.Quote) != 1 {
		return nil, 0, unread(errors.New("no quotes"))
	}
	q := result.Indicators.Quote[0]
	if len(q.Open) != n || len(q.High) != n || len(q.Low) != n || len(q.Close) != n || len(q.Volume) != n {
		return nil, 0, unread(fmt.Errorf("%d times, %d opens, %d highs, %d lows, %d closes, %d volumes", n, len(q.Open), len(q.High), len(q.Low), len(q.Close), len(q.Volume)))
	}
	var adjusted []*float64
	if a := result.Indicators.AdjClose; len(a) == 1 && !r.AsTraded {
		if adjusted = a[0].AdjClose; len(adjusted) != n {
			return nil, 0, unread(fmt.Errorf("%d times, %d adjusted closes", n, len(adjusted)))
		}
	}
	zone, err := time.LoadLocation(result.Meta.Zone)
	if err != nil || result.Meta.Zone == "" {
		return nil, 0, unread(fmt.Errorf("time zone %q", clip(result.Meta.Zone)))
	}
	today := result.Meta.Current.Regular
	for i, stamp := range result.Timestamp {
		if stamp < -1<<33 || stamp > 1<<33 { // 1697 to 2242
			return nil, 0, unread(fmt.Errorf("row %d: time %d", i, stamp))
		}
		at := time.Unix(stamp, 0).In(zone)
		t := at.UTC()
		if r.Interval >= market.Day {
			t = calendar.Date(at)
		}
		if q.Open[i] == nil || q.High[i] == nil || q.Low[i] == nil || q.Close[i] == nil {
			skipped++
			continue
		}
		complete := r.keeps(t, now)
		if r.Interval == market.Day && today.End > 0 {
			// A session ends long before its day does.
			running := stamp >= today.Start && now.Unix() < today.End
			complete = r.asks(t, now) && !running
		}
		if !complete {
			continue
		}
		candle := market.Candle{Time: t, Open: *q.Open[i], High: *q.High[i], Low: *q.Low[i], Close: *q.Close[i], Volume: math.NaN()}
		if v := q.Volume[i]; v != nil {
			candle.Volume = *v
		}
		if adjusted != nil {
			if adjusted[i] == nil {
				skipped++
				continue
			}
			factor := *adjusted[i] / candle.Close
			candle.Open, candle.High, candle.Low, candle.Close = candle.Open*factor, candle.High*factor, candle.Low*factor, *adjusted[i]
		}
		if k := len(candles) - 1; k >= 0 && candles[k].Time.Equal(t) {
			candles[k] = candle // the newest session is there twice after it has closed
			skipped++
			continue
		}
		candles = append(candles, candle)
	}
	return candles, skipped, nil
}

// decode reads JSON and nothing behind it.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset >= int64(len(body)) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func lastTime(candles []market.Candle) time.Time {
	if len(candles) == 0 {
		return time.Time{}
	}
	return candles[len(candles)-1].Time
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// clip keeps text of a service short enough for an error.
func clip(text string) string {
	const most = 100 // bytes
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
