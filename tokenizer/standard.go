package tokenizer

import (
	"errors"
	"math"

	"github.com/micro-quant/mqc/feature"
)

// standard compresses the heavy tails of each feature and centres it:
//
//	u = (asinh(x·scale) − mean) / std
//
// asinh is linear for small moves and logarithmic for large ones, so a crash
// neither dominates the loss nor is cut off.
type standard struct {
	scale, mean, std [feature.Size]float32
}

// maxArg bounds the argument of sinh: e^30 times a deviation is beyond any move.
const maxArg = 30

// fitStandard takes scale, mean and deviation from the vectors.
func fitStandard(vectors []feature.Vector, gain float64) standard {
	var s standard
	n := float64(len(vectors))
	for f := range feature.Size {
		moments := func(value func(x float64) float64) (mean, std float64) {
			for _, v := range vectors {
				mean += value(v[f])
			}
			mean /= n
			for _, v := range vectors {
				d := value(v[f]) - mean
				std += d * d
			}
			std = math.Sqrt(std / n)
			// A feature that does not vary, or beyond float32, is only centred.
			if !(std > 1e-30 && std < 1e30) {
				std = 1
			}
			return mean, std
		}
		_, raw := moments(func(x float64) float64 { return x })
		s.scale[f] = float32(gain / raw)
		mean, std := moments(func(x float64) float64 { return math.Asinh(x * float64(s.scale[f])) })
		s.mean[f], s.std[f] = float32(mean), float32(std)
	}
	return s
}

// forward writes the standardised vector to u (5).
func (s *standard) forward(u []float32, v feature.Vector) {
	for f, x := range v {
		switch {
		case math.IsNaN(x):
			x = 0
		case x > math.MaxFloat32:
			x = math.MaxFloat32
		case x < -math.MaxFloat32:
			x = -math.MaxFloat32
		}
		y := min(max(math.Asinh(x*float64(s.scale[f])), -maxArg), maxArg)
		u[f] = float32((y - float64(s.mean[f])) / float64(s.std[f]))
	}
}

// inverse is the vector whose standardised features are u (5).
func (s *standard) inverse(u []float32) feature.Vector {
	var v feature.Vector
	for f := range v {
		y := float64(u[f])*float64(s.std[f]) + float64(s.mean[f])
		v[f] = math.Sinh(min(max(y, -maxArg), maxArg)) / float64(s.scale[f])
	}
	return v
}

func (s *standard) tensors() []Tensor {
	shape := []int{feature.Size}
	return []Tensor{
		{"input.scale", shape, s.scale[:]},
		{"input.mean", shape, s.mean[:]},
		{"input.std", shape, s.std[:]},
	}
}

func (s *standard) load(p *parts) error {
	p.take(s.scale[:], "input.scale", feature.Size)
	p.take(s.mean[:], "input.mean", feature.Size)
	p.take(s.std[:], "input.std", feature.Size)
	if p.err != nil {
		return p.err
	}
	for f := range feature.Size {
		if !(s.scale[f] > 0) || !(s.std[f] > 0) {
			return errors.New(`tensors "input.scale" and "input.std" must be positive`)
		}
	}
	return nil
}
