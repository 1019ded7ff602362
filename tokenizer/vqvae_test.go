package tokenizer

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
)

// heavy returns n vectors with fat tails and the identity of the range.
func heavy(n int, seed uint64) []feature.Vector {
	r := rng.New(seed)
	vectors := make([]feature.Vector, n)
	for i := range vectors {
		scale := math.Exp(r.NormFloat64() / 2)
		v := &vectors[i]
		v[feature.LogReturn] = scale * r.NormFloat64()
		v[feature.Body] = v[feature.LogReturn] + 0.3*scale*r.NormFloat64()
		v[feature.UpperWick] = scale * r.ExpFloat64() / 3
		v[feature.LowerWick] = scale * r.ExpFloat64() / 3
		v[feature.Range] = v[feature.UpperWick] + math.Abs(v[feature.Body]) + v[feature.LowerWick]
	}
	return vectors
}

// small is a configuration that is fitted in a fraction of a second.
func small() VQConfig {
	c := DefaultVQ()
	c.Codes, c.CodeDim, c.Hidden, c.Epochs, c.MinSteps, c.Batch, c.Refine = 64, 4, 16, 4, 0, 64, 100
	return c
}

func fit(t testing.TB, vectors []feature.Vector, c VQConfig) *VQVAE {
	t.Helper()
	v, err := TrainVQVAE(context.Background(), vectors, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fitSmall fits an autoencoder of a kind with the settings of [small].
func fitSmall(t testing.TB, kind string, vectors []feature.Vector, seed uint64) Tokenizer {
	t.Helper()
	vq, fsq, bsq := small(), DefaultFSQ(), DefaultBSQ()
	vq.Seed = seed
	fsq.FitConfig, bsq.FitConfig = vq.FitConfig, vq.FitConfig
	var tok Tokenizer
	var err error
	switch kind {
	case KindVQVAE:
		tok, err = TrainVQVAE(t.Context(), vectors, vq, nil)
	case KindFSQ:
		tok, err = TrainFSQ(t.Context(), vectors, fsq, nil)
	case KindBSQ:
		tok, err = TrainBSQ(t.Context(), vectors, bsq, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// learned fits one small autoencoder of each kind.
func learned(t testing.TB, vectors []feature.Vector) []Tokenizer {
	t.Helper()
	var toks []Tokenizer
	for _, kind := range []string{KindVQVAE, KindFSQ, KindBSQ} {
		toks = append(toks, fitSmall(t, kind, vectors, 1))
	}
	return toks
}

func tensorMap(tok Tokenizer) map[string]Tensor {
	m := map[string]Tensor{}
	for _, t := range tok.Tensors() {
		t.Data = slices.Clone(t.Data)
		m[t.Name] = t
	}
	return m
}

func configJSON(t testing.TB, tok Tokenizer) []byte {
	t.Helper()
	data, err := json.Marshal(tok.Config())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVQVAEReconstructsBetterThanQuantiles(t *testing.T) {
	train, held := heavy(4000, 1), heavy(2000, 2)
	q, err := FitQuantile(train, 64)
	if err != nil {
		t.Fatal(err)
	}
	got, baseline := Measure(fit(t, train, small()), held), Measure(q, held)
	if got.MeanMSE >= baseline.MeanMSE {
		t.Errorf("mean squared error %.3f, quantile bins have %.3f", got.MeanMSE, baseline.MeanMSE)
	}
	if got.Perplexity < 32 || got.Dead > 0.05 {
		t.Errorf("perplexity %.1f, dead %.3f of 64 codes, want at least half and at most 0.05", got.Perplexity, got.Dead)
	}
}

func TestFitIsTheSameForAnyNumberOfWorkers(t *testing.T) {
	vectors := heavy(1500, 3)
	defer parallel.SetWorkers(parallel.SetWorkers(1))
	want := learned(t, vectors)
	for _, n := range []int{2, 3, 4} {
		parallel.SetWorkers(n)
		for i, got := range learned(t, vectors) {
			if d := cmp.Diff(want[i].Tensors(), got.Tensors()); d != "" {
				t.Fatalf("%s, %d workers: other tensors:\n%s", got.Kind(), n, d)
			}
			if !slices.Equal(EncodeAll(got, vectors), EncodeAll(want[i], vectors)) {
				t.Errorf("%s, %d workers: other tokens", got.Kind(), n)
			}
		}
	}
	for i, kind := range []string{KindVQVAE, KindFSQ, KindBSQ} {
		if other := fitSmall(t, kind, vectors, 2); cmp.Equal(want[i].Tensors(), other.Tensors()) {
			t.Errorf("%s: another seed gives the same tokenizer", kind)
		}
	}
}

func TestEncodeAllAgreesWithEncode(t *testing.T) {
	for _, tok := range learned(t, heavy(500, 4)) {
		for _, n := range []int{0, 1, 2, chunk - 1, chunk, chunk + 1} {
			vectors := heavy(n, 5)
			tokens := EncodeAll(tok, vectors)
			for i := 0; i < n; i += 37 {
				if got := tok.Encode(vectors[i]); got != int(tokens[i]) {
					t.Fatalf("%s: of %d vectors, number %d: Encode = %d, EncodeAll = %d", tok.Kind(), n, i, got, tokens[i])
				}
			}
		}
	}
}

func TestEncodeTakesAnyNumber(t *testing.T) {
	fitted := learned(t, heavy(500, 4))
	q, err := FitQuantile(heavy(500, 4), 64)
	if err != nil {
		t.Fatal(err)
	}
	number := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}))
	rapid.Check(t, func(t *rapid.T) {
		var x feature.Vector
		for f := range x {
			x[f] = number.Draw(t, feature.Names[f])
		}
		for _, tok := range append(fitted, q) {
			if k := tok.Encode(x); k < 0 || k >= tok.Codes() || !tok.Decode(k).Finite() {
				t.Fatalf("%s: Encode(%v) = %d", tok.Kind(), x, k)
			}
		}
	})
	zero, nan := feature.Vector{}, feature.Vector{}
	for f := range nan {
		nan[f] = math.NaN()
	}
	for _, tok := range fitted {
		if got, want := tok.Encode(nan), tok.Encode(zero); got != want {
			t.Errorf("%s: Encode of NaN = %d, want the token of 0, %d", tok.Kind(), got, want)
		}
	}
}

func TestTinySamplesAreFitted(t *testing.T) {
	for _, vectors := range [][]feature.Vector{heavy(2, 1), heavy(10, 1), make([]feature.Vector, 100)} {
		for _, tok := range learned(t, vectors) {
			if k := tok.Encode(vectors[0]); k < 0 || k >= tok.Codes() {
				t.Errorf("%s, %d vectors: Encode = %d", tok.Kind(), len(vectors), k)
			}
		}
	}
}

func TestFitRefuses(t *testing.T) {
	broken := heavy(10, 1)
	broken[7][feature.Body] = math.NaN()
	wrong := small()
	wrong.Codes, wrong.LR, wrong.Decay = 1, 0, 1
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		vectors []feature.Vector
		config  VQConfig
		want    []string
	}{
		{"NaN", context.Background(), broken, small(), []string{"vector 7", "body"}},
		{"one vector", context.Background(), heavy(1, 1), small(), []string{"1 vectors"}},
		{"config", context.Background(), heavy(10, 1), wrong, []string{"codes 1", "lr 0", "decay 1"}},
		{"cancelled", cancelled, heavy(100, 1), small(), []string{"context canceled"}},
	} {
		_, err := TrainVQVAE(c.ctx, c.vectors, c.config, nil)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: TrainVQVAE = %v, want an error with %q", c.name, err, want)
			}
		}
	}
	for _, kind := range Kinds() {
		if tok, err := Fit(cancelled, kind, heavy(100, 1), 64, 1, nil); tok != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Fit of %s = %v, %v, want context.Canceled", kind, tok, err)
		}
	}
}

func TestLoadGivesTheSameTokenizer(t *testing.T) {
	train, held := heavy(1000, 8), heavy(1000, 9)
	q, err := FitQuantile(train, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(learned(t, train), q) {
		got, err := Load(want.Kind(), configJSON(t, want), tensorMap(want))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(EncodeAll(got, held), EncodeAll(want, held)) {
			t.Errorf("%s: loaded, it gives other tokens", want.Kind())
		}
		for k := range want.Codes() {
			if got.Decode(k) != want.Decode(k) {
				t.Fatalf("%s: loaded, token %d decodes to %v, want %v", want.Kind(), k, got.Decode(k), want.Decode(k))
			}
		}
	}
}

func TestLoadRefusesForeignFiles(t *testing.T) {
	made := learned(t, heavy(300, 8))
	v, f, b := made[0], made[1], made[2]
	q, err := FitQuantile(heavy(300, 8), 16)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(name string, change func(*Tensor)) func(map[string]Tensor) {
		return func(m map[string]Tensor) {
			x := m[name]
			change(&x)
			m[name] = x
		}
	}
	for _, c := range []struct {
		name   string
		tok    Tokenizer
		kind   string
		config string
		change func(map[string]Tensor)
		want   string
	}{
		{"kind", v, "bpe", "", nil, `kind "bpe"`},
		{"empty config", v, "", "{}", nil, "codes 0"},
		{"no config", v, "", " ", nil, "config"},
		{"unknown setting", v, "", `{"codes": 64, "patch": 2}`, nil, "patch"},
		{"huge", v, "", `{"codes": 1000000000}`, nil, "codes 1000000000"},
		{"missing", v, "", "", func(m map[string]Tensor) { delete(m, "codebook") }, `"codebook" is missing`},
		{"extra", v, "", "", func(m map[string]Tensor) { m["x"] = Tensor{} }, `["x"]`},
		{"shape", v, "", "", edit("decoder.1.weight", func(x *Tensor) { x.Shape = []int{1, 256} }), "decoder.1.weight"},
		{"short data", v, "", "", edit("codebook", func(x *Tensor) { x.Data = x.Data[1:] }), "codebook"},
		{"NaN", v, "", "", edit("encoder.0.bias", func(x *Tensor) { x.Data[3] = float32(math.NaN()) }), "encoder.0.bias"},
		{"scale 0", v, "", "", edit("input.scale", func(x *Tensor) { x.Data[0] = 0 }), "positive"},
		{"edges", q, "", "", edit("edges", func(x *Tensor) { x.Data[0] = 1e9 }), "ascending"},
		{"fsq codes", f, "", `{"codes": 100}`, nil, "power of two from 16"},
		{"fsq codebook", f, "", "", func(m map[string]Tensor) { m["codebook"] = Tensor{} }, `["codebook"]`},
		{"fsq levels", f, "", strings.Replace(string(configJSON(t, f)), `"codes":64`, `"codes":512`, 1), nil, "encoder.2.weight"},
		{"fsq infinity", f, "", "", edit("decoder.2.bias", func(x *Tensor) { x.Data[0] = float32(math.Inf(1)) }), "decoder.2.bias"},
		{"fsq empty", f, "", "null", nil, "codes 0"},
		{"fsq as vqvae", f, KindVQVAE, "", nil, "code_dim"},
		{"bsq codes", b, "", `{"codes": 48}`, nil, "bsq wants a power of two"},
		{"bsq bits", b, "", strings.Replace(string(configJSON(t, b)), `"codes":64`, `"codes":32`, 1), nil, "encoder.2.weight"},
		{"bsq negative", b, "", `{"codes": -64}`, nil, "codes -64"},
		{"bsq sharpness", b, "", strings.Replace(string(configJSON(t, b)), `"sharpness":`, `"sharpness":-`, 1), nil, "sharpness"},
		{"bsq missing", b, "", "", func(m map[string]Tensor) { delete(m, "input.mean") }, `"input.mean" is missing`},
		{"bsq short data", b, "", "", edit("encoder.1.weight", func(x *Tensor) { x.Data = x.Data[1:] }), "encoder.1.weight"},
		{"quantile codes", q, "", `{"codes": 17}`, nil, "edges"},
	} {
		kind, config, tensors := c.tok.Kind(), configJSON(t, c.tok), tensorMap(c.tok)
		if c.kind != "" {
			kind = c.kind
		}
		if c.config != "" {
			config = []byte(c.config)
		}
		if c.change != nil {
			c.change(tensors)
		}
		tok, err := Load(kind, config, tensors)
		if err == nil || !strings.Contains(err.Error(), c.want) || tok != nil {
			t.Errorf("%s: Load = %v, %v, want an error with %q", c.name, tok, err, c.want)
		}
	}
}

func FuzzLoadConfig(f *testing.F) {
	made := learned(f, heavy(100, 8))
	for i, tok := range made {
		f.Add(i, configJSON(f, tok))
	}
	f.Add(0, []byte(`{"codes":-1}`))
	f.Fuzz(func(t *testing.T, i int, config []byte) {
		of := made[uint(i)%uint(len(made))]
		if tok, err := Load(of.Kind(), config, tensorMap(of)); err == nil {
			tok.Encode(feature.Vector{1, 2, 3, 4, 5})
		}
	})
}

func TestFirstUpdateMovesNoUnusedCode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const R = 200
	z := make([]float32, R*2)
	for i := range z {
		z[i] = float32(r.NormFloat64())
	}
	book := codebook{K: 16, D: 2, codes: make([]float32, 32)}
	book.seed(z, R, r)
	book.start(book.lloyd(z, R, 3), R, 64)
	before := slices.Clone(book.codes)

	book.update(z[:2], []int32{5}, 0.99) // one vector, code 5
	for i := range before {
		d := math.Abs(float64(book.codes[i] - before[i]))
		// Laplace smoothing moves a code of count n by about 1e-5/n.
		if i/2 != 5 && d > 1e-3 {
			t.Errorf("unused code %d moved from %v to %v", i/2, before[i], book.codes[i])
		}
	}
}

func TestDeadCodesRevive(t *testing.T) {
	book := codebook{K: 4, D: 1, codes: []float32{0, 1, 2, 1e6}}
	book.start([]int{30, 30, 40, 0}, 100, 100)
	book.count[3] = 0.01
	z := []float32{5, 6, 7}
	if n := book.revive(z, 3, 0.1, rng.New(1)); n != 1 || !slices.Contains(z, book.codes[3]) {
		t.Errorf("revive = %d, codes %v, want the last one to move to one of %v", n, book.codes, z)
	}
	if got := book.sum[3] / book.count[3]; float32(got) != book.codes[3] {
		t.Errorf("the averages of the revived code say %v, want %v", got, book.codes[3])
	}
}
