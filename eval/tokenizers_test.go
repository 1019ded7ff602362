package eval

import (
	"math"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// memory is a tokenizer with a code for every vector that it is given.
type memory struct{ vectors []feature.Vector }

func (memory) Kind() string                  { return "memory" }
func (memory) Tensors() []tokenizer.Tensor   { return nil }
func (memory) Config() any                   { return nil }
func (m memory) Codes() int                  { return len(m.vectors) }
func (m memory) Decode(k int) feature.Vector { return m.vectors[k] }
func (m memory) Encode(x feature.Vector) int {
	best, token := math.Inf(1), 0
	for k, v := range m.vectors {
		distance := 0.0
		for f := range v {
			distance += (v[f] - x[f]) * (v[f] - x[f])
		}
		if distance < best {
			best, token = distance, k
		}
	}
	return token
}

// measured encodes a small market with a tokenizer and measures it.
func measured(t *testing.T, m *market.Synthetic, make func(all []feature.Vector) tokenizer.Tokenizer) (TokenizerRow, []*dataset.Stream) {
	t.Helper()
	split := dataset.CalendarSplit(m.Series)
	scaler, err := feature.FitScaler(feature.EWMA, m.Series, split.ValFrom)
	if err != nil {
		t.Fatal(err)
	}
	var all []feature.Vector
	for _, part := range []dataset.Part{dataset.Train, dataset.Val, dataset.Test} {
		vectors, err := train.Vectors(scaler, m.Series, split, part)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, vectors...)
	}
	codec := dataset.Codec{Scaler: scaler, Tokenizer: make(all)}
	var streams []*dataset.Stream
	for _, s := range m.Series {
		stream, err := codec.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		split.Apply(stream)
		streams = append(streams, stream)
	}
	row, err := MeasureTokenizer(codec, streams)
	if err != nil {
		t.Fatal(err)
	}
	return row, streams
}

func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

// A code for every candle loses nothing, keeps the shape of the returns, and no
// code of training occurs in validation: the divergence is ln 2.
func TestTokenizerThatKeepsEverything(t *testing.T) {
	m, _, _ := world(t, feature.EWMA, 100)
	row, _ := measured(t, m, func(all []feature.Vector) tokenizer.Tokenizer { return memory{all} })
	for name, p := range map[string]TokenizerPart{"train": row.Train, "val": row.Val} {
		near(t, name+" close error", p.CloseError, 0, 1e-8)
		near(t, name+" mean error", p.MeanMSE, 0, 1e-12)
		near(t, name+" valid", p.Valid, 1, 0)
		near(t, name+" stable", p.Stable, 1, 1e-9)
		near(t, name+" kurtosis", p.Kurtosis, p.TrueKurtosis, 1e-8)
		near(t, name+" acf", p.ACF, p.TrueACF, 1e-8)
		if p.TrueKurtosis < 1 || p.Used != p.Candles {
			t.Errorf("%s: %+v", name, p)
		}
	}
	near(t, "drift", row.Drift, math.Ln2, 1e-12)
}

// A single code that says "no move" decodes every close to the one before.
func TestTokenizerThatKeepsNothing(t *testing.T) {
	m, _, _ := world(t, feature.EWMA, 100)
	row, streams := measured(t, m, func([]feature.Vector) tokenizer.Tokenizer { return memory{make([]feature.Vector, 2)} })
	want, n := 0.0, 0.0
	for _, s := range streams {
		lo, hi := s.Bounds(dataset.Val)
		for i := lo; i < hi; i++ {
			want += math.Abs(s.States[i].PrevClose/s.Candles[i].Close-1) * 1e4
			n++
		}
	}
	near(t, "close error", row.Val.CloseError, want/n, 1e-8)
	near(t, "kurtosis", row.Val.Kurtosis, 0, 0)
	near(t, "acf", row.Val.ACF, 0, 0)
	near(t, "drift", row.Drift, 0, 0)
	near(t, "chance", row.Chance, 0, 0)
	near(t, "perplexity", row.Val.Perplexity, 1, 1e-12)
	near(t, "valid", row.Val.Valid, 1, 0)
	near(t, "stable", row.Val.Stable, .5, 0)
	if row.Kind != "memory" || row.Codes != 2 {
		t.Errorf("row of %s with %d codes", row.Kind, row.Codes)
	}
}

func TestEveryKindOnTheSyntheticMarket(t *testing.T) {
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 2000
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	// Least shares of 64 codes: perplexity and used codes, in validation.
	floors := map[string][2]float64{
		tokenizer.KindVQVAE: {.5, .95}, tokenizer.KindFSQ: {.4, .75}, tokenizer.KindBSQ: {.25, .5}, tokenizer.KindQuantile: {.9, .95},
	}
	for _, kind := range tokenizer.Kinds() {
		vq := tokenizer.DefaultVQ()
		vq.Codes = 64
		b, err := train.Prepare(t.Context(), m.Series, train.Preparation{Scaler: feature.EWMA, Kind: kind, VQ: vq})
		if err != nil {
			t.Fatal(err)
		}
		streams, err := train.Encode(b, m.Series)
		if err != nil {
			t.Fatal(err)
		}
		codec, err := b.Codec()
		if err != nil {
			t.Fatal(err)
		}
		row, err := MeasureTokenizer(codec, streams)
		if err != nil {
			t.Fatal(err)
		}
		if row.Kind != kind || row.Codes != 64 || row.Train.Valid != 1 || row.Val.Valid != 1 {
			t.Errorf("%s: %+v, want 64 codes and every candle valid", kind, row)
		}
		if floor := floors[kind]; row.Val.Perplexity < floor[0]*64 || float64(row.Val.Used) < floor[1]*64 {
			t.Errorf("%s: perplexity %.1f, used %d of 64", kind, row.Val.Perplexity, row.Val.Used)
		}
		if row.Drift <= 0 || row.Drift >= math.Ln2 || row.Chance <= 0 {
			t.Errorf("%s: drift %v, by chance %v", kind, row.Drift, row.Chance)
		}
	}
}

func TestMeasureTokenizerRefuses(t *testing.T) {
	_, b, streams := world(t, feature.EWMA, 100)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	early := *streams[0]
	early.ValFrom, early.TestFrom = len(early.Tokens), len(early.Tokens)
	for want, s := range map[string]*dataset.Stream{
		"X is a bare token stream": {Asset: "X", Tokens: []int32{1}},
		"no candles in val":        &early,
	} {
		if _, err := MeasureTokenizer(codec, []*dataset.Stream{s}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("MeasureTokenizer = %v, want an error with %q", err, want)
		}
	}
}

func TestKurtosisAndClusteringByHand(t *testing.T) {
	near(t, "kurtosis of ±1", kurtosis([]float64{1, -1, 1, -1}), 1, 1e-15)
	near(t, "kurtosis of −1, 0, 0, 1", kurtosis([]float64{-1, 0, 0, 1}), 2, 1e-15) // .5/.25
	near(t, "kurtosis of 3, 5, 5, 7", kurtosis([]float64{3, 5, 5, 7}), 2, 1e-15)
	// |x| − mean is −1, 1, −1, 1: −3/4.
	near(t, "lag one", lagOne([]float64{1, -3, -1, 3}), -.75, 1e-15)
	// −1, −1, 1, 1: (1 − 1 + 1)/4.
	near(t, "lag one", lagOne([]float64{1, -1, 3, -3}), .25, 1e-15)
	for _, x := range [][]float64{nil, {2}, {2, 2, 2}} {
		if k, l := kurtosis(x), lagOne(x); k != 0 || l != 0 {
			t.Errorf("of %v: kurtosis %v, lag one %v, want 0", x, k, l)
		}
	}
}

func TestJensenShannonByHand(t *testing.T) {
	near(t, "equal", jensenShannon([]int{1, 2}, []int{50, 100}), 0, 1e-15)
	near(t, "disjoint", jensenShannon([]int{7, 0, 0}, []int{0, 1, 2}), math.Ln2, 1e-15)
	// Of (1, 0) and (½, ½) with the mean (¾, ¼).
	want := (math.Log(4./3) + (math.Log(2./3)+math.Log(2))/2) / 2
	near(t, "half", jensenShannon([]int{4, 0}, []int{3, 3}), want, 1e-15)
}

// Two samples of one uniform distribution diverge by what Chance says: the
// expansion of the divergence to second order about equal frequencies.
func TestDriftByChance(t *testing.T) {
	const K, N, M, draws = 64, 8000, 2000, 200
	mean := 0.0
	for i := range draws {
		r := rng.New(1, rng.Truth, uint64(i))
		a, b := make([]int, K), make([]int, K)
		for range N {
			a[r.IntN(K)]++
		}
		for range M {
			b[r.IntN(K)]++
		}
		mean += jensenShannon(a, b) / draws
	}
	// The divergence is about chance·χ²/(K−1): its mean over the draws has a
	// deviation of √(2/63/200), 1.3%; five of them.
	chance := float64(K-1) / 8 * (1./N + 1./M)
	near(t, "mean divergence", mean, chance, 0.065*chance)
}
