package kernel

import (
	"math"
	"slices"
	"testing"
)

// nearestBF16 chooses between the bfloat16 below and above in absolute value by
// their distances, which float64 holds exactly.
func nearestBF16(v float32) uint16 {
	low := uint16(math.Float32bits(v) >> 16)
	value := func(b uint16) float64 {
		if b&0x7fff == 0x7f80 {
			return math.Copysign(0x1p128, float64(v)) // where infinity begins
		}
		return float64(math.Float32frombits(uint32(b) << 16))
	}
	if v != v || math.IsInf(float64(v), 0) {
		return low
	}
	below, above := math.Abs(float64(v)-value(low)), math.Abs(value(low+1)-float64(v))
	if below < above || below == above && low%2 == 0 {
		return low
	}
	return low + 1
}

func TestToBF16RoundsToNearestEven(t *testing.T) {
	var x []float32
	for high := range uint32(1 << 16) {
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			x = append(x, math.Float32frombits(high<<16|low))
		}
	}
	onEachRows(t, func(t *testing.T) {
		got := make([]uint16, len(x))
		ToBF16(got, x)
		for i, v := range x {
			if v != v {
				if got[i]&0x7fc0 != 0x7fc0 {
					t.Fatalf("ToBF16 of NaN %08x = %04x, want a quiet NaN", math.Float32bits(v), got[i])
				}
				continue
			}
			if want := nearestBF16(v); got[i] != want {
				t.Fatalf("ToBF16 of %v (%08x) = %04x, want %04x", v, math.Float32bits(v), got[i], want)
			}
		}
	})
}

func TestFromBF16IsExact(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		b := make([]uint16, 1<<16)
		for i := range b {
			b[i] = uint16(i)
		}
		x := make([]float32, len(b))
		FromBF16(x, b)
		for i, v := range x {
			if math.Float32bits(v) != uint32(i)<<16 {
				t.Fatalf("FromBF16 of %04x = %08x", i, math.Float32bits(v))
			}
		}
	})
}

func TestBF16OfEveryLength(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		for n := range 68 {
			const margin = 17
			wide, narrow := make([]float32, n+2*margin), make([]uint16, n+2*margin)
			for i := range wide {
				wide[i], narrow[i] = float32(i), 0xabcd
			}
			ToBF16(narrow[margin:][:n], wide[margin:][:n])
			for i, b := range narrow {
				inside := i >= margin && i < margin+n
				if inside && b != nearestBF16(wide[i]) || !inside && b != 0xabcd {
					t.Fatalf("ToBF16 of %d: dst[%d] = %04x", n, i-margin, b)
				}
			}
			back := slices.Repeat([]float32{-1}, n+2*margin)
			FromBF16(back[margin:][:n], narrow[margin:][:n])
			for i, v := range back {
				inside := i >= margin && i < margin+n
				// Whole numbers below 256 have 8 bits.
				if inside && v != wide[i] || !inside && v != -1 {
					t.Fatalf("FromBF16 of %d: dst[%d] = %v", n, i-margin, v)
				}
			}
		}
	})
}
