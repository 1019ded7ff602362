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

// mixtureWeights are the interpolation weights that are tried on validation.
var mixtureWeights = []float64{0, .01, .02, .05, .1, .15, .2, .3, .4, .5, .6, .7, .8, .9}

// bestWeight returns the interpolation weight with the least sum of −ln p over
// the validation targets of streams.
func bestWeight(streams []*dataset.Stream, p func(weight float64, stream, index int) float64) float64 {
	best, bestNats := 0.0, math.Inf(1)
	for _, w := range mixtureWeights {
		nats := 0.0
		for s, stream := range streams {
			lo, hi := stream.Bounds(dataset.Val)
			for i := max(lo, 1); i < hi; i++ {
				nats -= math.Log(p(w, s, i))
			}
		}
		if nats < bestNats {
			best, bestNats = w, nats
		}
	}
	return best
}

// FitBigram counts on the training targets and takes the interpolation weight
// that is best on the validation part.
func FitBigram(streams []*dataset.Stream, V int) *NGram {
	g := FitUnigram(streams, V)
	g.Lambda = bestWeight(streams, func(w float64, s, i int) float64 {
		g.Lambda = w
		return g.P(streams[s].Tokens[i-1], streams[s].Tokens[i])
	})
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

// AssetUnigram knows how often each asset has each token, and nothing else: an
// interpolation of the asset's own counts and those of all assets. A model over
// many assets must beat it before it has used a single candle of context.
//
//	p(k|asset) = λ·count(asset,k)/count(asset) + (1−λ)·p(k)
type AssetUnigram struct {
	Lambda float64
	all    *NGram
	own    [][]float64 // (streams, V) relative frequencies
}

// FitAssetUnigram counts on the training targets of each stream and takes the
// interpolation weight that is best on the validation part. A stream without
// training targets has the distribution of all.
func FitAssetUnigram(streams []*dataset.Stream, V int) *AssetUnigram {
	g := &AssetUnigram{all: FitUnigram(streams, V)}
	for _, s := range streams {
		own := make([]float64, V)
		lo, hi := s.Bounds(dataset.Train)
		for i := max(lo, 1); i < hi; i++ {
			own[s.Tokens[i]] += 1 / float64(hi-max(lo, 1))
		}
		if s.Unseen() {
			copy(own, g.all.uni)
		}
		g.own = append(g.own, own)
	}
	g.Lambda = bestWeight(streams, func(w float64, s, i int) float64 {
		g.Lambda = w
		return g.P(s, streams[s].Tokens[i])
	})
	return g
}

// P is the probability of a token of a stream.
func (g *AssetUnigram) P(stream int, token int32) float64 {
	return g.Lambda*g.own[stream][token] + (1-g.Lambda)*g.all.uni[token]
}

// Probabilities fills probs (V) with the distribution of a stream.
func (g *AssetUnigram) Probabilities(probs []float64, stream int) {
	for k := range probs {
		probs[k] = g.P(stream, int32(k))
	}
}
