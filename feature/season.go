package feature

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/market"
)

// DaySlots is the number of slots of the day, each of half an hour.
const DaySlots = 48

// Clock is the clock on whose times of day a market has its habits. As text it is
// the name of its zone in the IANA database.
type Clock struct{ *time.Location }

// clocks are tried by [FitClock]; the first of equals counts.
var clocks = []Clock{mustClock("UTC"), mustClock("America/New_York"), mustClock("Europe/London")}

func mustClock(name string) Clock {
	var c Clock
	if err := c.UnmarshalText([]byte(name)); err != nil {
		panic(err) // market/calendar links time/tzdata in
	}
	return c
}

// Slot is the half hour of the day in which a time lies, from 0.
func (c Clock) Slot(t time.Time) int {
	hour, minute, _ := t.In(c.Location).Clock()
	return 2*hour + minute/30
}

// Equal reports whether two clocks are those of one zone.
func (c Clock) Equal(other Clock) bool { return c.String() == other.String() }

// MarshalText gives the name of the zone.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText. It fails for a zone that nobody
// knows and for that of the machine, which is another one elsewhere.
func (c *Clock) UnmarshalText(text []byte) error {
	name := string(text)
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return fmt.Errorf("feature: clock %q: want the name of a time zone, such as America/New_York", name)
	}
	c.Location = zone
	return nil
}

// pause is how much longer than a candle a market is away before the next one
// opens a session.
const pause = time.Hour

// Opens reports whether a candle opens a session: whether there is a night, or
// another pause, between the end of the candle before it and its own beginning.
func Opens(last, next time.Time, interval market.Interval) bool {
	return next.Sub(last) >= time.Duration(interval)+pause
}

// Season is what the time of day tells of the size of the move to come, for
// candles shorter than a day: a factor of σ for each half hour, and one for the
// candle that opens a session, which carries the gap of the night. The variance
// follows the moves without them (Andersen & Bollerslev 1997):
//
//	r[t] = σ[t]·f(slot of t)·z[t]
type Season struct {
	Interval market.Interval `json:"interval"` // of the candles
	Clock    Clock           `json:"clock"`
	Others   Profile         `json:"others"` // of an asset that is not in Assets: that of all together
	Assets   []Profile       `json:"assets"`
}

// Profile is the season of one asset.
type Profile struct {
	Asset string    `json:"asset,omitempty"` // its symbol
	Open  float64   `json:"open"`            // factor of the candle that opens a session
	Slots []float64 `json:"slots"`           // (DaySlots) of every other
}

// Bounds of a factor.
const minFactor, maxFactor = 0.01, 100.0

// Validate reports every fault of a season that was read from a file.
func (s *Season) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("feature: season: "+format, args...))
	}
	if s.Interval <= 0 || s.Interval >= market.Day {
		fault("interval %s, want one shorter than a day", s.Interval)
	}
	if s.Clock.Location == nil {
		fault("it has no clock")
	}
	seen := map[string]bool{}
	for i, p := range append([]Profile{s.Others}, s.Assets...) {
		if i > 0 && (p.Asset == "" || seen[p.Asset]) {
			fault("asset %q is empty or there twice", p.Asset)
		}
		seen[p.Asset] = true
		if len(p.Slots) != DaySlots {
			fault("%q has factors of %d slots, want %d", p.Asset, len(p.Slots), DaySlots)
		}
		for _, f := range append([]float64{p.Open}, p.Slots...) {
			if !(f >= minFactor && f <= maxFactor) {
				fault("%q has a factor of %v, want %v to %v", p.Asset, f, minFactor, maxFactor)
				break
			}
		}
	}
	return errors.Join(faults...)
}

// equal reports whether two seasons, of which either may be nil, are the same.
func (s *Season) equal(other *Season) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.Interval == other.Interval && s.Clock.Equal(other.Clock) &&
		s.Others.equal(other.Others) && slices.EqualFunc(s.Assets, other.Assets, Profile.equal)
}

func (p Profile) equal(other Profile) bool {
	return p.Asset == other.Asset && p.Open == other.Open && slices.Equal(p.Slots, other.Slots)
}

// due is the place of the candle to come in its day.
type due struct {
	season  *Season
	profile *Profile // nil: no time of day is known, or it tells nothing
	at      time.Time
	factor  float64
}

// start is the place of the candle that comes at next, after one of an asset at
// last. A nil season and a candle without a time have none.
func (s *Season) start(asset string, last, next time.Time) due {
	if s == nil || next.IsZero() {
		return due{}
	}
	d := due{season: s, profile: &s.Others, at: last}
	for i := range s.Assets {
		if s.Assets[i].Asset == asset {
			d.profile = &s.Assets[i]
		}
	}
	return d.then(next)
}

// then is the place of the candle after this one.
func (d due) then(next time.Time) due {
	if d.profile == nil || next.IsZero() {
		return due{}
	}
	d.factor = d.profile.Slots[d.season.Clock.Slot(next)]
	if Opens(d.at, next, d.season.Interval) {
		d.factor = d.profile.Open
	}
	d.at = next
	return d
}

// scale is the factor of σ.
func (d due) scale() float64 {
	if d.profile == nil {
		return 1
	}
	return d.factor
}

// The fit.
const (
	seasonPrior  = 20   // candles that a factor without any counts for
	seasonRounds = 50   // at most
	seasonTol    = 1e-4 // largest relative change of a factor in the last round
	openGroup    = DaySlots
	groups       = DaySlots + 1
)

// factors are those of the slots, and of the candle that opens a session.
type factors [groups]float64

// daySample is the training part of one series.
type daySample struct {
	returns []float64
	group   []uint8 // slot of each, or openGroup
}

func daySamples(series []*market.Series, before time.Time, clock Clock) []daySample {
	samples := make([]daySample, len(series))
	for k, s := range series {
		for i := 1; i < len(s.Candles) && s.Candles[i].Time.Before(before); i++ {
			last, c := s.Candles[i-1], s.Candles[i]
			group := clock.Slot(c.Time)
			if Opens(last.Time, c.Time, s.Interval) {
				group = openGroup
			}
			samples[k].returns = append(samples[k].returns, logRatio(c.Close, last.Close))
			samples[k].group = append(samples[k].group, uint8(group))
		}
	}
	return samples
}

// sizes adds up, for each group, |z| of the returns over factors and the
// exponential variance of those before them.
func (d daySample) sizes(f *factors, initial float64, sum, count *factors) {
	variance, least := initial, DefaultFloor*DefaultFloor*initial
	for i, r := range d.returns {
		r /= f[d.group[i]]
		if i >= harBurn {
			sum[d.group[i]] += math.Abs(r) / math.Sqrt(max(variance, least))
			count[d.group[i]]++
		}
		variance = DefaultLambda*variance + (1-DefaultLambda)*r*r
	}
}

// noFactors are 1 for all.
func noFactors() (f factors) {
	for g := range f {
		f[g] = 1
	}
	return f
}

// FitClock returns the clock by which the moves before the border differ most
// from one time of day to another: the likelihood of their sizes, exponential
// with one mean for each asset and slot, is largest. initial is the variance of
// these moves.
func FitClock(series []*market.Series, before time.Time, initial float64) Clock {
	best, least := clocks[0], math.Inf(1)
	one := noFactors()
	for _, clock := range clocks {
		cost := 0.0
		for _, d := range daySamples(series, before, clock) {
			var sum, count factors
			d.sizes(&one, initial, &sum, &count)
			for g, n := range count {
				if sum[g] > 0 {
					cost += n * math.Log(sum[g]/n)
				}
			}
		}
		if cost < least {
			best, least = clock, cost
		}
	}
	return best
}

// fitSeason fits the factors on the returns before the border, whose variance is
// initial: those of all assets together, drawn towards 1 where there are few
// candles, and those of each, drawn towards these.
func fitSeason(series []*market.Series, before time.Time, initial float64) *Season {
	clock := FitClock(series, before, initial)
	samples := daySamples(series, before, clock)
	all := fitFactors(samples, noFactors(), initial)
	s := &Season{Interval: series[0].Interval, Clock: clock, Others: all.profile("")}
	for k, one := range series {
		s.Assets = append(s.Assets, fitFactors(samples[k:k+1], all, initial).profile(one.Symbol))
	}
	return s
}

// fitFactors makes the mean of |z| the same in every group. A round multiplies
// each factor by the mean of its group, since the variance that scales a move
// follows from the factors too. Their mean over candles is that of the prior: a
// common factor would change the variance, and no z.
func fitFactors(samples []daySample, prior factors, initial float64) factors {
	f := prior
	for range seasonRounds {
		var sum, count factors
		for _, d := range samples {
			d.sizes(&f, initial, &sum, &count)
		}
		total, wanted := 0.0, 0.0
		for g := range f {
			total, wanted = total+f[g]*sum[g], wanted+prior[g]*count[g]
		}
		if total == 0 {
			return prior
		}
		change := 0.0
		for g := range f {
			if count[g] == 0 {
				continue
			}
			own := f[g] * (sum[g] / count[g]) * (wanted / total)
			weight := count[g] / (count[g] + seasonPrior)
			next := clamp(prior[g]+weight*(own-prior[g]), minFactor, maxFactor)
			change = max(change, math.Abs(next/f[g]-1))
			f[g] = next
		}
		if change < seasonTol {
			break
		}
	}
	return f
}

// profile has the factors with four decimals: more nobody knows.
func (f factors) profile(asset string) Profile {
	p := Profile{Asset: asset}
	for _, x := range f {
		p.Slots = append(p.Slots, math.Round(x*1e4)/1e4)
	}
	p.Open, p.Slots = p.Slots[openGroup], p.Slots[:DaySlots]
	return p
}
