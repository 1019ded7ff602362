package checkpoint

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newCalibration() *Calibration {
	levels := func(w float64) Levels {
		return Levels{{.5, .25 - w, .75 + w}, {.9, .05 - w, .95 + w}}
	}
	return &Calibration{
		Temperature: 1.1, Score: ScoreDensity, Before: 2.1, After: 2.2, Targets: 500,
		OneStep: levels(.01), Gamma: .005,
		Paths: []HorizonLevels{{1, 100, levels(0)}, {4, 100, levels(.02)}, {9, 90, levels(.03)}},
	}
}

func calibratedRange() []Range {
	return []Range{{Part: Calibrated, Stage: "calibrate", Assets: []string{"A"}, First: date(8, 1), Last: date(8, 31)}}
}

func TestCalibrationIsKept(t *testing.T) {
	b := newBundle(t)
	b = b.WithCalibration(newCalibration(), calibratedRange())
	path := filepath.Join(t.TempDir(), "model.pt")
	if err := Save(path, b); err != nil {
		t.Fatal(err)
	}
	got, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(newCalibration(), got.Calibration); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(calibratedRange()[0], got.CalibratedOn()); diff != "" {
		t.Error(diff)
	}
	// Its dates are scored with a label.
	s := days("A", date(1, 1), 366)
	if selected, err := got.CheckHeldOut(s, 220, 221, "x"); err != nil || !selected {
		t.Errorf("a date that calibration has seen: selected %v, %v", selected, err)
	}
	none := got.WithCalibration(nil, nil)
	if none.Calibration != nil || !none.CalibratedOn().First.IsZero() || len(none.Selected) != len(newBundle(t).Selected) {
		t.Errorf("left after it was taken away: %+v", none.Selected)
	}
}

func TestUnsoundCalibrationIsRefused(t *testing.T) {
	for _, c := range []struct {
		want  string
		spoil func(b *Bundle)
	}{
		{"temperature 3", func(b *Bundle) { b.Calibration.Temperature = 3 }},
		{"temperature NaN", func(b *Bundle) { b.Calibration.Temperature = math.NaN() }},
		{`score "luck"`, func(b *Bundle) { b.Calibration.Score = "luck" }},
		{"0 targets", func(b *Bundle) { b.Calibration.Targets = 0 }},
		{"gamma 0", func(b *Bundle) { b.Calibration.Gamma = 0 }},
		{"0 intervals of the next return", func(b *Bundle) { b.Calibration.OneStep = nil }},
		{"interval of probability 1", func(b *Bundle) { b.Calibration.OneStep[1].Nominal = 1 }},
		{"quantiles 0.96 to 0.95", func(b *Bundle) { b.Calibration.OneStep[1] = Level{.9, .96, .95} }},
		{"not around that of 0.5", func(b *Bundle) { b.Calibration.OneStep[1] = Level{.9, .3, .95} }},
		{"0 horizons", func(b *Bundle) { b.Calibration.Paths = nil }},
		{"first of them 1", func(b *Bundle) { b.Calibration.Paths[0].Horizon = 2 }},
		{"horizon 4 after 4", func(b *Bundle) { b.Calibration.Paths[2].Horizon = 4 }},
		{"horizon 9: no intervals", func(b *Bundle) { b.Calibration.Paths[2].Levels = nil }},
		{"no dates", func(b *Bundle) { b.Selected = nil }},
		{"of no model", func(b *Bundle) { b.Model = nil }},
	} {
		b := newBundle(t).WithCalibration(newCalibration(), calibratedRange())
		c.spoil(b)
		if err := b.checkCalibration(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: want %q", err, c.want)
		}
	}
}

func TestLevelsInBetween(t *testing.T) {
	l := Levels{{.5, .3, .8}, {.9, .1, .96}}
	for _, c := range []struct{ nominal, lo, hi float64 }{
		{0, .55, .55},
		{.25, .425, .675},
		{.5, .3, .8},
		{.7, .2, .88},
		{.9, .1, .96},
		{.95, .05, .98},
		{1, 0, 1},
		{1.5, 0, 1},
		{-.5, .55, .55},
	} {
		if lo, hi := l.At(c.nominal); math.Abs(lo-c.lo) > 1e-12 || math.Abs(hi-c.hi) > 1e-12 {
			t.Errorf("At(%v) = %v, %v; want %v, %v", c.nominal, lo, hi, c.lo, c.hi)
		}
	}
}

func TestHorizonsInBetweenGoByTheirRoot(t *testing.T) {
	c := newCalibration()
	at := func(horizon int) float64 {
		lo, _, ok := c.PathLevels(horizon, .9)
		if !ok {
			t.Fatalf("horizon %d is not known", horizon)
		}
		return lo
	}
	for horizon, want := range map[int]float64{1: .05, 4: .03, 9: .02, 2: .05 - .02*(math.Sqrt2-1)} {
		if got := at(horizon); math.Abs(got-want) > 1e-12 {
			t.Errorf("after %d: %v, want %v", horizon, got, want)
		}
	}
	if _, _, ok := c.PathLevels(10, .9); ok {
		t.Error("a horizon beyond the last is known")
	}
	if c.MaxHorizon() != 9 {
		t.Errorf("longest horizon %d", c.MaxHorizon())
	}
}
