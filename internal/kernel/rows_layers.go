package kernel

import "math"

// RMSNorm divides a row by its root mean square, and returns the factor:
//
//	rrms = 1/√(mean(x²) + ε)
//	out  = x·rrms
//
// Σ x² is a float32 where that is finite, else a float64. out may be x.
//
// Zhang & Sennrich 2019, arXiv 1910.07467, eq. 4.
func RMSNorm(out, x []float32, eps float32) (rrms float32) {
	n := len(out)
	atLeast("RMSNorm", n, len(x))
	sum := float64(activeRows.sumSquares(x[:n]))
	if math.IsInf(sum, 1) {
		sum = 0
		for _, v := range x[:n] {
			sum += float64(v) * float64(v)
		}
	}
	rrms = float32(1 / math.Sqrt(sum/float64(max(n, 1))+float64(eps)))
	activeRows.scaleTo(out, x, rrms)
	return rrms
}

// RMSNormGrad adds the input gradient of [RMSNorm]:
//
//	dx += rrms·(dout − out·mean(dout·out))
//
// dx is another slice than dout and out.
func RMSNormGrad(dx, dout, out []float32, rrms float32) {
	atLeast("RMSNormGrad", len(dx), len(dout), len(out))
	activeRows.normGrad(dx, dout, out, rrms, meanProduct(dout[:len(dx)], out))
}

// RMSNormGradTo is [RMSNormGrad] with = in the place of +=. dx may be dout or
// out.
func RMSNormGradTo(dx, dout, out []float32, rrms float32) {
	atLeast("RMSNormGradTo", len(dx), len(dout), len(out))
	activeRows.normGradTo(dx, dout, out, rrms, meanProduct(dout[:len(dx)], out))
}

func meanProduct(a, b []float32) float32 {
	return float32(float64(activeRows.product(a, b)) / float64(max(len(a), 1)))
}

// Rotate turns the pairs (x1, x2) that the halves of x make, in place:
//
//	x1 ← x1·cos + x2·sign·sin
//	x2 ← x2·cos − x1·sign·sin
//
//	x         (D)    D even
//	cos, sin  (D/2)
//	sign             1 forward, −1 back
func Rotate(x, cos, sin []float32, sign float32) {
	if len(x)%2 != 0 {
		panic("kernel: Rotate: the row has an odd width")
	}
	half := len(x) / 2
	atLeast("Rotate", half, len(cos), len(sin))
	activeRows.rotate(x[:half], x[half:], cos, sin, sign)
}

// ReLU2 is out = max(x, 0)². out may be x.
func ReLU2(out, x []float32) {
	atLeast("ReLU2", len(out), len(x))
	activeRows.relu2(out, x)
}

// ReLU2Grad is the gradient of [ReLU2] from its result: dx = dout·2·√act, since
// √act = max(x, 0). dx may be dout or act.
func ReLU2Grad(dx, dout, act []float32) {
	atLeast("ReLU2Grad", len(dx), len(dout), len(act))
	activeRows.relu2Grad(dx, dout, act)
}

// SoftmaxGrad is the gradient of p = softmax(scale·s) from that of p:
//
//	ds = p·(dp − delta)·scale, delta = Σ p·dp
//
// ds may be p or dp.
func SoftmaxGrad(ds, p, dp []float32, delta, scale float32) {
	atLeast("SoftmaxGrad", len(ds), len(p), len(dp))
	activeRows.softmaxGrad(ds, p, dp, delta, scale)
}

// Softcap is x ← limit·tanh(x/limit), in place, within 6·10⁻⁷ of the result for
// every x, however small.
//
// tanh |y| = −e/(2+e) with e = exp(−2|y|) − 1, which is computed without taking
// 1 off a rounded exponential.
func Softcap(x []float32, limit float32) { activeRows.softcap(x, limit, -2/limit) }

// SoftcapGrad turns the gradient of [Softcap] with respect to its result y into
// that with respect to its input, in place: dx ← dx·(1 − (y/limit)²).
func SoftcapGrad(dx, y []float32, limit float32) {
	atLeast("SoftcapGrad", len(dx), len(y))
	activeRows.softcapGrad(dx, y, 1/limit)
}
