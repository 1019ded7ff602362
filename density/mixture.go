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

// Of the quadrature of a CRPS: the nodes reach sinh(8), 1490 times the width of
// the heaviest part, and lie 0.1 of that width apart in the middle.
const (
	crpsReach = 8.0
	crpsNodes = 161
)

// CRPS is the mean of those of the parts, less what they disagree about, which
// does not depend on y:
//
//	Σ wᵢ·CRPS(Fᵢ, y) − ∫ Σ wᵢ·(Fᵢ(x) − F(x))² dx
//
// as (F − 1{x ≥ y})² is the mean of (Fᵢ − 1{x ≥ y})² less the variance of the Fᵢ.
// The integrand is smooth and falls as the square of the tails: equal steps of u
// with x = centre + width·sinh(u) find the integral.
func (m Mixture) CRPS(y float64) float64 {
	sum := 0.0
	for i, d := range m.Parts {
		sum += m.Weights[i] * d.CRPS(y)
	}
	if len(m.Parts) == 1 {
		return sum
	}
	d := m.heaviest()
	centre := d.Quantile(0.5)
	width := d.Quantile(0.75) - centre
	const step = 2 * crpsReach / (crpsNodes - 1)
	spread, at := 0.0, make([]float64, len(m.Parts))
	for k := range crpsNodes {
		u := -crpsReach + step*float64(k)
		x := centre + width*math.Sinh(u)
		mean, square := 0.0, 0.0
		for i, d := range m.Parts {
			at[i] = d.CDF(x)
			mean += m.Weights[i] * at[i]
		}
		for i, F := range at {
			square += m.Weights[i] * (F - mean) * (F - mean)
		}
		spread += square * math.Cosh(u)
	}
	return sum - spread*step*width
}
