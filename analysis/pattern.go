package analysis

import (
	"cmp"
	"encoding/binary"
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/micro-quant/mqc/dataset"
)

// Pattern is a row of tokens that comes more than once.
type Pattern struct {
	Tokens   []int32 `json:"tokens"`
	Count    int     `json:"count"`
	Expected float64 `json:"expected"` // where tokens came in any order, asset by asset

	// P is the probability of so many by chance, under a Poisson law and
	// times the number of different patterns that were looked at. Patterns
	// that overlap themselves, as 5 5 5, come in clumps: their P is too small.
	P float64 `json:"p"`
}

// Patterns returns the rows of length tokens that come at least twice, those
// first that come most often beyond what chance expects. A row lies within one
// asset. It panics for a length below 1.
func Patterns(streams []*dataset.Stream, length int) []Pattern {
	if length < 1 {
		panic("analysis: patterns without tokens")
	}
	type found struct {
		count int
		at    []int32
	}
	// What chance expects of a pattern is a sum over assets of n·Πp: the
	// commonest tokens of one asset follow each other in it, whatever the order.
	rows := map[string]*found{}
	var shares []map[int32]float64
	var places []float64
	for _, s := range streams {
		share := map[int32]float64{}
		for _, t := range s.Tokens {
			share[t] += 1 / float64(len(s.Tokens))
		}
		shares, places = append(shares, share), append(places, float64(max(0, len(s.Tokens)-length+1)))
		var key []byte
		for i := range max(0, len(s.Tokens)-length+1) {
			row := s.Tokens[i : i+length]
			key = key[:0]
			for _, t := range row {
				key = binary.LittleEndian.AppendUint32(key, uint32(t))
			}
			if f := rows[string(key)]; f != nil {
				f.count++
			} else {
				rows[string(key)] = &found{1, row}
			}
		}
	}
	var patterns []Pattern
	for _, f := range rows {
		if f.count < 2 {
			continue
		}
		p := Pattern{Tokens: slices.Clone(f.at), Count: f.count}
		for i, share := range shares {
			chance := places[i]
			for _, t := range f.at {
				chance *= share[t]
			}
			p.Expected += chance
		}
		// P(X ≥ c) of a Poisson X with mean λ is the regularised incomplete
		// gamma function P(c, λ).
		p.P = min(1, mathext.GammaIncReg(float64(p.Count), p.Expected)*float64(len(rows)))
		patterns = append(patterns, p)
	}
	slices.SortFunc(patterns, func(a, b Pattern) int {
		if c := cmp.Compare(float64(b.Count)-b.Expected, float64(a.Count)-a.Expected); c != 0 {
			return c
		}
		return slices.Compare(a.Tokens, b.Tokens)
	})
	return patterns
}
