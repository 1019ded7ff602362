package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// lanes is how many numbers a vector of the kernels in rows.go has: a Z
// register holds them, or two Y registers do. Every operation is written as the
// same instructions for both, so both instruction sets give the same bits.
const lanes = 16

// rowFile is one file of row kernels for one instruction set.
type rowFile struct {
	*source
	m         isa
	constants map[uint32]bool // by their bits
}

// A rowKernel is a function under construction. Arguments and constants are
// loaded by head, which is complete when the body is.
type rowKernel struct {
	file *rowFile
	source
	head    source
	reg     string // of the operations being written: Z or Y, narrower in fold
	parts   int    // registers of a vector
	params  []string
	bytes   int // of the parameters so far
	arrays  int
	next    int // registers below are taken
	top     int // registers from here on are taken, by constants
	held    map[string]vec
	offset  int  // of the vector being worked on, in numbers beyond AX
	partial bool // the vector being worked on is the tail
	tail    mask
}

// function writes a kernel. The name is that of the Go declaration without the
// instruction set.
func (f *rowFile) function(name string, body func(k *rowKernel)) {
	k := &rowKernel{file: f, reg: f.m.reg, parts: 64 / f.m.bytes, top: f.m.regs, held: map[string]vec{}}
	body(k)
	f.text(name+f.m.name, strings.Join(k.params, ", "), k.bytes)
	f.WriteString(k.head.String())
	f.WriteString(k.String())
	f.op("VZEROUPPER")
	f.op("RET")
}

// finish writes the constants that the kernels of the file use: one number
// each for AVX-512, which broadcasts it once, a register full for AVX2, which
// reads it from memory every time. A window of lanesTable is a mask of AVX2.
func (f *rowFile) finish() {
	copies := 1
	if f.m.name == avx2.name {
		copies = f.m.bytes / 4
		f.table("lanesTable", append(slices.Repeat([]uint32{math.MaxUint32}, lanes), make([]uint32, lanes)...))
	}
	for _, bits := range slices.Sorted(maps.Keys(f.constants)) {
		f.table(constantName(bits), slices.Repeat([]uint32{bits}, copies))
	}
}

func (f *rowFile) table(name string, values []uint32) {
	f.WriteString("\n")
	for i, v := range values {
		fmt.Fprintf(f, "DATA %s<>+%d(SB)/4, $0x%08x\n", name, 4*i, v)
	}
	fmt.Fprintf(f, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 4*len(values))
}

func constantName(bits uint32) string { return fmt.Sprintf("bits%08x", bits) }

// An operand is what an instruction names, for each part of a vector.
type operand interface {
	text(k *rowKernel, part int) string
}

// A vec is a vector in registers: low alone for AVX-512, low and high for AVX2,
// the same twice where all lanes are equal.
type vec struct{ low, high int }

func (v vec) text(k *rowKernel, part int) string {
	return fmt.Sprint(k.reg, []int{v.low, v.high}[part])
}

// A mask chooses lanes: by a K register, or by the signs of a vector.
type mask struct {
	bit int
	vec
}

func (m mask) text(k *rowKernel, part int) string {
	if k.wide() {
		return fmt.Sprint("K", m.bit)
	}
	return m.vec.text(k, part)
}

// A literal is the same for both parts: an immediate, or a constant in memory.
type literal string

func (l literal) text(*rowKernel, int) string { return string(l) }

// An array is a slice among the arguments; as an operand, its next vector.
type array struct {
	pointer string
	size    int // of an element
}

func (a array) text(k *rowKernel, part int) string {
	at := (k.offset + part*lanes/k.parts) * a.size
	if at == 0 {
		return fmt.Sprintf("(%s)(AX*%d)", a.pointer, a.size)
	}
	return fmt.Sprintf("%d(%s)(AX*%d)", at, a.pointer, a.size)
}

func (k *rowKernel) wide() bool { return k.file.m.name == avx512.name }

// do writes an instruction for the whole vector, operands in the order of Go's
// assembler: the last is the result.
func (k *rowKernel) do(name string, operands ...operand) {
	for part := range k.parts {
		texts := make([]string, len(operands))
		for i, o := range operands {
			texts[i] = o.text(k, part)
		}
		k.op("%s %s", name, strings.Join(texts, ", "))
	}
}

// Parameters.

// slice declares the next parameter. The first says how long the rows are.
func (k *rowKernel) slice(name string) array { return k.sliceOf(name, "float32", 4) }

func (k *rowKernel) sliceOf(name, element string, size int) array {
	a := array{[]string{"DI", "SI", "DX", "BX"}[k.arrays], size}
	k.head.op("MOVQ %s_base+%d(FP), %s", name, k.bytes, a.pointer)
	if k.arrays == 0 {
		k.head.op("MOVQ %s_len+8(FP), CX", name)
	}
	k.arrays++
	k.params = append(k.params, name+" []"+element)
	k.bytes += 24
	return a
}

// scalar declares the next parameter, a number, and holds it in a register.
func (k *rowKernel) scalar(name string) vec {
	v := k.uniform()
	k.head.op("VBROADCASTSS %s+%d(FP), %s%d", name, k.bytes, k.reg, v.low)
	k.params = append(k.params, name+" float32")
	k.bytes += 4
	return v
}

// record declares the next parameter, a structure of numbers. The function
// returned fetches a field: AVX2 has no registers to hold them all, and has the
// field until the next one is fetched.
func (k *rowKernel) record(name, kind string, fields ...string) func(field string) vec {
	at := k.bytes
	k.params = append(k.params, name+" "+kind)
	k.bytes += 4 * len(fields)
	var fetched vec
	if !k.wide() {
		fetched = k.uniform()
	}
	return func(field string) vec {
		source := fmt.Sprintf("%s_%s+%d(FP)", name, field, at+4*slices.Index(fields, field))
		if k.wide() {
			return k.hold(source)
		}
		k.op("VBROADCASTSS %s, Y%d", source, fetched.low)
		return fetched
	}
}

// constant is an operand with the same value in all lanes.
func (k *rowKernel) constant(value float32) operand { return k.bits(math.Float32bits(value)) }

func (k *rowKernel) bits(bits uint32) operand {
	k.file.constants[bits] = true
	symbol := constantName(bits) + "<>(SB)"
	if k.wide() {
		return k.hold(symbol)
	}
	return literal(symbol)
}

// hold keeps a number in all lanes of a register, from the head on.
func (k *rowKernel) hold(source string) vec {
	v, ok := k.held[source]
	if !ok {
		k.top--
		v = vec{k.top, k.top}
		k.held[source] = v
		k.head.op("VBROADCASTSS %s, Z%d", source, v.low)
		k.check()
	}
	return v
}

// Registers.

// vector takes free registers. Those taken by a turn of a loop are free again
// behind it.
func (k *rowKernel) vector() vec {
	v := vec{k.next, k.next + k.parts - 1}
	k.next += k.parts
	k.check()
	return v
}

func (k *rowKernel) uniform() vec {
	v := vec{k.next, k.next}
	k.next++
	k.check()
	return v
}

func (k *rowKernel) check() {
	if k.next > k.top {
		panic("a row kernel needs more registers than " + k.file.m.name + " has")
	}
}

// Loops.

// each writes the loop over the vectors of the rows: body for whole vectors,
// then under the mask of the tail. many vectors are taken at a time, and body
// is told which of them it works on; what remains counts as number 0.
func (k *rowKernel) each(many int, body func(u int)) {
	turn := func(u int) {
		free := k.next
		k.offset = u * lanes
		body(u)
		k.next, k.offset = free, 0
	}
	k.wholeVectors(many, turn)
	k.op("ADDQ $%d, CX", lanes)
	k.op("JZ done")
	free := k.next
	k.maskTail()
	k.partial = true
	turn(0)
	k.partial = false
	k.next = free
	k.label("done")
}

// wholeVectors leaves CX at the numbers that remain less the lanes.
func (k *rowKernel) wholeVectors(many int, body func(u int)) {
	k.op("XORQ AX, AX")
	k.op("SUBQ $%d, CX", many*lanes)
	if many > 1 {
		k.op("JLT single")
		k.op("PCALIGN $32")
		k.label("many")
		for u := range many {
			body(u)
		}
		k.op("ADDQ $%d, AX", many*lanes)
		k.op("SUBQ $%d, CX", many*lanes)
		k.op("JGE many")
		k.label("single")
		k.op("ADDQ $%d, CX", (many-1)*lanes)
	}
	k.op("JLT tail")
	k.op("PCALIGN $32")
	k.label("one")
	body(0)
	k.op("ADDQ $%d, AX", lanes)
	k.op("SUBQ $%d, CX", lanes)
	k.op("JGE one")
	k.label("tail")
}

// maskTail chooses the first CX lanes.
func (k *rowKernel) maskTail() {
	if k.wide() {
		k.tail = mask{bit: 1}
		k.op("MOVL $1, R8")
		k.op("SHLL CX, R8")
		k.op("DECL R8")
		k.op("KMOVW R8, K1")
		return
	}
	k.tail = mask{vec: k.vector()}
	k.op("LEAQ lanesTable<>+%d(SB), R8", 4*lanes)
	k.op("SHLQ $2, CX")
	k.op("SUBQ CX, R8")
	k.op("VMOVUPS (R8), Y%d", k.tail.low)
	k.op("VMOVUPS 32(R8), Y%d", k.tail.high)
}

// load reads the next vector of an array; lanes beyond its end are 0.
func (k *rowKernel) load(a array) vec {
	v := k.vector()
	switch {
	case !k.partial:
		k.do("VMOVUPS", a, v)
	case k.wide():
		k.do("VMOVUPS.Z", a, k.tail, v)
	default:
		k.do("VMASKMOVPS", a, k.tail, v)
	}
	return v
}

// loadOr is load with another value beyond the end.
func (k *rowKernel) loadOr(a array, beyond operand) vec {
	if !k.partial {
		return k.load(a)
	}
	v := k.vector()
	k.set(v, beyond)
	if k.wide() {
		k.do("VMOVUPS", a, k.tail, v)
		return v
	}
	k.blend(v, k.load(a), k.tail)
	return v
}

func (k *rowKernel) store(a array, v vec) {
	if k.partial && k.wide() {
		k.do("VMOVUPS", v, k.tail, a)
	} else if k.partial {
		k.do("VMASKMOVPS", v, k.tail, a)
	} else {
		k.do("VMOVUPS", v, a)
	}
}

// Arithmetic: the result is first, and what may be a constant is last.

func (k *rowKernel) set(d vec, a operand)    { k.do("VMOVUPS", a, d) }
func (k *rowKernel) add(d, a vec, b operand) { k.do("VADDPS", b, a, d) }
func (k *rowKernel) sub(d, a vec, b operand) { k.do("VSUBPS", b, a, d) }
func (k *rowKernel) mul(d, a vec, b operand) { k.do("VMULPS", b, a, d) }
func (k *rowKernel) div(d, a vec, b operand) { k.do("VDIVPS", b, a, d) }
func (k *rowKernel) sqrt(d, a vec)           { k.do("VSQRTPS", a, d) }

// max is b where either of a and b is no number.
func (k *rowKernel) max(d, a vec, b operand) { k.do("VMAXPS", b, a, d) }

// Multiply-adds with one rounding: d + a·b, d − a·b, d·a + c and d·a − c.

func (k *rowKernel) addProduct(d, a vec, b operand) { k.do("VFMADD231PS", b, a, d) }
func (k *rowKernel) subProduct(d, a vec, b operand) { k.do("VFNMADD231PS", b, a, d) }
func (k *rowKernel) mulAdd(d, a vec, c operand)     { k.do("VFMADD213PS", c, a, d) }
func (k *rowKernel) mulSub(d, a vec, c operand)     { k.do("VFMSUB213PS", c, a, d) }

// Integers and bits of the lanes.

func (k *rowKernel) addInt(d, a vec, b operand) { k.do("VPADDD", b, a, d) }
func (k *rowKernel) and(d, a vec, b operand)    { k.do(k.bitwise("VPAND"), b, a, d) }
func (k *rowKernel) or(d, a vec, b operand)     { k.do(k.bitwise("VPOR"), b, a, d) }

func (k *rowKernel) shiftLeft(d, a vec, bits int) {
	k.do("VPSLLD", literal(fmt.Sprint("$", bits)), a, d)
}

func (k *rowKernel) shiftRight(d, a vec, bits int) {
	k.do("VPSRLD", literal(fmt.Sprint("$", bits)), a, d)
}

// bitwise gives the name for Z registers, where the size of a lane is part of
// it. The forms for floats would need AVX512DQ.
func (k *rowKernel) bitwise(name string) string {
	if k.reg == "Z" {
		return name + "D"
	}
	return name
}

// zero clears a vector.
func (k *rowKernel) zero(v vec) { k.do(k.bitwise("VPXOR"), v, v, v) }

// Comparisons, true for a lane that is no number.
const (
	unordered = "$3"
	notLess   = "$5"
)

// compare finds the lanes where a relation of a to b holds. AVX2 puts the
// answer into spare.
func (k *rowKernel) compare(spare vec, relation literal, a vec, b operand) mask {
	m := mask{bit: 2, vec: spare}
	k.do("VCMPPS", relation, b, a, m)
	return m
}

// keep clears the lanes of v that the mask leaves out.
func (k *rowKernel) keep(v vec, m mask) {
	if k.wide() {
		k.do("VMOVAPS.Z", v, m, v)
	} else {
		k.do("VANDPS", m, v, v)
	}
}

// blend replaces the lanes of v that the mask chooses.
func (k *rowKernel) blend(v, by vec, m mask) {
	if k.wide() {
		k.do("VMOVAPS", by, m, v)
	} else {
		k.do("VBLENDVPS", m, by, v, v)
	}
}

// keepTail clears the lanes of v beyond the end.
func (k *rowKernel) keepTail(v vec) {
	if k.partial {
		k.keep(v, k.tail)
	}
}

// fold combines the lanes of v, j with j+8, then with j+4, j+2, j+1, and makes
// the one that remains the result of the function.
func (k *rowKernel) fold(v vec, combine func(into, from vec)) {
	from := k.vector()
	if k.wide() {
		k.op("VEXTRACTF64X4 $1, Z%d, Y%d", v.low, from.low)
	} else {
		k.op("VMOVAPS Y%d, Y%d", v.high, from.low)
	}
	reg, parts := k.reg, k.parts
	k.reg, k.parts = "Y", 1
	combine(v, from)
	k.reg = "X"
	k.op("VEXTRACTF128 $1, Y%d, X%d", v.low, from.low)
	combine(v, from)
	for _, order := range []literal{"$0x4e", "$0xb1"} {
		k.do("VPERMILPS", order, v, from)
		combine(v, from)
	}
	k.reg, k.parts = reg, parts
	k.bytes = (k.bytes + 7) &^ 7
	k.op("VMOVSS X%d, ret+%d(FP)", v.low, k.bytes)
	k.bytes += 4
}
