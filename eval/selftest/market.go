package selftest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
)

// Process is a market of daily candles whose law is known. Asset a has the log
// returns
//
//	r[t]   = φ·r[t−1] + σ[t]·ε[t],   σ²[0] = s²
//	σ²[t]  = (1−α−β)·s² + α·(σ[t−1]·ε[t−1])² + β·σ²[t−1]
//
// with s of its own, and ε of mean 0 and variance 1 that is correlated over
// assets and not over time. With φ = α = β = 0 and normal ε it is geometric
// Brownian motion, of which the past tells nothing; φ alone makes it an AR(1),
// and α and β a GARCH(1,1) (Bollerslev 1986, 1987).
type Process struct {
	Assets      int
	Candles     int // of each asset
	Seed        uint64
	Correlation float64 // of ε between assets, from 0

	SigmaLo, SigmaHi float64 // s is spread evenly in logarithm from the one to the other; fractions, .01 is 1% a day

	Phi         float64 // φ
	Alpha, Beta float64 // α, β
	Nu          float64 // degrees of freedom of ε; 0: normal
	Zeros       float64 // share of candles that close where the last one did, as coarse ticks make them
}

// Brownian is geometric Brownian motion of ten assets of 1500 candles, with a
// correlation of .5 and constant σ from 1% to 4%.
func Brownian() Process {
	return Process{Assets: 10, Candles: 1500, Correlation: .5, SigmaLo: .01, SigmaHi: .04}
}

// Validate joins all faults of the process.
func (p Process) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("selftest: "+format, args...))
		}
	}
	check(1 <= p.Assets && p.Assets <= 99, "assets %d, want 1 to 99", p.Assets)
	check(minCandles <= p.Candles && p.Candles <= 100_000, "candles %d, want %d to 100000", p.Candles, minCandles)
	check(p.Correlation >= 0 && p.Correlation < 1, "correlation %v, want 0 ≤ ρ < 1", p.Correlation)
	check(p.SigmaLo > 0 && p.SigmaHi >= p.SigmaLo && p.SigmaHi < 1, "σ from %v to %v, want 0 < low ≤ high < 1", p.SigmaLo, p.SigmaHi)
	check(math.Abs(p.Phi) < 1, "φ %v, want |φ| < 1", p.Phi)
	check(p.Alpha >= 0 && p.Beta >= 0 && p.Alpha+p.Beta < 1, "α %v and β %v, want 0 or more, and less than 1 together", p.Alpha, p.Beta)
	check(p.Nu == 0 || p.Nu > 2, "ν %v, want more than 2, or 0 for normal shocks", p.Nu)
	check(p.Zeros >= 0 && p.Zeros < 1, "zeros %v, want 0 ≤ share < 1", p.Zeros)
	return errors.Join(errs...)
}

// minCandles leaves 300 returns to fit the baselines on: they want 250.
const minCandles = 500

// Purposes within the random numbers of a process.
const (
	common uint64 = iota
	own
)

// start is the date before the first candle; every day has one.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Shape of a candle: see [market.Bridge].
const (
	startPrice = 100.0
	overnight  = .2 // share of the variance between close and open
)

// Series draws the market: the same process, the same candles. Of a given
// return, a candle is that of a Brownian motion within the day of variance
// σ[t]², so its range tells of σ and, beyond the return, of nothing to come.
func (p Process) Series() ([]*market.Series, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	shared := p.shocks(rng.New(p.Seed, rng.Market, common))
	var all []*market.Series
	for a := range p.Assets {
		all = append(all, &market.Series{
			Symbol: fmt.Sprintf("P%02d", a+1), Interval: market.Day,
			Candles: p.candles(p.Sigma(a), shared, rng.New(p.Seed, rng.Market, own, uint64(a))),
		})
	}
	return all, nil
}

// Sigma is s of an asset, the standard deviation of its shocks.
func (p Process) Sigma(asset int) float64 {
	share := float64(asset) / float64(max(1, p.Assets-1))
	return p.SigmaLo * math.Pow(p.SigmaHi/p.SigmaLo, share)
}

// shocks are independent numbers of variance 1 for every candle.
func (p Process) shocks(r *rand.Rand) []float64 {
	z := make([]float64, p.Candles)
	for t := range z {
		z[t] = p.shock(r)
	}
	return z
}

func (p Process) shock(r *rand.Rand) float64 {
	if p.Nu == 0 {
		return r.NormFloat64()
	}
	return distuv.StudentsT{Sigma: math.Sqrt((p.Nu - 2) / p.Nu), Nu: p.Nu, Src: r}.Rand()
}

// candles draws one asset. With correlation, ε of finite ν is the sum of two
// Student-t numbers, and so not quite one itself.
func (p Process) candles(s float64, shared []float64, r *rand.Rand) []market.Candle {
	candles := make([]market.Candle, p.Candles)
	price, variance, last := startPrice, s*s, 0.0
	for t := range candles {
		z := math.Sqrt(p.Correlation)*shared[t] + math.Sqrt(1-p.Correlation)*p.shock(r)
		shock := math.Sqrt(variance) * z
		move := p.Phi*last + shock
		if p.Zeros > 0 && r.Float64() < p.Zeros {
			move = 0
		}
		candles[t] = market.Bridge(r, price, move, math.Sqrt(variance), overnight)
		candles[t].Time, candles[t].Volume = start.AddDate(0, 0, t+1), math.NaN()
		price, last = candles[t].Close, move
		variance = (1-p.Alpha-p.Beta)*s*s + p.Alpha*shock*shock + p.Beta*variance
	}
	return candles
}
