// Package testkit holds what the tests of several packages share. Only tests
// import it.
package testkit

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Difference is a finite-difference check of a gradient.
type Difference struct {
	Entries   int     // how many entries of a slice are checked, at random; 0 is all
	H         float64 // step; a power of two, so that x±h rounds little
	Tolerance float64 // of the deviation, as a fraction of the largest gradient of the slice
}

// Check compares grad, the gradient of loss with respect to x, with the
// differences of loss when an entry of x moves:
//
//	f′(x) ≈ (8·(f(x+h) − f(x−h)) − (f(x+2h) − f(x−2h))) / 12h
//
// The fourth order of the error allows a step so long that the rounding of a
// float32 loss does not drown the difference. It returns the largest deviation
// in units of the largest gradient.
func (d Difference) Check(t testing.TB, name string, x, grad []float32, loss func() float64) (worst float64) {
	t.Helper()
	if len(grad) != len(x) {
		t.Fatalf("%s: %d gradients for %d entries", name, len(grad), len(x))
	}
	largest := 0.0
	for _, g := range grad {
		largest = max(largest, math.Abs(float64(g)))
	}
	if !(largest > 0) || math.IsInf(largest, 0) {
		t.Fatalf("%s: the largest gradient is %v: nothing to compare", name, largest)
	}
	entries := rand.New(rand.NewPCG(1, 2)).Perm(len(x))
	if d.Entries > 0 {
		entries = entries[:min(d.Entries, len(x))]
	}
	for _, i := range entries {
		before := x[i]
		at := func(h float64) float64 {
			x[i] = float32(float64(before) + h)
			return loss()
		}
		want := (8*(at(d.H)-at(-d.H)) - (at(2*d.H) - at(-2*d.H))) / (12 * d.H)
		x[i] = before
		deviation := math.Abs(float64(grad[i])-want) / largest
		worst = max(worst, deviation)
		if !(deviation <= d.Tolerance) {
			t.Errorf("%s: gradient of entry %d is %.7g, finite difference %.7g: %.2g of the largest gradient, want at most %.2g",
				name, i, grad[i], want, deviation, d.Tolerance)
		}
	}
	return worst
}
