// Package api holds what can be asked of models and candles, and the answers: the
// one room behind the HTTP API and the conversation. Its types are those of the JSON
// of the API; the bounds in their tags hold for everybody who asks.
package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// Limits bound what one question may take.
type Limits struct {
	Horizon int // candles of a path
	Paths   int // of a forecast
	Candles int // of a forecast: paths times horizon
}

// DefaultLimits are those of a small machine.
func DefaultLimits() Limits { return Limits{Horizon: 400, Paths: 4096, Candles: 1 << 18} }

// Validate reports everything that is wrong with l at once.
func (l Limits) Validate() error {
	var errs []error
	for _, v := range []struct {
		name  string
		value int
	}{{"horizon", l.Horizon}, {"paths", l.Paths}, {"candles", l.Candles}} {
		if v.value <= 0 {
			errs = append(errs, fmt.Errorf("api: limit of %s is %d: want more than 0", v.name, v.value))
		}
	}
	return errors.Join(errs...)
}

// Config is what a service knows.
type Config struct {
	Models  []Model          // the first is that of requests which name none
	Series  []*market.Series // of one interval, each symbol once
	Limits  Limits
	Version string            // of the program
	Drawn   func(candles int) // is told of candles that models have drawn; nil: nobody
}

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	errs := market.CheckTogether(c.Series)
	if len(c.Models) == 0 {
		errs = append(errs, errors.New("api: no model to ask"))
	}
	if len(c.Series) == 0 {
		errs = append(errs, errors.New("api: no asset to ask about: no candles"))
	}
	names := map[string]bool{}
	for _, m := range c.Models {
		if names[m.Name] {
			errs = append(errs, fmt.Errorf("api: two models named %q", m.Name))
		}
		names[m.Name] = true
	}
	return errors.Join(append(errs, c.Limits.Validate())...)
}

// Service answers requests. Any number of goroutines may use it.
type Service struct {
	config Config
	assets map[string]*market.Series
	models map[string]*forecast.Model
	fits   *forecast.Fits
}

// maxFits bounds the memory of fitted baselines.
const maxFits = 64

// New makes a service ready.
func New(c Config) (*Service, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Drawn == nil {
		c.Drawn = func(int) {}
	}
	s := &Service{
		config: c, assets: map[string]*market.Series{}, models: map[string]*forecast.Model{},
		fits: forecast.NewFits(c.Series, maxFits),
	}
	for _, series := range c.Series {
		s.assets[series.Symbol] = series
	}
	for _, m := range c.Models {
		s.models[m.Name] = m.Model
	}
	return s, nil
}

// Kinds of errors that are the asker's, by [errors.Is]. Their text says what to do.
var (
	ErrUnknown = errors.New("unknown name")
	ErrRefused = errors.New("refused")
)

// Reasons to refuse.
var (
	ErrTooEarly   = errors.New("too early")                              // nothing was known on a date
	ErrImpossible = errors.New("the model gives these moves no density") // they lie outside of what it can draw
)

// fault is an error of a kind. Its text is that of the reason.
type fault struct{ kind, reason error }

func (f fault) Error() string   { return f.reason.Error() }
func (f fault) Unwrap() []error { return []error{f.kind, f.reason} }

func unknown(format string, args ...any) error { return fault{ErrUnknown, fmt.Errorf(format, args...)} }

func refuse(format string, args ...any) error { return fault{ErrRefused, fmt.Errorf(format, args...)} }

// refused is err as a reason to refuse, but for that of a question given up.
func refused(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault{ErrRefused, err}
}

// Interval is that of all candles.
func (s *Service) Interval() market.Interval { return s.config.Series[0].Interval }

// AssetNames are in order.
func (s *Service) AssetNames() (names []string) {
	for name := range s.assets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ModelNames begin with that of requests which name none.
func (s *Service) ModelNames() (names []string) {
	for _, m := range s.config.Models {
		names = append(names, m.Name)
	}
	return names
}

// BaselineNames are those that [Service.Compare] knows.
func BaselineNames() []string { return append(forecast.BaselineNames(), forecast.NamePooledHAR) }
