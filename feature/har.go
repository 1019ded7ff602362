package feature

import (
	"errors"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/optimize"

	"github.com/micro-quant/mqc/market"
)

// harLags are the windows of the heterogeneous autoregression, in candles: a
// day, a week and a month (Corsi 2009).
var harLags = [...]int{1, 5, 22}

// harDecays are those of the averages that a [State] keeps of the variance of
// a candle; the HAR kind reads the second and the last.
var harDecays = [...]float64{.8, .94, .985, .99}

// HARTerms is the number of coefficients of the HAR kind: a constant, the mean
// log volatility of the last 1, 5 and 22 candles, and the logarithms of the
// slower averages of .94 and .99.
const HARTerms = 1 + len(harLags) + 2

// volatility is what highs, lows and gaps have shown of the variance so far.
type volatility struct {
	last  float64                 // variance of the newest candle, floored
	means [len(harDecays)]float64 // averages of ½(range variance + r²)
	logs  [22]float32             // ½ ln of the floored range variance, as a ring
	head  int                     // where the next one goes
}

// garmanKlass weighs the body against the range (Garman & Klass 1980).
const garmanKlass = 2*math.Ln2 - 1

// CandleVariance is the variance that a candle shows: that of Garman and Klass
// from open to close, and the squared gap from the close before.
func CandleVariance(prevClose float64, c market.Candle) float64 {
	r, body, gap := logRatio(c.High, c.Low), logRatio(c.Close, c.Open), logRatio(c.Open, prevClose)
	return max(0, 0.5*r*r-garmanKlass*body*body) + gap*gap
}

// startVolatility is the state without any candle: the training variance
// everywhere.
func (s Scaler) startVolatility() (v volatility) {
	v.last = s.Initial
	for i := range v.means {
		v.means[i] = s.Initial
	}
	for i := range v.logs {
		v.logs[i] = float32(0.5 * math.Log(s.Initial))
	}
	return v
}

// add takes in a candle with log return r and variance rv.
func (v volatility) add(r, rv, initial float64) volatility {
	for i, decay := range harDecays {
		v.means[i] = decay*v.means[i] + (1-decay)*0.5*(rv+r*r)
	}
	// A candle without any range says little: it counts as a seventh of the
	// volatility around it.
	v.last = max(rv, 0.02*v.means[1]+1e-6*initial)
	v.logs[v.head] = float32(0.5 * math.Log(v.last))
	v.head = (v.head + 1) % len(v.logs)
	return v
}

// terms are what the HAR kind is linear in.
func (v volatility) terms() (x [HARTerms]float64) {
	x[0] = 1
	sum, at := 0.0, v.head
	for n, term := 1, 1; n <= len(v.logs); n++ {
		at = (at + len(v.logs) - 1) % len(v.logs)
		sum += float64(v.logs[at])
		if n == harLags[term-1] {
			x[term] = sum / float64(n)
			term++
		}
	}
	x[HARTerms-2] = 0.5 * math.Log(v.means[1])
	x[HARTerms-1] = 0.5 * math.Log(v.means[3])
	return x
}

// harBurn is how many candles of a series pass before its first target: the
// windows are filled then, and the averages have forgotten where they began.
const harBurn = 60

// minHARTargets is how many log returns are needed to fit the HAR kind.
const minHARTargets = 250

// ErrFewReturns says that there is too little history for the HAR kind.
var ErrFewReturns = errors.New("too few for the HAR scale")

// fitHAR fits the coefficients of ln σ on the returns before the border, all
// series together, by the likelihood of a Student-t:
//
//	r[t] = μ + σ[t]·√((ν−2)/ν)·t(ν),   ln σ[t] = b·terms[t−1]
//
// where a season is taken out of r first. s has everything else of the scaler.
func (s Scaler) fitHAR(series []*market.Series, before time.Time) (b [HARTerms]float64, err error) {
	var X [][HARTerms]float64
	var y []float64
	s.eachState(series, before, func(i int, state State, c market.Candle) {
		if i >= harBurn {
			X = append(X, state.vol.terms())
			y = append(y, logRatio(c.Close, state.PrevClose)/state.due.scale())
		}
	})
	if len(y) < minHARTargets {
		return b, fmt.Errorf("feature: fit: %d log returns after %d candles of each series before %s: %w: it needs %d; the scale %q needs fewer",
			len(y), harBurn, before.Format("2006-01-02"), ErrFewReturns, minHARTargets, EWMA)
	}
	return maximizeHAR(X, y, math.Sqrt(s.Initial))
}

// maximizeHAR is the maximum of the likelihood of y, with terms X; unit is the
// scale of y.
func maximizeHAR(X [][HARTerms]float64, y []float64, unit float64) (b [HARTerms]float64, err error) {
	const nuAt, muAt, minNu = HARTerms, HARTerms + 1, 2.05
	n := float64(len(y))
	// nll is the mean negative log-likelihood at p, and its gradient.
	nll := func(p, grad []float64) float64 {
		tail := math.Exp(p[nuAt])
		nu, mu := minNu+tail, p[muAt]*unit
		clear(grad)
		sum, dNu := 0.0, 0.0
		for i, x := range X {
			logScale := 0.0
			for k, v := range x {
				logScale += p[k] * v
			}
			inverse := math.Exp(-logScale)
			z := (y[i] - mu) * inverse
			growth := math.Log1p(z * z / nu)
			pull := (nu + 1) * z / (nu + z*z) // −d ln f / dz
			sum += (nu+1)/2*growth + logScale
			dNu += growth/2 - (nu+1)/2*(z*z/nu)/(nu+z*z)
			for k, v := range x {
				grad[k] += (1 - pull*z) * v / n
			}
			grad[muAt] -= pull * inverse * unit / n
		}
		a, _ := math.Lgamma((nu + 1) / 2)
		c, _ := math.Lgamma(nu / 2)
		norm := a - c - 0.5*math.Log(nu*math.Pi)
		dNorm := 0.5*mathext.Digamma((nu+1)/2) - 0.5*mathext.Digamma(nu/2) - 0.5/nu
		grad[nuAt] = (dNu/n - dNorm) * tail
		return sum/n - norm
	}
	scratch := make([]float64, HARTerms+2)
	start := make([]float64, HARTerms+2)
	start[1], start[2], start[4], start[0], start[nuAt] = .2, .2, .6, -.2, 1
	r, err := optimize.Minimize(optimize.Problem{
		Func: func(p []float64) float64 { return nll(p, scratch) },
		Grad: func(grad, p []float64) { nll(p, grad) },
	}, start, &optimize.Settings{MajorIterations: 300, GradientThreshold: 1e-6}, &optimize.BFGS{})
	if r == nil {
		return b, fmt.Errorf("feature: fit of the HAR scale: %w", err)
	}
	for k := range b {
		b[k] = r.X[k]
		if math.IsNaN(b[k]) || math.IsInf(b[k], 0) {
			return b, errors.New("feature: fit of the HAR scale: it has no maximum")
		}
	}
	nu := minNu + math.Exp(r.X[nuAt])
	b[0] += 0.5 * math.Log(nu/(nu-2)) // from scale to standard deviation
	return b, nil
}

// StateFeatures is how many numbers describe a [State] to a model.
const StateFeatures = 5

// maxStateFeature bounds each of them: a factor of twenty in volatility.
const maxStateFeature = 3

// Features appends what is known before a candle, as about unit numbers: the
// logarithm of the volatility that scales it, over the training one, and of
// three averages and the newest candle, over that volatility; all without the
// season.
func (s Scaler) Features(to []float32, state State) []float32 {
	sigma := s.level(state)
	if s.Kind == Global {
		sigma = math.Sqrt(max(state.Variance, s.least()))
	}
	level, initial := math.Log(sigma), 0.5*math.Log(s.Initial)
	put := func(x float64) { to = append(to, float32(clamp(x, -maxStateFeature, maxStateFeature))) }
	put(level - initial)
	for _, m := range state.vol.means[:3] {
		put(0.5*math.Log(m) - level)
	}
	put(0.5*math.Log(state.vol.last) - level)
	return to
}
