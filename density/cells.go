package density

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Cells cut the line into M intervals. Inside each of them every density over
// the cells has the shape of one Student-t, T: it is T truncated to the cell,
// times the probability of the cell. So tails are those of T, no value scores
// without bound, and with the probabilities of T itself the law is T.
type Cells struct {
	T     StudentT
	Edges []float64 // (M−1), ascending

	below  []float64 // (M+1) T's distribution function at the edges, 0 and 1 at the ends
	first  []float64 // (M) ∫u dx over a cell with u = T's distribution within it, 0 to 1
	second []float64 // (M) ∫u² dx; in the first cell that is all, in the last ∫(1−u)² dx

	mean, square []float64 // (M) E[x] and E[x²] of T within a cell
}

// tailCells are the outermost shares of the probability of a tail cell that get
// cells of their own, on each side.
var tailCells = [...]float64{.5, .2, .07, .02}

// NewCells returns M cells that are about equally probable under t, with four
// further cells in each tail. It needs M ≥ 12.
func NewCells(t StudentT, M int) (*Cells, error) {
	inner := M - 2*len(tailCells)
	if inner < 4 {
		return nil, fmt.Errorf("density: %d cells: want at least %d", M, 2*len(tailCells)+4)
	}
	var levels []float64
	tail := 1 / float64(inner)
	for i := len(tailCells) - 1; i >= 0; i-- {
		levels = append(levels, tail*tailCells[i])
	}
	for i := 1; i < inner; i++ {
		levels = append(levels, float64(i)/float64(inner))
	}
	for _, share := range tailCells {
		levels = append(levels, 1-tail*share)
	}
	edges := make([]float64, len(levels))
	for i, p := range levels {
		edges[i] = t.Quantile(p)
	}
	return CellsAt(t, edges)
}

// CellsAt returns the cells between edges.
func CellsAt(t StudentT, edges []float64) (*Cells, error) {
	if !(t.Scale > 0) || !(t.Nu > 1) || math.IsInf(t.Scale, 0) || math.IsNaN(t.Mu) || math.IsInf(t.Mu, 0) {
		return nil, fmt.Errorf("density: cells of %+v", t)
	}
	c := &Cells{T: t, Edges: edges, below: []float64{0}}
	for i, e := range edges {
		F := t.CDF(e)
		if math.IsNaN(F) || i > 0 && !(e > edges[i-1]) || !(F > c.below[i]) || F >= 1 {
			return nil, fmt.Errorf("density: cell edge %d at %v: want ascending edges with probability between them", i, e)
		}
		c.below = append(c.below, F)
	}
	c.below = append(c.below, 1)
	for j := range c.Len() {
		c.mean = append(c.mean, (t.Below(c.hi(j))-t.Below(c.lo(j)))/c.Mass(j))
		c.first = append(c.first, c.integral(j, c.lo(j), c.hi(j), func(u float64) float64 { return u }))
		square := func(u float64) float64 { return u * u }
		if j == c.Len()-1 {
			square = func(u float64) float64 { return (1 - u) * (1 - u) }
		}
		c.second = append(c.second, c.integral(j, c.lo(j), c.hi(j), square))
		share := func(x float64) float64 { return math.Exp(c.T.LogPDF(x)) / c.Mass(j) }
		c.square = append(c.square, c.over(c.lo(j), c.hi(j), func(x float64) float64 { return x * x * share(x) }))
	}
	return c, nil
}

// Len is M, the number of cells.
func (c *Cells) Len() int { return len(c.Edges) + 1 }

// Index is the cell of x.
func (c *Cells) Index(x float64) int {
	return sort.Search(len(c.Edges), func(i int) bool { return x < c.Edges[i] })
}

// Mass is the probability of cell j under T.
func (c *Cells) Mass(j int) float64 { return c.below[j+1] - c.below[j] }

// Bounds are the ends of cell j, infinite at both ends of the line.
func (c *Cells) Bounds(j int) (lo, hi float64) { return c.lo(j), c.hi(j) }

func (c *Cells) lo(j int) float64 {
	if j == 0 {
		return math.Inf(-1)
	}
	return c.Edges[j-1]
}

func (c *Cells) hi(j int) float64 {
	if j == len(c.Edges) {
		return math.Inf(1)
	}
	return c.Edges[j]
}

// Within is the place of x in cell j, from 0 to 1, by the probability of T.
func (c *Cells) Within(j int, x float64) float64 {
	return min(max((c.T.CDF(x)-c.below[j])/c.Mass(j), 0), 1)
}

// At is the inverse of Within. In a cell that ends on both sides T's density is
// nearly flat, and a few steps of Newton find the place from where it would be if
// it were.
func (c *Cells) At(j int, u float64) float64 {
	p := c.below[j] + u*c.Mass(j)
	if lo, hi := c.lo(j), c.hi(j); hi-lo < c.T.Scale {
		x := lo + u*(hi-lo)
		for range 4 {
			step := (c.T.CDF(x) - p) / math.Exp(c.T.LogPDF(x))
			x = min(max(x-step, lo), hi)
			if math.Abs(step) < 1e-9*c.T.Scale {
				break
			}
		}
		return x
	}
	return min(max(c.T.Quantile(min(max(p, 1e-300), 1-1e-16)), c.lo(j)), c.hi(j))
}

// nodes and weights are those of Gauss and Legendre on (0,1), 16 points.
var nodes, weights = gaussLegendre(16)

// integral is ∫f(u(x)) dx over [lo,hi], a part of cell j.
func (c *Cells) integral(j int, lo, hi float64, f func(u float64) float64) float64 {
	return c.over(lo, hi, func(x float64) float64 { return f(c.Within(j, x)) })
}

// over is ∫f(x) dx over [lo,hi]; an infinite end is taken in by a change of
// variable.
func (c *Cells) over(lo, hi float64, f func(x float64) float64) float64 {
	sum := 0.0
	for i, t := range nodes {
		var x, dx float64
		switch {
		case math.IsInf(lo, -1) && math.IsInf(hi, 1):
			panic("density: a cell is the whole line")
		case math.IsInf(lo, -1):
			// x = hi − s·t²/(1−t)² falls as fast as the tail wants it.
			x, dx = hi-c.T.Scale*t*t/((1-t)*(1-t)), 2*c.T.Scale*t/((1-t)*(1-t)*(1-t))
		case math.IsInf(hi, 1):
			x, dx = lo+c.T.Scale*t*t/((1-t)*(1-t)), 2*c.T.Scale*t/((1-t)*(1-t)*(1-t))
		default:
			x, dx = lo+t*(hi-lo), hi-lo
		}
		sum += weights[i] * f(x) * dx
	}
	return sum
}

// Piecewise is a density over cells: cell j has probability P[j] of a variable
// that is mu plus sigma times what the cells cut.
type Piecewise struct {
	cells     *Cells
	p         []float64
	cum       []float64 // (M+1)
	mu, sigma float64
}

// New is [Cells.NewAt] with a mu of 0.
func (c *Cells) New(p []float64, sigma float64) *Piecewise { return c.NewAt(p, 0, sigma) }

// NewAt returns the density of mu + sigma·x, where x lies in the cells with
// probabilities p (M), which it normalises and does not keep.
func (c *Cells) NewAt(p []float64, mu, sigma float64) *Piecewise {
	if len(p) != c.Len() {
		panic(fmt.Sprintf("density: %d probabilities for %d cells", len(p), c.Len()))
	}
	d := &Piecewise{cells: c, p: slices.Clone(p), cum: make([]float64, len(p)+1), mu: mu, sigma: sigma}
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	for j := range d.p {
		d.p[j] /= sum
		d.cum[j+1] = d.cum[j] + d.p[j]
	}
	return d
}

// New32 is NewAt of float32.
func (c *Cells) New32(p []float32, mean, sigma float64) *Piecewise {
	wide := make([]float64, len(p))
	for j, v := range p {
		wide[j] = float64(v)
	}
	return c.NewAt(wide, mean, sigma)
}

// Probabilities are those of the cells.
func (d *Piecewise) Probabilities() []float64 { return d.p }

// LogPDF is the logarithm of the density at x.
func (d *Piecewise) LogPDF(x float64) float64 {
	z := (x - d.mu) / d.sigma
	j := d.cells.Index(z)
	return math.Log(d.p[j]) + d.cells.T.LogPDF(z) - math.Log(d.cells.Mass(j)) - math.Log(d.sigma)
}

// CDF is the probability of a value of at most x.
func (d *Piecewise) CDF(x float64) float64 {
	z := (x - d.mu) / d.sigma
	j := d.cells.Index(z)
	return min(d.cum[j]+d.p[j]*d.cells.Within(j, z), 1)
}

// Quantile is the inverse of CDF.
func (d *Piecewise) Quantile(p float64) float64 {
	j := min(sort.Search(len(d.p), func(j int) bool { return d.cum[j+1] >= p }), len(d.p)-1)
	u := 0.5
	if d.p[j] > 0 {
		u = min(max((p-d.cum[j])/d.p[j], 0), 1)
	}
	return d.mu + d.sigma*d.cells.At(j, u)
}

// CRPS is ∫(F(x) − 1{x ≥ y})² dx: over whole cells from what the cells know of
// T, over the two parts of the cell of y by quadrature.
func (d *Piecewise) CRPS(y float64) float64 {
	c, z, last := d.cells, (y-d.mu)/d.sigma, len(d.p)-1
	at, sum := c.Index(z), 0.0
	for j, p := range d.p {
		a, b, w := c.first[j], c.second[j], c.hi(j)-c.lo(j)
		F := d.cum[j]
		switch {
		case j == at:
			sum += c.integral(j, c.lo(j), z, func(u float64) float64 { v := F + p*u; return v * v })
			sum += c.integral(j, z, c.hi(j), func(u float64) float64 { v := 1 - F - p*u; return v * v })
		case j < at && j == 0:
			sum += p * p * b
		case j < at:
			sum += F*F*w + 2*F*p*a + p*p*b
		case j == last:
			sum += p * p * b
		default:
			G := 1 - F
			sum += G*G*w - 2*G*p*a + p*p*b
		}
	}
	return d.sigma * sum
}

// Moments are E[x] and E[x²].
func (d *Piecewise) Moments() (mean, square float64) {
	for j, p := range d.p {
		mean += p * d.cells.mean[j]
		square += p * d.cells.square[j]
	}
	return d.mu + d.sigma*mean, d.mu*d.mu + 2*d.mu*d.sigma*mean + d.sigma*d.sigma*square
}

func gaussLegendre(n int) (nodes, weights []float64) {
	for i := range n {
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		var slope float64
		for range 100 {
			p, before := 1.0, 0.0
			for k := 1; k <= n; k++ {
				p, before = ((2*float64(k)-1)*x*p-(float64(k)-1)*before)/float64(k), p
			}
			slope = float64(n) * (x*p - before) / (x*x - 1)
			step := p / slope
			x -= step
			if math.Abs(step) < 1e-15 {
				break
			}
		}
		nodes = append(nodes, (1-x)/2)
		weights = append(weights, 1/((1-x*x)*slope*slope))
	}
	return nodes, weights
}
