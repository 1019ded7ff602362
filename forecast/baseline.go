package forecast

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
)

// A Baseline is a law of log returns, fitted per asset on dates before a border.
// A series is known by its symbol. One that has fewer than 250 returns before
// the border, or that was not there, has the parameters of all assets: see
// [FitBaselines].
type Baseline interface {
	// Name is the name of the row in a table, one of [BaselineNames].
	Name() string

	// OneStep returns the density of the log return ln(C[t]/C[t−1]) of every
	// candle t ≥ 1 of a series given all candles before it; entry 0 is nil.
	OneStep(s *market.Series) []density.Density

	// Paths draws the cumulative log returns ln(C[origin−1+h]/C[origin−1]),
	// h = 1…horizon, from what is known before candle origin ≥ 1; origin =
	// len(s.Candles) continues the series. (paths, horizon), a function of the
	// arguments alone. Baselines share their random numbers, so that a
	// difference between two of them is less noisy than either.
	Paths(s *market.Series, origin, horizon, paths int, seed uint64) [][]float64
}

// Sizes of a fit, in candles.
const (
	fewReturns = 250 // an asset with fewer training returns has the parameters of all
	burnIn     = 60  // first candles of a series, whose volatility has little history: not fitted
	fewForVar  = 20  // with fewer returns than that, the variance too is that of all assets
)

// volatility is what is known of the size of the next return.
type volatility interface {
	// scale is σ, as a standard deviation up to a factor that the law fits.
	scale() float64
	// observe takes in the log moves of the next candle.
	observe(move feature.Vector)
	clone() volatility
}

// resampler is a volatility that draws what comes next by itself; the others
// draw from their law.
type resampler interface {
	// resample draws the next log return and takes it in.
	resample(law density.StudentT, r *rand.Rand) float64
}

// law is a fitted model of one asset: r[t] = Mu + Scale·σ[t]·t with Nu degrees
// of freedom, and σ from start, which stands before the second candle.
type law struct {
	t     density.StudentT
	start volatility
}

// epoch is the time from which a fit holds, until that of the next.
type epoch struct {
	from   time.Time
	laws   map[string]law // by symbol
	pooled law            // of any other asset
}

// fitted is a [Baseline].
type fitted struct {
	name   string
	epochs []epoch // the first holds for all times before the second
}

func (b *fitted) Name() string { return b.name }

// at is the number of the epoch of a time.
func (b *fitted) at(t time.Time) int {
	after := sort.Search(len(b.epochs), func(i int) bool { return b.epochs[i].from.After(t) })
	return max(after-1, 0)
}

func (b *fitted) law(epoch int, symbol string) law {
	if l, ok := b.epochs[epoch].laws[symbol]; ok {
		return l
	}
	return b.epochs[epoch].pooled
}

func (b *fitted) OneStep(s *market.Series) []density.Density {
	densities := make([]density.Density, len(s.Candles))
	move := moves(s.Candles)
	for e := range b.epochs {
		l := b.law(e, s.Symbol)
		v := l.start.clone()
		for t := 1; t < len(move); t++ {
			if b.at(s.Candles[t].Time) == e {
				densities[t] = density.StudentT{Mu: l.t.Mu, Scale: l.t.Scale * v.scale(), Nu: l.t.Nu}
			}
			v.observe(move[t])
		}
	}
	return densities
}

func (b *fitted) Paths(s *market.Series, origin, horizon, paths int, seed uint64) [][]float64 {
	if origin < 1 || origin > len(s.Candles) {
		panic(fmt.Sprintf("forecast: paths of %s from candle %d of %d", s.Symbol, origin, len(s.Candles)))
	}
	next := s.Candles[origin-1].Time.Add(time.Duration(s.Interval))
	if origin < len(s.Candles) {
		next = s.Candles[origin].Time
	}
	l := b.law(b.at(next), s.Symbol)
	known := l.start.clone()
	for _, move := range moves(s.Candles[:origin])[1:] {
		known.observe(move)
	}
	name := fnv.New64a()
	name.Write([]byte(s.Symbol))
	out := make([][]float64, paths)
	for i := range out {
		r := rng.New(seed, rng.Baseline, name.Sum64(), uint64(origin), uint64(i))
		out[i] = l.path(known.clone(), horizon, r)
	}
	return out
}

// path draws cumulative log returns (horizon). It uses v up.
func (l law) path(v volatility, horizon int, r *rand.Rand) []float64 {
	own, resamples := v.(resampler)
	path, sum := make([]float64, horizon), 0.0
	for h := range path {
		if resamples {
			sum += own.resample(l.t, r)
		} else {
			unit := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: l.t.Nu, Src: r}
			x := l.t.Mu + l.t.Scale*v.scale()*unit.Rand()
			v.observe(feature.Vector{feature.LogReturn: x})
			sum += x
		}
		path[h] = sum
	}
	return path
}

// moves are the log moves of all candles; the first has none.
func moves(candles []market.Candle) []feature.Vector {
	m := make([]feature.Vector, len(candles))
	for t := 1; t < len(candles); t++ {
		m[t] = feature.Encode(candles[t-1].Close, candles[t])
	}
	return m
}

// kinds are the baselines in the order of a table.
var kinds = []struct {
	name string
	fit  func(*fitter, string) (Baseline, error)
}{
	{"random walk", scaled{start: newWindow, mu: zero}.fit},
	{"drift", scaled{start: newConstant, mu: mean}.fit},
	{"unconditional t", scaled{start: newConstant}.fit},
	{"block bootstrap", fitBootstrap},
	{"20-day volatility t", scaled{start: newWindow}.fit},
	{"EWMA .94 t", scaled{start: newEWMA}.fit},
	{"GARCH-t", func(f *fitter, name string) (Baseline, error) { return f.garch(name, false, false) }},
	{"GJR-GARCH-t", func(f *fitter, name string) (Baseline, error) { return f.garch(name, true, false) }},
	{"GARCH-t, refitted yearly", func(f *fitter, name string) (Baseline, error) { return f.garch(name, false, true) }},
	{"HAR-t", fitHAR},
}

// BaselineNames lists the baselines in the order of a table:
//
//	random walk               μ = 0, σ of the last 20 returns
//	drift                     μ the mean of the training returns, σ constant
//	unconditional t           σ constant
//	block bootstrap           paths of blocks of training returns; its density is the unconditional t
//	20-day volatility t       σ the root mean square of the last 20 returns
//	EWMA .94 t                σ² an exponential mean of squared returns (RiskMetrics 1996)
//	GARCH-t                   Bollerslev 1987
//	GJR-GARCH-t               Glosten, Jagannathan & Runkle 1993
//	GARCH-t, refitted yearly  fitted anew at the start of each year after the border
//	HAR-t                     σ² from the ranges of 1, 5 and 22 candles (Corsi 2009)
//
// Each is r = μ + c·σ·t with Student's t of ν degrees of freedom, and μ, c, ν
// by maximum likelihood where nothing else is said.
func BaselineNames() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// FitBaselines fits the named baselines, or all where none is named, on the
// candles with Time < before. Only "GARCH-t, refitted yearly" reads later ones:
// the law of a year is fitted on all that came before that year.
//
// An asset with fewer than 250 training returns has the parameters of all. The
// models of a given σ fit one law to the returns of all assets, each over its
// own σ; of the GARCH models the parameters of the other assets are averaged,
// and ω is such that the long-run variance is the asset's own. That is the
// variance of its training returns, or, of fewer than 20 and for an asset that
// is not in series, the mean variance of the others. It is an error if there
// are not 250 returns to fit, or they do not vary.
func FitBaselines(series []*market.Series, before time.Time, names ...string) ([]Baseline, error) {
	if len(names) == 0 {
		names = BaselineNames()
	}
	f := &fitter{series: series, before: before}
	var err error
	if f.data, err = newTraining(series, before); err != nil {
		return nil, err
	}
	var list []Baseline
	for _, name := range names {
		i := slices.Index(BaselineNames(), name)
		if i < 0 {
			return nil, fmt.Errorf("forecast: baseline %q: want one of %q", name, BaselineNames())
		}
		b, err := kinds[i].fit(f, name)
		if err != nil {
			return nil, fmt.Errorf("forecast: baseline %q: %w", name, err)
		}
		list = append(list, b)
	}
	return list, nil
}

// fitter is one call of [FitBaselines].
type fitter struct {
	series []*market.Series
	before time.Time
	data   *training
	base   *epoch // GARCH-t before the border, once fitted
}

// training is the part of the series before a border.
type training struct {
	assets   []sample
	variance float64 // mean of the variances of the assets
}

// sample is the training part of one asset.
type sample struct {
	symbol   string
	moves    []feature.Vector // of all candles; the first has none
	variance float64          // of the log returns, or that of all assets
}

// ErrFewReturns says that there is too little history for a law of volatility.
var ErrFewReturns = fmt.Errorf("fewer than %d returns to fit", fewReturns)

func newTraining(series []*market.Series, before time.Time) (*training, error) {
	d, with := &training{}, 0
	for _, s := range series {
		a := sample{symbol: s.Symbol, moves: moves(s.Before(before).Candles)}
		if slices.ContainsFunc(d.assets, func(b sample) bool { return a.symbol == b.symbol }) {
			return nil, fmt.Errorf("forecast: two series of %s", a.symbol)
		}
		for t, m := range a.moves {
			if !m.Finite() {
				return nil, fmt.Errorf("forecast: %s at %s: log moves %v are not finite", a.symbol, s.Candles[t].Time.Format(time.RFC3339), m)
			}
		}
		if r := a.returns(0); len(r) >= fewForVar {
			a.variance = variance(r)
			d.variance += a.variance
			with++
		}
		d.assets = append(d.assets, a)
	}
	d.variance /= float64(max(with, 1))
	if !(d.variance > 0) {
		return nil, errors.New("forecast: no asset whose returns vary before " + before.Format(time.RFC3339))
	}
	for i := range d.assets {
		if a := &d.assets[i]; !(a.variance > 0) {
			a.variance = d.variance
		}
	}
	return d, nil
}

// returns are the log returns of the candles from candle first on; the first
// candle of a series has none.
func (a sample) returns(first int) []float64 {
	var r []float64
	for t := max(first, 1); t < len(a.moves); t++ {
		r = append(r, a.moves[t][feature.LogReturn])
	}
	return r
}

// short says that the asset has the parameters of all.
func (a sample) short() bool { return len(a.moves)-1 < fewReturns }

// variance is the mean square around the mean.
func variance(x []float64) float64 {
	mean, sum := mean(x), 0.0
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return sum / float64(len(x))
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func zero([]float64) float64 { return 0 }

// logProduct is the logarithm of a product, taken once for many factors: a
// logarithm costs as much as ten products.
type logProduct struct{ sum, product float64 }

func newLogProduct() logProduct { return logProduct{product: 1} }

// times takes in a factor between 1e-150 and 1e150.
func (l *logProduct) times(x float64) {
	l.product *= x
	if l.product > 1e150 || l.product < 1e-150 {
		l.sum += math.Log(l.product)
		l.product = 1
	}
}

func (l *logProduct) log() float64 { return l.sum + math.Log(l.product) }
