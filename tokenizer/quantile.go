package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/micro-quant/mqc/feature"
)

// KindQuantile names [Quantile] in files.
const KindQuantile = "quantile"

// Quantile cuts the log return into bins that are equally full in training, and
// decodes a bin to the mean vector of its candles. It is the baseline against
// which the reconstruction of other tokenizers is measured.
type Quantile struct {
	edges []float32 // (codes−1), ascending; bin k holds edges[k−1] ≤ r < edges[k]
	means []float32 // (codes,5)
}

// quantileConfig is what [Quantile.Config] returns.
type quantileConfig struct {
	Codes int `json:"codes"`
}

func (c quantileConfig) validate() error {
	if c.Codes < MinCodes || c.Codes > MaxCodes {
		return fmt.Errorf("tokenizer: config: codes %d outside %d…%d", c.Codes, MinCodes, MaxCodes)
	}
	return nil
}

// FitQuantile fits the bins on the vectors. Equal returns make equal edges, and
// the bins between those stay empty: they decode to a candle with the return
// of the edge and the mean of the rest. It fails for a number of codes out of
// range, fewer than 2 vectors, and a vector that is not finite.
func FitQuantile(vectors []feature.Vector, codes int) (*Quantile, error) {
	if err := (quantileConfig{codes}).validate(); err != nil {
		return nil, err
	}
	if err := checkVectors(vectors); err != nil {
		return nil, err
	}
	returns := make([]float64, len(vectors))
	for i, v := range vectors {
		returns[i] = v[feature.LogReturn]
	}
	slices.Sort(returns)

	q := &Quantile{edges: make([]float32, codes-1), means: make([]float32, codes*feature.Size)}
	for k := range q.edges {
		q.edges[k] = float32(returns[(k+1)*len(returns)/codes])
	}
	var all feature.Vector
	sums, counts := make([]feature.Vector, codes), make([]int, codes)
	for _, v := range vectors {
		k := q.Encode(v)
		counts[k]++
		for f, x := range v {
			sums[k][f] += x
			all[f] += x / float64(len(vectors))
		}
	}
	for k, n := range counts {
		row := q.means[k*feature.Size : (k+1)*feature.Size]
		for f := range row {
			row[f] = float32(all[f])
			if n > 0 {
				row[f] = float32(sums[k][f] / float64(n))
			}
		}
		if n == 0 {
			row[feature.LogReturn] = q.edges[min(k, codes-2)]
		}
	}
	return q, nil
}

func loadQuantile(configJSON []byte, p *parts) (Tokenizer, error) {
	var config quantileConfig
	if err := decodeConfig(configJSON, &config); err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	q := &Quantile{edges: make([]float32, config.Codes-1), means: make([]float32, config.Codes*feature.Size)}
	p.take(q.edges, "edges", config.Codes-1)
	p.take(q.means, "means", config.Codes, feature.Size)
	if p.err == nil && !slices.IsSorted(q.edges) {
		return nil, errors.New(`tensor "edges" is not ascending`)
	}
	return q, p.err
}

// Kind returns [KindQuantile].
func (q *Quantile) Kind() string { return KindQuantile }

// Codes returns the number of bins.
func (q *Quantile) Codes() int { return len(q.edges) + 1 }

// Config returns the number of bins.
func (q *Quantile) Config() any { return quantileConfig{q.Codes()} }

// Tensors returns the edges and the mean vectors.
func (q *Quantile) Tensors() []Tensor {
	return []Tensor{
		{"edges", []int{len(q.edges)}, q.edges},
		{"means", []int{q.Codes(), feature.Size}, q.means},
	}
}

// Encode returns the bin of the log return; a NaN counts as 0.
func (q *Quantile) Encode(v feature.Vector) int {
	x := v[feature.LogReturn]
	if math.IsNaN(x) {
		x = 0
	}
	r := float32(x)
	return sort.Search(len(q.edges), func(k int) bool { return r < q.edges[k] })
}

// Decode returns the mean vector of the bin.
func (q *Quantile) Decode(token int) feature.Vector {
	var v feature.Vector
	for f, x := range q.means[token*feature.Size : (token+1)*feature.Size] {
		v[f] = float64(x)
	}
	return v
}
