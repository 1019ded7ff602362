package kernel

import "math"

// A rowCase is a row kernel as the tests call it: on slices of one length, of
// which it changes the first few.
type rowCase struct {
	name     string
	slices   int
	positive bool  // slice 2 has no negative numbers
	same     []int // slices that may be the first one
	streams  int   // rows that are read and written, for the benchmark
	run      func(s [][]float32) float32

	// element is what becomes of element i of the first slices, from element i
	// of all slices, and the size of the terms that it is a sum of. nil: the
	// result depends on other elements too.
	element func(x []float64) (want, scale []float64)
}

var testStep = AdamWStep{GradScale: 0.5, Beta1: 0.9, Beta2: 0.95, Keep: 0.99, Size: 0.01, Root: 0.3, Eps: 1e-8}

var rowCases = []rowCase{
	{
		name: "Add", slices: 2, streams: 3,
		run:     func(s [][]float32) float32 { Add(s[0], s[1]); return 0 },
		element: func(x []float64) (want, scale []float64) { return terms(x[0], x[1]) },
	},
	{
		name: "AddScaled", slices: 2, streams: 3,
		run:     func(s [][]float32) float32 { AddScaled(s[0], 0.75, s[1]); return 0 },
		element: func(x []float64) (want, scale []float64) { return terms(x[0], 0.75*x[1]) },
	},
	{
		name: "Scale", slices: 1, streams: 2,
		run:     func(s [][]float32) float32 { Scale(s[0], 0.75); return 0 },
		element: func(x []float64) (want, scale []float64) { return terms(0.75 * x[0]) },
	},
	{name: "SumSquares", slices: 1, streams: 1, run: func(s [][]float32) float32 { return SumSquares(s[0]) }},
	{name: "Product", slices: 2, streams: 2, run: func(s [][]float32) float32 { return Product(s[0], s[1]) }},
	{name: "Max", slices: 1, streams: 1, run: func(s [][]float32) float32 { return Max(s[0]) }},
	{
		name: "ExpSum", slices: 2, same: []int{1}, streams: 2,
		run: func(s [][]float32) float32 { return ExpSum(s[0], s[1], 0.75, 0.5) },
		element: func(x []float64) (want, scale []float64) {
			want, scale = terms(math.Exp(0.75 * (x[1] - 0.5)))
			// An error of the argument is a relative one of the result.
			scale[0] *= 1 + math.Min(100, math.Abs(x[1]))
			return want, scale
		},
	},
	{name: "RMSNorm", slices: 2, same: []int{1}, streams: 3, run: func(s [][]float32) float32 { return RMSNorm(s[0], s[1], 1e-6) }},
	{name: "RMSNormGrad", slices: 3, streams: 6, run: func(s [][]float32) float32 { RMSNormGrad(s[0], s[1], s[2], 0.75); return 0 }},
	{name: "RMSNormGradTo", slices: 3, same: []int{1, 2}, streams: 5, run: func(s [][]float32) float32 { RMSNormGradTo(s[0], s[1], s[2], 0.75); return 0 }},
	{
		name: "rotate", slices: 4, streams: 6,
		run: func(s [][]float32) float32 { activeRows.rotate(s[0], s[1], s[2], s[3], -1); return 0 },
		element: func(x []float64) (want, scale []float64) {
			first, firstScale := terms(x[0]*x[2], -x[1]*x[3])
			second, secondScale := terms(x[1]*x[2], x[0]*x[3])
			return append(first, second...), append(firstScale, secondScale...)
		},
	},
	{
		name: "ReLU2", slices: 2, same: []int{1}, streams: 2,
		run:     func(s [][]float32) float32 { ReLU2(s[0], s[1]); return 0 },
		element: func(x []float64) (want, scale []float64) { return terms(max(x[1], 0) * max(x[1], 0)) },
	},
	{
		name: "ReLU2Grad", slices: 3, positive: true, same: []int{1, 2}, streams: 3,
		run:     func(s [][]float32) float32 { ReLU2Grad(s[0], s[1], s[2]); return 0 },
		element: func(x []float64) (want, scale []float64) { return terms(x[1] * 2 * math.Sqrt(x[2])) },
	},
	{
		name: "SoftmaxGrad", slices: 3, same: []int{1, 2}, streams: 3,
		run: func(s [][]float32) float32 { SoftmaxGrad(s[0], s[1], s[2], 0.5, 0.125); return 0 },
		element: func(x []float64) (want, scale []float64) {
			want, _ = terms(x[1] * (x[2] - 0.5) * 0.125)
			_, scale = terms(x[1]*x[2]*0.125, x[1]*0.5*0.125)
			return want, scale
		},
	},
	{
		name: "Softcap", slices: 1, streams: 2,
		run:     func(s [][]float32) float32 { Softcap(s[0], 1.5); return 0 },
		element: func(x []float64) (want, scale []float64) { return terms(1.5 * math.Tanh(x[0]/1.5)) },
	},
	{
		name: "SoftcapGrad", slices: 2, streams: 3,
		run: func(s [][]float32) float32 { SoftcapGrad(s[0], s[1], 4); return 0 },
		element: func(x []float64) (want, scale []float64) {
			want, _ = terms(x[0] * (1 - x[1]*x[1]/16))
			_, scale = terms(x[0], x[0]*x[1]*x[1]/16)
			return want, scale
		},
	},
	{
		name: "AdamW", slices: 4, positive: true, streams: 7,
		run:     func(s [][]float32) float32 { AdamW(s[0], s[1], s[2], s[3], testStep); return 0 },
		element: adamWElement,
	},
	{
		name: "AdamW and clear", slices: 4, positive: true, streams: 8,
		run: func(s [][]float32) float32 {
			step := testStep
			step.ClearGrad = true
			AdamW(s[0], s[1], s[2], s[3], step)
			return 0
		},
		element: func(x []float64) (want, scale []float64) {
			want, scale = adamWElement(x)
			return append(want, 0), append(scale, 0)
		},
	},
}

// terms is a sum and the sum of absolute values.
func terms(x ...float64) (sum, scale []float64) {
	sum, scale = []float64{0}, []float64{0}
	for _, v := range x {
		sum[0] += v
		scale[0] += math.Abs(v)
	}
	return sum, scale
}

// adamWElement is written as the package optim has it, with the constants as
// float32.
func adamWElement(x []float64) (want, scale []float64) {
	c := testStep
	b1, b2 := float64(c.Beta1), float64(c.Beta2)
	d := x[3] * float64(c.GradScale)
	m, mScale := terms(b1*x[1], (1-b1)*d)
	v, vScale := terms(b2*x[2], (1-b2)*d*d)
	divisor := math.Sqrt(v[0])/float64(c.Root) + float64(c.Eps)
	p, _ := terms(x[0]*float64(c.Keep), -float64(c.Size)*m[0]/divisor)
	_, pScale := terms(x[0]*float64(c.Keep), float64(c.Size)*mScale[0]/divisor)
	return []float64{p[0], m[0], v[0]}, []float64{pScale[0], mScale[0], vScale[0]}
}
