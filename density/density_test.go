package density_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/micro-quant/mqc/density"
)

// laws are densities of every kind around the unit scale.
func laws(t *testing.T) map[string]density.Density {
	base := density.StudentT{Mu: 0.04, Scale: 0.76, Nu: 4.7}
	cells, err := density.NewCells(base, 64)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]float64, cells.Len())
	for j := range p {
		p[j] = cells.Mass(j) * (0.2 + r.Float64())
	}
	own := make([]float64, cells.Len())
	for j := range own {
		own[j] = cells.Mass(j)
	}
	return map[string]density.Density{
		"t":             base,
		"wide t":        density.StudentT{Mu: -1, Scale: 3, Nu: 2.1},
		"cells":         cells.New(p, 0.02),
		"moved cells":   cells.NewAt(p, .3, .02),
		"cells of T":    cells.New(own, 1),
		"mixture":       density.Mixture{Weights: []float64{.3, .7}, Parts: []density.Density{base, density.StudentT{Mu: 1, Scale: .3, Nu: 9}}},
		"mixed of both": density.Mixture{Weights: []float64{.5, .5}, Parts: []density.Density{cells.New(p, 1), base}},
	}
}

// over integrates f over [lo,hi], cut into pieces at the quantiles of d.
func over(d density.Density, lo, hi float64, f func(float64) float64) float64 {
	cuts := []float64{lo}
	for i := 1; i < 1000; i++ {
		if q := d.Quantile(float64(i) / 1000); q > cuts[len(cuts)-1] && q < hi {
			cuts = append(cuts, q)
		}
	}
	cuts = append(cuts, hi)
	sum := 0.0
	for i := 1; i < len(cuts); i++ {
		sum += quad.Fixed(f, cuts[i-1], cuts[i], 12, nil, 0)
	}
	return sum
}

func TestDistributionIsTheIntegralOfTheDensity(t *testing.T) {
	for name, d := range laws(t) {
		lo, hi := d.Quantile(.0005), d.Quantile(.9995)
		got := over(d, lo, hi, func(x float64) float64 { return math.Exp(d.LogPDF(x)) })
		if want := d.CDF(hi) - d.CDF(lo); math.Abs(got-want) > 5e-4 {
			t.Errorf("%s: density between %v and %v integrates to %v, the distribution says %v", name, lo, hi, got, want)
		}
	}
}

func TestQuantileInvertsTheDistribution(t *testing.T) {
	for name, d := range laws(t) {
		for _, p := range []float64{1e-4, .01, .2, .5, .77, .99, 1 - 1e-4} {
			if got := d.CDF(d.Quantile(p)); math.Abs(got-p) > 1e-7 {
				t.Errorf("%s: CDF(Quantile(%v)) = %v", name, p, got)
			}
		}
	}
}

// The definition: ∫(F − 1{x ≥ y})² dx, with the far tails from quantiles on.
func TestCRPSIsItsDefinition(t *testing.T) {
	for name, d := range laws(t) {
		if name == "wide t" {
			continue // its tails are too wide for quadrature; TestCRPSOfT has it
		}
		unit := d.Quantile(.75) - d.Quantile(.25)
		for _, y := range []float64{d.Quantile(.5), d.Quantile(.03), d.Quantile(.999), d.Quantile(.0001)} {
			far := 300 * unit
			want := over(d, -far, y, func(x float64) float64 { F := d.CDF(x); return F * F }) +
				over(d, y, far, func(x float64) float64 { G := 1 - d.CDF(x); return G * G })
			if got := d.CRPS(y); math.Abs(got-want) > 3e-3*unit {
				t.Errorf("%s: CRPS(%v) = %v, its integral %v", name, y, got, want)
			}
		}
	}
}

func TestCellsWithTheProbabilitiesOfTAreT(t *testing.T) {
	d := laws(t)["cells of T"]
	T := laws(t)["t"]
	for _, x := range []float64{-40, -3, -.2, 0, .04, 1, 7, 100} {
		if a, b := d.LogPDF(x), T.LogPDF(x); math.Abs(a-b) > 1e-9 {
			t.Errorf("LogPDF(%v) = %v, want that of T, %v", x, a, b)
		}
		if a, b := d.CRPS(x), T.CRPS(x); math.Abs(a-b) > 1e-4*(1+math.Abs(x)) {
			t.Errorf("CRPS(%v) = %v, want that of T, %v", x, a, b)
		}
	}
}

// The closed form agrees with the mean distances between draws.
func TestCRPSOfTAgainstDraws(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	d := density.StudentT{Mu: .5, Scale: 2, Nu: 6}
	var x []float64
	for range 4000 {
		x = append(x, d.Quantile(r.Float64()))
	}
	for _, y := range []float64{-3, .5, 4} {
		miss, spread := 0.0, 0.0
		for i, a := range x {
			miss += math.Abs(a-y) / float64(len(x))
			spread += math.Abs(a-x[(i+len(x)/2)%len(x)]) / float64(len(x))
		}
		if got, want := d.CRPS(y), miss-spread/2; math.Abs(got-want) > .08 {
			t.Errorf("CRPS(%v) = %v, of 4000 draws %v", y, got, want)
		}
	}
}

func TestFitFindsTheLaw(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	want := density.StudentT{Mu: .001, Scale: .012, Nu: 4}
	var x []float64
	for range 20_000 {
		x = append(x, want.Quantile(r.Float64()))
	}
	got, err := density.FitStudentT(x)
	if err != nil || math.Abs(got.Mu-want.Mu) > 4e-4 || math.Abs(got.Scale/want.Scale-1) > .03 || math.Abs(got.Nu-4) > .4 {
		t.Errorf("FitStudentT = %+v, %v, want about %+v", got, err, want)
	}
	if _, err := density.FitStudentT(make([]float64, 100)); err == nil {
		t.Error("FitStudentT finds a law in zeros")
	}
}

func TestCellsRefuse(t *testing.T) {
	T := density.StudentT{Scale: 1, Nu: 5}
	if _, err := density.NewCells(T, 8); err == nil {
		t.Error("NewCells takes 8 cells")
	}
	for _, edges := range [][]float64{{0, 0}, {1, 0}, {math.NaN()}, {1e300}} {
		if _, err := density.CellsAt(T, edges); err == nil {
			t.Errorf("CellsAt takes the edges %v", edges)
		}
	}
}

func TestMomentsAreThoseOfT(t *testing.T) {
	T := density.StudentT{Mu: .3, Scale: .7, Nu: 5}
	cells, err := density.NewCells(T, 64)
	if err != nil {
		t.Fatal(err)
	}
	own := make([]float64, cells.Len())
	for j := range own {
		own[j] = cells.Mass(j)
	}
	mean, square := cells.New(own, 2).Moments()
	std := 2 * T.Std()
	movedMean, movedSquare := cells.NewAt(own, -3, 2).Moments()
	if math.Abs(movedMean-mean+3) > 1e-12 || math.Abs(movedSquare-movedMean*movedMean-square+mean*mean) > 1e-9 {
		t.Errorf("moved by −3: moments %v and %v, without %v and %v", movedMean, movedSquare, mean, square)
	}
	if math.Abs(mean-.6) > 1e-4 || math.Abs((square-mean*mean)/(std*std)-1) > 1e-3 {
		t.Errorf("moments %v and %v, want mean .6 and deviation %v", mean, square, std)
	}
}
