package kernel

import (
	"math"
	"testing"
)

func TestExp(t *testing.T) {
	worst := 0.0
	for x := float32(-87.3); x < 88.7; x += 0.00037 {
		want := math.Exp(float64(x))
		ulp := math.Abs(float64(Exp(x))-want) / (want * 0x1p-23)
		worst = max(worst, ulp)
	}
	for _, x := range []float32{-87.33654, 88.72283 - 0x1p-17} { // the ends
		want := math.Exp(float64(x))
		worst = max(worst, math.Abs(float64(Exp(x))-want)/(want*0x1p-23))
	}
	if !(worst <= 2) {
		t.Errorf("Exp is off by %.2f units in the last place, want 2 at most", worst)
	}
	inf := float32(math.Inf(1))
	for _, c := range []struct{ x, want float32 }{{0, 1}, {-100, 0}, {-inf, 0}, {100, inf}, {inf, inf}} {
		if got := Exp(c.x); got != c.want {
			t.Errorf("Exp(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := Exp(float32(math.NaN())); got == got {
		t.Errorf("Exp(NaN) = %v, want NaN", got)
	}
}
