package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// Model is a checkpoint under the name that lines call it by.
type Model struct {
	Name string
	*forecast.Model
}

// Sources are what one can talk about. Any number of sessions may share them.
type Sources struct {
	series []*market.Series
	models []Model
	fits   *forecast.Fits
}

// maxFits is how many fitted baselines are kept.
const maxFits = 16

// NewSources takes series of one interval, and models, each under a name of its own.
func NewSources(series []*market.Series, models []Model) (*Sources, error) {
	errs := market.CheckTogether(series)
	if len(series) == 0 {
		errs = append(errs, errors.New("chat: no candles to talk about"))
	}
	if len(models) == 0 {
		errs = append(errs, errors.New("chat: no model to ask"))
	}
	for i, m := range models {
		if slices.ContainsFunc(models[:i], func(other Model) bool { return other.Name == m.Name }) {
			errs = append(errs, fmt.Errorf("chat: two models named %s", m.Name))
		}
	}
	return &Sources{series: series, models: models, fits: forecast.NewFits(series, maxFits)}, errors.Join(errs...)
}

// Vocabulary holds the names that lines may use.
func (s *Sources) Vocabulary() Vocabulary {
	v := Vocabulary{Interval: s.series[0].Interval}
	for _, series := range s.series {
		v.Assets = append(v.Assets, series.Symbol)
	}
	for _, m := range s.models {
		v.Models = append(v.Models, m.Name)
	}
	return v
}

// Session is one conversation. Its state changes with what commands name; it is
// not to be used by two goroutines at once.
type Session struct {
	sources *Sources
	words   Vocabulary
	state   State
}

// defaultHorizon is in candles.
const defaultHorizon = 20

// Session begins a conversation at a state. What that leaves empty is the first
// asset, the first model and 20 candles; the seed is taken as it is.
func (s *Sources) Session(start State) (*Session, error) {
	c := &Session{sources: s, words: s.Vocabulary(), state: start}
	if start.Asset == "" {
		c.state.Asset = c.words.Assets[0]
	}
	if start.Model == "" {
		c.state.Model = c.words.Models[0]
	}
	if start.Horizon == (Span{}) {
		c.state.Horizon = Span{defaultHorizon, "c"}
	}
	if !slices.Contains(c.words.Assets, c.state.Asset) {
		return nil, fmt.Errorf("chat: no asset %q: there is %s", clip(start.Asset), list(nearestNames(c.words.Assets, start.Asset)))
	}
	if !slices.Contains(c.words.Models, c.state.Model) {
		return nil, fmt.Errorf("chat: no model %q: there is %s", clip(start.Model), list(nearestNames(c.words.Models, start.Model)))
	}
	return c, nil
}

// State is what the next command takes its missing parts from.
func (s *Session) State() State { return s.state }

// Vocabulary holds the names that lines may use.
func (s *Session) Vocabulary() Vocabulary { return s.words }

// Do answers a line. It fails with a [*SyntaxError] where the line is not
// understood, and leaves the state alone where it fails. What a line names stays:
// asset, model, date and seed of any command, the horizon of those that draw a fan.
func (s *Session) Do(ctx context.Context, line string) (*Answer, error) {
	c, err := s.words.Parse(line, s.state)
	if err != nil {
		return nil, err
	}
	next := s.state
	switch c.Kind {
	case Use:
		if c.Asset != "" {
			next.Asset = c.Asset
		}
		if c.Model != "" {
			next.Model = c.Model
		}
	case AsOf:
		next.AsOf = c.AsOf
	case Forecast, WhatIf, Compare:
		next = c.State
	default:
		next = c.State
		next.Horizon = s.state.Horizon
	}
	a, err := s.sources.answer(ctx, c, next)
	if err != nil {
		return nil, err
	}
	a.Kind, a.Command, a.State = c.Kind, c.String(), next
	if a.Warnings == nil {
		a.Warnings = []string{} // JSON has a list
	}
	s.state = next
	return a, nil
}

// ErrBeforeFirst says that nothing was known on a date.
var ErrBeforeFirst = errors.New("too few candles until then")

// known is a series as it was at the end of a date; all of it for a zero one.
func known(series *market.Series, asOf time.Time) (*market.Series, error) {
	if asOf.IsZero() {
		return series, nil
	}
	cut := series.Before(asOf.AddDate(0, 0, 1))
	if len(cut.Candles) < 2 {
		return nil, fmt.Errorf("chat: %s as of %s: %w: its candles begin on %s", series.Symbol, asOf.Format(time.DateOnly), ErrBeforeFirst, series.Candles[0].Time.Format(time.DateOnly))
	}
	return cut, nil
}

// view is what a command is about: a model at the end of what is known of a
// series.
type view struct {
	c      Command
	model  Model
	series *market.Series // until the date
	origin *forecast.Origin
	last   market.Candle
}

func (s *Sources) model(name string) Model {
	return s.models[slices.IndexFunc(s.models, func(m Model) bool { return m.Name == name })]
}

// view fails where the model cannot read the series, or nothing is known yet.
func (s *Sources) view(c Command) (*view, error) {
	i := slices.IndexFunc(s.series, func(series *market.Series) bool { return series.Symbol == c.Asset })
	series, err := known(s.series[i], c.AsOf)
	if err != nil {
		return nil, err
	}
	v := &view{c: c, model: s.model(c.Model), series: series, last: series.Candles[len(series.Candles)-1]}
	v.origin, err = v.model.At(series)
	return v, err
}

// warnings say what makes a forecast from here no forecast.
func (v *view) warnings() (out []string) {
	first := market.NextTimes(v.series.Times(), v.series.Interval, 1)[0]
	b := v.model.Bundle
	for _, r := range b.Fit {
		if r.Unbounded() {
			out = append(out, fmt.Sprintf("what %s was fitted on is not known: it may know what came", v.c.Model))
			break
		}
		if r.Contains(first) {
			out = append(out, fmt.Sprintf("%s was fitted on candles until %s: this forecast of %s knows what came", v.c.Model, r.Last.Format(time.DateOnly), first.Format(time.DateOnly)))
			break
		}
	}
	if len(out) == 0 {
		for _, r := range b.Selected {
			if r.Contains(first) {
				out = append(out, fmt.Sprintf("%s was selected or calibrated on candles until %s, %s among them", v.c.Model, r.Last.Format(time.DateOnly), first.Format(time.DateOnly)))
				break
			}
		}
	}
	if b.Model != nil && !b.Knows(v.c.Asset) {
		out = append(out, fmt.Sprintf("%s was not fitted on %s", v.c.Model, v.c.Asset))
	}
	return out
}

// maxCandles bounds the candles of all paths of an answer.
const maxCandles = 5_000_000

// options are what a command wants drawn.
func (v *view) options(horizon int, given []float64) (forecast.Options, error) {
	o := forecast.Options{Horizon: horizon, Samples: v.c.Paths, Seed: v.c.Seed, Given: given}
	o.Sampler.Temperature = v.c.Temperature
	if v.c.Temperature == 0 {
		o.Sampler.Temperature = v.model.Bundle.Calibration.SampleAt()
	}
	if horizon > maxCandles/v.c.Paths {
		return o, fmt.Errorf("chat: %d paths of %d candles: want at most %d candles in all", v.c.Paths, horizon, maxCandles)
	}
	return o, nil
}

// draw draws the futures over the horizon of the command.
func (v *view) draw(ctx context.Context, given []float64) (*forecast.Forecast, error) {
	horizon, err := v.c.Horizon.Candles(v.series)
	if err != nil {
		return nil, err
	}
	o, err := v.options(max(horizon, len(given)), given)
	if err != nil {
		return nil, err
	}
	return v.origin.Draw(ctx, o)
}
