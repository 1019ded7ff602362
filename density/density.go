// Package density holds one-dimensional predictive densities with exact
// likelihood, distribution function, quantiles and CRPS: Student-t, for
// volatility models, and cells, for models of tokens.
package density

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat/distuv"
)

// Density is the law of one number that is to come.
type Density interface {
	LogPDF(x float64) float64
	CDF(x float64) float64
	Quantile(p float64) float64 // of 0 < p < 1
	CRPS(y float64) float64     // in the unit of y; smaller is better
	Below(x float64) float64    // E[X; X ≤ x], the part of the mean that lies up to x
}

// StudentT is the law of Mu + Scale·t with t Student's with Nu > 1 degrees of
// freedom. Scale is no standard deviation: that is Scale·√(Nu/(Nu−2)).
type StudentT struct {
	Mu    float64 `json:"mu"`
	Scale float64 `json:"scale"`
	Nu    float64 `json:"nu"`
}

func (d StudentT) unit() distuv.StudentsT { return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: d.Nu} }

// LogPDF is the logarithm of the density at x.
func (d StudentT) LogPDF(x float64) float64 {
	z := (x - d.Mu) / d.Scale
	return logNorm(d.Nu) - math.Log(d.Scale) - (d.Nu+1)/2*math.Log1p(z*z/d.Nu)
}

// logNorm is the logarithm of the density of Student's t at 0.
func logNorm(nu float64) float64 {
	a, _ := math.Lgamma((nu + 1) / 2)
	b, _ := math.Lgamma(nu / 2)
	return a - b - 0.5*math.Log(nu*math.Pi)
}

// CDF is the probability of a value of at most x.
func (d StudentT) CDF(x float64) float64 { return d.unit().CDF((x - d.Mu) / d.Scale) }

// Quantile is the inverse of CDF.
func (d StudentT) Quantile(p float64) float64 { return d.Mu + d.Scale*d.unit().Quantile(p) }

// Std is the standard deviation, infinite for Nu ≤ 2.
func (d StudentT) Std() float64 {
	if d.Nu <= 2 {
		return math.Inf(1)
	}
	return d.Scale * math.Sqrt(d.Nu/(d.Nu-2))
}

// CRPS is the continuous ranked probability score in closed form (Jordan,
// Krüger & Lerch 2019, appendix A).
func (d StudentT) CRPS(y float64) float64 {
	nu, z := d.Nu, (y-d.Mu)/d.Scale
	F, f := d.unit().CDF(z), math.Exp(logNorm(nu)-(nu+1)/2*math.Log1p(z*z/nu))
	spread := 2 * math.Sqrt(nu) / (nu - 1) * math.Exp(logBeta(0.5, nu-0.5)-2*logBeta(0.5, nu/2))
	return d.Scale * (z*(2*F-1) + 2*f*(nu+z*z)/(nu-1) - spread)
}

func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

// minNu keeps the variance of a fitted law finite.
const minNu = 2.05

// ErrNoVariation says that there is no law to fit.
var ErrNoVariation = errors.New("density: fewer than 10 values, or all alike")

// FitStudentT is the maximum-likelihood fit to x, with Nu ≥ 2.05.
func FitStudentT(x []float64) (StudentT, error) {
	if len(x) < 10 {
		return StudentT{}, ErrNoVariation
	}
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	n := len(sorted)
	median, width := sorted[n/2], sorted[n*3/4]-sorted[n/4]
	if width <= 0 {
		width = sorted[n-1] - sorted[0]
	}
	if !(width > 0) || math.IsInf(width, 0) {
		return StudentT{}, ErrNoVariation
	}
	law := func(p []float64) StudentT {
		return StudentT{Mu: median + width*p[0], Scale: width * math.Exp(p[1]), Nu: minNu + math.Exp(p[2])}
	}
	nll := func(p []float64) float64 {
		if p[2] > 6 { // beyond 400 degrees of freedom nothing changes
			return math.Inf(1)
		}
		d, sum := law(p), 0.0
		norm := logNorm(d.Nu) - math.Log(d.Scale)
		for _, v := range x {
			z := (v - d.Mu) / d.Scale
			sum -= norm - (d.Nu+1)/2*math.Log1p(z*z/d.Nu)
		}
		return sum / float64(n)
	}
	best, err := Minimize(nll, []float64{0, -0.5, 1})
	if err != nil {
		return StudentT{}, fmt.Errorf("density: fit of a Student-t: %w", err)
	}
	return law(best), nil
}

// Minimize finds a least point of f from start by the simplex of Nelder and
// Mead, begun anew from where it ends until that gains nothing.
func Minimize(f func([]float64) float64, start []float64) ([]float64, error) {
	at, value := slices.Clone(start), f(start)
	for range 8 {
		r, err := optimize.Minimize(optimize.Problem{Func: f}, at, &optimize.Settings{
			MajorIterations: 4000,
			Converger:       &optimize.FunctionConverge{Absolute: 1e-10, Iterations: 60},
		}, &optimize.NelderMead{})
		if r == nil {
			return nil, err
		}
		gain := value - r.F
		at, value = slices.Clone(r.X), r.F
		if !(gain > 1e-9) {
			break
		}
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, fmt.Errorf("density: the objective is %v", value)
	}
	return at, nil
}
