package forecast

import (
	"fmt"
	"math"
	"time"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
)

// garch is a GARCH(1,1) law with standardised Student-t shocks (Bollerslev
// 1987), with Gamma that of Glosten, Jagannathan & Runkle 1993:
//
//	r[t]   = μ + e[t],  e[t] = √h[t]·√((ν−2)/ν)·t
//	h[t+1] = ω + (α + γ·1{e[t]<0})·e[t]² + β·h[t]
//
// α, α + γ and β are not negative, and α + γ/2 + β < 1.
type garch struct{ Mu, Omega, Alpha, Gamma, Beta, Nu float64 }

// persistence is by what factor a distance of h from its mean shrinks per candle.
func (g garch) persistence() float64 { return g.Alpha + g.Gamma/2 + g.Beta }

// next is the variance after a candle with variance h and return r.
func (g garch) next(h, r float64) float64 {
	e := r - g.Mu
	news := g.Alpha
	if e < 0 {
		news += g.Gamma
	}
	return g.Omega + news*e*e + g.Beta*h
}

// logLikelihood sums the logarithm of the density over r (n) without the first
// skip, with h1 the variance of the first return.
func (g garch) logLikelihood(r []float64, h1 float64, skip int) float64 {
	scale, tails := newLogProduct(), newLogProduct()
	h := h1
	for t, x := range r {
		if t >= skip {
			scale.times(h)
			tails.times(1 + (x-g.Mu)*(x-g.Mu)/(h*(g.Nu-2)))
		}
		h = g.next(h, x)
	}
	peak := density.StudentT{Scale: math.Sqrt((g.Nu - 2) / g.Nu), Nu: g.Nu}.LogPDF(0)
	return float64(len(r)-skip)*peak - scale.log()/2 - (g.Nu+1)/2*tails.log()
}

// law is the law of an asset whose first return has the variance h1.
func (g garch) law(h1 float64) law {
	return law{
		t:     density.StudentT{Mu: g.Mu, Scale: math.Sqrt((g.Nu - 2) / g.Nu), Nu: g.Nu},
		start: &garchState{garch: g, h: h1},
	}
}

// garchState is a [volatility].
type garchState struct {
	garch
	h float64 // variance of the next return
}

func (s *garchState) scale() float64              { return math.Sqrt(s.h) }
func (s *garchState) observe(move feature.Vector) { s.h = s.next(s.h, move[feature.LogReturn]) }
func (s *garchState) clone() volatility           { c := *s; return &c }

// garchStart is how many returns the variance before the first of them is
// taken from, garchSkip how many of them have no say because that variance
// does.
const garchStart, garchSkip = 250, 20

// garchStarts are α and β where the search for the maximum begins.
var garchStarts = [][2]float64{{.05, .94}, {.1, .85}}

// fitGARCH is the maximum-likelihood fit to r (n), whose first return has the
// variance h1, without the terms of the first skip; Gamma is 0 unless leverage.
// It starts from near, if that is not nil.
func fitGARCH(r []float64, h1 float64, skip int, leverage bool, near *garch) (garch, error) {
	center, spread := mean(r), math.Sqrt(variance(r))
	if !(spread > 0) {
		return garch{}, density.ErrNoVariation
	}
	// Every point is a law: the variance is positive and has a mean.
	at := func(p []float64) garch {
		g := garch{Mu: center + spread*p[0], Omega: spread * spread * math.Exp(p[1]), Nu: minNu + math.Exp(p[4])}
		persistence, news := logistic(p[2]), logistic(p[3])
		g.Beta = persistence * (1 - news)
		rise := 0.5
		if leverage {
			rise = logistic(p[5])
		}
		g.Alpha = 2 * rise * persistence * news
		g.Gamma = 2 * (1 - 2*rise) * persistence * news
		return g
	}
	point := func(g garch) []float64 {
		persistence := g.persistence()
		p := []float64{
			(g.Mu - center) / spread, math.Log(g.Omega / (spread * spread)), logit(persistence),
			logit((g.Alpha + g.Gamma/2) / persistence), math.Log(g.Nu - minNu),
		}
		if leverage {
			p = append(p, logit(g.Alpha/(2*g.Alpha+g.Gamma)))
		}
		return p
	}

	var starts [][]float64
	for _, s := range garchStarts {
		g := garch{Mu: center, Omega: spread * spread * (1 - s[0] - s[1]), Alpha: s[0], Beta: s[1], Nu: 5}
		if leverage {
			g.Alpha, g.Gamma = s[0]/2, s[0]
		}
		starts = append(starts, point(g))
	}
	if near != nil {
		starts = [][]float64{point(*near)}
	}
	terms := float64(len(r) - skip)
	var best garch
	least := math.Inf(1)
	for _, start := range starts {
		p, err := density.Minimize(func(p []float64) float64 {
			if p[4] < logNuLow || p[4] > logNuHigh {
				return math.Inf(1)
			}
			nll := -at(p).logLikelihood(r, h1, skip) / terms
			if math.IsNaN(nll) {
				return math.Inf(1)
			}
			return nll
		}, start)
		if err != nil {
			return garch{}, err
		}
		if nll := -at(p).logLikelihood(r, h1, skip); nll < least {
			best, least = at(p), nll
		}
	}
	return best, nil
}

// The logistic function and its inverse stay inside of (0,1), so that every
// point of the search has a way back.
const logisticMargin = 1e-9

func logistic(x float64) float64 {
	return min(max(1/(1+math.Exp(-x)), logisticMargin), 1-logisticMargin)
}

func logit(p float64) float64 {
	p = min(max(p, logisticMargin), 1-logisticMargin)
	return math.Log(p / (1 - p))
}

// garch fits the law of the name.
func (f *fitter) garch(name string, leverage, yearly bool) (Baseline, error) {
	if leverage {
		e, err := fitGARCHs(f.data, true, nil)
		if err != nil {
			return nil, err
		}
		return &fitted{name: name, epochs: []epoch{e}}, nil
	}
	if f.base == nil {
		e, err := fitGARCHs(f.data, false, nil)
		if err != nil {
			return nil, err
		}
		f.base = &e
	}
	b := &fitted{name: name, epochs: []epoch{*f.base}}
	if !yearly {
		return b, nil
	}
	for year := f.before.UTC().Year() + 1; year <= f.lastYear(); year++ {
		from := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		data, err := newTraining(f.series, from)
		if err != nil {
			return nil, err
		}
		e, err := fitGARCHs(data, false, f.base)
		if err != nil {
			return nil, fmt.Errorf("from %d on: %w", year, err)
		}
		e.from = from
		b.epochs = append(b.epochs, e)
	}
	return b, nil
}

// lastYear is the year of the candle that follows the last of all series.
func (f *fitter) lastYear() int {
	last := f.before.UTC().Year()
	for _, s := range f.series {
		if n := len(s.Candles); n > 0 {
			last = max(last, s.Candles[n-1].Time.Add(time.Duration(s.Interval)).UTC().Year())
		}
	}
	return last
}

// fitGARCHs fits every asset, from the law that it has in near if that is not
// nil, and averages the parameters for those that are short.
func fitGARCHs(d *training, leverage bool, near *epoch) (epoch, error) {
	n := len(d.assets)
	laws, starts, errs := make([]garch, n), make([]float64, n), make([]error, n)
	parallel.For(n, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			a := d.assets[i]
			if a.short() {
				continue
			}
			var from *garch
			if near != nil {
				if s, ok := near.laws[a.symbol].start.(*garchState); ok {
					from = &s.garch
				}
			}
			r := a.returns(0)
			starts[i] = variance(r[:garchStart])
			if !(starts[i] > 0) {
				starts[i] = a.variance
			}
			laws[i], errs[i] = fitGARCH(r, starts[i], garchSkip, leverage, from)
		}
	})
	var pooled garch
	count := 0.0
	for i, a := range d.assets {
		if errs[i] != nil {
			return epoch{}, fmt.Errorf("%s: %w", a.symbol, errs[i])
		}
		if g := laws[i]; !a.short() {
			pooled.Mu, pooled.Alpha, pooled.Gamma = pooled.Mu+g.Mu, pooled.Alpha+g.Alpha, pooled.Gamma+g.Gamma
			pooled.Beta, pooled.Nu = pooled.Beta+g.Beta, pooled.Nu+g.Nu
			count++
		}
	}
	if count == 0 {
		return epoch{}, ErrFewReturns
	}
	pooled.Mu, pooled.Alpha, pooled.Gamma = pooled.Mu/count, pooled.Alpha/count, pooled.Gamma/count
	pooled.Beta, pooled.Nu = pooled.Beta/count, pooled.Nu/count
	with := func(variance float64) law {
		g := pooled
		g.Omega = variance * (1 - g.persistence())
		return g.law(variance)
	}
	e := epoch{laws: map[string]law{}, pooled: with(d.variance)}
	for i, a := range d.assets {
		e.laws[a.symbol] = laws[i].law(starts[i])
		if a.short() {
			e.laws[a.symbol] = with(a.variance)
		}
	}
	return e, nil
}
