package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/dataset"
)

// ErrFitted says that something would be scored on what it was, or may have
// been, fitted on.
var ErrFitted = errors.New("a score would not be that of a forecast")

// CheckHeldOut looks at the targets [from,to) of a stream. It refuses them
// with [ErrFitted] if any part of b was fitted on one of them, and reports
// whether early stopping or calibration has seen one. hash is that of all
// streams, which tells bare token files apart.
func (b *Bundle) CheckHeldOut(s *dataset.Stream, from, to int, hash string) (selected bool, err error) {
	for _, r := range b.Fit {
		if r.Unbounded() {
			return false, fmt.Errorf("checkpoint: what the %s of stage %q saw is not known, and nothing shows that %s was not in it: %w", r.Part, r.Stage, s.Asset, ErrFitted)
		}
		if s.Times != nil && r.Hash != "" {
			return false, fmt.Errorf("checkpoint: the %s of stage %q saw a token file without dates, and nothing shows that %s was not in it: %w", r.Part, r.Stage, s.Asset, ErrFitted)
		}
		if i := r.first(s, from, to, hash); i >= 0 {
			place := fmt.Sprintf("token %d", i)
			if s.Times != nil {
				place = s.Times[i].Format("2006-01-02")
			}
			return false, fmt.Errorf("checkpoint: %s at %s lies in what the %s of stage %q saw (%s): %w", s.Asset, place, r.Part, r.Stage, r.span(), ErrFitted)
		}
	}
	if s.Times == nil && !b.knows(hash) {
		return false, fmt.Errorf("checkpoint: a bare token file that is not the one trained on has no dates, and nothing shows that it was held out: %w", ErrFitted)
	}
	for _, r := range b.Selected {
		if r.first(s, from, to, hash) >= 0 {
			selected = true
		}
	}
	return selected, nil
}

// Sight says what a bundle has seen of a candle at a time. A range is nil where there
// is none.
type Sight struct {
	Time     time.Time
	Fit      *Range // something of the bundle was fitted on it
	Unknown  *Range // something was fitted on what has no dates: nothing shows that it was not this
	Selected *Range // early stopping or calibration saw it
}

// Saw looks a candle at time t up in what b was fitted and selected on.
func (b *Bundle) Saw(t time.Time) Sight {
	s := Sight{Time: t}
	for i, r := range b.Fit {
		switch {
		case s.Fit == nil && r.Contains(t):
			s.Fit = &b.Fit[i]
		case s.Unknown == nil && r.First.IsZero():
			s.Unknown = &b.Fit[i]
		}
	}
	for i, r := range b.Selected {
		if s.Selected == nil && r.Contains(t) {
			s.Selected = &b.Selected[i]
		}
	}
	return s
}

// MayBeFitted reports whether b was, or may have been, fitted on the candle.
func (s Sight) MayBeFitted() bool { return s.Fit != nil || s.Unknown != nil }

// Warning says, after the name of a model, why a forecast of the candle is less than
// one. It is empty where it is one.
func (s Sight) Warning() string {
	switch day := s.Time.Format(time.DateOnly); {
	case s.Fit != nil:
		return fmt.Sprintf("was fitted on candles until %s: this forecast of %s knows what came", s.Fit.Last.Format(time.DateOnly), day)
	case s.Unknown != nil && s.Unknown.Unbounded():
		return "was fitted on what is not known: it may know what came"
	case s.Unknown != nil:
		return "was fitted on tokens without dates: it may know what came"
	case s.Selected != nil:
		return fmt.Sprintf("was selected or calibrated on candles until %s, %s among them", s.Selected.Last.Format(time.DateOnly), day)
	}
	return ""
}

// Knows reports whether the weights were fitted on candles of an asset.
func (b *Bundle) Knows(asset string) bool {
	for _, r := range b.Fit {
		if r.Part == Weights && slices.Contains(r.Assets, asset) {
			return true
		}
	}
	return false
}

// LastFit is what the last stage fitted the weights on; nil where there is none.
func (b *Bundle) LastFit() *Range {
	for i := len(b.Fit) - 1; i >= 0; i-- {
		if b.Fit[i].Part == Weights {
			return &b.Fit[i]
		}
	}
	return nil
}

// first returns the first of the targets [from,to) that lies in r, or −1.
func (r Range) first(s *dataset.Stream, from, to int, hash string) int {
	for i := from; i < to; i++ {
		if s.Times == nil {
			if r.Hash == hash && slices.Contains(r.Assets, s.Asset) && i >= r.FromIndex && i < r.ToIndex {
				return i
			}
			continue
		}
		if r.Contains(s.Times[i]) {
			return i
		}
	}
	return -1
}

// Seen returns what of a part of streams a part of a bundle has seen: one range
// of dates for all assets together, and one range of indices for every stream
// without dates.
func Seen(part, stage string, streams []*dataset.Stream, p dataset.Part) (ranges []Range) {
	dated := Range{Part: part, Stage: stage}
	for _, s := range streams {
		lo, hi := s.Bounds(p)
		if lo >= hi {
			continue
		}
		if s.Times == nil {
			ranges = append(ranges, Range{
				Part: part, Stage: stage, Assets: []string{s.Asset},
				Hash: dataset.Hash(streams), FromIndex: lo, ToIndex: hi,
			})
			continue
		}
		dated.Assets = append(dated.Assets, s.Asset)
		if first := s.Times[lo]; dated.First.IsZero() || first.Before(dated.First) {
			dated.First = first
		}
		if last := s.Times[hi-1]; last.After(dated.Last) {
			dated.Last = last
		}
	}
	if len(dated.Assets) > 0 {
		ranges = append(ranges, dated)
	}
	return ranges
}

func (r Range) span() string {
	if r.First.IsZero() {
		return fmt.Sprintf("tokens %d to %d", r.FromIndex, r.ToIndex-1)
	}
	return r.First.Format("2006-01-02") + " to " + r.Last.Format("2006-01-02")
}

// knows reports whether a bare token file with this hash was trained on.
func (b *Bundle) knows(hash string) bool {
	for _, r := range b.Fit {
		if r.Hash == hash {
			return true
		}
	}
	return false
}
