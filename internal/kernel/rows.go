package kernel

import (
	"fmt"
	"math"
)

// The loops over one row of float32. A result does not depend on where an
// element stands: a row may be cut anywhere, and the parts give the bits of the
// whole. Sums run over 16 lanes, of which lane j adds every element i with i mod
// 16 = j, in four parts that take turns, and end in a fixed tree: their order is
// a function of the length alone.

// rowEngine is one implementation of these loops. Lengths are checked and not
// zero.
type rowEngine struct {
	name string

	add, relu2            func(y, x []float32)
	addScaled, scaleTo    func(y, x []float32, a float32)
	sum, sumSquares, most func(x []float32) float32
	product               func(a, b []float32) float32
	expSum                func(out, x []float32, scale, shift float32) float32
	normGrad, normGradTo  func(dx, dout, out []float32, rrms, mean float32)
	rotate                func(x1, x2, cos, sin []float32, sign float32)
	relu2Grad             func(dx, dout, act []float32)
	softmaxGrad           func(ds, p, dp []float32, delta, scale float32)
	softcap               func(x []float32, limit, slope float32)
	softcapGrad           func(dx, y []float32, inverse float32)
	adamW                 func(p, m, v, g []float32, c adamWConstants)
	toBF16                func(dst []uint16, src []float32)
	fromBF16              func(dst []float32, src []uint16)
}

// rowEngines are those that this machine can run, the fastest first; the last is
// the reference in Go. Tests set rowLoops to each of them.
var (
	rowEngines = append(detectRows(), &genericRows)
	rowLoops   = rowEngines[0]
)

// same panics unless all slices have n elements at least.
func same(name string, n int, lengths ...int) bool {
	for _, l := range lengths {
		if l < n {
			panic(fmt.Sprintf("kernel: %s: %d elements, want %d", name, l, n))
		}
	}
	return n > 0
}

// Add is y += x over the length of y.
func Add(y, x []float32) {
	if same("Add", len(y), len(x)) {
		rowLoops.add(y, x[:len(y)])
	}
}

// AddScaled is y += a·x over the length of y.
func AddScaled(y []float32, a float32, x []float32) {
	if same("AddScaled", len(y), len(x)) {
		rowLoops.addScaled(y, x[:len(y)], a)
	}
}

// Scale is y *= a.
func Scale(y []float32, a float32) {
	if len(y) > 0 {
		rowLoops.scaleTo(y, y, a)
	}
}

// Sum is Σ x.
func Sum(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	return rowLoops.sum(x)
}

// SumSquares is Σ x².
func SumSquares(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	return rowLoops.sumSquares(x)
}

// Product is the inner product of a with the first len(a) elements of b.
func Product(a, b []float32) float32 {
	if !same("Product", len(a), len(b)) {
		return 0
	}
	return rowLoops.product(a, b[:len(a)])
}

// Max is the largest element, NaN if one is, −Inf without elements.
func Max(x []float32) float32 {
	if len(x) == 0 {
		return float32(math.Inf(-1))
	}
	return rowLoops.most(x)
}

// ExpSum is out = exp(scale·(x − shift)), as accurate as [Exp], and returns the
// sum over out. out may be x.
func ExpSum(out, x []float32, scale, shift float32) float32 {
	if !same("ExpSum", len(out), len(x)) {
		return 0
	}
	return rowLoops.expSum(out, x[:len(out)], scale, shift)
}

// RMSNorm is out = x·rrms with rrms = 1/√(mean(x²) + eps), which it returns. out
// may be x.
func RMSNorm(out, x []float32, eps float32) (rrms float32) {
	if !same("RMSNorm", len(out), len(x)) {
		return float32(1 / math.Sqrt(float64(eps)))
	}
	x = x[:len(out)]
	sum := float64(rowLoops.sumSquares(x))
	if math.IsInf(sum, 1) { // squares beyond float32
		sum = 0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
	}
	rrms = float32(1 / math.Sqrt(sum/float64(len(x))+float64(eps)))
	rowLoops.scaleTo(out, x, rrms)
	return rrms
}

// RMSNormGrad is dx += rrms·(dout − out·mean(dout·out)), the gradient of
// [RMSNorm]. dout may be dx.
func RMSNormGrad(dx, dout, out []float32, rrms float32) {
	if same("RMSNormGrad", len(dx), len(dout), len(out)) {
		n := len(dx)
		rowLoops.normGrad(dx, dout[:n], out[:n], rrms, rowLoops.product(dout[:n], out[:n])/float32(n))
	}
}

// RMSNormGradTo is [RMSNormGrad] over what dx holds.
func RMSNormGradTo(dx, dout, out []float32, rrms float32) {
	if same("RMSNormGradTo", len(dx), len(dout), len(out)) {
		n := len(dx)
		rowLoops.normGradTo(dx, dout[:n], out[:n], rrms, rowLoops.product(dout[:n], out[:n])/float32(n))
	}
}

// Rotate turns the pairs that the two halves of x (D) make, in place:
//
//	x1 ← x1·cos + x2·sign·sin
//	x2 ← x2·cos − x1·sign·sin
//
// cos and sin have D/2 elements.
func Rotate(x, cos, sin []float32, sign float32) {
	half := len(x) / 2
	if same("Rotate", half, len(cos), len(sin)) {
		rowLoops.rotate(x[:half], x[half:2*half], cos[:half], sin[:half], sign)
	}
}

// ReLU2 is out = max(x, 0)². out may be x.
func ReLU2(out, x []float32) {
	if same("ReLU2", len(out), len(x)) {
		rowLoops.relu2(out, x[:len(out)])
	}
}

// ReLU2Grad is dx = dout·2√act: the slope of [ReLU2], from its result. dx may be
// dout.
func ReLU2Grad(dx, dout, act []float32) {
	if same("ReLU2Grad", len(dx), len(dout), len(act)) {
		rowLoops.relu2Grad(dx, dout[:len(dx)], act[:len(dx)])
	}
}

// SoftmaxGrad is ds = p·(dp − delta)·scale. ds may be dp.
func SoftmaxGrad(ds, p, dp []float32, delta, scale float32) {
	if same("SoftmaxGrad", len(ds), len(p), len(dp)) {
		rowLoops.softmaxGrad(ds, p[:len(ds)], dp[:len(ds)], delta, scale)
	}
}

// Softcap is x ← cap·tanh(x/cap), to a few units in the last place.
func Softcap(x []float32, cap float32) {
	if len(x) > 0 {
		rowLoops.softcap(x, cap, -2/cap)
	}
}

// SoftcapGrad is dx *= 1 − (y/cap)² for y that [Softcap] gave.
func SoftcapGrad(dx, y []float32, cap float32) {
	if same("SoftcapGrad", len(dx), len(y)) {
		rowLoops.softcapGrad(dx, y[:len(dx)], 1/cap)
	}
}

// AdamWStep holds the numbers of one step of AdamW.
type AdamWStep struct {
	GradScale    float32 // of the gradients, for clipping
	Beta1, Beta2 float32
	Keep         float32 // 1 − lr·decay
	Size         float32 // lr/(1 − β₁ᵗ)
	Root         float32 // √(1 − β₂ᵗ)
	Eps          float32
	ClearGrad    bool // the gradients are left at zero
}

// adamWConstants are those numbers as the loops take them.
type adamWConstants struct{ gradScale, beta1, rest1, beta2, rest2, keep, size, root, eps float32 }

// adamWBlock is how many weights are stepped before their gradients are
// cleared: what they touch stays in L1.
const adamWBlock = 1024

// AdamW takes a step in one pass:
//
//	d = g·GradScale
//	m ← β₁m + (1−β₁)d,  v ← β₂v + (1−β₂)d²
//	p ← p·Keep − Size·m/(√v/Root + ε)
func AdamW(p, m, v, g []float32, s AdamWStep) {
	if !same("AdamW", len(p), len(m), len(v), len(g)) {
		return
	}
	c := adamWConstants{s.GradScale, s.Beta1, 1 - s.Beta1, s.Beta2, 1 - s.Beta2, s.Keep, s.Size, 1 / s.Root, s.Eps}
	for lo := 0; lo < len(p); lo += adamWBlock {
		hi := min(lo+adamWBlock, len(p))
		rowLoops.adamW(p[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], c)
		if s.ClearGrad {
			clear(g[lo:hi])
		}
	}
}

// ToBF16 rounds to bfloat16, to nearest and even. NaN stays NaN.
func ToBF16(dst []uint16, src []float32) {
	if same("ToBF16", len(dst), len(src)) {
		whole := len(dst) &^ 15
		if whole > 0 {
			rowLoops.toBF16(dst[:whole], src[:whole])
		}
		for i, v := range src[whole:len(dst)] {
			dst[whole+i] = toBF16(v)
		}
	}
}

// FromBF16 widens bfloat16, exactly.
func FromBF16(dst []float32, src []uint16) {
	if same("FromBF16", len(dst), len(src)) {
		whole := len(dst) &^ 15
		if whole > 0 {
			rowLoops.fromBF16(dst[:whole], src[:whole])
		}
		for i, h := range src[whole:len(dst)] {
			dst[whole+i] = fromBF16(h)
		}
	}
}

func toBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40 // quiet
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
