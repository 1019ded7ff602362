package feature

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/micro-quant/mqc/market"
)

// Kinds of [Scaler].
const (
	EWMA   = "ewma"   // moves in units of the volatility known before the candle
	HAR    = "har"    // the same with a volatility that highs and lows tell
	Global = "global" // one mean and deviation per feature for all candles
)

// Scaler turns log moves into numbers of about unit size and back. Everything
// it fits comes from training dates, and what it applies to a candle is known
// before that candle.
//
// The variance follows RiskMetrics (J.P. Morgan 1996):
//
//	σ²[t+1] = λ·σ²[t] + (1−λ)·r[t]²
//
// The EWMA kind divides all five features by max(σ[t], Floor·√Initial): a
// vector says "a move of so many σ" and means the same for JPM and for BTC. The
// HAR kind does so with ln σ[t] linear in past log volatility, of which a day's
// range tells more than its return (Corsi 2009; Garman & Klass 1980). Of candles
// shorter than a day both have a [Season].
type Scaler struct {
	Kind    string  `json:"kind"`    // EWMA, HAR or Global
	Lambda  float64 `json:"lambda"`  // decay of the variance per candle
	Floor   float64 `json:"floor"`   // least σ, as a fraction of √Initial
	Initial float64 `json:"initial"` // variance before the second candle of a series: that of all training log returns
	Mean    Vector  `json:"mean"`    // Global: training mean of the log moves; else 0
	Std     Vector  `json:"std"`     // Global: training deviation of the log moves; else 1

	Coef [HARTerms]float64 `json:"coef,omitzero"` // HAR: of ln σ

	Season *Season `json:"season,omitempty"` // nil: the time of day tells nothing
}

// Equal reports whether two scalers do the same.
func (s Scaler) Equal(other Scaler) bool {
	same := s.Season.equal(other.Season)
	s.Season, other.Season = nil, nil
	return same && s == other
}

// Defaults of a fitted [Scaler].
const (
	DefaultLambda = 0.94 // daily RiskMetrics
	DefaultFloor  = 0.1
)

// WarmUp is how many candles of a series it takes until its [State] is hardly
// about the training candles any more: 0.94³⁰ is 16% of the start.
const WarmUp = 30

// State is what is known before a candle.
type State struct {
	PrevClose float64 // close of the candle before
	Variance  float64 // EWMA of squared log returns, not floored; without the season

	vol    volatility
	volume volume
	due    due
}

// FitScaler fits the scaler of the kind on the candles with Time < before.
// It fails for an unknown kind and where those candles hold fewer than two log
// returns, a move that is not finite, or no variation.
func FitScaler(kind string, series []*market.Series, before time.Time) (Scaler, error) {
	if !knownScaler(kind) {
		return Scaler{}, fmt.Errorf("feature: scaler kind %q: want %q, %q or %q", kind, EWMA, HAR, Global)
	}

	var count int
	var sum, mean, std Vector
	err := eachMove(series, before, func(v Vector) {
		count++
		for f, x := range v {
			sum[f] += x
		}
	})
	if err != nil {
		return Scaler{}, err
	}
	if count < 2 {
		return Scaler{}, fmt.Errorf("feature: fit: %d log returns before %s, need at least 2", count, before.Format(time.RFC3339))
	}
	for f := range mean {
		mean[f] = sum[f] / float64(count)
	}

	var squares Vector // around the mean: no cancellation
	_ = eachMove(series, before, func(v Vector) {
		for f, x := range v {
			squares[f] += (x - mean[f]) * (x - mean[f])
		}
	})
	for f := range std {
		std[f] = math.Sqrt(squares[f] / float64(count))
		if std[f] == 0 {
			std[f] = 1 // a feature without variation: only its mean is taken out
		}
	}
	initial := squares[LogReturn] / float64(count)
	if !(initial > 0) {
		return Scaler{}, fmt.Errorf("feature: fit: the log returns before %s do not vary", before.Format(time.RFC3339))
	}

	s := Scaler{Kind: kind, Lambda: DefaultLambda, Floor: DefaultFloor, Initial: initial}
	if kind == Global {
		s.Mean, s.Std = mean, std
	} else {
		s.Std = Vector{1, 1, 1, 1, 1}
	}
	if interval := intervalOf(series); kind != Global && interval > 0 && interval < market.Day {
		s.Season = fitSeason(series, before, initial)
		s.Initial = s.seasonless(series, before)
	}
	if kind == HAR {
		if s.Coef, err = s.fitHAR(series, before); err != nil {
			return Scaler{}, err
		}
	}
	return s, s.Validate()
}

func knownScaler(kind string) bool { return kind == EWMA || kind == HAR || kind == Global }

// intervalOf is that of the first series that has one.
func intervalOf(series []*market.Series) market.Interval {
	for _, s := range series {
		if s.Interval > 0 {
			return s.Interval
		}
	}
	return 0
}

// seasonless is the variance of the log returns before the border, divided by
// the factors of their times of day.
func (s Scaler) seasonless(series []*market.Series, before time.Time) float64 {
	var returns []float64
	s.eachState(series, before, func(_ int, state State, c market.Candle) {
		returns = append(returns, logRatio(c.Close, state.PrevClose)/state.due.scale())
	})
	mean, squares := 0.0, 0.0
	for _, r := range returns {
		mean += r / float64(len(returns))
	}
	for _, r := range returns {
		squares += (r - mean) * (r - mean)
	}
	return squares / float64(len(returns))
}

// eachState visits the candles before the border but for the first of each
// series, by their index, with what is known before them.
func (s Scaler) eachState(series []*market.Series, before time.Time, visit func(i int, state State, c market.Candle)) {
	for _, one := range series {
		states := s.States(one)
		for i := 1; i < len(one.Candles) && one.Candles[i].Time.Before(before); i++ {
			visit(i, states[i], one.Candles[i])
		}
	}
}

// eachMove visits the log moves of all candles before the border, in order.
func eachMove(series []*market.Series, before time.Time, visit func(Vector)) error {
	for _, s := range series {
		for i := 1; i < len(s.Candles); i++ {
			c := s.Candles[i]
			if !c.Time.Before(before) {
				break
			}
			v := Encode(s.Candles[i-1].Close, c)
			if !v.Finite() {
				return fmt.Errorf("feature: fit: %s at %s: log moves %v are not finite", s.Symbol, c.Time.Format(time.RFC3339), v)
			}
			visit(v)
		}
	}
	return nil
}

// Validate reports every fault of a scaler that was read from a file.
func (s Scaler) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("feature: scaler: "+format, args...))
	}
	if !knownScaler(s.Kind) {
		fault("kind %q, want %q, %q or %q", s.Kind, EWMA, HAR, Global)
	}
	for k, b := range s.Coef {
		if math.IsNaN(b) || math.Abs(b) > 100 {
			fault("coefficient %d is %v", k, b)
		}
	}
	if !(s.Lambda > 0 && s.Lambda < 1) {
		fault("lambda %v outside (0, 1)", s.Lambda)
	}
	if !(s.Floor > 0 && s.Floor <= 1) {
		fault("floor %v outside (0, 1]", s.Floor)
	}
	if !(s.Initial > 0 && !math.IsInf(s.Initial, 0)) {
		fault("initial variance %v is not positive and finite", s.Initial)
	}
	for f, name := range Names {
		if math.IsNaN(s.Mean[f]) || math.IsInf(s.Mean[f], 0) {
			fault("mean of %s is %v", name, s.Mean[f])
		}
		if !(s.Std[f] > 0 && !math.IsInf(s.Std[f], 0)) {
			fault("deviation of %s is %v, not positive and finite", name, s.Std[f])
		}
	}
	if s.Season != nil {
		if s.Kind == Global {
			fault("kind %q has no season", s.Kind)
		}
		faults = append(faults, s.Season.Validate())
	}
	return errors.Join(faults...)
}

// Start returns the state after the first candle of the series of an asset,
// which has no features of its own; next is when the second one begins. Where
// that is zero no time of day is known, and candles are scaled without a season.
func (s Scaler) Start(asset string, first market.Candle, next time.Time) State {
	return State{
		PrevClose: first.Close,
		Variance:  s.Initial,
		vol:       s.startVolatility(),
		volume:    volume{}.add(first.Volume),
		due:       s.Season.start(asset, first.Time, next),
	}
}

// Sigma returns the volatility by which the next candle is scaled, as standard
// deviation of its log return; 1 for the Global kind.
func (s Scaler) Sigma(state State) float64 {
	if s.Kind == Global {
		return 1
	}
	return s.level(state) * state.due.scale()
}

// level is σ without the season.
func (s Scaler) level(state State) float64 { return math.Sqrt(max(s.variance(state), s.least())) }

// Floored says whether the floor, and not the variance, scales the next candle.
func (s Scaler) Floored(state State) bool {
	return s.Kind != Global && s.variance(state) < s.least()
}

// variance is that of the next log return, not floored and without the season.
func (s Scaler) variance(state State) float64 {
	if s.Kind != HAR {
		return state.Variance
	}
	level := 0.0
	for k, x := range state.vol.terms() {
		level += s.Coef[k] * x
	}
	return math.Exp(2 * clamp(level, -maxLogSigma, maxLogSigma))
}

// maxLogSigma bounds ln σ of the HAR kind, so that no path runs away.
const maxLogSigma = 20

// least is the smallest variance that scales.
func (s Scaler) least() float64 { return s.Floor * s.Floor * s.Initial }

// Encode returns the scaled features of the candle that follows the state.
func (s Scaler) Encode(state State, c market.Candle) Vector {
	v := Encode(state.PrevClose, c)
	sigma := s.Sigma(state)
	for f := range v {
		v[f] = (v[f]/sigma - s.Mean[f]) / s.Std[f]
	}
	return v
}

// Return says what a scaled log return z of the candle that follows the state
// stands for: the log return shift + unit·z.
func (s Scaler) Return(state State) (shift, unit float64) {
	sigma := s.Sigma(state)
	return s.Mean[LogReturn] * sigma, s.Std[LogReturn] * sigma
}

// LeastRange is the least range of a candle that has a logarithm here, in
// deviations of its log return: a candle without a move has none of its own.
const LeastRange = 0.02

// LogRange is ln(range/unit) of a scaled candle, where range is ln(H/L) and unit
// that of [Scaler.Return]: the logarithm of the range in deviations of the log
// return, as they were known before the candle. It is at least ln LeastRange.
func (s Scaler) LogRange(v Vector) float64 {
	return math.Log(max((v[Range]*s.Std[Range]+s.Mean[Range])/s.Std[LogReturn], LeastRange))
}

// LogRanges is LogRange of vectors.
func (s Scaler) LogRanges(vectors []Vector) []float64 {
	y := make([]float64, len(vectors))
	for i, v := range vectors {
		y[i] = s.LogRange(v)
	}
	return y
}

// Decode is the inverse of Encode within the bounds of [Decode], and valid
// for any vector. Time is zero and Volume NaN: the features hold neither.
func (s Scaler) Decode(state State, v Vector) market.Candle {
	sigma := s.Sigma(state)
	for f := range v {
		v[f] = (v[f]*s.Std[f] + s.Mean[f]) * sigma
	}
	c := market.Candle{Volume: math.NaN()}
	c.Open, c.High, c.Low, c.Close = Decode(state.PrevClose, v)
	return c
}

// Advance returns the state after the candle, of which the prices count. The
// one after it begins at next; where that is zero no time of day is known from
// there on.
func (s Scaler) Advance(state State, c market.Candle, next time.Time) State {
	factor := state.due.scale()
	r := logRatio(c.Close, state.PrevClose) / factor
	return State{
		PrevClose: c.Close,
		Variance:  s.Lambda*state.Variance + (1-s.Lambda)*r*r,
		vol:       state.vol.add(r, CandleVariance(state.PrevClose, c)/(factor*factor), s.Initial),
		volume:    state.volume.add(c.Volume),
		due:       state.due.then(next),
	}
}

// States returns what is known before each candle of a series, and after the
// last: entry t holds for candle t, entry 0 for none. Where there is a season, the
// candle after the last is that of [market.NextTimes].
func (s Scaler) States(series *market.Series) []State {
	n := len(series.Candles)
	states := make([]State, n+1)
	for t, c := range series.Candles {
		var next time.Time
		switch {
		case t+1 < n:
			next = series.Candles[t+1].Time
		case s.Season != nil:
			next = market.NextTimes(series.Times(), series.Interval, 1)[0]
		}
		if t == 0 {
			states[1] = s.Start(series.Symbol, c, next)
		} else {
			states[t+1] = s.Advance(states[t], c, next)
		}
	}
	return states
}
