package gpt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
)

// Prompt is what a path starts from: T tokens, with the conditioning of each
// (T,len(Cond)) and its features (T,F) where the model has them.
type Prompt struct {
	Tokens   []int32
	Cond     []int32
	Features []float32
}

// Generation says how paths are drawn.
type Generation struct {
	Paths     int // number of paths
	FirstPath int // number of the first one: path i alone has the bits of row i among many
	Steps     int // tokens per path
	Sampler   Sampler
	Seed      uint64

	// Next returns the conditioning and the features that go in with the
	// newest token of a path: they may depend on what the path has done.
	// It is called for several paths at once, for each one time after the
	// other. It may be nil where the model has neither.
	Next func(path int, generated []int32) (cond []int32, features []float32)

	// Weigh may change the probabilities (V) that the next token of a path is
	// drawn from, to others that add up to 1. It may be nil.
	Weigh func(path int, generated []int32, probs []float64)
}

// ErrNotFinite says that a model gave logits that are no numbers.
var ErrNotFinite = errors.New("gpt: logits are not finite")

// Generate draws paths that continue prompt. The prompt is computed once for
// all of them. A path is a function of (weights, prompt, seed, its number),
// whatever the batch. When a window is full, the newest half of it becomes
// the prompt.
//
// It returns (Paths, Steps) tokens, the context's error as soon as ctx ends,
// or an error for a prompt that is empty or longer than the model's context, or
// [ErrNoLogits].
func (r *Runner) Generate(ctx context.Context, prompt Prompt, g Generation) ([][]int32, error) {
	s := newStepper(r)
	paths, err := s.begin(prompt, g)
	if err != nil {
		return nil, err
	}
	for range g.Steps - 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.step(paths); err != nil {
			return nil, err
		}
		for _, p := range paths {
			if p.err != nil {
				return nil, p.err
			}
		}
	}
	return tokensOf(paths), ctx.Err()
}

// path is one of those that a call of Generate draws.
type path struct {
	g         *Generation
	number    int
	random    *rand.Rand
	generated []int32

	history  Prompt // everything so far, for when the window is full
	cond     []int32
	features []float32 // both: what goes in with the newest token
	prefix   *Prefix
	row      *row // nil before its first token is fed
	err      error
}

func (p *path) done() bool { return len(p.generated) == p.g.Steps }

func tokensOf(paths []*path) [][]int32 {
	tokens := make([][]int32, len(paths))
	for i, p := range paths {
		tokens[i] = p.generated
	}
	return tokens
}

// stepper draws tokens of paths, of one call or of several.
type stepper struct {
	r       *Runner
	decoder Decoder
	prefill func(Prompt) (*Prefix, []float32, error)

	rows     []*row
	fed      []*path // whose rows these are
	tokens   []int32 // input of a step
	cond     []int32
	features []float32
	probs    []float64 // (paths, V)
	order    []int32   // (paths, V)
}

func newStepper(r *Runner) *stepper {
	return &stepper{r: r, decoder: Decoder{r: r}, prefill: r.prefill}
}

// prefill computes one prompt: its prefix, and the logits (V) after it.
func (r *Runner) prefill(p Prompt) (*Prefix, []float32, error) {
	prefixes, logits, err := r.Prefill(Input{B: 1, T: len(p.Tokens), Tokens: p.Tokens, Cond: p.Cond, Features: p.Features})
	if err != nil {
		return nil, nil, err
	}
	return prefixes[0], logits, nil
}

// begin draws the first token of the paths of a call.
func (s *stepper) begin(prompt Prompt, g Generation) ([]*path, error) {
	m := s.r.m
	if m.Outputs > 0 {
		return nil, fmt.Errorf("gpt: %w", ErrNoLogits)
	}
	if g.Paths < 1 || g.Steps < 1 {
		return nil, fmt.Errorf("gpt: %d paths of %d tokens: want at least one of each", g.Paths, g.Steps)
	}
	if err := g.Sampler.Validate(); err != nil {
		return nil, err
	}
	if (len(m.Cond) > 0 || m.Features > 0) && g.Next == nil {
		return nil, errors.New("gpt: the model wants conditioning for every generated token and got none")
	}
	prefix, logits, err := s.prefill(prompt)
	if err != nil {
		return nil, err
	}
	first, probs := make([]float64, m.Vocab), make([]float64, m.Vocab)
	paths := make([]*path, g.Paths)
	for i := range paths {
		paths[i] = &path{
			g: &g, number: g.FirstPath + i, prefix: prefix,
			random:    rng.New(g.Seed, rng.Path, uint64(g.FirstPath+i)),
			generated: make([]int32, 0, g.Steps),
			history: Prompt{
				Tokens:   append([]int32(nil), prompt.Tokens...),
				Cond:     append([]int32(nil), prompt.Cond...),
				Features: append([]float32(nil), prompt.Features...),
			},
		}
		if i == 0 && !paths[0].weights(first, logits, make([]int32, m.Vocab)) {
			return nil, paths[0].err
		}
		copy(probs, first)
		paths[i].pick(probs)
	}
	return paths, nil
}

// weights writes the probabilities (V) of the next token of a path. Where logits are
// no numbers it leaves the path with an error and reports false.
func (p *path) weights(probs []float64, logits []float32, order []int32) bool {
	for _, l := range logits {
		if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
			p.err = ErrNotFinite
			return false
		}
	}
	p.g.Sampler.Probabilities(probs, logits, order)
	return true
}

// pick draws the next token of a path from probs (V), which Weigh may change.
func (p *path) pick(probs []float64) {
	if p.g.Weigh != nil {
		p.g.Weigh(p.number, p.generated, probs)
	}
	p.generated = append(p.generated, Pick(probs, p.random.Float64()))
}

// step feeds the newest token of every path and draws the one after it. An
// error of one path stays with it.
func (s *stepper) step(paths []*path) error {
	parallel.Do(len(paths), pathGrain, paths, func(paths *[]*path, lo, hi int) {
		for _, p := range (*paths)[lo:hi] {
			p.next()
		}
	})
	s.rows, s.fed = s.rows[:0], s.fed[:0]
	s.tokens, s.cond, s.features = s.tokens[:0], s.cond[:0], s.features[:0]
	for _, p := range paths {
		if p.prefix.n == s.r.m.SeqLen || p.row != nil && p.row.full() {
			s.refill(p)
			continue
		}
		if p.row == nil {
			left := p.g.Steps - len(p.generated)
			if p.row, p.err = s.r.newRow(p.prefix, min(left, s.r.m.SeqLen-p.prefix.n)); p.err != nil {
				continue
			}
		}
		s.rows, s.fed = append(s.rows, p.row), append(s.fed, p)
		newest := p.generated[len(p.generated)-1]
		s.tokens, s.cond, s.features = append(s.tokens, newest), append(s.cond, p.cond...), append(s.features, p.features...)
	}
	if len(s.rows) == 0 {
		return nil
	}
	s.decoder.hold(s.rows)
	logits, err := s.decoder.Step(Input{B: len(s.rows), T: 1, Tokens: s.tokens, Cond: s.cond, Features: s.features})
	if err != nil {
		return err
	}
	s.draw(logits)
	return nil
}

// pathGrain is how many paths are worth another goroutine: the candle and the
// probabilities of one take 10 µs.
const pathGrain = 2

// next takes in the newest token of a path, with what goes in with it.
func (p *path) next() {
	h := &p.history
	h.Tokens = append(h.Tokens, p.generated[len(p.generated)-1])
	if p.g.Next != nil {
		p.cond, p.features = p.g.Next(p.number, p.generated)
		h.Cond, h.Features = append(h.Cond, p.cond...), append(h.Features, p.features...)
	}
}

// draw picks the next token of every path that was fed, by the logits (paths, V)
// of the step. Weigh is called for one path at a time.
func (s *stepper) draw(logits []float32) {
	V := s.r.m.Vocab
	if n := len(s.fed) * V; cap(s.probs) < n {
		s.probs, s.order = make([]float64, n), make([]int32, n)
	}
	type drawing struct {
		*stepper
		logits []float32
	}
	parallel.Do(len(s.fed), pathGrain, drawing{s, logits}, func(d *drawing, lo, hi int) {
		for i, p := range d.fed[lo:hi] {
			from, to := (lo+i)*V, (lo+i+1)*V
			if p.weights(d.probs[from:to], d.logits[from:to], d.order[from:to]) && p.g.Weigh == nil {
				p.pick(d.probs[from:to])
			}
		}
	})
	for i, p := range s.fed {
		if p.err == nil && p.g.Weigh != nil {
			p.pick(s.probs[i*V : (i+1)*V])
		}
	}
}

// refill starts a new window for a path with the newest half of its last, and
// draws from that.
func (s *stepper) refill(p *path) {
	T := max(1, s.r.m.SeqLen/2)
	C, F := len(s.r.m.Cond), s.r.m.Features
	h := p.history
	n := len(h.Tokens)
	prefix, logits, err := s.r.prefill(Prompt{Tokens: h.Tokens[n-T:], Cond: h.Cond[(n-T)*C:], Features: h.Features[(n-T)*F:]})
	if err != nil {
		p.err = err
		return
	}
	p.prefix, p.row = prefix, nil
	V := s.r.m.Vocab
	probs := make([]float64, V)
	if p.weights(probs, logits, make([]int32, V)) {
		p.pick(probs)
	}
}
