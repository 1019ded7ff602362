package forecast

import (
	"math"
	"testing"
	"time"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/market"
)

// Of hourly candles the pooled HAR-t knows the time of day, for one step and
// along its paths.
func TestPooledHARKnowsTheTimeOfDay(t *testing.T) {
	r := seeded(1)
	s := &market.Series{Symbol: "A", Interval: market.Hour}
	price := 100.0
	for day := range 300 {
		for hour := range 6 {
			sigma := .004
			if hour == 0 {
				sigma *= 3
			}
			open := price
			price *= math.Exp(sigma * r.NormFloat64())
			s.Candles = append(s.Candles, market.Candle{
				Time: time.Date(2024, 1, 1+day, 9+hour, 0, 0, 0, time.UTC),
				Open: open, Close: price, High: max(open, price) * (1 + sigma/2), Low: min(open, price) / (1 + sigma/2),
			})
		}
	}
	b, err := FitPooledHAR([]*market.Series{s}, s.Candles[1500].Time)
	if err != nil {
		t.Fatal(err)
	}
	first, last := 0.0, 0.0
	for i, d := range b.OneStep(s) {
		switch {
		case i < 600:
		case i%6 == 0:
			first += d.(density.StudentT).Scale
		case i%6 == 5:
			last += d.(density.StudentT).Scale
		}
	}
	// The factor of 250 openings is known to a twentieth.
	if ratio := first / last; ratio < 2.6 || ratio > 3.4 {
		t.Errorf("the first candle of a day is scaled %.2f times as much as the last, want 3 times", ratio)
	}
	size := func(origin int) (steps [6]float64) {
		for _, p := range b.Paths(s, origin, 6, 2000, 1) {
			before := 0.0
			for h, x := range p {
				steps[h] += math.Abs(x-before) / 2000
				before = x
			}
		}
		return steps
	}
	for _, c := range []struct{ origin, opening int }{
		{len(s.Candles), 0},     // beyond the end, where the calendar says when
		{len(s.Candles) - 2, 2}, // across it
		{1200, 0},
	} {
		steps := size(c.origin)
		for h, x := range steps {
			want := 1.0
			if h == c.opening {
				want = 3
			}
			// Means of 2,000 sizes, and a factor, each known to a twentieth.
			if got := 3 * x / steps[c.opening]; math.Abs(got-want) > .4 {
				t.Errorf("from candle %d, step %d moves by %.2f, a third of the opening being 1, want %v", c.origin, h, got, want)
			}
		}
	}
}
