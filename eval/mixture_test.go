package eval

import (
	"errors"
	"math"
	"testing"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/train"
)

// mixtureModel gives b a model of random weights that reads candles and gives
// the density of the next return.
func mixtureModel(t testing.TB, b *checkpoint.Bundle, series []*market.Series) []*dataset.Stream {
	t.Helper()
	b.Inputs = dataset.Inputs{Candle: true, Volatility: true}
	shape := gpt.Config{
		SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000,
		Embed: gpt.None, Outputs: density.MixtureOutputs,
	}
	if err := train.NewModel(b, series, shape, 1); err != nil {
		t.Fatal(err)
	}
	r := rng.New(2)
	for i := range b.Model.Params {
		b.Model.Params[i] += float32(0.2 * r.NormFloat64())
	}
	streams, err := train.Encode(b, series)
	if err != nil {
		t.Fatal(err)
	}
	return streams
}

// The density of a log return is that of the scaled one over the unit, whatever
// the scaler takes out.
func TestMixturesAreOfTheLogReturn(t *testing.T) {
	for _, kind := range []string{feature.EWMA, feature.Global} {
		m, b, _ := world(t, kind, 300)
		streams := mixtureModel(t, b, m.Series)
		codec, err := b.Codec()
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := predict.Outputs(t.Context(), b.Runner(), streams, dataset.EvalWindows(streams, dataset.Val, 16))
		if err != nil {
			t.Fatal(err)
		}
		at := lookUpMixture(codec, streams, outputs)
		if len(outputs) == 0 {
			t.Fatal("no targets")
		}
		for _, o := range outputs {
			s := streams[o.Stream]
			state, c := s.States[o.Index], s.Candles[o.Index]
			// E.g. the EWMA kind: r = σ·z.
			r, z := math.Log(c.Close/state.PrevClose), codec.Scaler.Encode(state, c)[feature.LogReturn]
			unit := codec.Scaler.Sigma(state) * codec.Scaler.Std[feature.LogReturn]
			want := codec.Emission.Mixture().At(o.Values, 0, 1).LogPDF(z) - math.Log(unit)
			if got := at(o.Stream, o.Index).LogPDF(r); math.Abs(got-want) > 1e-9 {
				t.Fatalf("%s: candle %d of %s: log density %v, want %v", kind, o.Index, s.Asset, got, want)
			}
		}
	}
}

func TestMeanOfLawsIsTheMeanOfTheirDensities(t *testing.T) {
	a, b := density.StudentT{Mu: -.01, Scale: .02, Nu: 4}, density.StudentT{Mu: .01, Scale: .01, Nu: 6}
	constant := func(d density.Density) law {
		return law{at: func(int, int) density.Density { return d }}
	}
	mean := meanOf([]law{constant(a), constant(density.Mean(a, b))})(0, 0)
	for _, x := range []float64{-.05, 0, .02} {
		want := .75*math.Exp(a.LogPDF(x)) + .25*math.Exp(b.LogPDF(x))
		if got := math.Exp(mean.LogPDF(x)); math.Abs(got-want) > 1e-12*want {
			t.Errorf("density at %v is %v, want %v", x, got, want)
		}
	}
}

func TestTokensRefusesAModelWithoutLogits(t *testing.T) {
	m, b, _ := world(t, feature.EWMA, 300)
	streams := mixtureModel(t, b, m.Series)
	if _, err := Tokens(t.Context(), []Named{{"mixture", b}}, streams, dataset.Val, 0, nil); !errors.Is(err, gpt.ErrNoLogits) {
		t.Errorf("Tokens: %v, want ErrNoLogits", err)
	}
}
