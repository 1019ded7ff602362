package dataset

import (
	"fmt"

	"github.com/micro-quant/mqc/internal/rng"
)

// Window is a stretch of a stream: the inputs are Tokens[Start:Start+Len], and
// the target of the input at p is Tokens[p+1]. Targets with an index in
// [From, To) weigh 1, the others 0.
//
// Token 0 of a stream has no token before it and is never a target.
type Window struct {
	Stream     int // index of the stream
	Start, Len int
	From, To   int
}

// Targets returns how many targets of the window weigh 1.
func (w Window) Targets() int {
	return max(0, min(w.To, w.Start+w.Len+1)-max(w.From, w.Start+1))
}

// Count returns how many targets the windows score together.
func Count(windows []Window) int {
	n := 0
	for _, w := range windows {
		n += w.Targets()
	}
	return n
}

// TrainWindows cuts the training part of every stream into windows of at most
// T inputs that together have every training target exactly once. The cuts
// shift by a random offset per stream, and the windows come in random order;
// both are functions of key alone. The last window of a stream reaches back to
// be full; only the first, and streams shorter than T, are shorter.
func TrainWindows(streams []*Stream, T int, key uint64) []Window {
	checkLength("TrainWindows", T)
	var windows []Window
	for i, s := range streams {
		from, to := 1, s.ValFrom
		first := 1 + rng.New(key, rng.Shuffle, 1, uint64(i)).IntN(T) // targets in the first window
		for a, b := from, from+first; a < to; a, b = b, b+T {
			b = min(b, to)
			windows = append(windows, ending(i, a, b, T))
		}
	}
	Shuffle(windows, key)
	return windows
}

// EvalWindows cuts a part into windows of at most T inputs that score every
// target of the part exactly once, each after at least T/2 tokens of context,
// or after all there are where the stream has fewer. The context may lie in an
// earlier part. [Count] tells how many targets that is.
func EvalWindows(streams []*Stream, part Part, T int) []Window {
	checkLength("EvalWindows", T)
	advance := max(1, T/2)
	var windows []Window
	for i, s := range streams {
		from, to := s.Bounds(part)
		for a := max(from, 1); a < to; {
			// A window that starts at token 0 has all the history there
			// is for every one of its T targets.
			b := min(max(a+advance, T+1), to)
			windows = append(windows, ending(i, a, b, T))
			a = b
		}
	}
	return windows
}

// ending is the window of at most T inputs that scores targets [a, b) last and
// fills the room before them with context.
func ending(stream, a, b, T int) Window {
	start := max(0, b-1-T)
	return Window{Stream: stream, Start: start, Len: b - 1 - start, From: a, To: b}
}

// HorizonWindows returns a window for every trajectory of horizon targets that
// lies in the part as a whole: the first begins at the first target of the
// part plus offset, the next ones stride later. The context before it, which
// may lie in an earlier part, has context tokens, fewer only at the start of
// an asset, and at least one. A window has at most context+horizon−1 inputs;
// From is the first target of the horizon.
func HorizonWindows(streams []*Stream, part Part, context, horizon, stride, offset int) []Window {
	if context < 1 || horizon < 1 || stride < 1 || offset < 0 {
		panic(fmt.Sprintf("dataset: HorizonWindows: context %d, horizon %d, stride %d, offset %d", context, horizon, stride, offset))
	}
	var windows []Window
	for i, s := range streams {
		from, to := s.Bounds(part)
		for a := max(from, 1) + offset; a+horizon <= to; a += stride {
			start := max(0, a-context)
			windows = append(windows, Window{Stream: i, Start: start, Len: a + horizon - 1 - start, From: a, To: a + horizon})
		}
	}
	return windows
}

// Shuffle orders the windows at random, as a function of key and their number.
func Shuffle(windows []Window, key uint64) {
	rng.New(key, rng.Shuffle, 0).Shuffle(len(windows), func(i, j int) {
		windows[i], windows[j] = windows[j], windows[i]
	})
}

func checkLength(who string, T int) {
	if T < 1 {
		panic(fmt.Sprintf("dataset: %s: length %d", who, T))
	}
}
