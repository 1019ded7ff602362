package forecast

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
)

// leastSigma keeps a law from collapsing after days without a trade: 1 bp.
const leastSigma = 1e-4

// constant is a volatility that never changes.
type constant struct{ sigma float64 }

func newConstant(variance float64) volatility { return constant{math.Sqrt(variance)} }

func (c constant) scale() float64         { return c.sigma }
func (c constant) observe(feature.Vector) {}
func (c constant) clone() volatility      { return c }

// windowCandles is a month of trading.
const windowCandles = 20

// window is the root mean square of the last 20 returns. While there are fewer,
// the training variance stands for those that are missing.
type window struct {
	squares [windowCandles]float64
	next    int
}

func newWindow(variance float64) volatility {
	w := &window{}
	for i := range w.squares {
		w.squares[i] = variance
	}
	return w
}

func (w *window) scale() float64 {
	sum := 0.0
	for _, x := range w.squares {
		sum += x
	}
	return max(math.Sqrt(sum/windowCandles), leastSigma)
}

func (w *window) observe(move feature.Vector) {
	r := move[feature.LogReturn]
	w.squares[w.next] = r * r
	w.next = (w.next + 1) % windowCandles
}

func (w *window) clone() volatility { c := *w; return &c }

// ewma is the variance of RiskMetrics (J.P. Morgan 1996), begun at the training
// variance: h[t+1] = λ·h[t] + (1−λ)·r[t]².
type ewma struct{ h float64 }

func newEWMA(variance float64) volatility { return &ewma{variance} }

func (e *ewma) scale() float64 { return max(math.Sqrt(e.h), leastSigma) }

func (e *ewma) observe(move feature.Vector) {
	r := move[feature.LogReturn]
	e.h = feature.DefaultLambda*e.h + (1-feature.DefaultLambda)*r*r
}

func (e *ewma) clone() volatility { c := *e; return &c }

// scaled is a model whose σ is given and whose law alone is fitted.
type scaled struct {
	start func(variance float64) volatility
	mu    func(returns []float64) float64 // nil: μ by maximum likelihood
}

func (m scaled) fit(f *fitter, name string) (Baseline, error) {
	e, err := fitLaws(f.data, m.mu, func(_ int, variance float64) volatility { return m.start(variance) })
	if err != nil {
		return nil, err
	}
	return &fitted{name: name, epochs: []epoch{e}}, nil
}

// all stands for an asset's number where the law is that of all assets.
const all = -1

// fitLaws runs the volatility that start gives for an asset, or for all, over
// the training candles and fits a law to each asset and one to all of them. mu
// gives the location; nil fits it.
func fitLaws(d *training, mu func([]float64) float64, start func(asset int, variance float64) volatility) (epoch, error) {
	n := len(d.assets)
	laws, errs := make([]density.StudentT, n), make([]error, n)
	starts, pools := make([]volatility, n), make([]volatility, n)
	for i, a := range d.assets {
		pools[i] = start(all, a.variance)
		starts[i] = pools[i]
		if !a.short() {
			starts[i] = start(i, a.variance)
		}
	}
	var pooled density.StudentT
	var err error
	parallel.For(n+1, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			switch {
			case i == n:
				var r, sigma []float64
				for j, a := range d.assets {
					r = append(r, a.returns(burnIn)...)
					sigma = append(sigma, sigmas(pools[j], a.moves)...)
				}
				if len(r) < fewReturns-burnIn {
					err = ErrFewReturns
				} else {
					pooled, err = fitLaw(r, sigma, mu)
				}
			case !d.assets[i].short():
				a := d.assets[i]
				laws[i], errs[i] = fitLaw(a.returns(burnIn), sigmas(starts[i], a.moves), mu)
			}
		}
	})
	if err != nil {
		return epoch{}, err
	}
	e := epoch{laws: map[string]law{}, pooled: law{pooled, start(all, d.variance)}}
	for i, a := range d.assets {
		l := law{laws[i], starts[i]}
		if a.short() {
			l.t = pooled
		} else if errs[i] != nil {
			return epoch{}, fmt.Errorf("%s: %w", a.symbol, errs[i])
		}
		e.laws[a.symbol] = l
	}
	return e, nil
}

// sigmas runs a volatility over candles and returns σ of those after the
// burn-in, each known before its candle.
func sigmas(start volatility, moves []feature.Vector) []float64 {
	var sigma []float64
	v := start.clone()
	for t := 1; t < len(moves); t++ {
		if t >= burnIn {
			sigma = append(sigma, v.scale())
		}
		v.observe(moves[t])
	}
	return sigma
}

// minNu is the least number of degrees of freedom of a fitted law: its variance
// is finite.
const minNu = 2.05

// logNuLow and logNuHigh bound ln(ν − minNu): beyond 400 degrees of freedom nothing
// changes, and below the least, where ν is minNu to three digits, neither.
const logNuLow, logNuHigh = -7, 6

// fitLaw is the maximum-likelihood fit of r = μ + c·σ·t (n), with μ from mu, or
// fitted if that is nil: Scale is c.
func fitLaw(r, sigma []float64, mu func([]float64) float64) (density.StudentT, error) {
	z := make([]float64, len(r)) // for where to begin
	for i := range r {
		z[i] = r[i] / sigma[i]
	}
	unit, err := density.FitStudentT(z)
	if err != nil {
		return density.StudentT{}, err
	}
	spread := math.Sqrt(variance(r))
	start := []float64{min(math.Log(unit.Nu-minNu+1e-3), logNuHigh-0.1), 0, 0}
	at := func(p []float64) density.StudentT {
		return density.StudentT{Mu: spread * p[2], Scale: unit.Scale * math.Exp(p[1]), Nu: minNu + math.Exp(p[0])}
	}
	if mu != nil {
		fixed := mu(r)
		start = start[:2]
		at = func(p []float64) density.StudentT {
			return density.StudentT{Mu: fixed, Scale: unit.Scale * math.Exp(p[1]), Nu: minNu + math.Exp(p[0])}
		}
	} else {
		start[2] = unit.Mu * mean(sigma) / spread
	}
	best, err := density.Minimize(func(p []float64) float64 {
		// Without the bounds, a sample with very many zeros has a
		// likelihood that grows for ever as c falls.
		if p[0] < logNuLow || p[0] > logNuHigh || math.Abs(p[1]) > 3 {
			return math.Inf(1)
		}
		t := at(p)
		tails := newLogProduct()
		for i, x := range r {
			z := (x - t.Mu) / sigma[i]
			tails.times(1 + z*z/(t.Scale*t.Scale*t.Nu))
		}
		// Σ ln σ does not depend on p.
		peak := density.StudentT{Scale: t.Scale, Nu: t.Nu}.LogPDF(0)
		return (t.Nu+1)/2*tails.log()/float64(len(r)) - peak
	}, start)
	if err != nil {
		return density.StudentT{}, err
	}
	return at(best), nil
}
