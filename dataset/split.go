package dataset

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/micro-quant/mqc/market"
)

// Part is one of the three parts of the data.
type Part int

// The parts, in the order of time.
const (
	Train Part = iota
	Val
	Test
)

var partNames = [...]string{"train", "val", "test"}

func (p Part) String() string {
	if p < 0 || int(p) >= len(partNames) {
		return fmt.Sprintf("Part(%d)", int(p))
	}
	return partNames[p]
}

// ParsePart reads the name of a part.
func ParsePart(name string) (Part, error) {
	if i := slices.Index(partNames[:], name); i >= 0 {
		return Part(i), nil
	}
	return 0, fmt.Errorf("dataset: part %q: want train, val or test", name)
}

// Split divides all assets by the same dates: before ValFrom is training, from
// there validation, from TestFrom the test. Assets move together, so a date
// that one asset trains on is not held out for another.
type Split struct {
	ValFrom  time.Time `json:"val_from,omitzero"`
	TestFrom time.Time `json:"test_from,omitzero"`
}

// CalendarSplit takes the 80% and the 90% quantile of the dates of all candles
// of all series as borders. Without candles it is the zero Split.
func CalendarSplit(series []*market.Series) Split {
	var times []time.Time
	for _, s := range series {
		for _, c := range s.Candles {
			times = append(times, c.Time)
		}
	}
	if len(times) == 0 {
		return Split{}
	}
	slices.SortFunc(times, time.Time.Compare)
	return Split{ValFrom: times[len(times)*8/10], TestFrom: times[len(times)*9/10]}
}

// Validate reports borders that are missing or in the wrong order.
func (s Split) Validate() error {
	var faults []error
	if s.ValFrom.IsZero() {
		faults = append(faults, errors.New("dataset: split: no start of validation"))
	}
	if s.TestFrom.IsZero() {
		faults = append(faults, errors.New("dataset: split: no start of the test"))
	}
	if s.TestFrom.Before(s.ValFrom) {
		faults = append(faults, fmt.Errorf("dataset: split: the test starts %s, before validation at %s",
			s.TestFrom.Format(time.RFC3339), s.ValFrom.Format(time.RFC3339)))
	}
	return errors.Join(faults...)
}

// Part returns the part that a date belongs to.
func (s Split) Part(t time.Time) Part {
	switch {
	case t.Before(s.ValFrom):
		return Train
	case t.Before(s.TestFrom):
		return Val
	}
	return Test
}

// Apply sets the borders of a stream. A stream without times keeps its own.
func (s Split) Apply(stream *Stream) {
	if stream.Times == nil {
		return
	}
	first := func(border time.Time) int {
		return sort.Search(len(stream.Times), func(i int) bool { return !stream.Times[i].Before(border) })
	}
	stream.ValFrom = first(s.ValFrom)
	stream.TestFrom = max(first(s.TestFrom), stream.ValFrom)
}

// Bounds returns the range [from, to) of the tokens of a part.
func (s *Stream) Bounds(p Part) (from, to int) {
	switch p {
	case Train:
		return 0, s.ValFrom
	case Val:
		return s.ValFrom, s.TestFrom
	case Test:
		return s.TestFrom, len(s.Tokens)
	}
	panic(fmt.Sprintf("dataset: bounds of %v", p))
}

// Unseen says that an asset has no training target, so that a model has learnt
// nothing from it.
func (s *Stream) Unseen() bool { return s.ValFrom < 2 }
