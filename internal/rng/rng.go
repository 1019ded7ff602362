// Package rng makes random numbers a function of coordinates: (seed, stage,
// step, stream, index). Nothing random is carried from step to step, so
// neither a resumed run nor the order of parallel work can change a number.
package rng

import "math/rand/v2"

// Purposes separate the streams that share a seed. A purpose follows the seed
// in the coordinates.
const (
	Init     uint64 = iota + 1 // first weights
	Dropout                    // masks
	Shuffle                    // order and offsets of training windows
	Path                       // a sampled path
	Market                     // the synthetic market
	Codebook                   // fitting a tokenizer
	Rollout                    // a stage's own samples
	Truth                      // sampling a known density
	Trial                      // what is measured for its speed
	Residual                   // what a token leaves open of its candle
	Baseline                   // a path of a baseline, or its shuffled history
	Rank                       // the place of an outcome among its equals
	Backoff                    // how long a client waits
	Shock                      // what moves several assets on a date
	Hidden                     // inputs that training does not see
)

// Hash folds the coordinates into 64 bits. The order counts.
func Hash(coords ...uint64) uint64 {
	h := uint64(len(coords))
	for _, c := range coords {
		h = mix(h ^ mix(c))
	}
	return h
}

// mix is the splitmix64 step: an increment and a bijection of 64 bits in which
// every input bit reaches every output bit. Steele, Lea & Flood 2014.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// New returns the stream at the coordinates: the same coordinates, the same
// numbers, on every machine.
func New(coords ...uint64) *rand.Rand {
	h := Hash(coords...)
	return rand.New(rand.NewPCG(h, mix(h)))
}
