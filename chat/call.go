package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/micro-quant/mqc/api"
)

// Call is the request of the HTTP API that a command asks.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   any    `json:"body" doc:"null of GET"`

	query *api.AssetQuery // of GET /v1/assets
}

// String is method, path and body on one line.
func (c *Call) String() string {
	text := c.Method + " " + c.Path
	if c.Body == nil {
		return text
	}
	body, err := json.Marshal(c.Body)
	if err != nil {
		panic(err) // structs of strings and finite numbers
	}
	return text + " " + string(body)
}

func post(path string, body any) *Call { return &Call{Method: http.MethodPost, Path: path, Body: body} }
func get(path string) *Call            { return &Call{Method: http.MethodGet, Path: path} }

// place is what a command is about.
func (c Command) place() api.Place {
	return api.Place{Model: c.Model, Asset: c.Asset, AsOf: c.AsOf}
}

// call is what a command asks; nil: nothing that the API knows.
func (c Command) call(s *api.Service) (*Call, error) {
	switch c.Kind {
	case Use, AsOf, Help:
		return nil, nil
	case Models, Calibration:
		return get("/v1/models"), nil
	case Assets:
		call := get("/v1/assets")
		if call.query = (&api.AssetQuery{AsOf: c.AsOf}); c.AsOf != "" {
			call.Path += "?" + url.Values{"as_of": {c.AsOf}}.Encode()
		}
		return call, nil
	}
	known, err := s.Known(c.place())
	if err != nil {
		return nil, err
	}
	// The date that is known is named, so that the call means the same tomorrow.
	last := known.Candles[len(known.Candles)-1]
	at := c.place()
	at.AsOf = last.Time.UTC().Format(time.DateOnly)
	if c.Kind == Explain {
		return post("/v1/explain", api.ExplainRequest{Place: at, Count: c.Count}), nil
	}
	horizon, err := c.Horizon.Candles(known)
	if err != nil {
		return nil, err
	}
	d := api.Drawing{Horizon: max(horizon, len(c.Moves)), Paths: c.Paths, Seed: &c.Seed}
	if c.Temperature != 1 {
		d.Temperature = &c.Temperature
	}
	switch c.Kind {
	case Forecast, Volatility:
		return post("/v1/forecast", api.ForecastRequest{Place: at, Drawing: d}), nil
	case WhatIf:
		r := api.ScenarioRequest{Place: at, Drawing: d}
		for _, m := range c.Moves {
			r.Returns = append(r.Returns, math.Log1p(m))
		}
		return post("/v1/scenario", r), nil
	case Compare:
		return post("/v1/compare", api.CompareRequest{Place: at, Drawing: d, Baseline: c.Baseline}), nil
	case Probability:
		return post("/v1/probability", api.ProbabilityRequest{Place: at, Drawing: d, Above: c.Event.Above.close(last.Close), Below: c.Event.Below.close(last.Close)}), nil
	case Analogues:
		return post("/v1/analogues", api.AnaloguesRequest{Place: at, Window: c.Window, Horizon: horizon, Count: c.Count}), nil
	}
	return nil, fmt.Errorf("chat: no command %q", c.Kind)
}

// ask hands what a call asks to a service.
func (c *Call) ask(ctx context.Context, s *api.Service) (any, error) {
	switch r := c.Body.(type) {
	case api.ForecastRequest:
		return s.Forecast(ctx, r, nil)
	case api.ScenarioRequest:
		return s.Scenario(ctx, r)
	case api.CompareRequest:
		return s.Compare(ctx, r)
	case api.ProbabilityRequest:
		return s.Probability(ctx, r)
	case api.AnaloguesRequest:
		return s.Analogues(ctx, r)
	case api.ExplainRequest:
		return s.Explain(ctx, r)
	}
	if c.query != nil {
		return s.Assets(ctx, c.query)
	}
	return s.Models(), nil
}
