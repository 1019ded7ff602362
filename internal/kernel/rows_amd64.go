//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

// detectRows returns the row engines of this CPU, the fastest first.
func detectRows() (found []*rowEngine) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	if cpu.X86.HasAVX512F {
		found = append(found, &rowsAVX512)
	}
	return append(found, &rowsAVX2)
}

var rowsAVX512 = rowEngine{
	name: "AVX-512",
	add:  addAVX512, addScaled: addScaledAVX512, scaleTo: scaleToAVX512,
	sumSquares: sumSquaresAVX512, maximum: maximumAVX512,
	product: productAVX512, expSum: expSumAVX512,
	normGrad: normGradAVX512, normGradTo: normGradToAVX512,
	rotate: rotateAVX512, relu2: relu2AVX512, relu2Grad: relu2GradAVX512,
	softmaxGrad: softmaxGradAVX512, softcap: softcapAVX512, softcapGrad: softcapGradAVX512,
	adamW:  adamWAVX512,
	toBF16: toBF16AVX512, fromBF16: fromBF16AVX512,
}

var rowsAVX2 = rowEngine{
	name: "AVX2",
	add:  addAVX2, addScaled: addScaledAVX2, scaleTo: scaleToAVX2,
	sumSquares: sumSquaresAVX2, maximum: maximumAVX2,
	product: productAVX2, expSum: expSumAVX2,
	normGrad: normGradAVX2, normGradTo: normGradToAVX2,
	rotate: rotateAVX2, relu2: relu2AVX2, relu2Grad: relu2GradAVX2,
	softmaxGrad: softmaxGradAVX2, softcap: softcapAVX2, softcapGrad: softcapGradAVX2,
	adamW:  adamWAVX2,
	toBF16: toBF16AVX2, fromBF16: fromBF16AVX2,
}

//go:noescape
func addAVX512(y, x []float32)

//go:noescape
func addScaledAVX512(y, x []float32, a float32)

//go:noescape
func scaleToAVX512(out, x []float32, a float32)

//go:noescape
func sumSquaresAVX512(x []float32) float32

//go:noescape
func productAVX512(a, b []float32) float32

//go:noescape
func maximumAVX512(x []float32) float32

//go:noescape
func expSumAVX512(out, x []float32, scale, shift float32) float32

//go:noescape
func normGradAVX512(dx, dout, out []float32, rrms, mean float32)

//go:noescape
func normGradToAVX512(dx, dout, out []float32, rrms, mean float32)

//go:noescape
func rotateAVX512(x1, x2, cos, sin []float32, sign float32)

//go:noescape
func relu2AVX512(out, x []float32)

//go:noescape
func relu2GradAVX512(dx, dout, act []float32)

//go:noescape
func softmaxGradAVX512(ds, p, dp []float32, delta, scale float32)

//go:noescape
func softcapAVX512(x []float32, limit, slope float32)

//go:noescape
func softcapGradAVX512(dx, y []float32, inverse float32)

//go:noescape
func adamWAVX512(p, m, v, g []float32, c adamWConstants)

//go:noescape
func toBF16AVX512(dst []uint16, src []float32)

//go:noescape
func fromBF16AVX512(dst []float32, src []uint16)

//go:noescape
func addAVX2(y, x []float32)

//go:noescape
func addScaledAVX2(y, x []float32, a float32)

//go:noescape
func scaleToAVX2(out, x []float32, a float32)

//go:noescape
func sumSquaresAVX2(x []float32) float32

//go:noescape
func productAVX2(a, b []float32) float32

//go:noescape
func maximumAVX2(x []float32) float32

//go:noescape
func expSumAVX2(out, x []float32, scale, shift float32) float32

//go:noescape
func normGradAVX2(dx, dout, out []float32, rrms, mean float32)

//go:noescape
func normGradToAVX2(dx, dout, out []float32, rrms, mean float32)

//go:noescape
func rotateAVX2(x1, x2, cos, sin []float32, sign float32)

//go:noescape
func relu2AVX2(out, x []float32)

//go:noescape
func relu2GradAVX2(dx, dout, act []float32)

//go:noescape
func softmaxGradAVX2(ds, p, dp []float32, delta, scale float32)

//go:noescape
func softcapAVX2(x []float32, limit, slope float32)

//go:noescape
func softcapGradAVX2(dx, y []float32, inverse float32)

//go:noescape
func adamWAVX2(p, m, v, g []float32, c adamWConstants)

//go:noescape
func toBF16AVX2(dst []uint16, src []float32)

//go:noescape
func fromBF16AVX2(dst []float32, src []uint16)
