package chat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/score"
)

// Levels are the quantiles of the close that [forecast.Step] holds in answers.
var Levels = []float64{.05, .25, .5, .75, .95}

// Answer is what a command gives. What does not belong to its Kind is empty.
type Answer struct {
	Kind     Kind     `json:"kind"`
	Command  string   `json:"command"` // in full, with what the state supplied
	State    State    `json:"state"`   // after it
	Warnings []string `json:"warnings"`
	Call     *Call    `json:"call,omitempty"` // the request that gives the same; nil: none does

	From      time.Time        `json:"from,omitzero"`       // of the last known candle
	LastClose float64          `json:"last_close,omitzero"` // of it
	Fields    []Field          `json:"fields,omitempty"`
	Levels    []float64        `json:"levels,omitempty"` // of the quantiles in steps
	Steps     []forecast.Step  `json:"steps,omitempty"`
	Scenario  *Scenario        `json:"scenario,omitempty"`
	Baseline  *Baseline        `json:"baseline,omitempty"`
	Tokens    []Token          `json:"tokens,omitempty"`
	Analogues []Analogue       `json:"analogues,omitempty"`
	Models    []ModelInfo      `json:"models,omitempty"`
	Assets    []AssetInfo      `json:"assets,omitempty"`
	Usages    []Usage          `json:"usages,omitempty"`
	Quality   *CalibrationInfo `json:"calibration,omitempty"`

	interval market.Interval
}

// Field is a number with a name.
type Field struct {
	Name  string       `json:"name"`
	Value score.Number `json:"value"`
	Unit  Unit         `json:"unit"`

	// Lo and Hi bound Value with 95%, for what the paths may be off the model.
	Lo *float64 `json:"lo,omitempty"`
	Hi *float64 `json:"hi,omitempty"`
}

// Unit says what a number counts.
type Unit string

// Units of fields.
const (
	UnitLogReturn Unit = "log return"
	UnitMove      Unit = "fraction of the close"
	UnitShare     Unit = "probability"
	UnitNats      Unit = "nats"
	UnitPaths     Unit = "paths"
	UnitTokens    Unit = "tokens"
)

// Scenario is what was given, and what that means to the model.
type Scenario struct {
	Moves []float64 `json:"moves"` // of the closes, as fractions
	forecast.Scenario
}

// Baseline is a simple model's forecast beside that of the model.
type Baseline struct {
	Name   string          `json:"name"`
	Before time.Time       `json:"before"` // fitted on the candles before
	Steps  []forecast.Step `json:"steps"`
}

// Candle is a candle without a volume.
type Candle struct {
	Time  time.Time `json:"time,omitzero"`
	Open  float64   `json:"open"`
	High  float64   `json:"high"`
	Low   float64   `json:"low"`
	Close float64   `json:"close"`
}

func candle(c market.Candle) Candle { return Candle{c.Time, c.Open, c.High, c.Low, c.Close} }

// Token is a token that may come next.
type Token struct {
	Token       int32   `json:"token"`
	Probability float64 `json:"probability"`
	Candle      Candle  `json:"candle"` // what it decodes to
}

// Analogue is a stretch of history that resembles the newest candles.
type Analogue struct {
	Asset    string    `json:"asset"`
	Distance float64   `json:"distance"` // root mean square, in units of volatility
	Window   []Candle  `json:"window"`
	Followed []Candle  `json:"followed"`
	Returns  []float64 `json:"returns"` // cumulative log returns of what followed
}

// ModelInfo is a model as it is listed.
type ModelInfo struct {
	Name       string             `json:"name"`
	SHA256     string             `json:"sha256"`
	Stage      string             `json:"stage"`
	Parameters int                `json:"parameters"`
	Interval   string             `json:"interval"`
	Fit        []checkpoint.Range `json:"fit"`
	Selected   []checkpoint.Range `json:"selected"`
	Calibrated bool               `json:"calibrated"`
}

// AssetInfo is an asset as it is listed, as of the date of the state.
type AssetInfo struct {
	Symbol  string          `json:"symbol"`
	First   time.Time       `json:"first"`
	Last    time.Time       `json:"last"`
	Candles int             `json:"candles"`
	Close   float64         `json:"close"` // the last one
	Every   market.Interval `json:"interval"`
}

// CalibrationInfo says how far probabilities can be taken at their word.
type CalibrationInfo struct {
	Model string                  `json:"model"`
	On    checkpoint.Range        `json:"on"`  // the dates that show it
	Is    *checkpoint.Calibration `json:"fit"` // nil: the model is not calibrated
}

// answer runs a command. state is that after it.
func (s *Sources) answer(ctx context.Context, c Command, state State) (*Answer, error) {
	switch c.Kind {
	case Use, AsOf:
		return s.moveTo(state)
	case Models:
		return s.listModels(), nil
	case Assets:
		return s.listAssets(state), nil
	case Calibration:
		return s.calibration(c.Model), nil
	case Help:
		a := &Answer{Usages: Usages()}
		if c.Topic != "" {
			a.Usages = []Usage{usage(c.Topic)}
		}
		return a, nil
	}
	v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	a := &Answer{Warnings: v.warnings(), From: v.last.Time, LastClose: v.last.Close, interval: v.series.Interval}
	switch c.Kind {
	case Forecast:
		return a, v.forecast(ctx, a)
	case WhatIf:
		return a, v.whatIf(ctx, a)
	case Compare:
		return a, v.compare(ctx, a, s)
	case Volatility:
		return a, v.volatility(ctx, a)
	case Probability:
		return a, v.probability(ctx, a)
	case Analogues:
		return a, v.analogues(a, s)
	case Explain:
		return a, v.explain(a)
	}
	return nil, fmt.Errorf("chat: no command %q", c.Kind)
}

// steps fills in the quantiles of a forecast, and its intervals where they are
// calibrated: of paths that nobody heated or gave anything.
func (v *view) steps(a *Answer, f *forecast.Forecast) {
	a.Levels, a.Steps = Levels, f.Steps(Levels)
	switch c := v.model.Bundle.Calibration; {
	case f.Scenario != nil:
	case c == nil:
		a.Warnings = append(a.Warnings, "intervals are those of the model's own paths: nothing shows how often they hold")
	case v.c.Temperature != 0:
		a.Warnings = append(a.Warnings, "calibrated intervals left out: they are not those of paths drawn at another temperature")
	default:
		f.Calibrate(a.Steps, c)
	}
	last := a.Steps[len(a.Steps)-1]
	a.field("volatility over the horizon", f.Volatility(), UnitLogReturn)
	a.field("P(up) at its end", last.PUp, UnitShare)
}

func (a *Answer) field(name string, value float64, unit Unit) {
	a.Fields = append(a.Fields, Field{Name: name, Value: score.Number(value), Unit: unit})
}

func (v *view) forecast(ctx context.Context, a *Answer) error {
	f, err := v.draw(ctx, nil)
	if err != nil {
		return err
	}
	v.steps(a, f)
	a.Call = post("/v1/forecast", v.drawRequest(len(f.Times)))
	return nil
}

// ErrImpossible says that a scenario lies outside of what a model can draw.
var ErrImpossible = errors.New("the model gives such moves no density")

func (v *view) whatIf(ctx context.Context, a *Answer) error {
	given := make([]float64, len(v.c.Moves))
	for i, m := range v.c.Moves {
		given[i] = math.Log1p(m)
	}
	f, err := v.draw(ctx, given)
	if err != nil {
		return err
	}
	if s := f.Scenario.Surprise; math.IsNaN(s) || math.IsInf(s, 0) {
		return fmt.Errorf("chat: %s: %w", v.c, ErrImpossible)
	}
	v.steps(a, f)
	a.Scenario = &Scenario{Moves: v.c.Moves, Scenario: *f.Scenario}
	a.field("surprise", f.Scenario.Surprise, UnitNats)
	a.field("effective paths", f.Scenario.Effective, UnitPaths)
	if few := float64(v.c.Paths) / 10; f.Scenario.Effective < few {
		a.Warnings = append(a.Warnings, fmt.Sprintf("the paths are worth %.0f of equal weight: draw more for a steadier answer", f.Scenario.Effective))
	}
	a.Call = post("/v1/scenario", ScenarioRequest{v.drawRequest(len(f.Times)), given})
	return nil
}

func (v *view) compare(ctx context.Context, a *Answer, s *Sources) error {
	before := v.origin.Border()
	law, err := s.fits.Get(ctx, v.c.Baseline, before)
	if err != nil {
		return fmt.Errorf("chat: %s fitted before %s: %w", v.c.Baseline, before.Format(time.DateOnly), err)
	}
	f, err := v.draw(ctx, nil)
	if err != nil {
		return err
	}
	v.steps(a, f)
	horizon := len(f.Times)
	a.Baseline = &Baseline{Name: law.Name(), Before: before}
	other := f.Along(law.Paths(v.series, len(v.series.Candles), horizon, v.c.Paths, v.c.Seed))
	a.Baseline.Steps = other.Steps(Levels)
	a.field("volatility over the horizon, "+law.Name(), other.Volatility(), UnitLogReturn)
	a.field("P(up) at its end, "+law.Name(), a.Baseline.Steps[horizon-1].PUp, UnitShare)
	a.Call = post("/v1/compare", CompareRequest{v.drawRequest(horizon), law.Name()})
	return nil
}

func (v *view) volatility(ctx context.Context, a *Answer) error {
	f, err := v.draw(ctx, nil)
	if err != nil {
		return err
	}
	horizon := len(f.Times)
	total := f.Volatility()
	perCandle := total / math.Sqrt(float64(horizon))
	a.field("volatility over the horizon", total, UnitLogReturn)
	a.field("per candle", perCandle, UnitLogReturn)
	if perYear := candlesPerYear(v.series); perYear > 0 {
		a.field("a year at that rate", perCandle*math.Sqrt(perYear), UnitLogReturn)
	}
	if past, ok := realised(v.series, horizon); ok {
		a.field(fmt.Sprintf("over the last %d candles", horizon), past, UnitLogReturn)
	} else {
		a.Warnings = append(a.Warnings, fmt.Sprintf("fewer than %d candles are known: nothing to put beside it", horizon+1))
	}
	if v.model.Bundle.Calibration == nil {
		a.Warnings = append(a.Warnings, "the model is not calibrated: nothing shows how far its volatility is right")
	}
	a.Call = post("/v1/forecast", v.drawRequest(horizon))
	return nil
}

// candlesPerYear counts the candles of the newest 365 days, 0 where the series is
// shorter.
func candlesPerYear(series *market.Series) float64 {
	last := series.Candles[len(series.Candles)-1].Time
	from := last.AddDate(0, 0, -365)
	if series.Candles[0].Time.After(from) {
		return 0
	}
	n := 0
	for i := len(series.Candles) - 1; i >= 0 && series.Candles[i].Time.After(from); i-- {
		n++
	}
	return float64(n)
}

// realised is the root of the sum of the last n squared log returns.
func realised(series *market.Series, n int) (float64, bool) {
	c := series.Candles
	if len(c) <= n {
		return 0, false
	}
	sum := 0.0
	for i := len(c) - n; i < len(c); i++ {
		r := math.Log(c[i].Close / c[i-1].Close)
		sum += r * r
	}
	return math.Sqrt(sum), true
}

func (v *view) probability(ctx context.Context, a *Answer) error {
	f, err := v.draw(ctx, nil)
	if err != nil {
		return err
	}
	horizon := len(f.Times)
	body := ProbabilityRequest{DrawRequest: v.drawRequest(horizon)}
	lo, hi := math.Inf(-1), math.Inf(1)
	if b := v.c.Event.Above; b.Set {
		lo = b.close(v.last.Close)
		body.Above = &lo
	}
	if b := v.c.Event.Below; b.Set {
		hi = b.close(v.last.Close)
		body.Below = &hi
	}
	if lo >= hi {
		return fmt.Errorf("chat: between %s and %s: no close lies there, the last one is %s", market.FormatPrice(lo), market.FormatPrice(hi), market.FormatPrice(v.last.Close))
	}
	p, least, most := f.Share(horizon, func(c float64) bool { return c > lo && c < hi })
	a.Fields = []Field{{
		Name:  fmt.Sprintf("P(%s) after %d candles, on %s", v.c.Event, horizon, f.Times[horizon-1].Format(v.series.Interval.Layout())),
		Value: score.Number(p), Unit: UnitShare, Lo: &least, Hi: &most,
	}}
	if v.model.Bundle.Calibration == nil {
		a.Warnings = append(a.Warnings, "the model is not calibrated: nothing shows how far its probabilities are right")
	}
	a.Call = post("/v1/probability", body)
	return nil
}

func (v *view) analogues(a *Answer, s *Sources) error {
	horizon, err := v.c.Horizon.Candles(v.series)
	if err != nil {
		return err
	}
	found, err := v.origin.Analogues(s.series, v.origin.Border(), v.c.Window, horizon, v.c.Count)
	if err != nil {
		return err
	}
	ends := make([]float64, len(found))
	up := 0.0
	for i, f := range found {
		to := Analogue{Asset: f.Asset, Distance: f.Distance, Returns: f.Returns}
		for _, c := range f.Window {
			to.Window = append(to.Window, candle(c))
		}
		for _, c := range f.Followed {
			to.Followed = append(to.Followed, candle(c))
		}
		ends[i] = f.Returns[horizon-1]
		if ends[i] > 0 {
			up++
		}
		a.Analogues = append(a.Analogues, to)
	}
	slices.Sort(ends)
	a.field(fmt.Sprintf("median of what followed, after %d candles", horizon), math.Expm1(score.Quantile(ends, .5)), UnitMove)
	a.field("share that rose", up/float64(len(ends)), UnitShare)
	a.Warnings = append(a.Warnings, fmt.Sprintf("%d stretches that look alike are no forecast", len(found)))
	a.Call = post("/v1/analogues", AnaloguesRequest{v.at(), v.c.Window, horizon, v.c.Count})
	return nil
}

func (v *view) explain(a *Answer) error {
	all, err := v.origin.Likeliest(math.MaxInt)
	if err != nil {
		return err
	}
	entropy := 0.0
	for _, k := range all {
		if k.Probability > 0 {
			entropy -= k.Probability * math.Log(k.Probability)
		}
	}
	shown := 0.0
	for _, k := range all[:min(v.c.Count, len(all))] {
		a.Tokens = append(a.Tokens, Token{k.Token, k.Probability, candle(k.Candle)})
		shown += k.Probability
	}
	a.field("entropy of the next token", entropy, UnitNats)
	a.field("as many equally likely tokens", math.Exp(entropy), UnitTokens)
	a.field("probability of those shown", shown, UnitShare)
	a.Call = post("/v1/explain", ExplainRequest{v.at(), v.c.Count})
	return nil
}

// moveTo answers a change of the state: with what is known there.
func (s *Sources) moveTo(state State) (*Answer, error) {
	v, err := s.view(Command{State: state})
	if err != nil {
		return nil, err
	}
	return &Answer{Warnings: v.warnings(), From: v.last.Time, LastClose: v.last.Close, interval: v.series.Interval}, nil
}

func (s *Sources) listModels() *Answer {
	a := &Answer{Call: get("/v1/models")}
	for _, m := range s.models {
		b := m.Bundle
		info := ModelInfo{
			Name: m.Name, SHA256: b.Hash, Parameters: len(b.Model.Params), Interval: b.Interval,
			Fit: b.Fit, Selected: b.Selected, Calibrated: b.Calibration != nil,
		}
		if n := len(b.Lineage); n > 0 {
			info.Stage = b.Lineage[n-1].Stage
		}
		a.Models = append(a.Models, info)
	}
	return a
}

func (s *Sources) listAssets(state State) *Answer {
	a := &Answer{Call: get("/v1/assets"), interval: s.series[0].Interval}
	for _, series := range s.series {
		cut, err := known(series, state.AsOf)
		if err != nil {
			a.Warnings = append(a.Warnings, fmt.Sprintf("%s is not there yet on %s", series.Symbol, state.AsOf.Format(time.DateOnly)))
			continue
		}
		n := len(cut.Candles)
		a.Assets = append(a.Assets, AssetInfo{series.Symbol, cut.Candles[0].Time, cut.Candles[n-1].Time, n, cut.Candles[n-1].Close, series.Interval})
	}
	return a
}

func (s *Sources) calibration(model string) *Answer {
	b := s.model(model).Bundle
	a := &Answer{Call: get("/v1/models"), Quality: &CalibrationInfo{Model: model, Is: b.Calibration, On: b.CalibratedOn()}}
	if b.Calibration == nil {
		a.Warnings = append(a.Warnings, "not calibrated: nothing shows how often its intervals hold; mqc calibrate does")
	}
	return a
}
