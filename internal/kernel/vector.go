package kernel

import "fmt"

// vectorStep is what the length of a row must be a multiple of for the loops
// in assembly; the widths of heads are.
const vectorStep = 8

// Dot is the inner product of a and the first len(a) elements of b. It is
// summed in interleaved parts, because one chain of additions would wait for
// itself; the order is a function of the length alone.
func Dot(a, b []float32) float32 {
	var s [1]float32
	Dots(s[:], a, b, 0)
	return s[0]
}

// Dots is [Dot] of a with rows of b: s[u] = a · b[u·stride : u·stride+len(a)].
func Dots(s, a, b []float32, stride int) {
	if inAssembly(active.dots, len(s), len(a)) {
		reach("Dots", b, stride, len(s), len(a))
		active.dots(&s[0], &a[0], &b[0], stride, len(s), len(a))
		return
	}
	for u := range s {
		s[u] = dot(a, b[u*stride:])
	}
}

// Mix adds multiples of rows of x to y, one after the other:
// y[i] += a[0]·x[i], y[i] += a[1]·x[stride+i], …
func Mix(y, a, x []float32, stride int) {
	if inAssembly(active.mix, len(a), len(y)) {
		reach("Mix", x, stride, len(a), len(y))
		active.mix(&y[0], &a[0], &x[0], stride, len(a), len(y))
		return
	}
	for u, f := range a {
		axpy(y, f, x[u*stride:])
	}
}

// Outer adds multiples of x to rows of y: y[u·stride+i] += a[u]·x[i].
func Outer(y, a, x []float32, stride int) {
	if inAssembly(active.outer, len(a), len(x)) {
		reach("Outer", y, stride, len(a), len(x))
		active.outer(&y[0], &a[0], &x[0], stride, len(a), len(x))
		return
	}
	for u, f := range a {
		axpy(y[u*stride:][:len(x)], f, x)
	}
}

func inAssembly(loop func(s, a, b *float32, stride, rows, n int), rows, n int) bool {
	return loop != nil && rows > 0 && n > 0 && n%vectorStep == 0
}

// reach panics unless s holds all rows: assembly does not look.
func reach(name string, s []float32, stride, rows, n int) {
	if stride < 0 || len(s) < (rows-1)*stride+n {
		panic(fmt.Sprintf("kernel: %s: %d elements for %d rows of %d, %d apart", name, len(s), rows, n, stride))
	}
}

// The reference in Go. Products are rounded before they are added, on machines
// with a fused multiply-add too, so that one row has the bits of many.

func dot(a, b []float32) float32 {
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

func axpy(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += float32(a * x[i])
	}
}
