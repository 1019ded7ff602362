package train

import (
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

func TestPrepareKnowsRangesWhereThereAreAny(t *testing.T) {
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 300
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	codes := tokenizer.DefaultVQ()
	codes.Codes = 16
	prepared := func() *checkpoint.Bundle {
		b, err := Prepare(t.Context(), m.Series, Preparation{Scaler: feature.EWMA, Kind: tokenizer.KindQuantile, VQ: codes})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	fitted := func(b *checkpoint.Bundle) []checkpoint.Range {
		var found []checkpoint.Range
		for _, r := range b.Fit {
			if r.Part == checkpoint.Ranges {
				found = append(found, r)
			}
		}
		return found
	}
	b := prepared()
	if b.Ranges == nil || b.Ranges.Codes() != 16 || len(fitted(b)) != 1 {
		t.Fatalf("ranges %v, fitted on %v", b.Ranges != nil, fitted(b))
	}
	if r := fitted(b)[0]; !r.Last.Before(b.Split.ValFrom) || len(r.Assets) != 2 {
		t.Errorf("fitted on %+v, validation begins %s", r, b.Split.ValFrom)
	}
	// The law of all is about that of the training candles: no other numbers.
	vectors, err := Vectors(*b.Scaler, m.Series, b.Split, dataset.Train)
	if err != nil {
		t.Fatal(err)
	}
	y := b.Scaler.LogRanges(vectors)
	slices.Sort(y)
	if mu := b.Ranges.Cells().T.Mu; math.Abs(mu-y[len(y)/2]) > .1 {
		t.Errorf("ranges around %v, their median is %v", mu, y[len(y)/2])
	}

	// Files of closes.
	for _, s := range m.Series {
		for i := range s.Candles {
			c := &s.Candles[i]
			c.Open, c.High, c.Low = c.Close, c.Close, c.Close
		}
	}
	if b := prepared(); b.Ranges != nil || len(fitted(b)) != 0 {
		t.Errorf("without highs and lows: ranges %v, fitted on %v", b.Ranges != nil, fitted(b))
	}
}
