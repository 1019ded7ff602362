package server

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/predict"
)

// ScenarioRequest gives the first closes to come, or their returns.
type ScenarioRequest struct {
	Place
	Drawing
	Returns     []float64 `json:"returns,omitempty" maxItems:"1000" doc:"log returns of the first candles to come; -5% is ln 0.95 = -0.0513"`
	Closes      []float64 `json:"closes,omitempty" maxItems:"1000" doc:"closes of the first candles to come, instead of returns"`
	ReturnPaths bool      `json:"return_paths,omitempty" doc:"with the closes of every path"`
}

// Scenario is an answer of /v1/scenario.
type Scenario struct {
	About
	Given         []float64 `json:"given" doc:"log returns"`
	Surprise      float64   `json:"surprise" doc:"-ln of the joint density of the given returns under the model, in nats"`
	Effective     float64   `json:"effective" doc:"how many equally weighted paths the conditional ones are worth"`
	Conditional   Fan       `json:"conditional" doc:"given those returns"`
	Unconditional Fan       `json:"unconditional" doc:"given nothing, by the same seed"`
	Realised      []Candle  `json:"realised" doc:"candles that followed, where the data have them"`
}

// maxGiven bounds a given log return.
const maxGiven = 5

// givenOf are the log returns of a scenario after a last close.
func (r ScenarioRequest) givenOf(last float64) ([]float64, error) {
	given := r.Returns
	switch {
	case len(r.Returns) > 0 && len(r.Closes) > 0:
		return nil, huma.Error422UnprocessableEntity("returns and closes: want one of them")
	case len(r.Returns)+len(r.Closes) == 0:
		return nil, huma.Error422UnprocessableEntity("want returns or closes of the first candles to come")
	case len(r.Returns)+len(r.Closes) > r.Horizon:
		return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("%d candles given of a horizon of %d", len(r.Returns)+len(r.Closes), r.Horizon))
	}
	for i, c := range r.Closes {
		if !(c > 0) {
			return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("close %d is %v: want more than 0", i+1, c))
		}
		given = append(given, math.Log(c/last))
		last = c
	}
	for i, x := range given {
		if !(math.Abs(x) <= maxGiven) {
			return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("log return %d is %v: want at most ±%d", i+1, x, maxGiven))
		}
	}
	return given, nil
}

func (s *Server) scenario(ctx context.Context, r ScenarioRequest) (*Scenario, error) {
	j, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	if err := s.drawn(j, r.Drawing); err != nil {
		return nil, err
	}
	given, err := r.givenOf(j.about.LastClose)
	if err != nil {
		return nil, err
	}
	free, err := s.draw(ctx, j)
	if err != nil {
		return nil, err
	}
	j.option.Given = given
	bound, err := s.draw(ctx, j)
	if errors.Is(err, predict.ErrNoEmission) {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err != nil {
		return nil, err
	}
	return &Scenario{
		About: j.about, Given: given, Surprise: bound.Scenario.Surprise, Effective: bound.Scenario.Effective,
		Conditional: fanOf(bound, r.ReturnPaths), Unconditional: j.calibrated(free, r.ReturnPaths), Realised: j.realised(),
	}, nil
}

// ProbabilityRequest asks how likely the last close of the horizon is beyond, or
// between, prices.
type ProbabilityRequest struct {
	Place
	Drawing
	Above *float64 `json:"above,omitempty" minimum:"0" doc:"the close is above this price"`
	Below *float64 `json:"below,omitempty" minimum:"0" doc:"the close is below this price; with above: between the two"`
}

// Probability is an answer of /v1/probability.
type Probability struct {
	About
	P     float64  `json:"p" doc:"share of the paths"`
	Lo    float64  `json:"lo" doc:"Wilson's 95% interval for what so many paths may be off the model"`
	Hi    float64  `json:"hi"`
	Exact *float64 `json:"exact,omitempty" doc:"of a horizon of 1: by the exact density of the model's own distribution"`
}

func (s *Server) probability(ctx context.Context, r ProbabilityRequest) (*Probability, error) {
	if r.Above == nil && r.Below == nil {
		return nil, huma.Error422UnprocessableEntity("want above, below or both: prices")
	}
	above, below := 0., math.Inf(1)
	if r.Above != nil {
		above = *r.Above
	}
	if r.Below != nil {
		below = *r.Below
	}
	if above >= below {
		return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("no close is above %v and below %v", above, below))
	}
	j, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	if err := s.drawn(j, r.Drawing); err != nil {
		return nil, err
	}
	f, err := s.draw(ctx, j)
	if err != nil {
		return nil, err
	}
	a := &Probability{About: j.about}
	a.P, a.Lo, a.Hi = f.Share(j.option.Horizon, func(close float64) bool { return above < close && close < below })
	if j.option.Horizon > 1 {
		return a, nil
	}
	law, err := j.at.Density(j.model.Bundle.Calibration.SampleAt())
	if errors.Is(err, predict.ErrNoEmission) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	exact := law.CDF(math.Log(below/j.about.LastClose)) - law.CDF(math.Log(above/j.about.LastClose))
	a.Exact = &exact
	return a, nil
}
