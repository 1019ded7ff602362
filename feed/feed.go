// Package feed downloads candles from public services: Yahoo, Binance and Stooq.
//
// The client is polite: it says who it is, keeps a pause between requests, waits
// as long as a service that is busy asks it to, and keeps what it has got, so
// that a download that broke goes on where it stopped. What a service answers is
// checked like a file: a candle that is none, a web page in place of data, or
// half an answer is an error, and only candles that are complete are returned.
//
// The services have terms of use; whoever downloads keeps them.
package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/micro-quant/mqc/market"
)

// Errors that a service's answer stands for.
var (
	ErrUnknown = errors.New("no such symbol, or no candles in these dates")
	ErrBusy    = errors.New("too many requests")
	ErrBlocked = errors.New("the service does not serve programs here")

	ErrUnreachable = errors.New("the service cannot be reached") // there is no answer
)

// Request says what to download.
type Request struct {
	Symbol   string // as the service spells it: BRK-B, ^GSPC, BTCUSDT, aapl.us
	Interval market.Interval
	Start    time.Time // of the first candle at the earliest; zero: as far back as there is any
	End      time.Time // of the last candle at the latest; zero: now
	AsTraded bool      // prices as they were traded, but for splits; else also adjusted for dividends where the service knows them
}

// Result is what was downloaded.
type Result struct {
	Series  *market.Series // at least two candles, valid
	Widened int            // candles whose high or low was widened by a rounding error
	Skipped int            // rows of the service without prices, or twice there
	Cached  int            // answers that were on the disk already
}

// Source is a service.
type Source interface {
	// Fetch downloads the candles of one symbol. Candles that are not yet
	// complete are left out.
	Fetch(context.Context, Request) (Result, error)

	// Popular lists symbols to begin with.
	Popular() []string
}

// service is how one service is asked.
type service struct {
	base      string            // its address
	intervals map[string]string // its words for intervals
	popular   []string
	download  func(ctx context.Context, c *client, r Request, interval string) (download, error)
}

// download is what a service has sent: candles that are complete and asked for.
type download struct {
	candles []market.Candle
	skipped int // rows without prices, or twice there
	cached  int // answers that were on the disk already
}

var services = map[string]service{"yahoo": yahoo, "binance": binance, "stooq": stooq}

// Names lists the services.
func Names() []string { return []string{"yahoo", "binance", "stooq"} }

// New returns a service by name. A source is for one goroutine.
func New(name string, c Config) (Source, error) {
	how, ok := services[name]
	if !ok {
		return nil, fmt.Errorf("feed: source %q: want one of %s", name, strings.Join(Names(), ", "))
	}
	if c.BaseURL == "" {
		c.BaseURL = how.base
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &source{newClient(name, c), how}, nil
}

// source is a service behind a client.
type source struct {
	*client
	service
}

func (s *source) Popular() []string { return s.popular }

func (s *source) Fetch(ctx context.Context, r Request) (Result, error) {
	if err := r.Validate(); err != nil {
		return Result{}, err
	}
	result, err := s.fetch(ctx, r)
	if err != nil {
		return Result{}, fmt.Errorf("feed: %s %s: %w", s.name, r.Symbol, err)
	}
	return result, nil
}

func (s *source) fetch(ctx context.Context, r Request) (Result, error) {
	interval, err := code(s.intervals, r.Interval)
	if err != nil {
		return Result{}, err
	}
	d, err := s.download(ctx, s.client, r, interval)
	if err != nil {
		return Result{}, err
	}
	return d.result(r)
}

// result checks candles in the order of a service.
func (d download) result(r Request) (Result, error) {
	if len(d.candles) < 2 {
		return Result{}, fmt.Errorf("%d candles, want at least 2: %w", len(d.candles), ErrUnknown)
	}
	series := &market.Series{Symbol: r.Symbol, Interval: r.Interval, Candles: d.candles}
	widened, err := series.Validate()
	if err != nil {
		return Result{}, err
	}
	return Result{Series: series, Widened: widened, Skipped: d.skipped, Cached: d.cached}, nil
}

// Validate reports what no service can answer.
func (r Request) Validate() error {
	var errs []error
	odd := func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.^=&-", c)
	}
	// The symbol becomes part of a file name, where an underscore ends it.
	if r.Symbol == "" || len(r.Symbol) > 32 || r.Symbol[0] == '.' || strings.ContainsFunc(r.Symbol, odd) {
		errs = append(errs, fmt.Errorf("feed: symbol %q: want up to 32 letters, digits and . ^ = & -", r.Symbol))
	}
	if r.Interval <= 0 {
		errs = append(errs, fmt.Errorf("feed: interval %s: want a positive one", r.Interval))
	}
	if !r.End.IsZero() && r.End.Before(r.Start) {
		errs = append(errs, fmt.Errorf("feed: end %s is before start %s", r.End.Format(time.DateOnly), r.Start.Format(time.DateOnly)))
	}
	return errors.Join(errs...)
}

// end is r.End or now.
func (r Request) end(now time.Time) time.Time {
	if r.End.IsZero() || r.End.After(now) {
		return now
	}
	return r.End
}

// keeps reports whether a candle of that time is asked for and complete.
func (r Request) keeps(t, now time.Time) bool {
	ends := t.Add(time.Duration(r.Interval))
	if r.Interval >= market.Month {
		ends = t.AddDate(0, int(r.Interval/market.Month), 0)
	}
	return r.asks(t, now) && !ends.After(now)
}

// asks reports whether a candle of that time is asked for.
func (r Request) asks(t, now time.Time) bool { return !t.Before(r.Start) && !t.After(r.end(now)) }

// maxAge is how old an answer on the disk may be: one about days that are over
// hardly changes.
func (r Request) maxAge(now time.Time) time.Duration {
	if r.end(now).Before(now.Add(-aDay)) {
		return aDay
	}
	return aMoment
}

// code returns a service's word for an interval.
func code(codes map[string]string, i market.Interval) (string, error) {
	if c, ok := codes[i.String()]; ok {
		return c, nil
	}
	var known []market.Interval
	for text := range codes {
		i, err := market.ParseInterval(text)
		if err != nil {
			panic(err) // of our own tables
		}
		known = append(known, i)
	}
	slices.Sort(known)
	return "", fmt.Errorf("interval %s: the service has %s", i, strings.Trim(fmt.Sprint(known), "[]"))
}
