package tokenizer

import (
	"math"
	"slices"

	"github.com/micro-quant/mqc/feature"
)

// Stats measures a tokenizer on a set of candles.
type Stats struct {
	Candles    int     `json:"candles"`
	Codes      int     `json:"codes"`
	Used       int     `json:"used"`       // codes that occur
	Dead       float64 `json:"dead"`       // share of codes that do not
	Perplexity float64 `json:"perplexity"` // exp of the entropy of the tokens, in codes
	Top10      float64 `json:"top10"`      // share of candles with one of the ten commonest codes
	Stable     float64 `json:"stable"`     // share of codes with Encode(Decode(k)) = k

	// MSE is the mean squared reconstruction error of each feature in units
	// of its variance over the same candles: the part of the variance that
	// the token loses. MeanMSE is the mean over the features.
	MSE     feature.Vector `json:"mse"`
	MeanMSE float64        `json:"mean_mse"`
}

// Measure encodes and decodes the vectors. Without vectors all is zero but
// Codes and Stable.
func Measure(tok Tokenizer, vectors []feature.Vector) Stats {
	s := Stats{Candles: len(vectors), Codes: tok.Codes()}
	for k := range s.Codes {
		if tok.Encode(tok.Decode(k)) == k {
			s.Stable += 1 / float64(s.Codes)
		}
	}
	if len(vectors) == 0 {
		return s
	}

	tokens := EncodeAll(tok, vectors)
	counts := make([]int, s.Codes)
	for _, token := range tokens {
		counts[token]++
	}
	entropy := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(tokens))
			entropy -= p * math.Log(p)
			s.Used++
		}
	}
	s.Perplexity = math.Exp(entropy)
	s.Dead = 1 - float64(s.Used)/float64(s.Codes)
	slices.SortFunc(counts, func(a, b int) int { return b - a })
	for _, n := range counts[:min(10, len(counts))] {
		s.Top10 += float64(n) / float64(len(tokens))
	}

	var mean, variance, lost feature.Vector
	for _, v := range vectors {
		for f, x := range v {
			mean[f] += x / float64(len(vectors))
		}
	}
	for i, v := range vectors {
		decoded := tok.Decode(int(tokens[i]))
		for f, x := range v {
			variance[f] += (x - mean[f]) * (x - mean[f])
			lost[f] += (x - decoded[f]) * (x - decoded[f])
		}
	}
	for f := range s.MSE {
		if variance[f] > 0 {
			s.MSE[f] = lost[f] / variance[f]
		}
		s.MeanMSE += s.MSE[f] / feature.Size
	}
	return s
}
