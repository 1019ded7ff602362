package checkpoint

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/dataset"
)

// days is a stream of one token a day.
func days(asset string, from time.Time, n int) *dataset.Stream {
	s := &dataset.Stream{Asset: asset, Tokens: make([]int32, n)}
	for i := range n {
		s.Times = append(s.Times, from.AddDate(0, 0, i))
	}
	return s
}

func TestHeldOutGoesByDates(t *testing.T) {
	b := &Bundle{
		Fit:      []Range{{Part: Weights, Stage: "pretrain", Assets: []string{"A"}, First: date(3, 1), Last: date(3, 31)}},
		Selected: []Range{{Part: Weights, Stage: "pretrain", Assets: []string{"A"}, First: date(4, 1), Last: date(4, 30)}},
	}
	index := func(d time.Time) int { return int(d.Sub(date(1, 1)).Hours() / 24) }
	for _, c := range []struct {
		name              string
		from, to          time.Time // to is not scored
		refused, selected bool
	}{
		{"long before", date(1, 1), date(2, 1), false, false},
		{"up to the day before", date(2, 1), date(3, 1), false, false},
		{"up to the first day", date(2, 1), date(3, 2), true, false},
		{"inside", date(3, 10), date(3, 11), true, false},
		{"the last day", date(3, 31), date(4, 1), true, false},
		{"around", date(1, 1), date(12, 1), true, false},
		{"the day after", date(4, 1), date(4, 2), false, true},
		{"the last selected day", date(4, 30), date(5, 1), false, true},
		{"after all", date(5, 1), date(6, 1), false, false},
		{"nothing", date(3, 10), date(3, 10), false, false},
	} {
		// B was not fitted on, but its dates were: markets move together.
		for _, asset := range []string{"A", "B"} {
			s := days(asset, date(1, 1), 366)
			selected, err := b.CheckHeldOut(s, index(c.from), index(c.to), "x")
			if errors.Is(err, ErrFitted) != c.refused || (err == nil) == c.refused || selected != c.selected {
				t.Errorf("%s, %s: selected %v, %v; want selected %v, refused %v", asset, c.name, selected, err, c.selected, c.refused)
			}
			if err != nil && !strings.Contains(err.Error(), asset) {
				t.Errorf("%v does not name %s", err, asset)
			}
		}
	}
}

func TestHeldOutGoesByIndexInABareTokenFile(t *testing.T) {
	bare := &dataset.Stream{Asset: "tokens", Tokens: make([]int32, 100), ValFrom: 80, TestFrom: 100}
	other := &dataset.Stream{Asset: "tokens", Tokens: slices.Repeat([]int32{1}, 100), ValFrom: 80, TestFrom: 100}
	hash, otherHash := dataset.Hash([]*dataset.Stream{bare}), dataset.Hash([]*dataset.Stream{other})
	b := &Bundle{
		Fit:      []Range{{Part: Weights, Stage: "pretrain", Assets: []string{"tokens"}, Hash: hash, FromIndex: 0, ToIndex: 80}},
		Selected: []Range{{Part: Weights, Stage: "pretrain", Assets: []string{"tokens"}, Hash: hash, FromIndex: 80, ToIndex: 90}},
	}
	for _, c := range []struct {
		name              string
		s                 *dataset.Stream
		hash              string
		from, to          int
		refused, selected bool
	}{
		{"trained on", bare, hash, 70, 75, true, false},
		{"the last training token", bare, hash, 79, 100, true, false},
		{"selected", bare, hash, 80, 100, false, true},
		{"not selected", bare, hash, 90, 100, false, false},
		{"another file", other, otherHash, 80, 100, true, false}, // nothing shows what it is
		{"dated candles", days("A", date(1, 1), 100), "x", 80, 100, true, false},
	} {
		selected, err := b.CheckHeldOut(c.s, c.from, c.to, c.hash)
		if errors.Is(err, ErrFitted) != c.refused || (err == nil) == c.refused || selected != c.selected {
			t.Errorf("%s: selected %v, %v; want selected %v, refused %v", c.name, selected, err, c.selected, c.refused)
		}
	}

	dated := &Bundle{Fit: []Range{{Part: Weights, First: date(1, 1), Last: date(2, 1)}}}
	if _, err := dated.CheckHeldOut(bare, 80, 100, hash); !errors.Is(err, ErrFitted) {
		t.Errorf("a bare token file after training on dates: %v, want ErrFitted", err)
	}
}

func TestSawGoesByDatesAndDoubts(t *testing.T) {
	fit := Range{Part: Weights, Stage: "pretrain", First: date(3, 1), Last: date(3, 31)}
	imported, bare := Range{Part: Weights, Stage: "import"}, Range{Part: Weights, Stage: "pretrain", Hash: "x", ToIndex: 9}
	selected := Range{Part: Weights, Stage: "pretrain", First: date(3, 20), Last: date(4, 30)}
	for _, c := range []struct {
		fit     []Range
		at      time.Time
		may     bool // have been fitted on it
		chosen  bool
		warning string
	}{
		{[]Range{fit}, date(2, 28), false, false, ""},
		{[]Range{fit}, date(3, 1), true, false, "fitted on candles until 2020-03-31"},
		{[]Range{fit}, date(3, 25), true, true, "of 2020-03-25 knows what came"},
		{[]Range{fit}, date(4, 1), false, true, "selected or calibrated on candles until 2020-04-30"},
		{[]Range{fit}, date(5, 1), false, false, ""},
		{[]Range{imported}, date(5, 1), true, false, "on what is not known"},
		{[]Range{bare}, date(4, 1), true, true, "on tokens without dates"},
		{[]Range{imported, fit}, date(3, 1), true, false, "fitted on candles until"}, // what is certain is said
	} {
		b := &Bundle{Fit: c.fit, Selected: []Range{selected}}
		s := b.Saw(c.at)
		if s.MayBeFitted() != c.may || (s.Selected != nil) != c.chosen || !strings.Contains(s.Warning(), c.warning) || (s.Warning() == "") != (c.warning == "") {
			t.Errorf("%+v saw %v: %+v, %q, want %q", c.fit, c.at, s, s.Warning(), c.warning)
		}
	}
}
