package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// Known is the series of a place as far as it is known there: at least 2 candles, or
// it fails with [ErrTooEarly].
func (s *Service) Known(p Place) (*market.Series, error) {
	c, err := s.candles(p)
	return c.known, err
}

// At describes a place: what is known there, and what the model has seen of what
// follows.
func (s *Service) At(p Place) (*About, error) {
	q, err := s.place(p)
	if err != nil {
		return nil, err
	}
	return &q.about, nil
}

// question is a request that was understood.
type question struct {
	about  About
	model  *forecast.Model
	whole  *market.Series // beyond what is known, too
	known  *market.Series
	at     *forecast.Origin
	plain  bool // paths are drawn from the model's own distribution
	option forecast.Options
}

// place looks up what a request is of.
func (s *Service) place(p Place) (*question, error) {
	if err := check(p); err != nil {
		return nil, err
	}
	if p.Model == "" {
		p.Model = s.config.Models[0].Name
	}
	m, ok := s.models[p.Model]
	if !ok {
		return nil, unknown("no model %q: GET /v1/models lists them", p.Model)
	}
	c, err := s.candles(p)
	if err != nil {
		return nil, err
	}
	known := c.known
	at, err := m.At(known)
	if err != nil {
		return nil, refused(err)
	}
	last, b := known.Candles[len(known.Candles)-1], m.Bundle
	next := market.NextTimes(known.Times(), known.Interval, 1)[0]
	sight := b.Saw(next)
	q := &question{model: m, whole: c.whole, known: known, at: at}
	q.about = About{
		Identity: Identity{
			Checkpoint: p.Model, SHA256: b.Hash, Trained: b.Build, Version: s.config.Version,
			Config: Resolved{Model: p.Model, Asset: known.Symbol, CSVSHA256: c.posted, AsOf: last.Time}, Seed: 1,
		},
		Asset: known.Symbol, Interval: known.Interval.String(), From: last.Time, LastClose: last.Close,
		InFit: sight.MayBeFitted(), InSelected: sight.Selected != nil, Warnings: []string{}, // JSON has a list
	}
	if text := sight.Warning(); text != "" {
		q.about.warn(p.Model + " " + text)
	}
	q.about.warn(forecast.Over(known, c.asked, c.end, p.AsOf), forecast.Short(known))
	fit := b.LastFit()
	switch {
	case sight.Unknown != nil:
	case !b.Knows(known.Symbol):
		q.about.warn(fmt.Sprintf("%s was not fitted on %s", p.Model, known.Symbol))
	case !slices.Contains(fit.Assets, known.Symbol):
		q.about.warn(fmt.Sprintf("%s went on without %s in its last stage, %s: with %s", p.Model, known.Symbol, fit.Stage, strings.Join(fit.Assets, ", ")))
	}
	return q, nil
}

// candles are what a place is of.
type candles struct {
	whole, known *market.Series
	asked, end   time.Time // of as_of: its first instant, and that which is not known; zero: none
	posted       string    // hash of the request's own; empty: those of an asset
}

// candles looks up the asset that a request names, or reads what it posts.
func (s *Service) candles(p Place) (c candles, err error) {
	switch {
	case p.CSV != "":
		if c.whole, _, err = market.ReadText([]byte(p.CSV), "csv", market.Options{}); err != nil {
			return c, refused(err)
		}
		switch {
		case p.Asset != "":
			c.whole.Symbol = p.Asset
		case c.whole.Symbol == "csv":
			c.whole.Symbol = "posted"
		}
		hash := sha256.Sum256([]byte(p.CSV))
		c.posted = hex.EncodeToString(hash[:])
	case p.Asset == "":
		return c, refuse("want asset, a name of /v1/assets, or csv, candles")
	default:
		if c.whole, err = s.asset(p.Asset); err != nil {
			return c, err
		}
	}
	if c.end, err = parseEnd("as_of", p.AsOf); err != nil {
		return c, err
	}
	if c.asked, err = parseStart("as_of", p.AsOf); err != nil {
		return c, err
	}
	known := c.whole
	if !c.end.IsZero() {
		known = c.whole.Before(c.end)
	}
	if n := len(known.Candles); n < 2 {
		return c, refuse("%s has %d candles until %s, %w: they begin on %s", c.whole.Symbol, n, p.AsOf, ErrTooEarly, c.whole.Candles[0].Time.Format(time.DateOnly))
	}
	c.known = known
	return c, nil
}

// minTemperature keeps logits divided by it within the range of numbers.
const minTemperature = .01

// drawing looks up what a request is of, and says how its paths are drawn.
func (s *Service) drawing(p Place, d Drawing) (*question, error) {
	limits := s.config.Limits
	err := check(d)
	switch {
	case err != nil:
		return nil, err
	case d.Horizon > limits.Horizon:
		return nil, refuse("horizon %d: want at most %d candles", d.Horizon, limits.Horizon)
	case d.Paths > limits.Paths:
		return nil, refuse("paths %d: want at most %d", d.Paths, limits.Paths)
	case d.Horizon*d.Paths > limits.Candles:
		return nil, refuse("%d paths of %d candles: want at most %d candles in all", d.Paths, d.Horizon, limits.Candles)
	}
	o := forecast.Options{Horizon: d.Horizon, Samples: d.Paths, Sampler: gpt.Sampler{Temperature: 1, TopK: d.TopK, TopP: d.TopP}, Seed: 1}
	if d.Temperature != nil {
		o.Sampler.Temperature = *d.Temperature
	}
	if t := o.Sampler.Temperature; t > 0 && t < minTemperature {
		return nil, refuse("temperature %v: want 0, the likeliest tokens, or at least %v", t, minTemperature)
	}
	if d.Seed != nil {
		o.Seed = *d.Seed
	}
	q, err := s.place(p)
	if err != nil {
		return nil, err
	}
	c := &q.about.Identity.Config
	c.Horizon, c.Paths, c.Sampler = o.Horizon, o.Samples, o.Sampler
	q.plain = o.Sampler.Exact()
	switch calibration := q.model.Bundle.Calibration; {
	case calibration == nil:
		q.about.warn(c.Model + " is not calibrated: nothing shows how often its intervals and probabilities hold")
	case !q.plain:
		q.about.warn("no calibrated intervals: they are of paths drawn at temperature 1 from all tokens")
	}
	o.Sampler.Temperature *= q.model.Bundle.Calibration.SampleAt()
	c.Temperature, q.about.Identity.Seed = o.Sampler.Temperature, o.Seed
	q.option = o
	return q, refused(o.Validate())
}
