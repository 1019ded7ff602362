package kernel

import "math"

// genericRows is the reference. Products are rounded before they are added, on
// machines with a fused multiply-add too, so that the bits are the same on all
// machines that run it.
var genericRows = rowEngine{
	name: "generic",
	add: func(y, x []float32) {
		for i, v := range x {
			y[i] += v
		}
	},
	addScaled: func(y, x []float32, a float32) {
		for i, v := range x {
			y[i] += float32(a * v)
		}
	},
	scaleTo: func(out, x []float32, a float32) {
		for i, v := range x {
			out[i] = a * v
		}
	},
	sum:        func(x []float32) float32 { return reduce(x, func(s, v float32) float32 { return s + v }) },
	sumSquares: func(x []float32) float32 { return reduce(x, func(s, v float32) float32 { return s + float32(v*v) }) },
	most: func(x []float32) float32 {
		most := x[0]
		for _, v := range x {
			most = max(most, v)
		}
		return most
	},
	product: func(a, b []float32) float32 {
		var s lanesOf
		for i, v := range a {
			s[i%len(s)] += float32(v * b[i])
		}
		return s.total()
	},
	expSum: func(out, x []float32, scale, shift float32) float32 {
		var s lanesOf
		for i, v := range x {
			e := Exp(scale * (v - shift))
			out[i] = e
			s[i%len(s)] += e
		}
		return s.total()
	},
	normGrad: func(dx, dout, out []float32, rrms, mean float32) {
		for i, d := range dout {
			dx[i] += float32(rrms * (d - float32(out[i]*mean)))
		}
	},
	normGradTo: func(dx, dout, out []float32, rrms, mean float32) {
		for i, d := range dout {
			dx[i] = rrms * (d - float32(out[i]*mean))
		}
	},
	rotate: func(x1, x2, cos, sin []float32, sign float32) {
		for i, c := range cos {
			s := sign * sin[i]
			a, b := x1[i], x2[i]
			x1[i] = float32(a*c) + float32(b*s)
			x2[i] = float32(b*c) - float32(a*s)
		}
	},
	relu2: func(out, x []float32) {
		for i, v := range x {
			v = max(v, 0)
			out[i] = v * v
		}
	},
	relu2Grad: func(dx, dout, act []float32) {
		for i, a := range act {
			dx[i] = dout[i] * 2 * float32(math.Sqrt(float64(a)))
		}
	},
	softmaxGrad: func(ds, p, dp []float32, delta, scale float32) {
		for i, v := range p {
			ds[i] = v * (dp[i] - delta) * scale
		}
	},
	softcap: func(x []float32, limit, _ float32) {
		for i, v := range x {
			x[i] = limit * float32(math.Tanh(float64(v/limit)))
		}
	},
	softcapGrad: func(dx, y []float32, inverse float32) {
		for i, v := range y {
			t := v * inverse
			dx[i] *= 1 - float32(t*t)
		}
	},
	adamW: func(p, m, v, g []float32, c adamWConstants) {
		for i := range p {
			d := g[i] * c.gradScale
			m[i] = float32(c.beta1*m[i]) + float32(c.rest1*d)
			v[i] = float32(c.beta2*v[i]) + float32(d*c.rest2*d)
			p[i] = float32(p[i]*c.keep) - c.size*m[i]/(float32(float32(math.Sqrt(float64(v[i])))*c.root)+c.eps)
		}
	},
	toBF16: func(dst []uint16, src []float32) {
		for i, v := range src {
			dst[i] = toBF16(v)
		}
	},
	fromBF16: func(dst []float32, src []uint16) {
		for i, h := range src {
			dst[i] = fromBF16(h)
		}
	},
}

// lanesOf is the sums of interleaved parts of a row.
type lanesOf [16]float32

func reduce(x []float32, add func(s, v float32) float32) float32 {
	var s lanesOf
	for i, v := range x {
		s[i%len(s)] = add(s[i%len(s)], v)
	}
	return s.total()
}

// total adds the lanes as a tree.
func (s *lanesOf) total() float32 {
	for n := len(s) / 2; n > 0; n /= 2 {
		for i := range n {
			s[i] += s[i+n]
		}
	}
	return s[0]
}
