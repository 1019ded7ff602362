package tokenizer

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
)

// KindFSQ names the [FSQ] in files.
const KindFSQ = "fsq"

// FSQ is an autoencoder of single candles whose latent is bounded and rounded
// to a few levels in each dimension. The codes are the fixed grid of all
// combinations of levels, so there is no codebook to fit and none to collapse.
//
// Mentzer, Minnen, Agustsson & Tschannen 2023, arXiv 2309.15505.
type FSQ struct {
	autoencoder
	config FSQConfig
}

// Bounds of the number of codes of an [FSQ].
const (
	minFSQ = 16
	maxFSQ = MaxCodes
)

// Levels returns how many levels each dimension of an [FSQ] with so many codes
// has: powers of two up to 8, as even as they can be and the finer ones first.
// 512 is [8 8 8], 256 is [8 8 4], 64 is [8 8]. Only powers of two from 16 to
// 4096 have levels.
func Levels(codes int) ([]int, error) {
	if codes < minFSQ || codes > maxFSQ || codes&(codes-1) != 0 {
		return nil, fmt.Errorf("tokenizer: config: codes %d: fsq wants a power of two from %d to %d", codes, minFSQ, maxFSQ)
	}
	n := bits.Len(uint(codes)) - 1
	D := (n + 2) / 3
	levels := make([]int, D)
	for j := range levels {
		levels[j] = 1 << ((n + D - 1 - j) / D)
	}
	return levels, nil
}

// newFSQ allocates a tokenizer of the shape; config is valid.
func newFSQ(config FSQConfig) *FSQ {
	levels, err := Levels(config.Codes)
	if err != nil {
		panic(err)
	}
	return &FSQ{autoencoder: newAutoencoder(config.FitConfig, newGrid(levels)), config: config}
}

// TrainFSQ fits a tokenizer as [TrainVQVAE] does, but through its codes from the
// first step, since they need no placing. It fails as that does.
func TrainFSQ(ctx context.Context, vectors []feature.Vector, config FSQConfig, progress func(VQProgress)) (*FSQ, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	f := newFSQ(config)
	if err := f.fit(ctx, vectors, config.FitConfig, progress); err != nil {
		return nil, err
	}
	return f, nil
}

func loadFSQ(configJSON []byte, p *parts) (Tokenizer, error) {
	var config FSQConfig
	if err := decodeConfig(configJSON, &config); err != nil {
		return nil, err
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	f := newFSQ(config)
	return f, f.load(p)
}

// Kind returns [KindFSQ].
func (f *FSQ) Kind() string { return KindFSQ }

// Config returns the [FSQConfig].
func (f *FSQ) Config() any { return f.config }

// grid is the quantizer of an [FSQ]. A dimension with L ≥ 3 levels has the values
//
//	u = h·tanh(z + s) − o     h = (L−1)/2·(1−ε)   o = ½ for even L, else 0   s = artanh(o/h)
//
// which rounding takes to −⌊L/2⌋ … ⌈L/2⌉−1. The decoder reads them, and u,
// divided by ⌊L/2⌋. The shift s makes z = 0 a level; the listing of the paper
// (appendix A.1) has a tangent for the artanh, which does that only nearly. The
// token counts the levels of dimension 0 first:
//
//	token = Σ_j (level_j + ⌊L_j/2⌋) · Π_{i<j} L_i
type grid struct {
	levels []int
}

// gridMargin is ε: it keeps u away from where the outermost levels would end.
const gridMargin = 1e-3

func newGrid(levels []int) *grid { return &grid{levels} }

func (g *grid) size() (K, D int) {
	K = 1
	for _, L := range g.levels {
		K *= L
	}
	return K, len(g.levels)
}

// bound returns h, o and s for L levels.
func bound(L int) (half, offset, shift float64) {
	half = float64(L-1) / 2 * (1 - gridMargin)
	if L%2 == 0 {
		offset = 0.5
		shift = math.Atanh(offset / half)
	}
	return half, offset, shift
}

func (g *grid) project(u, z []float32) {
	D := len(g.levels)
	for j, L := range g.levels {
		half, offset, shift := bound(L)
		width := float64(L / 2)
		for i := j; i < len(z); i += D {
			u[i] = float32((half*math.Tanh(float64(z[i])+shift) - offset) / width)
		}
	}
}

// projectBackward multiplies by the slope h·(1 − tanh²)/⌊L/2⌋.
func (g *grid) projectBackward(du, _, z []float32) {
	D := len(g.levels)
	for j, L := range g.levels {
		half, _, shift := bound(L)
		width := float64(L / 2)
		for i := j; i < len(z); i += D {
			t := math.Tanh(float64(z[i]) + shift)
			du[i] *= float32(half * (1 - t*t) / width)
		}
	}
}

func (g *grid) nearest(tokens []int32, u []float32, R int) {
	D := len(g.levels)
	parallel.For(R, 512, func(lo, hi int) {
		digits := make([]int, D)
		for r := lo; r < hi; r++ {
			for j, L := range g.levels {
				half := L / 2
				level := int(math.RoundToEven(float64(u[r*D+j]) * float64(half)))
				digits[j] = min(max(level+half, 0), L-1)
			}
			tokens[r] = g.token(digits)
		}
	})
}

// token is the number of a combination of digits, one per dimension, each from
// 0 to L−1.
func (g *grid) token(digits []int) int32 {
	token, base := 0, 1
	for j, L := range g.levels {
		token += digits[j] * base
		base *= L
	}
	return int32(token)
}

// digits is the inverse of token.
func (g *grid) digits(digits []int, token int32) {
	rest := int(token)
	for j, L := range g.levels {
		digits[j] = rest % L
		rest /= L
	}
}

func (g *grid) lookup(q []float32, tokens []int32) {
	D := len(g.levels)
	digits := make([]int, D)
	for r, token := range tokens {
		g.digits(digits, token)
		for j, L := range g.levels {
			q[r*D+j] = float32(digits[j]-L/2) / float32(L/2)
		}
	}
}

// penalty is none: every level is within reach of every latent.
func (g *grid) penalty(_, _, _ []float32) float64 { return 0 }
