package main

import "fmt"

const packArguments = "to *float32, stride int, from *float32, ld, n int"

// packing writes the four loops that lay n steps of k side by side in a panel,
// to[k·stride + i], for i in a group of 8 or 4:
//
//	lines    from[i·ld + k]   the source is contiguous in k: transposed
//	columns  from[k·ld + i]   the source is contiguous in i: copied
//
// lines8 takes n in eights, lines4 in fours. They need AVX, and serve the
// tiles of all instruction sets.
func packing(s *source) {
	lines8(s)
	lines4(s)
	for _, width := range []int{32, 16, 12, 8, 4} {
		columns(s, width)
	}
	pairColumns(s)
}

// pairColumns lays pairs of rows of bfloat16 side by side, n pairs of width
// numbers:
//
//	to[k·stride + i] = from[2k·ld + i] | from[(2k+1)·ld + i] << 16
//
// It needs AVX-512. stride is in pairs, ld in single numbers.
func pairColumns(s *source) {
	s.text("pairColumns", "to *float32, stride int, from *uint16, ld, width, n int", 48)
	s.op("MOVQ to+0(FP), DI")
	s.op("MOVQ stride+8(FP), R8")
	s.op("SHLQ $2, R8")
	s.op("MOVQ from+16(FP), SI")
	s.op("MOVQ ld+24(FP), R9")
	s.op("SHLQ $1, R9")
	s.op("MOVQ width+32(FP), DX")
	s.op("MOVQ n+40(FP), CX")
	s.comment("K1: the lanes of the last 16 columns or fewer; BX: bytes of the whole 16s before.")
	s.op("LEAQ -1(DX), BX")
	s.op("ANDQ $-16, BX")
	s.op("SUBQ BX, DX")
	s.op("MOVQ $-1, AX")
	s.op("BZHIQ DX, AX, AX")
	s.op("KMOVW AX, K1")
	s.op("SHLQ $1, BX")
	s.label("pair")
	s.op("LEAQ (SI)(R9*1), R11")
	s.op("XORQ R10, R10")
	s.label("sixteen")
	s.op("CMPQ R10, BX")
	s.op("JGE last")
	s.op("VPMOVZXWD (SI)(R10*1), Z0")
	s.op("VPMOVZXWD (R11)(R10*1), Z1")
	s.op("VPSLLD $16, Z1, Z1")
	s.op("VPORD Z1, Z0, Z0")
	s.op("VMOVUPS Z0, (DI)(R10*2)")
	s.op("ADDQ $32, R10")
	s.op("JMP sixteen")
	s.label("last")
	s.op("VPMOVZXWD.Z (SI)(R10*1), K1, Z0")
	s.op("VPMOVZXWD.Z (R11)(R10*1), K1, Z1")
	s.op("VPSLLD $16, Z1, Z1")
	s.op("VPORD Z1, Z0, Z0")
	s.op("VMOVUPS Z0, K1, (DI)(R10*2)")
	s.op("LEAQ (SI)(R9*2), SI")
	s.op("ADDQ R8, DI")
	s.op("DECQ CX")
	s.op("JNZ pair")
	s.op("VZEROUPPER")
	s.op("RET")
}

func packHead(s *source, name string) {
	s.text(name, packArguments, 40)
	s.op("MOVQ to+0(FP), DI")
	s.op("MOVQ stride+8(FP), R8")
	s.op("SHLQ $2, R8")
	s.op("MOVQ from+16(FP), SI")
	s.op("MOVQ ld+24(FP), R9")
	s.op("SHLQ $2, R9")
	s.op("MOVQ n+32(FP), CX")
}

// lines8 transposes blocks of 8×8. Lines i and i+4 share a register, put
// together by loads: half as many shuffles remain, which are the limit.
func lines8(s *source) {
	packHead(s, "lines8")
	s.op("LEAQ (R9)(R9*2), R10")
	s.op("LEAQ (SI)(R9*4), R11")
	s.op("LEAQ (R8)(R8*2), R12")
	s.op("PCALIGN $32")
	s.label("loop")
	line := []string{"(%s)", "(%s)(R9*1)", "(%s)(R9*2)", "(%s)(R10*1)"}
	for half := range 2 {
		for i, form := range line {
			low, high := fmt.Sprintf(form, "SI"), fmt.Sprintf(form, "R11")
			if half == 1 {
				low, high = "16"+low, "16"+high
			}
			s.op("VMOVUPS %s, X%d", low, 4*half+i)
			s.op("VINSERTF128 $1, %s, Y%d, Y%d", high, 4*half+i, 4*half+i)
		}
	}
	for half := range 2 {
		transpose4(s, "Y", 4*half)
	}
	s.op("LEAQ (DI)(R8*4), R13")
	to := []string{"(%s)", "(%s)(R8*1)", "(%s)(R8*2)", "(%s)(R12*1)"}
	for half, base := range []string{"DI", "R13"} {
		for i, form := range to {
			s.op("VMOVUPS Y%d, %s", 4*half+i, fmt.Sprintf(form, base))
		}
	}
	s.op("ADDQ $32, SI")
	s.op("ADDQ $32, R11")
	s.op("LEAQ (DI)(R8*8), DI")
	s.op("SUBQ $8, CX")
	s.op("JNZ  loop")
	s.op("VZEROUPPER")
	s.op("RET")
}

func lines4(s *source) {
	packHead(s, "lines4")
	s.op("LEAQ (R9)(R9*2), R10")
	s.op("LEAQ (R8)(R8*2), R12")
	s.label("loop")
	for i, from := range []string{"(SI)", "(SI)(R9*1)", "(SI)(R9*2)", "(SI)(R10*1)"} {
		s.op("VMOVUPS %s, X%d", from, i)
	}
	transpose4(s, "X", 0)
	for i, to := range []string{"(DI)", "(DI)(R8*1)", "(DI)(R8*2)", "(DI)(R12*1)"} {
		s.op("VMOVUPS X%d, %s", i, to)
	}
	s.op("ADDQ $16, SI")
	s.op("LEAQ (DI)(R8*4), DI")
	s.op("SUBQ $4, CX")
	s.op("JNZ  loop")
	s.op("VZEROUPPER")
	s.op("RET")
}

// transpose4 turns the 4×4 blocks in the lanes of registers at…at+3; it uses
// 8…15 beside them.
func transpose4(s *source, reg string, at int) {
	t := 8 + at
	s.op("VUNPCKLPS %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, at, at+1, t)
	s.op("VUNPCKHPS %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, at, at+1, t+1)
	s.op("VUNPCKLPS %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, at+2, at+3, t+2)
	s.op("VUNPCKHPS %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, at+2, at+3, t+3)
	s.op("VUNPCKLPD %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, t, t+2, at)
	s.op("VUNPCKHPD %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, t, t+2, at+1)
	s.op("VUNPCKLPD %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, t+1, t+3, at+2)
	s.op("VUNPCKHPD %[1]s%[3]d, %[1]s%[2]d, %[1]s%[4]d", reg, t+1, t+3, at+3)
}

// columns takes all of a row in one turn: the rows of a large matrix lie in
// different pages, and two visits would be two misses.
func columns(s *source, width int) {
	packHead(s, fmt.Sprint("columns", width))
	s.op("PCALIGN $32")
	s.label("loop")
	regs := []string{}
	for at := 0; at < width; at += 8 {
		reg := "Y"
		if at+8 > width {
			reg = "X"
		}
		regs = append(regs, fmt.Sprint(reg, len(regs)))
	}
	for i, reg := range regs {
		s.op("VMOVUPS %d(SI), %s", 32*i, reg)
	}
	for i, reg := range regs {
		s.op("VMOVUPS %s, %d(DI)", reg, 32*i)
	}
	s.op("ADDQ R9, SI")
	s.op("ADDQ R8, DI")
	s.op("DECQ CX")
	s.op("JNZ  loop")
	s.op("VZEROUPPER")
	s.op("RET")
}
