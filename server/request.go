package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// Place is what a forecast is of, and what is known.
type Place struct {
	Model string `json:"model,omitempty" maxLength:"255" doc:"name of a model, as /v1/models has it; empty: the first of them"`
	Asset string `json:"asset,omitempty" maxLength:"64" doc:"name of an asset, as /v1/assets has it; beside csv, whose candles those are"`
	CSV   string `json:"csv,omitempty" doc:"candles of one asset as CSV text, instead of those of the server; they are kept for this request alone"`
	AsOf  string `json:"as_of,omitempty" maxLength:"40" doc:"last date, such as 2024-06-28, or time, such as 2024-06-28T14:30:00Z, that is known; empty: the newest" example:"2024-06-28"`
}

// Drawing is how paths are drawn.
type Drawing struct {
	Horizon     int      `json:"horizon,omitempty" minimum:"1" default:"32" doc:"candles to forecast"`
	Paths       int      `json:"paths,omitempty" minimum:"1" default:"256" doc:"paths to draw"`
	Temperature *float64 `json:"temperature,omitempty" minimum:"0" maximum:"5" doc:"1 is the model's own distribution, 0 its likeliest tokens; default 1"`
	TopK        int      `json:"top_k,omitempty" minimum:"0" doc:"keep the k likeliest tokens; 0 keeps all"`
	TopP        float64  `json:"top_p,omitempty" minimum:"0" maximum:"1" doc:"keep the likeliest tokens that reach this mass; 0 keeps all"`
	Seed        *uint64  `json:"seed,omitempty" doc:"of everything random: the same request with the same seed has the same answer, byte by byte; default 1"`
}

// Resolved is a request as it was understood.
type Resolved struct {
	Model       string      `json:"model"`
	Asset       string      `json:"asset"`
	CSVSHA256   string      `json:"csv_sha256,omitempty" doc:"of the candles that were posted"`
	AsOf        time.Time   `json:"as_of" doc:"time of the last known candle"`
	Horizon     int         `json:"horizon,omitempty"`
	Paths       int         `json:"paths,omitempty"`
	Sampler     gpt.Sampler `json:"sampler,omitzero" doc:"temperature as asked for; a calibrated one multiplies it"`
	Temperature float64     `json:"logits_temperature,omitempty" doc:"what logits were divided by"`
}

// Identity says what made an answer.
type Identity struct {
	Checkpoint string   `json:"checkpoint" doc:"name of the model"`
	SHA256     string   `json:"sha256" doc:"of the checkpoint"`
	Trained    string   `json:"trained_by" doc:"version of the program that wrote the checkpoint"`
	Version    string   `json:"version" doc:"of the server"`
	Config     Resolved `json:"config"`
	Seed       uint64   `json:"seed"`
}

// About heads every answer of a model.
type About struct {
	Identity   Identity  `json:"identity"`
	Asset      string    `json:"asset"`
	Interval   string    `json:"interval" example:"1d"`
	From       time.Time `json:"from" doc:"time of the last known candle"`
	LastClose  float64   `json:"last_close"`
	InFit      bool      `json:"in_fit" doc:"the model was, or may have been, fitted on what follows: it knows what came"`
	InSelected bool      `json:"in_selected" doc:"early stopping or calibration has seen what follows"`
}

// job is a request that was understood.
type job struct {
	about  About
	model  *forecast.Model
	whole  *market.Series // beyond what is known, too
	known  *market.Series
	at     *forecast.Origin
	plain  bool // paths are drawn from the model's own distribution
	option forecast.Options
}

// place looks up what a request is of.
func (s *Server) place(p Place) (*job, error) {
	if p.Model == "" {
		p.Model = s.names[0]
	}
	m, ok := s.models[p.Model]
	if !ok {
		return nil, huma.Error404NotFound(fmt.Sprintf("no model %q: GET /v1/models lists them", p.Model))
	}
	whole, posted, err := s.series(p)
	if err != nil {
		return nil, err
	}
	asOf, err := parseEnd("as_of", p.AsOf)
	if err != nil {
		return nil, err
	}
	known := whole
	if !asOf.IsZero() {
		known = whole.Before(asOf)
	}
	if n := len(known.Candles); n < 2 {
		return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("%s has %d candles until %s: want at least 2", whole.Symbol, n, p.AsOf))
	}
	at, err := m.At(known)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	last, b := known.Candles[len(known.Candles)-1], m.Bundle
	j := &job{model: m, whole: whole, known: known, at: at}
	j.about = About{
		Identity: Identity{
			Checkpoint: p.Model, SHA256: b.Hash, Trained: b.Build, Version: s.config.Version,
			Config: Resolved{Model: p.Model, Asset: known.Symbol, CSVSHA256: posted, AsOf: last.Time}, Seed: 1,
		},
		Asset: known.Symbol, Interval: known.Interval.String(), From: last.Time, LastClose: last.Close,
	}
	next := market.NextTimes(known.Times(), known.Interval, 1)[0]
	for _, r := range b.Fit {
		// Of what has no dates nothing shows that it was not this.
		j.about.InFit = j.about.InFit || r.Unbounded() || r.Hash != "" || r.Contains(next)
	}
	for _, r := range b.Selected {
		j.about.InSelected = j.about.InSelected || r.Contains(next)
	}
	return j, nil
}

// series is the asset that a request names, or what it posts, with the hash of that.
func (s *Server) series(p Place) (series *market.Series, posted string, err error) {
	if p.CSV != "" {
		name := p.Asset
		if name == "" {
			name = "posted"
		}
		series, _, err := market.ReadText([]byte(p.CSV), "csv", market.Options{})
		if err != nil {
			return nil, "", huma.Error422UnprocessableEntity(err.Error())
		}
		if series.Symbol == "csv" || p.Asset != "" {
			series.Symbol = name
		}
		hash := sha256.Sum256([]byte(p.CSV))
		return series, hex.EncodeToString(hash[:]), nil
	}
	if p.Asset == "" {
		return nil, "", huma.Error422UnprocessableEntity("want asset, a name of /v1/assets, or csv, candles")
	}
	series, ok := s.assets[p.Asset]
	if !ok {
		return nil, "", huma.Error404NotFound(fmt.Sprintf("no asset %q: GET /v1/assets lists them", p.Asset))
	}
	return series, "", nil
}

// minTemperature keeps logits divided by it within the range of numbers.
const minTemperature = .01

// drawn says how the paths of a request are drawn.
func (s *Server) drawn(j *job, d Drawing) error {
	limits := s.config.Limits
	switch {
	case d.Horizon > limits.Horizon:
		return huma.Error422UnprocessableEntity(fmt.Sprintf("horizon %d: this server draws at most %d candles", d.Horizon, limits.Horizon))
	case d.Paths > limits.Paths:
		return huma.Error422UnprocessableEntity(fmt.Sprintf("paths %d: this server draws at most %d", d.Paths, limits.Paths))
	case d.Horizon*d.Paths > limits.Candles:
		return huma.Error422UnprocessableEntity(fmt.Sprintf("%d paths of %d candles: this server draws at most %d candles in all", d.Paths, d.Horizon, limits.Candles))
	}
	o := forecast.Options{Horizon: d.Horizon, Samples: d.Paths, Sampler: gpt.Sampler{Temperature: 1, TopK: d.TopK, TopP: d.TopP}, Seed: 1}
	if d.Temperature != nil {
		o.Sampler.Temperature = *d.Temperature
	}
	if t := o.Sampler.Temperature; t > 0 && t < minTemperature {
		return huma.Error422UnprocessableEntity(fmt.Sprintf("temperature %v: want 0, the likeliest tokens, or at least %v", t, minTemperature))
	}
	if d.Seed != nil {
		o.Seed = *d.Seed
	}
	j.plain = o.Sampler.Exact()
	c := &j.about.Identity.Config
	c.Horizon, c.Paths, c.Sampler = o.Horizon, o.Samples, o.Sampler
	if j.plain {
		o.Sampler.Temperature = j.model.Bundle.Calibration.SampleAt()
	}
	c.Temperature, j.about.Identity.Seed = o.Sampler.Temperature, o.Seed
	if err := o.Validate(); err != nil {
		return huma.Error422UnprocessableEntity(err.Error())
	}
	j.option = o
	return nil
}

// parseEnd reads a date, which is known as a whole, or a time as the first instant
// that is not: zero if text is empty.
func parseEnd(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.AddDate(0, 0, 1), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, huma.Error422UnprocessableEntity(fmt.Sprintf("%s %q: want a date such as 2024-06-28 or a time such as 2024-06-28T14:30:00Z", name, text))
	}
	return t.Add(1), nil
}

// indexAfter is the index of the first candle at or after a time.
func indexAfter(candles []market.Candle, t time.Time) int {
	i, _ := slices.BinarySearchFunc(candles, t, func(c market.Candle, t time.Time) int { return c.Time.Compare(t) })
	return i
}

// compute runs f, with the time that a request has, if not too many run, nor so many
// that it would wait too long.
func (s *Server) compute(ctx context.Context, f func(context.Context) error) (err error) {
	again, ok := s.pace.enter(time.Now())
	if !ok {
		s.metrics.refused.Inc()
		return huma.ErrorWithHeaders(
			huma.Error429TooManyRequests(fmt.Sprintf("it would wait longer than %v for those before it: ask again later", s.config.Limits.Wait)),
			http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(again.Seconds())))}})
	}
	defer func() { s.pace.leave(time.Now(), err == nil) }()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.metrics.refused.Inc()
		return huma.ErrorWithHeaders(
			huma.Error429TooManyRequests(fmt.Sprintf("%d requests are being computed, as many as this server takes: ask again later", cap(s.slots))),
			http.Header{"Retry-After": {"1"}})
	}
	begin(ctx)
	ctx, cancel := context.WithTimeout(ctx, s.config.Limits.Compute)
	defer cancel()
	return s.problem(f(ctx))
}

// problem is an error as a client sees it. What is not the client's fault is logged.
func (s *Server) problem(err error) error {
	var known huma.StatusError
	var number *json.UnsupportedValueError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.As(err, &number):
		return errRange
	case errors.Is(err, context.DeadlineExceeded):
		return huma.Error503ServiceUnavailable(fmt.Sprintf("not done after %v: ask for fewer paths or a shorter horizon", s.config.Limits.Compute))
	case errors.Is(err, context.Canceled):
		return huma.Error503ServiceUnavailable("the request was given up")
	}
	s.config.Log.Error("request failed", "error", err)
	return huma.Error500InternalServerError("the server failed; its log says how")
}

// errRange says that an answer went where floating-point numbers end.
var errRange = huma.Error422UnprocessableEntity("the answer leaves the range of numbers: ask for a lower temperature, a shorter horizon or smaller moves")

// acceptsEvents is whether a client wants a stream of events.
func acceptsEvents(accept string) bool { return strings.Contains(accept, "text/event-stream") }
