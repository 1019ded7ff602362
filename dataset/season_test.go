package dataset_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
)

// halfDays has half-hourly candles of weekdays in New York from 9:30 to 15:30, large
// in the morning and in the evening.
func halfDays(symbol string, days int, seed uint64) *market.Series {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	r := rand.New(rand.NewPCG(seed, 5))
	s := &market.Series{Symbol: symbol, Interval: 30 * market.Minute}
	price := 50.0
	for day := range days {
		date := time.Date(2021, 1, 4+day, 9, 30, 0, 0, zone)
		if w := date.Weekday(); w == time.Saturday || w == time.Sunday {
			continue
		}
		for k := range 13 {
			sigma := .002 * (1 + math.Abs(float64(k)-6)/3)
			open := price * math.Exp(sigma/4*r.NormFloat64())
			price = open * math.Exp(sigma*r.NormFloat64())
			s.Candles = append(s.Candles, market.Candle{
				Time: date.Add(time.Duration(k) * 30 * time.Minute).UTC(),
				Open: open, Close: price, High: max(open, price) * 1.001, Low: min(open, price) / 1.001,
			})
		}
	}
	return s
}

func TestCalendarOfShortCandlesTellsTheTimeOfDay(t *testing.T) {
	series := halfDays("A", 200, 1)
	codec := newCodec(t, feature.EWMA, series)
	clock := codec.Scaler.Season.Clock
	if clock.String() != "America/New_York" {
		t.Fatalf("the clock is that of %s", clock)
	}
	codec.Inputs = dataset.Inputs{Calendar: true, Clock: &clock, Assets: []string{"A"}}
	sizes := codec.Inputs.Cond()
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	K := len(sizes)
	if K != 5 || len(s.Cond) != K*len(s.Tokens) {
		t.Fatalf("%d integers of sizes %v for %d tokens", len(s.Cond), sizes, len(s.Tokens))
	}
	// The last one is of the candle that the calendar brings.
	dates := append(s.Times[1:], s.Dates(len(s.Times), 1)...)
	for i, next := range dates {
		row := s.Cond[i*K : (i+1)*K]
		for k, x := range row {
			if x < 0 || int(x) >= sizes[k] {
				t.Fatalf("integer %d before %s is %d of %d", k, next, x, sizes[k])
			}
		}
		local := next.In(clock.Location)
		if row[0] != int32(local.Weekday()) || row[2] != int32(2*local.Hour()+local.Minute()/30) {
			t.Errorf("before %s weekday and slot are %d and %d", local, row[0], row[2])
		}
		if opens := local.Hour() == 9; (row[3] == 1) != opens {
			t.Errorf("before %s the session opens: %d", local, row[3])
		}
	}

	daily := dataset.Inputs{Calendar: true, Assets: []string{"A"}}
	if got := daily.Cond(); len(got) != 3 || got[0] != 7 || got[1] != 5 || got[2] != 2 {
		t.Errorf("without a clock the sizes are %v, want [7 5 2]", got)
	}
	for _, c := range []struct {
		in       dataset.Inputs
		interval string
		valid    bool
	}{
		{codec.Inputs, "30m", true},
		{codec.Inputs, "1d", false},
		{codec.Inputs, "", false},
		{dataset.Inputs{Clock: &clock}, "30m", false},
		{daily, "1d", true},
	} {
		if err := c.in.Validate(c.interval); (err == nil) != c.valid {
			t.Errorf("Validate(%+v, %q) = %v", c.in, c.interval, err)
		}
	}
}

// Candles that are decoded one after another have the times of day that they are
// given; where none are known, they have no season.
func TestDecodeKnowsTheTimeOfDay(t *testing.T) {
	series := halfDays("A", 100, 2)
	codec := newCodec(t, feature.EWMA, series)
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	candles, err := codec.Decode(s.States[0], s.Tokens, s.Times)
	if err != nil {
		t.Fatal(err)
	}
	decoded := &market.Series{Symbol: "A", Interval: series.Interval, Candles: []market.Candle{series.Candles[0]}}
	for i, c := range candles {
		c.Time = s.Times[i]
		decoded.Candles = append(decoded.Candles, c)
	}
	for i, state := range codec.Scaler.States(decoded)[1:] {
		if i == len(candles) {
			break
		}
		if want := codec.Scaler.Decode(state, codec.Tokenizer.Decode(int(s.Tokens[i]))); want.Close != candles[i].Close || want.High != candles[i].High {
			t.Fatalf("candle %d is %+v, want %+v", i, candles[i], want)
		}
	}
	undated, err := codec.Decode(codec.Scaler.Start("A", series.Candles[0], time.Time{}), s.Tokens[:20], nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := codec
	plain.Scaler.Season = nil
	want, err := plain.Decode(plain.Scaler.Start("A", series.Candles[0], s.Times[0]), s.Tokens[:20], s.Times)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if undated[i].Close != want[i].Close {
			t.Fatalf("candle %d without a date closes at %v, want %v", i, undated[i].Close, want[i].Close)
		}
	}
}
