package forecast

import (
	"math"

	"github.com/micro-quant/mqc/dataset"
)

// NGram is a model of the next token from the one before it: an interpolation
// of bigram and unigram, both counted on training targets. It is the baseline
// that a transformer must beat before its attention is worth anything.
//
//	p(k|j) = λ·count(j,k)/count(j) + (1−λ)·(count(k)+1)/(n+V)
type NGram struct {
	V      int
	Lambda float64 // weight of the bigram; 0 makes a unigram
	uni    []float64
	bi     map[[2]int32]float64 // count(j,k)
	from   []float64            // count(j)
}

// FitUnigram counts the training targets of streams.
func FitUnigram(streams []*dataset.Stream, V int) *NGram {
	g := &NGram{V: V, uni: make([]float64, V), bi: map[[2]int32]float64{}, from: make([]float64, V)}
	n := 0.0
	for _, s := range streams {
		lo, hi := s.Bounds(dataset.Train)
		for i := max(lo, 1); i < hi; i++ {
			g.uni[s.Tokens[i]]++
			n++
			g.bi[[2]int32{s.Tokens[i-1], s.Tokens[i]}]++
			g.from[s.Tokens[i-1]]++
		}
	}
	for k := range g.uni {
		g.uni[k] = (g.uni[k] + 1) / (n + float64(V))
	}
	return g
}

// bigramWeights are the interpolation weights that FitBigram tries.
var bigramWeights = []float64{0, .01, .02, .05, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9}

// FitBigram counts on the training targets and takes the interpolation weight
// that is best on the validation part.
func FitBigram(streams []*dataset.Stream, V int) *NGram {
	g := FitUnigram(streams, V)
	best, bestNats := 0.0, math.Inf(1)
	for _, g.Lambda = range bigramWeights {
		nats := 0.0
		for _, s := range streams {
			lo, hi := s.Bounds(dataset.Val)
			for i := max(lo, 1); i < hi; i++ {
				nats -= math.Log(g.P(s.Tokens[i-1], s.Tokens[i]))
			}
		}
		if nats < bestNats {
			best, bestNats = g.Lambda, nats
		}
	}
	g.Lambda = best
	return g
}

// P is the probability of next after previous.
func (g *NGram) P(previous, next int32) float64 {
	p := g.uni[next]
	if g.Lambda == 0 {
		return p
	}
	bigram := p // after a token that training never saw
	if n := g.from[previous]; n > 0 {
		bigram = g.bi[[2]int32{previous, next}] / n
	}
	return g.Lambda*bigram + (1-g.Lambda)*p
}

// Probabilities fills probs (V) with the distribution after previous.
func (g *NGram) Probabilities(probs []float64, previous int32) {
	for k := range probs {
		probs[k] = g.P(previous, int32(k))
	}
}
