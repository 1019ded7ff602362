package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Test is a two-sided test that a mean is zero. SE, Stat and P are NaN, and
// null in JSON, where there is nothing to test by: fewer than two dates, or no
// variation between them.
type Test struct {
	Mean float64 // in the unit of what was averaged; NaN of nothing
	SE   float64 // standard error of Mean, small-sample correction included
	Stat float64 // Mean/SE
	P    float64 // probability of a Stat at least as far from zero if the mean is zero
	N    int     // dates, or steps of the one series
}

// DieboldMariano tests whether two forecasts of one series have the same
// expected loss. Mean is that of lossA − lossB: negative where A is better.
//
//	lossA    (N)  losses in the order of time, at equal steps
//	lossB    (N)
//	horizon  steps ahead of the forecasts, from 1
//	lag      autocovariances of the differential that count; horizon−1 of them
//	         are there by construction
//
// Diebold & Mariano 1995 with the Bartlett kernel of Newey & West 1987 and the
// correction of Harvey, Leybourne & Newbold 1997; see [Clustered].
func DieboldMariano(lossA, lossB []float64, horizon, lag int) Test {
	checkLengths(len(lossA), len(lossB))
	diffs := make([]float64, len(lossA))
	for i := range diffs {
		diffs[i] = lossA[i] - lossB[i]
	}
	return testOfMean(diffs, ones(len(diffs)), horizon, lag)
}

// Clustered tests whether the mean of diffs, such as a loss differential, is
// zero, where the many assets of a date are not independent. With s and c the
// sum and the count of a date, e = s − c·mean, and N dates:
//
//	mean = Σs / Σc
//	var  = (Σe² + 2 Σ_{1≤j≤lag} (1 − j/(lag+1)) Σ e[t]·e[t−j]) / (Σc)²
//
// SE is √var over the factor √((N + 1 − 2h + h(h−1)/N)/N) of horizon h, and P
// is that of Student's t with N−1 degrees of freedom. At horizon 1, lag 0 and
// one asset a date this is Student's test. A lag of N or more is taken as N−1,
// and a horizon of N or more leaves nothing to test by.
//
//	dates    (M)  dates of the diffs, in any order; neighbours count as one step apart
//	diffs    (M)
//	horizon  steps ahead of the forecasts, from 1
//	lag      autocovariances that count, from 0
//
// Newey & West 1987, eq. 5; Harvey, Leybourne & Newbold 1997.
func Clustered(dates []time.Time, diffs []float64, horizon, lag int) Test {
	s, c := dateSums(dates, diffs)
	return testOfMean(s, c, horizon, lag)
}

// NeweyWest is the mean of a series and its standard error with lag
// autocovariances, at most all, under the Bartlett kernel; se is NaN below two
// values and 0 where they do not vary.
//
// Newey & West 1987, eq. 5.
func NeweyWest(x []float64, lag int) (mean, se float64) {
	return hac(x, ones(len(x)), lag)
}

// BlockBootstrap is the interval that holds the central share level of the
// means of diffs when whole dates are drawn anew, block after block of
// neighbouring dates, where the first date follows the last. NaN where there
// are no more dates than a block has, or where a diff is NaN.
//
//	dates  (M)  dates of the diffs, in any order
//	diffs  (M)
//	block  dates in a block, from 1
//	draws  samples of as many dates as there are, from 1
//
// Politis & Romano 1992.
func BlockBootstrap(dates []time.Time, diffs []float64, block, draws int, level float64, seed uint64) (lo, hi float64) {
	if block < 1 || draws < 1 {
		panic(fmt.Sprintf("score: bootstrap of %d draws in blocks of %d", draws, block))
	}
	checkLevel(level)
	s, c := dateSums(dates, diffs)
	N := len(s)
	if N <= block || slices.ContainsFunc(s, math.IsNaN) {
		return math.NaN(), math.NaN()
	}
	r := rand.New(rand.NewPCG(seed, 0))
	means := make([]float64, draws)
	for d := range means {
		var sum, count float64
		for left := N; left > 0; left -= block {
			at := r.IntN(N)
			for range min(block, left) {
				sum += s[at]
				count += c[at]
				at = (at + 1) % N
			}
		}
		means[d] = sum / count
	}
	slices.Sort(means)
	return Quantile(means, (1-level)/2), Quantile(means, (1+level)/2)
}

// testOfMean is the test on sums s and counts c of N dates.
func testOfMean(s, c []float64, horizon, lag int) Test {
	if horizon < 1 {
		panic(fmt.Sprintf("score: horizon %d", horizon))
	}
	n, h := float64(len(s)), float64(horizon)
	mean, se := hac(s, c, lag)
	t := Test{Mean: mean, SE: math.NaN(), Stat: math.NaN(), P: math.NaN(), N: len(s)}
	if horizon >= len(s) || !(se > 0) {
		return t
	}
	t.SE = se / math.Sqrt((n+1-2*h+h*(h-1)/n)/n)
	t.Stat = mean / t.SE
	t.P = 2 * distuv.StudentsT{Sigma: 1, Nu: n - 1}.Survival(math.Abs(t.Stat))
	return t
}

// hac is Σs/Σc and its standard error by the Bartlett kernel.
func hac(s, c []float64, lag int) (mean, se float64) {
	if lag < 0 {
		panic(fmt.Sprintf("score: lag %d", lag))
	}
	var sum, count float64
	for t := range s {
		sum += s[t]
		count += c[t]
	}
	mean = sum / count
	if len(s) < 2 {
		return mean, math.NaN()
	}
	e := make([]float64, len(s))
	own := 0.0
	for t := range e {
		e[t] = s[t] - c[t]*mean
		own += e[t] * e[t]
	}
	// What is left of equal values is rounding, some 1e-16 of their size.
	if math.Sqrt(own) <= 1e-13*abs(sum) {
		return mean, 0
	}
	// Beyond N−1 there are no autocovariances, and weights that take them for
	// counted would let the sum go to (Σe)² = 0.
	lag = min(lag, len(e)-1)
	total := own
	for j := 1; j <= lag; j++ {
		cross := 0.0
		for t := j; t < len(e); t++ {
			cross += e[t] * e[t-j]
		}
		total += 2 * (1 - float64(j)/float64(lag+1)) * cross
	}
	// The kernel's form is Σ(y[t])²/(lag+1) of the sums y of all windows of lag+1
	// steps, those that overlap an end included. They determine e, each of which
	// is a sum of at most 2N of them, so total is at least own/(4N²): positive.
	return mean, math.Sqrt(total) / count
}

// byDate is the indices of each date's entries, dates ascending.
func byDate(dates []time.Time) [][]int {
	order := make([]int, len(dates))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return dates[a].Compare(dates[b]) })
	var groups [][]int
	for at := 0; at < len(order); {
		end := at + 1
		for end < len(order) && dates[order[end]].Equal(dates[order[at]]) {
			end++
		}
		groups = append(groups, order[at:end])
		at = end
	}
	return groups
}

// dateSums is the sum and the count of the values of each date.
func dateSums(dates []time.Time, values []float64) (s, c []float64) {
	checkLengths(len(dates), len(values))
	for _, group := range byDate(dates) {
		sum := 0.0
		for _, i := range group {
			sum += values[i]
		}
		s, c = append(s, sum), append(c, float64(len(group)))
	}
	return s, c
}

func ones(n int) []float64 { return slices.Repeat([]float64{1}, n) }

// checkLevel panics unless level is a share between 0 and 1.
func checkLevel(level float64) {
	if !(level > 0 && level < 1) {
		panic(fmt.Sprintf("score: level %v is not between 0 and 1", level))
	}
}

// checkLengths panics unless all lengths agree.
func checkLengths(lengths ...int) {
	for _, n := range lengths {
		if n != lengths[0] {
			panic(fmt.Sprintf("score: lengths %v differ", lengths))
		}
	}
}
