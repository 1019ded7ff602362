package tokenizer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestLevels(t *testing.T) {
	for codes, want := range map[int][]int{
		16: {4, 4}, 32: {8, 4}, 64: {8, 8}, 128: {8, 4, 4}, 256: {8, 8, 4}, 512: {8, 8, 8},
		1024: {8, 8, 4, 4}, 2048: {8, 8, 8, 4}, 4096: {8, 8, 8, 8},
	} {
		got, err := Levels(codes)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Levels(%d) = %v, %v, want %v", codes, got, err, want)
		}
	}
	for _, codes := range []int{-512, 0, 1, 8, 17, 100, 500, 8192} {
		if got, err := Levels(codes); err == nil || !strings.Contains(err.Error(), "power of two from 16 to 4096") {
			t.Errorf("Levels(%d) = %v, %v, want an error that says which do", codes, got, err)
		}
	}
}

// The example of the authors' notebook (google-research, fsq/fsq.ipynb):
// levels 3, 5, 4 take (0.25, 0.6, −7) to (0, 0.5, −1), which is code 10.
func TestFSQExampleOfThePaper(t *testing.T) {
	g := newGrid([]int{3, 5, 4})
	u, token, q := make([]float32, 3), make([]int32, 1), make([]float32, 3)
	g.project(u, []float32{0.25, 0.6, -7})
	g.nearest(token, u, 1)
	g.lookup(q, token)
	if want := []float32{0, 0.5, -1}; token[0] != 10 || !slices.Equal(q, want) {
		t.Errorf("code %d at %v, want code 10 at %v", token[0], q, want)
	}
}

func drawGrid(t *rapid.T) *grid {
	return newGrid(rapid.SliceOfN(rapid.IntRange(3, 9), 1, 4).Draw(t, "levels"))
}

// Index and digits are each other's inverse, and a code is its own nearest.
func TestFSQIndexIsABijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		K, D := g.size()
		token := int32(rapid.IntRange(0, K-1).Draw(t, "token"))
		digits := make([]int, D)
		g.digits(digits, token)
		for j, d := range digits {
			if d < 0 || d >= g.levels[j] {
				t.Fatalf("digits of %d = %v, of levels %v", token, digits, g.levels)
			}
		}
		if back := g.token(digits); back != token {
			t.Fatalf("levels %v: token(digits(%d)) = %d", g.levels, token, back)
		}
		q, back := make([]float32, D), make([]int32, 1)
		g.lookup(q, []int32{token})
		if g.nearest(back, q, 1); back[0] != token {
			t.Fatalf("levels %v: the code of %d is nearest to %d", g.levels, token, back[0])
		}
	})
}

// Every latent is bounded, its code is at most half a level away (and ε at the
// ends), and the map keeps the order of latents.
func TestFSQRoundsBoundedLatents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawGrid(t)
		_, D := g.size()
		z, u, q := make([]float32, D), make([]float32, D), make([]float32, D)
		for j := range z {
			z[j] = rapid.Float32().Draw(t, "z")
		}
		token := make([]int32, 1)
		g.project(u, z)
		g.nearest(token, u, 1)
		g.lookup(q, token)
		for j, L := range g.levels {
			level := 1 / float64(L/2)
			if d := math.Abs(float64(u[j] - q[j])); !(d <= level/2+1e-6) {
				t.Fatalf("levels %v: %v is projected to %v, its code is %v", g.levels, z, u, q)
			}
		}
		higher, v := slices.Clone(z), make([]float32, D)
		for j := range higher {
			higher[j] += rapid.Float32Range(0, 10).Draw(t, "step")
		}
		g.project(v, higher)
		for j := range v {
			if v[j] < u[j] {
				t.Fatalf("levels %v: %v is projected to %v, %v to %v", g.levels, z, u, higher, v)
			}
		}
	})
}

// Zero is a level in every dimension, for even numbers of levels too, and both
// ends are reached.
func TestFSQReachesAllLevels(t *testing.T) {
	for L := 3; L <= 9; L++ {
		g := newGrid([]int{L})
		n := 4001
		z, u, tokens := make([]float32, n), make([]float32, n), make([]int32, n)
		for i := range z {
			z[i] = float32(i-n/2) / 200
		}
		g.project(u, z)
		g.nearest(tokens, u, n)
		if math.Abs(float64(u[n/2])) > 1e-15 { // tanh(artanh(x)) is x but for rounding
			t.Errorf("%d levels: 0 is projected to %v", L, u[n/2])
		}
		seen := map[int32]bool{}
		for _, token := range tokens {
			seen[token] = true
		}
		if len(seen) != L {
			t.Errorf("%d levels: %d are reached", L, len(seen))
		}
	}
}
