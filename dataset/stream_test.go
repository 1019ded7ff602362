package dataset_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// randomSeries returns a daily series of n candles from the date on.
func randomSeries(symbol string, from time.Time, n int, seed uint64) *market.Series {
	r := rng.New(seed)
	s := &market.Series{Symbol: symbol, Interval: market.Day}
	price := 50.0
	for i := range n {
		open := price * math.Exp(0.005*r.NormFloat64())
		close := open * math.Exp(0.02*r.NormFloat64())
		s.Candles = append(s.Candles, market.Candle{
			Time: from.AddDate(0, 0, i), Open: open, Close: close,
			High: max(open, close) * math.Exp(0.01*r.ExpFloat64()),
			Low:  min(open, close) * math.Exp(-0.01*r.ExpFloat64()),
		})
		price = close
	}
	return s
}

var newYear = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func newCodec(t testing.TB, kind string, series ...*market.Series) dataset.Codec {
	t.Helper()
	end := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	scaler, err := feature.FitScaler(kind, series, end)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []feature.Vector
	for _, s := range series {
		state := scaler.Start("", s.Candles[0], time.Time{})
		for _, c := range s.Candles[1:] {
			vectors = append(vectors, scaler.Encode(state, c))
			state = scaler.Advance(state, c, time.Time{})
		}
	}
	config := tokenizer.DefaultVQ()
	config.Codes, config.Hidden, config.Epochs, config.MinSteps, config.Refine = 64, 16, 3, 100, 50
	tok, err := tokenizer.TrainVQVAE(t.Context(), vectors, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dataset.Codec{Scaler: scaler, Tokenizer: tok}
}

func TestTokensDoNotKnowLaterCandles(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 300, 1)
	codecs := map[string]dataset.Codec{}
	for _, scale := range []string{feature.EWMA, feature.Global} {
		codec := newCodec(t, scale, series)
		all := dataset.Split{ValFrom: newYear.AddDate(1, 0, 0)} // 300 days are training
		for _, kind := range tokenizer.Kinds() {
			var err error
			if codec.Tokenizer, err = tokenizer.Fit(t.Context(), kind, vectors(codec.Scaler, []*market.Series{series}, all, dataset.Train), 64, 1, nil); err != nil {
				t.Fatal(err)
			}
			codecs[scale+" "+kind] = codec
		}
	}
	for kind, codec := range codecs {
		want, err := codec.Encode(series)
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []int{1, 2, 150, 299} {
			changed := *series
			changed.Candles = slices.Clone(series.Candles)
			for i := from; i < len(changed.Candles); i++ {
				c := &changed.Candles[i]
				c.Open, c.High, c.Close = c.Open*1.5, c.High*3, c.Close*2
			}
			got, err := codec.Encode(&changed)
			if err != nil {
				t.Fatal(err)
			}
			// Token i belongs to candle i+1, state i to the time before it.
			if !slices.Equal(got.Tokens[:from-1], want.Tokens[:from-1]) || !slices.Equal(got.States[:from], want.States[:from]) {
				t.Errorf("%s: candles from %d on change earlier tokens or states", kind, from)
			}
			if slices.Equal(got.Tokens, want.Tokens) {
				t.Errorf("%s: candles from %d on change no token", kind, from)
			}
		}
	}
}

func TestStreamFieldsBelongTogether(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 100, 2)
	codec := newCodec(t, feature.EWMA, series)
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Tokens) != 99 || len(s.Candles) != 99 || len(s.Times) != 99 || len(s.States) != 100 {
		t.Fatalf("100 candles give %d tokens, %d candles, %d times, %d states", len(s.Tokens), len(s.Candles), len(s.Times), len(s.States))
	}
	for i, c := range s.Candles {
		if c != series.Candles[i+1] || !s.Times[i].Equal(c.Time) || s.States[i].PrevClose != series.Candles[i].Close {
			t.Fatalf("entry %d: candle %+v, time %v, state %+v", i, c, s.Times[i], s.States[i])
		}
		if got := codec.Tokenizer.Encode(codec.Scaler.Encode(s.States[i], c)); got != int(s.Tokens[i]) {
			t.Fatalf("token %d is %d, its candle encodes to %d", i, s.Tokens[i], got)
		}
	}
	if last := s.States[99].PrevClose; last != series.Candles[99].Close {
		t.Errorf("the last state follows a close of %v, want %v", last, series.Candles[99].Close)
	}
	if from, to := s.Bounds(dataset.Train); from != to {
		t.Errorf("without a split training has tokens %d…%d, want none", from, to)
	}
}

func TestFlooredCandlesAreCounted(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 300, 3)
	codec := newCodec(t, feature.EWMA, series)
	still := randomSeries("SYN-02", newYear, 200, 4)
	for i := 20; i < 200; i++ { // a halt: λ^n falls under the floor of 1% of the variance
		c := &still.Candles[i]
		c.Open, c.High, c.Low, c.Close = 50, 50, 50, 50
	}
	for _, c := range []struct {
		series *market.Series
		floor  bool
	}{{series, false}, {still, true}} {
		s, err := codec.Encode(c.series)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Floored > 0; got != c.floor {
			t.Errorf("%s: %d candles are floored, want any: %v", c.series.Symbol, s.Floored, c.floor)
		}
	}
}

func TestEncodeRefusesShortSeries(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 100, 2)
	codec := newCodec(t, feature.Global, series)
	for n := range 2 {
		short := &market.Series{Symbol: "X", Candles: series.Candles[:n]}
		if _, err := codec.Encode(short); !errors.Is(err, dataset.ErrTooShort) {
			t.Errorf("Encode of %d candles = %v, want ErrTooShort", n, err)
		}
	}
}

func TestDrawDecodesAtTheScaleOfThePath(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 200, 5)
	codec := newCodec(t, feature.EWMA, series)
	state := feature.State{PrevClose: 10, Variance: 4e-4}
	tokens := []int32{3, 60, 3, 17, 3}
	variance, close := state.Variance, state.PrevClose
	for i, token := range tokens {
		v := codec.Tokenizer.Decode(int(token))
		want := close * math.Exp(v[feature.LogReturn]*math.Sqrt(variance))
		candle := codec.Draw(state, token, nil)
		if math.Abs(candle.Close/want-1) > 1e-12 {
			t.Fatalf("step %d closes at %v, want %v", i, candle.Close, want)
		}
		state = codec.Scaler.Advance(state, candle, time.Time{})
		r := math.Log(want / close)
		variance, close = 0.94*variance+0.06*r*r, want
	}
}

func TestTokensKeepMostOfTheClose(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 1000, 6)
	codec := newCodec(t, feature.EWMA, series)
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	none := 0.0 // the error of a token that says nothing: no move
	for i, c := range s.Candles {
		none += math.Abs(s.States[i].PrevClose/c.Close-1) / float64(len(s.Candles)) * 1e4
	}
	if got := codec.CloseError(s); got <= 0 || got > none/2 {
		t.Errorf("CloseError = %v bp, want less than half of %v, the error without a move", got, none)
	}
}

func TestHashSeesEverything(t *testing.T) {
	make := func() []*dataset.Stream {
		return []*dataset.Stream{
			{Asset: "A", Interval: market.Day, Times: []time.Time{newYear, newYear.AddDate(0, 0, 1)}, Tokens: []int32{1, 2}},
			{Asset: "B", Interval: market.Day, Tokens: []int32{3}},
		}
	}
	want := dataset.Hash(make())
	if again := dataset.Hash(make()); again != want || len(want) != 64 {
		t.Errorf("Hash = %s, then %s", want, again)
	}
	for name, change := range map[string]func([]*dataset.Stream) []*dataset.Stream{
		"asset":    func(s []*dataset.Stream) []*dataset.Stream { s[0].Asset = "C"; return s },
		"interval": func(s []*dataset.Stream) []*dataset.Stream { s[0].Interval = market.Hour; return s },
		"time":     func(s []*dataset.Stream) []*dataset.Stream { s[0].Times[1] = newYear.AddDate(0, 0, 2); return s },
		"token":    func(s []*dataset.Stream) []*dataset.Stream { s[1].Tokens[0]++; return s },
		"order":    func(s []*dataset.Stream) []*dataset.Stream { s[0], s[1] = s[1], s[0]; return s },
		"fewer":    func(s []*dataset.Stream) []*dataset.Stream { return s[:1] },
	} {
		if dataset.Hash(change(make())) == want {
			t.Errorf("Hash does not see the %s", name)
		}
	}
	zone := make()
	zone[0].Times[0] = zone[0].Times[0].In(time.FixedZone("", 3600))
	if dataset.Hash(zone) != want {
		t.Error("Hash depends on the zone in which a time is written")
	}
}

func TestCalendarSplitPoolsAllDates(t *testing.T) {
	// 60 candles of one asset and the last 40 dates of them for another.
	a, b := randomSeries("A", newYear, 60, 1), randomSeries("B", newYear.AddDate(0, 0, 20), 40, 2)
	split := dataset.CalendarSplit([]*market.Series{a, b})
	want := dataset.Split{ValFrom: newYear.AddDate(0, 0, 50), TestFrom: newYear.AddDate(0, 0, 55)}
	if d := cmp.Diff(want, split); d != "" {
		t.Errorf("CalendarSplit:\n%s", d)
	}
	if err := split.Validate(); err != nil {
		t.Error(err)
	}

	codec := newCodec(t, feature.Global, a, b)
	for _, series := range []*market.Series{a, b} {
		s, err := codec.Encode(series)
		if err != nil {
			t.Fatal(err)
		}
		split.Apply(s)
		for _, part := range []dataset.Part{dataset.Train, dataset.Val, dataset.Test} {
			from, to := s.Bounds(part)
			for i := from; i < to; i++ {
				if got := split.Part(s.Times[i]); got != part {
					t.Errorf("%s: token %d is in %v, its date in %v", s.Asset, i, part, got)
				}
			}
		}
		if from, _ := s.Bounds(dataset.Val); from == 0 || s.Unseen() {
			t.Errorf("%s has no training part", s.Asset)
		}
	}
	if got := dataset.CalendarSplit(nil); got != (dataset.Split{}) || got.Validate() == nil {
		t.Errorf("CalendarSplit of nothing = %+v, valid", got)
	}
}

func TestPartNames(t *testing.T) {
	for _, want := range []dataset.Part{dataset.Train, dataset.Val, dataset.Test} {
		if got, err := dataset.ParsePart(want.String()); err != nil || got != want {
			t.Errorf("ParsePart(%q) = %v, %v", want.String(), got, err)
		}
	}
	if _, err := dataset.ParsePart("holdout"); err == nil {
		t.Error("ParsePart(holdout) succeeds")
	}
}

func TestDecodeFollowsTheStates(t *testing.T) {
	series := randomSeries("SYN-01", newYear, 300, 1)
	for _, scale := range []string{feature.EWMA, feature.Global} {
		codec := newCodec(t, scale, series)
		s, err := codec.Encode(series)
		if err != nil {
			t.Fatal(err)
		}
		candles, err := codec.Decode(s.States[0], s.Tokens, s.Times)
		if err != nil {
			t.Fatal(err)
		}
		state := s.States[0]
		for i, c := range candles {
			if want := codec.Scaler.Decode(state, codec.Tokenizer.Decode(int(s.Tokens[i]))); c.Close != want.Close || c.Low != want.Low {
				t.Fatalf("%s: candle %d is %+v, want %+v", scale, i, c, want)
			}
			state = codec.Scaler.Advance(state, c, time.Time{})
		}
		if _, err := codec.Decode(s.States[0], []int32{1, 64}, nil); err == nil {
			t.Errorf("%s: token 64 of 64 codes decodes", scale)
		}
	}
}
