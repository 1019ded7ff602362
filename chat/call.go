package chat

import (
	"encoding/json"
	"net/http"
	"time"
)

// Call is the request of the HTTP API that gives the numbers of an answer.
type Call struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   any    `json:"body,omitempty"` // one of the request types of this package
}

// String is method, path and body on one line.
func (c Call) String() string {
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

// At is what every request names: a model at the end of what was known of an asset
// on a date.
type At struct {
	Model string `json:"model"`
	Asset string `json:"asset"`
	AsOf  string `json:"as_of"` // 2006-01-02
}

// DrawRequest is the body of POST /v1/forecast.
type DrawRequest struct {
	At
	Horizon     int     `json:"horizon"` // candles
	Paths       int     `json:"paths"`
	Temperature float64 `json:"temperature,omitempty"` // of the logits; missing: as calibrated, or 1
	Seed        uint64  `json:"seed"`
}

// ScenarioRequest is the body of POST /v1/scenario.
type ScenarioRequest struct {
	DrawRequest
	Returns []float64 `json:"returns"` // log returns of the next closes
}

// ProbabilityRequest is the body of POST /v1/probability. The close at the end of
// the horizon is above Above, below Below, or both.
type ProbabilityRequest struct {
	DrawRequest
	Above *float64 `json:"above,omitempty"`
	Below *float64 `json:"below,omitempty"`
}

// CompareRequest is the body of POST /v1/compare.
type CompareRequest struct {
	DrawRequest
	Baseline string `json:"baseline"` // a name in forecast
}

// AnaloguesRequest is the body of POST /v1/analogues.
type AnaloguesRequest struct {
	At
	Window  int `json:"window"`
	Horizon int `json:"horizon"`
	Count   int `json:"count"`
}

// ExplainRequest is the body of POST /v1/explain.
type ExplainRequest struct {
	At
	Count int `json:"count"`
}

func post(path string, body any) *Call { return &Call{http.MethodPost, path, body} }
func get(path string) *Call            { return &Call{Method: http.MethodGet, Path: path} }

func (v *view) at() At {
	return At{Model: v.c.Model, Asset: v.c.Asset, AsOf: v.last.Time.Format(time.DateOnly)}
}

func (v *view) drawRequest(horizon int) DrawRequest {
	return DrawRequest{At: v.at(), Horizon: horizon, Paths: v.c.Paths, Temperature: v.c.Temperature, Seed: v.c.Seed}
}
