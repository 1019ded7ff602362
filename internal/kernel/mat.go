package kernel

import (
	"fmt"
	"unsafe"
)

// Precision is that of the numbers that a matrix product multiplies. Sums are
// float32 at either.
type Precision uint8

const (
	F32  Precision = iota
	BF16           // bfloat16: the upper half of a float32, rounded to nearest even
)

var precisions = [...]string{F32: "f32", BF16: "bf16"}

func (p Precision) String() string { return precisions[p] }

// MarshalText and UnmarshalText write and read "f32" and "bf16".
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (p *Precision) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePrecision(string(text))
	return err
}

// ParsePrecision is the inverse of [Precision.String].
func ParsePrecision(s string) (Precision, error) {
	for p, name := range precisions {
		if s == name {
			return Precision(p), nil
		}
	}
	return 0, fmt.Errorf("precision %q is neither f32 nor bf16", s)
}

// steps is how many dwords hold n numbers along k. bfloat16 come in whole rows
// of a tile, 16 pairs, of which the last are zero.
func (p Precision) steps(n int) int {
	if p == F32 {
		return n
	}
	return ceilDiv(n, 32) * 16
}

// Mat is a row-major matrix that products read, at one precision. The zero
// value is empty; [Mat.Resize] makes room.
type Mat struct {
	Precision
	Rows, Cols int

	ld   int       // dwords from row to row
	data []float32 // dwords
}

// Resize makes m a matrix of that shape with unspecified contents; it keeps
// the memory where that is large enough.
func (m *Mat) Resize(p Precision, rows, cols int) {
	ld := p.steps(cols)
	if ld*4%2048 == 0 && rows > 1 {
		ld += 16 // rows a multiple of 2 KiB apart push each other out of L1
	}
	if m.Precision == p && m.Cols == cols && m.ld == ld && cap(m.data) >= rows*ld {
		m.Rows, m.data = rows, m.data[:rows*ld]
		return
	}
	data := resize(m.data, rows*ld)
	if p == BF16 {
		clear(data) // the padding is zero, and Store leaves it
	}
	*m = Mat{Precision: p, Rows: rows, Cols: cols, ld: ld, data: data}
}

// View is a matrix over a slice of rows·cols float32.
func View(data []float32, rows, cols int) Mat {
	return Mat{Rows: rows, Cols: cols, ld: cols, data: data[:rows*cols]}
}

// Row returns row i to be written: in place where m is float32, else in
// scratch, from where [Mat.Store] takes it.
func (m *Mat) Row(i int, scratch []float32) []float32 {
	if m.Precision == F32 {
		return m.data[i*m.ld : i*m.ld+m.Cols]
	}
	return scratch[:m.Cols]
}

// Store makes row the contents of row i. It costs nothing for a row that
// [Mat.Row] returned in place.
func (m *Mat) Store(i int, row []float32) {
	if m.Precision == BF16 {
		ToBF16(m.halves(i), row[:m.Cols])
		return
	}
	if to := m.data[i*m.ld : i*m.ld+m.Cols]; &to[0] != &row[0] {
		copy(to, row)
	}
}

// Load returns row i: in place where m is float32, else widened to scratch.
func (m *Mat) Load(i int, scratch []float32) []float32 {
	if m.Precision == F32 {
		return m.data[i*m.ld : i*m.ld+m.Cols]
	}
	row := scratch[:m.Cols]
	FromBF16(row, m.halves(i))
	return row
}

// Strided is a matrix over rows of a larger one, ld floats apart.
func Strided(data []float32, rows, cols, ld int) Mat {
	return Mat{Rows: rows, Cols: cols, ld: ld, data: data[:max(0, (rows-1)*ld+cols)]}
}

// StoreAt makes part the columns from col on of row i.
func (m *Mat) StoreAt(i, col int, part []float32) {
	if m.Precision == BF16 {
		ToBF16(m.halves(i)[col:col+len(part)], part)
		return
	}
	copy(m.data[i*m.ld+col:], part)
}

// LoadAt returns n columns from col on of row i: in place where m is float32,
// else widened to scratch.
func (m *Mat) LoadAt(i, col, n int, scratch []float32) []float32 {
	if m.Precision == F32 {
		return m.data[i*m.ld+col : i*m.ld+col+n]
	}
	FromBF16(scratch[:n], m.halves(i)[col:col+n])
	return scratch[:n]
}

// part is rows [lo,hi) of m.
func (m *Mat) part(lo, hi int) Mat {
	p := *m
	p.Rows, p.data = hi-lo, m.data[lo*m.ld:]
	return p
}

// halves is row i of a matrix of bfloat16.
func (m *Mat) halves(i int) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(&m.data[i*m.ld])), m.Cols)
}

// widened is number k of row i as a float32.
func (m *Mat) widened(i, k int) float32 {
	if m.Precision == F32 {
		return m.data[i*m.ld+k]
	}
	return fromBF16(m.halves(i)[k])
}
