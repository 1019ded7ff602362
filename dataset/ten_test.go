package dataset_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// tenAssets reads the ten assets of the specification, or skips the test.
func tenAssets(t testing.TB) []*market.Series {
	t.Helper()
	const folder = "../../shared/data/ten"
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("no market data at %s", folder)
	}
	series, _, err := market.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return series
}

// vectors returns the scaled features of the candles of a part.
func vectors(s feature.Scaler, series []*market.Series, split dataset.Split, part dataset.Part) []feature.Vector {
	var out []feature.Vector
	for _, one := range series {
		state := s.Start("", one.Candles[0], time.Time{})
		for _, c := range one.Candles[1:] {
			if split.Part(c.Time) == part {
				out = append(out, s.Encode(state, c))
			}
			state = s.Advance(state, c, time.Time{})
		}
	}
	return out
}

func TestVQVAEOnTenAssets(t *testing.T) {
	series := tenAssets(t)
	split := dataset.CalendarSplit(series)
	scaler, err := feature.FitScaler(feature.EWMA, series, split.ValFrom)
	if err != nil {
		t.Fatal(err)
	}
	train := vectors(scaler, series, split, dataset.Train)
	val := vectors(scaler, series, split, dataset.Val)

	config := tokenizer.DefaultVQ()
	vq, err := tokenizer.TrainVQVAE(context.Background(), train, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	quantile, err := tokenizer.FitQuantile(train, config.Codes)
	if err != nil {
		t.Fatal(err)
	}

	got, baseline := tokenizer.Measure(vq, val), tokenizer.Measure(quantile, val)
	t.Logf("train     %+v", tokenizer.Measure(vq, train))
	t.Logf("vqvae     %+v", got)
	t.Logf("quantile  %+v", baseline)
	if got.Perplexity < 200 {
		t.Errorf("perplexity on validation = %.1f, want at least 200", got.Perplexity)
	}
	if got.Dead >= 0.10 {
		t.Errorf("dead codes on validation = %.3f, want less than 0.1", got.Dead)
	}
	if got.MeanMSE >= baseline.MeanMSE {
		t.Errorf("reconstruction error = %.4f, quantile bins of equal size have %.4f", got.MeanMSE, baseline.MeanMSE)
	}
}
