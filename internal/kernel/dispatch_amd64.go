//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

//go:noescape
func tileAVX512(y *float32, ldy int, x, w *float32, rows, k int, load bool)

//go:noescape
func tileAVX2(y *float32, ldy int, x, w *float32, rows, k int, load bool)

//go:noescape
func peakAVX512(turns int)

//go:noescape
func peakAVX2(turns int)

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
func dotsAVX(s, a, b *float32, stride, rows, n int)

//go:noescape
func mixAVX(s, a, b *float32, stride, rows, n int)

//go:noescape
func outerAVX(s, a, b *float32, stride, rows, n int)

// detect returns the engines of this CPU, the fastest first.
func detect() (found []*engine) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	if cpu.X86.HasAVX512F {
		found = append(found, &engine{
			name: "AVX-512",
			tile: func(y []float32, ldy int, x, w []float32, rows, depth int, load bool) {
				tileAVX512(&y[0], ldy, &x[0], &w[0], rows, depth, load)
			},
			rows: 12, cols: 32,
			lines: linesAVX, columns: columnsAVX,
			dots: dotsAVX, mix: mixAVX, outer: outerAVX,
			peak: peakAVX512, peakWork: 12 * 16 * 2,
		})
	}
	return append(found, &engine{
		name: "AVX2",
		tile: func(y []float32, ldy int, x, w []float32, rows, depth int, load bool) {
			tileAVX2(&y[0], ldy, &x[0], &w[0], rows, depth, load)
		},
		rows: 6, cols: 16,
		lines: linesAVX, columns: columnsAVX,
		dots: dotsAVX, mix: mixAVX, outer: outerAVX,
		peak: peakAVX2, peakWork: 12 * 8 * 2,
	})
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
