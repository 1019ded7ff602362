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

	// Pick draws the next token of a path from its probabilities (V); nil:
	// with the path's own stream of Seed.
	Pick func(path int, probs []float64) int32
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
	m := r.m
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
	prefixes, logits, err := r.Prefill(Input{B: 1, T: len(prompt.Tokens), Tokens: prompt.Tokens, Cond: prompt.Cond, Features: prompt.Features})
	if err != nil {
		return nil, err
	}
	s := r.newStream(prompt, g, prefixes[0], logits)
	for step := range g.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.draw(); err != nil {
			return nil, err
		}
		if step < g.Steps-1 {
			if err := s.advance(g.Steps - 1 - step); err != nil {
				return nil, err
			}
		}
	}
	return s.generated, nil
}

// stream is the state of one call of Generate.
type stream struct {
	r         *Runner
	g         Generation
	rand      []*rand.Rand
	generated [][]int32

	history  []Prompt // per path: everything so far, for when the window is full
	prefixes []*Prefix
	decoder  *Decoder
	logits   []float32 // (P,V), of the next token

	tokens   []int32 // input of a step
	cond     []int32
	features []float32
	probs    []float64
	order    []int32
}

func (r *Runner) newStream(prompt Prompt, g Generation, prefix *Prefix, logits []float32) *stream {
	V := r.m.Vocab
	s := &stream{r: r, g: g, probs: make([]float64, V), order: make([]int32, V)}
	for p := range g.Paths {
		s.rand = append(s.rand, rng.New(g.Seed, rng.Path, uint64(g.FirstPath+p)))
		s.generated = append(s.generated, make([]int32, 0, g.Steps))
		s.prefixes = append(s.prefixes, prefix)
		s.logits = append(s.logits, logits...)
		s.history = append(s.history, Prompt{
			Tokens:   append([]int32(nil), prompt.Tokens...),
			Cond:     append([]int32(nil), prompt.Cond...),
			Features: append([]float32(nil), prompt.Features...),
		})
	}
	return s
}

// draw picks the next token of every path.
func (s *stream) draw() error {
	V := s.r.m.Vocab
	for p := range s.generated {
		row := s.logits[p*V : (p+1)*V]
		for _, l := range row {
			if math.IsNaN(float64(l)) || math.IsInf(float64(l), 0) {
				return ErrNotFinite
			}
		}
		s.g.Sampler.Probabilities(s.probs, row, s.order)
		token := int32(0)
		if s.g.Pick != nil {
			token = s.g.Pick(s.g.FirstPath+p, s.probs)
		} else {
			token = Pick(s.probs, s.rand[p].Float64())
		}
		s.generated[p] = append(s.generated[p], token)
	}
	return nil
}

// advance feeds the newest token of every path; left is how many steps are
// still to come.
func (s *stream) advance(left int) error {
	s.tokens, s.cond, s.features = s.tokens[:0], s.cond[:0], s.features[:0]
	for p, path := range s.generated {
		token := path[len(path)-1]
		s.tokens = append(s.tokens, token)
		h := &s.history[p]
		h.Tokens = append(h.Tokens, token)
		if s.g.Next != nil {
			cond, features := s.g.Next(s.g.FirstPath+p, path)
			s.cond, s.features = append(s.cond, cond...), append(s.features, features...)
			h.Cond, h.Features = append(h.Cond, cond...), append(h.Features, features...)
		}
	}
	if s.prefixes[0].Len() == s.r.m.SeqLen || s.decoder != nil && s.decoder.Full() {
		return s.refill()
	}
	var err error
	if s.decoder == nil {
		capacity := min(left, s.r.m.SeqLen-s.prefixes[0].Len())
		if s.decoder, err = s.r.NewDecoder(s.prefixes, capacity); err != nil {
			return err
		}
	}
	s.logits, err = s.decoder.Step(Input{B: len(s.tokens), T: 1, Tokens: s.tokens, Cond: s.cond, Features: s.features})
	return err
}

// refill starts a new window for every path with the newest half of its last.
func (s *stream) refill() error {
	T := max(1, s.r.m.SeqLen/2)
	C, F := len(s.r.m.Cond), s.r.m.Features
	logits := make([]float32, 0, len(s.generated)*s.r.m.Vocab)
	for p, h := range s.history {
		n := len(h.Tokens)
		prefixes, last, err := s.r.Prefill(Input{
			B: 1, T: T,
			Tokens: h.Tokens[n-T:], Cond: h.Cond[(n-T)*C:], Features: h.Features[(n-T)*F:],
		})
		if err != nil {
			return err
		}
		s.prefixes[p] = prefixes[0]
		logits = append(logits, last...)
	}
	s.logits, s.decoder = logits, nil
	return nil
}
