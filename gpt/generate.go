package gpt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

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
	// It may be nil where the model has neither.
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

	history Prompt // everything so far, for when the window is full
	prefix  *Prefix
	row     *row // nil before its first token is fed
	err     error
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

	rows     []*row
	fed      []*path // whose rows these are
	tokens   []int32 // input of a step
	cond     []int32
	features []float32
	probs    []float64
	order    []int32
}

func newStepper(r *Runner) *stepper {
	V := r.m.Vocab
	return &stepper{r: r, decoder: Decoder{r: r}, probs: make([]float64, V), order: make([]int32, V)}
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
	prefixes, logits, err := s.r.Prefill(Input{B: 1, T: len(prompt.Tokens), Tokens: prompt.Tokens, Cond: prompt.Cond, Features: prompt.Features})
	if err != nil {
		return nil, err
	}
	paths := make([]*path, g.Paths)
	for i := range paths {
		paths[i] = &path{
			g: &g, number: g.FirstPath + i, prefix: prefixes[0],
			random:    rng.New(g.Seed, rng.Path, uint64(g.FirstPath+i)),
			generated: make([]int32, 0, g.Steps),
			history: Prompt{
				Tokens:   append([]int32(nil), prompt.Tokens...),
				Cond:     append([]int32(nil), prompt.Cond...),
				Features: append([]float32(nil), prompt.Features...),
			},
		}
		if s.draw(paths[i], logits); paths[i].err != nil {
			return nil, paths[i].err
		}
	}
	return paths, nil
}

// draw picks the next token of a path, or leaves it with an error.
func (s *stepper) draw(p *path, logits []float32) {
	for _, l := range logits {
		if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
			p.err = ErrNotFinite
			return
		}
	}
	p.g.Sampler.Probabilities(s.probs, logits, s.order)
	if p.g.Weigh != nil {
		p.g.Weigh(p.number, p.generated, s.probs)
	}
	p.generated = append(p.generated, Pick(s.probs, p.random.Float64()))
}

// step feeds the newest token of every path and draws the one after it. An
// error of one path stays with it.
func (s *stepper) step(paths []*path) error {
	s.rows, s.fed = s.rows[:0], s.fed[:0]
	s.tokens, s.cond, s.features = s.tokens[:0], s.cond[:0], s.features[:0]
	for _, p := range paths {
		token := p.generated[len(p.generated)-1]
		var cond []int32
		var features []float32
		if p.g.Next != nil {
			cond, features = p.g.Next(p.number, p.generated)
		}
		h := &p.history
		h.Tokens, h.Cond, h.Features = append(h.Tokens, token), append(h.Cond, cond...), append(h.Features, features...)
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
		s.tokens, s.cond, s.features = append(s.tokens, token), append(s.cond, cond...), append(s.features, features...)
	}
	if len(s.rows) == 0 {
		return nil
	}
	s.decoder.hold(s.rows)
	logits, err := s.decoder.Step(Input{B: len(s.rows), T: 1, Tokens: s.tokens, Cond: s.cond, Features: s.features})
	if err != nil {
		return err
	}
	V := s.r.m.Vocab
	for i, p := range s.fed {
		s.draw(p, logits[i*V:(i+1)*V])
	}
	return nil
}

// refill starts a new window for a path with the newest half of its last, and
// draws from that.
func (s *stepper) refill(p *path) {
	T := max(1, s.r.m.SeqLen/2)
	C, F := len(s.r.m.Cond), s.r.m.Features
	h := p.history
	n := len(h.Tokens)
	prefixes, logits, err := s.r.Prefill(Input{
		B: 1, T: T,
		Tokens: h.Tokens[n-T:], Cond: h.Cond[(n-T)*C:], Features: h.Features[(n-T)*F:],
	})
	if err != nil {
		p.err = err
		return
	}
	p.prefix, p.row = prefixes[0], nil
	s.draw(p, logits)
}
