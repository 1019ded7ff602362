package gpt

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/internal/testkit"
)

// parameters is a tiny model that gives parameters of a density and looks up no
// tokens.
func parameters() Config {
	c := everything()
	c.Outputs, c.Embed = 6, None
	return c
}

func TestOutputsInPlaceOfLogits(t *testing.T) {
	c := parameters()
	m := randomModel(t, c)
	in := randomInput(c, 2, 9, 1)
	in.Dropout = 99
	// Any smooth loss will do: a weighted sum of outputs and their squares.
	r := rand.New(rand.NewPCG(8, 9))
	weights := make([]float32, in.B*in.T*c.Outputs)
	for i := range weights {
		weights[i] = float32(r.NormFloat64())
	}
	var w Workspace
	outputs := forward(m, &w, in)
	if len(outputs) != len(weights) {
		t.Fatalf("%d outputs for %d positions, want %d each", len(outputs), in.B*in.T, c.Outputs)
	}
	d, grads := make([]float32, len(weights)), make([]float32, len(m.Params))
	for i, y := range outputs {
		d[i] = weights[i] * (1 + y)
	}
	backward(m, &w, d, grads)
	loss := func() float64 {
		sum := 0.0
		for i, y := range forward(m, &w, in) {
			sum += float64(weights[i]) * (float64(y) + float64(y)*float64(y)/2)
		}
		return sum
	}
	// As in TestBackwardMatchesFiniteDifferences.
	check := testkit.Difference{Entries: 24, H: 1. / 128, Tolerance: 2e-3}
	for _, tensor := range m.Tensors {
		worst := check.Check(t, tensor.Name, tensor.View(m.Params), tensor.View(grads), loss)
		t.Logf("%s: %.2g", tensor.Name, worst)
	}
}

func TestWithoutAnEmbeddingTokensSayNothing(t *testing.T) {
	c := parameters()
	m := randomModel(t, c)
	a, b := randomInput(c, 2, 9, 1), randomInput(c, 2, 9, 1)
	for i := range b.Tokens {
		b.Tokens[i] = (b.Tokens[i] + 1) % int32(c.Vocab)
	}
	if !slices.Equal(forward(m, &Workspace{}, a), forward(m, &Workspace{}, b)) {
		t.Error("other tokens give other outputs")
	}
	b.Features[0]++
	if slices.Equal(forward(m, &Workspace{}, a), forward(m, &Workspace{}, b)) {
		t.Error("another feature gives the same outputs")
	}
}

// The first step must move something: outputs are 0, yet the head has a gradient.
func TestOutputsStartAtZeroAndTheHeadLearns(t *testing.T) {
	for name, c := range map[string]Config{
		"features and conditioning": parameters(),
		"features":                  {Vocab: 13, SeqLen: 24, Layers: 1, Heads: 2, KVHeads: 2, Embd: 16, RopeBase: 100, Features: 2, Embed: None, Outputs: 6},
		"conditioning":              {Vocab: 13, SeqLen: 24, Layers: 1, Heads: 2, KVHeads: 2, Embd: 16, RopeBase: 100, Cond: []int{3}, Embed: None, Outputs: 6},
	} {
		m, err := New(c, 1)
		if err != nil {
			t.Fatal(err)
		}
		var w Workspace
		outputs := forward(m, &w, randomInput(c, 2, 9, 1))
		if i := slices.IndexFunc(outputs, func(y float32) bool { return y != 0 }); i >= 0 {
			t.Errorf("%s: output %d of a fresh model is %v, want 0", name, i, outputs[i])
		}
		d, grads := make([]float32, len(outputs)), make([]float32, len(m.Params))
		for i := range d {
			d[i] = 1
		}
		backward(m, &w, d, grads)
		norm := 0.0
		for _, g := range m.head.View(grads) {
			norm += float64(g) * float64(g)
		}
		if !(norm > 0) || math.IsInf(norm, 0) {
			t.Errorf("%s: the head of a fresh model has a gradient of norm² %v", name, norm)
		}
	}
}

func TestDecodingGivesTheOutputsOfForward(t *testing.T) {
	c := parameters()
	m := randomModel(t, c)
	in := randomInput(c, 1, 8, 1)
	want := forward(m, &Workspace{}, in)
	r := m.Runner(F32)
	prefixes, got, err := r.Prefill(in.window(c, 0, 7))
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := r.NewDecoder(prefixes, 1)
	if err != nil {
		t.Fatal(err)
	}
	next, err := decoder.Step(in.window(c, 7, 8))
	if err != nil {
		t.Fatal(err)
	}
	W := c.Outputs
	for i, y := range append(slices.Clone(got), next...) {
		// Cached attention sums in another order: float32 rounding.
		if d := math.Abs(float64(y - want[6*W+i])); d > 1e-5 {
			t.Errorf("output %d after a prompt is %v, of one pass %v", i, y, want[6*W+i])
		}
	}
}

func TestGenerateRefusesAModelWithoutLogits(t *testing.T) {
	c := parameters()
	in := randomInput(c, 1, 4, 1)
	_, err := randomModel(t, c).Runner(F32).Generate(context.Background(), Prompt{Tokens: in.Tokens, Cond: in.Cond, Features: in.Features}, Generation{
		Paths: 1, Steps: 1, Sampler: Sampler{Temperature: 1}, Next: func(int, []int32) ([]int32, []float32) { return in.Cond[:2], in.Features[:2] },
	})
	if !errors.Is(err, ErrNoLogits) {
		t.Errorf("Generate: %v, want ErrNoLogits", err)
	}
}

func TestValidateOfOutputsAndEmbedding(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"outputs -1":       func(c *Config) { c.Outputs = -1 },
		"outputs 6":        func(c *Config) { c.Basis, c.Head = 3, Basis },
		`embed "none"`:     func(c *Config) { c.Cond, c.Features = nil, 0 },
		`embed "some"`:     func(c *Config) { c.Embed = "some" },
		`head "none": wan`: func(c *Config) { c.Head = None },
	} {
		c := parameters()
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want a fault with %q", err, want)
		}
	}
	c := parameters()
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	// Head 6·16, conditioning (3+5)·16, features 2·16, no embedding; a block as
	// in TestParametersCountsGroupedHeadsConditioningAndFeatures.
	const parameters = 6*16 + 8*16 + 2*16 + 2*(2*16*16+2*8*16+2*64*16)
	if got := c.Parameters(); got != parameters || len(m.Params) != parameters {
		t.Errorf("Parameters() = %d and New made %d, want %d", got, len(m.Params), parameters)
	}
}
