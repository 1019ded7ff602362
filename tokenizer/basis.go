package tokenizer

import (
	"math"

	"github.com/micro-quant/mqc/feature"
)

// Basis describes every token by P smooth functions of the candle that it
// stands for, and by the logarithm of how often it occurs. A model whose
// logits are linear in them,
//
//	logits[k] = prior[k] + h·phi[k]
//
// starts as the unigram and learns P numbers where a free head learns K: what it
// learns of one token it knows of its neighbours.
type Basis struct {
	P     int
	Phi   []float32 // (K,P), every function with mean 0 and deviation 1 over the tokens
	Prior []float32 // (K) ln p(k) in training
}

// priorWidth is over how many cells of the return the shapes of a [Product] are
// counted together: in the tails there are few candles in each.
const priorWidth = 2.0

// NewBasis makes the basis of a tokenizer from training vectors.
func NewBasis(tok Tokenizer, vectors []feature.Vector) Basis {
	K := tok.Codes()
	counts := make([]float64, K)
	for _, token := range EncodeAll(tok, vectors) {
		counts[token]++
	}
	var columns [][]float64
	var prior []float64
	if p, ok := tok.(*Product); ok {
		columns, prior = p.functions(), p.prior(counts)
	} else {
		columns = functions(tok)
		prior = make([]float64, K)
		for k, n := range counts {
			prior[k] = (n + 0.5) / (float64(len(vectors)) + 0.5*float64(K))
		}
	}
	b := Basis{P: len(columns), Phi: make([]float32, K*len(columns)), Prior: make([]float32, K)}
	for c, column := range columns {
		standardise(column)
		for k, x := range column {
			b.Phi[k*b.P+c] = float32(x)
		}
	}
	for k, p := range prior {
		b.Prior[k] = float32(math.Log(p))
	}
	return b
}

// returnFunctions are of the scaled log return z: sign, size, tails, and bumps
// where most returns are.
func returnFunctions(z float64) []float64 {
	u := math.Asinh(z)
	bump := func(at, width float64) float64 { return math.Exp(-0.5 * (z - at) * (z - at) / (width * width)) }
	return []float64{
		z / (1 + math.Abs(z)), u, u * u, math.Log1p(z * z), math.Log1p(z * z / 0.09), u * u * u,
		bump(0, 0.5), bump(0, 1), bump(1, 1), bump(-1, 1), bump(2, 1), bump(-2, 1),
	}
}

// functions are those of the return and of the shape of decoded candles.
func functions(tok Tokenizer) (columns [][]float64) {
	for k := range tok.Codes() {
		v := tok.Decode(k)
		gap := math.Asinh(v[feature.LogReturn] - v[feature.Body])
		up, down := math.Sqrt(max(0, v[feature.UpperWick])), math.Sqrt(max(0, v[feature.LowerWick]))
		wide := math.Log(0.05 + max(0, v[feature.UpperWick]) + max(0, v[feature.LowerWick]) + math.Abs(v[feature.Body]))
		row := append(returnFunctions(v[feature.LogReturn]), gap, math.Abs(gap), up, up*up, down, down*down, wide, wide*wide)
		columns = addRow(columns, row)
	}
	return columns
}

// functions are those of the return, one for each shape, and the products of
// both for the first terms of the return.
func (p *Product) functions() (columns [][]float64) {
	for k := range p.Codes() {
		cell, shape := k/p.config.Shapes, k%p.config.Shapes
		row := returnFunctions(p.middle[cell])
		if p.config.Shapes > 1 {
			own := make([]float64, p.config.Shapes)
			own[shape] = 1
			for _, f := range row[1:4] {
				for _, x := range own {
					row = append(row, f*x)
				}
			}
			row = append(row, own...)
		}
		columns = addRow(columns, row)
	}
	return columns
}

func addRow(columns [][]float64, row []float64) [][]float64 {
	if columns == nil {
		columns = make([][]float64, len(row))
	}
	for i, x := range row {
		columns[i] = append(columns[i], x)
	}
	return columns
}

// prior is the Student-t's probability of the cell times that of the shape
// among the cells nearby.
func (p *Product) prior(counts []float64) []float64 {
	C, S := p.config.Cells, p.config.Shapes
	overall, total := make([]float64, S), 0.0
	for k, n := range counts {
		overall[k%S] += n + 0.5/float64(C)
		total += n + 0.5/float64(C)
	}
	prior := make([]float64, C*S)
	for cell := range C {
		row, sum := prior[cell*S:(cell+1)*S], 0.0
		for s := range row {
			row[s] = overall[s] / total // one candle of the mean shape
			for other := range C {
				d := float64(other-cell) / priorWidth
				row[s] += math.Exp(-0.5*d*d) * counts[other*S+s]
			}
			sum += row[s]
		}
		for s := range row {
			row[s] *= p.cells.Mass(cell) / sum
		}
	}
	return prior
}

func standardise(x []float64) {
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for i := range x {
		x[i] -= mean
		square += x[i] * x[i] / float64(len(x))
	}
	if square > 0 {
		for i := range x {
			x[i] /= math.Sqrt(square)
		}
	}
}
