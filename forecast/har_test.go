package forecast

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
)

func seeded(seed uint64) *rand.Rand { return rng.New(seed) }

func TestRangeVarianceByHand(t *testing.T) {
	c := market.Candle{Open: math.Exp(.01), High: math.Exp(.05), Low: math.Exp(-.01), Close: math.Exp(.03)}
	// Garman & Klass 1980: ½·.06² − (2 ln 2 − 1)·.02², and the gap .01².
	want := .5*.0036 - .3862943611198906*.0004 + .0001
	if got := rangeVariance(feature.Encode(1, c)); math.Abs(got-want) > 1e-15 {
		t.Errorf("rangeVariance = %v, want %v", got, want)
	}
	still := market.Candle{Open: 2, High: 2, Low: 2, Close: 2}
	if got := rangeVariance(feature.Encode(2, still)); got != 0 {
		t.Errorf("rangeVariance of a candle at rest = %v", got)
	}
}

// solve is Gauss's elimination without pivots, for a positive definite A.
func solve(A [4][4]float64, b [4]float64) (x [4]float64) {
	for i := range A {
		for k := i + 1; k < 4; k++ {
			f := A[k][i] / A[i][i]
			for j := range A {
				A[k][j] -= f * A[i][j]
			}
			b[k] -= f * b[i]
		}
	}
	for i := 3; i >= 0; i-- {
		x[i] = b[i]
		for j := i + 1; j < 4; j++ {
			x[i] -= A[i][j] * x[j]
		}
		x[i] /= A[i][i]
	}
	return x
}

// The coefficients solve the normal equations of Corsi's regression, set up here
// from prices.
func TestHARIsLeastSquares(t *testing.T) {
	w := world()
	s := w.series[whole]
	end := border(s, w.before)
	v := make([]float64, end)
	for i := 1; i < end; i++ {
		c, before := s.Candles[i], s.Candles[i-1].Close
		hl, co, gap := math.Log(c.High/c.Low), math.Log(c.Close/c.Open), math.Log(c.Open/before)
		v[i] = hl*hl/2 - (2*math.Ln2-1)*co*co + gap*gap
	}
	sorted := slices.Sorted(slices.Values(v[1:]))
	at := .02 * float64(len(sorted)-1) // order statistics 19 and 20 of 999
	floor := sorted[int(at)] + (at-math.Floor(at))*(sorted[int(at)+1]-sorted[int(at)]) + 1e-9
	floored := 0
	y := make([]float64, end)
	for i := 1; i < end; i++ {
		if y[i] = math.Log(max(v[i], floor)); v[i] < floor {
			floored++
		}
	}
	if floored != 20 {
		t.Fatalf("%d candles under the floor, want 20 of 999", floored)
	}
	regressors := func(i int) [4]float64 {
		x := [4]float64{1, y[i-1]}
		for k := 1; k <= 22; k++ {
			if k <= 5 {
				x[2] += y[i-k] / 5
			}
			x[3] += y[i-k] / 22
		}
		return x
	}
	var A [4][4]float64
	var b [4]float64
	for i := burnIn; i < end; i++ {
		x := regressors(i)
		for j := range x {
			for k := range x {
				A[j][k] += x[j] * x[k]
			}
			b[j] += x[j] * y[i]
		}
	}
	l := w.fitted[slices.Index(BaselineNames(), "HAR-t")].(*fitted).law(0, s.Symbol)
	h := l.start.(*harState)
	want := solve(A, b)
	for i, got := range h.coefficients {
		// 1e-6: the normal equations lose half of the digits.
		if math.Abs(got-want[i]) > 1e-6 {
			t.Errorf("coefficient %d = %v, want %v", i, got, want[i])
		}
	}

	known := h.clone().(*harState)
	for i, m := range moves(s.Candles[:end])[1:] {
		t0 := i + 1
		if t0 == 500 {
			x, sum := regressors(t0), 0.0
			for j := range x {
				sum += want[j] * x[j]
			}
			if got := known.scale(); math.Abs(got/math.Exp(sum/2)-1) > 1e-6 {
				t.Errorf("σ[500] = %v, want %v", got, math.Exp(sum/2))
			}
			// The residuals of a candle stay together.
			r := math.Log(s.Candles[t0].Close / s.Candles[t0-1].Close)
			e := h.residuals[t0-burnIn]
			if z := (r - l.t.Mu) / (l.t.Scale * known.scale()); math.Abs(e.z-z) > 1e-9 || math.Abs(e.u-(y[t0]-sum)) > 1e-6 {
				t.Errorf("residuals of candle 500 %+v, want %v and %v", e, z, y[t0]-sum)
			}
		}
		known.observe(m)
	}
	if len(h.residuals) != end-burnIn {
		t.Errorf("%d residuals of %d candles after the burn-in", len(h.residuals), end-burnIn)
	}
}

// A drawn range feeds the volatility of the next step.
func TestHARPathsFeedTheirRangesBack(t *testing.T) {
	h := &har{coefficients: [4]float64{-1, .5, .2, .2}, floor: -20, residuals: []harResidual{{z: 2, u: 3}}}
	s := &harState{har: h, last: []float64{-9, -8}}
	l := law{start: s}
	l.t.Mu, l.t.Scale = .001, .5
	last := []float64{-9, -8}
	want := 0.0
	path := l.path(s.clone(), 3, seeded(1))
	for step := range path {
		m := mean(last)
		predicted := -1 + .5*last[len(last)-1] + .2*m + .2*m // both means are over all of at most five
		want += .001 + .5*math.Exp(predicted/2)*2
		last = append(last, predicted+3)
		if math.Abs(path[step]-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, path[step], want)
		}
	}
}
