package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func useRows(t testing.TB, e *rowEngine) {
	previous := activeRows
	activeRows = e
	t.Cleanup(func() { activeRows = previous })
}

// onEachRows runs a test on every row engine that this machine has.
func onEachRows(t *testing.T, test func(t *testing.T)) {
	for _, e := range rowEngines {
		t.Run(e.name, func(t *testing.T) {
			useRows(t, e)
			test(t)
		})
	}
}

// rowLengths are all up to two vectors and three, and some around what a loop
// takes at a time.
func rowLengths() (lengths []int) {
	for n := range 36 {
		lengths = append(lengths, n)
	}
	return append(lengths, 63, 64, 65, 100, 127, 128, 131, 1023, 1024, 1025, 2500)
}

// inputs returns slices for a case, each at another misalignment, between
// no-numbers: what reads past an end shows in the result, what writes there in
// the guards.
func (c *rowCase) inputs(r *rand.Rand, n int) (s [][]float32, intact func() bool) {
	const guard = 20
	nan := float32(math.NaN())
	var frames [][]float32
	for i := range c.slices {
		shift := (n + 3*i) % 4
		all := random(r, n+2*guard)
		for j := range all {
			inside := j >= guard+shift && j < guard+shift+n
			if !inside {
				all[j] = nan
			} else if c.positive && i == 2 {
				all[j] *= all[j]
			}
		}
		frames = append(frames, all)
		s = append(s, all[guard+shift:][:n])
	}
	return s, func() bool {
		for i, all := range frames {
			shift := (n + 3*i) % 4
			for j, v := range all {
				if v == v && (j < guard+shift || j >= guard+shift+n) {
					return false
				}
			}
		}
		return true
	}
}

func clone(s [][]float32) (to [][]float32) {
	for _, row := range s {
		to = append(to, append([]float32(nil), row...))
	}
	return to
}

func at(s [][]float32, i int) (x []float64) {
	for _, row := range s {
		x = append(x, float64(row[i]))
	}
	return x
}

func TestRowsMatchTheirFormulas(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		for _, c := range rowCases {
			for _, n := range rowLengths() {
				s, intact := c.inputs(r, n)
				before := clone(s)
				c.run(s)
				if !intact() {
					t.Fatalf("%s of %d wrote outside of its slices", c.name, n)
				}
				if c.element != nil {
					checkElements(t, c, before, s)
				}
			}
		}
	})
}

// checkElements compares the changed slices with the formula and the others
// with what they were.
func checkElements(t *testing.T, c rowCase, before, after [][]float32) {
	t.Helper()
	n := len(before[0])
	for i := range n {
		want, scale := c.element(at(before, i))
		for k, row := range after {
			got := float64(row[i])
			if k >= len(want) {
				if got != float64(before[k][i]) {
					t.Fatalf("%s of %d changed slice %d", c.name, n, k)
				}
				continue
			}
			// Ten roundings at most, each of half a unit of the largest term.
			if !(math.Abs(got-want[k]) <= 10*0x1p-24*scale[k]) {
				t.Fatalf("%s of %d: slice %d, element %d = %v, want %v", c.name, n, k, i, got, want[k])
			}
		}
	}
}

func TestRowsPassNoNumbersAndInfinitiesOn(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 2))
		for _, c := range rowCases {
			if c.element == nil {
				continue
			}
			for _, special := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				for k := range c.slices {
					if c.positive && k == 2 && special < 0 {
						continue
					}
					for i := range 35 {
						s, _ := c.inputs(r, 35)
						s[k][i] = float32(special)
						before := clone(s)
						c.run(s)
						want, _ := c.element(at(before, i))
						for o, w := range want {
							if got := float64(s[o][i]); (math.IsNaN(w) || math.IsInf(w, 0)) && math.Float64bits(got) != math.Float64bits(w) && !(got != got && w != w) {
								t.Fatalf("%s with %v in slice %d: slice %d has %v, want %v", c.name, special, k, o, got, w)
							}
							for j, v := range s[o] {
								if j != i && v != v {
									t.Fatalf("%s with %v in slice %d, element %d: element %d of slice %d is NaN", c.name, special, k, i, j, o)
								}
							}
						}
					}
				}
			}
		}
	})
}

func TestReductionsMatchTheirFormulas(t *testing.T) {
	term := map[string]func(x []float64) float64{
		"SumSquares": func(x []float64) float64 { return x[0] * x[0] },
		"Product":    func(x []float64) float64 { return x[0] * x[1] },
		"ExpSum":     func(x []float64) float64 { return math.Exp(0.75 * (x[1] - 0.5)) },
	}
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for _, c := range rowCases {
			of := term[c.name]
			if of == nil {
				continue
			}
			for _, n := range rowLengths() {
				s, _ := c.inputs(r, n)
				before := clone(s)
				got := float64(c.run(s))
				want, scale := 0.0, 0.0
				for i := range n {
					v := of(at(before, i))
					want, scale = want+v, scale+math.Abs(v)
				}
				// A lane has n/16 additions, and 6 combine the lanes of four
				// sums; the terms of ExpSum are off by up to 8 roundings.
				if tol := float64(n/16+15) * 0x1p-24 * scale; !(math.Abs(got-want) <= tol) {
					t.Fatalf("%s of %d = %v, want %v ± %v", c.name, n, got, want, tol)
				}
			}
		}
	})
}

func TestReductionsSeeEveryElement(t *testing.T) {
	nan := float32(math.NaN())
	onEachRows(t, func(t *testing.T) {
		for n := 1; n < 150; n++ {
			for i := range n {
				x, one := make([]float32, n), make([]float32, n)
				for j := range x {
					x[j], one[j] = -3, 1
				}
				x[i] = -2
				if got := Max(x); got != -2 {
					t.Fatalf("Max of %d with −2 at %d among −3 = %v", n, i, got)
				}
				x[i] = nan
				for name, got := range map[string]float32{
					"Max": Max(x), "SumSquares": SumSquares(x),
					"Product": Product(x, one), "ExpSum": ExpSum(one, x, 1, 0),
				} {
					if got == got {
						t.Fatalf("%s of %d with NaN at %d = %v", name, n, i, got)
					}
				}
			}
		}
		least := float32(math.Inf(-1))
		if got := Max(nil); got != least {
			t.Errorf("Max of nothing = %v, want %v", got, least)
		}
		if got := Max([]float32{least, least}); got != least {
			t.Errorf("Max of infinities = %v, want %v", got, least)
		}
	})
}

func TestRMSNormRows(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 4))
		for _, n := range rowLengths() {
			x, out := random(r, n), make([]float32, n)
			rrms := RMSNorm(out, x, 0.25)
			sum := 0.0
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			want := 1 / math.Sqrt(sum/float64(max(n, 1))+0.25)
			// The sum is off by n/16 + 8 roundings, its root by half of that.
			tol := float64(n/16+10) * 0x1p-24
			if !(math.Abs(float64(rrms)-want) <= tol*want) {
				t.Fatalf("RMSNorm of %d returned %v, want %v", n, rrms, want)
			}
			for i, v := range x {
				if w := want * float64(v); !(math.Abs(float64(out[i])-w) <= (tol+0x1p-23)*math.Abs(w)) {
					t.Fatalf("RMSNorm of %d: out[%d] = %v, want %v", n, i, out[i], w)
				}
			}
			checkRMSNormGrad(t, r, n, out, rrms)
		}
	})
}

func checkRMSNormGrad(t *testing.T, r *rand.Rand, n int, out []float32, rrms float32) {
	t.Helper()
	dout, added := random(r, n), random(r, n)
	before, written := append([]float32(nil), added...), random(r, n)
	RMSNormGrad(added, dout, out, rrms)
	RMSNormGradTo(written, dout, out, rrms)
	dot, size := 0.0, 0.0
	for i, d := range dout {
		p := float64(d) * float64(out[i])
		dot, size = dot+p, size+math.Abs(p)
	}
	for i, d := range dout {
		g := float64(rrms) * (float64(d) - float64(out[i])*dot/float64(n))
		// The mean is off by n/16 + 8 roundings of its terms, the rest by four.
		scale := float64(rrms) * (math.Abs(float64(d)) + math.Abs(float64(out[i]))*size/float64(n))
		tol := float64(n/16+12) * 0x1p-24 * (scale + math.Abs(float64(before[i])))
		if w := float64(before[i]) + g; !(math.Abs(float64(added[i])-w) <= tol) {
			t.Fatalf("RMSNormGrad of %d: dx[%d] = %v, want %v", n, i, added[i], w)
		}
		if !(math.Abs(float64(written[i])-g) <= tol) {
			t.Fatalf("RMSNormGradTo of %d: dx[%d] = %v, want %v", n, i, written[i], g)
		}
	}
}

func TestRotateTurnsHalvesAndBack(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 5))
		for half := range 70 {
			x, cos, sin := random(r, 2*half), make([]float32, half), make([]float32, half)
			for i := range half {
				s, c := math.Sincos(r.Float64() * 7)
				cos[i], sin[i] = float32(c), float32(s)
			}
			before := append([]float32(nil), x...)
			Rotate(x, cos, sin, 1)
			for i := range half {
				a, b, c, s := float64(before[i]), float64(before[half+i]), float64(cos[i]), float64(sin[i])
				// Three roundings of terms no larger than |a| + |b|.
				tol := 3 * 0x1p-24 * (math.Abs(a) + math.Abs(b))
				if w := a*c + b*s; !(math.Abs(float64(x[i])-w) <= tol) {
					t.Fatalf("Rotate of %d: x[%d] = %v, want %v", 2*half, i, x[i], w)
				}
				if w := b*c - a*s; !(math.Abs(float64(x[half+i])-w) <= tol) {
					t.Fatalf("Rotate of %d: x[%d] = %v, want %v", 2*half, half+i, x[half+i], w)
				}
			}
			Rotate(x, cos, sin, -1)
			for i, v := range x {
				// cos and sin are rounded too: their squares do not sum up to 1.
				if !(math.Abs(float64(v-before[i])) <= 16*0x1p-24*(math.Abs(float64(before[i%half]))+math.Abs(float64(before[half+i%half])))) {
					t.Fatalf("Rotate of %d there and back: x[%d] = %v, was %v", 2*half, i, v, before[i])
				}
			}
		}
	})
}

func TestExpSumIsAsExactAsExp(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		var x []float32
		for v := float32(-87.3); v < 88.7; v += 0.00037 {
			x = append(x, v)
		}
		x = append(x, -87.33654, 88.72283-0x1p-17) // the ends
		out := make([]float32, len(x))
		ExpSum(out, x, 1, 0)
		worst := 0.0
		for i, v := range x {
			want := math.Exp(float64(v))
			worst = max(worst, math.Abs(float64(out[i])-want)/(want*0x1p-23))
		}
		t.Logf("off by %.2f units in the last place", worst)
		if !(worst <= 2) {
			t.Errorf("ExpSum is off by %.2f units in the last place, want 2 at most", worst)
		}

		inf := float32(math.Inf(1))
		for _, c := range []struct{ x, want float32 }{{0, 1}, {-100, 0}, {-87.33655, 0}, {-1e30, 0}, {-inf, 0}, {88.72284, inf}, {100, inf}, {1e30, inf}, {inf, inf}} {
			if ExpSum(out[:1], []float32{c.x}, 1, 0); out[0] != c.want {
				t.Errorf("ExpSum of %v = %v, want %v", c.x, out[0], c.want)
			}
		}
		// Every payload: the bits of n are added to those of eʳ.
		for _, bits := range []uint32{0x7fc00000, 0xffc00000, 0x7fffffff, 0xffffffff, 0x7f800001, 0x7fc001ff} {
			if ExpSum(out[:1], []float32{math.Float32frombits(bits)}, 1, 0); out[0] == out[0] {
				t.Errorf("ExpSum of NaN %08x = %v", bits, out[0])
			}
		}
	})
}

func TestSoftcapIsExactForSmallAndLarge(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		var x []float32
		for v := 1e-36; v < 1e30; v *= 1.0003 {
			x = append(x, float32(v))
		}
		y, mirrored := append([]float32(nil), x...), make([]float32, len(x))
		AddScaled(mirrored, -1, x)
		Softcap(y, 15)
		Softcap(mirrored, 15)
		worst := 0.0
		for i, v := range x {
			want := 15 * math.Tanh(float64(v)/15)
			worst = max(worst, math.Abs(float64(y[i])-want)/want)
			if mirrored[i] != -y[i] {
				t.Fatalf("Softcap of ±%v = %v and %v", v, y[i], mirrored[i])
			}
		}
		t.Logf("off by %.3g of the result", worst)
		// Its comment says so.
		if !(worst <= 6e-7) {
			t.Errorf("Softcap is off by %.3g of the result, want 6e-7 at most", worst)
		}
		zero := []float32{float32(math.Copysign(0, -1)), 0}
		Softcap(zero, 15)
		if got := fmt.Sprint(zero); got != "[-0 0]" {
			t.Errorf("Softcap of −0 and 0 = %v", got)
		}
	})
}
