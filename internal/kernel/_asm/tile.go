package main

import "fmt"

// isa is what a micro-kernel needs to know of an instruction set.
type isa struct {
	name  string
	reg   string // of a vector
	bytes int    // in a vector
	rows  int    // of the largest tile; a tile is two vectors wide
	regs  int    // vectors that the machine has

	// add writes acc += x·w, lane by lane.
	add func(s *source, x, w, acc int)
}

// The largest tiles: as many sums as leave two registers for a row of w and
// some for elements of x that are on their way.
var (
	avx512 = isa{name: "AVX512", reg: "Z", bytes: 64, rows: 12, regs: 32, add: multiplyAdd("Z")}
	avx2   = isa{name: "AVX2", reg: "Y", bytes: 32, rows: 6, regs: 16, add: multiplyAdd("Y")}
	// A step of k is a pair of bfloat16 in each lane.
	pairs = isa{name: "Pairs", reg: "Z", bytes: 64, rows: 12, regs: 32, add: dotPairs}
)

func multiplyAdd(reg string) func(s *source, x, w, acc int) {
	return func(s *source, x, w, acc int) { s.op("VFMADD231PS %[1]s%[2]d, %[1]s%[3]d, %[1]s%[4]d", reg, x, w, acc) }
}

// dotPairs is VDPBF16PS, which Go's assembler does not know: to every lane of
// acc it adds the products of the two pairs of bfloat16 in that lane. The
// instruction is EVEX.512.F3.0F38.W0 52 /r (Intel SDM, volume 2):
//
//	62                      EVEX
//	R̅ X̅ B̅ R̅′ 0 m m m        top bits of acc (R, R′) and x (B, X), inverted; map 2
//	W v̅ v̅ v̅ v̅ 1 p p         w, inverted; prefix F3 = 2
//	z L′ L b V̅′ a a a       512 bits: L′L = 2; top bit of w, inverted; no mask
//	52                      opcode
//	11 acc x                lowest three bits of each
func dotPairs(s *source, x, w, acc int) {
	inverted := func(n, bit int) int { return 1 - n>>bit&1 }
	s.comment("VDPBF16PS Z%d, Z%d, Z%d", x, w, acc)
	s.bytes(0x62,
		inverted(acc, 3)<<7|inverted(x, 4)<<6|inverted(x, 3)<<5|inverted(acc, 4)<<4|2,
		(15-w&15)<<3|1<<2|2,
		2<<5|inverted(w, 4)<<3,
		0x52,
		3<<6|acc&7<<3|x&7)
}

// unroll is how many steps of k one turn of the main loop takes.
const unroll = 4

// ahead is how many steps before its use a row of w is asked for where there are
// few rows of x: it comes from memory then, and the loop is as fast as that.
const ahead = 64

// layout is how the left side of a product lies in memory.
type layout int

const (
	byRows    layout = iota // k is contiguous: x[r·ldx + k]
	byColumns               // a column is: x[k·ldx + r]
)

// tiles writes the micro-kernel for both layouts of x: for every number of rows
// from 1 to the largest a loop over k with all sums in registers,
//
//	y[r, c] = fma(x[r, k], w[k, c], y[r, c])   for k in order
//
// so every element of y is one chain, and its bits are the same in a tile of
// any height, from either layout and, in float32, on both instruction sets. One
// call takes any number of panels of the same height, next floats of x apart.
func tiles(s *source, m isa) {
	for x, name := range []string{"tileRows", "tileColumns"} {
		s.text(name+m.name, "y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool", 73)
		s.op("MOVQ y+0(FP), DI")
		s.op("MOVQ ldy+8(FP), SI")
		s.op("SHLQ $2, SI")
		s.op("MOVQ x+16(FP), DX")
		s.op("MOVQ ldx+24(FP), R10")
		s.op("SHLQ $2, R10")
		s.op("LEAQ (R10)(R10*2), R11")
		s.op("MOVQ next+32(FP), R14")
		s.op("SHLQ $2, R14")
		s.op("MOVQ rows+48(FP), AX")
		s.op("MOVBLZX load+72(FP), R9")
		s.comment("The slice of w that comes after this one.")
		s.op("MOVQ k+64(FP), R15")
		s.op("IMULQ $%d, R15", 2*m.bytes)
		s.op("ADDQ w+40(FP), R15")
		for rows := m.rows; rows > 1; rows-- {
			s.op("CMPQ AX, $%d", rows)
			s.op("JEQ  rows%d", rows)
		}
		for rows := 1; rows <= m.rows; rows++ {
			tile(s, m, layout(x), rows)
		}
	}
}

func tile(s *source, m isa, x layout, rows int) {
	sum := func(r, v int) int { return 2*r + v }
	s.label("\nrows%d", rows)
	s.op("MOVQ DX, AX")
	s.op("MOVQ w+40(FP), BX")
	s.op("MOVQ k+64(FP), CX")
	if x == byRows {
		s.comment("Rows 0 to 3 from AX, 4 to 7 from R12, 8 to 11 from R13.")
		for i, base := range rowBases[1:] {
			if rows > 4*(i+1) {
				s.op("LEAQ (%s)(R10*4), %s", rowBases[i], base)
			}
		}
	}
	s.op("TESTQ R9, R9")
	s.op("JZ    zero%d", rows)
	s.op("MOVQ  DI, R8")
	for r := range rows {
		s.op("VMOVUPS (R8), %s%d", m.reg, sum(r, 0))
		s.op("VMOVUPS %d(R8), %s%d", m.bytes, m.reg, sum(r, 1))
		if r+1 < rows {
			s.op("ADDQ SI, R8")
		}
	}
	s.op("JMP start%d", rows)
	s.label("zero%d", rows)
	for i := range 2 * rows {
		// XMM: clears the whole vector, and every machine knows the idiom.
		if i < 16 {
			s.op("VXORPS X%d, X%d, X%d", i, i, i)
		} else {
			s.op("VPXORD Z%d, Z%d, Z%d", i, i, i)
		}
	}
	s.label("start%d", rows)
	s.op("SUBQ $%d, CX", unroll)
	s.op("JLT  tail%d", rows)
	s.op("PCALIGN $32")
	s.label("loop%d", rows)
	if rows == m.rows {
		// Enough rows to wait for nothing, and eight panels of them to fetch
		// what they will meet next.
		s.op("PREFETCHT1 (R15)")
		s.op("ADDQ $64, R15")
	}
	for u := range unroll {
		step(s, m, x, rows, u)
	}
	advance(s, x, rows, unroll)
	if rows < m.rows {
		for at := 0; at < unroll*2*m.bytes; at += 64 {
			s.op("PREFETCHT0 %d(BX)", ahead*2*m.bytes+at)
		}
	}
	s.op("ADDQ $%d, BX", unroll*2*m.bytes)
	s.op("SUBQ $%d, CX", unroll)
	s.op("JGE  loop%d", rows)
	s.label("tail%d", rows)
	s.op("ADDQ $%d, CX", unroll)
	s.op("JZ   store%d", rows)
	s.label("one%d", rows)
	step(s, m, x, rows, 0)
	advance(s, x, rows, 1)
	s.op("ADDQ $%d, BX", 2*m.bytes)
	s.op("DECQ CX")
	s.op("JNZ  one%d", rows)
	s.label("store%d", rows)
	for r := range rows {
		s.op("VMOVUPS %s%d, (DI)", m.reg, sum(r, 0))
		s.op("VMOVUPS %s%d, %d(DI)", m.reg, sum(r, 1), m.bytes)
		s.op("ADDQ SI, DI")
	}
	s.op("ADDQ R14, DX")
	s.op("DECQ panels+56(FP)")
	s.op("JNZ  rows%d", rows)
	s.op("VZEROUPPER")
	s.op("RET")
}

// rowBases point to every fourth row of x.
var rowBases = []string{"AX", "R12", "R13"}

// element is the operand x[r, k+u].
func (x layout) element(r, u int) string {
	if x == byColumns {
		return fmt.Sprintf("%d(AX)%s", 4*r, []string{"", "(R10*1)", "(R10*2)", "(R11*1)"}[u])
	}
	return fmt.Sprintf("%d(%s)%s", 4*u, rowBases[r/4], []string{"", "(R10*1)", "(R10*2)", "(R11*1)"}[r%4])
}

// advance moves x on by steps of k, 1 or 4.
func advance(s *source, x layout, rows, steps int) {
	if x == byColumns {
		s.op("LEAQ (AX)(R10*%d), AX", steps)
		return
	}
	for i, base := range rowBases {
		if rows > 4*i {
			s.op("ADDQ $%d, %s", 4*steps, base)
		}
	}
}

// step is one k: a row of w against each element of a column of x.
func step(s *source, m isa, from layout, rows, u int) {
	w := 2 * m.rows
	spare := m.regs - w - 2
	for v := range 2 {
		s.op("VMOVUPS %d(BX), %s%d", (2*u+v)*m.bytes, m.reg, w+v)
	}
	for r := range rows {
		x := w + 2 + r%spare
		s.op("VBROADCASTSS %s, %s%d", from.element(r, u), m.reg, x)
		for v := range 2 {
			m.add(s, x, w+v, 2*r+v)
		}
	}
}

// peakChains is how many independent sums keep every FMA unit busy: latency 4
// times 2 units, and half as many again.
const peakChains = 12

// peak writes a loop of nothing but multiply-adds on registers, the most that
// a core can do.
func peak(s *source, m isa) {
	s.text("peak"+m.name, "turns int", 8)
	s.op("MOVQ turns+0(FP), CX")
	for i := range peakChains + 2 {
		s.op("VXORPS X%d, X%d, X%d", i, i, i)
	}
	s.op("PCALIGN $32")
	s.label("turn")
	for i := range peakChains {
		m.add(s, peakChains, peakChains+1, i)
	}
	s.op("DECQ CX")
	s.op("JNZ  turn")
	s.op("VZEROUPPER")
	s.op("RET")
}
