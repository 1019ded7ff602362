// Package dataset turns candles into token streams, one per asset, divides
// them by date, and cuts them into windows for training and evaluation.
//
// Three rules hold everywhere: a target never crosses an asset, a target never
// crosses the border of its part, and a context may look back over a border.
package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// Stream is one asset as tokens. Token i stands for Candles[i] at Times[i];
// States[i] is what was known before that candle, and the last state, one more
// than there are tokens, what is known after all of them. The first candle of
// a series has no close before it: it yields no token and is not in Candles.
//
// Tokens [0, ValFrom) belong to training, [ValFrom, TestFrom) to validation,
// the rest to the test. The zero values make everything test, so that a stream
// to which no split was applied trains nothing.
type Stream struct {
	Asset    string
	Interval market.Interval
	Times    []time.Time // nil for a bare token file
	Tokens   []int32
	Candles  []market.Candle // nil for a token file
	States   []feature.State // nil for a token file
	Returns  []float32       // scaled log return of each token's candle; nil for a token file

	// What goes in with token i beside it, about candle i+1, as the Inputs of
	// the codec say: (n,K) and (n,F), nil where there is none. The date of
	// the candle after the last is a guess that a forecast replaces.
	Cond     []int32
	Features []float32

	ValFrom, TestFrom int
	Floored           int // candles scaled by the floor of the volatility
}

// Codec is the way from candles to tokens and back.
type Codec struct {
	Scaler    feature.Scaler
	Tokenizer tokenizer.Tokenizer
	Emission  *tokenizer.Emission // of returns given tokens; nil: a token stands for one return
	Ranges    *tokenizer.Emission // of [feature.Scaler.LogRange] given tokens; nil: not known
	Inputs    Inputs
}

// ErrTooShort says that a series has no candle after its first.
var ErrTooShort = errors.New("fewer than 2 candles")

// Encode turns a series into a stream; every token depends on its own candle
// and earlier ones only. It fails with [ErrTooShort], or where the moves of a
// candle are not finite. The stream belongs to no part until [Split.Apply].
func (c Codec) Encode(series *market.Series) (*Stream, error) {
	n := len(series.Candles) - 1
	if n < 1 {
		return nil, fmt.Errorf("dataset: %s: %w", series.Symbol, ErrTooShort)
	}
	s := &Stream{
		Asset:    series.Symbol,
		Interval: series.Interval,
		Times:    make([]time.Time, n),
		Candles:  series.Candles[1:],
		States:   c.Scaler.States(series)[1:],
		Returns:  make([]float32, n),
	}
	vectors := make([]feature.Vector, n)
	for i, candle := range s.Candles {
		s.Times[i] = candle.Time
		if c.Scaler.Floored(s.States[i]) {
			s.Floored++
		}
		vectors[i] = c.Scaler.Encode(s.States[i], candle)
		if !vectors[i].Finite() {
			return nil, fmt.Errorf("dataset: %s at %s: features %v are not finite", series.Symbol, candle.Time.Format(time.RFC3339), vectors[i])
		}
		s.Returns[i] = float32(vectors[i][feature.LogReturn])
	}
	s.Tokens = tokenizer.EncodeAll(c.Tokenizer, vectors)
	c.addInputs(s, vectors)
	return s, nil
}

// addInputs fills in what a model sees beside the tokens; vectors are the scaled
// candles.
func (c Codec) addInputs(s *Stream, vectors []feature.Vector) {
	if !c.Inputs.Any() {
		return
	}
	next := append(slices.Clone(s.Times[1:]), s.Dates(len(s.Times), 1)...)
	for i, t := range s.Times {
		s.Cond, s.Features = c.AppendInputs(s.Cond, s.Features, s, vectors[i], s.States[i+1], t, next[i])
	}
}

// ImagineStart is the close before the first candle of an imagined stream.
const ImagineStart = 100.0

// Imagine makes a stream of bare tokens: the candles that they decode to from
// average volatility on, of an asset without a name whose market never closes, up
// to a last time. It is what a model that sees more than tokens is given with
// them. There is at least one token, and each is one of the codec.
func (c Codec) Imagine(tokens []int32, interval market.Interval, last time.Time) (*Stream, error) {
	dates := make([]time.Time, len(tokens))
	for i := range dates {
		dates[i] = last.Add(time.Duration(i-len(tokens)+1) * time.Duration(interval))
	}
	flat := market.Candle{Time: dates[0].Add(-time.Duration(interval)), Open: ImagineStart, High: ImagineStart, Low: ImagineStart, Close: ImagineStart}
	candles, err := c.Decode(c.Scaler.Start("", flat, dates[0]), tokens, dates)
	if err != nil {
		return nil, err
	}
	for i := range candles {
		candles[i].Time = dates[i]
	}
	s, err := c.Encode(&market.Series{Interval: interval, Candles: append([]market.Candle{flat}, candles...)})
	if err != nil {
		return nil, err
	}
	copy(s.Tokens, tokens) // a candle may be nearer to another token than its own
	return s, nil
}

// WithInputs returns s with the inputs of c, where it may have those of a codec
// that agrees with c in everything else. It fails with [ErrNoInputs] where c has
// some and s is a bare token stream.
func (c Codec) WithInputs(s *Stream) (*Stream, error) {
	if c.Inputs.Any() && s.States == nil {
		return nil, fmt.Errorf("dataset: %s: %w", s.Asset, ErrNoInputs)
	}
	out := *s
	out.Cond, out.Features = nil, nil
	if c.Inputs.Any() {
		vectors := make([]feature.Vector, len(s.Candles))
		for i, candle := range s.Candles {
			vectors[i] = c.Scaler.Encode(s.States[i], candle)
		}
		c.addInputs(&out, vectors)
	}
	return &out, nil
}

// ErrNoInputs says that what a model sees beside tokens is not known.
var ErrNoInputs = errors.New("bare tokens: what the model sees beside them is not known")

// AppendInputs appends what goes in with the candle of s at time now, for the
// next one at time next; newest is that candle, scaled, and state what is known
// between the two.
func (c Codec) AppendInputs(cond []int32, features []float32, s *Stream, newest feature.Vector, state feature.State, now, next time.Time) ([]int32, []float32) {
	return c.Inputs.append(cond, features, s.Asset, c.Scaler, newest, state, now, next, time.Duration(s.Interval))
}

// Return is the log return of candle i.
func (s *Stream) Return(i int) float64 {
	return math.Log(s.Candles[i].Close / s.States[i].PrevClose)
}

// Dates are those of n candles from index origin on: known ones as far as there
// are, then those of the calendar that the stream follows ([market.NextTimes]).
func (s *Stream) Dates(origin, n int) []time.Time {
	known := s.Times[origin:min(origin+n, len(s.Times))]
	return append(slices.Clone(known), market.NextTimes(s.Times, s.Interval, n-len(known))...)
}

// Draw decodes a token to a candle after a state. A token stands for many
// candles: its shape is that of their mean, its return is drawn from theirs,
// where the codec knows them.
func (c Codec) Draw(state feature.State, token int32, random *rand.Rand) market.Candle {
	v := c.Tokenizer.Decode(int(token))
	if c.Emission != nil {
		v = v.WithReturn(c.Emission.Sample(int(token), random.Float64(), random.Float64()))
	}
	return c.Scaler.Decode(state, v)
}

// Decode returns the candles of tokens that follow a state: each is the mean
// candle of its token, scaled by the volatility of those before it. They have
// no times and no volume. dates are when they begin, as far as that is known: the
// time of day is that of the state and of these.
func (c Codec) Decode(state feature.State, tokens []int32, dates []time.Time) ([]market.Candle, error) {
	candles := make([]market.Candle, len(tokens))
	for i, token := range tokens {
		if n := c.Tokenizer.Codes(); token < 0 || int(token) >= n {
			return nil, fmt.Errorf("dataset: token %d at position %d: outside of the vocabulary 0…%d", token, i, n-1)
		}
		candles[i] = c.Scaler.Decode(state, c.Tokenizer.Decode(int(token)))
		var next time.Time
		if i+1 < len(dates) {
			next = dates[i+1]
		}
		state = c.Scaler.Advance(state, candles[i], next)
	}
	return candles, nil
}

// CloseError returns what the tokens lose of the closes: the mean absolute
// distance, in basis points, between a close and the one decoded from its token
// and the true state before it.
func (c Codec) CloseError(s *Stream) float64 {
	sum := 0.0
	for i, candle := range s.Candles {
		decoded := c.Scaler.Decode(s.States[i], c.Tokenizer.Decode(int(s.Tokens[i])))
		sum += math.Abs(decoded.Close/candle.Close - 1)
	}
	return sum / float64(max(1, len(s.Candles))) * 1e4
}

// Hash identifies data: the SHA-256, in hexadecimal, over the assets,
// intervals, times and tokens of the streams, in order.
func Hash(streams []*Stream) string {
	h := sha256.New()
	var b []byte
	number := func(x int64) { b = binary.LittleEndian.AppendUint64(b, uint64(x)) }
	text := func(s string) {
		number(int64(len(s)))
		b = append(b, s...)
	}
	number(int64(len(streams)))
	for _, s := range streams {
		text(s.Asset)
		number(int64(s.Interval))
		number(int64(len(s.Times)))
		for _, t := range s.Times {
			number(t.Unix())
			number(int64(t.Nanosecond()))
		}
		number(int64(len(s.Tokens)))
		for _, token := range s.Tokens {
			number(int64(token))
		}
		h.Write(b)
		b = b[:0]
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}
