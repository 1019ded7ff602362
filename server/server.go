// Package server is package api over HTTP: endpoints under /v1 with an OpenAPI
// description, streams as server-sent events, who may ask and how much, and metrics.
//
// Assets and models are looked up by name among those that the server was given;
// nothing of a request reaches the file system.
package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/market"
)

// Limits bound what one request, and all together, may take.
type Limits struct {
	api.Limits       // of what one question may take
	Body       int64 // bytes of a request
	Concurrent int   // requests that compute at the same time; more are refused
	Streams    int   // training runs that are followed at the same time; more are refused

	Compute time.Duration // of one request
	Wait    time.Duration // that an answer may be expected to take beside others; requests are refused where it would be more
	Header  time.Duration // to read the header of a request,
	Read    time.Duration // and all of it
	Write   time.Duration // that a client may take for each 32 KiB of an answer
	Idle    time.Duration // that a connection may wait for its next request
	Drain   time.Duration // that running requests have after the server was stopped
}

// DefaultLimits are those of a small machine.
func DefaultLimits() Limits {
	return Limits{
		Limits: api.DefaultLimits(), Body: 4 << 20, Concurrent: 16, Streams: 32,
		Compute: time.Minute, Wait: 3 * time.Second, Header: 5 * time.Second, Read: 15 * time.Second, Write: 10 * time.Second,
		Idle: time.Minute, Drain: 10 * time.Second,
	}
}

// Validate reports everything that is wrong with l at once.
func (l Limits) Validate() error {
	errs := []error{l.Limits.Validate()}
	for _, v := range []struct {
		name  string
		value int64
	}{
		{"body", l.Body},
		{"concurrent requests", int64(l.Concurrent)},
		{"streams of runs", int64(l.Streams)},
		{"time to compute", int64(l.Compute)},
		{"time to wait", int64(l.Wait)},
		{"time to read a header", int64(l.Header)},
		{"time to read", int64(l.Read)},
		{"time to write", int64(l.Write)},
		{"idle time", int64(l.Idle)},
		{"time to drain", int64(l.Drain)},
	} {
		if v.value <= 0 {
			errs = append(errs, fmt.Errorf("server: limit of %s is %d: want more than 0", v.name, v.value))
		}
	}
	return errors.Join(errs...)
}

// Config is what a server offers, and to whom.
type Config struct {
	Models []api.Model      // the first is that of requests which name none
	Series []*market.Series // of one interval, each symbol once

	Registry string // folder of the registry of training runs; empty: none
	Folder   string // of the checkpoints, and of the report cards beside them; empty: none

	Token   string // that requests must bear; empty: none
	AnyHost bool   // answer whatever host name a request asks for
	Limits  Limits
	Log     *slog.Logger // of failures that are not the client's; nil: none
	Version string       // of the program
}

// minToken is how long a token is at least: 16 hexadecimal digits are 64 bits.
const minToken = 16

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	return errors.Join(c.CheckToken(), c.Limits.Validate(), c.known().Validate())
}

// known is what c offers.
func (c Config) known() api.Config {
	return api.Config{Models: c.Models, Series: c.Series, Limits: c.Limits.Limits, Version: c.Version}
}

// CheckToken refuses a token that can be guessed.
func (c Config) CheckToken() error {
	if n := len(c.Token); n > 0 && n < minToken {
		return fmt.Errorf("server: a token of %d characters can be guessed: want at least %d", n, minToken)
	}
	return nil
}

// Server answers requests. Any number of goroutines may use it.
type Server struct {
	config    Config
	tokenHash [sha256.Size]byte
	service   *api.Service
	slots     chan struct{}
	pace      pace
	streams   chan struct{} // of runs that are followed
	cards     *cards
	metrics   *metrics
	api       huma.API
	handler   http.Handler

	busy sync.RWMutex // read-locked by requests
}

// batch is how many paths of all requests are decoded together: more gain little.
const batch = 64

// New makes a server ready.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		config: c, tokenHash: sha256.Sum256([]byte(c.Token)),
		slots: make(chan struct{}, c.Limits.Concurrent), streams: make(chan struct{}, c.Limits.Streams),
		pace:  pace{most: c.Limits.Wait},
		cards: newCards(c.Folder, c.Log),
	}
	for _, m := range c.Models {
		m.Share(batch)
	}
	s.metrics = newMetrics(s)
	known := c.known()
	known.Drawn = func(candles int) { s.metrics.candles.Add(float64(candles)) }
	var err error
	if s.service, err = api.New(known); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// Handler answers all requests, with every check but those of a listener: times.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers requests that come to l until ctx ends. It then takes no more,
// gives running ones the time to drain, and returns when the last has ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	limits := s.config.Limits
	base, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx.Done()))
	defer cancel()
	h := &http.Server{
		Handler:           s.handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: limits.Header,
		ReadTimeout:       limits.Read,
		WriteTimeout:      limits.Compute + limits.Write,
		IdleTimeout:       limits.Idle,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("server: %w", err)
	case <-ctx.Done():
	}
	drain, done := context.WithTimeout(base, limits.Drain)
	defer done()
	err := h.Shutdown(drain)
	cancel() // what is not through is cut
	if errors.Is(err, context.DeadlineExceeded) {
		err = h.Close()
	}
	<-ended
	s.busy.Lock()
	s.busy.Unlock() //lint:ignore SA2001 waits for the last request
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// stopKey is that of the channel that is closed when a server is stopped.
type stopKey struct{}

// stopping is closed when the server of a request is stopped, before requests are
// cut: what never ends by itself ends then.
func stopping(ctx context.Context) <-chan struct{} {
	stop, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return stop
}

// ErrExposed says that strangers could use a server.
var ErrExposed = errors.New("server: an address that other machines reach")

// CheckAddr refuses, with [ErrExposed], an address to listen at that other machines
// reach, unless requests must bear a token.
func CheckAddr(addr, token string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("server: address %q: want HOST:PORT, such as 127.0.0.1:8080", addr)
	}
	if token != "" || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrExposed, addr)
}

// isLoopback is whether a host, by name or number, is this machine alone.
func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
