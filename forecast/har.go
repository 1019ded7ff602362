package forecast

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/score"
)

// rangeVariance estimates the variance of a candle's log return from its prices:
// that of Garman & Klass 1980, eq. 20 without the drift term, for the time
// between open and close, and the squared gap for the time before.
func rangeVariance(m feature.Vector) float64 {
	gap := m[feature.LogReturn] - m[feature.Body]
	// Not negative, since |ln(C/O)| ≤ ln(H/L), but for rounding.
	session := m[feature.Range]*m[feature.Range]/2 - (2*math.Ln2-1)*m[feature.Body]*m[feature.Body]
	return max(session, 0) + gap*gap
}

// A week and a month of trading, over which HAR averages.
const harWeek, harMonth = 5, 22

// har is the heterogeneous autoregression of Corsi 2009 in logarithms:
//
//	ln v[t] = b0 + b1·ln v[t−1] + b2·mean₅ + b3·mean₂₂ + u[t],  σ[t] = exp(½·E ln v[t])
//
// where mean₅ and mean₂₂ are those of ln v over that many candles before t.
type har struct {
	coefficients [4]float64
	floor        float64 // least ln v: candles without a trade have none
	mean         float64 // of ln v in training: σ before there is any candle
	residuals    []harResidual
}

// harResidual is what a training candle had beyond its prediction.
type harResidual struct {
	z float64 // (r − μ)/(c·σ)
	u float64 // ln v less its prediction
}

func (h *har) logVariance(m feature.Vector) float64 {
	return max(math.Log(rangeVariance(m)), h.floor)
}

// harState is the [volatility]: the logarithms of the last month.
type harState struct {
	*har
	last []float64 // at most harMonth, newest last
}

// regressors are those of the next ln v. While fewer than 22 candles are known,
// the means are over those.
func (s *harState) regressors() [4]float64 {
	n := len(s.last)
	return [4]float64{1, s.last[n-1], mean(s.last[max(n-harWeek, 0):]), mean(s.last)}
}

func (s *harState) prediction() float64 {
	if len(s.last) == 0 {
		return s.mean
	}
	sum := 0.0
	for i, x := range s.regressors() {
		sum += s.coefficients[i] * x
	}
	return sum
}

func (s *harState) scale() float64              { return math.Exp(s.prediction() / 2) }
func (s *harState) observe(move feature.Vector) { s.push(s.logVariance(move)) }
func (s *harState) clone() volatility           { return &harState{s.har, slices.Clone(s.last)} }

func (s *harState) push(logVariance float64) {
	if len(s.last) == harMonth {
		s.last = slices.Delete(s.last, 0, 1)
	}
	s.last = append(s.last, logVariance)
}

// resample draws a training candle's two residuals together, so that large
// returns come with wide ranges as they did.
func (s *harState) resample(law density.StudentT, r *rand.Rand) float64 {
	e := s.residuals[r.IntN(len(s.residuals))]
	predicted := s.prediction()
	s.push(max(predicted+e.u, s.floor))
	return law.Mu + law.Scale*math.Exp(predicted/2)*e.z
}

// fitHARCoefficients is the least-squares fit to the candles after the burn-in
// of all assets together, without residuals. It fails where there are too few
// candles, or where ranges do not vary enough to tell the coefficients apart.
func fitHARCoefficients(assets []sample) (*har, error) {
	var v []float64
	for _, a := range assets {
		for _, m := range a.moves[min(1, len(a.moves)):] {
			v = append(v, rangeVariance(m))
		}
	}
	if len(v) < fewReturns {
		return nil, ErrFewReturns
	}
	slices.Sort(v)
	h := &har{floor: math.Log(score.Quantile(v, 0.02) + 1e-9)}
	for _, x := range v {
		h.mean += max(math.Log(x), h.floor) / float64(len(v))
	}

	var X, y []float64
	for _, a := range assets {
		h.each(a, func(s *harState, t int) {
			x := s.regressors()
			X, y = append(X, x[:]...), append(y, h.logVariance(a.moves[t]))
		})
	}
	if len(y) < fewReturns-burnIn {
		return nil, ErrFewReturns
	}
	return h, h.regress(X, y)
}

// regress fits the coefficients to y (n) and its regressors X (n, 4).
func (h *har) regress(X, y []float64) error {
	var b mat.VecDense
	if err := b.SolveVec(mat.NewDense(len(y), len(h.coefficients), X), mat.NewVecDense(len(y), y)); err != nil {
		return fmt.Errorf("regression of the range on its past: %w", err)
	}
	copy(h.coefficients[:], b.RawVector().Data)
	return nil
}

// each visits the candles after the burn-in with what is known before them.
func (h *har) each(a sample, visit func(s *harState, t int)) {
	s := &harState{har: h}
	for t := 1; t < len(a.moves); t++ {
		if t >= burnIn {
			visit(s, t)
		}
		s.observe(a.moves[t])
	}
}

func (h *har) keepResiduals(assets []sample, law density.StudentT) {
	for _, a := range assets {
		h.each(a, func(s *harState, t int) {
			z := (a.moves[t][feature.LogReturn] - law.Mu) / (law.Scale * s.scale())
			h.residuals = append(h.residuals, harResidual{z, h.logVariance(a.moves[t]) - s.prediction()})
		})
	}
}

func fitHAR(f *fitter, name string) (Baseline, error) {
	pooled, err := fitHARCoefficients(f.data.assets)
	if err != nil {
		return nil, err
	}
	n := len(f.data.assets)
	own, errs := make([]*har, n), make([]error, n)
	parallel.For(n, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if !f.data.assets[i].short() {
				own[i], errs[i] = fitHARCoefficients(f.data.assets[i : i+1])
			}
		}
	})
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.data.assets[i].symbol, err)
		}
	}
	e, err := fitLaws(f.data, nil, func(asset int, _ float64) volatility {
		if asset == all {
			return &harState{har: pooled}
		}
		return &harState{har: own[asset]}
	})
	if err != nil {
		return nil, err
	}
	pooled.keepResiduals(f.data.assets, e.pooled.t)
	for i, a := range f.data.assets {
		if own[i] != nil {
			own[i].keepResiduals(f.data.assets[i:i+1], e.laws[a.symbol].t)
		}
	}
	return &fitted{name: name, epochs: []epoch{e}}, nil
}
