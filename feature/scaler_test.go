package feature_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

func TestFitSeesNothingFromTheBorderOn(t *testing.T) {
	for _, kind := range []string{feature.EWMA, feature.Global} {
		a, b := walk(100), walk(80)
		border := a.Candles[60].Time
		want, err := feature.FitScaler(kind, []*market.Series{a, b}, border)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*market.Series{a, b} {
			for i := range s.Candles {
				if c := &s.Candles[i]; !c.Time.Before(border) {
					c.Open, c.High, c.Close = c.Open*7, c.High*7, c.Close*6
				}
			}
		}
		got, err := feature.FitScaler(kind, []*market.Series{a, b}, border)
		if err != nil || got != want {
			t.Errorf("FitScaler(%s) = %+v, %v after a change behind the border, want %+v", kind, got, err, want)
		}

		a.Candles[59].Close *= 1.5
		if got, _ := feature.FitScaler(kind, []*market.Series{a, b}, border); got == want {
			t.Errorf("FitScaler(%s) does not see the last candle before the border", kind)
		}
	}
}

func TestGlobalVectorsHaveMeanZeroAndDeviationOne(t *testing.T) {
	series := walk(300)
	border := series.Candles[299].Time.Add(time.Hour)
	s, err := feature.FitScaler(feature.Global, []*market.Series{series}, border)
	if err != nil {
		t.Fatal(err)
	}
	vectors := encode(s, series.Candles)
	for f, name := range feature.Names {
		mean, square := 0.0, 0.0
		for _, v := range vectors {
			mean += v[f] / float64(len(vectors))
			square += v[f] * v[f] / float64(len(vectors))
		}
		// The wicks of the walk are constant: centred, not scaled.
		want := 1.0
		if f == feature.UpperWick || f == feature.LowerWick {
			continue
		}
		if math.Abs(mean) > 1e-9 || math.Abs(square-want) > 1e-9 {
			t.Errorf("%s: mean %v, mean square %v, want 0 and %v", name, mean, square, want)
		}
	}
}

func TestInitialIsTheTrainingVariance(t *testing.T) {
	series := walk(50)
	s, err := feature.FitScaler(feature.EWMA, []*market.Series{series}, series.Candles[40].Time)
	if err != nil {
		t.Fatal(err)
	}
	var returns []float64
	mean := 0.0
	for i := 1; i < 40; i++ {
		r := math.Log(series.Candles[i].Close / series.Candles[i-1].Close)
		returns = append(returns, r)
		mean += r / 39
	}
	variance := 0.0
	for _, r := range returns {
		variance += (r - mean) * (r - mean) / 39
	}
	if math.Abs(s.Initial/variance-1) > 1e-9 {
		t.Errorf("Initial = %v, want %v", s.Initial, variance)
	}
}

func TestFitScalerRefuses(t *testing.T) {
	flat := walk(10)
	for i := range flat.Candles {
		flat.Candles[i] = market.Candle{Time: flat.Candles[i].Time, Open: 1, High: 1, Low: 1, Close: 1}
	}
	late := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, kind, want string
		series           []*market.Series
		before           time.Time
	}{
		{"unknown kind", "zscore", `kind "zscore"`, []*market.Series{walk(10)}, late},
		{"no series", feature.EWMA, "0 log returns", nil, late},
		{"one return", feature.EWMA, "1 log returns", []*market.Series{walk(10)}, walk(10).Candles[2].Time},
		{"no variation", feature.Global, "do not vary", []*market.Series{flat}, late},
	} {
		_, err := feature.FitScaler(c.kind, c.series, c.before)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: FitScaler = %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestValidateReportsEveryFault(t *testing.T) {
	err := feature.Scaler{Kind: "x", Lambda: 1, Floor: 0, Initial: math.NaN(), Mean: feature.Vector{math.Inf(1)}}.Validate()
	if err == nil {
		t.Fatal("Validate accepts a broken scaler")
	}
	for _, want := range []string{"kind", "lambda", "floor", "initial", "mean of log_return", "deviation of range"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, misses %q", err, want)
		}
	}
}

func TestScalerSurvivesJSON(t *testing.T) {
	for kind, want := range scalers() {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got feature.Scaler
		if err := json.Unmarshal(data, &got); err != nil || got != want || got.Validate() != nil {
			t.Errorf("%s: %s reads as %+v, %v", kind, data, got, err)
		}
	}
}

// A density of scaled returns is one of returns by Return alone, for every kind.
func TestReturnUndoesTheScaleOfTheLogReturn(t *testing.T) {
	series := walk(400)
	border := series.Candles[399].Time.Add(time.Hour)
	for _, kind := range []string{feature.EWMA, feature.HAR, feature.Global} {
		s, err := feature.FitScaler(kind, []*market.Series{series}, border)
		if err != nil {
			t.Fatal(err)
		}
		states := s.States(series)
		for i := 1; i < len(series.Candles); i++ {
			mean, unit := s.Return(states[i])
			got := mean + unit*s.Encode(states[i], series.Candles[i])[feature.LogReturn]
			// Equal but for the rounding of a division and its inverse.
			if want := math.Log(series.Candles[i].Close / series.Candles[i-1].Close); math.Abs(got-want) > 1e-12 {
				t.Fatalf("%s: candle %d: Return gives back the log return %v, want %v", kind, i, got, want)
			}
		}
	}
}

func TestLogRangeIsInDeviationsOfTheReturn(t *testing.T) {
	series := walk(400)
	still := series.Candles[200].Close
	series.Candles[200] = market.Candle{Time: series.Candles[200].Time, Open: still, High: still, Low: still, Close: still}
	border := series.Candles[399].Time.Add(time.Hour)
	for _, kind := range []string{feature.EWMA, feature.HAR, feature.Global} {
		s, err := feature.FitScaler(kind, []*market.Series{series}, border)
		if err != nil {
			t.Fatal(err)
		}
		states := s.States(series)
		for i := 1; i < len(series.Candles); i++ {
			c := series.Candles[i]
			sigma := s.Sigma(states[i])
			if kind == feature.Global {
				sigma = math.Sqrt(s.Initial) // one scale for all candles
			}
			want := math.Log(math.Log(c.High/c.Low) / sigma)
			if i == 200 {
				want = math.Log(.02)
			}
			// A logarithm of a sum that has been divided and multiplied again.
			if got := s.LogRange(s.Encode(states[i], c)); math.Abs(got-want) > 1e-9 {
				t.Fatalf("%s: candle %d: LogRange = %v, want %v", kind, i, got, want)
			}
		}
	}
}
