package forecast

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
	"github.com/micro-quant/mqc/train"
)

// lively is small with larger weights, so that its logits have something to
// divide, over a series long enough to calibrate on.
func lively(t testing.TB) (*checkpoint.Bundle, *market.Series, []*dataset.Stream) {
	t.Helper()
	b, series := small(t)
	r := rng.New(3)
	for i := range b.Model.Params {
		b.Model.Params[i] += float32(.3 * r.NormFloat64())
	}
	c := series.Candles
	b.Split = dataset.Split{ValFrom: c[len(c)*8/10].Time, TestFrom: c[len(c)*95/100].Time}
	streams, err := train.Encode(b, []*market.Series{series})
	if err != nil {
		t.Fatal(err)
	}
	return b, series, streams
}

func fewPaths() CalibrationOptions {
	return CalibrationOptions{Horizon: 5, Origins: 40, Samples: 39, Seed: 1}
}

func TestCalibrationUndoesATemperature(t *testing.T) {
	b, _, streams := lively(t)
	calibrated := func(tempered float64) *checkpoint.Calibration {
		hot := *b
		hot.Model = b.Model.Tempered(tempered)
		out, err := Calibrate(t.Context(), &hot, streams, fewPaths())
		if err != nil {
			t.Fatal(err)
		}
		return out.Calibration
	}
	plain := calibrated(1)
	if plain.Score != checkpoint.ScoreDensity || plain.Temperature <= checkpoint.MinTemperature || plain.Temperature >= checkpoint.MaxTemperature {
		t.Fatalf("by %s, temperature %v: the model of the test should be between the bounds", plain.Score, plain.Temperature)
	}
	if plain.After < plain.Before {
		t.Errorf("score %v at temperature %v, %v before", plain.After, plain.Temperature, plain.Before)
	}
	hot := calibrated(1.25)
	if got, want := 1.25*hot.Temperature, plain.Temperature; math.Abs(got/want-1) > 1e-3 {
		t.Errorf("temperature %v of logits divided by 1.25, %v of the logits themselves", hot.Temperature, plain.Temperature)
	}
	if math.Abs(hot.After-plain.After) > 1e-6 {
		t.Errorf("scores %v and %v at the best temperature", hot.After, plain.After)
	}
}

func TestCalibratedLevelsHoldOnValidation(t *testing.T) {
	b, _, streams := lively(t)
	b, err := Calibrate(t.Context(), b, streams, fewPaths())
	if err != nil {
		t.Fatal(err)
	}
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	laws, err := predict.Laws(t.Context(), b.Runner(), codec, streams, dataset.EvalWindows(streams, dataset.Val, b.Model.SeqLen), b.Calibration.Temperature)
	if err != nil {
		t.Fatal(err)
	}
	u := transforms(codec, streams, laws)
	if len(u) != b.Calibration.Targets {
		t.Fatalf("%d transforms of %d targets", len(u), b.Calibration.Targets)
	}
	for _, nominal := range NominalLevels {
		lo, hi := b.Calibration.OneStep.At(nominal)
		inside := 0.
		for _, v := range u {
			if v >= lo && v <= hi {
				inside++
			}
		}
		// Of n+1 places that one more outcome may take, at least the nominal share
		// is inside, and hardly more.
		n := float64(len(u))
		if share := inside / n; share < nominal-1/n || share > nominal+4/n {
			t.Errorf("the interval of %v holds %v of %v outcomes", nominal, share, n)
		}
	}
	var horizons []int
	for _, p := range b.Calibration.Paths {
		horizons = append(horizons, p.Horizon)
	}
	if !slices.Equal(horizons, []int{1, 5}) {
		t.Errorf("horizons %v", horizons)
	}
	on := b.CalibratedOn()
	s := streams[0]
	lo, hi := s.Bounds(dataset.Val)
	if !on.First.Equal(s.Times[lo]) || !on.Last.Equal(s.Times[hi-1]) {
		t.Errorf("calibrated on %v to %v, validation is %v to %v", on.First, on.Last, s.Times[lo], s.Times[hi-1])
	}

	again, err := Calibrate(t.Context(), b, streams, fewPaths())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.Calibration, again.Calibration); diff != "" {
		t.Error(diff)
	}
	if len(again.Selected) != len(b.Selected) {
		t.Errorf("%d ranges after two calibrations, %d after one", len(again.Selected), len(b.Selected))
	}
}

func TestCalibrationRefuses(t *testing.T) {
	b, series, streams := lively(t)
	for _, c := range []struct {
		name string
		want error
		do   func() error
	}{
		{"a short validation", score.ErrTooFew, func() error {
			short := *b
			c := series.Candles
			short.Split = dataset.Split{ValFrom: c[len(c)-30].Time, TestFrom: c[len(c)-20].Time}
			streams, err := train.Encode(&short, []*market.Series{series})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Calibrate(t.Context(), &short, streams, fewPaths())
			return err
		}},
		{"what it was fitted on", checkpoint.ErrFitted, func() error {
			fitted := *b
			fitted.Fit = checkpoint.Seen(checkpoint.Weights, "pretrain", streams, dataset.Val)
			_, err := Calibrate(t.Context(), &fitted, streams, fewPaths())
			return err
		}},
		{"no model", checkpoint.ErrNoModel, func() error {
			none := *b
			none.Model = nil
			_, err := Calibrate(t.Context(), &none, streams, fewPaths())
			return err
		}},
	} {
		if err := c.do(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, o := range []CalibrationOptions{{Horizon: 0, Origins: 40, Samples: 2}, {Horizon: 1, Origins: 5, Samples: 2}, {Horizon: 1, Origins: 40}} {
		if o.Validate() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestRankQuantileInvertsTheRank(t *testing.T) {
	draws := []float64{1, 2, 4, 8, 16}
	for k, x := range draws {
		if got := rankQuantile(draws, float64(k+1)/6); math.Abs(got-x) > 1e-9 {
			t.Errorf("quantile %d/6 is %v, want %v", k+1, got, x)
		}
	}
	if got := rankQuantile(draws, .01); got != 1 {
		t.Errorf("beyond the draws: %v", got)
	}
	if got := rankQuantile([]float64{3}, .9); got != 3 {
		t.Errorf("of one draw: %v", got)
	}
}

func TestForecastCarriesCalibratedIntervals(t *testing.T) {
	b, series, streams := lively(t)
	b, err := Calibrate(t.Context(), b, streams, fewPaths())
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(t.Context(), b, series, options())
	if err != nil {
		t.Fatal(err)
	}
	steps := f.Steps([]float64{.5})
	f.Calibrate(steps, b.Calibration)
	for h, s := range steps {
		if known := h < 5; known != (len(s.Intervals) == len(NominalLevels)) {
			t.Fatalf("step %d has %d intervals", s.Step, len(s.Intervals))
		}
		for i, v := range s.Intervals {
			if !(v.Lo < v.Hi) || i > 0 && (v.Lo > s.Intervals[i-1].Lo || v.Hi < s.Intervals[i-1].Hi) {
				t.Errorf("step %d: %+v", s.Step, s.Intervals)
			}
		}
	}
	next, err := nextOf(t, b, series)
	if err != nil {
		t.Fatal(err)
	}
	lo, hi := streams[0].Bounds(dataset.Val)
	_, end := streams[0].Bounds(dataset.Test)
	if want := end - hi + hi - lo; next.Outcomes != want || !(next.Lo < f.LastClose) || !(float64(next.Hi) > f.LastClose) {
		t.Errorf("%+v around %v, want %d outcomes", next, f.LastClose, want)
	}
	if next, err := nextOf(t, b.WithCalibration(nil, nil), series); next != nil || err != nil {
		t.Errorf("without calibration: %v, %v", next, err)
	}
}

func nextOf(t *testing.T, b *checkpoint.Bundle, series *market.Series) (*Next, error) {
	t.Helper()
	m, err := NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	at, err := m.At(series)
	if err != nil {
		t.Fatal(err)
	}
	return at.Next(t.Context())
}

// An interval that begins far too narrow learns: of a drifting forecast the
// adaptive interval misses as often as it should in the long run.
func TestAdaptiveIntervalLearns(t *testing.T) {
	levels := checkpoint.Levels{{Nominal: .5, Lo: .25, Hi: .75}, {Nominal: .9, Lo: .05, Hi: .95}}
	a := NewAdaptive(levels, .02)
	r := rng.New(1)
	fixed, misses, n := 0., 0., 4000
	for range n {
		u := r.Float64()
		if r.Float64() < .5 {
			u = math.Round(u) + (.5-math.Round(u))*.04*r.Float64() // the forecast is too narrow
		}
		if u < .05 || u > .95 {
			fixed++
		}
		if a.Update(u) {
			misses++
		}
	}
	if share := fixed / float64(n); share < .3 {
		t.Fatalf("the fixed interval misses %v: nothing to learn", share)
	}
	if share := misses / float64(n); math.Abs(share-.1) > .02 {
		t.Errorf("the adaptive interval misses %v", share)
	}
}
