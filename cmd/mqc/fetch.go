package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/feed"
	"github.com/micro-quant/mqc/market"
)

// fetchFlags are those of data fetch.
type fetchFlags struct {
	source, interval, start, end, out string
	max, popular                      bool
	asTraded                          bool
	config                            feed.Config
}

// apiKeyVariable names the environment variable that holds the key of a
// service, so that it need not stand in a command line.
const apiKeyVariable = "MQC_API_KEY"

func (a *app) dataFetch() *cobra.Command {
	f := fetchFlags{source: "yahoo", interval: market.Day.String(), out: defaultFolder, config: feed.DefaultConfig()}
	c := &cobra.Command{
		Use:   "fetch [SYMBOL...]",
		Short: "Download candles from Yahoo, Binance or Stooq",
		Long: `Download candles, one CSV file for each symbol, and note in ` + feed.Record + ` where they are
from. Symbols are spelled as the source spells them: BRK-B, ^GSPC, BTC-USD at yahoo,
BTCUSDT at binance, aapl.us at stooq. Candles that are not complete are left out.

What has come is kept in a cache, so that the same command goes on where it broke.
A symbol that fails does not stop the others. The terms of the services are yours
to keep; stooq wants a key, in --api-key or the environment variable ` + apiKeyVariable + `.`,
		Example: "  mqc data fetch AAPL BTC-USD --start 2015-01-01\n  mqc data fetch --popular --max\n  mqc data fetch BTCUSDT --source binance --interval 1h --out hourly",
		RunE: func(c *cobra.Command, symbols []string) error {
			request, err := f.request(c, time.Now())
			if err != nil {
				return newUsageError(c, err)
			}
			return a.fetch(c, f, request, symbols)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.source, "source", f.source, strings.Join(feed.Names(), ", "))
	flags.StringVar(&f.interval, "interval", f.interval, "time from candle to candle: 1m, 1h, 1d, 1w, 1mo and what else the source has")
	flags.StringVar(&f.start, "start", "", "first date (default: ten years ago; 700 days for hours, 59 for minutes, 7 for 1m)")
	flags.StringVar(&f.end, "end", "", "last date (default: today)")
	flags.BoolVar(&f.max, "max", false, "as far back as the source goes")
	flags.BoolVar(&f.popular, "popular", false, "ten symbols to begin with, beside those named")
	flags.BoolVar(&f.asTraded, "as-traded", false, "prices as they were traded, but for splits (default: adjusted for dividends too where the source knows them)")
	flags.StringVar(&f.out, "out", f.out, "folder to write to")
	flags.IntVar(&f.config.Retries, "retries", f.config.Retries, "tries after the first for every request")
	flags.DurationVar(&f.config.Pause, "pause", f.config.Pause, "least time between two requests")
	flags.DurationVar(&f.config.Backoff, "backoff", f.config.Backoff, "wait after a failed try, doubled every time; longer where the source asks for it")
	flags.DurationVar(&f.config.Timeout, "timeout", f.config.Timeout, "longest wait for an answer")
	flags.StringVar(&f.config.UserAgent, "user-agent", f.config.UserAgent, "what the program calls itself")
	flags.StringVar(&f.config.APIKey, "api-key", "", "key of the service")
	flags.StringVar(&f.config.BaseURL, "base-url", "", "address in place of the service's own, such as a mirror")
	flags.StringVar(&f.config.Cache, "cache", "", "folder that keeps answers (default: .fetch in --out)")
	if err := c.RegisterFlagCompletionFunc("source", cobra.FixedCompletions(feed.Names(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is ours
	}
	return c
}

// request is what the flags ask for of every symbol.
func (f *fetchFlags) request(c *cobra.Command, now time.Time) (r feed.Request, err error) {
	r.AsTraded = f.asTraded
	if r.Interval, err = market.ParseInterval(f.interval); err != nil {
		return r, err
	}
	if r.Start, err = parseDate("start", f.start); err != nil {
		return r, err
	}
	if r.End, err = parseDate("end", f.end); err != nil {
		return r, err
	}
	last := now.UTC()
	if !r.End.IsZero() {
		r.End = r.End.Add(24*time.Hour - time.Nanosecond)
		last = r.End
	}
	switch {
	case f.max && f.start != "":
		return r, errors.New("--max and --start: want one of them")
	case !f.max && f.start == "":
		r.Start = defaultStart(last, r.Interval)
	}
	if f.config.APIKey == "" {
		f.config.APIKey = os.Getenv(apiKeyVariable)
	}
	if !c.Flags().Changed("cache") {
		f.config.Cache = filepath.Join(f.out, ".fetch")
	}
	return r, nil
}

// defaultStart is not farther back than Yahoo keeps candles shorter than a day.
func defaultStart(last time.Time, i market.Interval) time.Time {
	date := last.Truncate(24 * time.Hour)
	switch {
	case i >= market.Day:
		return date.AddDate(-10, 0, 0)
	case i >= market.Hour:
		return date.AddDate(0, 0, -700)
	case i > market.Minute:
		return date.AddDate(0, 0, -59)
	}
	return date.AddDate(0, 0, -7)
}

// fetched is a line of the JSON of data fetch.
type fetched struct {
	Symbol  string    `json:"symbol"`
	Source  string    `json:"source"`
	File    string    `json:"file,omitempty"`
	Candles int       `json:"candles"`
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	Widened int       `json:"widened"`
	Skipped int       `json:"skipped"`
	Cached  int       `json:"cached"` // answers that were on the disk already
	Error   string    `json:"error,omitempty"`
}

func (a *app) fetch(c *cobra.Command, f fetchFlags, request feed.Request, symbols []string) error {
	if synthetic, _ := filepath.Glob(filepath.Join(f.out, "SYN-*.csv")); len(synthetic) > 0 { // the pattern is sound
		return fmt.Errorf("data: %s holds a synthetic market: choose another --out", f.out)
	}
	f.config.Seed = a.seed
	meter := &fetchMeter{a: a}
	f.config.Observe = meter.observe
	source, err := feed.New(f.source, f.config)
	if err != nil {
		return newUsageError(c, err)
	}
	if f.popular {
		symbols = append(slices.Clone(symbols), source.Popular()...)
	}
	if len(symbols) == 0 {
		return usagef(c, "no symbol: name some, or take --popular")
	}
	for _, symbol := range symbols {
		request.Symbol = symbol
		if err := request.Validate(); err != nil {
			return newUsageError(c, err)
		}
	}

	var results []fetched
	var failed []error
	for i, symbol := range symbols {
		if slices.Contains(symbols[:i], symbol) {
			continue
		}
		request.Symbol = symbol
		result, err := a.fetchOne(c, source, meter, f, request)
		if err != nil {
			failed = append(failed, err)
			result.Error = err.Error()
			a.talk("%s: failed", symbol)
		}
		results = append(results, result)
		if c.Context().Err() != nil {
			break
		}
	}
	if a.json {
		if err := a.printJSON(results); err != nil {
			return err
		}
	} else {
		a.say("%d fetched, %d failed", len(results)-len(failed), len(failed))
	}
	return errors.Join(failed...)
}

// fetchOne downloads and writes one symbol.
func (a *app) fetchOne(c *cobra.Command, source feed.Source, meter *fetchMeter, f fetchFlags, r feed.Request) (fetched, error) {
	line := fetched{Symbol: r.Symbol, Source: f.source}
	got, err := source.Fetch(c.Context(), r)
	meter.end()
	if err != nil {
		return line, err
	}
	s := got.Series
	path, beside, err := feed.Save(f.out, s, feed.Saved{Source: f.source, AsTraded: r.AsTraded, Fetched: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return line, err
	}
	line.File, line.Candles = path, len(s.Candles)
	line.First, line.Last = s.Candles[0].Time, s.Candles[len(s.Candles)-1].Time
	line.Widened, line.Skipped, line.Cached = got.Widened, got.Skipped, got.Cached
	if got.Skipped > 0 {
		a.talk("%s: %d rows left out: without prices, or there twice", r.Symbol, got.Skipped)
	}
	for _, other := range beside {
		a.talk("%s: %s has the same symbol: a folder that is trained on may hold one of them", r.Symbol, other)
	}
	if !a.json {
		a.say("%s: %d candles of %s, %s to %s, in %s", r.Symbol, line.Candles, s.Interval, line.First.Format("2006-01-02"), line.Last.Format("2006-01-02"), path)
	}
	return line, nil
}

// fetchMeter shows how far a download is: one line that changes on a terminal,
// a line now and then elsewhere.
type fetchMeter struct {
	a     *app
	pages int // of this symbol
	open  bool
}

func (m *fetchMeter) observe(e feed.Event) {
	if e.Fault != nil {
		m.close()
		m.a.talk("%s: %v; the next try is in %s", e.Symbol, e.Fault, e.Wait.Round(100*time.Millisecond))
		return
	}
	const often = 20 // pages to a line where there is no terminal
	m.pages++
	switch text := fmt.Sprintf("%s: %d candles, to %s", e.Symbol, e.Candles, e.Until.Format("2006-01-02")); {
	case m.a.terminal() && !m.a.quiet:
		fmt.Fprintf(m.a.err, "\r\x1b[K%s", text)
		m.open = true
	case m.pages%often == 0:
		m.a.talk("%s", text)
	}
}

// end is called after every symbol.
func (m *fetchMeter) end() {
	m.close()
	m.pages = 0
}

// close ends a line that would be written over.
func (m *fetchMeter) close() {
	if m.open {
		fmt.Fprint(m.a.err, "\r\x1b[K")
		m.open = false
	}
}
