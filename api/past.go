package api

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/forecast"
)

// Analogues finds stretches of the past that resemble the newest candles.
func (s *Service) Analogues(ctx context.Context, r AnaloguesRequest) (*Analogues, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	if most := s.config.Limits.Horizon; r.Horizon > most {
		return nil, refuse("horizon %d: want at most %d candles", r.Horizon, most)
	}
	q, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	if most := len(q.known.Candles) - 1; r.Window > most {
		return nil, refuse("window %d: there are %d returns until then", r.Window, most)
	}
	before := q.at.Border()
	found, err := q.at.Analogues(s.config.Series, before, r.Window, r.Horizon, r.Count)
	if errors.Is(err, forecast.ErrNoAnalogues) {
		return nil, refused(err)
	}
	if err != nil {
		return nil, err
	}
	q.about.warn(fmt.Sprintf("%d stretches that look alike are no forecast", len(found)))
	a := &Analogues{About: q.about, Before: before}
	for _, f := range found {
		a.Analogues = append(a.Analogues, Analogue{f.Asset, f.Distance, candlesOf(f.Window), candlesOf(f.Followed), f.Returns})
	}
	return a, ctx.Err()
}

// Explain lists the likeliest next tokens.
func (s *Service) Explain(ctx context.Context, r ExplainRequest) (*Explain, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	q, err := s.place(r.Place)
	if err != nil {
		return nil, err
	}
	all, err := q.at.Likeliest(math.MaxInt)
	if err != nil {
		return nil, err
	}
	a := &Explain{About: q.about}
	for i, k := range all {
		if k.Probability > 0 {
			a.Entropy -= k.Probability * math.Log(k.Probability)
		}
		if i < r.Count {
			c := k.Candle
			c.Volume = math.NaN() // no token has one
			a.Tokens = append(a.Tokens, Likely{k.Token, k.Probability, candleOf(c), math.Log(c.Close / q.about.LastClose)})
		}
	}
	if a.Density, err = q.density(); err != nil {
		return nil, err
	}
	return a, ctx.Err()
}
