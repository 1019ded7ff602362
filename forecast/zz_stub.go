package forecast

import (
	"time"

	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/market"
)

const burnIn = 60

type Baseline interface {
	Name() string
	OneStep(s *market.Series) []density.Density
	Paths(s *market.Series, origin, horizon, paths int, seed uint64) [][]float64
}

func FitBaselines(series []*market.Series, before time.Time, names ...string) ([]Baseline, error) {
	return nil, nil
}
