package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/micro-quant/mqc/market"
)

// linked are three series of 900 days: the second moves with the first, the
// third, which trades on weekends, by itself.
func linked() []*market.Series {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"A", "B", "C"}
	series := make([]*market.Series, 3)
	price := []float64{100, 100, 100}
	for i := range series {
		series[i] = &market.Series{Symbol: names[i], Interval: market.Day}
	}
	for d := range 900 {
		at := time.Date(2020, 1, 1+d, 0, 0, 0, 0, time.UTC)
		a := random.NormFloat64()
		shocks := []float64{a, .8*a + .6*random.NormFloat64(), random.NormFloat64()}
		for i, s := range series {
			if weekend := at.Weekday() == time.Saturday || at.Weekday() == time.Sunday; weekend && i < 2 {
				continue
			}
			open := price[i]
			price[i] *= math.Exp(.01 * shocks[i])
			s.Candles = append(s.Candles, market.Candle{
				Time: at, Open: open, High: 1.001 * max(open, price[i]), Low: .999 * min(open, price[i]), Close: price[i], Volume: math.NaN(),
			})
		}
	}
	return series
}

func TestJointPathsHangTogether(t *testing.T) {
	b, _ := small(t)
	series := linked()
	j, err := NewJoint(modelOf(t, b), series)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b int
		want float64
	}{{0, 1, .8}, {0, 2, 0}, {1, 2, 0}} {
		// Four standard errors over 640 days.
		if got := j.Correlation(c.a, c.b); math.Abs(got-c.want) > .16 {
			t.Errorf("correlation of %d and %d is %.2f, want %.2f", c.a, c.b, got, c.want)
		}
	}

	o := options()
	o.Samples, o.Horizon = 3000, 3
	forecasts := make([]*Forecast, 3)
	for i := range series {
		if forecasts[i], err = j.Forecast(t.Context(), i, o); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := j.End(3), forecasts[2].Times[2]; !got.Equal(want) || forecasts[0].Times[2].Before(want) {
		t.Errorf("all futures reach %v, want %v", got, want)
	}
	// By date: the newest day is a Friday or earlier, and C has weekends.
	returns := func(i int, at time.Time) []float64 {
		f := forecasts[i]
		h := slices.IndexFunc(f.Times, at.Equal)
		x := make([]float64, o.Samples)
		for p, path := range f.Paths {
			before := f.LastClose
			if h > 0 {
				before = path.Candles[h-1].Close
			}
			x[p] = math.Log(path.Candles[h].Close / before)
		}
		return ranks(x)
	}
	common := forecasts[0].Times[0]
	for _, c := range []struct {
		name string
		x, y []float64
		want float64
	}{
		{"A and B on a date", returns(0, common), returns(1, common), 6 / math.Pi * math.Asin(j.Correlation(0, 1)/2)},
		{"A and B on different dates", returns(0, common), returns(1, forecasts[1].Times[1]), 0},
		{"A and itself on different dates", returns(0, common), returns(0, forecasts[0].Times[1]), 0},
	} {
		// The rank correlation of a Gaussian copula; four standard errors.
		if got := stat.Correlation(c.x, c.y, nil); math.Abs(got-c.want) > 4/math.Sqrt(float64(o.Samples)) {
			t.Errorf("%s: rank correlation %.3f, want %.3f", c.name, got, c.want)
		}
	}

	// Alone an asset has the law that it has without the others.
	alone, err := New(t.Context(), b, series[1], o)
	if err != nil {
		t.Fatal(err)
	}
	for h := range o.Horizon {
		levels := []float64{.1, .5, .9}
		got, want := forecasts[1].Steps(levels)[h], alone.Steps(levels)[h]
		for k := range levels {
			// The band is a tenth of the spread: quantiles of 3000 draws.
			if spread := want.Quantiles[2] - want.Quantiles[0]; math.Abs(got.Quantiles[k]-want.Quantiles[k]) > spread/10 {
				t.Errorf("step %d: quantiles %v, alone %v", h+1, got.Quantiles, want.Quantiles)
			}
		}
	}
	again, err := j.Forecast(t.Context(), 1, o)
	if err != nil || !slices.EqualFunc(again.Paths[7].Candles, forecasts[1].Paths[7].Candles, func(a, b market.Candle) bool { return a.Close == b.Close }) {
		t.Errorf("the same again: %v, or other candles", err)
	}
}

// ranks replaces values by their ranks.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if x[a] < x[b] {
			return -1
		}
		return 1
	})
	r := make([]float64, len(x))
	for rank, i := range order {
		r[i] = float64(rank)
	}
	return r
}

func TestCorrelationsThatContradictEachOther(t *testing.T) {
	c := mat.NewSymDense(3, []float64{1, .9, .9, .9, 1, -.9, .9, -.9, 1})
	l := factorize(c)
	var product mat.Dense
	product.Mul(l, l.T())
	if !mat.EqualApprox(&product, c, 1e-12) || c.At(0, 1) <= 0 || c.At(0, 1) >= .9 || c.At(0, 0) != 1 {
		t.Errorf("drawn to %v with the factor %v", mat.Formatted(c), mat.Formatted(l))
	}
}

func TestJointNeedsSeries(t *testing.T) {
	b, _ := small(t)
	if _, err := NewJoint(modelOf(t, b), nil); err == nil {
		t.Error("no series: no error")
	}
}
