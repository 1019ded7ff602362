package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// differs returns the first place where two rows have other bits, or −1.
func differs(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

func TestInstructionSetsGiveTheSameBits(t *testing.T) {
	if len(rowEngines) < 3 {
		t.Skip("the machine has one instruction set")
	}
	r := rand.New(rand.NewPCG(11, 11))
	special := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-40, 1e38, -1e38, 90, -90}
	for _, c := range rowCases {
		for _, n := range rowLengths() {
			for _, specials := range []bool{false, true} {
				s, _ := c.inputs(r, n)
				for range n / 4 {
					if specials {
						s[r.IntN(len(s))][r.IntN(n)] = special[r.IntN(len(special))]
					}
				}
				var results [2][][]float32
				for i, e := range rowEngines[:2] {
					useRows(t, e)
					results[i] = clone(s)
					results[i] = append(results[i], []float32{c.run(results[i])})
				}
				for k, row := range results[0] {
					if i := differs(row, results[1][k]); i >= 0 {
						t.Fatalf("%s of %d: slice %d, element %d is %v or %v", c.name, n, k, i, row[i], results[1][k][i])
					}
				}
			}
		}
	}
}

func TestElementsDoNotDependOnTheirPlace(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(12, 12))
		for _, c := range rowCases {
			if c.element == nil {
				continue
			}
			const n = 83
			s, _ := c.inputs(r, n)
			whole := clone(s)
			c.run(whole)
			for split := range n + 1 {
				parts := clone(s)
				var low, high [][]float32
				for _, row := range parts {
					low, high = append(low, row[:split]), append(high, row[split:])
				}
				c.run(low)
				c.run(high)
				for k := range whole {
					if i := differs(whole[k], parts[k]); i >= 0 {
						t.Fatalf("%s of %d, split at %d: slice %d, element %d is %v, not %v", c.name, n, split, k, i, parts[k][i], whole[k][i])
					}
				}
			}
		}
	})
}

func TestRowsInPlace(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 13))
		for _, c := range rowCases {
			for _, k := range c.same {
				for _, n := range rowLengths() {
					s, _ := c.inputs(r, n)
					want, got := clone(s), clone(s)
					got[0] = got[k]
					if a, b := c.run(want), c.run(got); a != b {
						t.Fatalf("%s of %d into slice %d returned %v, want %v", c.name, n, k, b, a)
					}
					if i := differs(want[0], got[0]); i >= 0 {
						t.Fatalf("%s of %d into slice %d: element %d is %v, want %v", c.name, n, k, i, got[0][i], want[0][i])
					}
				}
			}
		}
	})
}

func TestRowsRefuseShortSlices(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(14, 14))
		for _, c := range rowCases {
			if c.name == "rotate" {
				continue
			}
			for k := 1; k < c.slices; k++ {
				s, _ := c.inputs(r, 20)
				s[k] = s[k][:19]
				refuses(t, c.name, func() { c.run(s) })
			}
		}
		x := make([]float32, 20)
		refuses(t, "Rotate", func() { Rotate(x, x[:9], x[:10], 1) })
		refuses(t, "Rotate", func() { Rotate(x, x[:10], x[:9], 1) })
		odd := random(r, 19)
		refuses(t, "Rotate", func() { Rotate(odd, x, x, 1) })
		refuses(t, "ToBF16", func() { ToBF16(make([]uint16, 20), x[:19]) })
		refuses(t, "FromBF16", func() { FromBF16(x, make([]uint16, 19)) })
	})
}

func refuses(t *testing.T, name string, call func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s with a slice that is too short returned", name)
		}
	}()
	call()
}
