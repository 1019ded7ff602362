package kernel

import "math"

// Exp is eˣ in float32, within 2 units in the last place over its whole
// range; +Inf above 88.72, 0 below −87.34 (no subnormal results), NaN for NaN.
func Exp(x float32) float32 {
	if !(x < 88.72283) {
		if x != x {
			return x
		}
		return float32(math.Inf(1))
	}
	if x < -87.33654 {
		return 0
	}
	n, r := reduce(x)
	p := float32(taylor(r)*r) + 1
	// n reaches 128 where the result is still finite: two factors.
	half := int32(n) >> 1
	return p * math.Float32frombits(uint32(half+127)<<23) * math.Float32frombits(uint32(int32(n)-half+127)<<23)
}

// expm1 is eˣ − 1 for −87 ≤ x ≤ 0, with a small relative error near 0 too:
// 2ⁿ·(eʳ − 1) + (2ⁿ − 1). NaN for NaN.
func expm1(x float32) float32 {
	n, r := reduce(x)
	power := math.Float32frombits(uint32(int32(n)+127) << 23)
	return float32(power*float32(taylor(r)*r)) + (power - 1)
}

// reduce finds x = n·ln 2 + r with |r| ≤ ln 2 / 2. ln 2 is taken off in two
// parts, the first with trailing zeros, so that n·hi is exact (Cody & Waite
// 1980).
func reduce(x float32) (n, r float32) {
	const (
		log2e = 1.44269504088896341
		hi    = 0.693359375
		lo    = -2.12194440e-4
	)
	// Adding and taking off 1.5·2²³ rounds to the nearest integer.
	const round = 1.5 * (1 << 23)
	n = float32(float32(x*log2e)+round) - round
	return n, float32(x-float32(n*hi)) - float32(n*lo)
}

// taylor is (eʳ − 1)/r for |r| ≤ ln 2 / 2, by the terms of degree 7 and less of
// eʳ: the next one is 2⁻²⁷ of it.
func taylor(r float32) float32 {
	p := float32(1. / 5040)
	p = float32(p*r) + 1./720
	p = float32(p*r) + 1./120
	p = float32(p*r) + 1./24
	p = float32(p*r) + 1./6
	p = float32(p*r) + 1./2
	return float32(p*r) + 1
}
