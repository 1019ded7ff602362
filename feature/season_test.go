package feature_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// The known day of [session]: hourly candles from 9:30, the first with the gap of
// the night, in units of the volatility of the day.
var dayShape = []float64{2.2, 1.3, 0.9, 0.7, 0.6, 0.8, 1.1}

// session has candles of an hour on weekdays in a zone, whose size has a known
// shape over the day and a level that changes from day to day.
func session(symbol, zone string, days int, shape []float64, seed uint64) *market.Series {
	location, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	r := rand.New(rand.NewPCG(seed, 2))
	s := &market.Series{Symbol: symbol, Interval: market.Hour}
	price, level := 100.0, 0.0
	for day := range days {
		date := time.Date(2020, 1, 1+day, 0, 0, 0, 0, location)
		if w := date.Weekday(); w == time.Saturday || w == time.Sunday {
			continue
		}
		level = 0.98*level + 0.05*r.NormFloat64()
		for hour, factor := range shape {
			sigma := 0.004 * math.Exp(level) * factor
			gap := 0.0
			if hour == 0 {
				gap = 0.8 * sigma * r.NormFloat64()
				sigma *= 0.6
			}
			open := price * math.Exp(gap)
			x, hi, lo := 0.0, 0.0, 0.0
			for range 20 {
				x += sigma / math.Sqrt(20) * r.NormFloat64()
				hi, lo = max(hi, x), min(lo, x)
			}
			y, m, d := date.Date()
			s.Candles = append(s.Candles, market.Candle{
				Time: time.Date(y, m, d, 9+hour, 30, 0, 0, location).UTC(),
				Open: open, High: open * math.Exp(hi), Low: open * math.Exp(lo), Close: open * math.Exp(x),
			})
			price = open * math.Exp(x)
		}
	}
	return s
}

func fit(t testing.TB, kind string, before time.Time, series ...*market.Series) feature.Scaler {
	t.Helper()
	s, err := feature.FitScaler(kind, series, before)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var never = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func TestSeasonIsThatOfTheMarket(t *testing.T) {
	for _, zone := range []string{"UTC", "America/New_York", "Europe/London"} {
		a := session("A", zone, 1500, dayShape, 1)
		flat := session("FLAT", zone, 1500, []float64{1, 1, 1, 1, 1, 1, 1}, 2)
		s := fit(t, feature.EWMA, never, a, flat).Season
		if s == nil || s.Clock.String() != zone || s.Interval != market.Hour {
			t.Fatalf("%s: season %+v", zone, s)
		}
		mean := 0.0
		for _, f := range dayShape {
			mean += f / float64(len(dayShape))
		}
		for k, want := range map[string][]float64{"A": dayShape, "FLAT": nil} {
			p := profile(t, s, k)
			for hour := range dayShape {
				got, wanted := p.Slots[2*(9+hour)+1], 1.0
				if hour == 0 {
					got = p.Open
				}
				if want != nil {
					wanted = want[hour] / mean
				}
				// A thousand sizes of a normal law are known to .75/√1000, 2.4%; the
				// largest of twelve seeds times seven hours was 6%.
				if math.Abs(got/wanted-1) > .08 {
					t.Errorf("%s: %s has the factor %.3f at %d:30, want %.3f", zone, k, got, 9+hour, wanted)
				}
			}
			// At night nothing trades: what all assets have, which is nothing.
			if p.Slots[4] != 1 {
				t.Errorf("%s: %s has the factor %v at night, want 1", zone, k, p.Slots[4])
			}
		}
	}
}

func profile(t *testing.T, s *feature.Season, asset string) feature.Profile {
	t.Helper()
	for _, p := range s.Assets {
		if p.Asset == asset {
			return p
		}
	}
	t.Fatalf("no profile of %s", asset)
	return feature.Profile{}
}

// On dates that the fit has not seen, scaled returns are equally large at every
// time of day; without the season they are not.
func TestScaledReturnsAreAlikeAllDay(t *testing.T) {
	a := session("A", "America/New_York", 2500, dayShape, 3)
	border := a.Candles[len(a.Candles)*2/3].Time
	for _, kind := range []string{feature.EWMA, feature.HAR} {
		spread := func(s feature.Scaler) float64 {
			squares, count := map[int]float64{}, map[int]float64{}
			states := s.States(a)
			for i, c := range a.Candles {
				if !c.Time.Before(border) {
					z := s.Encode(states[i], c)[feature.LogReturn]
					squares[i%len(dayShape)] += z * z
					count[i%len(dayShape)]++
				}
			}
			least, most := math.Inf(1), 0.0
			for hour := range dayShape {
				v := squares[hour] / count[hour]
				least, most = min(least, v), max(most, v)
			}
			return most / least
		}
		s := fit(t, kind, border, a)
		with := spread(s)
		s.Season = nil
		// The variance of 595 normal numbers has a deviation of 6%; the largest of
		// seven is 40% above the smallest once in thousands of times.
		if without := spread(s); with > 1.4 || without < 4 {
			t.Errorf("%s: the variance of scaled returns differs by %.2f over the day, without the season by %.2f", kind, with, without)
		}
	}
}

func TestSeasonSeesNothingFromTheBorderOn(t *testing.T) {
	for _, kind := range []string{feature.EWMA, feature.HAR} {
		a := session("A", "America/New_York", 300, dayShape, 4)
		n := len(a.Candles) * 2 / 3
		border := a.Candles[n].Time
		want := fit(t, kind, border, a)
		for i := n; i < len(a.Candles); i++ {
			c := &a.Candles[i]
			c.High, c.Close = c.High*3, c.Close*(2+float64(i%2))
		}
		if got := fit(t, kind, border, a); !got.Equal(want) {
			t.Errorf("%s: the season changes with candles behind the border", kind)
		}
		a.Candles[n-1].Close *= 1.1
		if got := fit(t, kind, border, a); got.Equal(want) {
			t.Errorf("%s: the season does not see the last candle before the border", kind)
		}
	}
}

func TestFewCandlesLeaveTheSeasonNearOne(t *testing.T) {
	// 60 candles pass before the first that counts; ten more are one or two a slot.
	a := session("A", "UTC", 14, dayShape, 5)
	for _, f := range fit(t, feature.EWMA, never, a).Season.Assets[0].Slots {
		if math.Abs(f-1) > .25 {
			t.Errorf("a slot of two candles has the factor %v", f)
		}
	}
}

// A candle comes back from its features, in and out of a session; an asset that
// was not there has the season of all.
func TestSeasonRoundTrip(t *testing.T) {
	a := session("A", "America/New_York", 400, dayShape, 6)
	for _, kind := range []string{feature.EWMA, feature.HAR} {
		s := fit(t, kind, never, a)
		for _, symbol := range []string{"A", "new"} {
			one := *a
			one.Symbol = symbol
			states := s.States(&one)
			for i := 1; i < len(one.Candles); i++ {
				v := s.Encode(states[i], one.Candles[i])
				// Float64 logarithms and exponentials of numbers near 1.
				if d := relative(s.Decode(states[i], v), one.Candles[i]); d > 1e-9 {
					t.Fatalf("%s: candle %d of %s differs by %v", kind, i, symbol, d)
				}
				_, unit := s.Return(states[i])
				if unit != s.Sigma(states[i]) {
					t.Fatalf("%s: returns are scaled by %v, candles by %v", kind, unit, s.Sigma(states[i]))
				}
			}
		}
	}
}

// What scales a candle is σ without a season times the factor of its time, and
// what enters the variance is the move without it.
func TestSeasonMultipliesSigma(t *testing.T) {
	a := session("A", "UTC", 200, dayShape, 7)
	s := fit(t, feature.EWMA, never, a)
	p := s.Season.Assets[0]
	variance := s.Initial
	states := s.States(a)
	for i := 1; i <= len(a.Candles); i++ {
		factor := p.Open
		if hour := i % len(dayShape); hour > 0 {
			factor = p.Slots[2*(9+hour)+1]
		}
		want := math.Sqrt(max(variance, s.Floor*s.Floor*s.Initial)) * factor
		// The last state is that of a candle after the series: the calendar's.
		if got := s.Sigma(states[i]); math.Abs(got/want-1) > 1e-12 {
			t.Fatalf("candle %d is scaled by %v, want %v", i, got, want)
		}
		if i < len(a.Candles) {
			r := math.Log(a.Candles[i].Close/a.Candles[i-1].Close) / factor
			variance = s.Lambda*variance + (1-s.Lambda)*r*r
		}
	}
	unknown := s.Start("A", a.Candles[0], time.Time{})
	if got, want := s.Sigma(unknown), math.Sqrt(s.Initial); got != want {
		t.Errorf("without a date σ is %v, want %v", got, want)
	}
}

func TestDaysAndTheGlobalScaleHaveNoSeason(t *testing.T) {
	daily, _ := clustered("A", 800, 1)
	for _, kind := range []string{feature.EWMA, feature.HAR, feature.Global} {
		if s := fit(t, kind, never, daily); s.Season != nil {
			t.Errorf("%s: daily candles have a season", kind)
		}
	}
	if s := fit(t, feature.Global, never, session("A", "UTC", 100, dayShape, 8)); s.Season != nil {
		t.Error("the global scale has a season")
	}
	data, err := json.Marshal(fit(t, feature.EWMA, never, daily))
	if err != nil || strings.Contains(string(data), "season") {
		t.Errorf("a scaler of daily candles is written as %s, %v", data, err)
	}
}

func TestSeasonSurvivesJSON(t *testing.T) {
	want := fit(t, feature.EWMA, never, session("A", "America/New_York", 100, dayShape, 9))
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got feature.Scaler
	if err := json.Unmarshal(data, &got); err != nil || got.Validate() != nil || !got.Equal(want) {
		t.Fatalf("%s reads as %+v, %v", data, got, err)
	}
	for from, to := range map[string]string{
		`"interval":"1h"`:            `"interval":"1d"`,
		`"open":`:                    `"open":-`,
		`"slots":[`:                  `"slots":[1,`,
		`"asset":"A"`:                `"asset":""`,
		`"kind":"ewma"`:              `"kind":"global"`,
		`"clock":"America/New_York"`: `"clock":"America/Gotham"`,
		`America/New_York`:           `Local`,
	} {
		var s feature.Scaler
		text := strings.Replace(string(data), from, to, 1)
		if text == string(data) {
			t.Fatalf("%s is not in %s", from, data)
		}
		if err := json.Unmarshal([]byte(text), &s); err == nil && s.Validate() == nil {
			t.Errorf("with %s in place of %s a season is accepted", to, from)
		}
	}
	other := want
	season := *want.Season
	season.Others.Open++
	other.Season = &season
	if other.Equal(want) {
		t.Error("scalers with two seasons are equal")
	}
}
