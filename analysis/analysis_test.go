package analysis

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/rng"
)

func stream(asset string, tokens ...int32) *dataset.Stream {
	return &dataset.Stream{Asset: asset, Tokens: tokens}
}

func TestSummaryOfKnownCounts(t *testing.T) {
	s := Summarize([]*dataset.Stream{stream("A", 0, 0, 1, 1), stream("B", 2, 2, 3, 3)}, 8, 1)
	if s.Tokens != 8 || s.Assets != 2 || s.Used != 4 || s.Vocabulary != 8 || s.Top10 != 1 {
		t.Errorf("counts %+v", s)
	}
	if got, want := s.Entropy, math.Log(4); math.Abs(got-want) > 1e-12 {
		t.Errorf("entropy %v, want %v", got, want)
	}
	// Pairs do not cross assets: 00 01 11, 22 23 33.
	if got, want := s.Repeats, 4.0/6; math.Abs(got-want) > 1e-12 {
		t.Errorf("repeats %v, want %v", got, want)
	}
}

// alternating is 0 1 0 1 …: the next token is known from the one before.
func alternating(n int) *dataset.Stream {
	s := stream("A")
	for i := range n {
		s.Tokens = append(s.Tokens, int32(i%2))
	}
	return s
}

func TestOrderIsFoundAndNotInvented(t *testing.T) {
	o := Summarize([]*dataset.Stream{alternating(1001)}, 2, 1).Order
	// 1000 pairs, half 01 and half 10: ln 2 nats.
	if math.Abs(o.Information-math.Ln2) > 1e-12 {
		t.Errorf("information of an alternating stream %v, want ln 2", o.Information)
	}
	if o.Shuffled > .01 {
		t.Errorf("information of its shuffles %v, want about 0", o.Shuffled)
	}

	// Independent tokens of two assets with nothing in common: all that
	// neighbours share is their asset, which the shuffles share too.
	random := rng.New(1, rng.Market)
	a, b := stream("A"), stream("B")
	for range 2000 {
		a.Tokens, b.Tokens = append(a.Tokens, random.Int32N(8)), append(b.Tokens, 8+random.Int32N(8))
	}
	o = Summarize([]*dataset.Stream{a, b}, 16, 1).Order
	if o.Information < math.Ln2 {
		t.Errorf("information %v, want at least the ln 2 of the asset", o.Information)
	}
	if z := o.Excess() / o.ShuffledDev; math.Abs(z) > 4 {
		t.Errorf("excess of independent tokens is %.1f standard deviations", z)
	}
}

func TestSummaryIsAFunctionOfTheSeed(t *testing.T) {
	s := []*dataset.Stream{alternating(100)}
	if diff := cmp.Diff(Summarize(s, 2, 7), Summarize(s, 2, 7)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(s[0].Tokens, alternating(100).Tokens); diff != "" {
		t.Errorf("the stream was changed: %s", diff)
	}
}

func TestShortStreams(t *testing.T) {
	for _, streams := range [][]*dataset.Stream{{stream("A")}, {stream("A", 3)}} {
		s := Summarize(streams, 4, 1)
		if s.Repeats != 0 || s.Order != (Order{}) || math.IsNaN(s.Entropy) {
			t.Errorf("%v: %+v", streams[0].Tokens, s)
		}
		if p := Patterns(streams, 2); len(p) != 0 {
			t.Errorf("%v: patterns %v", streams[0].Tokens, p)
		}
		if r := RareTokens(streams, .5); len(r) != 0 {
			t.Errorf("%v: rare %v", streams[0].Tokens, r)
		}
	}
}

func TestPatternsStayWithinAnAsset(t *testing.T) {
	got := Patterns([]*dataset.Stream{stream("A", 1, 2, 9, 1, 2), stream("B", 3, 1, 2, 3)}, 2)
	// 12 comes three times; 23 and 31 once, and "2 3" across the border never.
	if len(got) != 1 {
		t.Fatalf("patterns %+v, want 1 2 alone", got)
	}
	want := 4*.4*.4 + 3*.25*.25
	if p := got[0]; cmp.Diff(p.Tokens, []int32{1, 2}) != "" || p.Count != 3 || math.Abs(p.Expected-want) > 1e-12 {
		t.Errorf("pattern %+v, want 1 2 three times, %.4f expected", p, want)
	}
	// P(X ≥ 3) = 1 − e^−λ(1+λ+λ²/2), times the five different pairs.
	if p, want := got[0].P, 5*(1-math.Exp(-want)*(1+want+want*want/2)); math.Abs(p-want) > 1e-12 {
		t.Errorf("p %v, want %v", p, want)
	}
}

func TestPlantedPatternComesFirst(t *testing.T) {
	random := rng.New(2, rng.Market)
	s := stream("A")
	for i := range 4000 {
		if i%40 == 0 {
			s.Tokens = append(s.Tokens, 5, 9, 13)
		}
		s.Tokens = append(s.Tokens, random.Int32N(16))
	}
	got := Patterns([]*dataset.Stream{s}, 3)
	if p := got[0]; cmp.Diff(p.Tokens, []int32{5, 9, 13}) != "" || p.P > 1e-6 {
		t.Errorf("first pattern %+v, want 5 9 13", p)
	}
	// Others may pass only as a part of it: x 5 9 and 9 13 x.
	for _, p := range got[1:] {
		part := p.Tokens[1] == 5 && p.Tokens[2] == 9 || p.Tokens[0] == 9 && p.Tokens[1] == 13
		if p.P < .001 && !part {
			t.Errorf("pattern %+v passes, want none that was not planted", p)
		}
	}
}

func TestRareTokensFillTheirShare(t *testing.T) {
	day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &dataset.Stream{Asset: "A"}
	for i := range 100 {
		token := int32(0)
		switch i {
		case 10:
			token = 1
		case 20, 30:
			token = 2
		case 40, 50, 60:
			token = 3
		}
		s.Tokens, s.Times = append(s.Tokens, token), append(s.Times, day.AddDate(0, 0, i))
	}
	want := []Rare{
		{1, 1, .01, []Place{{"A", 10, day.AddDate(0, 0, 10)}}},
		{2, 2, .02, []Place{{"A", 20, day.AddDate(0, 0, 20)}, {"A", 30, day.AddDate(0, 0, 30)}}},
	}
	if diff := cmp.Diff(want, RareTokens([]*dataset.Stream{s}, .05)); diff != "" {
		t.Error(diff)
	}
}
