package forecast

import (
	"context"
	"sync"
	"time"

	"github.com/micro-quant/mqc/market"
)

// Fits keeps baselines that were fitted on some series, as questions about one
// asset and date after the other want the same. Any number of goroutines may use it.
type Fits struct {
	series []*market.Series
	most   int

	mu   sync.Mutex
	fits []*fit // the oldest first
}

// fit is a baseline that is being fitted, or has been.
type fit struct {
	name   string
	before time.Time
	done   chan struct{}
	law    Baseline
	err    error
}

// NewFits keeps at most so many fits.
func NewFits(series []*market.Series, most int) *Fits { return &Fits{series: series, most: most} }

// Get fits one of [BaselineNames], or the pooled HAR, on the candles of all series
// with Time < before. The fit goes on when ctx ends: the next question finds it.
func (s *Fits) Get(ctx context.Context, name string, before time.Time) (Baseline, error) {
	s.mu.Lock()
	var f *fit
	for _, have := range s.fits {
		if have.name == name && have.before.Equal(before) {
			f = have
		}
	}
	if f == nil {
		f = &fit{name: name, before: before, done: make(chan struct{})}
		s.fits = append(s.fits[max(0, len(s.fits)+1-s.most):], f)
		go func() {
			defer close(f.done)
			f.law, f.err = fitBaseline(s.series, name, before)
		}()
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.law, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func fitBaseline(series []*market.Series, name string, before time.Time) (Baseline, error) {
	if name == NamePooledHAR {
		law, err := FitPooledHAR(series, before)
		if err != nil {
			return nil, err // a nil *PooledHAR is no nil Baseline
		}
		return law, nil
	}
	laws, err := FitBaselines(series, before, name)
	if err != nil {
		return nil, err
	}
	return laws[0], nil
}
