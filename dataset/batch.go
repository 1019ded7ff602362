package dataset

import "fmt"

// Batch is what a model trains on or is scored on.
//
//	Inputs    (B, T)      tokens
//	Targets   (B, T)      the token after each input
//	Weights   (B, T)      1 where the target counts, else 0
//	Cond      (B, T, K)   K small integers per position, added as embeddings; nil: none
//	Features  (B, T, F)   F floats per position, projected and added; nil: none
//	Returns   (B, T)      scaled log return of each target; nil for bare tokens
//	Shared    (B, T)      where windows are trees: the row sees the first rows of its
//	Own       (B, T)      window, Shared of them, and those from Own on; nil: all before it
type Batch struct {
	B, T     int
	Inputs   []int32
	Targets  []int32
	Weights  []float32
	Cond     []int32
	Features []float32
	Returns  []float32
	Shared   []int32
	Own      []int32
}

// Gather lays the windows side by side. A window shorter than T is filled up
// at its end with token 0 and weight 0, which no earlier position sees. It
// panics where a window is longer than T or does not lie in its stream.
func Gather(streams []*Stream, windows []Window, T int) Batch {
	b := Batch{
		B: len(windows), T: T,
		Inputs:  make([]int32, len(windows)*T),
		Targets: make([]int32, len(windows)*T),
		Weights: make([]float32, len(windows)*T),
	}
	K, F := 0, 0
	if len(windows) > 0 {
		s := streams[windows[0].Stream]
		K, F = len(s.Cond)/max(1, len(s.Tokens)), len(s.Features)/max(1, len(s.Tokens))
	}
	if K > 0 {
		b.Cond = make([]int32, b.B*T*K)
	}
	if F > 0 {
		b.Features = make([]float32, b.B*T*F)
	}
	if len(windows) > 0 && streams[windows[0].Stream].Returns != nil {
		b.Returns = make([]float32, b.B*T)
	}
	for i, w := range windows {
		s := streams[w.Stream]
		tokens := s.Tokens
		if w.Len > T || w.Len < 0 || w.Start < 0 || w.Start+w.Len >= len(tokens) {
			panic(fmt.Sprintf("dataset: gather: window %+v, T %d, stream of %d tokens", w, T, len(tokens)))
		}
		row := i * T
		copy(b.Inputs[row:row+w.Len], tokens[w.Start:])
		copy(b.Targets[row:row+w.Len], tokens[w.Start+1:])
		if b.Returns != nil {
			copy(b.Returns[row:row+w.Len], s.Returns[w.Start+1:])
		}
		copy(b.Cond[row*K:(row+w.Len)*K], s.Cond[w.Start*K:])
		copy(b.Features[row*F:(row+w.Len)*F], s.Features[w.Start*F:])
		for t := range w.Len {
			if target := w.Start + t + 1; target >= w.From && target < w.To {
				b.Weights[row+t] = 1
			}
		}
	}
	return b
}
