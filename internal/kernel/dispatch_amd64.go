//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

//go:noescape
func tileRowsAVX512(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool)

//go:noescape
func tileColumnsAVX512(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool)

//go:noescape
func tileRowsAVX2(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool)

//go:noescape
func tileColumnsAVX2(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool)

//go:noescape
func tileRowsPairs(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool)

//go:noescape
func tileColumnsPairs(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, k int, load bool)

//go:noescape
func stripAMX(y *float32, ldy int, x *float32, ldx int, w *float32, panels, depth int, load, half bool, shape *tileShape)

//go:noescape
func peakAVX512(turns int)

//go:noescape
func peakAVX2(turns int)

//go:noescape
func peakPairs(turns int)

//go:noescape
func peakAMX(turns int, shape *tileShape)

//go:noescape
func lines8(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func lines4(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func columns32(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func columns16(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func columns12(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func columns8(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func columns4(to *float32, stride int, from *float32, ld, n int)

//go:noescape
func pairColumns(to *float32, stride int, from *uint16, ld, width, n int)

// detect returns the engines of this CPU, the fastest of a precision first.
func detect() (found []*engine) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	avx512 := cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL && cpu.X86.HasBMI2
	if avx512 && cpu.X86.HasAMXBF16 && tilesAllowed() {
		found = append(found, &engine{
			name: "AMX", precision: BF16,
			strip: stripMatrix, rows: 32, cols: 32, group: 4, rowsOnly: true,
			lines: linesAVX, pairs: pairsAVX512,
			peak: func(turns int) { peakAMX(turns, &tileShapes[32]) }, peakWork: 4 * 16 * 16 * 32 * 2,
		})
	}
	if avx512 && cpu.X86.HasAVX512BF16 {
		found = append(found, withTiles(&engine{
			name: "AVX512-BF16", precision: BF16,
			tileRows: tileRowsPairs, tileColumns: tileColumnsPairs,
			rows: 12, cols: 32, group: 8,
			lines: linesAVX, pairs: pairsAVX512,
			peak: peakPairs, peakWork: 12 * 16 * 4,
		}))
	}
	if avx512 {
		found = append(found, withTiles(&engine{
			name:     "AVX-512",
			tileRows: tileRowsAVX512, tileColumns: tileColumnsAVX512,
			rows: 12, cols: 32, group: 8,
			lines: linesAVX, columns: columnsAVX,
			peak: peakAVX512, peakWork: 12 * 16 * 2,
		}))
	}
	return append(found, withTiles(&engine{
		name:     "AVX2",
		tileRows: tileRowsAVX2, tileColumns: tileColumnsAVX2,
		rows: 6, cols: 16, group: 16,
		lines: linesAVX, columns: columnsAVX,
		peak: peakAVX2, peakWork: 12 * 8 * 2,
	}))
}

// tileShape is the operand of LDTILECFG: palette 1, then for each of the eight
// tiles its bytes in a row and its rows (Intel SDM, volume 1, chapter 18).
type tileShape struct {
	palette uint8
	_       [15]uint8 // the row to start from, and what is reserved
	bytes   [16]uint16
	rows    [16]uint8
}

// tileShapes are those of a panel of x of 1 to 32 rows. The tiles of w always
// have 16 pairs of rows.
var tileShapes = func() (shapes [33]tileShape) {
	for n := 1; n <= 32; n++ {
		s := &shapes[n]
		s.palette = 1
		upper, lower := min(n, 16), max(1, n-16)
		for t, rows := range []int{upper, upper, lower, lower, upper, lower, 16, 16} {
			s.bytes[t], s.rows[t] = 64, uint8(rows)
		}
	}
	return shapes
}()

// stripMatrix is the strip of AMX: whole panels in one call, then what is left.
func stripMatrix(y []float32, ldy int, x *block, w []float32, k0, depth int, load bool) {
	whole, rest := x.rows/32, x.rows%32
	if whole > 0 {
		stripAMX(&y[0], ldy, &x.data[k0], x.ld, &w[0], whole, depth, load, false, &tileShapes[32])
	}
	if rest > 0 {
		m := whole * 32
		stripAMX(&y[m*ldy], ldy, &x.data[m*x.ld+k0], x.ld, &w[0], 1, depth, load, rest <= 16, &tileShapes[rest])
	}
}

// packSteps is how many steps of k the groups of a panel take in turn: what
// they write then, 8 KiB at most, stays in L1 until each line is complete.
const packSteps = 64

// linesAVX packs in groups of 8 lines, or of 4; the last group begins early
// where the width is no multiple and writes some values twice.
func linesAVX(to []float32, stride int, from []float32, ld, width, depth int) int {
	group, pack := 8, lines8
	if width < 8 {
		group, pack = 4, lines4
	}
	if width < 4 {
		return 0
	}
	depth -= depth % group
	for k := 0; k < depth; k += packSteps {
		n := min(packSteps, depth-k)
		for i := 0; i < width; i += group {
			i = min(i, width-group)
			pack(&to[k*stride+i], stride, &from[i*ld+k], ld, n)
		}
	}
	return depth
}

func columnsAVX(to []float32, stride int, from []float32, ld, width, depth int) bool {
	var group int
	var pack func(to *float32, stride int, from *float32, ld, n int)
	switch {
	case width >= 32:
		group, pack = 32, columns32
	case width >= 16:
		group, pack = 16, columns16
	case width >= 12:
		group, pack = 12, columns12
	case width >= 8:
		group, pack = 8, columns8
	case width >= 4:
		group, pack = 4, columns4
	default:
		return false
	}
	for i := 0; i < width; i += group {
		i = min(i, width-group)
		pack(&to[i], stride, &from[i], ld, depth)
	}
	return true
}

func pairsAVX512(to []float32, stride int, from []uint16, ld, width, n int) {
	pairColumns(&to[0], stride, &from[0], ld, width, n)
}
