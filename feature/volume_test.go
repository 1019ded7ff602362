package feature_test

import (
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// volumes are what a model is told after each of the candles with volumes xs.
func volumes(xs []float64) (out [][]float32) {
	s := feature.Scaler{Kind: feature.EWMA, Lambda: feature.DefaultLambda, Floor: feature.DefaultFloor, Initial: 1e-4, Std: feature.Vector{1, 1, 1, 1, 1}}
	series := &market.Series{}
	for _, x := range xs {
		series.Candles = append(series.Candles, market.Candle{Open: 100, High: 101, Low: 99, Close: 100, Volume: x})
	}
	for _, state := range s.States(series)[1:] {
		out = append(out, state.Volume([]float32{9})[1:])
	}
	return out
}

func TestVolumeIsRelativeToThoseBefore(t *testing.T) {
	var xs []float64
	for i := range 60 {
		xs = append(xs, 1000+float64(i*i%70))
	}
	xs = append(xs, 5000, 1e9, 1e-9)
	mean := 0.0
	for i, got := range volumes(xs) {
		want := []float32{0, 0}
		if i >= 20 {
			want = []float32{float32(min(max(math.Log(xs[i]/mean), -3), 3)), 1}
		}
		if len(got) != feature.VolumeFeatures || math.Abs(float64(got[0]-want[0])) > 1e-6 || got[1] != want[1] {
			t.Errorf("after candle %d: %v, want %v", i, got, want)
		}
		if weight := 1 / float64(i+1); weight > .06 {
			mean = (1-weight)*mean + weight*xs[i]
		} else {
			mean = .94*mean + .06*xs[i]
		}
	}
}

func TestVolumeHasNoUnit(t *testing.T) {
	var xs, thousands []float64
	for i := range 200 {
		x := math.Exp(math.Sin(float64(i)))
		xs, thousands = append(xs, x), append(thousands, 1000*x)
	}
	a, b := volumes(xs), volumes(thousands)
	for i := range a {
		if math.Abs(float64(a[i][0]-b[i][0])) > 1e-6 || a[i][1] != b[i][1] {
			t.Errorf("after candle %d: %v, in thousands %v", i, a[i], b[i])
		}
	}
}

// What is not known is said to be unknown, and leaves the average as it is.
func TestUnknownVolume(t *testing.T) {
	var xs []float64
	for range 30 {
		xs = append(xs, 500)
	}
	for _, none := range []float64{math.NaN(), 0, math.Inf(1), -1} {
		got := volumes(append(slices.Clone(xs), none, none, 1000))[30:]
		for i, row := range got[:2] {
			if !slices.Equal(row, []float32{0, 0}) {
				t.Errorf("volume %v, candle %d: %v, want unknown", none, i, row)
			}
		}
		if want := []float32{math.Ln2, 1}; !slices.Equal(got[2], want) {
			t.Errorf("after volumes %v: %v, want %v", none, got[2], want)
		}
	}
	for i, row := range volumes(make([]float64, 100)) {
		if !slices.Equal(row, []float32{0, 0}) {
			t.Fatalf("a series without volumes, candle %d: %v", i, row)
		}
	}
}
