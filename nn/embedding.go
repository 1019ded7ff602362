package nn

import (
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// EmbeddingForward looks tokens up in a table:
//
//	out[r,:] = table[tokens[r],:]
//
//	out     (R, C)  overwritten
//	tokens  (R)     each within the table
//	table   (V, C)
func EmbeddingForward(out []float32, tokens []int32, table []float32, R, C int) {
	embed(out, tokens, table, R, C, func(to, row []float32) { copy(to, row) })
}

// EmbeddingAdd is [EmbeddingForward] onto what out holds already.
func EmbeddingAdd(out []float32, tokens []int32, table []float32, R, C int) {
	embed(out, tokens, table, R, C, kernel.Add)
}

func embed(out []float32, tokens []int32, table []float32, R, C int, put func(to, row []float32)) {
	type args struct {
		out, table []float32
		tokens     []int32
		C          int
		put        func(to, row []float32)
	}
	parallel.Do(R, rowGrain(C), args{out, table, tokens, C, put}, func(a *args, lo, hi int) {
		for r := lo; r < hi; r++ {
			t := int(a.tokens[r])
			a.put(a.out[r*a.C:(r+1)*a.C], a.table[t*a.C:(t+1)*a.C])
		}
	})
}

// EmbeddingBackward adds the gradient of [EmbeddingForward] or [EmbeddingAdd]:
//
//	dtable[tokens[r],:] += dout[r,:]
//
// Workers share out the columns, so that each sum runs in the order of r.
func EmbeddingBackward(dtable, dout []float32, tokens []int32, R, C int) {
	type args struct {
		dtable, dout []float32
		tokens       []int32
		R, C         int
	}
	parallel.Do(C, max(16, rowGrain(R)), args{dtable, dout, tokens, R, C}, func(a *args, lo, hi int) {
		for r := range a.R {
			t := int(a.tokens[r])
			kernel.Add(a.dtable[t*a.C+lo:t*a.C+hi], a.dout[r*a.C+lo:r*a.C+hi])
		}
	})
}

// AddRow adds one row (C) to each of R rows of x.
func AddRow(x, row []float32, R int) {
	type args struct{ x, row []float32 }
	parallel.Do(R, rowGrain(len(row)), args{x, row}, func(a *args, lo, hi int) {
		C := len(a.row)
		for r := lo; r < hi; r++ {
			kernel.Add(a.x[r*C:(r+1)*C], a.row)
		}
	})
}
