package tokenizer

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Codes have unit length, differ where their bits do, and are their own nearest.
func TestBSQCodesAndBitsAreOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &sphere{L: rapid.IntRange(1, 12).Draw(t, "bits")}
		K, L := s.size()
		token := int32(rapid.IntRange(0, K-1).Draw(t, "token"))
		q, u, back := make([]float32, L), make([]float32, L), make([]int32, 1)
		s.lookup(q, []int32{token})
		bits, norm := int32(0), 0.0
		for j, x := range q {
			if x > 0 {
				bits |= 1 << j
			}
			norm += float64(x) * float64(x)
			// L numbers of one size and length 1: ±1/√L.
			if d := math.Abs(float64(x)) - 1/math.Sqrt(float64(L)); math.Abs(d) > 1e-6 {
				t.Fatalf("code %d of %d bits is %v", token, L, q)
			}
		}
		if bits != token || math.Abs(norm-1) > 1e-6 {
			t.Fatalf("code %d of %d bits is %v: bits %b, squared length %v", token, L, q, bits, norm)
		}
		s.project(u, q)
		if s.nearest(back, u, 1); back[0] != token {
			t.Fatalf("the code of %d is nearest to %d", token, back[0])
		}
	})
}

// The signs give the code of the least Euclidean distance, and the distance of
// a latent on the sphere is under √2 (section 4 of the paper bounds it so).
func TestBSQSignsAreNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &sphere{L: rapid.IntRange(1, 6).Draw(t, "bits")}
		K, L := s.size()
		z, u, token := make([]float32, L), make([]float32, L), make([]int32, 1)
		for j := range z {
			z[j] = rapid.Float32Range(-1e6, 1e6).Draw(t, "z")
		}
		z[0] += 1e-3 // some direction
		s.project(u, z)
		s.nearest(token, u, 1)
		distance := func(k int) float64 {
			q, sum := make([]float32, L), 0.0
			s.lookup(q, []int32{int32(k)})
			for j := range q {
				sum += float64(u[j]-q[j]) * float64(u[j]-q[j])
			}
			return math.Sqrt(sum)
		}
		mine := distance(int(token[0]))
		for k := range K {
			if distance(k) < mine-1e-6 {
				t.Fatalf("%v is next to code %d, not %d", u, k, token[0])
			}
		}
		if mine >= math.Sqrt2 {
			t.Fatalf("%v is %v from its code", u, mine)
		}
	})
}

func TestBSQOfNoDirectionIsFinite(t *testing.T) {
	s := &sphere{L: 3, config: DefaultBSQ()}
	u, du, z := make([]float32, 3), []float32{1, 2, 3}, make([]float32, 3)
	s.project(u, z)
	s.penalty(du, u, []float32{1, 1, 1})
	s.projectBackward(du, u, z)
	for i := range u {
		if u[i] != 0 || math.IsNaN(float64(du[i])) {
			t.Errorf("zero is projected to %v with the gradient %v", u, du)
		}
	}
}
