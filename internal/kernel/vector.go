package kernel

// The loops over one vector and the loops over several give an element the
// same bits: products are rounded before they are added, on machines with a
// fused multiply-add too.

// Dot is the inner product of a and the first len(a) elements of b. It is
// summed in four interleaved parts, because one chain of additions would wait
// for itself; the order is a function of the length alone.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float32(a[0] * b[0])
		s1 += float32(a[1] * b[1])
		s2 += float32(a[2] * b[2])
		s3 += float32(a[3] * b[3])
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s0 += float32(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// Dots is [Dot] of a with rows of b: s[u] = a · b[u·stride : u·stride+len(a)].
func Dots(s, a, b []float32, stride int) {
	for u := range s {
		s[u] = Dot(a, b[u*stride:])
	}
}

// Axpy adds a multiple of x to y: y[i] += a·x[i].
func Axpy(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float32(a * x[i])
	}
}

// Mix is [Axpy] of rows of x, one after the other:
// y[i] += a[0]·x[i], y[i] += a[1]·x[stride+i], …
func Mix(y, a, x []float32, stride int) {
	n := len(y)
	u := 0
	for ; u+4 <= len(a); u += 4 {
		a0, a1, a2, a3 := a[u], a[u+1], a[u+2], a[u+3]
		x0, x1 := x[u*stride:][:n], x[(u+1)*stride:][:n]
		x2, x3 := x[(u+2)*stride:][:n], x[(u+3)*stride:][:n]
		for i, v := range y {
			v += float32(a0 * x0[i])
			v += float32(a1 * x1[i])
			v += float32(a2 * x2[i])
			v += float32(a3 * x3[i])
			y[i] = v
		}
	}
	for ; u < len(a); u++ {
		Axpy(y, a[u], x[u*stride:])
	}
}
