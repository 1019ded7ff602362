package eval

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// fresh is a bundle with a model of random weights, whose laws depend on all
// that it sees, and the market that it belongs to.
func fresh(t *testing.T, kind string) (*checkpoint.Bundle, []*market.Series) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 400
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	return modelOf(t, kind, m.Series), m.Series
}

// modelOf is a bundle with a model of random weights for series.
func modelOf(t *testing.T, kind string, series []*market.Series) *checkpoint.Bundle {
	t.Helper()
	codes := tokenizer.DefaultVQ()
	codes.Codes = 64
	b, err := train.Prepare(t.Context(), series, train.Preparation{
		Scaler: kind, Kind: tokenizer.KindProduct, VQ: codes,
		Inputs: dataset.Inputs{Volatility: true, Volume: true, Calendar: true, Assets: []string{series[0].Symbol}},
	})
	if err != nil {
		t.Fatal(err)
	}
	shape := gpt.Config{Vocab: 64, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}
	if err := train.NewModel(b, series, shape, 1); err != nil {
		t.Fatal(err)
	}
	// Some matrices begin at zero, and a model of zeros sees nothing.
	for i := range b.Model.Params {
		b.Model.Params[i] += float32(i%7-3) * .05
	}
	return b
}

// hourly are the candles of the synthetic market as seven a day from 9:30 in New
// York, three times as large when the session opens.
func hourly(t *testing.T) []*market.Series {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 700
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Series {
		s.Interval = market.Hour
		level := 1.0 // of the old prices
		for i := range s.Candles {
			c := &s.Candles[i]
			day, hour := i/7, i%7
			date := time.Date(2023, 1, 2+day/5*7+day%5, 9+hour, 30, 0, 0, zone)
			c.Time = date.UTC()
			if hour == 0 && i > 0 {
				gap := c.Open * level / s.Candles[i-1].Close
				level *= gap * gap
			}
			c.Open, c.High, c.Low, c.Close = c.Open*level, c.High*level, c.Low*level, c.Close*level
		}
	}
	return m.Series
}

func TestBundlesOfHourlyCandlesAreCausal(t *testing.T) {
	for _, kind := range []string{feature.EWMA, feature.HAR, feature.Global} {
		series := hourly(t)
		b := modelOf(t, kind, series)
		if got := b.Inputs.Cond(); !slices.Equal(got, []int{7, 5, feature.DaySlots, 2, 2}) {
			t.Errorf("%s: conditioning integers of sizes %v", kind, got)
		}
		if has := b.Scaler.Season != nil; has != (kind != feature.Global) {
			t.Errorf("%s: has a season: %v", kind, has)
		}
		if err := CheckCausal(t.Context(), b, series); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestBundlesAreCausal(t *testing.T) {
	for _, kind := range []string{feature.EWMA, feature.HAR, feature.Global} {
		b, series := fresh(t, kind)
		if err := CheckCausal(t.Context(), b, series); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		b.Model = nil
		if err := CheckCausal(t.Context(), b, series); err != nil {
			t.Errorf("%s without a model: %v", kind, err)
		}
	}
	if err := CheckCausal(t.Context(), &checkpoint.Bundle{}, nil); !errors.Is(err, checkpoint.ErrNoTokenizer) {
		t.Errorf("bare tokens: %v, want ErrNoTokenizer", err)
	}
}

// Each double leaks in a way of its own.
func TestLooksAheadAreCaught(t *testing.T) {
	b, series := fresh(t, feature.EWMA)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	laws := func(codec func(*dataset.Stream) dataset.Codec, s *dataset.Stream, w dataset.Window) ([]predict.Law, error) {
		return predict.Laws(t.Context(), b.Runner(), codec(s), []*dataset.Stream{s}, []dataset.Window{w}, 1)
	}
	same := func(*dataset.Stream) dataset.Codec { return codec }
	encode := func(change func(*dataset.Stream)) func(*market.Series) (*dataset.Stream, error) {
		return func(s *market.Series) (*dataset.Stream, error) {
			stream, err := codec.Encode(s)
			if err == nil {
				change(stream)
			}
			return stream, err
		}
	}
	for name, c := range map[string]struct {
		encode func(*market.Series) (*dataset.Stream, error)
		laws   func(*dataset.Stream, dataset.Window) ([]predict.Law, error)
		leaks  bool
	}{
		"nothing": {encode: codec.Encode},
		// A convolution over t−1, t and t+1, as a VQ-VAE over time has it.
		"tokenizer of the next candle": {leaks: true, encode: encode(func(s *dataset.Stream) {
			for i := range s.Tokens[:len(s.Tokens)-1] {
				s.Tokens[i] = (s.Tokens[i] + s.Tokens[i+1]) % 64
			}
		})},
		"scaler fitted on all dates of what it scales": {leaks: true, encode: func(s *market.Series) (*dataset.Stream, error) {
			end := s.Candles[len(s.Candles)-1].Time.Add(time.Hour)
			scaler, err := feature.FitScaler(feature.EWMA, []*market.Series{s}, end)
			if err != nil {
				return nil, err
			}
			return dataset.Codec{Scaler: scaler, Tokenizer: codec.Tokenizer}.Encode(s)
		}},
		"volatility of the next candle": {leaks: true, encode: encode(func(s *dataset.Stream) {
			s.States = append(s.States[1:], s.States[len(s.States)-1])
		})},
		"features of the next candle": {leaks: true, encode: encode(func(s *dataset.Stream) {
			F := b.Inputs.Features()
			s.Features = append(s.Features[F:], make([]float32, F)...)
		})},
		"volume of the next candle": {leaks: true, encode: encode(func(s *dataset.Stream) {
			F := b.Inputs.Features()
			for i := range s.Tokens[:len(s.Tokens)-1] {
				s.Features[i*F+feature.StateFeatures] = s.Features[(i+1)*F+feature.StateFeatures]
			}
		})},
		"volume over an average of all dates": {leaks: true, encode: encode(func(s *dataset.Stream) {
			mean := 0.0
			for _, c := range s.Candles {
				mean += c.Volume / float64(len(s.Candles))
			}
			for i, c := range s.Candles {
				s.Features[i*b.Inputs.Features()+feature.StateFeatures] = float32(math.Log(c.Volume / mean))
			}
		})},
		"weekday that follows the next close": {leaks: true, encode: encode(func(s *dataset.Stream) {
			k := len(s.Cond) / len(s.Tokens)
			for i := range s.Tokens[:len(s.Tokens)-1] {
				s.Cond[i*k] = s.Tokens[i+1] % 7
			}
		})},
		// As attention without a mask would do.
		"law that sees its window": {leaks: true, encode: codec.Encode, laws: func(s *dataset.Stream, w dataset.Window) ([]predict.Law, error) {
			other := *s
			other.Tokens = slices.Clone(s.Tokens)
			slices.Reverse(other.Tokens[w.Start : w.Start+w.Len])
			return laws(same, &other, w)
		}},
		"range that sees its candle": {leaks: true, encode: codec.Encode, laws: func(s *dataset.Stream, w dataset.Window) ([]predict.Law, error) {
			found, err := laws(same, s, w)
			for i := range found {
				found[i].Ranges[0] += float32(s.Candles[found[i].Index].High)
			}
			return found, err
		}},
		"law in units of a later volatility": {leaks: true, encode: codec.Encode, laws: func(s *dataset.Stream, w dataset.Window) ([]predict.Law, error) {
			other := *s
			other.States = append(slices.Clone(s.States[1:]), s.States[len(s.States)-1])
			return laws(same, &other, w)
		}},
	} {
		p := pipeline{encode: c.encode, context: b.Model.SeqLen, laws: c.laws}
		err := p.checkCausal(t.Context(), series)
		if errors.Is(err, ErrLooksAhead) != c.leaks || (err != nil) != c.leaks {
			t.Errorf("%s: %v, leaks: want %v", name, err, c.leaks)
		}
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := CheckCausal(ended, b, series); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

// What no perturbation shows in a finished bundle, because it is in the fitted
// numbers, its ranges say: the scores are refused.
func TestFitsOnHeldOutDatesAreRefused(t *testing.T) {
	b, series := fresh(t, feature.EWMA)
	streams, err := train.Encode(b, series)
	if err != nil {
		t.Fatal(err)
	}
	trained(b, streams)
	end := series[0].Candles[len(series[0].Candles)-1].Time.Add(time.Hour)
	for name, c := range map[string]struct {
		split  dataset.Split // that the scores take for theirs
		refit  string        // the part that is fitted on all dates
		leaked bool
	}{
		"nothing":                     {split: b.Split},
		"scaler on all dates":         {split: b.Split, refit: checkpoint.Scaler, leaked: true},
		"tokenizer on all dates":      {split: b.Split, refit: checkpoint.Tokenizer, leaked: true},
		"emission on all dates":       {split: b.Split, refit: checkpoint.Emission, leaked: true},
		"validation over training":    {split: dataset.Split{ValFrom: b.Split.ValFrom.AddDate(0, 0, -7), TestFrom: b.Split.TestFrom}, leaked: true},
		"validation inside training":  {split: dataset.Split{ValFrom: b.Split.ValFrom.AddDate(0, -3, 0), TestFrom: b.Split.ValFrom}, leaked: true},
		"validation later than it is": {split: dataset.Split{ValFrom: b.Split.ValFrom.AddDate(0, 0, 7), TestFrom: b.Split.TestFrom}},
	} {
		leaky := *b
		leaky.Split = c.split
		if c.refit != "" {
			all, err := train.Prepare(t.Context(), series, train.Preparation{
				Split: dataset.Split{ValFrom: end, TestFrom: end}, Scaler: feature.EWMA, Kind: tokenizer.KindQuantile,
				VQ: tokenizer.DefaultVQ(),
			})
			if err != nil {
				t.Fatal(err)
			}
			leaky.Fit = slices.Clone(b.Fit)
			for _, r := range all.Fit {
				if r.Part == c.refit {
					leaky.Fit = append(leaky.Fit, r)
				}
			}
		}
		_, err := NewContest(t.Context(), []Named{{"leaky", &leaky}}, series, dataset.Val, Options{Baselines: []string{"unconditional t"}})
		if errors.Is(err, checkpoint.ErrFitted) != c.leaked || (err != nil) != c.leaked {
			t.Errorf("%s: %v, refused: want %v", name, err, c.leaked)
		}
	}
}
