package kernel

import "math"

// A bfloat16 is the upper half of a float32: its sign, its exponent and 7 bits
// of its mantissa. Conversions are integer arithmetic, so that subnormal numbers
// are kept and every machine gives the same bits.

// ToBF16 rounds src to the nearest bfloat16, to the even one of two as near. NaN
// stays NaN, and becomes quiet.
func ToBF16(dst []uint16, src []float32) {
	n := len(dst)
	atLeast("ToBF16", n, len(src))
	whole := n - n%rowLanes
	activeRows.toBF16(dst[:whole], src)
	toBF16Generic(dst[whole:], src[whole:])
}

// FromBF16 is the float32 of each bfloat16, exactly; a NaN keeps its bits.
func FromBF16(dst []float32, src []uint16) {
	n := len(dst)
	atLeast("FromBF16", n, len(src))
	whole := n - n%rowLanes
	activeRows.fromBF16(dst[:whole], src)
	fromBF16Generic(dst[whole:], src[whole:])
}

func toBF16Generic(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = toBF16(v)
	}
}

func toBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	// Just under half, or half where the number above is odd.
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func fromBF16Generic(dst []float32, src []uint16) {
	src = src[:len(dst)]
	for i, v := range src {
		dst[i] = fromBF16(v)
	}
}

func fromBF16(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }
