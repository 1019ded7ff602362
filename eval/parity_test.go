package eval

import (
	"errors"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/train"
)

func TestPassesAgree(t *testing.T) {
	b, series := fresh(t, feature.EWMA)
	streams, err := train.Encode(b, series)
	if err != nil {
		t.Fatal(err)
	}
	one := *streams[0] // a window of a single token
	n := len(one.Tokens)
	one.Tokens, one.Cond, one.Features = one.Tokens[:2], one.Cond[:2*len(one.Cond)/n], one.Features[:2*len(one.Features)/n]
	for _, p := range []gpt.Precision{gpt.F32, gpt.BF16} {
		b.Precision = p
		if err := CheckParity(t.Context(), b, append(streams, &one, &dataset.Stream{})); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if err := CheckParity(t.Context(), &checkpoint.Bundle{}, streams); !errors.Is(err, checkpoint.ErrNoModel) {
		t.Errorf("no model: %v, want ErrNoModel", err)
	}
}

func TestDifferencesAreFound(t *testing.T) {
	b, series := fresh(t, feature.EWMA)
	streams, err := train.Encode(b, series)
	if err != nil {
		t.Fatal(err)
	}
	other := b.Model.Clone()
	other.Params[0] += .01 // one number of the embedding of token 0
	for s := range streams {
		streams[s].Tokens[len(streams[s].Tokens)-2] = 0
	}
	good := b.Runner()
	for name, p := range map[string]parity{
		"training": {other.TrainingRunner(gpt.F32), good, good},
		"decoding": {b.Model.TrainingRunner(gpt.F32), good, other.Runner(gpt.F32)},
	} {
		err := p.check(t.Context(), streams)
		if !errors.Is(err, ErrParity) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), series[0].Symbol) {
			t.Errorf("%s with other weights: %v, want ErrParity of %s", name, err, series[0].Symbol)
		}
	}
}
