package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/micro-quant/mqc/internal/rng"
)

// Config says how to ask.
type Config struct {
	BaseURL   string        // address in place of the service's own: a mirror, a test
	UserAgent string        //
	APIKey    string        // Stooq asks for one
	Pause     time.Duration // least time between two requests
	Timeout   time.Duration // of one request with its answer
	Retries   int           // tries after the first
	Backoff   time.Duration // wait before the second try; doubled for every later one
	MaxWait   time.Duration // a service that asks to wait for longer is given up
	MaxBody   int64         // bytes of an answer
	Cache     string        // folder that keeps answers; empty: none
	Seed      uint64        // of the jitter of waits

	Observe func(Event) // may be nil
}

// Event is what happens while a symbol is downloaded: a page has come, or a try
// has failed and there will be another after Wait.
type Event struct {
	Symbol  string
	Candles int       // so far
	Until   time.Time // of the newest
	Wait    time.Duration
	Fault   error // nil for a page
}

// DefaultConfig is slow enough for every service.
func DefaultConfig() Config {
	return Config{
		// Yahoo refuses agents that no browser has.
		UserAgent: "Mozilla/5.0 (compatible; mqc)",
		Pause:     time.Second,
		Timeout:   30 * time.Second,
		Retries:   5,
		Backoff:   2 * time.Second,
		MaxWait:   5 * time.Minute,
		MaxBody:   64 << 20,
		Seed:      1,
	}
}

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("feed: base URL %q: want one such as https://example.com", c.BaseURL))
	}
	if strings.ContainsAny(c.UserAgent, "\r\n") {
		errs = append(errs, errors.New("feed: user agent: want one line"))
	}
	if c.Pause < 0 || c.Backoff < 0 || c.MaxWait < 0 {
		errs = append(errs, errors.New("feed: pause, backoff and longest wait: want no negative ones"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("feed: timeout %s: want a positive one", c.Timeout))
	}
	if c.Retries < 0 || c.Retries > 100 {
		errs = append(errs, fmt.Errorf("feed: %d retries: want 0 to 100", c.Retries))
	}
	if c.MaxBody < 1 {
		errs = append(errs, fmt.Errorf("feed: answers of %d bytes: want at least 1", c.MaxBody))
	}
	return errors.Join(errs...)
}

// client asks one service.
type client struct {
	Config
	name  string
	http  *http.Client
	tries uint64    // so far
	last  time.Time // of the last request

	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

func newClient(name string, c Config) *client {
	return &client{Config: c, name: name, http: &http.Client{}, now: time.Now, sleep: sleep}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *client) observe(e Event) {
	if c.Observe != nil {
		c.Observe(e)
	}
}

// page is one question to a service.
type page struct {
	symbol string
	path   string
	query  url.Values
	maxAge time.Duration // an answer on the disk that is older is not used

	// parse takes an answer. It returns whether the answer may be kept on the
	// disk; an error that is a [temporary] one is worth another try.
	parse func(status int, body []byte) (keep bool, err error)
}

// temporary is a fault that may be gone at the next try, not before wait.
type temporary struct {
	err  error
	wait time.Duration
}

func (e *temporary) Error() string { return e.err.Error() }
func (e *temporary) Unwrap() error { return e.err }

// get answers a page from the disk or the service.
func (c *client) get(ctx context.Context, p page) (cached bool, err error) {
	if body, ok := c.load(p); ok {
		if _, err := p.parse(http.StatusOK, body); err == nil {
			return true, nil
		}
	}
	for try := 0; ; try++ {
		body, err := c.once(ctx, p)
		if err == nil {
			return false, c.store(p, body)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		var fault *temporary
		if !errors.As(err, &fault) {
			return false, err
		}
		if try == c.Retries || try == 1 && unresolved(err) {
			return false, fmt.Errorf("%w, after %d tries", err, try+1)
		}
		wait := max(c.backoff(try), fault.wait)
		if wait > c.MaxWait {
			return false, fmt.Errorf("%w: the next try is in %s", err, wait.Round(time.Second))
		}
		c.observe(Event{Symbol: p.symbol, Wait: wait, Fault: err})
		if err := c.sleep(ctx, wait); err != nil {
			return false, err
		}
	}
}

// unresolved says that a name has no address: another try rarely finds one.
func unresolved(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup)
}

// backoff doubles with every try and varies by a quarter either way, so that clients that failed
// together do not come back together.
func (c *client) backoff(try int) time.Duration {
	c.tries++
	random := rng.New(c.Seed, rng.Backoff, c.tries).Float64()
	wait := float64(c.Backoff) * math.Pow(2, float64(try)) * (.75 + .5*random)
	return time.Duration(min(wait, float64(c.MaxWait)))
}

// once asks once. The body is nil where it is not to be kept.
func (c *client) once(ctx context.Context, p page) (body []byte, err error) {
	if rest := c.Pause - c.now().Sub(c.last); !c.last.IsZero() && rest > 0 {
		if err := c.sleep(ctx, rest); err != nil {
			return nil, err
		}
	}
	c.last = c.now()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	query := p.query
	if c.APIKey != "" {
		query = url.Values{"apikey": {c.APIKey}}
		for k, v := range p.query {
			query[k] = v
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.BaseURL, "/")+p.path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", c.UserAgent)
	request.Header.Set("Accept", "application/json, text/csv, text/plain;q=0.9")
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, &temporary{err: fmt.Errorf("%w: %w", ErrUnreachable, c.plain(ctx, err))}
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, c.MaxBody+1))
	if err != nil {
		return nil, &temporary{err: fmt.Errorf("the answer breaks off after %d bytes: %w", len(body), c.plain(ctx, err))}
	}
	if int64(len(body)) > c.MaxBody {
		return nil, fmt.Errorf("the answer has more than %d bytes", c.MaxBody)
	}
	if err := c.judge(answer, body); err != nil {
		return nil, err
	}
	keep, err := p.parse(answer.StatusCode, body)
	if err != nil || !keep {
		return nil, err
	}
	return body, nil
}

// plain strips the address, and the key in it, off an error of the network.
func (c *client) plain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", c.Timeout)
	}
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// judge finds answers that are none, whatever the service.
func (c *client) judge(answer *http.Response, body []byte) error {
	status := answer.StatusCode
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusTeapot: // 418: Binance, after too many 429
		return &temporary{fmt.Errorf("%s: %w", answer.Status, ErrBusy), c.retryAfter(answer)}
	case status >= 500 || status == http.StatusRequestTimeout:
		return &temporary{errors.New(answer.Status), c.retryAfter(answer)}
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusUnavailableForLegalReasons:
		return fmt.Errorf("%s: %w", answer.Status, ErrBlocked)
	}
	if text := strings.TrimSpace(string(body[:min(len(body), 512)])); strings.HasPrefix(text, "<") {
		return fmt.Errorf("%s: a web page in place of data: %w", answer.Status, ErrBlocked)
	}
	return nil
}

// retryAfter is the time that an answer asks to wait, in seconds or as a date.
func (c *client) retryAfter(answer *http.Response) time.Duration {
	text := answer.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, math.MaxInt32)) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(c.now()))
	}
	return 0
}

// unread is the error for an answer that is not what a service gives: worth
// another try where it merely stops early.
func unread(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &temporary{err: errors.New("the answer stops half way")}
	}
	return fmt.Errorf("the answer is none of this service: %w", err)
}
