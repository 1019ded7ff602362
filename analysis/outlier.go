package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/dataset"
)

// Rare is a token that seldom comes.
type Rare struct {
	Token  int32   `json:"token"`
	Count  int     `json:"count"`
	Share  float64 `json:"share"`
	Places []Place `json:"places"` // of all its occurrences, asset by asset
}

// Place is a token of a stream.
type Place struct {
	Asset string    `json:"asset"`
	Index int       `json:"index"`         // of the token in its asset
	Time  time.Time `json:"time,omitzero"` // zero for bare tokens
}

func placeOf(s *dataset.Stream, i int) Place {
	p := Place{Asset: s.Asset, Index: i}
	if s.Times != nil {
		p.Time = s.Times[i]
	}
	return p
}

// RareTokens returns the rarest tokens that occur and together make up at most
// a share of all of them, the rarest first.
func RareTokens(streams []*dataset.Stream, share float64) []Rare {
	counts, total := frequencies(streams), 0
	var rare []Rare
	for token, n := range counts {
		rare = append(rare, Rare{Token: token, Count: n})
		total += n
	}
	slices.SortFunc(rare, func(a, b Rare) int {
		return cmp.Or(cmp.Compare(a.Count, b.Count), cmp.Compare(a.Token, b.Token))
	})
	sum, at := 0, map[int32]int{}
	for i := range rare {
		if sum += rare[i].Count; float64(sum) > share*float64(total) {
			rare = rare[:i]
			break
		}
		rare[i].Share = float64(rare[i].Count) / float64(total)
		at[rare[i].Token] = i
	}
	for _, s := range streams {
		for i, token := range s.Tokens {
			if k, ok := at[token]; ok {
				rare[k].Places = append(rare[k].Places, placeOf(s, i))
			}
		}
	}
	return rare
}

// Move is a return that is large for the volatility known before it.
type Move struct {
	Place
	Token  int32   `json:"token"`
	Return float64 `json:"log_return"`
	Sigmas float64 `json:"sigmas"` // the return in units of the scale
}

// Moves returns the returns of at least so many sigmas in either direction, the
// largest first. Streams without candles have none.
func Moves(streams []*dataset.Stream, sigmas float64) []Move {
	var moves []Move
	for _, s := range streams {
		for i := range s.Candles {
			if z := float64(s.Returns[i]); math.Abs(z) >= sigmas {
				moves = append(moves, Move{placeOf(s, i), s.Tokens[i], s.Return(i), z})
			}
		}
	}
	slices.SortStableFunc(moves, func(a, b Move) int { return cmp.Compare(math.Abs(b.Sigmas), math.Abs(a.Sigmas)) })
	return moves
}
