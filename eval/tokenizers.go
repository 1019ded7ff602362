package eval

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// TokenizerPart is what a tokenizer makes of the candles of one part of the
// data. Every candle is decoded from its token and the true state before it.
type TokenizerPart struct {
	tokenizer.Stats

	CloseError float64 `json:"close_error"` // mean absolute error of the close, in basis points
	Valid      float64 `json:"valid"`       // share of decoded candles with 0 < low ≤ open, close ≤ high < ∞

	// The shape of the log returns, decoded and true: the kurtosis, 3 for a
	// normal, and the correlation of |r| with |r| a candle earlier, which is
	// the clustering of volatility. Both are taken asset by asset, since
	// calm and wild assets together have fat tails of their own, and averaged
	// by number of candles. They are 0 where the returns of an asset do not
	// vary; a kurtosis is otherwise at least 1.
	Kurtosis     float64 `json:"kurtosis"`
	TrueKurtosis float64 `json:"true_kurtosis"`
	ACF          float64 `json:"acf_abs"`
	TrueACF      float64 `json:"true_acf_abs"`
}

// TokenizerRow is a tokenizer on the dates that it was fitted on and on
// validation.
type TokenizerRow struct {
	Kind  string        `json:"kind"`
	Codes int           `json:"codes"`
	Train TokenizerPart `json:"train"`
	Val   TokenizerPart `json:"val"`

	// Drift is the Jensen–Shannon divergence in nats, at most ln 2, between the
	// frequencies of the codes in training and in validation (Lin 1991). Chance
	// is about what two samples of these sizes from one distribution give:
	//
	//	(used codes − 1)/8 · (1/N_train + 1/N_val)
	Drift  float64 `json:"drift"`
	Chance float64 `json:"drift_by_chance"`
}

// MeasureTokenizer measures a codec, fitted on the training dates of streams,
// on their training and on their validation candles. The streams are those
// that the codec made, cut by its split. It fails where one is a bare token
// file and where a part has no candles.
func MeasureTokenizer(codec dataset.Codec, streams []*dataset.Stream) (TokenizerRow, error) {
	tok := codec.Tokenizer
	row := TokenizerRow{Kind: tok.Kind(), Codes: tok.Codes()}
	var train, val []int
	var err error
	if row.Train, train, err = measurePart(codec, streams, dataset.Train); err != nil {
		return row, err
	}
	if row.Val, val, err = measurePart(codec, streams, dataset.Val); err != nil {
		return row, err
	}
	row.Drift = jensenShannon(train, val)
	used := 0
	for k := range train {
		if train[k]+val[k] > 0 {
			used++
		}
	}
	row.Chance = float64(used-1) / 8 * (1/float64(row.Train.Candles) + 1/float64(row.Val.Candles))
	return row, nil
}

// measurePart also returns how often each code occurs.
func measurePart(codec dataset.Codec, streams []*dataset.Stream, part dataset.Part) (TokenizerPart, []int, error) {
	var p TokenizerPart
	var vectors []feature.Vector
	counts := make([]int, codec.Tokenizer.Codes())
	for _, s := range streams {
		if s.Candles == nil {
			return p, nil, fmt.Errorf("eval: tokenizers: %s is a bare token stream: want candles", s.Asset)
		}
		lo, hi := s.Bounds(part)
		n := float64(hi - lo)
		decoded, actual := make([]float64, hi-lo), make([]float64, hi-lo)
		for i := lo; i < hi; i++ {
			state := s.States[i]
			c := codec.Scaler.Decode(state, codec.Tokenizer.Decode(int(s.Tokens[i])))
			if valid(c) {
				p.Valid++
			}
			decoded[i-lo] = feature.Encode(state.PrevClose, c)[feature.LogReturn]
			actual[i-lo] = feature.Encode(state.PrevClose, s.Candles[i])[feature.LogReturn]
			vectors = append(vectors, codec.Scaler.Encode(state, s.Candles[i]))
			counts[s.Tokens[i]]++
		}
		p.CloseError += n * codec.CloseError(&dataset.Stream{Tokens: s.Tokens[lo:hi], Candles: s.Candles[lo:hi], States: s.States[lo:hi]})
		p.Kurtosis += n * kurtosis(decoded)
		p.TrueKurtosis += n * kurtosis(actual)
		p.ACF += n * lagOne(decoded)
		p.TrueACF += n * lagOne(actual)
	}
	if len(vectors) == 0 {
		return p, nil, fmt.Errorf("eval: tokenizers: no candles in %v", part)
	}
	p.Stats = tokenizer.Measure(codec.Tokenizer, vectors)
	for _, x := range []*float64{&p.Valid, &p.CloseError, &p.Kurtosis, &p.TrueKurtosis, &p.ACF, &p.TrueACF} {
		*x /= float64(len(vectors))
	}
	return p, counts, nil
}

func valid(c market.Candle) bool {
	return 0 < c.Low && c.Low <= min(c.Open, c.Close) && max(c.Open, c.Close) <= c.High && !math.IsInf(c.High, 1)
}

// kurtosis is the fourth moment about the mean over the squared variance.
func kurtosis(x []float64) float64 {
	mean, square, fourth := 0.0, 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		d := (v - mean) * (v - mean)
		square += d / float64(len(x))
		fourth += d * d / float64(len(x))
	}
	if square == 0 {
		return 0
	}
	return fourth / (square * square)
}

// lagOne is the autocorrelation of |x| at lag 1.
func lagOne(x []float64) float64 {
	mean, products, squares := 0.0, 0.0, 0.0
	for _, v := range x {
		mean += math.Abs(v) / float64(len(x))
	}
	for i, v := range x {
		d := math.Abs(v) - mean
		squares += d * d
		if i > 0 {
			products += d * (math.Abs(x[i-1]) - mean)
		}
	}
	if squares == 0 {
		return 0
	}
	return products / squares
}

// jensenShannon is the divergence in nats between the frequencies of a and b.
func jensenShannon(a, b []int) float64 {
	var A, B float64
	for k := range a {
		A += float64(a[k])
		B += float64(b[k])
	}
	sum := 0.0
	for k := range a {
		p, q := float64(a[k])/A, float64(b[k])/B
		for _, x := range []float64{p, q} {
			if x > 0 {
				sum += x * math.Log(2*x/(p+q)) / 2
			}
		}
	}
	return max(sum, 0) // rounding
}
