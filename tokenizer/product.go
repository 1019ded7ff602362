package tokenizer

import (
	"errors"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
)

// KindProduct names [Product] in files.
const KindProduct = "product"

// Product makes a token of two codes: the cell of the log return, among cells
// that are about equally probable under a Student-t with further ones in the
// tails, and the shape of the candle, which is its gap and its wicks:
//
//	token = cell · Shapes + shape
//
// Nothing of the return is lost to the shape, so a law of tokens is a law of
// returns in steps as fine as the cells.
type Product struct {
	config  productConfig
	cells   *density.Cells
	law     []float32 // location, scale and degrees of freedom of the Student-t
	edges   []float32 // (Cells−1)
	centres []float32 // (Shapes, 3) of the transformed gap and wicks
	means   []float32 // (Shapes, 3) of gap, upper and lower wick
	middle  []float64 // (Cells) the median of the Student-t within each cell
}

// productConfig is what [Product.Config] returns.
type productConfig struct {
	Cells  int `json:"cells"`
	Shapes int `json:"shapes"`
}

func (c productConfig) validate() error {
	if c.Cells < minCells || c.Shapes < 1 || c.Cells > MaxCodes || c.Shapes > MaxCodes || c.Cells*c.Shapes > MaxCodes {
		return fmt.Errorf("tokenizer: config: %d cells × %d shapes: want at least %d cells, and at most %d codes together", c.Cells, c.Shapes, minCells, MaxCodes)
	}
	return nil
}

// minCells leaves four cells between the tails.
const minCells = 12

// ProductShapes is how many shapes a product of that many codes has: 8, or as
// few as leave enough cells for the return.
func ProductShapes(codes int) int {
	for _, shapes := range []int{8, 4, 2} {
		if codes%shapes == 0 && codes/shapes >= 32 {
			return shapes
		}
	}
	return 1
}

// shapeSize is how many numbers make a shape.
const shapeSize = 3

// shapeOf transforms gap and wicks so that distances between shapes mean about
// the same everywhere, and none of them dominates.
func shapeOf(v feature.Vector) [shapeSize]float32 {
	root := func(x float64) float32 { return float32(1.3 * math.Sqrt(min(max(x, 0), 9))) }
	return [shapeSize]float32{float32(math.Asinh(v[feature.LogReturn] - v[feature.Body])), root(v[feature.UpperWick]), root(v[feature.LowerWick])}
}

// Lloyd iterations, and vectors that they look at.
const (
	shapeRounds     = 25
	maxShapeVectors = 30_000
)

// FitProduct fits cells and shapes on scaled vectors. It fails for numbers of
// codes out of range, for vectors that are not finite, and for returns that do
// not vary.
func FitProduct(vectors []feature.Vector, cells, shapes int, seed uint64) (*Product, error) {
	config := productConfig{cells, shapes}
	if err := config.validate(); err != nil {
		return nil, err
	}
	if err := checkVectors(vectors); err != nil {
		return nil, err
	}
	law, err := fitReturns(vectors)
	if err != nil {
		return nil, err
	}
	grid, err := density.NewCells(law, cells)
	if err != nil {
		return nil, err
	}
	p := newProduct(config)
	p.law = []float32{float32(law.Mu), float32(law.Scale), float32(law.Nu)}
	for i, e := range grid.Edges {
		p.edges[i] = float32(e)
	}
	if err := p.ready(); err != nil {
		return nil, err
	}
	p.fitShapes(vectors, seed)
	return p, nil
}

// fitReturns is the Student-t of the scaled log returns.
func fitReturns(vectors []feature.Vector) (density.StudentT, error) {
	law, err := density.FitStudentT(feature.Returns(vectors))
	if err != nil {
		return law, fmt.Errorf("tokenizer: fit: log returns: %w", err)
	}
	return law, nil
}

// fitShapes finds the shapes by k-means (Lloyd 1982).
func (p *Product) fitShapes(vectors []feature.Vector, seed uint64) {
	random := rng.New(seed, rng.Codebook, 0)
	order := random.Perm(len(vectors))[:min(len(vectors), maxShapeVectors)]
	R, S := len(order), p.config.Shapes
	z := make([]float32, 0, R*shapeSize)
	for _, i := range order {
		s := shapeOf(vectors[i])
		z = append(z, s[:]...)
	}
	book := codebook{K: S, D: shapeSize, codes: p.centres}
	book.seed(z, R, random)
	book.lloyd(z, R, shapeRounds)
	sums, counts := make([]float64, S*shapeSize), make([]float64, S)
	for _, v := range vectors {
		s := p.shape(v)
		counts[s]++
		for d, x := range [shapeSize]float64{v[feature.LogReturn] - v[feature.Body], v[feature.UpperWick], v[feature.LowerWick]} {
			sums[s*shapeSize+d] += x
		}
	}
	for i := range sums {
		if n := counts[i/shapeSize]; n > 0 {
			p.means[i] = float32(sums[i] / n)
		}
	}
}

func newProduct(c productConfig) *Product {
	return &Product{
		config: c, law: make([]float32, 3), edges: make([]float32, c.Cells-1),
		centres: make([]float32, c.Shapes*shapeSize), means: make([]float32, c.Shapes*shapeSize),
	}
}

// ready makes the cells of law and edges.
func (p *Product) ready() (err error) {
	edges := make([]float64, len(p.edges))
	for i, e := range p.edges {
		edges[i] = float64(e)
	}
	law := density.StudentT{Mu: float64(p.law[0]), Scale: float64(p.law[1]), Nu: float64(p.law[2])}
	if p.cells, err = density.CellsAt(law, edges); err != nil {
		return err
	}
	p.middle = make([]float64, p.cells.Len())
	for j := range p.middle {
		p.middle[j] = p.cells.At(j, 0.5)
	}
	return nil
}

func loadProduct(configJSON []byte, parts *parts) (Tokenizer, error) {
	var config productConfig
	if err := decodeConfig(configJSON, &config); err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	p := newProduct(config)
	parts.take(p.law, "law", 3)
	parts.take(p.edges, "edges", config.Cells-1)
	parts.take(p.centres, "centres", config.Shapes, shapeSize)
	parts.take(p.means, "means", config.Shapes, shapeSize)
	if parts.err != nil {
		return nil, parts.err
	}
	if err := p.ready(); err != nil {
		return nil, errors.Join(errors.New(`tensors "law" and "edges"`), err)
	}
	return p, nil
}

// Kind returns [KindProduct].
func (p *Product) Kind() string { return KindProduct }

// Codes returns cells times shapes.
func (p *Product) Codes() int { return p.config.Cells * p.config.Shapes }

// Shapes returns the number of shapes.
func (p *Product) Shapes() int { return p.config.Shapes }

// Config returns the numbers of cells and shapes.
func (p *Product) Config() any { return p.config }

// Tensors returns the law, the edges and the shapes.
func (p *Product) Tensors() []Tensor {
	return []Tensor{
		{"law", []int{3}, p.law},
		{"edges", []int{len(p.edges)}, p.edges},
		{"centres", []int{p.config.Shapes, shapeSize}, p.centres},
		{"means", []int{p.config.Shapes, shapeSize}, p.means},
	}
}

// Encode returns the token of the return's cell and of the nearest shape.
func (p *Product) Encode(v feature.Vector) int {
	for f, x := range v {
		if math.IsNaN(x) {
			v[f] = 0
		}
	}
	return p.cells.Index(v[feature.LogReturn])*p.config.Shapes + p.shape(v)
}

// shape is the nearest shape, of two equally near ones the first.
func (p *Product) shape(v feature.Vector) int {
	s := shapeOf(v)
	best, token := math.Inf(1), 0
	for k := range p.config.Shapes {
		distance := 0.0
		for d, x := range s {
			e := float64(x - p.centres[k*shapeSize+d])
			distance += e * e
		}
		if distance < best {
			best, token = distance, k
		}
	}
	return token
}

// Decode returns the middle of the return's cell with the mean gap and wicks of
// the shape.
func (p *Product) Decode(token int) feature.Vector {
	cell, shape := token/p.config.Shapes, token%p.config.Shapes
	if token < 0 || token >= p.Codes() {
		panic(fmt.Sprintf("tokenizer: token %d of %d", token, p.Codes()))
	}
	m := p.means[shape*shapeSize : (shape+1)*shapeSize]
	v := feature.Vector{
		feature.LogReturn: p.middle[cell], feature.Body: p.middle[cell] - float64(m[0]),
		feature.UpperWick: max(0, float64(m[1])), feature.LowerWick: max(0, float64(m[2])),
	}
	v[feature.Range] = v[feature.UpperWick] + math.Abs(v[feature.Body]) + v[feature.LowerWick]
	return v
}
