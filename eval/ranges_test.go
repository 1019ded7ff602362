package eval

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/train"
)

var rangeOptions = Options{Baselines: []string{"unconditional t", nameGARCH}}

// contested is a contest of a model of random weights, a copy of it with others,
// and the market that they belong to.
func contested(t *testing.T, kind string) (*Contest, []Named, []*market.Series) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 700
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	b, streams := prepare(t, kind, m.Series, dataset.Split{})
	trained(b, streams)
	var models []Named
	for seed, name := range []string{"first", "second"} {
		own := *b
		shape := gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}
		if err := train.NewModel(&own, m.Series, shape, uint64(seed+1)); err != nil {
			t.Fatal(err)
		}
		for i := range own.Model.Params {
			own.Model.Params[i] += float32((i+seed)%7-3) * .05
		}
		models = append(models, Named{name, &own})
	}
	c, err := NewContest(t.Context(), models, m.Series, dataset.Val, rangeOptions)
	if err != nil {
		t.Fatal(err)
	}
	return c, models, m.Series
}

func TestRangesScoreTheDensityOfTheLogarithm(t *testing.T) {
	for _, kind := range []string{feature.EWMA, feature.Global} {
		c, models, _ := contested(t, kind)
		table, err := c.Ranges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range table.Rows {
			names = append(names, r.Name)
			if len(r.Coverage) != 4 || !(r.CRPS > 0) || !(r.KS > 0 && r.KS < 1) {
				t.Errorf("%s: row %+v", kind, r)
			}
			for _, g := range r.Gains {
				if g.Over == r.Name || g.Test.N != table.Dates {
					t.Errorf("%s: %s over %s on %d of %d dates", kind, r.Name, g.Over, g.Test.N, table.Dates)
				}
			}
		}
		want := []string{"unconditional t", "EWMA .94 t", nameGARCH, forecast.NamePooledHAR, "token unigram", "first", "second", "ensemble of 2"}
		if !slices.Equal(names, want) {
			t.Fatalf("%s: rows %q, want %q", kind, names, want)
		}
		if !slices.Contains(want[:4], table.Best) || table.Floored != 0 || table.Targets != len(c.targets) {
			t.Errorf("%s: best %q, %v floored, %d targets", kind, table.Best, table.Floored, table.Targets)
		}

		// By hand: Σ_k p(k)·mass[k, cell]·t(y)/t(cell), which is a density in ln
		// units, of every target; and the mean over models.
		b := models[0].Bundle
		codec, err := b.Codec()
		if err != nil {
			t.Fatal(err)
		}
		sums := make([]float64, 3)
		for _, w := range dataset.EvalWindows(c.streams, dataset.Val, 16) {
			s := c.streams[w.Stream]
			for i := w.From; i < w.To; i++ {
				prefix := *s
				prefix.Tokens = s.Tokens[w.Start:i]
				both := 0.0
				for n, m := range models {
					probs, err := predict.NextTokens(m.Bundle.Runner(), &prefix)
					if err != nil {
						t.Fatal(err)
					}
					sigma := codec.Scaler.Sigma(s.States[i])
					if kind == feature.Global {
						sigma = math.Sqrt(codec.Scaler.Initial)
					}
					y := math.Log(math.Log(s.Candles[i].High/s.Candles[i].Low) / sigma)
					cells := codec.Ranges.Cells()
					j, p := cells.Index(y), 0.0
					for k, q := range probs {
						p += q * codec.Ranges.Mass(k, j)
					}
					p *= math.Exp(cells.T.LogPDF(y)) / cells.Mass(j)
					both += p / 2
					sums[n] += math.Log(p)
				}
				sums[2] += math.Log(both)
			}
		}
		for n, r := range table.Rows[5:] {
			// 1e-4: probabilities are kept as float32.
			if want := sums[n] / float64(table.Targets); math.Abs(r.LogScore-want) > 1e-4 {
				t.Errorf("%s: %s scores %v, want %v", kind, r.Name, r.LogScore, want)
			}
		}
	}
}

// With other candles from a validation date on, no law of that candle or of one
// before it moves.
func TestRangesDoNotKnowLaterCandles(t *testing.T) {
	c, models, series := contested(t, feature.HAR)
	lo, hi := c.streams[0].Bounds(dataset.Val)
	from := (lo + hi) / 2 // token; its candle is one further in the series
	var other []*market.Series
	for _, s := range series {
		other = append(other, otherFuture(s, from+1))
	}
	changed, err := NewContest(t.Context(), models, other, dataset.Val, rangeOptions)
	if err != nil {
		t.Fatal(err)
	}
	laws := func(c *Contest) []law {
		x, _ := c.logRanges()
		baselines, err := c.rangeBaselines(x)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Concat(baselines, c.ranges)
	}
	before, after := laws(c), laws(changed)
	if len(before) != 8 || len(after) != 8 {
		t.Fatalf("%d and %d laws, want 8", len(before), len(after))
	}
	for n, l := range before {
		at := func(l law, stream, index int) float64 { return l.at(stream, index).LogPDF(-4) }
		later := false
		for _, to := range c.targets {
			same := at(l, to.stream, to.index) == at(after[n], to.stream, to.index)
			if to.index <= from && !same {
				t.Fatalf("%s: the law of candle %d changes with candles from %d on", l.name, to.index, from)
			}
			later = later || !same
		}
		if later != (l.name != "unconditional t") {
			t.Errorf("%s: laws after the change differ: %v", l.name, later)
		}
	}
}

func TestModelsWithoutRangesAreLeftOut(t *testing.T) {
	_, models, series := contested(t, feature.EWMA)
	mixture, old := *models[0].Bundle, *models[0].Bundle
	mixtureModel(t, &mixture, series)
	old.Ranges = nil
	ranges := func(models ...Named) (*RangeTable, error) {
		c, err := NewContest(t.Context(), models, series, dataset.Val, rangeOptions)
		if err != nil {
			t.Fatal(err)
		}
		return c.Ranges(t.Context())
	}
	table, err := ranges(Named{"mixture", &mixture}, models[0], Named{"old", &old}, models[1])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range table.Rows[5:] {
		names = append(names, r.Name)
	}
	if want := []string{"first", "second", "ensemble of 2"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	if !strings.Contains(table.Note, "mixture: ") || !strings.Contains(table.Note, "old: ") {
		t.Errorf("note %q", table.Note)
	}
	direct, err := ranges(models...)
	if err != nil {
		t.Fatal(err)
	}
	// 1e-5: a mixture of densities, and a density of mixed float32 cells.
	if got, want := table.Rows[7].LogScore, direct.Rows[7].LogScore; math.Abs(got-want) > 1e-5 {
		t.Errorf("mean of two beside others scores %v, alone %v", got, want)
	}
	if _, err := ranges(Named{"mixture", &mixture}); !errors.Is(err, gpt.ErrNoLogits) {
		t.Errorf("a mixture alone: %v, want ErrNoLogits", err)
	}
	if _, err := ranges(Named{"old", &old}); !errors.Is(err, predict.ErrNoRanges) || !strings.Contains(err.Error(), "old") {
		t.Errorf("an older file alone: %v, want ErrNoRanges", err)
	}
}

// A candle without a range counts as one of .02 of the scale, for all rows.
func TestCandlesWithoutARangeAreCounted(t *testing.T) {
	_, models, series := contested(t, feature.EWMA)
	c, err := NewContest(t.Context(), models[:1], series, dataset.Val, rangeOptions)
	if err != nil {
		t.Fatal(err)
	}
	at := c.targets[len(c.targets)-1]
	candle := &series[at.stream].Candles[at.index+1]
	candle.Open, candle.High, candle.Low = candle.Close, candle.Close, candle.Close
	if c, err = NewContest(t.Context(), models[:1], series, dataset.Val, rangeOptions); err != nil {
		t.Fatal(err)
	}
	table, err := c.Ranges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 / float64(table.Targets); math.Abs(table.Floored-want) > 1e-12 {
		t.Errorf("%v floored, want %v", table.Floored, want)
	}
	x, _ := c.logRanges()
	sigma := models[0].Bundle.Scaler.Sigma(c.streams[at.stream].States[at.index])
	if got, want := x[at.stream][at.index], math.Log(.02*sigma); math.Abs(got-want) > 1e-12 {
		t.Errorf("ln range %v, want %v", got, want)
	}
	for _, r := range table.Rows {
		if math.IsInf(r.LogScore, 0) || math.IsNaN(r.CRPS) {
			t.Errorf("%s scores %v and %v", r.Name, r.LogScore, r.CRPS)
		}
	}
}
