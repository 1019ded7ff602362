package checkpoint

import (
	"errors"
	"fmt"
	"slices"

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

// Knows reports whether the weights were fitted on candles of an asset.
func (b *Bundle) Knows(asset string) bool {
	for _, r := range b.Fit {
		if r.Part == Weights && slices.Contains(r.Assets, asset) {
			return true
		}
	}
	return false
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
