package main

import "math"

// rows writes the loops over one row, which internal/kernel/rows*.go describe.
func rows(s *source, m isa) {
	f := &rowFile{source: s, m: m, constants: map[uint32]bool{}}
	f.function("add", add)
	f.function("addScaled", addScaled)
	f.function("scaleTo", scaleTo)
	f.function("sumSquares", sumSquares)
	f.function("product", product)
	f.function("maximum", maximum)
	f.function("expSum", expSum)
	f.function("normGrad", func(k *rowKernel) { normGrad(k, true) })
	f.function("normGradTo", func(k *rowKernel) { normGrad(k, false) })
	f.function("rotate", rotate)
	f.function("relu2", relu2)
	f.function("relu2Grad", relu2Grad)
	f.function("softmaxGrad", softmaxGrad)
	f.function("softcap", softcap)
	f.function("softcapGrad", softcapGrad)
	f.function("adamW", adamW)
	f.function("toBF16", toBF16)
	f.function("fromBF16", fromBF16)
	f.finish()
}

func add(k *rowKernel) {
	y, x := k.slice("y"), k.slice("x")
	k.each(1, func(int) {
		v := k.load(y)
		k.add(v, v, k.load(x))
		k.store(y, v)
	})
}

func addScaled(k *rowKernel) {
	y, x := k.slice("y"), k.slice("x")
	a := k.scalar("a")
	k.each(1, func(int) {
		v := k.load(y)
		k.addProduct(v, k.load(x), a)
		k.store(y, v)
	})
}

func scaleTo(k *rowKernel) {
	out, x := k.slice("out"), k.slice("x")
	a := k.scalar("a")
	k.each(1, func(int) {
		v := k.load(x)
		k.mul(v, v, a)
		k.store(out, v)
	})
}

// chains is how many sums run side by side where nothing but an addition is
// done to a vector: the latency of one is four.
const chains = 4

// reduce lets step add every vector to a sum, one of several in turn, and
// combines all lanes of all sums.
func (k *rowKernel) reduce(start operand, step func(into vec), combine func(into, from vec)) {
	var sums [chains]vec
	for i := range sums {
		sums[i] = k.vector()
		k.set(sums[i], start)
	}
	k.each(chains, func(u int) { step(sums[u]) })
	combine(sums[0], sums[1])
	combine(sums[2], sums[3])
	combine(sums[0], sums[2])
	k.fold(sums[0], combine)
}

func (k *rowKernel) addTo(into, from vec) { k.add(into, into, from) }

func sumSquares(k *rowKernel) {
	x := k.slice("x")
	k.reduce(k.constant(0), func(into vec) {
		v := k.load(x)
		k.addProduct(into, v, v)
	}, k.addTo)
}

func product(k *rowKernel) {
	a, b := k.slice("a"), k.slice("b")
	k.reduce(k.constant(0), func(into vec) { k.addProduct(into, k.load(a), k.load(b)) }, k.addTo)
}

// maximum takes the larger both ways round: the instruction returns its second
// operand where one is no number, and one way or the other that is the NaN. The
// bits of both together are a NaN then, and else those of the larger.
func maximum(k *rowKernel) {
	x := k.slice("x")
	least := k.constant(float32(math.Inf(-1)))
	larger := func(into, from vec) {
		free := k.next
		other := k.vector()
		k.max(other, into, from)
		k.max(into, from, into)
		k.or(into, into, other)
		k.next = free
	}
	k.reduce(least, func(into vec) { larger(into, k.loadOr(x, least)) }, larger)
}

// reduced is x = n·ln 2 + r, |r| ≤ ln 2 / 2, with n in the low bits of t. ln 2
// is taken off in two parts (Cody & Waite 1980). p is free.
func (k *rowKernel) reduced(x vec) (t, r, p vec) {
	t, r, p = k.vector(), k.vector(), k.vector()
	// Adding and taking off 1.5·2²³ rounds to the nearest integer.
	round := k.constant(1.5 * (1 << 23))
	n := p
	k.set(t, round)
	k.addProduct(t, x, k.constant(math.Log2E))
	k.sub(n, t, round)
	k.set(r, x)
	k.subProduct(r, n, k.constant(0.693359375))
	k.subProduct(r, n, k.constant(-2.12194440e-4))
	return t, r, p
}

// taylor is (eʳ − 1)/r for |r| ≤ ln 2 / 2, to a part in 2²⁵.
func (k *rowKernel) taylor(p, r vec) {
	k.set(p, k.constant(1./5040))
	for _, c := range []float32{1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1} {
		k.mulAdd(p, r, k.constant(c))
	}
}

// exp is eˣ as kernel.Exp has it. Between the bounds, eʳ·2ⁿ is no subnormal
// number, so that n may be added to the exponent.
func (k *rowKernel) exp(x vec) vec {
	t, r, p := k.reduced(x)
	k.taylor(p, r)
	k.mulAdd(p, r, k.constant(1))
	k.shiftLeft(t, t, 23)
	k.addInt(p, p, t)
	k.keep(p, k.compare(t, notLess, x, k.constant(-87.33654)))
	beyond := r // +Inf, or NaN for NaN
	k.add(beyond, x, k.constant(float32(math.Inf(1))))
	k.blend(p, beyond, k.compare(t, notLess, x, k.constant(88.72283)))
	return p
}

// expm1 is eˣ − 1 for −87 ≤ x ≤ 0 with a small relative error near 0 too:
// 2ⁿ·(eʳ − 1) + (2ⁿ − 1).
func (k *rowKernel) expm1(x vec) vec {
	t, r, p := k.reduced(x)
	k.taylor(p, r)
	k.mul(p, p, r)
	one := k.constant(1)
	k.shiftLeft(t, t, 23)
	k.addInt(t, t, one)
	k.sub(r, t, one)
	k.mulAdd(p, t, r)
	return p
}

func expSum(k *rowKernel) {
	out, x := k.slice("out"), k.slice("x")
	scale, shift := k.scalar("scale"), k.scalar("shift")
	total := k.vector()
	k.zero(total)
	k.each(1, func(int) {
		v := k.load(x)
		k.sub(v, v, shift)
		k.mul(v, v, scale)
		e := k.exp(v)
		k.store(out, e)
		k.keepTail(e)
		k.add(total, total, e)
	})
	k.fold(total, k.addTo)
}

func normGrad(k *rowKernel, accumulate bool) {
	dx, dout, out := k.slice("dx"), k.slice("dout"), k.slice("out")
	rrms, mean := k.scalar("rrms"), k.scalar("mean")
	k.each(1, func(int) {
		d := k.load(dout)
		k.subProduct(d, k.load(out), mean)
		if accumulate {
			k.mulAdd(d, rrms, k.load(dx))
		} else {
			k.mul(d, d, rrms)
		}
		k.store(dx, d)
	})
}

func rotate(k *rowKernel) {
	first, second, cos, sin := k.slice("x1"), k.slice("x2"), k.slice("cos"), k.slice("sin")
	sign := k.scalar("sign")
	k.each(1, func(int) {
		x1, x2 := k.load(first), k.load(second)
		c, s := k.load(cos), k.load(sin)
		k.mul(s, s, sign)
		y1 := k.vector()
		k.mul(y1, x1, c)
		k.addProduct(y1, x2, s)
		k.mul(x2, x2, c)
		k.subProduct(x2, x1, s)
		k.store(first, y1)
		k.store(second, x2)
	})
}

func relu2(k *rowKernel) {
	out, x := k.slice("out"), k.slice("x")
	zero := k.vector()
	k.zero(zero)
	k.each(1, func(int) {
		v := k.load(x)
		k.max(v, zero, v)
		k.mul(v, v, v)
		k.store(out, v)
	})
}

func relu2Grad(k *rowKernel) {
	dx, dout, act := k.slice("dx"), k.slice("dout"), k.slice("act")
	k.each(1, func(int) {
		v := k.load(act)
		k.sqrt(v, v)
		k.add(v, v, v)
		k.mul(v, v, k.load(dout))
		k.store(dx, v)
	})
}

func softmaxGrad(k *rowKernel) {
	ds, p, dp := k.slice("ds"), k.slice("p"), k.slice("dp")
	delta, scale := k.scalar("delta"), k.scalar("scale")
	k.each(1, func(int) {
		d := k.load(dp)
		k.sub(d, d, delta)
		k.mul(d, d, k.load(p))
		k.mul(d, d, scale)
		k.store(ds, d)
	})
}

// softcap finds tanh |y| = −e/(2 + e) from e = exp(−2|y|) − 1, and gives it the
// sign of y.
func softcap(k *rowKernel) {
	x := k.slice("x")
	limit, slope := k.scalar("limit"), k.scalar("slope") // slope is −2/limit
	k.each(1, func(int) {
		v := k.load(x)
		z, bounded := k.vector(), k.vector()
		k.and(z, v, k.bits(0x7fffffff))
		k.mul(z, z, slope)
		k.set(bounded, k.constant(-32)) // tanh is 1 there
		k.max(bounded, bounded, z)
		e := k.expm1(bounded)
		k.add(z, e, k.constant(2))
		k.div(e, e, z)
		k.mul(e, e, limit)
		k.and(e, e, k.bits(0x7fffffff))
		k.and(v, v, k.bits(1<<31))
		k.or(e, e, v)
		k.store(x, e)
	})
}

func softcapGrad(k *rowKernel) {
	dx, y := k.slice("dx"), k.slice("y")
	inverse := k.scalar("inverse")
	k.each(1, func(int) {
		t := k.load(y)
		k.mul(t, t, inverse)
		slope := k.vector()
		k.set(slope, k.constant(1))
		k.subProduct(slope, t, t)
		k.mul(slope, slope, k.load(dx))
		k.store(dx, slope)
	})
}

func adamW(k *rowKernel) {
	params, first, second, grads := k.slice("p"), k.slice("m"), k.slice("v"), k.slice("g")
	c := k.record("c", "adamWConstants", "gradScale", "beta1", "rest1", "beta2", "rest2", "keep", "size", "root", "eps")
	k.each(1, func(int) {
		d := k.load(grads)
		k.mul(d, d, c("gradScale"))
		m := k.load(first)
		k.mul(m, m, c("beta1"))
		k.addProduct(m, d, c("rest1"))
		k.store(first, m)
		v, part := k.load(second), k.vector()
		k.mul(v, v, c("beta2"))
		k.mul(part, d, c("rest2"))
		k.addProduct(v, part, d)
		k.store(second, v)

		k.sqrt(v, v)
		k.mul(v, v, c("root"))
		k.add(v, v, c("eps"))
		k.mul(m, m, c("size"))
		k.div(m, m, v)
		p := k.load(params)
		k.mulSub(p, c("keep"), m)
		k.store(params, p)
	})
}

// toBF16 keeps the upper half of each number, rounded to nearest and even by
// adding just under half, or half where that half is odd. A NaN is made quiet
// instead. Rows are whole vectors.
func toBF16(k *rowKernel) {
	dst, src := k.sliceOf("dst", "uint16", 2), k.slice("src")
	k.wholeVectors(1, func(int) {
		k.next = 0
		v := k.load(src)
		rounded, quiet, spare := k.vector(), k.vector(), k.vector()
		k.shiftRight(rounded, v, 16)
		k.and(rounded, rounded, k.bits(1))
		k.addInt(rounded, rounded, k.bits(0x7fff))
		k.addInt(rounded, rounded, v)
		k.or(quiet, v, k.bits(0x400000))
		k.blend(rounded, quiet, k.compare(spare, unordered, v, v))
		k.shiftRight(rounded, rounded, 16)
		if k.wide() {
			k.do("VPMOVDW", rounded, dst)
			return
		}
		// Packing interleaves the halves of both parts.
		k.op("VPACKUSDW Y%d, Y%d, Y%d", rounded.high, rounded.low, rounded.low)
		k.op("VPERMQ $0xd8, Y%d, Y%d", rounded.low, rounded.low)
		k.op("VMOVUPS Y%d, %s", rounded.low, dst.text(k, 0))
	})
}

// fromBF16 takes whole vectors.
func fromBF16(k *rowKernel) {
	dst, src := k.slice("dst"), k.sliceOf("src", "uint16", 2)
	k.wholeVectors(1, func(int) {
		k.next = 0
		v := k.vector()
		k.do("VPMOVZXWD", src, v)
		k.shiftLeft(v, v, 16)
		k.store(dst, v)
	})
}
