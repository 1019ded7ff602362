package forecast

import (
	"slices"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/rng"
)

// KneserNey is a model of the next token from the two before it: trigrams,
// interpolated with bigrams and unigrams by absolute discounting. The lower
// orders are not counts of tokens: they count the different tokens that came
// before (Kneser & Ney 1995; interpolated as in Chen & Goodman 1999, eq. 14).
//
//	p(w|h) = max(c(h,w) − D, 0)/c(h) + D·|{w: c(h,w) > 0}|/c(h) · p(w|h without its oldest token)
//
// with 1/V below the unigram and D = n1/(n1+2·n2) of each order, where n1 and n2
// say how many n-grams were counted once and twice (Ney, Essen & Kneser 1994).
// After a history that training never saw, the lower order is the law.
//
// Since lower orders count different predecessors, they are nearly uniform once
// every pair of tokens has been seen: the model is made for vocabularies that
// are large for the data.
type KneserNey struct {
	V         int
	Discounts [3]float64 // of unigrams, bigrams, trigrams

	history  [][]int32 // by stream: what stands before a token
	unigram  *continuations
	bigrams  map[int32]*continuations
	trigrams map[[2]int32]*continuations
}

// continuations are the counts of what follows a history.
type continuations struct {
	counts map[int32]float64
	total  float64
}

// boundary stands before the first token of a stream.
const boundary = int32(-1)

// FitKneserNey counts the training targets of streams. A history never crosses
// a stream; before its first token stands a boundary.
func FitKneserNey(streams []*dataset.Stream, V int) *KneserNey {
	history := make([][]int32, len(streams))
	for i, s := range streams {
		history[i] = s.Tokens
	}
	return fitKneserNey(streams, history, V)
}

// FitShuffledKneserNey is a control: the model of [FitKneserNey], fitted and
// scored with histories from another order of the same tokens, permuted within
// each part of each stream. There is nothing to learn from them, so that a gain
// over the unigram is an error of the evaluation.
func FitShuffledKneserNey(streams []*dataset.Stream, V int, seed uint64) *KneserNey {
	history := make([][]int32, len(streams))
	for i, s := range streams {
		history[i] = slices.Clone(s.Tokens)
		for _, part := range []dataset.Part{dataset.Train, dataset.Val, dataset.Test} {
			lo, hi := s.Bounds(part)
			rng.New(seed, rng.Baseline, uint64(i), uint64(part)).Shuffle(hi-lo, func(a, b int) {
				h := history[i][lo:hi]
				h[a], h[b] = h[b], h[a]
			})
		}
	}
	return fitKneserNey(streams, history, V)
}

func fitKneserNey(streams []*dataset.Stream, history [][]int32, V int) *KneserNey {
	g := &KneserNey{
		V: V, history: history,
		unigram:  &continuations{counts: map[int32]float64{}},
		bigrams:  map[int32]*continuations{},
		trigrams: map[[2]int32]*continuations{},
	}
	for s, stream := range streams {
		lo, hi := stream.Bounds(dataset.Train)
		for i := max(lo, 1); i < hi; i++ {
			older, old := g.before(s, i)
			// A new trigram is a new predecessor of its bigram, and a new
			// bigram one of its unigram.
			if w := stream.Tokens[i]; add(g.trigrams, [2]int32{older, old}, w) && add(g.bigrams, old, w) {
				g.unigram.add(w)
			}
		}
	}
	g.Discounts = [3]float64{
		discount(map[int]*continuations{0: g.unigram}),
		discount(g.bigrams),
		discount(g.trigrams),
	}
	return g
}

// before returns the two tokens before a target with index ≥ 1.
func (g *KneserNey) before(stream, index int) (older, old int32) {
	older = boundary
	if index >= 2 {
		older = g.history[stream][index-2]
	}
	return older, g.history[stream][index-1]
}

// add counts w after a history and says whether it was the first.
func add[H comparable](m map[H]*continuations, history H, w int32) bool {
	c := m[history]
	if c == nil {
		c = &continuations{counts: map[int32]float64{}}
		m[history] = c
	}
	return c.add(w)
}

func (c *continuations) add(w int32) bool {
	c.counts[w]++
	c.total++
	return c.counts[w] == 1
}

// discount is n1/(n1+2·n2). Where nothing was counted once, n1 is taken as 1,
// so that what was never seen keeps a probability.
func discount[H comparable](m map[H]*continuations) float64 {
	n1, n2 := 0.0, 0.0
	for _, c := range m {
		for _, n := range c.counts {
			switch n {
			case 1:
				n1++
			case 2:
				n2++
			}
		}
	}
	n1 = max(n1, 1)
	return n1 / (n1 + 2*n2)
}

// Probabilities fills probs (V) with the distribution of token index ≥ 1 of a
// stream given those before it.
func (g *KneserNey) Probabilities(probs []float64, stream, index int) {
	for k := range probs {
		probs[k] = 1 / float64(g.V)
	}
	older, old := g.before(stream, index)
	for order, c := range []*continuations{g.unigram, g.bigrams[old], g.trigrams[[2]int32{older, old}]} {
		if c == nil || c.total == 0 {
			continue
		}
		D := g.Discounts[order]
		kept := D * float64(len(c.counts)) / c.total
		for k := range probs {
			probs[k] *= kept
		}
		for w, n := range c.counts {
			probs[w] += max(n-D, 0) / c.total
		}
	}
}
