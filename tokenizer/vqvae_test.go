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
	want := fit(t, vectors, small())
	tokens := EncodeAll(want, vectors)
	for _, n := range []int{2, 3} {
		parallel.SetWorkers(n)
		got := fit(t, vectors, small())
		if d := cmp.Diff(want.Tensors(), got.Tensors()); d != "" {
			t.Fatalf("%d workers: other tensors:\n%s", n, d)
		}
		if !slices.Equal(EncodeAll(got, vectors), tokens) {
			t.Errorf("%d workers: other tokens", n)
		}
	}
	other := small()
	other.Seed++
	if cmp.Equal(want.Tensors(), fit(t, vectors, other).Tensors()) {
		t.Error("another seed gives the same tokenizer")
	}
}

func TestEncodeAllAgreesWithEncode(t *testing.T) {
	v := fit(t, heavy(500, 4), small())
	for _, n := range []int{0, 1, 2, chunk - 1, chunk, chunk + 1} {
		vectors := heavy(n, 5)
		tokens := EncodeAll(v, vectors)
		for i := 0; i < n; i += 37 {
			if got := v.Encode(vectors[i]); got != int(tokens[i]) {
				t.Fatalf("of %d vectors, number %d: Encode = %d, EncodeAll = %d", n, i, got, tokens[i])
			}
		}
	}
}

func TestEncodeTakesAnyNumber(t *testing.T) {
	v := fit(t, heavy(500, 4), small())
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
		for _, tok := range []Tokenizer{v, q} {
			if k := tok.Encode(x); k < 0 || k >= tok.Codes() || !tok.Decode(k).Finite() {
				t.Fatalf("%s: Encode(%v) = %d", tok.Kind(), x, k)
			}
		}
	})
	zero, nan := feature.Vector{}, feature.Vector{}
	for f := range nan {
		nan[f] = math.NaN()
	}
	if got, want := v.Encode(nan), v.Encode(zero); got != want {
		t.Errorf("Encode of NaN = %d, want the token of 0, %d", got, want)
	}
}

func TestTinySamplesAreFitted(t *testing.T) {
	c := small()
	c.Epochs, c.MinSteps = 1, 20
	for _, vectors := range [][]feature.Vector{heavy(2, 1), heavy(10, 1), make([]feature.Vector, 100)} {
		v := fit(t, vectors, c)
		if k := v.Encode(vectors[0]); k < 0 || k >= c.Codes {
			t.Errorf("%d vectors: Encode = %d", len(vectors), k)
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
	_, err := TrainVQVAE(cancelled, heavy(100, 1), small(), nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("TrainVQVAE = %v, want context.Canceled", err)
	}
}

// TestGradients compares the analytic gradients with central differences of
// the loss that they belong to: what the quantisation adds to z, and the code
// in the commitment, are constants.
func TestGradients(t *testing.T) {
	const R = 24
	config := small()
	config.Codes, config.Hidden, config.Commitment = 8, 7, 0.5
	for _, quantise := range []bool{false, true} {
		tr := newTrainer(heavy(R, 6), config)
		tr.tokens, tr.q = make([]int32, R), make([]float32, R*config.CodeDim)
		tr.dy, tr.dz = make([]float32, R*feature.Size), make([]float32, R*config.CodeDim)
		tr.book.seed(tr.encodeRows(tr.x, R), R, rng.New(7))

		z, _, _ := tr.gradients(tr.x, R, quantise)
		shift, code := make([]float64, len(z)), make([]float64, len(z))
		if quantise {
			for i := range z {
				code[i] = float64(tr.q[i])
				shift[i] = code[i] - float64(z[i])
			}
		}
		var te, td trace
		loss := func() float64 {
			z := tr.encoder.forward(&te, tr.x, R)
			q := make([]float32, len(z))
			sum := 0.0
			for i := range z {
				q[i] = float32(float64(z[i]) + shift[i])
				if quantise {
					d := float64(z[i]) - code[i]
					sum += config.Commitment * d * d / float64(len(z))
				}
			}
			for i, y := range tr.decoder.forward(&td, q, R) {
				d := float64(y) - float64(tr.x[i])
				sum += d * d / (R * feature.Size)
			}
			return sum
		}

		for _, g := range tr.groups {
			largest := 0.0
			for _, d := range g.Grad {
				largest = max(largest, math.Abs(float64(d)))
			}
			if largest == 0 {
				t.Fatalf("quantise %v: %s has no gradient", quantise, g.Name)
			}
			for i := range g.Param {
				const h = 1e-2
				old := g.Param[i]
				g.Param[i] = old + h
				up := loss()
				g.Param[i] = old - h
				down := loss()
				g.Param[i] = old
				numeric := (up - down) / (2 * h)
				// Third derivatives of softsign times h² and float32
				// rounding over h: both under a percent of the largest.
				if d := math.Abs(numeric - float64(g.Grad[i])); d > 0.01*largest {
					t.Errorf("quantise %v: %s[%d]: gradient %v, differences give %v", quantise, g.Name, i, g.Grad[i], numeric)
				}
			}
		}
	}
}

func TestLoadGivesTheSameTokenizer(t *testing.T) {
	train, held := heavy(1000, 8), heavy(1000, 9)
	q, err := FitQuantile(train, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Tokenizer{fit(t, train, small()), q} {
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
	v := fit(t, heavy(300, 8), small())
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
	v := fit(f, heavy(100, 8), small())
	tensors := tensorMap(v)
	f.Add(configJSON(f, v))
	f.Add([]byte(`{"codes":-1}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		if tok, err := Load(KindVQVAE, config, tensors); err == nil {
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
