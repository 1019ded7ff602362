package density

import "math"

// Below is E[X; X ≤ x]: the derivative of f(t)·(ν+t²) is (1−ν)·t·f(t).
func (d StudentT) Below(x float64) float64 {
	switch {
	case math.IsInf(x, -1):
		return 0
	case math.IsInf(x, 1):
		return d.Mu
	}
	z := (x - d.Mu) / d.Scale
	return d.Mu*d.unit().CDF(z) - d.Scale*math.Exp(logNorm(d.Nu)-(d.Nu-1)/2*math.Log1p(z*z/d.Nu))*d.Nu/(d.Nu-1)
}

// Below is E[X; X ≤ x].
func (d *Piecewise) Below(x float64) (sum float64) {
	z := (x - d.mu) / d.sigma
	at := d.cells.Index(z)
	for j, mean := range d.cells.mean[:at] {
		sum += d.p[j] * mean
	}
	sum += d.p[at] / d.cells.Mass(at) * (d.cells.T.Below(z) - d.cells.T.Below(d.cells.lo(at)))
	return d.mu*d.CDF(x) + d.sigma*sum
}

// Below is E[X; X ≤ x].
func (m Mixture) Below(x float64) (sum float64) {
	for i, d := range m.Parts {
		sum += m.Weights[i] * d.Below(x)
	}
	return sum
}
