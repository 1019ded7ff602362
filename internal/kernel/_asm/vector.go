package main

import "fmt"

const vectorArguments = "s, a, b *float32, stride, rows, n int"

// vectors writes the loops over rows of n numbers, n in eights, which lie stride
// numbers apart. They need AVX2 and FMA, and serve all instruction sets.
//
//	dots   s[u] = Σᵢ a[i]·b[u·stride+i]     eight chains of every eighth i, added as a tree
//	mix    s[i] += Σ_u a[u]·b[u·stride+i]   one chain over u
//	outer  s[u·stride+i] += a[u]·b[i]
func vectors(s *source) {
	dots(s)
	overChunks(s, "mix", mixChunk)
	overChunks(s, "outer", outerChunk)
}

func vectorHead(s *source, name string) {
	s.text(name, vectorArguments, 48)
	s.op("MOVQ s+0(FP), DI")
	s.op("MOVQ a+8(FP), SI")
	s.op("MOVQ b+16(FP), DX")
	s.op("MOVQ stride+24(FP), R8")
	s.op("SHLQ $2, R8")
	s.op("MOVQ rows+32(FP), CX")
	s.op("MOVQ n+40(FP), R9")
}

// dots takes eight rows at a time, so that eight chains hide the latency of the
// addition, then one by one, with the same sums.
func dots(s *source) {
	vectorHead(s, "dotsAVX")
	s.op("SHLQ $2, R9")

	s.label("eight")
	s.op("CMPQ CX, $8")
	s.op("JLT one")
	s.comment("Rows 0 to 2 from R10, 3 to 5 from R11, 6 and 7 from R12.")
	s.op("MOVQ DX, R10")
	s.op("LEAQ (R8)(R8*2), AX")
	s.op("LEAQ (R10)(AX*1), R11")
	s.op("LEAQ (R11)(AX*1), R12")
	s.op("LEAQ (DX)(R8*8), DX")
	for r := range 8 {
		s.op("VXORPS Y%d, Y%d, Y%d", r, r, r)
	}
	s.op("XORQ AX, AX")
	s.label("eightLoop")
	s.op("VMOVUPS (SI)(AX*1), Y8")
	for r := range 8 {
		base := []string{"R10", "R11", "R12"}[r/3]
		s.op("VFMADD231PS %s, Y8, Y%d", []string{"(" + base + ")", "(" + base + ")(R8*1)", "(" + base + ")(R8*2)"}[r%3], r)
	}
	for _, r := range []string{"R10", "R11", "R12", "AX"} {
		s.op("ADDQ $32, %s", r)
	}
	s.op("CMPQ AX, R9")
	s.op("JLT eightLoop")
	for half := range 2 {
		y := 4 * half
		s.op("VHADDPS Y%d, Y%d, Y%d", y+1, y, y)
		s.op("VHADDPS Y%d, Y%d, Y%d", y+3, y+2, y+2)
		s.op("VHADDPS Y%d, Y%d, Y%d", y+2, y, y)
		s.op("VEXTRACTF128 $1, Y%d, X%d", y, y+1)
		s.op("VADDPS X%d, X%d, X%d", y+1, y, y)
		s.op("VMOVUPS X%d, %d(DI)", y, 16*half)
	}
	s.op("ADDQ $32, DI")
	s.op("SUBQ $8, CX")
	s.op("JMP eight")

	s.label("one")
	s.op("TESTQ CX, CX")
	s.op("JLE done")
	s.op("VXORPS Y0, Y0, Y0")
	s.op("XORQ AX, AX")
	s.label("oneLoop")
	s.op("VMOVUPS (SI)(AX*1), Y8")
	s.op("VFMADD231PS (DX)(AX*1), Y8, Y0")
	s.op("ADDQ $32, AX")
	s.op("CMPQ AX, R9")
	s.op("JLT oneLoop")
	s.op("VHADDPS Y0, Y0, Y0")
	s.op("VHADDPS Y0, Y0, Y0")
	s.op("VEXTRACTF128 $1, Y0, X1")
	s.op("VADDPS X1, X0, X0")
	s.op("VMOVSS X0, (DI)")
	s.op("ADDQ $4, DI")
	s.op("ADDQ R8, DX")
	s.op("DECQ CX")
	s.op("JMP one")

	s.label("done")
	s.op("VZEROUPPER")
	s.op("RET")
}

// overChunks writes a function that cuts n into chunks of 64, 32 and 8 numbers,
// each of which stays in registers while all rows pass by. chunk finds the
// chunk's part of s in R10 and of b in R11, a in R12 and the rows in AX.
func overChunks(s *source, name string, chunk func(s *source, name string, registers int)) {
	vectorHead(s, name+"AVX")
	for _, size := range []int{64, 32, 8} {
		from := fmt.Sprintf("chunk%d", size)
		next := map[int]string{64: "chunk32", 32: "chunk8", 8: "done"}[size]
		s.label(from)
		s.op("CMPQ R9, $%d", size)
		s.op("JLT %s", next)
		s.op("MOVQ DI, R10")
		s.op("MOVQ DX, R11")
		s.op("MOVQ SI, R12")
		s.op("MOVQ CX, AX")
		chunk(s, fmt.Sprintf("row%d", size), size/8)
		s.op("ADDQ $%d, DI", 4*size)
		s.op("ADDQ $%d, DX", 4*size)
		s.op("SUBQ $%d, R9", size)
		s.op("JMP %s", from)
	}
	s.label("done")
	s.op("VZEROUPPER")
	s.op("RET")
}

func mixChunk(s *source, loop string, registers int) {
	for i := range registers {
		s.op("VMOVUPS %d(R10), Y%d", 32*i, i)
	}
	s.label("%s", loop)
	s.op("VBROADCASTSS (R12), Y8")
	for i := range registers {
		s.op("VFMADD231PS %d(R11), Y8, Y%d", 32*i, i)
	}
	s.op("ADDQ $4, R12")
	s.op("ADDQ R8, R11")
	s.op("DECQ AX")
	s.op("JNZ %s", loop)
	for i := range registers {
		s.op("VMOVUPS Y%d, %d(R10)", i, 32*i)
	}
}

func outerChunk(s *source, loop string, registers int) {
	for i := range registers {
		s.op("VMOVUPS %d(R11), Y%d", 32*i, i)
	}
	s.label("%s", loop)
	s.op("VBROADCASTSS (R12), Y8")
	for i := range registers {
		s.op("VMOVUPS %d(R10), Y9", 32*i)
		s.op("VFMADD231PS Y%d, Y8, Y9", i)
		s.op("VMOVUPS Y9, %d(R10)", 32*i)
	}
	s.op("ADDQ $4, R12")
	s.op("ADDQ R8, R10")
	s.op("DECQ AX")
	s.op("JNZ %s", loop)
}
