package chat

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/micro-quant/mqc/api"
)

// Session is one conversation. Its state changes with what commands name; it is
// not to be used by two goroutines at once.
type Session struct {
	service *api.Service
	words   Vocabulary
	state   State
}

// Words are the names of a service that lines may use.
func Words(s *api.Service) Vocabulary {
	return Vocabulary{Assets: s.AssetNames(), Models: s.ModelNames(), Interval: s.Interval()}
}

// NewSession begins a conversation at a state; see [DefaultState]. Without a name of
// an asset or a model it is about the first one.
func NewSession(s *api.Service, start State) (*Session, error) {
	c := &Session{service: s, words: Words(s), state: start}
	if start.Asset == "" {
		c.state.Asset = c.words.Assets[0]
	}
	if start.Model == "" {
		c.state.Model = c.words.Models[0]
	}
	if start.Horizon == (Span{}) {
		c.state.Horizon = DefaultState().Horizon
	}
	if !slices.Contains(c.words.Assets, c.state.Asset) {
		return nil, fmt.Errorf("chat: no asset %q: there is %s: %w", clip(start.Asset), list(nearestNames(c.words.Assets, start.Asset)), api.ErrUnknown)
	}
	if !slices.Contains(c.words.Models, c.state.Model) {
		return nil, fmt.Errorf("chat: no model %q: there is %s: %w", clip(start.Model), list(nearestNames(c.words.Models, start.Model)), api.ErrUnknown)
	}
	if _, err := time.Parse(time.DateOnly, start.AsOf); err != nil && start.AsOf != "" {
		return nil, fmt.Errorf("chat: as of %q: want a date such as 2024-01-31: %w", clip(start.AsOf), api.ErrRefused)
	}
	return c, nil
}

// State is what the next command takes its missing parts from.
func (s *Session) State() State { return s.state }

// Vocabulary holds the names that lines may use.
func (s *Session) Vocabulary() Vocabulary { return s.words }

// Answer is what a line gives.
type Answer struct {
	Kind     Kind     `json:"kind"`
	Command  string   `json:"command" doc:"the line in full, with what the state supplied: said again, it gives the same answer"`
	Text     string   `json:"text" doc:"the answer for a terminal, without warnings and call"`
	Warnings []string `json:"warnings"`
	Call     *Call    `json:"call" doc:"the request that was asked; null: none"`
	State    State    `json:"state" doc:"after the line"`
	Answer   any      `json:"answer" doc:"what the call answers"`
}

// String is the answer for a terminal, with a line break at the end.
func (a *Answer) String() string {
	var b strings.Builder
	b.WriteString(a.Text)
	for _, w := range a.Warnings {
		fmt.Fprintf(&b, "! %s\n", w)
	}
	if a.Call != nil {
		fmt.Fprintf(&b, "API: %s\n", a.Call)
	}
	return b.String()
}

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
	default:
		next.Asset, next.Model, next.AsOf, next.Seed = c.Asset, c.Model, c.AsOf, c.Seed
		if slices.Contains([]Kind{Forecast, WhatIf, Compare}, c.Kind) {
			next.Horizon = c.Horizon
		}
	}
	a := &Answer{Kind: c.Kind, Command: c.String(), State: next, Warnings: []string{}} // JSON has a list
	var about *api.About
	switch a.Call, err = c.call(s.service); {
	case err != nil:
		return nil, err
	case c.Kind == Use || c.Kind == AsOf:
		about, err = s.service.At(Command{State: next}.place())
	case a.Call != nil:
		a.Answer, err = a.Call.ask(ctx, s.service)
	}
	if err != nil {
		return nil, err
	}
	if of, ok := a.Answer.(interface{ Head() *api.About }); ok {
		about = of.Head()
	}
	if about != nil {
		a.Warnings = append(a.Warnings, about.Warnings...)
	}
	if list, ok := a.Answer.(*api.AssetList); ok && len(list.Later) > 0 {
		a.Warnings = append(a.Warnings, fmt.Sprintf("not there yet: %s", strings.Join(list.Later, ", ")))
	}
	a.Text = textOf(c, about, a.Answer, s.words.Interval.Layout())
	s.state = next
	return a, nil
}
