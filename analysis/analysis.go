// Package analysis counts what streams of tokens are made of: how often a token
// comes, what its predecessor says of it, which patterns repeat, and what is
// rare. Everything stands beside what chance alone would show.
package analysis

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/rng"
)

// Summary describes the tokens of all streams together.
type Summary struct {
	Tokens     int     `json:"tokens"`
	Assets     int     `json:"assets"`
	Vocabulary int     `json:"vocabulary"`
	Used       int     `json:"used"`       // tokens of the vocabulary that occur
	Entropy    float64 `json:"entropy"`    // of the frequencies, in nats
	Perplexity float64 `json:"perplexity"` // its exponential
	Top10      float64 `json:"top10"`      // share of the ten commonest tokens
	Repeats    float64 `json:"repeats"`    // share of tokens that equal the one before
	Order      Order   `json:"order"`
}

// Order is what a token says of the next one: their mutual information, in nats
// per token. Counted on few tokens it is far above zero even where order says
// nothing, so it is counted on shuffled streams too. A shuffle stays within its
// asset: what is left is order, not the identity of the asset.
type Order struct {
	Information float64 `json:"information"`
	Shuffled    float64 `json:"shuffled"`    // mean over the shuffles
	ShuffledDev float64 `json:"shuffled_sd"` // their standard deviation
	Shuffles    int     `json:"shuffles"`
}

// Excess is the information that shuffling takes away, in nats per token.
func (o Order) Excess() float64 { return o.Information - o.Shuffled }

// shuffles is how many shuffled copies stand beside the streams.
const shuffles = 20

// Summarize describes streams over a vocabulary. What it draws is a function of
// seed.
func Summarize(streams []*dataset.Stream, vocabulary int, seed uint64) Summary {
	counts := frequencies(streams)
	s := Summary{Assets: len(streams), Vocabulary: vocabulary, Used: len(counts)}
	var sorted []int
	for _, n := range counts {
		sorted = append(sorted, n)
		s.Tokens += n
	}
	slices.SortFunc(sorted, func(a, b int) int { return b - a })
	for i, n := range sorted {
		p := float64(n) / float64(s.Tokens)
		s.Entropy -= p * math.Log(p)
		if i < 10 {
			s.Top10 += p
		}
	}
	s.Perplexity = math.Exp(s.Entropy)
	pairs, repeats := 0, 0
	for _, stream := range streams {
		for i := 1; i < len(stream.Tokens); i++ {
			pairs++
			if stream.Tokens[i] == stream.Tokens[i-1] {
				repeats++
			}
		}
	}
	if pairs > 0 {
		s.Repeats = float64(repeats) / float64(pairs)
		s.Order = order(streams, seed)
	}
	return s
}

// order measures the mutual information of neighbours and that of shuffled
// neighbours.
func order(streams []*dataset.Stream, seed uint64) Order {
	tokens := make([][]int32, len(streams))
	for i, s := range streams {
		tokens[i] = slices.Clone(s.Tokens)
	}
	o := Order{Information: information(tokens), Shuffles: shuffles}
	var sum, squares float64
	for k := range shuffles {
		random := rng.New(seed, rng.Baseline, uint64(k))
		for _, row := range tokens {
			shuffle(row, random)
		}
		x := information(tokens)
		sum, squares = sum+x, squares+x*x
	}
	o.Shuffled = sum / shuffles
	o.ShuffledDev = math.Sqrt(max(0, squares/shuffles-o.Shuffled*o.Shuffled) * shuffles / (shuffles - 1))
	return o
}

func shuffle(row []int32, random *rand.Rand) {
	random.Shuffle(len(row), func(i, j int) { row[i], row[j] = row[j], row[i] })
}

// information is Σ p(j,k) ln( p(j,k) / (p(j)·p(k)) ) of all neighbours j, k, in
// nats.
func information(rows [][]int32) float64 {
	type pair struct{ j, k int32 }
	both, first, second, n := map[pair]int{}, map[int32]int{}, map[int32]int{}, 0
	for _, row := range rows {
		for i := 1; i < len(row); i++ {
			both[pair{row[i-1], row[i]}]++
			first[row[i-1]]++
			second[row[i]]++
			n++
		}
	}
	// Summed in one order: the last bits of a sum depend on it.
	pairs := make([]pair, 0, len(both))
	for p := range both {
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if a.j != b.j {
			return int(a.j - b.j)
		}
		return int(a.k - b.k)
	})
	sum := 0.0
	for _, p := range pairs {
		c := float64(both[p])
		sum += c / float64(n) * math.Log(c*float64(n)/(float64(first[p.j])*float64(second[p.k])))
	}
	return sum
}

// frequencies counts every token that occurs.
func frequencies(streams []*dataset.Stream) map[int32]int {
	counts := map[int32]int{}
	for _, s := range streams {
		for _, t := range s.Tokens {
			counts[t]++
		}
	}
	return counts
}
