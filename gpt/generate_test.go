package gpt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
)

// Cached and uncached logits must be equal, not close: a path is scored by one
// and drawn by the other.
func noBlocks() Config {
	c := everything()
	c.Layers = 0
	return c
}

func TestDecoderGivesTheLogitsOfForward(t *testing.T) {
	plain := everything()
	plain.Softcap, plain.Cond, plain.Features = 0, nil, 0
	full := everything()
	full.Dropout = 0.25
	for name, c := range map[string]Config{"plain": plain, "everything": full, "basis": overBasis(), "no blocks": noBlocks(), "raw embedding": rawEmbed()} {
		m := randomModel(t, c)
		const B = 3
		in := randomInput(c, B, c.SeqLen, 1)
		full := forward(m, &Workspace{}, in)
		for _, prefix := range []int{1, 2, 3, 8, c.SeqLen - 1, c.SeqLen} {
			compare := func(logits []float32, at int) {
				t.Helper()
				for b := range B {
					got, want := logits[b*c.Vocab:(b+1)*c.Vocab], full[(b*c.SeqLen+at)*c.Vocab:(b*c.SeqLen+at+1)*c.Vocab]
					if !slices.Equal(got, want) {
						t.Fatalf("%s: prefix of %d, window %d, position %d: cached logits %v, want %v", name, prefix, b, at, got, want)
					}
				}
			}
			prompts := in.window(c, 0, prefix)
			prompts.Dropout = 7 // a prompt is never dropped from
			prefixes, logits, err := m.Runner(F32).Prefill(prompts)
			if err != nil {
				t.Fatal(err)
			}
			compare(logits, prefix-1)
			if prefix == c.SeqLen {
				continue
			}
			d, err := m.Runner(F32).NewDecoder(prefixes, c.SeqLen-prefix)
			if err != nil {
				t.Fatal(err)
			}
			for at := prefix; at < c.SeqLen; at++ {
				logits, err := d.Step(in.window(c, at, at+1))
				if err != nil {
					t.Fatal(err)
				}
				compare(logits, at)
			}
			if !d.Full() {
				t.Errorf("%s: prefix of %d: the decoder has room after position %d", name, prefix, c.SeqLen-1)
			}
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	m := randomModel(t, everything())
	prefill := func(n int) []*Prefix {
		p, _, err := m.Runner(F32).Prefill(randomInput(m.Config, 1, n, 1))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	five := prefill(5)
	for name, try := range map[string]func() (*Decoder, error){
		"no path":               func() (*Decoder, error) { return m.Runner(F32).NewDecoder(nil, 1) },
		"no room":               func() (*Decoder, error) { return m.Runner(F32).NewDecoder(five, 0) },
		"more than the context": func() (*Decoder, error) { return m.Runner(F32).NewDecoder(five, m.SeqLen-4) },
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: NewDecoder gave no error", name)
		}
	}
	d, err := m.Runner(F32).NewDecoder(five, 1)
	if err != nil {
		t.Fatal(err)
	}
	step := randomInput(m.Config, 1, 1, 1)
	if _, err := d.Step(randomInput(m.Config, 2, 1, 1)); err == nil {
		t.Error("two rows for one path: no error")
	}
	step.Tokens[0] = int32(m.Vocab)
	if _, err := d.Step(step); err == nil {
		t.Error("a token outside the vocabulary: no error")
	}
	step.Tokens[0] = 0
	if _, err := d.Step(step); err != nil {
		t.Errorf("after two refused steps: %v", err)
	}
	if _, err := d.Step(step); err == nil {
		t.Error("a step beyond the capacity: no error")
	}
}

// following makes conditioning that depends on the path and on its tokens.
func following(path int, generated []int32) (cond []int32, features []float32) {
	sum := int32(0)
	for _, token := range generated {
		sum += token
	}
	return []int32{int32(path) % 3, sum % 5}, []float32{float32(sum) / 100, float32(len(generated)) / 10}
}

func promptOf(in Input) Prompt {
	return Prompt{Tokens: in.Tokens, Cond: in.Cond, Features: in.Features}
}

func generate(t *testing.T, m *Model, prompt Prompt, g Generation) [][]int32 {
	t.Helper()
	paths, err := m.Runner(F32).Generate(t.Context(), prompt, g)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if len(p) != g.Steps {
			t.Fatalf("Generate gave %d tokens, want %d", len(p), g.Steps)
		}
	}
	return paths
}

func TestAPathAloneIsItsRowAmongMany(t *testing.T) {
	m := randomModel(t, everything())
	for _, sampler := range []Sampler{{Temperature: 1}, {Temperature: 0.7, TopK: 5, TopP: 0.9}} {
		// Within the context; far beyond it, with windows begun anew; from a
		// prompt that fills it.
		for _, n := range []struct{ prompt, steps int }{{5, 12}, {5, 70}, {m.SeqLen, 30}, {1, m.SeqLen}} {
			prompt := promptOf(randomInput(m.Config, 1, n.prompt, 1))
			g := Generation{Paths: 64, Steps: n.steps, Sampler: sampler, Seed: 8, Next: following}
			many := generate(t, m, prompt, g)
			if slices.Equal(many[16], many[17]) {
				t.Fatalf("paths 16 and 17 are the same: %v", many[17])
			}
			g.Paths, g.FirstPath = 1, 17
			if one := generate(t, m, prompt, g); !slices.Equal(one[0], many[17]) {
				t.Errorf("%d tokens after %d with %+v: path 17 alone %v, among 64 %v", n.steps, n.prompt, sampler, one[0], many[17])
			}
			g.Paths, g.FirstPath = 7, 13
			if seven := generate(t, m, prompt, g); !slices.Equal(seven[4], many[17]) {
				t.Errorf("%d tokens after %d with %+v: path 17 among 7 %v, among 64 %v", n.steps, n.prompt, sampler, seven[4], many[17])
			}
		}
	}
}

// A path is what Forward says: each token is drawn from the logits after the
// window that the documentation promises, the newest half when one is full.
func TestPathsFollowForward(t *testing.T) {
	m := randomModel(t, everything())
	in := randomInput(m.Config, 1, 5, 1)
	const steps, seed = 60, 8
	for _, sampler := range []Sampler{{}, {Temperature: 1}} {
		// Ten: a wrong window moves the logits little, and not every draw shows it.
		g := Generation{Paths: 10, Steps: steps, Sampler: sampler, Seed: seed, Next: following}
		for number, path := range generate(t, m, promptOf(in), g) {
			all := in.window(m.Config, 0, in.T)
			start := 0
			draws := rng.New(seed, rng.Path, uint64(number))
			for i, got := range path {
				if all.T-start > m.SeqLen {
					start = all.T - m.SeqLen/2
				}
				logits := forward(m, &Workspace{}, all.window(m.Config, start, all.T))
				probs := probabilities(sampler, logits[len(logits)-m.Vocab:])
				if want := Pick(probs, draws.Float64()); got != want {
					t.Fatalf("%+v: token %d of path %d is %d, drawn from Forward it is %d", sampler, i, number, got, want)
				}
				cond, features := following(number, path[:i+1])
				all.T++
				all.Tokens = append(all.Tokens, got)
				all.Cond, all.Features = append(all.Cond, cond...), append(all.Features, features...)
			}
			if start == 0 {
				t.Error("the path never left its first window: nothing is tested beyond it")
			}
		}
	}
}

func TestGenerateHasTheSameBitsForAnyNumberOfWorkers(t *testing.T) {
	c := Config{Vocab: 96, SeqLen: 32, Layers: 2, Heads: 4, KVHeads: 2, Embd: 64, RopeBase: 100}
	m := randomModel(t, c)
	prompt := promptOf(randomInput(c, 1, 20, 1))
	var want [][]int32
	for workers := 1; workers <= 3; workers++ {
		previous := parallel.SetWorkers(workers)
		paths := generate(t, m, prompt, Generation{Paths: 40, Steps: 30, Sampler: Sampler{Temperature: 1}, Seed: 1})
		parallel.SetWorkers(previous)
		if workers == 1 {
			want = paths
			continue
		}
		for p := range paths {
			if !slices.Equal(paths[p], want[p]) {
				t.Fatalf("path %d with %d workers is %v, with 1 %v", p, workers, paths[p], want[p])
			}
		}
	}
}

func TestGenerateDrawsFromTheModelsDistribution(t *testing.T) {
	c := everything()
	c.Cond, c.Features = nil, 0
	m := randomModel(t, c)
	in := randomInput(c, 1, 6, 1)
	logits := forward(m, &Workspace{}, in)
	probs := make([]float64, c.Vocab)
	Sampler{Temperature: 1}.Probabilities(probs, logits[5*c.Vocab:], nil)

	const n = 20_000
	counts := make([]float64, c.Vocab)
	for _, path := range generate(t, m, promptOf(in), Generation{Paths: n, Steps: 1, Sampler: Sampler{Temperature: 1}, Seed: 3}) {
		counts[path[0]]++
	}
	for token, p := range probs {
		// Five standard errors.
		if d := math.Abs(counts[token]/n - p); d > 5*math.Sqrt(p*(1-p)/n) {
			t.Errorf("token %d: frequency %.4f, probability %.4f", token, counts[token]/n, p)
		}
	}
}

func TestSeedAndPathNumberDecideAPath(t *testing.T) {
	c := everything()
	c.Cond, c.Features = nil, 0
	m := randomModel(t, c)
	prompt := promptOf(randomInput(c, 1, 6, 1))
	seen := map[string]string{}
	for seed := range uint64(3) {
		for p, path := range generate(t, m, prompt, Generation{Paths: 8, Steps: 20, Sampler: Sampler{Temperature: 1}, Seed: seed}) {
			at := fmt.Sprintf("seed %d path %d", seed, p)
			if other, ok := seen[fmt.Sprint(path)]; ok {
				t.Errorf("%s and %s are the same", at, other)
			}
			seen[fmt.Sprint(path)] = at
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	m := randomModel(t, everything())
	prompt := promptOf(randomInput(m.Config, 1, 6, 1))
	long := promptOf(randomInput(m.Config, 1, m.SeqLen+1, 1))
	foreign := promptOf(randomInput(m.Config, 1, 6, 1))
	foreign.Tokens[3] = 13
	good := Generation{Paths: 1, Steps: 30, Sampler: Sampler{Temperature: 1}, Next: following}
	for _, c := range []struct {
		name, want string
		prompt     Prompt
		change     func(*Generation)
	}{
		{"no paths", "0 paths", prompt, func(g *Generation) { g.Paths = 0 }},
		{"no steps", "0 tokens", prompt, func(g *Generation) { g.Steps = 0 }},
		{"negative temperature", "temperature -1", prompt, func(g *Generation) { g.Sampler.Temperature = -1 }},
		{"no conditioning", "conditioning", prompt, func(g *Generation) { g.Next = nil }},
		{"empty prompt", "1×0", Prompt{}, func(*Generation) {}},
		{"long prompt", "25 tokens", long, func(*Generation) {}},
		{"token outside", "token 13 at position 3", foreign, func(*Generation) {}},
		{"conditioning outside", "conditioning value 3 of kind 0", prompt, func(g *Generation) {
			g.Next = func(int, []int32) ([]int32, []float32) { return []int32{3, 0}, []float32{0, 0} }
		}},
		{"too little conditioning", "conditioning integers", prompt, func(g *Generation) {
			g.Next = func(int, []int32) ([]int32, []float32) { return []int32{1}, []float32{0, 0} }
		}},
		{"too many features", "features", prompt, func(g *Generation) {
			g.Next = func(int, []int32) ([]int32, []float32) { return []int32{1, 1}, []float32{0, 0, 0} }
		}},
	} {
		g := good
		c.change(&g)
		if _, err := m.Runner(F32).Generate(t.Context(), c.prompt, g); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Generate gave error %v, want one with %q", c.name, err, c.want)
		}
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Runner(F32).Generate(ended, prompt, good); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: error %v, want %v", err, context.Canceled)
	}
	m.Params[len(m.Params)-1] = float32(math.NaN())
	if _, err := m.Runner(F32).Generate(t.Context(), prompt, good); !errors.Is(err, ErrNotFinite) {
		t.Errorf("with a weight that is no number: error %v, want %v", err, ErrNotFinite)
	}
}

func TestCheckRefuses(t *testing.T) {
	m := randomModel(t, everything())
	for _, c := range []struct {
		name, want string
		change     func(*Input)
	}{
		{"token = vocab", "token 13 at position 4", func(in *Input) { in.Tokens[4] = 13 }},
		{"negative token", "token -1", func(in *Input) { in.Tokens[0] = -1 }},
		{"no tokens", "0×9", func(in *Input) { in.B = 0 }},
		{"negative shape", "-2×-9", func(in *Input) { in.B, in.T = -2, -9 }},
		{"too long", "25 tokens", func(in *Input) { *in = randomInput(m.Config, 2, 25, 1) }},
		{"tokens missing", "17 tokens for a batch of 2×9", func(in *Input) { in.Tokens = in.Tokens[1:] }},
		{"no cond", "0 conditioning integers, want 18·2", func(in *Input) { in.Cond = nil }},
		{"cond outside", "conditioning value 5 of kind 1", func(in *Input) { in.Cond[7] = 5 }},
		{"negative cond", "conditioning value -1 of kind 0", func(in *Input) { in.Cond[6] = -1 }},
		{"features missing", "35 features, want 18·2", func(in *Input) { in.Features = in.Features[1:] }},
	} {
		in := randomInput(m.Config, 2, 9, 1)
		c.change(&in)
		if err := m.Check(in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Check gave %v, want %q", c.name, err, c.want)
		}
		if _, _, err := m.Runner(F32).Prefill(in); err == nil {
			t.Errorf("%s: Prefill gave no error", c.name)
		}
	}
	if err := m.Check(randomInput(m.Config, 2, 9, 1)); err != nil {
		t.Errorf("a good input: %v", err)
	}
	plain, err := New(Config{Vocab: 4, SeqLen: 4, Layers: 1, Heads: 1, KVHeads: 1, Embd: 2, RopeBase: 100}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := plain.Check(Input{B: 1, T: 1, Tokens: []int32{0}, Cond: []int32{0}}); err == nil {
		t.Error("conditioning for a model without: no error")
	}
}
