package train

import (
	"context"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/predict"
)

// rl is REINFORCE: for every context it draws a group of paths from the model
// itself, rewards them for what happened, and raises the log-probability of
// those that did better than the others, while the exact KL to the model that
// the stage began with holds it back.
//
// Williams 1992; the leave-one-out baseline: see leaveOneOut.
type rl struct {
	r         Recipe
	codec     dataset.Codec
	streams   []*dataset.Stream
	reference *gpt.Runner
	contexts  []dataset.Window
	val       pathValidation

	// Of the current batch, E·G rows.
	advantages []float64
	reward     float64 // mean
	refSpace   gpt.Workspace
}

func newRL(r Recipe, codec dataset.Codec, streams []*dataset.Stream, m *gpt.Model) (*rl, error) {
	if err := checkWindow(r, m); err != nil {
		return nil, err
	}
	val, err := newPathValidation(r, codec, streams, m)
	if err != nil {
		return nil, err
	}
	contexts := dataset.HorizonWindows(streams, dataset.Train, r.ContextLen, r.Horizon, 1, 0)
	if len(contexts) == 0 {
		return nil, fmt.Errorf("train: the training part has no stretch of %d candles with a candle of context before it", r.Horizon)
	}
	return &rl{r: r, codec: codec, streams: streams, reference: m.Clone().Runner(r.Precision), contexts: contexts, val: val}, nil
}

func (s *rl) Steps() int { return s.r.Steps }

// Next draws the groups of a step. Row e·G+i is path i of context e, behind
// the tokens of that context.
func (s *rl) Next(ctx context.Context, model *gpt.Runner, step int) (dataset.Batch, error) {
	chosen := pick(rng.New(s.r.Seed, rng.Shuffle, s.r.id(), uint64(step)), s.r.Batch, len(s.contexts))
	T, G := s.r.window(), s.r.Group
	rows := len(chosen) * G
	b := dataset.Batch{
		B: rows, T: T,
		Inputs: make([]int32, rows*T), Targets: make([]int32, rows*T), Weights: make([]float32, rows*T),
		Cond: make([]int32, rows*T*len(model.Model().Cond)), Features: make([]float32, rows*T*model.Model().Features),
	}
	s.advantages, s.reward = s.advantages[:0], 0
	for e, c := range chosen {
		win := s.contexts[c]
		stream := s.streams[win.Stream]
		paths, err := predict.Paths(ctx, model, s.codec, stream, win.From, s.r.ContextLen, gpt.Generation{
			Paths: G, Steps: s.r.Horizon, Sampler: s.r.Sampler,
			Seed: rng.Hash(s.r.Seed, rng.Rollout, s.r.id(), uint64(step), uint64(e)),
		})
		if err != nil {
			return b, err
		}
		rewards, advantages := s.judge(stream, win.From, paths)
		s.advantages = append(s.advantages, advantages...)
		for _, r := range rewards {
			s.reward += r / float64(rows)
		}
		for i, p := range paths {
			row := (e*G + i) * T
			n := copy(b.Inputs[row:], stream.Tokens[win.Start:win.From])
			copy(b.Inputs[row+n:], p.Tokens[:s.r.Horizon-1])
			copy(b.Targets[row+n-1:], p.Tokens)
			inputs(b.Cond, stream.Cond, p.Cond, row, win.Start, n, len(stream.Tokens))
			inputs(b.Features, stream.Features, p.Features, row, win.Start, n, len(stream.Tokens))
			for h := range s.r.Horizon {
				b.Weights[row+n-1+h] = 1
			}
		}
	}
	return b, nil
}

// inputs copies what went in with the n tokens of the context from start on, and
// with those of a path that is to be followed, to a row of a batch; a stream has
// it for all of its tokens.
func inputs[E any](to, stream, path []E, row, start, n, tokens int) {
	k := len(stream) / tokens
	if k == 0 {
		return
	}
	at := copy(to[row*k:], stream[start*k:(start+n)*k])
	copy(to[row*k+at:], path[:len(path)-k])
}

// judge returns the rewards and the advantages of a group of paths that start
// before the token at origin.
func (s *rl) judge(stream *dataset.Stream, origin int, paths []predict.Path) (rewards, advantages []float64) {
	H := s.r.Horizon
	if s.r.Reward == RewardTokenAcc {
		for _, p := range paths {
			rewards = append(rewards, tokenAccuracy(p.Tokens, stream.Tokens[origin:origin+H]))
		}
		return rewards, leaveOneOut(rewards)
	}
	state := stream.States[origin]
	unit := math.Sqrt(state.Variance)
	inUnits := func(x []float64) []float64 {
		for i := range x {
			x[i] /= unit
		}
		return x
	}
	y := inUnits(predict.CumulativeReturns(nil, state.PrevClose, stream.Candles[origin:origin+H]))
	x := make([][]float64, len(paths))
	for i, p := range paths {
		x[i] = inUnits(predict.CumulativeReturns(nil, state.PrevClose, p.Candles))
	}
	if s.r.Reward == RewardCRPS {
		return crpsAdvantages(x, y)
	}
	reward := returnMSE
	if s.r.Reward == RewardSharpe {
		reward = sharpe
	}
	for i := range x {
		rewards = append(rewards, reward(x[i], y))
	}
	return rewards, leaveOneOut(rewards)
}

// Loss is, per drawn token,
//
//	−A·ln π(token) + KLCoef·KL(π‖reference) − EntropyCoef·H(π)
//
// averaged over the tokens of the step. The first π is the distribution that
// the token was drawn from, tempered and truncated as the sampler says; KL and
// entropy are those of the model itself, over the full vocabulary.
func (s *rl) Loss(sum Measures, dlogits, logits []float32, b dataset.Batch, first int) {
	ref := s.reference.Forward(&s.refSpace, predict.Input(b, 0))
	V := s.reference.Model().Vocab
	R := b.B * b.T
	norm := float64(len(s.advantages) * s.r.Horizon)
	policy, kl, entropy := make([]float64, R), make([]float64, R), make([]float64, R)
	parallel.For(R, 16, func(lo, hi int) {
		scratch := newRowScratch(V)
		for r := lo; r < hi; r++ {
			if b.Weights[r] == 0 {
				continue
			}
			at := r * V
			policy[r], kl[r], entropy[r] = s.row(dlogits[at:at+V], logits[at:at+V], ref[at:at+V],
				b.Targets[r], s.advantages[first+r/b.T], norm, scratch)
		}
	})
	for r := range R {
		sum["loss"] += (policy[r] + s.r.KLCoef*kl[r] - s.r.EntropyCoef*entropy[r]) / norm
		sum["kl"] += kl[r] / norm
		sum["entropy"] += entropy[r] / norm
	}
	sum["reward"] = s.reward
}

// rowScratch is what the gradient of one row of logits works in.
type rowScratch struct {
	drawn, logp, logq []float64
	order             []int32
}

func newRowScratch(V int) *rowScratch {
	return &rowScratch{make([]float64, V), make([]float64, V), make([]float64, V), make([]int32, V)}
}

// row adds the gradient of one drawn token's loss, divided by norm, to dlogits
// and returns its three terms.
func (s *rl) row(dlogits, logits, ref []float32, token int32, advantage, norm float64, w *rowScratch) (policy, kl, entropy float64) {
	s.r.Sampler.Probabilities(w.drawn, logits, w.order)
	policy = -advantage * math.Log(w.drawn[token])

	lse, lseRef := predict.LogSumExp(logits), predict.LogSumExp(ref)
	for k := range logits {
		w.logp[k], w.logq[k] = float64(logits[k])-lse, float64(ref[k])-lseRef
		p := math.Exp(w.logp[k])
		kl += p * (w.logp[k] - w.logq[k])
		entropy -= p * w.logp[k]
	}
	for k := range logits {
		p := math.Exp(w.logp[k])
		hit := 0.0
		if int32(k) == token {
			hit = 1
		}
		d := advantage * (w.drawn[k] - hit) / s.r.Sampler.Temperature
		d += s.r.KLCoef * p * (w.logp[k] - w.logq[k] - kl)
		d += s.r.EntropyCoef * p * (w.logp[k] + entropy)
		dlogits[k] += float32(d / norm)
	}
	return policy, kl, entropy
}

func (s *rl) Metric() string { return "crps" }

func (s *rl) Validate(ctx context.Context, model *gpt.Runner) (Measures, error) {
	return s.val.run(ctx, model)
}
