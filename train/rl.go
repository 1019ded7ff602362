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

	// Of the current batch.
	advantages []float64 // (B·T), of the path that a row belongs to
	drawn      int       // tokens of all its paths
	reward     float64   // mean
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

// Next draws the groups of a step. A window is a tree: the tokens of a context but
// the last, and behind them a branch for each of the paths, which begins with that
// last token. So a context runs through the model once, not once for every path. The
// paths of a large group are shared out among several trees.
func (s *rl) Next(ctx context.Context, model *gpt.Runner, step int) (dataset.Batch, error) {
	chosen := pick(rng.New(s.r.Seed, rng.Shuffle, s.r.id(), uint64(step)), s.r.Batch, len(s.contexts))
	stem, H, G := s.r.ContextLen-1, s.r.Horizon, s.r.Group
	trees, branches := s.r.trees()
	T := stem + branches*H
	windows := len(chosen) * trees
	rows := windows * T
	b := dataset.Batch{
		B: windows, T: T,
		Inputs: make([]int32, rows), Targets: make([]int32, rows), Weights: make([]float32, rows),
		Cond: make([]int32, rows*len(model.Model().Cond)), Features: make([]float32, rows*model.Model().Features),
		Shared: make([]int32, rows), Own: make([]int32, rows),
	}
	s.advantages, s.drawn, s.reward = make([]float64, rows), len(chosen)*G*H, 0
	for e, c := range chosen {
		win := s.contexts[c]
		stream := s.streams[win.Stream]
		paths, err := predict.Paths(ctx, model, s.codec, stream, win.From, s.r.ContextLen, gpt.Generation{
			Paths: G, Steps: H, Sampler: s.r.Sampler,
			Seed: rng.Hash(s.r.Seed, rng.Rollout, s.r.id(), uint64(step), uint64(e)),
		})
		if err != nil {
			return b, err
		}
		rewards, advantages := s.judge(stream, win.From, paths)
		for _, r := range rewards {
			s.reward += r / float64(len(chosen)*G)
		}
		last := win.From - 1 // the last token of the context
		shared := last - win.Start
		for k := range trees {
			tree := (e*trees + k) * T
			copy(b.Inputs[tree:], stream.Tokens[win.Start:last])
			copyRows(b.Cond, tree, stream.Cond, win.Start, last, len(stream.Tokens))
			copyRows(b.Features, tree, stream.Features, win.Start, last, len(stream.Tokens))
			for t := shared; t < T; t++ {
				b.Own[tree+t] = int32(t) // what is neither context nor path sees itself
			}
		}
		for i, p := range paths {
			own := stem + i%branches*H
			row := (e*trees+i/branches)*T + own
			b.Inputs[row] = stream.Tokens[last]
			copy(b.Inputs[row+1:], p.Tokens[:H-1])
			copy(b.Targets[row:], p.Tokens)
			copyRows(b.Cond, row, stream.Cond, last, last+1, len(stream.Tokens))
			copyRows(b.Cond, row+1, p.Cond, 0, H-1, H)
			copyRows(b.Features, row, stream.Features, last, last+1, len(stream.Tokens))
			copyRows(b.Features, row+1, p.Features, 0, H-1, H)
			for h := range H {
				b.Weights[row+h], b.Shared[row+h], b.Own[row+h] = 1, int32(shared), int32(own)
				s.advantages[row+h] = advantages[i]
			}
		}
	}
	return b, nil
}

// trees is how many windows the paths of a group make, and how many branches each of
// them has room for: as few as run through the model at once, and alike.
func (r Recipe) trees() (trees, branches int) {
	fit := max(1, (chunkTokens-r.ContextLen+1)/r.Horizon)
	trees = (r.Group + fit - 1) / fit
	return trees, (r.Group + trees - 1) / trees
}

// copyRows copies rows [lo,hi) of the n rows of from to the rows of to from at on.
func copyRows[E any](to []E, at int, from []E, lo, hi, n int) {
	k := len(from) / n
	copy(to[at*k:], from[lo*k:hi*k])
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
	norm := float64(s.drawn)
	policy, kl, entropy := make([]float64, R), make([]float64, R), make([]float64, R)
	parallel.For(R, 16, func(lo, hi int) {
		scratch := newRowScratch(V)
		for r := lo; r < hi; r++ {
			if b.Weights[r] == 0 {
				continue
			}
			at := r * V
			policy[r], kl[r], entropy[r] = s.row(dlogits[at:at+V], logits[at:at+V], ref[at:at+V],
				b.Targets[r], s.advantages[first*b.T+r], norm, scratch)
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
