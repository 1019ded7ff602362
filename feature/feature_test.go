package feature_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// relative is the distance of the prices that the features hold.
func relative(a, b market.Candle) float64 {
	worst := 0.0
	for _, p := range [][2]float64{{a.Open, b.Open}, {a.High, b.High}, {a.Low, b.Low}, {a.Close, b.Close}} {
		worst = max(worst, math.Abs(p[0]/p[1]-1))
	}
	return worst
}

func valid(c market.Candle) bool {
	for _, p := range []float64{c.Open, c.High, c.Low, c.Close} {
		if !(p > 0) || math.IsInf(p, 0) {
			return false
		}
	}
	return c.Low <= min(c.Open, c.Close) && c.High >= max(c.Open, c.Close)
}

// move draws log moves from none to almost the bound of Decode.
func move(t *rapid.T, name string, lo float64) float64 {
	x := rapid.OneOf(
		rapid.Just(0.0),
		rapid.Float64Range(-0.05, 0.05),
		rapid.Float64Range(-1e-9, 1e-9),
		rapid.Float64Range(-19, 19),
	).Draw(t, name)
	return max(x, lo)
}

// drawCandle draws a valid candle and the close before it.
func drawCandle(t *rapid.T) (prevClose float64, c market.Candle) {
	prevClose = math.Exp(rapid.Float64Range(-300, 300).Draw(t, "ln previous close"))
	c.Close = prevClose * math.Exp(move(t, "return", -19))
	c.Open = c.Close * math.Exp(move(t, "body", -19))
	c.High = max(c.Open, c.Close) * math.Exp(move(t, "upper", 0))
	c.Low = min(c.Open, c.Close) / math.Exp(move(t, "lower", 0))
	return prevClose, c
}

func scalers() map[string]feature.Scaler {
	return map[string]feature.Scaler{
		feature.EWMA: {
			Kind: feature.EWMA, Lambda: 0.94, Floor: 0.1, Initial: 4e-4, Std: feature.Vector{1, 1, 1, 1, 1},
		},
		feature.Global: {
			Kind: feature.Global, Lambda: 0.94, Floor: 0.1, Initial: 4e-4,
			Mean: feature.Vector{5e-4, -1e-4, 6e-3, 7e-3, 0.03}, Std: feature.Vector{0.02, 0.018, 0.007, 0.008, 0.02},
		},
		feature.HAR: {
			Kind: feature.HAR, Lambda: 0.94, Floor: 0.1, Initial: 4e-4, Std: feature.Vector{1, 1, 1, 1, 1},
			Coef: [feature.HARTerms]float64{.1, .15, .3, .08, .25, .2},
		},
	}
}

func TestDecodeInvertsEncode(t *testing.T) {
	for kind, scaler := range scalers() {
		t.Run(kind, rapid.MakeCheck(func(t *rapid.T) {
			prev, c := drawCandle(t)
			state := scaler.Start("", market.Candle{Open: prev, High: prev, Low: prev, Close: prev}, time.Time{})
			state.Variance = math.Exp(rapid.Float64Range(-40, 5).Draw(t, "ln variance"))
			v := scaler.Encode(state, c)
			if d := relative(scaler.Decode(state, v), c); d > 1e-6 {
				t.Fatalf("Decode(Encode(%+v)) after %v is %v away, want 1e-6", c, state, d)
			}
		}))
	}
}

func TestRangeIsTheSumOfTheOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prev, c := drawCandle(t)
		v := feature.Encode(prev, c)
		want := v[feature.UpperWick] + math.Abs(v[feature.Body]) + v[feature.LowerWick]
		// Five logarithms up to 80, each rounded to half a unit of 1e-14.
		if math.Abs(v[feature.Range]-want) > 1e-12 {
			t.Fatalf("Encode(%v, %+v) = %v: range %v, want %v", prev, c, v, v[feature.Range], want)
		}
	})
}

func TestEveryDecodedCandleIsValid(t *testing.T) {
	number := rapid.OneOf(
		rapid.Float64(),
		rapid.Float64Range(-10, 10),
		rapid.SampledFrom([]float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64}),
	)
	for kind, scaler := range scalers() {
		t.Run(kind, rapid.MakeCheck(func(t *rapid.T) {
			state := scaler.Start("", market.Candle{Close: math.Exp(rapid.Float64Range(-300, 300).Draw(t, "ln close"))}, time.Time{})
			for range 64 { // a path: nothing may build up
				var v feature.Vector
				for f := range v {
					v[f] = number.Draw(t, feature.Names[f])
				}
				c := scaler.Decode(state, v)
				if !valid(c) {
					t.Fatalf("Decode(%+v, %v) = %+v", state, v, c)
				}
				state = scaler.Advance(state, c, time.Time{})
				if !(state.Variance >= 0) || math.IsInf(state.Variance, 0) {
					t.Fatalf("after %+v the variance is %v", c, state.Variance)
				}
			}
		}))
	}
}

func TestRunawayPathStaysFinite(t *testing.T) {
	for kind, scaler := range scalers() {
		for _, x := range []float64{1e300, -1e300} {
			state := scaler.Start("", market.Candle{Close: 100}, time.Time{})
			for i := range 500 {
				c := scaler.Decode(state, feature.Vector{x, x, x, x, x})
				if !valid(c) {
					t.Fatalf("%s: step %d of %v: %+v", kind, i, x, c)
				}
				state = scaler.Advance(state, c, time.Time{})
			}
		}
	}
}

// walk returns a series with n candles and volatility clusters.
func walk(n int) *market.Series {
	s := &market.Series{Symbol: "SYN-01", Interval: market.Day}
	price := 100.0
	for i := range n {
		r := 0.01 * math.Sin(float64(i)*1.7) * (1.5 + math.Sin(float64(i)/15))
		open := price * math.Exp(r/3)
		close := price * math.Exp(r)
		s.Candles = append(s.Candles, market.Candle{
			Time: time.Date(2020, 1, 1+i, 0, 0, 0, 0, time.UTC),
			Open: open, High: max(open, close) * 1.004, Low: min(open, close) * 0.997, Close: close,
		})
		price = close
	}
	return s
}

// encode returns the vectors of all candles but the first.
func encode(s feature.Scaler, candles []market.Candle) []feature.Vector {
	var vectors []feature.Vector
	state := s.Start("", candles[0], time.Time{})
	for _, c := range candles[1:] {
		vectors = append(vectors, s.Encode(state, c))
		state = s.Advance(state, c, time.Time{})
	}
	return vectors
}

func TestVectorsDoNotKnowLaterCandles(t *testing.T) {
	series := walk(200)
	for kind, scaler := range scalers() {
		want := encode(scaler, series.Candles)
		for _, from := range []int{1, 2, 57, 199} {
			changed := append([]market.Candle(nil), series.Candles...)
			for i := from; i < len(changed); i++ {
				c := &changed[i]
				c.Open, c.High, c.Low, c.Close = c.Open*3, c.High*9, c.Low*2, c.Close*5
			}
			got := encode(scaler, changed)
			for i := range from - 1 { // vector i belongs to candle i+1
				if got[i] != want[i] {
					t.Fatalf("%s: candles from %d on changed vector %d from %v to %v", kind, from, i, want[i], got[i])
				}
			}
			if got[from-1] == want[from-1] {
				t.Errorf("%s: candle %d was changed and its vector was not", kind, from)
			}
		}
	}
}

func TestEWMAFollowsItsFormula(t *testing.T) {
	s := scalers()[feature.EWMA]
	state := s.Start("", market.Candle{Close: 100}, time.Time{})
	if state.PrevClose != 100 || state.Variance != s.Initial {
		t.Errorf("Start = %+v, want the close and %v", state, s.Initial)
	}
	state = s.Advance(state, market.Candle{Close: 110}, time.Time{})
	r := math.Log(1.1)
	if want := 0.94*4e-4 + 0.06*r*r; math.Abs(state.Variance-want) > 1e-15 {
		t.Errorf("variance = %v, want %v", state.Variance, want)
	}
	if got, want := s.Sigma(state), math.Sqrt(state.Variance); got != want || s.Floored(state) {
		t.Errorf("Sigma = %v, floored %v, want %v, false", got, s.Floored(state), want)
	}

	state.Variance = 1e-9 // under (0.1·0.02)²
	if got := s.Sigma(state); math.Abs(got-0.002) > 1e-15 || !s.Floored(state) {
		t.Errorf("Sigma = %v, floored %v, want 0.002, true", got, s.Floored(state))
	}
	if g := scalers()[feature.Global]; g.Sigma(state) != 1 || g.Floored(state) {
		t.Errorf("global: Sigma = %v, floored %v, want 1, false", g.Sigma(state), g.Floored(state))
	}
}

func TestCandleFeaturesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var v feature.Vector
		for f := range v {
			v[f] = rapid.Float64().Draw(t, "feature")
		}
		got := v.Features([]float32{9})
		if len(got) != 1+feature.CandleFeatures || got[0] != 9 {
			t.Fatalf("Features appends %v", got)
		}
		for f, x := range v {
			if y := float64(got[1+f]); !(math.Abs(y) <= 6) || y*x < 0 || math.Abs(x) < 200 && math.Abs(y-math.Asinh(x)) > 1e-6 {
				t.Errorf("feature %v becomes %v, want asinh within ±6", x, y)
			}
		}
		if y := got[feature.CandleFeatures]; !(y >= float32(math.Log(.05)) && y <= 6) {
			t.Errorf("the log return %v becomes %v", v[feature.LogReturn], y)
		}
	})
}

func TestReturnUndoesTheScale(t *testing.T) {
	series := walk(60)
	for name, s := range scalers() {
		state := s.Start("", series.Candles[0], time.Time{})
		for i, c := range series.Candles[1:] {
			shift, unit := s.Return(state)
			z := s.Encode(state, c)[feature.LogReturn]
			if got, want := shift+unit*z, math.Log(c.Close/state.PrevClose); math.Abs(got-want) > 1e-12 {
				t.Fatalf("%s: candle %d: %v + %v·%v = %v, want the log return %v", name, i+1, shift, unit, z, got, want)
			}
			state = s.Advance(state, c, time.Time{})
		}
	}
}
