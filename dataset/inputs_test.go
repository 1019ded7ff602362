package dataset_test

import (
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
)

// What goes in with a token is its own candle, scaled, before what is known of
// the volatility after it.
func TestCandleInputsAreTheNewestCandle(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 100, 2)
	codec := newCodec(t, feature.EWMA, series)
	codec.Inputs = dataset.Inputs{Candle: true, Volatility: true}
	F := codec.Inputs.Features()
	if want := feature.Size + 1 + feature.StateFeatures; F != want || !(dataset.Inputs{Candle: true}).Any() {
		t.Fatalf("%d features, want %d", F, want)
	}
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Features) != F*len(s.Tokens) {
		t.Fatalf("%d features for %d tokens, want %d each", len(s.Features), len(s.Tokens), F)
	}
	for i, c := range s.Candles {
		v := codec.Scaler.Encode(s.States[i], c)
		row := s.Features[i*F : (i+1)*F]
		for f, x := range v {
			if got := float64(row[f]); math.Abs(math.Sinh(got)-x) > 1e-5*(1+math.Abs(x)) {
				t.Fatalf("feature %d with token %d is %v, want asinh of %v", f, i, got, x)
			}
		}
		if got, want := math.Exp(float64(row[feature.Size])), .05+math.Abs(v[feature.LogReturn]); math.Abs(got-want) > 1e-5*want {
			t.Fatalf("the last candle feature with token %d is ln %v, want ln %v", i, got, want)
		}
		if want := codec.Scaler.Features(nil, s.States[i+1]); !slices.Equal(row[feature.CandleFeatures:], want) {
			t.Fatalf("volatility with token %d is %v, want %v", i, row[feature.CandleFeatures:], want)
		}
		if s.Returns[i] != float32(v[feature.LogReturn]) {
			t.Fatalf("return %d is %v, want %v", i, s.Returns[i], v[feature.LogReturn])
		}
	}
}

func TestInputsAndReturnsDoNotKnowLaterCandles(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 100, 2)
	codec := newCodec(t, feature.EWMA, series)
	codec.Inputs = dataset.Inputs{Candle: true, Volatility: true, Calendar: true, Assets: []string{"SYN-01"}}
	before, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	const changed = 60 // index of a candle, token 59
	c := &series.Candles[changed]
	c.Close, c.High = c.Close*1.1, c.High*1.2
	after, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	n, F, K := changed-1, codec.Inputs.Features(), len(codec.Inputs.Cond())
	if !slices.Equal(before.Features[:n*F], after.Features[:n*F]) || !slices.Equal(before.Cond[:n*K], after.Cond[:n*K]) || !slices.Equal(before.Returns[:n], after.Returns[:n]) {
		t.Error("inputs or returns before a candle changed with it")
	}
	if slices.Equal(before.Features[n*F:(n+1)*F], after.Features[n*F:(n+1)*F]) || before.Returns[n] == after.Returns[n] {
		t.Error("inputs and return of a candle did not change with it")
	}
}

func TestGatherBringsTheReturnOfEveryTarget(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 40, 2)
	s, err := newCodec(t, feature.EWMA, series).Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	streams := []*dataset.Stream{s}
	windows := []dataset.Window{{Start: 3, Len: 8, From: 4, To: 12}, {Start: 20, Len: 5, From: 21, To: 26}}
	b := dataset.Gather(streams, windows, 8)
	for i, w := range windows {
		for p := range b.T {
			want := float32(0) // padding
			if p < w.Len {
				want = s.Returns[w.Start+p+1]
			}
			if got := b.Returns[i*b.T+p]; got != want {
				t.Errorf("window %d, target %d has the return %v, want %v", i, p, got, want)
			}
		}
	}
	s.Returns = nil
	if b := dataset.Gather(streams, windows, 8); b.Returns != nil {
		t.Errorf("bare tokens have the returns %v", b.Returns)
	}
}
