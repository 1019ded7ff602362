package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

// ErrLooksAhead says that a law, or what it is made of, changes with candles
// that come after it.
var ErrLooksAhead = errors.New("depends on candles that come later")

// CheckCausal changes candles and looks whether anything changes that was known
// before them. At four places of every series all candles from t on get other
// prices and volumes; the tokens before t, the states up to t, what a model sees
// beside the tokens, and the laws of returns and ranges up to candle t must keep
// their bits. The laws are those of one window around t, so that it covers half a
// window on either side. It returns [ErrLooksAhead] with asset and date of the
// first change.
//
// What was fitted is left as it is: that it was fitted on earlier dates is what
// [checkpoint.Bundle.CheckHeldOut] looks after. A bundle without a model, or
// without densities of returns, is checked up to its tokens.
func CheckCausal(ctx context.Context, b *checkpoint.Bundle, series []*market.Series) error {
	codec, err := b.Codec()
	if err != nil {
		return fmt.Errorf("eval: %w", err)
	}
	p := pipeline{encode: codec.Encode}
	if b.Model != nil && b.Emission != nil {
		p.context = b.Model.SeqLen
		p.laws = func(s *dataset.Stream, w dataset.Window) ([]predict.Law, error) {
			return predict.Laws(ctx, b.Runner(), codec, []*dataset.Stream{s}, []dataset.Window{w}, 1)
		}
	}
	return p.checkCausal(ctx, series)
}

// pipeline is the way from candles to laws.
type pipeline struct {
	encode  func(*market.Series) (*dataset.Stream, error)
	context int // tokens in a window of laws
	laws    func(*dataset.Stream, dataset.Window) ([]predict.Law, error)
}

// causalPlaces are where candles are changed, in quarters of a series; the last
// is its last candle.
const causalPlaces = 4

func (p pipeline) checkCausal(ctx context.Context, series []*market.Series) error {
	for _, s := range series {
		n := len(s.Candles)
		for place := 1; place <= causalPlaces; place++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			t := min(place*n/causalPlaces, n-1)
			if t < 2 {
				continue // nothing is before it
			}
			what, err := p.firstChange(s, t)
			if err != nil {
				return fmt.Errorf("eval: %w", err)
			}
			if what != "" {
				return fmt.Errorf("eval: %s: with other candles from %s on, the %s changes: %w",
					s.Symbol, s.Candles[t].Time.Format("2006-01-02"), what, ErrLooksAhead)
			}
		}
	}
	return nil
}

// firstChange names what changes with candles t and later although it was there
// before candle t, or is empty. Token i of a stream is candle i+1.
func (p pipeline) firstChange(s *market.Series, t int) (string, error) {
	before, err := p.encode(s)
	if err != nil {
		return "", err
	}
	after, err := p.encode(otherFuture(s, t))
	if err != nil {
		return "", err
	}
	known := t - 1 // tokens
	for i := range known {
		switch {
		case before.Tokens[i] != after.Tokens[i]:
			return fmt.Sprintf("token of candle %d", i+1), nil
		case before.States[i+1] != after.States[i+1]:
			return fmt.Sprintf("state after candle %d", i+1), nil
		}
	}
	N := len(before.Tokens)
	if k := len(before.Cond) / N * known; !slices.Equal(before.Cond[:k], after.Cond[:k]) {
		return "condition", nil
	}
	if k := len(before.Features) / N * known; !slices.Equal(before.Features[:k], after.Features[:k]) {
		return "features", nil
	}
	if p.laws == nil {
		return "", nil
	}
	start := max(0, known-(p.context+1)/2)
	w := dataset.Window{Stream: 0, Start: start, Len: min(p.context, N-1-start), From: start + 1, To: N}
	x, err := p.laws(before, w)
	if err != nil {
		return "", err
	}
	y, err := p.laws(after, w)
	if err != nil {
		return "", err
	}
	for i, l := range x {
		// The law of token known is that of candle t: the last before the change.
		if l.Index <= known && (l.Mean != y[i].Mean || l.Sigma != y[i].Sigma || !slices.Equal(l.Cells, y[i].Cells) || !slices.Equal(l.Ranges, y[i].Ranges)) {
			return fmt.Sprintf("law of candle %d", l.Index+1), nil
		}
	}
	return "", nil
}

// otherFuture is the series with other moves from candle t on: twice as large, in
// the other direction and never zero, with wider wicks and other volumes. The moves
// add up to no more than twice those of the series, so that prices stay numbers.
func otherFuture(s *market.Series, t int) *market.Series {
	other := *s
	other.Candles = slices.Clone(s.Candles)
	for i := t; i < len(other.Candles); i++ {
		c, was, now := s.Candles[i], s.Candles[i-1].Close, other.Candles[i-1].Close
		move := -2*math.Log(c.Close/was) + []float64{.01, -.01}[i%2]
		gap := math.Log(c.Open / was)
		to := &other.Candles[i]
		to.Open, to.Close = now*math.Exp(gap), now*math.Exp(move)
		to.High = max(to.Open, to.Close) * c.High / max(c.Open, c.Close) * 1.01
		to.Low = min(to.Open, to.Close) * c.Low / min(c.Open, c.Close) / 1.01
		to.Volume *= []float64{3, .2}[i%2]
	}
	return &other
}
