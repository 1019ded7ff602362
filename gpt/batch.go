package gpt

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Batch lets calls of Generate that run at the same time share the steps of one
// decoder. Weights are then read once for the paths of all of them, and a path
// has the bits that it has alone. Paths are drawn in the order of the calls.
type Batch struct {
	r     *Runner
	limit int

	mu      sync.Mutex
	waiting []*batched
	running bool // a goroutine is drawing

	promptsMu sync.Mutex
	prompts   []computed // the newest last
}

// computed is a prompt with what came of it.
type computed struct {
	prompt Prompt
	prefix *Prefix
	logits []float32
}

// promptTokens is how many tokens of prompts a Batch remembers, and promptsLeast how
// many prompts whatever their length: many ask for the same, and one that takes its
// paths in parts asks for the same again.
const (
	promptTokens = 2048
	promptsLeast = 2
)

// batched is a path of a call that waits for its tokens.
type batched struct {
	*path
	call *call
}

// call is one call of Generate.
type call struct {
	ctx  context.Context
	left int           // paths that are not done; of the drawing goroutine
	done chan struct{} // closed with the last of them, or with err
	err  error
}

// NewBatch returns a Batch that steps at most limit paths together.
func NewBatch(r *Runner, limit int) *Batch {
	if limit < 1 {
		panic(fmt.Sprintf("gpt: a batch of %d paths", limit))
	}
	return &Batch{r: r, limit: limit}
}

// Model returns the model that b draws from.
func (b *Batch) Model() *Model { return b.r.m }

// Generate is [Runner.Generate], in company. The functions of g are called from
// another goroutine, one at a time, and may be called once more after the context
// has ended and Generate has returned.
func (b *Batch) Generate(ctx context.Context, prompt Prompt, g Generation) ([][]int32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := newStepper(b.r)
	s.prefill = b.prefill
	paths, err := s.begin(prompt, g)
	if err != nil || g.Steps == 1 {
		return tokensOf(paths), err
	}
	c := &call{ctx: ctx, left: len(paths), done: make(chan struct{})}
	b.mu.Lock()
	for _, p := range paths {
		b.waiting = append(b.waiting, &batched{p, c})
	}
	if !b.running {
		b.running = true
		go b.run()
	}
	b.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return tokensOf(paths), c.err
	}
}

// prefill is that of the runner, or what it gave for the same prompt before.
func (b *Batch) prefill(p Prompt) (*Prefix, []float32, error) {
	same := func(c computed) bool {
		return slices.Equal(c.prompt.Tokens, p.Tokens) && slices.Equal(c.prompt.Cond, p.Cond) && slices.Equal(c.prompt.Features, p.Features)
	}
	b.promptsMu.Lock()
	if i := slices.IndexFunc(b.prompts, same); i >= 0 {
		c := b.prompts[i]
		b.prompts = append(slices.Delete(b.prompts, i, i+1), c)
		b.promptsMu.Unlock()
		return c.prefix, c.logits, nil
	}
	b.promptsMu.Unlock()
	prefix, logits, err := b.r.prefill(p)
	if err != nil {
		return nil, nil, err
	}
	kept := Prompt{slices.Clone(p.Tokens), slices.Clone(p.Cond), slices.Clone(p.Features)}
	b.promptsMu.Lock()
	defer b.promptsMu.Unlock()
	if slices.ContainsFunc(b.prompts, same) {
		return prefix, logits, nil // of one who asked at the same time
	}
	b.prompts = append(b.prompts, computed{kept, prefix, logits})
	tokens := 0
	for _, c := range b.prompts {
		tokens += len(c.prompt.Tokens)
	}
	for len(b.prompts) > promptsLeast && tokens > promptTokens {
		tokens -= len(b.prompts[0].prompt.Tokens)
		b.prompts = slices.Delete(b.prompts, 0, 1)
	}
	return prefix, logits, nil
}

// run draws until nobody waits.
func (b *Batch) run() {
	s := newStepper(b.r)
	var active []*batched
	var paths []*path
	for {
		active = b.admit(active)
		if active == nil {
			return
		}
		paths = paths[:0]
		for _, a := range active {
			paths = append(paths, a.path)
		}
		if err := s.step(paths); err != nil {
			for _, a := range active {
				a.call.end(err)
			}
		}
	}
}

// admit leaves out what is done or given up, and lets in what waits. It returns
// nil, and the goroutine that draws is to end, where nothing is left.
func (b *Batch) admit(active []*batched) []*batched {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := active[:0]
	for _, a := range active {
		switch {
		case a.call.err != nil || a.call.ctx.Err() != nil:
		case a.err != nil:
			a.call.end(a.err)
		case a.done():
			if a.call.left--; a.call.left == 0 {
				close(a.call.done)
			}
		default:
			kept = append(kept, a)
		}
	}
	taken := 0
	for _, w := range b.waiting {
		if len(kept) == b.limit {
			break
		}
		taken++
		if w.call.err == nil && w.call.ctx.Err() == nil {
			kept = append(kept, w)
		}
	}
	clear(b.waiting[:taken])
	b.waiting = b.waiting[taken:]
	if len(kept) == 0 && len(b.waiting) == 0 {
		b.waiting, b.running = nil, false
		return nil
	}
	if len(kept) < len(active) {
		clear(active[len(kept):])
	}
	return kept
}

// end closes a call with its first error.
func (c *call) end(err error) {
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}
