package nn

import (
	"math"

	"github.com/micro-quant/mqc/internal/kernel"
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

// Forward rotates a head (D) at position pos in place.
func (p *Rope) Forward(head []float32, pos int32) { p.rotate(head, pos, 1) }

// Backward turns the gradient of [Rope.Forward] with respect to its result
// into that with respect to its input, in place: the inverse rotation.
func (p *Rope) Backward(dhead []float32, pos int32) { p.rotate(dhead, pos, -1) }

func (p *Rope) rotate(head []float32, pos int32, direction float32) {
	at := int(pos) * p.half
	kernel.Rotate(head, p.cos[at:at+p.half], p.sin[at:at+p.half], direction)
}
