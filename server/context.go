package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// AnaloguesRequest asks for stretches of the past that resemble the newest candles.
type AnaloguesRequest struct {
	Place
	Window  int `json:"window,omitempty" minimum:"2" maximum:"1000" default:"16" doc:"newest candles to compare with"`
	Horizon int `json:"horizon,omitempty" minimum:"1" default:"32" doc:"candles of what followed"`
	Count   int `json:"count,omitempty" minimum:"1" maximum:"50" default:"5" doc:"stretches to show"`
}

// Analogue is a stretch of the past, with what followed.
type Analogue struct {
	Asset    string    `json:"asset"`
	Distance float64   `json:"distance" doc:"root mean square difference of the log returns, in units of the volatility known before each"`
	Window   []Candle  `json:"window"`
	Followed []Candle  `json:"followed"`
	Returns  []float64 `json:"returns" doc:"cumulative log returns of what followed"`
}

// Analogues is an answer of /v1/analogues.
type Analogues struct {
	About
	Before    time.Time  `json:"before" doc:"what followed a stretch ended before: with the training dates of the model, or with what is known"`
	Analogues []Analogue `json:"analogues" doc:"the nearest first"`
}

func (s *Server) analogues(_ context.Context, r AnaloguesRequest) (*Analogues, error) {
	if r.Horizon > s.config.Limits.Horizon {
		return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("horizon %d: this server looks at most %d candles ahead", r.Horizon, s.config.Limits.Horizon))
	}
	j, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	if most := len(j.known.Candles) - 1; r.Window > most {
		return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("window %d: there are %d returns until then", r.Window, most))
	}
	before := j.at.Border()
	found, err := j.at.Analogues(s.config.Series, before, r.Window, r.Horizon, r.Count)
	if errors.Is(err, forecast.ErrNoAnalogues) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err != nil {
		return nil, err
	}
	a := &Analogues{About: j.about, Before: before}
	for _, f := range found {
		a.Analogues = append(a.Analogues, Analogue{f.Asset, f.Distance, candlesOf(f.Window), candlesOf(f.Followed), f.Returns})
	}
	return a, nil
}

// ExplainRequest asks for the likeliest next tokens.
type ExplainRequest struct {
	Place
	Count int `json:"count,omitempty" minimum:"1" maximum:"100" default:"10" doc:"tokens to show"`
}

// Likely is a token that may come next.
type Likely struct {
	Token       int32   `json:"token"`
	Probability float64 `json:"probability" doc:"at temperature 1"`
	Candle      Candle  `json:"candle" doc:"what it decodes to after the last close"`
	Return      float64 `json:"return" doc:"log return of that candle"`
}

// Explain is an answer of /v1/explain.
type Explain struct {
	About
	Tokens  []Likely `json:"tokens" doc:"the likeliest first"`
	Density *Density `json:"density,omitempty" doc:"exact law of the next close, where the checkpoint knows the returns of its tokens"`
}

func (s *Server) explain(_ context.Context, r ExplainRequest) (*Explain, error) {
	j, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	likely, err := j.at.Likeliest(r.Count)
	if err != nil {
		return nil, err
	}
	a := &Explain{About: j.about}
	for _, k := range likely {
		c := k.Candle
		c.Volume = math.NaN()
		a.Tokens = append(a.Tokens, Likely{k.Token, k.Probability, candlesOf([]market.Candle{c})[0], math.Log(c.Close / j.about.LastClose)})
	}
	a.Density, err = j.density()
	return a, err
}

// CompareRequest asks for the forecast of a baseline beside that of a model.
type CompareRequest struct {
	Place
	Drawing
	Baseline    string `json:"baseline,omitempty" maxLength:"64" default:"HAR-t, pooled" doc:"one of those that /v1/models lists"`
	ReturnPaths bool   `json:"return_paths,omitempty" doc:"with the closes of every path"`
}

// Compare is an answer of /v1/compare.
type Compare struct {
	About
	Baseline     string    `json:"baseline"`
	FittedBefore time.Time `json:"fitted_before" doc:"the baseline, on the server's assets: the end of the model's training dates, or of what is known"`
	Model        Fan       `json:"model"`
	Other        Fan       `json:"other" doc:"of the baseline"`
	Realised     []Candle  `json:"realised" doc:"candles that followed, where the data have them"`
}

func baselineNames() []string { return append(forecast.BaselineNames(), forecast.NamePooledHAR) }

func (s *Server) compare(ctx context.Context, r CompareRequest) (*Compare, error) {
	if !slices.Contains(baselineNames(), r.Baseline) {
		return nil, huma.Error404NotFound(fmt.Sprintf("no baseline %q: GET /v1/models lists them", r.Baseline))
	}
	j, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	if err := s.drawn(j, r.Drawing); err != nil {
		return nil, err
	}
	a := &Compare{About: j.about, Baseline: r.Baseline, FittedBefore: j.at.Border(), Realised: j.realised()}
	b, err := s.fits.Get(ctx, r.Baseline, a.FittedBefore)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	f, err := s.draw(ctx, j)
	if err != nil {
		return nil, err
	}
	a.Model = j.calibrated(f, r.ReturnPaths)
	o := j.option
	a.Other = fanOf(f.Along(b.Paths(j.known, len(j.known.Candles), o.Horizon, o.Samples, o.Seed)), r.ReturnPaths)
	return a, ctx.Err()
}
