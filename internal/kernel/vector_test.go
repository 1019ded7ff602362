package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// guarded returns n random numbers with no-numbers before and behind: what
// reads past an end shows in the result, what writes there in the guards.
func guarded(r *rand.Rand, n int) (s []float32, intact func() bool) {
	const guard = 8
	all := random(r, n+2*guard)
	nan := float32(math.NaN())
	for i := range guard {
		all[i], all[len(all)-1-i] = nan, nan
	}
	return all[guard : guard+n], func() bool {
		for i := range guard {
			if all[i] == all[i] || all[len(all)-1-i] == all[len(all)-1-i] {
				return false
			}
		}
		return true
	}
}

func TestDotMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 35 {
		a, _ := guarded(r, n)
		b, _ := guarded(r, n)
		want, scale := 0.0, 0.0
		for i := range a {
			v := float64(a[i]) * float64(b[i])
			want, scale = want+v, scale+math.Abs(v)
		}
		// Two roundings an element at the most.
		if got := float64(Dot(a, b)); !(math.Abs(got-want) <= 2*float64(n+1)*scale*0x1p-24) {
			t.Errorf("Dot of %d elements = %v, want %v", n, got, want)
		}
	}
}

func TestAxpyMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 35 {
		y, intact := guarded(r, n)
		x, _ := guarded(r, n)
		before := slices.Clone(y)
		Axpy(y, 1.5, x)
		if !intact() {
			t.Errorf("Axpy of %d elements wrote beyond y", n)
		}
		for i := range y {
			if want := before[i] + float32(1.5*x[i]); y[i] != want {
				t.Errorf("Axpy of %d elements: y[%d] = %v, want %v", n, i, y[i], want)
			}
		}
	}
}

// Over several rows at once, Dots and Mix give the bits of Dot and Axpy: keys
// in two spans give those of keys in one.
func TestRowsAtOnceHaveTheBitsOfOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for rows := range 13 {
		for n := range 35 {
			stride := n + rows%3
			x, _ := guarded(r, max(0, (rows-1)*stride+n))
			a := random(r, n)

			got, intact := guarded(r, rows)
			Dots(got, a, x, stride)
			if !intact() {
				t.Fatalf("Dots over %d rows of %d wrote beyond s", rows, n)
			}
			for u := range got {
				if want := Dot(a, x[u*stride:u*stride+n]); got[u] != want {
					t.Fatalf("Dots over %d rows of %d: s[%d] = %v, want %v", rows, n, u, got[u], want)
				}
			}

			y, intact := guarded(r, n)
			want, weights := slices.Clone(y), random(r, rows)
			Mix(y, weights, x, stride)
			for u, w := range weights {
				Axpy(want, w, x[u*stride:u*stride+n])
			}
			if !intact() || !slices.Equal(y, want) {
				t.Fatalf("Mix over %d rows of %d = %v, want %v", rows, n, y, want)
			}
		}
	}
}
