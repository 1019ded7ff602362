package feature_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// A candle with a gap, a body and wicks, by hand: Garman & Klass 1980 and the
// squared gap.
func TestCandleVariance(t *testing.T) {
	c := market.Candle{Open: 101, High: 104, Low: 99, Close: 102}
	r, b, g := math.Log(104./99), math.Log(102./101), math.Log(101./100)
	want := 0.5*r*r - (2*math.Ln2-1)*b*b + g*g
	if got := feature.CandleVariance(100, c); math.Abs(got-want) > 1e-15 {
		t.Errorf("CandleVariance = %v, want %v", got, want)
	}
}

// clustered has n candles whose volatility moves slowly, so that ranges tell the
// next one; it returns the true deviations too.
func clustered(symbol string, n int, seed uint64) (*market.Series, []float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &market.Series{Symbol: symbol, Interval: market.Day}
	var sigmas []float64
	price, level := 100.0, 0.0
	for i := range n {
		level = 0.97*level + 0.15*r.NormFloat64()
		sigma := 0.015 * math.Exp(level)
		x, hi, lo := 0.0, 0.0, 0.0
		for range 40 {
			x += sigma / math.Sqrt(40) * r.NormFloat64()
			hi, lo = max(hi, x), min(lo, x)
		}
		s.Candles = append(s.Candles, market.Candle{
			Time: time.Date(2010, 1, 1+i, 0, 0, 0, 0, time.UTC),
			Open: price, High: price * math.Exp(hi), Low: price * math.Exp(lo), Close: price * math.Exp(x),
		})
		sigmas = append(sigmas, sigma)
		price *= math.Exp(x)
	}
	return s, sigmas
}

func TestHARFollowsTheVolatilityBetterThanEWMA(t *testing.T) {
	a, sigmas := clustered("A", 3000, 1)
	b, _ := clustered("B", 3000, 2)
	border := a.Candles[2000].Time
	miss := map[string]float64{}
	for _, kind := range []string{feature.EWMA, feature.HAR} {
		s, err := feature.FitScaler(kind, []*market.Series{a, b}, border)
		if err != nil {
			t.Fatal(err)
		}
		states := s.States(a)
		for i := 2000; i < 3000; i++ {
			d := math.Log(s.Sigma(states[i]) / sigmas[i])
			miss[kind] += d * d / 1000
		}
	}
	// The level itself moves by .15 from candle to candle.
	if miss[feature.HAR] > 0.8*miss[feature.EWMA] || miss[feature.HAR] > 0.12 {
		t.Errorf("mean squared error of ln σ: HAR %v, EWMA %v", miss[feature.HAR], miss[feature.EWMA])
	}
}

func TestHARFitSeesNothingFromTheBorderOn(t *testing.T) {
	a, _ := clustered("A", 800, 3)
	border := a.Candles[600].Time
	want, err := feature.FitScaler(feature.HAR, []*market.Series{a}, border)
	if err != nil {
		t.Fatal(err)
	}
	for i := 600; i < 800; i++ {
		c := &a.Candles[i]
		c.High, c.Close = c.High*3, c.Close*2
	}
	if got, err := feature.FitScaler(feature.HAR, []*market.Series{a}, border); err != nil || got != want {
		t.Errorf("FitScaler = %+v, %v after a change behind the border, want %+v", got, err, want)
	}
	if _, err := feature.FitScaler(feature.HAR, []*market.Series{a}, a.Candles[100].Time); err == nil {
		t.Error("FitScaler fits six coefficients to forty returns")
	}
}
