// Package selftest tests the evaluator on markets whose truth is known: it
// trains a small model where there is nothing to be found, and counts how often
// eval finds something.
package selftest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/score"
)

// Config says what is tested.
type Config struct {
	Markets int
	Process Process // of every market; its seed follows from Seed
	Scale   string  // of the model: feature.Global, feature.EWMA or feature.HAR
	Seed    uint64
	Observe func(market int, gains []Gain) // may be nil; called from many goroutines
}

// Defaults is 200 markets of geometric Brownian motion.
func Defaults() Config {
	return Config{Markets: 200, Process: Brownian(), Scale: feature.Global, Seed: 1}
}

// Validate joins all faults of the config.
func (c Config) Validate() error {
	errs := []error{c.Process.Validate()}
	if c.Markets < 1 {
		errs = append(errs, fmt.Errorf("selftest: markets %d, want at least 1", c.Markets))
	}
	if scales := []string{feature.Global, feature.EWMA, feature.HAR}; !slices.Contains(scales, c.Scale) {
		errs = append(errs, fmt.Errorf("selftest: scale %q, want one of %q", c.Scale, scales))
	}
	return errors.Join(errs...)
}

// Names of rows, and of the baseline that they are compared with.
const (
	NameModel = "model"
	NameSize  = "two laws equally wrong"
	Over      = "unconditional t"
)

// Gain is the test of the log score of a row less that of [Over], in nats per
// candle.
type Gain struct {
	Name string
	Test score.Test
}

// Run trains and scores a model on every market, one market for each worker at
// a time. (Markets, rows): a function of the config but for Observe.
//
// Beside the model, and the baselines that know of a changing volatility, there
// is [NameSize]: two normal laws of the true σ and a mean of ±σ/10. Where
// returns have mean zero neither is better, so it shows the size of the test
// alone, without a model that is honestly worse.
func Run(ctx context.Context, c Config) ([][]Gain, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	gains, errs := make([][]Gain, c.Markets), make([]error, c.Markets)
	parallel.For(c.Markets, 1, func(lo, hi int) {
		for n := lo; n < hi && ctx.Err() == nil; n++ {
			if gains[n], errs[n] = c.market(ctx, n); errs[n] == nil && c.Observe != nil {
				c.Observe(n, gains[n])
			}
		}
	})
	return gains, errors.Join(append(errs, ctx.Err())...)
}

// market runs one of the markets.
func (c Config) market(ctx context.Context, n int) ([]Gain, error) {
	p := c.Process
	p.Seed = rng.Hash(c.Seed, rng.Market, uint64(n))
	series, err := p.Series()
	if err != nil {
		return nil, err
	}
	contest, err := Contest(ctx, series, c.Scale, p.Seed)
	if err != nil {
		return nil, fmt.Errorf("selftest: market %d: %w", n, err)
	}
	table, err := contest.Versus(ctx, Over)
	if err != nil {
		return nil, err
	}
	var gains []Gain
	for _, r := range table.Rows {
		gains = append(gains, Gain{r.Name, r.LogScore})
	}
	dates, diffs := p.equallyWrong(series)
	return append(gains, Gain{NameSize, score.Clustered(dates, diffs, 1, table.Lag)}), nil
}

// Contest trains a model and puts it, as [NameModel], on the test dates beside
// the baselines of the self-test.
func Contest(ctx context.Context, series []*market.Series, scale string, seed uint64) (*eval.Contest, error) {
	b, err := Train(ctx, series, scale, seed)
	if err != nil {
		return nil, err
	}
	models := []eval.Named{{Name: NameModel, Bundle: b}}
	return eval.NewContest(ctx, models, series, dataset.Test, eval.Options{Baselines: []string{Over, "GARCH-t"}})
}

// equallyWrong is the log score of a normal law of the true σ with mean σ/10 less
// that of one with mean −σ/10, of every target of the test dates.
func (p Process) equallyWrong(series []*market.Series) (dates []time.Time, diffs []float64) {
	from := Split(series).TestFrom
	for a, s := range series {
		sigma := p.Sigma(a)
		above, below := distuv.Normal{Mu: sigma / 10, Sigma: sigma}, distuv.Normal{Mu: -sigma / 10, Sigma: sigma}
		for t, candle := range s.Candles {
			if !candle.Time.Before(from) {
				r := feature.Encode(s.Candles[t-1].Close, candle)[feature.LogReturn]
				dates = append(dates, candle.Time)
				diffs = append(diffs, above.LogProb(r)-below.LogProb(r))
			}
		}
	}
	return dates, diffs
}

// Level is that of the tests: a gain is found where p < Level.
const Level = .05

// Alarm is the least probability, if gains over nothing are found as often as
// the level says, of as many as there are in a row of an honest evaluator.
const Alarm = .001

// Row is how often a row gained or lost significantly.
type Row struct {
	Name       string  `json:"name"`
	Markets    int     `json:"markets"`
	Gain       float64 `json:"gain"`        // mean, in nats per candle
	Positive   int     `json:"positive"`    // markets with p < Level and a gain
	Negative   int     `json:"negative"`    // and with a loss
	PositiveLo float64 `json:"positive_lo"` // Wilson's interval of the share, 95%
	PositiveHi float64 `json:"positive_hi"`
	Rejected   float64 `json:"rejected"` // share of markets with p < Level
	RejectedLo float64 `json:"rejected_lo"`
	RejectedHi float64 `json:"rejected_hi"`
	Chance     float64 `json:"chance"` // probability of as many gains or more if each comes with Level/2
}

// Judge counts the rows of markets.
func Judge(markets [][]Gain) []Row {
	var rows []Row
	for i, g := range markets[0] {
		r := Row{Name: g.Name, Markets: len(markets)}
		for _, m := range markets {
			t := m[i].Test
			r.Gain += t.Mean / float64(len(markets))
			switch {
			case t.P < Level && t.Mean > 0:
				r.Positive++
			case t.P < Level:
				r.Negative++
			}
		}
		n, rejected := r.Markets, r.Positive+r.Negative
		r.Rejected = float64(rejected) / float64(n)
		r.PositiveLo, r.PositiveHi = score.Wilson(r.Positive, n, .95)
		r.RejectedLo, r.RejectedHi = score.Wilson(rejected, n, .95)
		r.Chance = distuv.Binomial{N: float64(n), P: Level / 2}.Survival(float64(r.Positive) - 1)
		rows = append(rows, r)
	}
	return rows
}

// SizeLo and SizeHi are the shares of rejections that [NameSize] may have: Level
// and what a test by few dates is off it.
const (
	SizeLo = .02
	SizeHi = .09
)

var (
	// ErrFalsePositives says that eval found skill where there is none more
	// often than its level allows.
	ErrFalsePositives = errors.New("skill is found where there is none")
	// ErrSize says that the tests of eval do not reject at their level.
	ErrSize = errors.New("the test does not keep its level")
)

// Check returns [ErrFalsePositives] with the first row that gained more often
// than chance lets it, and [ErrSize] where [NameSize] is rejected more often than
// with a true share of [SizeHi], or less often than with one of [SizeLo]; each
// with a probability below [Alarm].
func Check(rows []Row) error {
	for _, r := range rows {
		if r.Name == NameSize && !plausible(r) {
			return fmt.Errorf("selftest: %s: one is better on %.1f%% of %d markets, tested at %.0f%%: %w", r.Name, 100*r.Rejected, r.Markets, 100*Level, ErrSize)
		}
		if r.Chance < Alarm {
			return fmt.Errorf("selftest: %s gains significantly on %d of %d markets: %w", r.Name, r.Positive, r.Markets, ErrFalsePositives)
		}
	}
	return nil
}

// plausible says whether as many rejections can come of a test whose true share
// is within [SizeLo, SizeHi].
func plausible(r Row) bool {
	n, k := float64(r.Markets), float64(r.Positive+r.Negative)
	many := distuv.Binomial{N: n, P: SizeHi}.Survival(k - 1)
	few := distuv.Binomial{N: n, P: SizeLo}.CDF(k)
	return many >= Alarm && few >= Alarm
}
