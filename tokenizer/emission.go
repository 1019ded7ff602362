package tokenizer

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/internal/parallel"
)

// Emission is, for every token, a density of a number of its candle, fitted on
// training candles: of the scaled log return, or of the logarithm of the scaled
// range. With the probabilities of a model it is an exact law of that number for
// the next candle:
//
//	p(z | context) = Σ_k p(k | context)·f_k(z)
//
// All densities share the cells of one Student-t, so a mixture over tokens is a
// mixture over cells. The density of a token is that of its candles' numbers,
// each spread by a normal kernel of a width of at least [LeastWidth], and mixed
// with the Student-t of all: neither a number that occurs often, as a return of
// zero does, nor one that never occurred scores without bound.
type Emission struct {
	cells *density.Cells
	law   []float32
	edges []float32
	mass  []float32 // (K,M) probability of a cell given a token

	within [][]float64 // (K) running sums of a row of mass, for drawing
}

// Of the densities of an [Emission].
const (
	LeastWidth    = 0.05 // of the kernel and of the Student-t of all, in units of the number
	emissionCells = 128
	floorShare    = 1e-3 // of the Student-t of all in every density
	floorCandles  = 0.5  // and as much more as half a candle weighs
)

// FitEmission fits the densities of K tokens on training candles: tokens (n) and
// their numbers x (n). It fails with [density.ErrNoVariation] where x does not
// vary, and where a number is not finite.
func FitEmission(K int, tokens []int32, x []float64) (*Emission, error) {
	if len(tokens) != len(x) {
		panic(fmt.Sprintf("tokenizer: %d numbers of %d tokens", len(x), len(tokens)))
	}
	of := make([][]float64, K)
	for i, token := range tokens {
		if math.IsNaN(x[i]) || math.Abs(x[i]) > math.MaxFloat32 {
			return nil, fmt.Errorf("tokenizer: fit: candle %d: the number is %v", i, x[i])
		}
		of[token] = append(of[token], x[i])
	}
	law, err := density.FitStudentT(x)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: fit: %w", err)
	}
	law.Scale = max(law.Scale, LeastWidth) // where most numbers are the same
	grid, err := density.NewCells(law, emissionCells)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: fit: %w", err)
	}
	e := &Emission{law: []float32{float32(law.Mu), float32(law.Scale), float32(law.Nu)}}
	for _, x := range grid.Edges {
		e.edges = append(e.edges, float32(x))
	}
	e.mass = make([]float32, K*(len(e.edges)+1))
	if err := e.ready(K); err != nil {
		return nil, err
	}

	parallel.For(K, 8, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			e.fitToken(k, of[k])
		}
	})
	e.accumulate()
	return e, nil
}

// fitToken spreads the numbers of token k over the cells.
func (e *Emission) fitToken(k int, x []float64) {
	M := e.cells.Len()
	row := e.mass[k*M : (k+1)*M]
	n := float64(len(x))
	spread := make([]float64, M)
	width := kernelWidth(x)
	cdf := func(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }
	for _, z := range x {
		below := 0.0
		// Only the cells that the kernel reaches.
		from := e.cells.Index(z - 8*width)
		for j := from; j < M; j++ {
			_, hi := e.cells.Bounds(j)
			above := cdf((hi - z) / width)
			spread[j] += above - below
			if below = above; above > 1-1e-12 {
				break
			}
		}
	}
	for j := range row {
		g := e.cells.Mass(j)
		p := (spread[j] + floorCandles*g) / (n + floorCandles)
		row[j] = float32((1-floorShare)*p + floorShare*g)
	}
}

// kernelWidth is the rule of Silverman 1986 (eq. 3.28), with a floor.
func kernelWidth(x []float64) float64 {
	if len(x) < 2 {
		return LeastWidth
	}
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		square += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return max(LeastWidth, 1.06*math.Sqrt(square)*math.Pow(float64(len(x)), -0.2))
}

// ready makes the cells of law and edges.
func (e *Emission) ready(K int) (err error) {
	edges := make([]float64, len(e.edges))
	for i, x := range e.edges {
		edges[i] = float64(x)
	}
	law := density.StudentT{Mu: float64(e.law[0]), Scale: float64(e.law[1]), Nu: float64(e.law[2])}
	if e.cells, err = density.CellsAt(law, edges); err != nil {
		return err
	}
	e.within = make([][]float64, K)
	return nil
}

func (e *Emission) accumulate() {
	M := e.cells.Len()
	for k := range e.within {
		sums, sum := make([]float64, M), 0.0
		for j, p := range e.mass[k*M : (k+1)*M] {
			sum += float64(p)
			sums[j] = sum
		}
		e.within[k] = sums
	}
}

// Codes is K, the number of tokens.
func (e *Emission) Codes() int { return len(e.within) }

// Cells are those of all densities.
func (e *Emission) Cells() *density.Cells { return e.cells }

// Mixture reads the outputs of a model without tokens, as a mixture around the
// Student-t of all.
func (e *Emission) Mixture() density.MixtureT { return density.MixtureT{Around: e.cells.T} }

// Mass is the probability of cell j given token k.
func (e *Emission) Mass(k, j int) float64 { return float64(e.mass[k*e.cells.Len()+j]) }

// Mix writes to cells (M) the law of the number under probabilities (K) of the
// tokens.
func (e *Emission) Mix(cells []float64, probabilities []float64) {
	M := e.cells.Len()
	clear(cells[:M])
	for k, p := range probabilities {
		for j, m := range e.mass[k*M : (k+1)*M] {
			cells[j] += p * float64(m)
		}
	}
}

// Sample draws a number of a token: u picks the cell, v the place in it,
// both uniform on (0,1).
func (e *Emission) Sample(token int, u, v float64) float64 {
	sums := e.within[token]
	u *= sums[len(sums)-1]
	j := 0
	for j < len(sums)-1 && sums[j] <= u {
		j++
	}
	return e.cells.At(j, v)
}

// Quantile is the number at quantile u, in (0,1), of the law that [Mix]
// wrote to cells, and the cell that it lies in.
func (e *Emission) Quantile(cells []float64, u float64) (x float64, j int) {
	sum := 0.0
	for _, p := range cells {
		sum += p
	}
	u *= sum
	for j < len(cells)-1 && cells[j] <= u {
		u -= cells[j]
		j++
	}
	// Subtraction may leave a hair outside of the cell, and its ends are
	// infinite in the tails.
	const hair = 1e-12
	return e.cells.At(j, min(max(u/cells[j], hair), 1-hair)), j
}

// Tensors are all numbers of the emission, as [LoadEmission] takes them.
func (e *Emission) Tensors() []Tensor {
	return []Tensor{
		{"law", []int{3}, e.law},
		{"edges", []int{len(e.edges)}, e.edges},
		{"mass", []int{e.Codes(), e.cells.Len()}, e.mass},
	}
}

// LoadEmission makes the emission of tensors that a file has.
func LoadEmission(tensors map[string]Tensor) (*Emission, error) {
	shape := tensors["mass"].Shape
	if len(shape) != 2 || shape[0] < MinCodes || shape[0] > MaxCodes || shape[1] < 2 || shape[1] > MaxCodes {
		return nil, fmt.Errorf(`tokenizer: load emission: tensor "mass" has shape %v`, shape)
	}
	K, M := shape[0], shape[1]
	e := &Emission{law: make([]float32, 3), edges: make([]float32, M-1), mass: make([]float32, K*M)}
	p := &parts{tensors: tensors, taken: map[string]bool{}}
	p.take(e.law, "law", 3)
	p.take(e.edges, "edges", M-1)
	p.take(e.mass, "mass", K, M)
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("tokenizer: load emission: %w", err)
	}
	if err := e.ready(K); err != nil {
		return nil, fmt.Errorf("tokenizer: load emission: %w", err)
	}
	for i, m := range e.mass {
		if !(m > 0 && m <= 1) {
			return nil, fmt.Errorf(`tokenizer: load emission: tensor "mass": value %d is %v, no probability of a cell`, i, m)
		}
	}
	e.accumulate()
	return e, nil
}
