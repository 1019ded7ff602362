package density

import "math"

// Mixture is a weighted mixture of densities; the weights sum to 1.
type Mixture struct {
	Weights []float64
	Parts   []Density
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

// Quantile is the inverse of CDF, by bisection between those of the parts.
func (m Mixture) Quantile(p float64) float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, d := range m.Parts {
		q := d.Quantile(p)
		lo, hi = min(lo, q), max(hi, q)
	}
	for range 60 {
		mid := lo + (hi-lo)/2
		if m.CDF(mid) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + (hi-lo)/2
}

// crpsLevels is how many levels of probability the CRPS of a mixture takes.
const crpsLevels = 400

// CRPS is twice the mean quantile loss over levels in the middle of equal
// shares of (0,1).
func (m Mixture) CRPS(y float64) float64 {
	sum := 0.0
	for i := range crpsLevels {
		p := (float64(i) + 0.5) / crpsLevels
		q := m.Quantile(p)
		if y < q {
			sum += (1 - p) * (q - y)
		} else {
			sum += p * (y - q)
		}
	}
	return 2 * sum / crpsLevels
}
