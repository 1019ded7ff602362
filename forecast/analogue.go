package forecast

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/market"
)

// Analogue is a stretch of the past that resembles the newest candles of a
// series, with what followed it.
type Analogue struct {
	Asset    string
	Distance float64 // root mean square difference of the scaled log returns
	Window   []market.Candle
	Followed []market.Candle
	Returns  []float64 // cumulative log returns of what followed
}

// ErrNoAnalogues says that there is no past to look into.
var ErrNoAnalogues = errors.New("forecast: no history before that date is long enough")

// Analogues returns the n stretches of history whose log returns, in units of the
// volatility known before each, are nearest to those of the last window candles,
// the nearest first. What followed them, horizon candles, ends before a date: no
// stretch knows more than was known then. Stretches of one asset do not overlap.
func (o *Origin) Analogues(history []*market.Series, before time.Time, window, horizon, n int) ([]Analogue, error) {
	now := len(o.stream.Tokens)
	if window < 2 || window > now || horizon < 1 || n < 1 {
		return nil, fmt.Errorf("forecast: %d analogues of %d candles, followed by %d: want windows of 2 to %d", n, window, horizon, now)
	}
	newest := o.stream.Returns[now-window:]
	type found struct {
		distance float64
		stream   *dataset.Stream
		from     int
	}
	var all []found
	for _, series := range history {
		s, err := o.m.codec.Encode(series)
		if errors.Is(err, dataset.ErrTooShort) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for from := 0; from+window+horizon <= len(s.Tokens) && s.Times[from+window+horizon-1].Before(before); from++ {
			sum := 0.0
			for i, r := range newest {
				d := float64(s.Returns[from+i] - r)
				sum += d * d
			}
			all = append(all, found{math.Sqrt(sum / float64(window)), s, from})
		}
	}
	if len(all) == 0 {
		return nil, ErrNoAnalogues
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.distance, b.distance) })
	var kept []found
	for _, a := range all {
		if len(kept) == n {
			break
		}
		if !slices.ContainsFunc(kept, func(k found) bool { return k.stream == a.stream && k.from < a.from+window && a.from < k.from+window }) {
			kept = append(kept, a)
		}
	}
	out := make([]Analogue, len(kept))
	for i, k := range kept {
		end := k.from + window
		a := Analogue{Asset: k.stream.Asset, Distance: k.distance, Window: k.stream.Candles[k.from:end], Followed: k.stream.Candles[end : end+horizon]}
		for _, c := range a.Followed {
			a.Returns = append(a.Returns, math.Log(c.Close/a.Window[window-1].Close))
		}
		out[i] = a
	}
	return out, nil
}
