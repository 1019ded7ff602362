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

// near says whether got is want up to the roundings of rows additions of values
// that sum up to scale in absolute value.
func near(got float32, want, scale float64, additions int) bool {
	return math.Abs(float64(got)-want) <= 2*float64(additions+1)*scale*0x1p-24
}

func TestVectorLoopsMatchTheirDefinition(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for rows := range 19 {
			for n := range 140 {
				if n > 35 && n%8 != 0 {
					continue
				}
				stride := n + rows%3
				x, _ := guarded(r, max(0, (rows-1)*stride+n))
				weights, _ := guarded(r, rows)
				row := func(u int) []float32 { return x[u*stride : u*stride+n] }

				a, _ := guarded(r, n)
				s, intact := guarded(r, rows)
				Dots(s, a, x, stride)
				if !intact() {
					t.Fatalf("Dots over %d rows of %d wrote beyond s", rows, n)
				}
				for u := range s {
					want, scale := 0.0, 0.0
					for i, v := range row(u) {
						p := float64(a[i]) * float64(v)
						want, scale = want+p, scale+math.Abs(p)
					}
					if !near(s[u], want, scale, n) {
						t.Fatalf("Dots over %d rows of %d: s[%d] = %v, want %v", rows, n, u, s[u], want)
					}
				}

				y, intact := guarded(r, n)
				before := slices.Clone(y)
				Mix(y, weights, x, stride)
				if !intact() {
					t.Fatalf("Mix over %d rows of %d wrote beyond y", rows, n)
				}
				for i := range y {
					want, scale := float64(before[i]), math.Abs(float64(before[i]))
					for u, w := range weights {
						p := float64(w) * float64(row(u)[i])
						want, scale = want+p, scale+math.Abs(p)
					}
					if !near(y[i], want, scale, rows) {
						t.Fatalf("Mix over %d rows of %d: y[%d] = %v, want %v", rows, n, i, y[i], want)
					}
				}

				out, intact := guarded(r, len(x))
				before = slices.Clone(out)
				Outer(out, weights, a, stride)
				if !intact() {
					t.Fatalf("Outer over %d rows of %d wrote beyond y", rows, n)
				}
				for u, w := range weights {
					for i, v := range a {
						at := u*stride + i
						p := float64(w) * float64(v)
						if want := float64(before[at]) + p; !near(out[at], want, math.Abs(float64(before[at]))+math.Abs(p), 1) {
							t.Fatalf("Outer over %d rows of %d: y[%d,%d] = %v, want %v", rows, n, u, i, out[at], want)
						}
					}
					for at := u*stride + n; at < min(len(out), (u+1)*stride); at++ {
						if out[at] != before[at] {
							t.Fatalf("Outer over %d rows of %d wrote between them", rows, n)
						}
					}
				}
			}
		}
	})
}

// Several rows at once give the bits of one by one: keys in two spans give
// those of keys in one.
func TestRowsAtOnceHaveTheBitsOfOneByOne(t *testing.T) {
	onEach(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 2))
		for rows := range 21 {
			for n := range 100 {
				stride := n + rows%3
				x, a, weights := random(r, max(0, (rows-1)*stride+n)), random(r, n), random(r, rows)

				got := make([]float32, rows)
				Dots(got, a, x, stride)
				y := random(r, n)
				want := slices.Clone(y)
				Mix(y, weights, x, stride)
				for u, w := range weights {
					row := x[u*stride : u*stride+n]
					if d := Dot(a, row); got[u] != d {
						t.Fatalf("Dots over %d rows of %d: s[%d] = %v, want %v", rows, n, u, got[u], d)
					}
					Mix(want, []float32{w}, row, stride)
				}
				if !slices.Equal(y, want) {
					t.Fatalf("Mix over %d rows of %d = %v, want %v", rows, n, y, want)
				}
			}
		}
	})
}

func TestVectorLoopsRefuseShortSlices(t *testing.T) {
	onEach(t, func(t *testing.T) {
		short := make([]float32, 2*10+7)
		for name, call := range map[string]func(){
			"Dots":  func() { Dots(make([]float32, 3), make([]float32, 8), short, 10) },
			"Mix":   func() { Mix(make([]float32, 8), make([]float32, 3), short, 10) },
			"Outer": func() { Outer(short, make([]float32, 3), make([]float32, 8), 10) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s over rows that are not there returned", name)
					}
				}()
				call()
			}()
		}
	})
}

func TestVectorLoopsPassNaNOn(t *testing.T) {
	onEach(t, func(t *testing.T) {
		nan := float32(math.NaN())
		a, b := make([]float32, 16), make([]float32, 16)
		b[9] = nan
		if got := Dot(a, b); got == got {
			t.Errorf("Dot with 0·NaN = %v, want NaN", got)
		}
		y := make([]float32, 16)
		Mix(y, []float32{0}, b, 16)
		if y[9] == y[9] || y[8] != 0 {
			t.Errorf("Mix of NaN in element 9: %v", y)
		}
	})
}
