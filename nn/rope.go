package nn

import (
	"math"

	"github.com/micro-quant/mqc/internal/parallel"
)

// Rope is the table of a rotary position embedding: pair i of a head at
// position t turns by the angle t·base^(−2i/D). The two halves of a head make
// the pairs (x1, x2):
//
//	y1 =  x1·cos + x2·sin
//	y2 = −x1·sin + x2·cos
//
// Su et al. 2021, arXiv 2104.09864, with split halves.
type Rope struct {
	half     int
	cos, sin []float32 // (positions, D/2)
}

// NewRope returns the table for heads of even width D at positions below n.
func NewRope(n, D int, base float64) *Rope {
	half := D / 2
	r := &Rope{half: half, cos: make([]float32, n*half), sin: make([]float32, n*half)}
	for t := range n {
		for i := range half {
			sin, cos := math.Sincos(float64(t) * math.Pow(base, -float64(2*i)/float64(D)))
			r.cos[t*half+i], r.sin[t*half+i] = float32(cos), float32(sin)
		}
	}
	return r
}

// Forward rotates x in place.
//
//	x    (R, H, D)
//	pos  (R)        position of each row
func (p *Rope) Forward(x []float32, pos []int32, R, H, D int) { p.rotate(x, pos, R, H, D, 1) }

// Backward turns the gradient of [Rope.Forward] with respect to its result
// into that with respect to its input, in place: the inverse rotation.
func (p *Rope) Backward(dx []float32, pos []int32, R, H, D int) { p.rotate(dx, pos, R, H, D, -1) }

func (p *Rope) rotate(x []float32, pos []int32, R, H, D int, direction float32) {
	half := p.half
	parallel.For(R, rowGrain(H*D), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			at := int(pos[r]) * half
			cos, sin := p.cos[at:at+half], p.sin[at:at+half]
			for h := range H {
				head := x[(r*H+h)*D : (r*H+h+1)*D]
				x1, x2 := head[:half], head[half:]
				for i := range half {
					c, s := cos[i], direction*sin[i]
					a, b := x1[i], x2[i]
					x1[i] = a*c + b*s
					x2[i] = b*c - a*s
				}
			}
		}
	})
}
