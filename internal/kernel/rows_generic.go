package kernel

import "math"

// genericRows is the reference. Products are rounded before they are added, on
// machines with a fused multiply-add too, so that all machines that run it get
// the same bits.
var genericRows = rowEngine{
	name: "generic",
	add:  addGeneric, addScaled: addScaledGeneric, scaleTo: scaleToGeneric,
	sumSquares: sumSquaresGeneric, maximum: maximumGeneric,
	product: productGeneric, expSum: expSumGeneric,
	normGrad: normGradGeneric, normGradTo: normGradToGeneric,
	rotate: rotateGeneric, relu2: relu2Generic, relu2Grad: relu2GradGeneric,
	softmaxGrad: softmaxGradGeneric, softcap: softcapGeneric, softcapGrad: softcapGradGeneric,
	adamW:  adamWGeneric,
	toBF16: toBF16Generic, fromBF16: fromBF16Generic,
}

func addGeneric(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += v
	}
}

func addScaledGeneric(y, x []float32, a float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += float32(a * v)
	}
}

func scaleToGeneric(out, x []float32, a float32) {
	x = x[:len(out)]
	for i, v := range x {
		out[i] = v * a
	}
}

// sumLanes is the tree over the lanes: j and j+8, then j+4, j+2, j+1.
func sumLanes(s *[rowLanes]float32) float32 {
	for half := rowLanes / 2; half > 0; half /= 2 {
		for j := range half {
			s[j] += s[j+half]
		}
	}
	return s[0]
}

func sumSquaresGeneric(x []float32) float32 { return productGeneric(x, x) }

func productGeneric(a, b []float32) float32 {
	b = b[:len(a)]
	var s [rowLanes]float32
	for i, v := range a {
		s[i%rowLanes] += float32(v * b[i])
	}
	return sumLanes(&s)
}

func maximumGeneric(x []float32) float32 {
	most := float32(math.Inf(-1))
	for _, v := range x {
		most = max(most, v)
	}
	return most
}

func expSumGeneric(out, x []float32, scale, shift float32) float32 {
	x = x[:len(out)]
	var s [rowLanes]float32
	for i, v := range x {
		e := Exp((v - shift) * scale)
		out[i] = e
		s[i%rowLanes] += e
	}
	return sumLanes(&s)
}

func normGradGeneric(dx, dout, out []float32, rrms, mean float32) {
	dout, out = dout[:len(dx)], out[:len(dx)]
	for i, d := range dout {
		dx[i] += float32(rrms * (d - float32(out[i]*mean)))
	}
}

func normGradToGeneric(dx, dout, out []float32, rrms, mean float32) {
	dout, out = dout[:len(dx)], out[:len(dx)]
	for i, d := range dout {
		dx[i] = rrms * (d - float32(out[i]*mean))
	}
}

func rotateGeneric(x1, x2, cos, sin []float32, sign float32) {
	x2, cos, sin = x2[:len(x1)], cos[:len(x1)], sin[:len(x1)]
	for i, a := range x1 {
		b, c, s := x2[i], cos[i], float32(sign*sin[i])
		x1[i] = float32(a*c) + float32(b*s)
		x2[i] = float32(b*c) - float32(a*s)
	}
}

func relu2Generic(out, x []float32) {
	x = x[:len(out)]
	for i, v := range x {
		v = max(v, 0)
		out[i] = v * v
	}
}

func relu2GradGeneric(dx, dout, act []float32) {
	dout, act = dout[:len(dx)], act[:len(dx)]
	for i, d := range dout {
		dx[i] = d * (2 * sqrt(act[i]))
	}
}

func softmaxGradGeneric(ds, p, dp []float32, delta, scale float32) {
	p, dp = p[:len(ds)], dp[:len(ds)]
	for i, d := range dp {
		ds[i] = (d - delta) * p[i] * scale
	}
}

func softcapGeneric(x []float32, limit, slope float32) {
	for i, v := range x {
		// tanh is 1 at −32. A NaN is not less.
		z := float32(math.Abs(float64(v))) * slope
		if z < -32 {
			z = -32
		}
		e := expm1(z)
		x[i] = float32(math.Copysign(float64(e/(2+e)*limit), float64(v)))
	}
}

func softcapGradGeneric(dx, y []float32, inverse float32) {
	y = y[:len(dx)]
	for i, v := range y {
		t := v * inverse
		dx[i] *= 1 - float32(t*t)
	}
}

func adamWGeneric(p, m, v, g []float32, c adamWConstants) {
	m, v, g = m[:len(p)], v[:len(p)], g[:len(p)]
	for i, d := range g {
		d *= c.gradScale
		m[i] = float32(c.beta1*m[i]) + float32(c.rest1*d)
		v[i] = float32(c.beta2*v[i]) + float32(float32(c.rest2*d)*d)
		p[i] = float32(p[i]*c.keep) - float32(m[i]*c.size)/(float32(sqrt(v[i])*c.root)+c.eps)
	}
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
