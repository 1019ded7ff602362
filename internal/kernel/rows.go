package kernel

import "fmt"

// Row kernels are loops over one row. They see a row as vectors of 16 lanes,
// held by one AVX-512 register or by two of AVX2; both compute the same, bit
// for bit. A tail is a vector with some lanes masked, so an element of a result
// has the same bits wherever it stands, and however a range is split. A
// reduction adds element i to lane i mod 16 of one of four sums, and combines
// sums and lanes as a tree: an order that depends on the length alone.
//
// The first slice says how many elements there are; a shorter other one panics.
// No slice needs an alignment. Slices may be the same where it is said, and may
// not overlap in another way.

// A rowEngine is one implementation of the row kernels. They take slices at
// least as long as the first.
type rowEngine struct {
	name string

	add       func(y, x []float32)
	addScaled func(y, x []float32, a float32)
	scaleTo   func(out, x []float32, a float32)

	sumSquares, maximum func(x []float32) float32
	product             func(a, b []float32) float32
	expSum              func(out, x []float32, scale, shift float32) float32

	normGrad, normGradTo func(dx, dout, out []float32, rrms, mean float32)
	rotate               func(x1, x2, cos, sin []float32, sign float32)
	relu2                func(out, x []float32)
	relu2Grad            func(dx, dout, act []float32)
	softmaxGrad          func(ds, p, dp []float32, delta, scale float32)
	softcap              func(x []float32, limit, slope float32)
	softcapGrad          func(dx, y []float32, inverse float32)

	adamW func(p, m, v, g []float32, c adamWConstants)

	// toBF16 and fromBF16 take rows whose length is a multiple of rowLanes.
	toBF16   func(dst []uint16, src []float32)
	fromBF16 func(dst []float32, src []uint16)
}

const rowLanes = 16

// rowEngines are those that this machine can run, the fastest first; the last is
// the reference in Go. Tests set activeRows to each of them.
var (
	rowEngines = append(detectRows(), &genericRows)
	activeRows = rowEngines[0]
)

// atLeast panics if a slice is too short: assembly does not look.
func atLeast(name string, n int, lengths ...int) {
	for _, have := range lengths {
		if have < n {
			tooShort(name, have, n)
		}
	}
}

func tooShort(name string, have, n int) {
	panic(fmt.Sprintf("kernel: %s: a slice of %d elements for a row of %d", name, have, n))
}

// Add is y += x.
func Add(y, x []float32) {
	atLeast("Add", len(y), len(x))
	activeRows.add(y, x)
}

// AddScaled is y += a·x.
func AddScaled(y []float32, a float32, x []float32) {
	atLeast("AddScaled", len(y), len(x))
	activeRows.addScaled(y, x, a)
}

// Scale is y *= a.
func Scale(y []float32, a float32) { activeRows.scaleTo(y, y, a) }

// SumSquares is Σ x².
func SumSquares(x []float32) float32 { return activeRows.sumSquares(x) }

// Product is the inner product Σ a·b.
func Product(a, b []float32) float32 {
	atLeast("Product", len(a), len(b))
	return activeRows.product(a, b)
}

// Max is the largest element, −Inf of none, NaN where any element is NaN.
func Max(x []float32) float32 { return activeRows.maximum(x) }

// ExpSum is out = exp((x − shift)·scale), and returns Σ out: 1 where x is shift,
// however large the two are. Each value is within 2 units in the last place of the exponential of the argument as rounded to
// float32; the ends of the range are those of [Exp]. −Inf gives 0, unless shift
// is −Inf too. out may be x.
func ExpSum(out, x []float32, scale, shift float32) float32 {
	atLeast("ExpSum", len(out), len(x))
	return activeRows.expSum(out, x, scale, shift)
}
