package tokenizer

import (
	"context"
	"math"
	"math/bits"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
)

// KindBSQ names the [BSQ] in files.
const KindBSQ = "bsq"

// BSQ is an autoencoder of single candles whose latent is projected to the unit
// sphere in log2(Codes) dimensions: the signs of its coordinates are the bits
// of the token.
//
// Zhao, Xiong & Krähenbühl 2024, arXiv 2406.07548.
type BSQ struct {
	autoencoder
	config BSQConfig
}

// newBSQ allocates a tokenizer of the shape; config is valid.
func newBSQ(config BSQConfig) *BSQ {
	s := &sphere{L: bits.Len(uint(config.Codes)) - 1, config: config}
	return &BSQ{autoencoder: newAutoencoder(config.FitConfig, s), config: config}
}

// TrainBSQ fits a tokenizer as [TrainFSQ] does, and fails as it does.
func TrainBSQ(ctx context.Context, vectors []feature.Vector, config BSQConfig, progress func(VQProgress)) (*BSQ, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	b := newBSQ(config)
	if err := b.fit(ctx, vectors, config.FitConfig, progress); err != nil {
		return nil, err
	}
	return b, nil
}

func loadBSQ(configJSON []byte, p *parts) (Tokenizer, error) {
	var config BSQConfig
	if err := decodeConfig(configJSON, &config); err != nil {
		return nil, err
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	b := newBSQ(config)
	return b, b.load(p)
}

// Kind returns [KindBSQ].
func (b *BSQ) Kind() string { return KindBSQ }

// Config returns the [BSQConfig].
func (b *BSQ) Config() any { return b.config }

// sphere is the quantizer of a [BSQ]:
//
//	u = z/‖z‖     code_j = ±1/√L, the sign of u_j, + for 0     token = Σ_j 2^j·[u_j ≥ 0]
type sphere struct {
	L      int
	config BSQConfig
}

func (s *sphere) size() (K, D int) { return 1 << s.L, s.L }

// leastNorm is the norm under which a latent has no direction: its u is then
// short of the sphere, but finite.
const leastNorm = 1e-12

func (s *sphere) norm(z []float32) float64 {
	sum := 0.0
	for _, x := range z {
		sum += float64(x) * float64(x)
	}
	return max(math.Sqrt(sum), leastNorm)
}

func (s *sphere) project(u, z []float32) {
	for lo := 0; lo < len(z); lo += s.L {
		norm := s.norm(z[lo : lo+s.L])
		for i := lo; i < lo+s.L; i++ {
			u[i] = float32(float64(z[i]) / norm)
		}
	}
}

// projectBackward takes out what points off the sphere:
//
//	dz = (du − u·⟨u, du⟩) / ‖z‖
func (s *sphere) projectBackward(du, u, z []float32) {
	for lo := 0; lo < len(z); lo += s.L {
		norm, radial := s.norm(z[lo:lo+s.L]), 0.0
		for i := lo; i < lo+s.L; i++ {
			radial += float64(u[i]) * float64(du[i])
		}
		for i := lo; i < lo+s.L; i++ {
			du[i] = float32((float64(du[i]) - float64(u[i])*radial) / norm)
		}
	}
}

func (s *sphere) nearest(tokens []int32, u []float32, R int) {
	parallel.For(R, 512, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			token := int32(0)
			for j, x := range u[r*s.L : (r+1)*s.L] {
				if x >= 0 {
					token |= 1 << j
				}
			}
			tokens[r] = token
		}
	})
}

func (s *sphere) lookup(q []float32, tokens []int32) {
	side := float32(1 / math.Sqrt(float64(s.L)))
	for r, token := range tokens {
		for j := range s.L {
			q[r*s.L+j] = -side
			if token>>j&1 == 1 {
				q[r*s.L+j] = side
			}
		}
	}
}

// penalty is
//
//	β·mean((u − code)²) + ζ/L·Σ_j ( mean_r H(p_rj) − γ·H(mean_r p_rj) )
//
// where p_rj = σ(2τ·u_rj/√L) is the probability of bit j under the softmax of
// −τ‖u − code‖²/2 over all codes, which is a product over bits, and H the entropy
// of one bit in nats. The first entropy makes every bit sure, the second makes
// it carry information. That of the mean over all codes at once is replaced by
// the sum over bits, as in section 4 of the paper: 2^L terms become L.
func (s *sphere) penalty(du, u, q []float32) float64 {
	R, c := len(u)/s.L, s.config
	slope := 2 * c.Sharpness / math.Sqrt(float64(s.L)) // of a bit's logit
	weight := c.Entropy / float64(s.L) / float64(R) * slope
	for j := range s.L {
		mean := 0.0
		for i := j; i < len(u); i += s.L {
			mean += sigmoid(slope*float64(u[i])) / float64(R)
		}
		// −γ·H(mean) has the derivative γ·ln(mean/(1−mean)). All bits
		// alike and sure would make it infinite.
		mean = min(max(mean, 1e-6), 1-1e-6)
		pull := c.Diversity * math.Log(mean/(1-mean))
		for i := j; i < len(u); i += s.L {
			logit := slope * float64(u[i])
			p := sigmoid(logit)
			// dH(p)/dlogit = −logit·p·(1−p)
			du[i] += float32(weight * p * (1 - p) * (pull - logit))
		}
	}
	return commit(du, u, q, c.Commitment)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
