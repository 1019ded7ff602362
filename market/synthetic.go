package market

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/micro-quant/mqc/internal/rng"

	"github.com/micro-quant/mqc/market/calendar"
)

// SyntheticConfig describes a synthetic market: the same config, the same
// candles.
type SyntheticConfig struct {
	Assets   int       `json:"assets"`
	Candles  int       `json:"candles"` // of each asset
	Interval Interval  `json:"interval"`
	Start    time.Time `json:"start"` // of the first candle; daily candles fall on weekdays only
	Seed     uint64    `json:"seed"`

	// Shuffled permutes the candles of each asset in time: see [Synthetic.Shuffle].
	Shuffled    bool   `json:"shuffled,omitempty"`
	ShuffleSeed uint64 `json:"shuffle_seed,omitempty"`
}

// DefaultSynthetic is a market of 16 assets with 4000 daily candles each.
func DefaultSynthetic() SyntheticConfig {
	return SyntheticConfig{
		Assets:   16,
		Candles:  4000,
		Interval: Day,
		Start:    time.Date(2005, 1, 3, 0, 0, 0, 0, time.UTC),
		Seed:     1,
	}
}

// Validate joins all faults of the config.
func (c SyntheticConfig) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("market: synthetic: "+format, args...))
		}
	}
	check(1 <= c.Assets && c.Assets <= 1000, "assets %d, want 1 to 1000", c.Assets)
	check(10 <= c.Candles && c.Candles <= 1_000_000, "candles %d, want 10 to 1000000", c.Candles)
	check(c.Assets <= 0 || c.Candles <= 20_000_000/c.Assets, "%d assets of %d candles, want at most 20 million candles in all", c.Assets, c.Candles)
	check(Minute <= c.Interval && c.Interval <= 12*Month && roundStep(time.Duration(c.Interval)) == c.Interval,
		"interval %s, want 1m to 12mo, from 1d whole days, from 4w whole months", c.Interval)
	check(checkYear(c.Start) == nil, "start %s, want a year from %d to %d", stamp(c.Start), firstYear, lastYear)
	if len(errs) == 0 {
		years := float64(c.Candles) * time.Duration(c.Interval).Hours() / 24 / 365 * 7 / 5 // weekends too
		check(float64(c.Start.Year())+years < lastYear, "%d candles of %s from %d end after the year %d", c.Candles, c.Interval, c.Start.Year(), lastYear)
	}
	return errors.Join(errs...)
}

// Synthetic is a market with known truth: States[a][t] is the law of
// Series[a].Candles[t].
//
// Every asset follows a GJR-GARCH(1,1) variance with Student-t shocks
// (Glosten, Jagannathan & Runkle 1993), times the scale of a regime that the
// whole market shares and that is a Markov chain:
//
//	σ²[t]  = scale[regime[t]]² · h[t]
//	r[t]   = mean[regime[t]]·σ[t] + σ[t]·ε[t]
//	h[t+1] = min(ω + (α + γ·1[ε[t]<0])·h[t]·ε[t]² + β·h[t], cap)
//	ε[t]   = √mix[t] · (√c·common[t] + √(1−c)·own[t])
//
// The mixing variable is shared by all assets on a date, so that ε is
// multivariate Student-t: each asset's one-step law is exactly the closed form
// of [State.LogDensity], and large moves come on the same dates. All assets
// have the same law of volatility over time, and different paths.
type Synthetic struct {
	Config SyntheticConfig
	Series []*Series
	States [][]State
}

// Parameters of the variance, in units of its mean: none is taken from a real
// asset. α + γ/2 + β = .975: a shock to the variance loses half in 27 candles.
const (
	garchAlpha = 0.03 // weight of a squared shock
	garchGamma = 0.06 // more if the shock was negative: leverage
	garchBeta  = 0.915
	garchOmega = 1 - garchAlpha - garchGamma/2 - garchBeta
	garchCap   = 25.0 // largest h: σ ≤ 5 times its mean; applied before h governs a candle, so states stay true

	commonShare  = 0.35  // c: share of the shock's variance that all assets have in common
	dailySigma   = 0.012 // √ of the mean variance of a daily log return in the normal regime
	burnIn       = 1000  // candles that are thrown away, so that the first one is drawn from the stationary law
	startPrice   = 100.0 // close before the first candle
	dateStream   = 0     // purpose within the random numbers of a market
	assetStream  = 1
	orderStream  = 2
	symbolPrefix = "SYN-"
)

// NewSynthetic generates the market of the config. An asset's candles depend
// on the seed and its number alone: more assets, or longer series, leave those
// that were there as they are.
func NewSynthetic(config SyntheticConfig) (*Synthetic, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config.Start = config.Start.UTC()
	times := config.times()
	dates := newDates(config)

	m := &Synthetic{Config: config}
	for a := range config.Assets {
		states, candles := newAsset(config, a, dates)
		for t := range candles {
			candles[t].Time = times[t]
		}
		m.States = append(m.States, states)
		m.Series = append(m.Series, &Series{
			Symbol:   fmt.Sprintf("%s%0*d", symbolPrefix, max(2, len(fmt.Sprint(config.Assets))), a+1),
			Interval: config.Interval,
			Candles:  candles,
		})
	}
	if config.Shuffled {
		m.permute(config.ShuffleSeed)
	}
	return m, nil
}

// State returns the law of candle t of an asset.
func (m *Synthetic) State(asset, t int) State { return m.States[asset][t] }

// date is what all assets share at one time.
type date struct {
	regime      int
	mix, common float64
}

// newDates draws the burn-in and the dates of the market.
func newDates(config SyntheticConfig) []date {
	stream := rng.New(config.Seed, rng.Market, dateStream)
	dates := make([]date, burnIn+config.Candles)
	now := 1
	for t := range dates {
		now = nextRegime(now, stream)
		dates[t] = date{regime: now, mix: sampleMix(stream), common: stream.NormFloat64()}
	}
	return dates
}

// nextRegime draws a step of the Markov chain.
func nextRegime(now int, stream *rand.Rand) int {
	u := stream.Float64()
	for next, p := range regimes[now].next {
		if u < p {
			return next
		}
		u -= p
	}
	return now // the probabilities sum to 1 less a rounding error
}

// newAsset draws the path of one asset.
func newAsset(config SyntheticConfig, asset int, dates []date) ([]State, []Candle) {
	stream := rng.New(config.Seed, rng.Market, assetStream, uint64(asset))
	base := dailySigma * math.Sqrt(float64(config.Interval)/float64(Day))
	states := make([]State, 0, config.Candles)
	candles := make([]Candle, 0, config.Candles)
	h, prevClose := 1.0, startPrice
	for t, day := range dates {
		z := math.Sqrt(commonShare)*day.common + math.Sqrt(1-commonShare)*stream.NormFloat64()
		if t >= burnIn {
			mood := regimes[day.regime]
			sigma := base * mood.scale * math.Sqrt(h)
			state := State{Sigma: sigma, Mean: mood.mean * sigma, Regime: day.regime}
			c := state.candle(prevClose, day.mix, z, stream)
			states, candles = append(states, state), append(candles, c)
			prevClose = c.Close
		}

		weight := garchAlpha
		if z < 0 {
			weight += garchGamma
		}
		h = min(garchOmega+weight*h*day.mix*z*z+garchBeta*h, garchCap)
	}
	return states, candles
}

// times are the dates of the candles: weekdays for daily ones, else steps of
// the interval around the clock.
func (c SyntheticConfig) times() []time.Time {
	now := c.Start
	if c.Interval >= Day {
		now = calendar.Date(now)
	}
	times := make([]time.Time, c.Candles)
	for t := range times {
		for c.Interval == Day && (now.Weekday() == time.Saturday || now.Weekday() == time.Sunday) {
			now = now.AddDate(0, 0, 1)
		}
		times[t] = now
		now = now.Add(time.Duration(c.Interval))
	}
	return times
}

// Shuffle returns the market of the same config with the order in time permuted
// within each asset: the same candles as moves from the previous close, prices
// rebuilt, states permuted alike. Nothing is left to learn from the past, while
// every candle keeps its law. The first candle of each asset stays, since its
// move is from a close that is not in the series. Shuffling twice is shuffling
// once, with the second seed.
func (m *Synthetic) Shuffle(seed uint64) *Synthetic {
	config := m.Config
	config.Shuffled, config.ShuffleSeed = true, seed
	shuffled, err := NewSynthetic(config)
	if err != nil {
		panic(err) // m was not made by NewSynthetic
	}
	return shuffled
}

// permute shuffles in place; m is in the order of time.
func (m *Synthetic) permute(seed uint64) {
	for a, s := range m.Series {
		old, states := s.Candles, m.States[a]
		order := rng.New(seed, rng.Market, orderStream, uint64(a)).Perm(len(old) - 1)

		candles, moved := make([]Candle, len(old)), make([]State, len(old))
		candles[0], moved[0] = old[0], states[0]
		for t := 1; t < len(old); t++ {
			from := order[t-1] + 1
			candles[t] = old[from].rebase(old[from-1].Close, candles[t-1].Close)
			candles[t].Time = old[t].Time
			moved[t] = states[from]
		}
		s.Candles, m.States[a] = candles, moved
	}
}

// rebase moves c from one previous close to another. Rounding is monotone, so
// that a valid candle stays one.
func (c Candle) rebase(from, to float64) Candle {
	c.Open = c.Open / from * to
	c.High = c.High / from * to
	c.Low = c.Low / from * to
	c.Close = c.Close / from * to
	return c
}
