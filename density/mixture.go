package density

import "math"

// Mixture is a weighted mixture of densities; the weights sum to 1.
type Mixture struct {
	Weights []float64
	Parts   []Density
}

// Mean is the mixture of densities with equal weights. Mixtures among them are
// taken apart, which changes nothing but the work.
func Mean(densities ...Density) Mixture {
	var m Mixture
	w := 1 / float64(len(densities))
	for _, d := range densities {
		inner, ok := d.(Mixture)
		if !ok {
			inner = Mixture{Weights: []float64{1}, Parts: []Density{d}}
		}
		for i, p := range inner.Parts {
			m.Weights, m.Parts = append(m.Weights, w*inner.Weights[i]), append(m.Parts, p)
		}
	}
	return m
}

// LogPDF is the logarithm of the density at x.
func (m Mixture) LogPDF(x float64) float64 {
	peak, logs := math.Inf(-1), make([]float64, len(m.Parts))
	for i, d := range m.Parts {
		logs[i] = math.Log(m.Weights[i]) + d.LogPDF(x)
		peak = max(peak, logs[i])
	}
	if math.IsInf(peak, -1) {
		return peak
	}
	sum := 0.0
	for _, l := range logs {
		sum += math.Exp(l - peak)
	}
	return peak + math.Log(sum)
}

// CDF is the probability of a value of at most x.
func (m Mixture) CDF(x float64) (p float64) {
	for i, d := range m.Parts {
		p += m.Weights[i] * d.CDF(x)
	}
	return min(p, 1)
}

// Of the search for a quantile.
const (
	newtonSteps    = 20 // after these it bisects
	bisections     = 60
	levelTolerance = 1e-10 // of the nearer tail's probability, as a fraction
)

// Quantile is the inverse of CDF: Newton's method on the logarithm of the
// probability of the nearer tail, which is about linear in x or in ln x, and
// bisection between the quantiles of the parts where that leaves the bracket or
// does not arrive.
func (m Mixture) Quantile(p float64) float64 {
	lo, hi := math.Inf(-1), math.Inf(1)
	x := m.heaviest().Quantile(p)
	for step := range newtonSteps + bisections {
		F := m.CDF(x)
		if F < p {
			lo = max(lo, x)
		} else {
			hi = min(hi, x)
		}
		tail, level, sign := F, p, 1.0
		if p > 0.5 {
			tail, level, sign = 1-F, 1-p, -1
		}
		miss := math.Log(tail / level)
		if math.Abs(miss) < levelTolerance {
			return x
		}
		next := x - sign*miss*tail*math.Exp(-m.LogPDF(x))
		if step >= newtonSteps || !(next > lo && next < hi) {
			if math.IsInf(hi-lo, 0) {
				lo, hi = m.bracket(p, lo, hi)
			}
			next = lo + (hi-lo)/2
		}
		if next == x {
			break
		}
		x = next
	}
	return x
}

// heaviest is the part with the largest weight.
func (m Mixture) heaviest() Density {
	best := 0
	for i, w := range m.Weights {
		if w > m.Weights[best] {
			best = i
		}
	}
	return m.Parts[best]
}

// bracket narrows [lo,hi] to where the quantiles of the parts lie: that of the
// mixture lies between them.
func (m Mixture) bracket(p, lo, hi float64) (float64, float64) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, d := range m.Parts {
		q := d.Quantile(p)
		least, most = min(least, q), max(most, q)
	}
	return max(lo, least), min(hi, most)
}

// CRPS is the mean of those of the parts, less what they disagree about, which
// does not depend on y:
//
//	Σ wᵢ·CRPS(Fᵢ, y) − ∫ Σ wᵢ·(Fᵢ(x) − F(x))² dx
//
// as (F − 1{x ≥ y})² is the mean of (Fᵢ − 1{x ≥ y})² less the variance of the Fᵢ.
func (m Mixture) CRPS(y float64) float64 {
	sum := 0.0
	for i, d := range m.Parts {
		sum += m.Weights[i] * d.CRPS(y)
	}
	if len(m.Parts) == 1 {
		return sum
	}
	return sum - m.disagreement()
}

// Of the quadrature of the disagreement, in u of x = centre + width·sinh(u). Nodes
// are 0.2 widths apart in the middle and 0.2 of the distance to it outside: enough
// for 1e-4 of the CRPS where the parts overlap, as those of forecasts of one number
// do. sinh(12) widths are beyond all tails.
const (
	crpsStep   = 0.2
	crpsReach  = 12.0
	crpsMiddle = 3.0  // |u| up to which no term is taken for the last
	crpsLast   = 1e-8 // of the sum: a term that ends it
)

// disagreement is ∫ Σ wᵢ·(Fᵢ(x) − F(x))² dx by equal steps of u, outwards from
// the middle of the part with the highest peak. The integrand falls as the square
// of the tails.
func (m Mixture) disagreement() float64 {
	peak, sharpest, centre := math.Inf(-1), m.Parts[0], 0.0
	for i, d := range m.Parts {
		median := d.Quantile(0.5)
		if p := math.Log(m.Weights[i]) + d.LogPDF(median); p > peak {
			peak, sharpest, centre = p, d, median
		}
	}
	width := sharpest.Quantile(0.75) - centre
	at := make([]float64, len(m.Parts))
	term := func(u float64) float64 {
		x, mean, variance := centre+width*math.Sinh(u), 0.0, 0.0
		for i, d := range m.Parts {
			at[i] = d.CDF(x)
			mean += m.Weights[i] * at[i]
		}
		for i, F := range at {
			variance += m.Weights[i] * (F - mean) * (F - mean)
		}
		return variance * math.Cosh(u)
	}
	sum := term(0)
	for _, side := range []float64{-1, 1} {
		for u := crpsStep; u <= crpsReach; u += crpsStep {
			t := term(side * u)
			sum += t
			if u > crpsMiddle && t < crpsLast*sum {
				break
			}
		}
	}
	return sum * crpsStep * width
}
