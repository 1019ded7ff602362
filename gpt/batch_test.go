package gpt

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// idle waits until b draws for nobody.
func idle(t *testing.T, b *Batch) {
	t.Helper()
	for {
		b.mu.Lock()
		running := b.running
		b.mu.Unlock()
		if !running {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("the batch does not end")
		}
		runtime.Gosched()
	}
}

func TestABatchGivesTheBitsOfACallAlone(t *testing.T) {
	m := randomModel(t, everything())
	r := m.Runner(F32)
	b := NewBatch(r, 10)
	var wait sync.WaitGroup
	for i, n := range []struct{ prompt, paths, steps int }{
		{5, 7, 12}, {m.SeqLen, 3, 20}, {1, 1, 1}, {9, 24, 40}, {5, 2, 70}, {2, 12, 3}, {5, 7, 12}, {7, 1, 30},
	} {
		prompt := promptOf(randomInput(m.Config, 1, n.prompt, uint64(i)))
		g := Generation{Paths: n.paths, Steps: n.steps, Sampler: Sampler{Temperature: 1}, Seed: uint64(i), Next: following}
		want, err := r.Generate(t.Context(), prompt, g)
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			got, err := b.Generate(t.Context(), prompt, g)
			if err != nil {
				t.Errorf("call %d: %v", i, err)
			}
			for p := range want {
				if !slices.Equal(got[p], want[p]) {
					t.Errorf("call %d, path %d: %v in a batch, %v alone", i, p, got[p], want[p])
				}
			}
		})
	}
	wait.Wait()
	idle(t, b)
}

func TestABatchRemembersPrompts(t *testing.T) {
	m := randomModel(t, everything())
	r := m.Runner(F32)
	b := NewBatch(r, 4)
	calls := 0
	for i := range 2 * (promptTokens/m.SeqLen + promptsLeast) {
		prompt := promptOf(randomInput(m.Config, 1, m.SeqLen, uint64(i)))
		for seed := range uint64(3) {
			g := Generation{Paths: 2, Steps: 3, Sampler: Sampler{Temperature: 1}, Seed: seed, Next: following}
			want, err := r.Generate(t.Context(), prompt, g)
			if err != nil {
				t.Fatal(err)
			}
			// What a caller does to its prompt later changes nothing.
			own := Prompt{slices.Clone(prompt.Tokens), slices.Clone(prompt.Cond), slices.Clone(prompt.Features)}
			got, err := b.Generate(t.Context(), own, g)
			if err != nil || !slices.EqualFunc(got, want, slices.Equal[[]int32]) {
				t.Fatalf("prompt %d, seed %d: %v, %v, alone %v", i, seed, got, err, want)
			}
			clear(own.Tokens)
			calls++
		}
		if n := len(b.prompts); n != min(i+1, max(promptTokens/m.SeqLen, promptsLeast)) {
			t.Fatalf("%d prompts are kept after %d calls for %d", n, calls, i+1)
		}
	}
	// Others see another prompt where anything of it differs.
	in := promptOf(randomInput(m.Config, 1, m.SeqLen, 0))
	in.Features = slices.Clone(in.Features)
	in.Features[0]++
	before := len(b.prompts)
	if _, err := b.Generate(t.Context(), in, Generation{Paths: 1, Steps: 2, Next: following}); err != nil {
		t.Fatal(err)
	}
	if last := b.prompts[len(b.prompts)-1]; len(b.prompts) != before || last.prompt.Features[0] != in.Features[0] {
		t.Errorf("a prompt with another feature was taken for one that is known")
	}
	idle(t, b)
}

func TestACancelledCallLeavesTheBatch(t *testing.T) {
	m := randomModel(t, everything())
	b := NewBatch(m.Runner(F32), 4)
	prompt := promptOf(randomInput(m.Config, 1, 5, 1))
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	_, err := b.Generate(ctx, prompt, Generation{
		Paths: 50, Steps: 1_000_000, Sampler: Sampler{Temperature: 1}, Next: func(path int, generated []int32) ([]int32, []float32) {
			once.Do(cancel)
			return following(path, generated)
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
	idle(t, b) // and not after 50 million tokens
	if _, err := b.Generate(ctx, prompt, Generation{Paths: 1, Steps: 2, Next: following}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that begins cancelled: %v", err)
	}
	// Others go on.
	paths, err := b.Generate(t.Context(), prompt, Generation{Paths: 5, Steps: 6, Sampler: Sampler{Temperature: 1}, Next: following})
	if err != nil || len(paths) != 5 || len(paths[4]) != 6 {
		t.Errorf("after it: %v, %v", paths, err)
	}
}

func TestAnErrorOfOneCallIsItsOwn(t *testing.T) {
	m := randomModel(t, everything())
	b := NewBatch(m.Runner(F32), 4)
	prompt := promptOf(randomInput(m.Config, 1, 5, 1))
	var wait sync.WaitGroup
	wait.Go(func() {
		_, err := b.Generate(t.Context(), prompt, Generation{
			Paths: 2, Steps: 30, Sampler: Sampler{Temperature: 1}, Next: func(path int, generated []int32) ([]int32, []float32) {
				cond, features := following(path, generated)
				if len(generated) == 5 {
					features[0] = float32(math.NaN())
				}
				return cond, features
			},
		})
		if !errors.Is(err, ErrNotFinite) {
			t.Errorf("features that are no numbers: %v", err)
		}
	})
	wait.Go(func() {
		if _, err := b.Generate(t.Context(), prompt, Generation{Paths: 3, Steps: 30, Sampler: Sampler{Temperature: 1}, Next: following}); err != nil {
			t.Errorf("the call beside it: %v", err)
		}
	})
	wait.Wait()
	if _, err := b.Generate(t.Context(), Prompt{}, Generation{Paths: 1, Steps: 2, Next: following}); err == nil {
		t.Error("an empty prompt: no error")
	}
	idle(t, b)
}

func TestWeighDecidesTheDraw(t *testing.T) {
	m := randomModel(t, everything())
	prompt := promptOf(randomInput(m.Config, 1, 5, 1))
	g := Generation{Paths: 3, Steps: 9, Sampler: Sampler{Temperature: 1}, Next: following, Weigh: func(path int, generated []int32, probs []float64) {
		sum := 0.0
		for _, p := range probs {
			sum += p
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("probabilities add up to %v", sum)
		}
		if len(generated) < 4 {
			clear(probs)
			probs[path+len(generated)] = 1
		}
	}}
	for p, path := range generate(t, m, prompt, g) {
		if want := []int32{int32(p), int32(p + 1), int32(p + 2), int32(p + 3)}; !slices.Equal(path[:4], want) {
			t.Errorf("path %d begins %v, want %v", p, path[:4], want)
		}
	}
}
