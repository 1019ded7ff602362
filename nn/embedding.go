package nn

import "github.com/micro-quant/mqc/internal/parallel"

// EmbeddingForward looks tokens up in a table:
//
//	out[r,:] = table[tokens[r],:]
//
//	out     (R, C)  overwritten
//	tokens  (R)     each within the table
//	table   (V, C)
func EmbeddingForward(out []float32, tokens []int32, table []float32, R, C int) {
	parallel.For(R, rowGrain(C), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			t := int(tokens[r])
			copy(out[r*C:(r+1)*C], table[t*C:(t+1)*C])
		}
	})
}

// EmbeddingAdd is [EmbeddingForward] onto what out holds already.
func EmbeddingAdd(out []float32, tokens []int32, table []float32, R, C int) {
	parallel.For(R, rowGrain(C), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			t := int(tokens[r])
			add(out[r*C:(r+1)*C], table[t*C:(t+1)*C])
		}
	})
}

// EmbeddingBackward adds the gradient of [EmbeddingForward] or [EmbeddingAdd]:
//
//	dtable[tokens[r],:] += dout[r,:]
//
// Workers share out the columns, so that each sum runs in the order of r.
func EmbeddingBackward(dtable, dout []float32, tokens []int32, R, C int) {
	parallel.For(C, max(16, rowGrain(R)), func(lo, hi int) {
		for r := range R {
			t := int(tokens[r])
			add(dtable[t*C+lo:t*C+hi], dout[r*C+lo:r*C+hi])
		}
	})
}

// AddForward is a residual connection: y += x.
func AddForward(y, x []float32) {
	forElements(len(y), func(lo, hi int) { add(y[lo:hi], x[lo:hi]) })
}

func add(y, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += x[i]
	}
}
