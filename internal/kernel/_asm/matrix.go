package main

// The tile registers of AMX: eight matrices of 16 rows of 64 bytes. Go's
// assembler knows none of the instructions (Intel SDM, volume 2).

// Registers by the numbers that the encodings use.
const (
	rax = 0
	rbx = 3
	rsi = 6
	rdi = 7
	r9  = 9
	r10 = 10
	r11 = 11
	r12 = 12
)

// vex writes the three-byte prefix and the opcode of a 128-bit instruction of
// map 0F38:
//
//	C4   R̅ X̅ B̅ 0 0 0 1 0   W=0 v̅ v̅ v̅ v̅ L=0 p p   opcode
//
// x and b are the registers whose top bit goes to X and B.
func vex(s *source, prefix, v, x, b, opcode int, rest ...int) {
	code := []int{0xc4, 1<<7 | (1-x>>3&1)<<6 | (1-b>>3&1)<<5 | 2, (15-v&15)<<3 | prefix, opcode}
	s.bytes(append(code, rest...)...)
}

// Values of the p bits.
const (
	none = 0
	f3   = 2
	f2   = 3
)

// rowsOf is the operand of a tile load or store: rows from base on, stride
// bytes apart.
func rowsOf(t, base, stride int) []int {
	return []int{1<<6 | t<<3 | 4, stride&7<<3 | base&7, 0} // [base + stride·1 + 0]
}

func tileLoad(s *source, t, base, stride int) {
	s.comment("TILELOADD tile %d", t)
	vex(s, f2, 0, stride, base, 0x4b, rowsOf(t, base, stride)...)
}

func tileStore(s *source, t, base, stride int) {
	s.comment("TILESTORED tile %d", t)
	vex(s, f3, 0, stride, base, 0x4b, rowsOf(t, base, stride)...)
}

func tileZero(s *source, t int) {
	s.comment("TILEZERO tile %d", t)
	vex(s, f2, 0, 0, 0, 0x49, 3<<6|t<<3)
}

// tileDot adds the product of a and b to c: every element of a row of c gains
// the sums over the pairs of bfloat16 of a row of a and a column of b.
func tileDot(s *source, c, a, b int) {
	s.comment("TDPBF16PS tile %d += tile %d · tile %d", c, a, b)
	vex(s, f3, b, 0, 0, 0x5c, 3<<6|c<<3|a)
}

// tileConfig reads the shapes of all tiles from where register at points to.
func tileConfig(s *source, at int) {
	s.comment("LDTILECFG")
	vex(s, none, 0, 0, at, 0x49, 1<<6|at&7, 0)
}

func tileRelease(s *source) {
	s.comment("TILERELEASE")
	vex(s, none, 0, 0, 0, 0x49, 0xc0)
}

// strips writes the kernel for AMX: one panel of w, 32 columns wide, against
// panels of 32 rows of x, which are read where they lie.
//
//	y[r, c] += Σ_k x[r, k]·w[k, c]   k in pairs of bfloat16, in order
//
// Tiles 0 and 1 hold the sums of rows 0 to 15, 2 and 3 those of rows 16 to 31;
// 4 and 5 are x, 6 and 7 are w. A strip whose panels have 16 rows or fewer uses
// the upper half alone. depth is in pairs and a multiple of 16.
func strips(s *source) {
	s.text("stripAMX", "y *float32, ldy int, x *float32, ldx int, w *float32, panels, depth int, load, half bool, shape *tileShape", 72)
	s.op("MOVQ y+0(FP), DI")
	s.op("MOVQ ldy+8(FP), R9")
	s.op("SHLQ $2, R9")
	s.op("MOVQ x+16(FP), SI")
	s.op("MOVQ ldx+24(FP), R10")
	s.op("SHLQ $2, R10")
	s.op("MOVQ panels+40(FP), CX")
	s.op("MOVQ depth+48(FP), DX")
	s.op("SHRQ $4, DX")
	s.op("MOVBLZX load+56(FP), R13")
	s.op("MOVQ shape+64(FP), AX")
	tileConfig(s, rax)
	s.op("MOVQ $128, R12")
	s.op("MOVBLZX half+57(FP), AX")
	s.op("TESTQ AX, AX")
	s.op("JNZ halfPanel")
	s.label("panel")
	strip(s, "", 2)
	s.op("MOVQ R9, AX")
	s.op("SHLQ $5, AX")
	s.op("ADDQ AX, DI")
	s.op("MOVQ R10, AX")
	s.op("SHLQ $5, AX")
	s.op("ADDQ AX, SI")
	s.op("DECQ CX")
	s.op("JNZ panel")
	tileRelease(s)
	s.op("RET")
	s.label("halfPanel")
	strip(s, "Half", 1)
	tileRelease(s)
	s.op("RET")
}

// strip is one panel of x with halves times 16 rows.
func strip(s *source, suffix string, halves int) {
	sums := func(do func(t, base int)) {
		s.op("MOVQ DI, AX")
		for h := range halves {
			if h > 0 {
				s.op("MOVQ R9, AX")
				s.op("SHLQ $4, AX")
				s.op("ADDQ DI, AX")
			}
			do(2*h, rax)
			s.op("ADDQ $64, AX")
			do(2*h+1, rax)
		}
	}
	s.op("TESTQ R13, R13")
	s.op("JZ zero%s", suffix)
	sums(func(t, base int) { tileLoad(s, t, base, r9) })
	s.op("JMP start%s", suffix)
	s.label("zero%s", suffix)
	for t := range 2 * halves {
		tileZero(s, t)
	}
	s.label("start%s", suffix)
	s.op("MOVQ SI, AX")
	if halves == 2 {
		s.op("MOVQ R10, R11")
		s.op("SHLQ $4, R11")
		s.op("ADDQ SI, R11")
	}
	s.op("MOVQ w+32(FP), BX")
	s.op("MOVQ DX, R8")
	s.op("PCALIGN $32")
	s.label("loop%s", suffix)
	tileLoad(s, 6, rbx, r12)
	tileLoad(s, 4, rax, r10)
	tileDot(s, 0, 4, 6)
	s.op("ADDQ $64, BX")
	tileLoad(s, 7, rbx, r12)
	tileDot(s, 1, 4, 7)
	if halves == 2 {
		tileLoad(s, 5, r11, r10)
		tileDot(s, 2, 5, 6)
		tileDot(s, 3, 5, 7)
		s.op("ADDQ $64, R11")
	}
	s.op("ADDQ $64, AX")
	s.op("ADDQ $%d, BX", 16*128-64)
	s.op("DECQ R8")
	s.op("JNZ loop%s", suffix)
	sums(func(t, base int) { tileStore(s, t, base, r9) })
}

// matrixPeak writes a loop of nothing but products of tiles.
func matrixPeak(s *source) {
	s.text("peakAMX", "turns int, shape *tileShape", 16)
	s.op("MOVQ turns+0(FP), CX")
	s.op("MOVQ shape+8(FP), AX")
	tileConfig(s, rax)
	for t := range 8 {
		tileZero(s, t)
	}
	s.label("turn")
	for t := range 4 {
		tileDot(s, t, 4+t/2, 6+t%2)
	}
	s.op("DECQ CX")
	s.op("JNZ turn")
	tileRelease(s)
	s.op("RET")
}
