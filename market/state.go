package market

import (
	"math"
	"math/rand/v2"
)

// TailDF is the degrees of freedom of the Student-t shocks of the synthetic
// market: kurtosis 9, as daily returns have it within a factor of two.
const TailDF = 5

// State is what governs a candle of the synthetic market. It is fixed before
// the candle: nothing of the candle itself is in it.
type State struct {
	Sigma  float64 // standard deviation of the log return from the previous close
	Mean   float64 // mean of that log return
	Regime int     // 0 calm, 1 normal, 2 crisis
}

// regime is a mood of the whole market.
type regime struct {
	scale     float64    // multiplies the volatility of every asset
	mean      float64    // mean log return, in σ
	overnight float64    // share of the variance between close and open
	next      [3]float64 // probabilities of the regime of the next candle
}

// regimes last 50, 60 and 25 candles on average. The round numbers are chosen
// so that the logarithm of σ has a standard deviation between .5 and .6 over
// time, a half-life of some weeks, and a mean return near zero.
var regimes = [3]regime{
	{scale: 0.50, mean: +0.05, overnight: 0.15, next: [3]float64{0.980, 0.020, 0.000}},
	{scale: 1.00, mean: +0.03, overnight: 0.20, next: [3]float64{0.014, 0.976, 0.010}},
	{scale: 2.20, mean: -0.08, overnight: 0.30, next: [3]float64{0.000, 0.030, 0.970}},
}

// unitScale is the scale of a Student-t variable of variance 1.
var unitScale = math.Sqrt(float64(TailDF-2) / TailDF)

// logNorm is the logarithm of the Student-t density at 0, less that of unitScale.
var logNorm = func() float64 {
	top, _ := math.Lgamma((TailDF + 1) / 2.)
	bottom, _ := math.Lgamma(TailDF / 2.)
	return top - bottom - 0.5*math.Log(TailDF*math.Pi) - math.Log(unitScale)
}()

// LogDensity is the logarithm of the density of the log return r of the candle
// that s governs: Student-t with [TailDF] degrees of freedom, mean Mean and
// standard deviation Sigma.
func (s State) LogDensity(r float64) float64 {
	x := (r - s.Mean) / (s.Sigma * unitScale)
	return logNorm - math.Log(s.Sigma) - (TailDF+1)/2.*math.Log1p(x*x/TailDF)
}

// CDF is the probability that the log return is at most r. For five degrees of
// freedom it has the closed form of Abramowitz & Stegun 26.7.3.
func (s State) CDF(r float64) float64 {
	theta := math.Atan((r - s.Mean) / (s.Sigma * unitScale) / math.Sqrt(TailDF))
	sin, cos := math.Sincos(theta)
	return 0.5 + (theta+sin*cos*(1+2./3*cos*cos))/math.Pi
}

// Sample draws the candle that follows prevClose. It is the code that generates
// the market, so that the law is the same by construction. Time is left zero.
// It panics if s.Regime is none of the three.
func (s State) Sample(rng *rand.Rand, prevClose float64) Candle {
	mix := sampleMix(rng)
	return s.candle(prevClose, mix, rng.NormFloat64(), rng)
}

// sampleMix draws (ν−2)/χ²(ν): √mix times a normal number is Student-t with
// variance 1. χ²(5) is a squared normal number and twice two exponential ones.
func sampleMix(rng *rand.Rand) float64 {
	z := rng.NormFloat64()
	return (TailDF - 2) / (z*z + 2*(rng.ExpFloat64()+rng.ExpFloat64()))
}

// candle builds the candle with the shock √mix·z; rng draws its shape. All log
// moves, divided by σ, have a law that depends on the regime alone.
func (s State) candle(prevClose, mix, z float64, rng *rand.Rand) Candle {
	d := s.Sigma * math.Sqrt(mix)
	c := Bridge(rng, prevClose, s.Mean+d*z, d, regimes[s.Regime].overnight)
	c.Volume = math.Round(1e6 * math.Exp(0.5*math.Log(mix)+0.4*rng.NormFloat64()))
	return c
}

// Bridge draws the candle that follows prevClose with a given log return. The
// log price is a Brownian motion of variance sigma² that ends at logReturn. The
// open is its bridge at overnight, the share of the variance that comes before
// it. The high and the low are extremes of the bridge from open to close, whose
// variance v is the rest: P(max > m) = exp(−2(m−open)(m−close)/v). The two are
// drawn apart, as if they did not know of each other. Time and Volume are left
// zero.
func Bridge(rng *rand.Rand, prevClose, logReturn, sigma, overnight float64) Candle {
	opening := logReturn*overnight + sigma*math.Sqrt(overnight*(1-overnight))*rng.NormFloat64()

	v := sigma * sigma * (1 - overnight)
	sum, square := opening+logReturn, (logReturn-opening)*(logReturn-opening)
	high := (sum + math.Sqrt(square+2*v*rng.ExpFloat64())) / 2
	low := (sum - math.Sqrt(square+2*v*rng.ExpFloat64())) / 2

	c := Candle{
		Open:  prevClose * math.Exp(opening),
		High:  prevClose * math.Exp(high),
		Low:   prevClose * math.Exp(low),
		Close: prevClose * math.Exp(logReturn),
	}
	c.High = max(c.High, c.Open, c.Close) // exp rounds
	c.Low = min(c.Low, c.Open, c.Close)
	return c
}
