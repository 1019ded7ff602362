package forecast

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/internal/rng"
)

// logRanges are n numbers with a memory, around a level.
func logRanges(n int, level float64, seed uint64) []float64 {
	r := rng.New(seed)
	x, slow := make([]float64, n), 0.0
	for t := range x {
		slow = .95*slow + .15*r.NormFloat64()
		x[t] = level + slow + .4*r.NormFloat64()
	}
	return x
}

// rangeSamples are two long assets and a short one.
func rangeSamples() []RangeSample {
	samples := []RangeSample{
		{Asset: "A", LogRanges: logRanges(800, -4, 1), Train: 600},
		{Asset: "B", LogRanges: logRanges(700, -3, 2), Train: 500},
		{Asset: "C", LogRanges: logRanges(300, -3.5, 3), Train: 150},
	}
	for i := range samples {
		for t, x := range samples[i].LogRanges {
			samples[i].Sigma = append(samples[i].Sigma, math.Exp(x/2-2+.1*math.Sin(float64(t))))
		}
	}
	return samples
}

func fitRanges(t *testing.T, samples []RangeSample) map[string][][]density.StudentT {
	t.Helper()
	list, err := FitRanges(samples)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string][][]density.StudentT{}
	for _, b := range list {
		at[b.Name] = b.At
	}
	return at
}

// The locations of the pooled HAR solve the normal equations over all assets, set
// up here from the past of every candle.
func TestPooledHAROfRangesIsLeastSquares(t *testing.T) {
	samples := rangeSamples()
	regressors := func(x []float64, t int) [4]float64 {
		row := [4]float64{1, x[t-1]}
		for k := 1; k <= 22; k++ {
			if k <= 5 {
				row[2] += x[t-k] / 5
			}
			row[3] += x[t-k] / 22
		}
		return row
	}
	var A [4][4]float64
	var b [4]float64
	for _, s := range samples {
		for t := burnIn; t < s.Train; t++ {
			row := regressors(s.LogRanges, t)
			for i := range row {
				for j := range row {
					A[i][j] += row[i] * row[j]
				}
				b[i] += row[i] * s.LogRanges[t]
			}
		}
	}
	want := solve(A, b)
	predict := func(s RangeSample, t int) (m float64) {
		for i, x := range regressors(s.LogRanges, t) {
			m += want[i] * x
		}
		return m
	}
	var residuals []float64
	for _, s := range samples {
		for t := burnIn; t < s.Train; t++ {
			residuals = append(residuals, s.LogRanges[t]-predict(s, t))
		}
	}
	law, err := density.FitStudentT(residuals)
	if err != nil {
		t.Fatal(err)
	}
	at := fitRanges(t, samples)[NamePooledHAR]
	for i, s := range samples {
		for _, k := range []int{burnIn, s.Train - 1, s.Train, len(s.LogRanges) - 1} {
			got, want := at[i][k], density.StudentT{Mu: predict(s, k) + law.Mu, Scale: law.Scale, Nu: law.Nu}
			// 1e-4: the search for the law ends where the likelihood is flat.
			if math.Abs(got.Mu-want.Mu) > 1e-4 || math.Abs(got.Scale/want.Scale-1) > 1e-4 {
				t.Errorf("%s: law of candle %d is %+v, want %+v", s.Asset, k, got, want)
			}
		}
	}
}

func TestLawsOfRangesDoNotKnowLaterCandles(t *testing.T) {
	samples := rangeSamples()
	before := fitRanges(t, samples)
	const from = 620 // in the held-out part of both long assets
	changed := rangeSamples()
	for i := range changed {
		for k := from; k < len(changed[i].LogRanges); k++ {
			changed[i].LogRanges[k] += 1
			if k > from { // that of candle from was known before it
				changed[i].Sigma[k] *= 2
			}
		}
	}
	after := fitRanges(t, changed)
	if len(before) != 4 {
		t.Fatalf("%d baselines, want 4", len(before))
	}
	for name, at := range before {
		for i := range samples {
			upTo := min(from+1, len(at[i]))
			if !slices.Equal(at[i][:upTo], after[name][i][:upTo]) {
				t.Errorf("%s: laws of %s up to candle %d change with the candles from it on", name, samples[i].Asset, from)
			}
		}
		if constant := name == "unconditional t"; slices.Equal(at[0], after[name][0]) != constant {
			t.Errorf("%s: laws are the same whatever came: %v", name, !constant)
		}
	}
}

func TestEWMAOfRangesIsAWeightedMean(t *testing.T) {
	x := []float64{1, 3, 2}
	want := []float64{-7, 1, (.94*1 + 3) / 1.94}
	if got := rangeEWMA(x, -7); !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }) {
		t.Errorf("rangeEWMA = %v, want %v", got, want)
	}
}

func TestShortHistoriesHaveTheRangesOfAll(t *testing.T) {
	samples := rangeSamples()
	at := fitRanges(t, samples)["unconditional t"]
	var all []float64
	for _, s := range samples {
		all = append(all, s.LogRanges[burnIn:s.Train]...)
	}
	want, err := density.FitStudentT(all)
	if err != nil {
		t.Fatal(err)
	}
	if at[2][0] != want || at[2][299] != want {
		t.Errorf("law of the short asset %+v, want that of all, %+v", at[2][0], want)
	}
	if own, err := density.FitStudentT(samples[0].LogRanges[burnIn:600]); err != nil || at[0][0] != own {
		t.Errorf("law of a long asset %+v, want its own, %+v (%v)", at[0][0], own, err)
	}

	for i := range samples {
		samples[i].Train = 70
	}
	if _, err := FitRanges(samples); !errors.Is(err, ErrFewReturns) {
		t.Errorf("from 210 candles: %v, want ErrFewReturns", err)
	}
	samples = rangeSamples()
	samples[1].Sigma = nil
	if _, ok := fitRanges(t, samples)["GARCH-t"]; ok {
		t.Error("a law by GARCH's σ, which is not known for all")
	}
}

// Nearly all candles alike must not make the likelihood grow for ever.
func TestRangesThatAreMostlyTheSame(t *testing.T) {
	samples := rangeSamples()
	for i := range samples {
		for k := range samples[i].LogRanges {
			if k%8 != 0 {
				samples[i].LogRanges[k] = -8
			}
		}
	}
	for name, at := range fitRanges(t, samples) {
		if d := at[0][700]; !(d.Scale >= leastRangeScale) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
