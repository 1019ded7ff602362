package dataset_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/dataset"
)

// drawStreams draws streams whose tokens say where they are: 1000·stream + index.
func drawStreams(t *rapid.T) []*dataset.Stream {
	streams := make([]*dataset.Stream, rapid.IntRange(1, 4).Draw(t, "streams"))
	for i := range streams {
		n := rapid.IntRange(0, 120).Draw(t, "tokens")
		s := &dataset.Stream{Tokens: make([]int32, n)}
		s.ValFrom = rapid.IntRange(0, n).Draw(t, "val from")
		s.TestFrom = rapid.IntRange(s.ValFrom, n).Draw(t, "test from")
		for j := range s.Tokens {
			s.Tokens[j] = int32(1000*i + j)
		}
		streams[i] = s
	}
	return streams
}

var parts = []dataset.Part{dataset.Train, dataset.Val, dataset.Test}

// wanted lists the tokens that are targets of a part: all but token 0.
func wanted(streams []*dataset.Stream, part dataset.Part) []int32 {
	var want []int32
	for _, s := range streams {
		from, to := s.Bounds(part)
		if from = max(from, 1); from < to {
			want = append(want, s.Tokens[from:to]...)
		}
	}
	slices.Sort(want)
	return want
}

// scored lists the targets of weight 1 in the gathered batch, and checks what
// holds for every batch: a target follows its input, nothing crosses a stream,
// and what fills up a row has weight 0.
func scored(t *rapid.T, streams []*dataset.Stream, windows []dataset.Window, T int) []int32 {
	var got []int32
	b := dataset.Gather(streams, windows, T)
	if b.B != len(windows) || b.T != T || len(b.Inputs) != b.B*T || len(b.Targets) != b.B*T || len(b.Weights) != b.B*T {
		t.Fatalf("Gather gives B %d, T %d and %d inputs for %d windows of %d", b.B, b.T, len(b.Inputs), len(windows), T)
	}
	for i, w := range windows {
		for p := range T {
			r := i*T + p
			switch b.Weights[r] {
			case 1:
				if p >= w.Len {
					t.Fatalf("window %+v: position %d is padding and has weight", w, p)
				}
				got = append(got, b.Targets[r])
			case 0:
			default:
				t.Fatalf("weight %v", b.Weights[r])
			}
			if p < w.Len && (b.Targets[r] != b.Inputs[r]+1 || int(b.Inputs[r])/1000 != w.Stream) {
				t.Fatalf("window %+v: target %d after input %d", w, b.Targets[r], b.Inputs[r])
			}
			if p >= w.Len && (b.Inputs[r] != 0 || b.Targets[r] != 0) {
				t.Fatalf("window %+v: padding holds %d, %d", w, b.Inputs[r], b.Targets[r])
			}
		}
	}
	slices.Sort(got)
	return got
}

func TestTrainWindowsHaveEveryTargetOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		streams := drawStreams(t)
		T := rapid.IntRange(1, 40).Draw(t, "T")
		windows := dataset.TrainWindows(streams, T, rapid.Uint64().Draw(t, "key"))
		want := wanted(streams, dataset.Train)
		if got := scored(t, streams, windows, T); !slices.Equal(got, want) {
			t.Fatalf("targets %v, want %v", got, want)
		}
		if got := dataset.Count(windows); got != len(want) {
			t.Fatalf("Count = %d, want %d", got, len(want))
		}
		for _, w := range windows {
			// No input and no target may come from the border on.
			if last := w.Start + w.Len; last >= streams[w.Stream].ValFrom {
				t.Fatalf("window %+v reaches token %d over the border %d", w, last, streams[w.Stream].ValFrom)
			}
		}
	})
}

func TestTrainWindowsAreAFunctionOfTheKey(t *testing.T) {
	s := &dataset.Stream{Tokens: make([]int32, 1000), ValFrom: 900, TestFrom: 950}
	streams := []*dataset.Stream{s, s}
	a, again, b := dataset.TrainWindows(streams, 16, 1), dataset.TrainWindows(streams, 16, 1), dataset.TrainWindows(streams, 16, 2)
	if d := cmp.Diff(a, again); d != "" {
		t.Errorf("the same key gives other windows:\n%s", d)
	}
	if cmp.Equal(a, b) {
		t.Error("another key gives the same windows")
	}
	starts := map[int]bool{}
	for key := range uint64(200) {
		for _, w := range dataset.TrainWindows(streams[:1], 16, key) {
			if w.From == 1 {
				starts[w.To] = true
			}
		}
	}
	if len(starts) != 16 {
		t.Errorf("200 keys cut at %d different places, want all 16", len(starts))
	}
	if slices.IsSortedFunc(a, func(x, y dataset.Window) int { return x.From - y.From }) {
		t.Error("the windows are not shuffled")
	}
}

func TestEvalWindowsScoreEveryTargetOnceWithContext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		streams := drawStreams(t)
		T := rapid.IntRange(1, 40).Draw(t, "T")
		part := rapid.SampledFrom(parts).Draw(t, "part")
		windows := dataset.EvalWindows(streams, part, T)
		want := wanted(streams, part)
		if got := scored(t, streams, windows, T); !slices.Equal(got, want) {
			t.Fatalf("targets %v, want %v", got, want)
		}
		if got := dataset.Count(windows); got != len(want) {
			t.Fatalf("Count = %d, want %d", got, len(want))
		}
		for _, w := range windows {
			for target := w.From; target < w.To; target++ {
				// Half a window, or all that there is.
				if context := target - w.Start; context < min((T+1)/2, target) {
					t.Fatalf("T %d, window %+v: target %d has %d tokens of context", T, w, target, context)
				}
			}
		}
	})
}

func TestHorizonWindowsLieInThePart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		streams := drawStreams(t)
		context := rapid.IntRange(1, 20).Draw(t, "context")
		horizon := rapid.IntRange(1, 10).Draw(t, "horizon")
		stride := rapid.IntRange(1, 12).Draw(t, "stride")
		offset := rapid.IntRange(0, 12).Draw(t, "offset")
		part := rapid.SampledFrom(parts).Draw(t, "part")
		windows := dataset.HorizonWindows(streams, part, context, horizon, stride, offset)
		scored(t, streams, windows, context+horizon-1)

		next := make([]int, len(streams))
		for i, s := range streams {
			from, _ := s.Bounds(part)
			next[i] = max(from, 1) + offset
		}
		for _, w := range windows {
			from, to := streams[w.Stream].Bounds(part)
			switch {
			case w.From != next[w.Stream]:
				t.Fatalf("window %+v: want the trajectory from %d", w, next[w.Stream])
			case w.To-w.From != horizon || w.Targets() != horizon:
				t.Fatalf("window %+v scores %d targets, want %d", w, w.Targets(), horizon)
			case w.From < from || w.To > to:
				t.Fatalf("window %+v leaves its part %d…%d", w, from, to)
			case w.From-w.Start != min(context, w.From):
				t.Fatalf("window %+v has %d tokens of context, want %d", w, w.From-w.Start, min(context, w.From))
			}
			next[w.Stream] += stride
		}
		for i, s := range streams { // and none is missing
			if _, to := s.Bounds(part); next[i]+horizon <= to {
				t.Fatalf("no window for the trajectory from %d of stream %d, part to %d", next[i], i, to)
			}
		}
	})
}

func TestGatherPanicsOutsideOfTheStream(t *testing.T) {
	streams := []*dataset.Stream{{Tokens: make([]int32, 10)}}
	for _, w := range []dataset.Window{
		{Start: 0, Len: 10},         // no target after the last input
		{Start: -1, Len: 3},         //
		{Start: 0, Len: 9, From: 1}, // longer than T
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Gather(%+v) does not panic", w)
				}
			}()
			dataset.Gather(streams, []dataset.Window{w}, 8)
		}()
	}
}
