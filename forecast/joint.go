package forecast

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/mat"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

// Joint draws paths of several assets that belong together: the same number of a
// path is the same draw of market days. Each asset alone has the law that it has
// in [New].
//
// The dependence is a Gaussian copula. On every date each asset has a normal
// shock, correlated over the assets, independent over dates, and its probability
// is the quantile of the model's law at which the asset's return lies. Assets
// that do not trade on the same dates share the shocks of those that they have in
// common. The correlations are those of normal scores of past scaled returns; so
// they are constant, the same in calm and crisis, and without the dependence of
// joint crashes that a Gaussian copula does not have. What moves the open, the
// high and the low within a candle is drawn apart for each asset.
type Joint struct {
	m       *Model
	origins []*Origin

	correlation *mat.SymDense
	factor      *mat.TriDense // lower triangle, factor·factorᵀ = correlation
}

// Of the correlations of a [Joint].
const (
	jointMemory = 1000 // newest candles of an asset that are looked at
	jointCommon = 60   // dates in common, below which two assets are taken for independent
)

// NewJoint estimates how the returns of series hang together. All candles of the
// series are looked at: cut off what shall not be known.
func NewJoint(m *Model, series []*market.Series) (*Joint, error) {
	if len(series) == 0 {
		return nil, fmt.Errorf("forecast: no series: want at least one")
	}
	j := &Joint{m: m}
	scores := make([]map[time.Time]float64, len(series))
	for i, s := range series {
		at, err := m.At(s)
		if err != nil {
			return nil, err
		}
		j.origins = append(j.origins, at)
		scores[i] = normalScores(at.stream)
	}
	j.correlation = mat.NewSymDense(len(series), nil)
	for a := range series {
		j.correlation.SetSym(a, a, 1)
		for b := range a {
			j.correlation.SetSym(a, b, correlate(scores[a], scores[b]))
		}
	}
	j.factor = factorize(j.correlation)
	return j, nil
}

// normalScores are Φ⁻¹((rank − ½)/n) of the newest scaled returns, by date.
func normalScores(s *dataset.Stream) map[time.Time]float64 {
	from := max(0, len(s.Returns)-jointMemory)
	returns := s.Returns[from:]
	order := make([]int, len(returns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case returns[a] < returns[b]:
			return -1
		case returns[a] > returns[b]:
			return 1
		}
		return 0
	})
	scores := make(map[time.Time]float64, len(returns))
	for rank, i := range order {
		u := (float64(rank) + .5) / float64(len(returns))
		scores[s.Times[from+i]] = math.Sqrt2 * math.Erfinv(2*u-1)
	}
	return scores
}

// correlate is the correlation over the dates that two assets have in common.
func correlate(a, b map[time.Time]float64) float64 {
	var n, x, y, xx, yy, xy float64
	dates := make([]time.Time, 0, len(a))
	for t := range a {
		if _, ok := b[t]; ok {
			dates = append(dates, t)
		}
	}
	slices.SortFunc(dates, time.Time.Compare) // a sum has one order
	for _, t := range dates {
		p, q := a[t], b[t]
		n, x, y, xx, yy, xy = n+1, x+p, y+q, xx+p*p, yy+q*q, xy+p*q
	}
	vx, vy := n*xx-x*x, n*yy-y*y
	if n < jointCommon || vx <= 0 || vy <= 0 {
		return 0
	}
	return (n*xy - x*y) / math.Sqrt(vx*vy)
}

// factorize returns the Cholesky factor of a correlation matrix. One whose pairs
// contradict each other, since they are of different dates, is drawn towards
// independence, in place, until it has one.
func factorize(c *mat.SymDense) *mat.TriDense {
	const shrink = .98
	n := c.SymmetricDim()
	for {
		var chol mat.Cholesky
		if chol.Factorize(c) {
			var l mat.TriDense
			chol.LTo(&l)
			return &l
		}
		for a := range n {
			for b := range a {
				c.SetSym(a, b, shrink*c.At(a, b))
			}
		}
	}
}

// Correlation is that of the shocks of two assets on a date.
func (j *Joint) Correlation(a, b int) float64 { return j.correlation.At(a, b) }

// End is the last date that all futures of so many candles reach: assets that
// trade on weekends are through with theirs sooner.
func (j *Joint) End(horizon int) time.Time {
	var end time.Time
	for i, at := range j.origins {
		s := at.stream
		if last := s.Dates(len(s.Tokens), horizon)[horizon-1]; i == 0 || last.Before(end) {
			end = last
		}
	}
	return end
}

// Forecast draws the futures of the series at index i. Options other than Context
// must be the same for all series whose paths are put together.
func (j *Joint) Forecast(ctx context.Context, i int, o Options) (*Forecast, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	at := j.origins[i]
	g := gpt.Generation{
		Paths: o.Samples, Steps: o.Horizon, Sampler: o.Sampler,
		Seed: rng.Hash(o.Seed, uint64(i)), // what is left of a candle is the asset's own
	}
	window := windowOf(j.m.Bundle.Model, o.Horizon, o.Context)
	paths, err := predict.PathsAt(ctx, j.m.draws, j.m.codec, at.stream, len(at.stream.Tokens), window, g, func(path int, at time.Time) float64 {
		return j.quantile(o.Seed, i, path, at)
	})
	if err != nil {
		return nil, err
	}
	f := at.forecast(o.Horizon)
	f.add(paths)
	return f, nil
}

// quantile is the probability of the shock of asset i on a date: O(i).
func (j *Joint) quantile(seed uint64, i, path int, at time.Time) float64 {
	random := rng.New(seed, rng.Shock, uint64(path), uint64(at.Unix()))
	shock := 0.0
	for k := range i + 1 {
		shock += j.factor.At(i, k) * random.NormFloat64()
	}
	return min(max(.5*math.Erfc(-shock/math.Sqrt2), 1e-15), 1-1e-15)
}
