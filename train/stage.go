package train

import (
	"context"
	"fmt"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/predict"
)

// Measures are named numbers of a step or an evaluation.
type Measures map[string]float64

// A Stage is a source of weighted batches with a loss of its own. Everything
// random in it is a function of the seed and the step.
type Stage interface {
	// Steps is the length of the stage.
	Steps() int
	// Next returns the batch of a step, drawn with the weights that model
	// runs where the stage needs them.
	Next(ctx context.Context, model *gpt.Runner, step int) (dataset.Batch, error)
	// Loss adds this part's gradient to dlogits (R,V) and its share of the
	// step's measures to sum, "loss" among them. b is a run of rows of the
	// last batch, of which first is the first.
	Loss(sum Measures, dlogits, logits []float32, b dataset.Batch, first int)
	// Metric names the measure of Validate that picks the checkpoint;
	// smaller is better.
	Metric() string
	Validate(ctx context.Context, model *gpt.Runner) (Measures, error)
}

// newStage returns the stage of a recipe over streams. start is the model
// that the stage begins with: RL keeps it as its reference.
func newStage(r Recipe, codec dataset.Codec, streams []*dataset.Stream, start *gpt.Model) (Stage, error) {
	if start.Outputs > 0 {
		return newNextReturn(r, codec, streams, start)
	}
	switch r.Stage {
	case SFT:
		return newSFT(r, codec, streams, start)
	case RL:
		return newRL(r, codec, streams, start)
	}
	return newNextToken(r, codec.Inputs, streams, start)
}

// nextToken is teacher-forced next-token prediction, the task of pretrain and
// midtrain.
type nextToken struct {
	r       Recipe
	inputs  dataset.Inputs
	streams []*dataset.Stream
	val     []dataset.Window
	epochs  windowEpochs
	norm    float64 // sum of the weights of the current batch
}

func newNextToken(r Recipe, inputs dataset.Inputs, streams []*dataset.Stream, m *gpt.Model) (*nextToken, error) {
	if r.SeqLen > m.SeqLen {
		return nil, fmt.Errorf("train: seq_len %d: %w of %d", r.SeqLen, gpt.ErrContext, m.SeqLen)
	}
	s := &nextToken{r: r, inputs: inputs, streams: streams, val: dataset.EvalWindows(streams, dataset.Val, m.SeqLen)}
	s.epochs = windowEpochs{r: r, cut: func(key uint64) []dataset.Window {
		return dataset.TrainWindows(streams, r.SeqLen, key)
	}}
	if len(s.epochs.of(0)) == 0 {
		return nil, fmt.Errorf("train: no candles in the training part, which ends at the validation border")
	}
	if len(s.val) == 0 {
		return nil, fmt.Errorf("train: no candles in the validation part to pick the checkpoint with")
	}
	return s, nil
}

func (s *nextToken) Steps() int { return s.epochs.steps() }

func (s *nextToken) Next(_ context.Context, _ *gpt.Runner, step int) (dataset.Batch, error) {
	windows := s.epochs.batch(step)
	b := dataset.Gather(s.streams, windows, s.r.SeqLen)
	s.inputs.HideVolume(b, s.streams, windows)
	s.norm = total(b.Weights)
	return b, nil
}

func (s *nextToken) Loss(sum Measures, dlogits, logits []float32, b dataset.Batch, _ int) {
	sum["loss"] += crossEntropy(dlogits, logits, b, s.norm)
}

func (s *nextToken) Metric() string { return "nats" }

func (s *nextToken) Validate(ctx context.Context, model *gpt.Runner) (Measures, error) {
	return validateTokens(ctx, model, s.streams, s.val)
}

// validateTokens scores the validation part teacher-forced: nats, top1 and top5
// of the tokens that came, and the entropy of the distributions.
func validateTokens(ctx context.Context, model *gpt.Runner, streams []*dataset.Stream, windows []dataset.Window) (Measures, error) {
	scores, err := predict.Tokens(ctx, model, streams, windows)
	if err != nil {
		return nil, err
	}
	mean := predict.Average(scores)
	return Measures{"nats": mean.Nats, "top1": mean.Top1, "top5": mean.Top5, "entropy": mean.Entropy}, nil
}

// crossEntropy adds the gradient of the weighted mean of −ln p(target) to
// dlogits and returns this batch's part of the mean.
func crossEntropy(dlogits, logits []float32, b dataset.Batch, norm float64) float64 {
	R := b.B * b.T
	losses := make([]float64, R)
	nn.CrossEntropy(dlogits, losses, logits, b.Targets, b.Weights, norm, R, len(logits)/R)
	return weightedMean(losses, b.Weights, norm)
}

func weightedMean(losses []float64, weights []float32, norm float64) (mean float64) {
	for r, l := range losses {
		mean += float64(weights[r]) * l / norm
	}
	return mean
}

func total(weights []float32) float64 {
	sum := 0.0
	for _, w := range weights {
		sum += float64(w)
	}
	return sum
}

// windowEpochs deals windows into batches, epoch after epoch. Every epoch
// cuts and shuffles them anew; the number of steps is that of the first.
type windowEpochs struct {
	r   Recipe
	cut func(key uint64) []dataset.Window

	per     int // steps of an epoch, from the windows of the first
	epoch   int // whose windows are held
	windows []dataset.Window
}

func (e *windowEpochs) of(epoch int) []dataset.Window {
	if e.windows == nil || e.epoch != epoch {
		e.epoch, e.windows = epoch, e.cut(rng.Hash(e.r.Seed, rng.Shuffle, e.r.id(), uint64(epoch)))
	}
	return e.windows
}

// perEpoch is the number of steps of every epoch.
func (e *windowEpochs) perEpoch() int {
	if e.per == 0 {
		e.per = (len(e.of(0)) + e.r.Batch - 1) / e.r.Batch
	}
	return e.per
}

func (e *windowEpochs) steps() int { return e.r.Epochs * e.perEpoch() }

// batch returns the windows of a step. A random cut may give one epoch a few
// windows more or fewer than the first; they are spread evenly over its steps.
func (e *windowEpochs) batch(step int) []dataset.Window {
	per := e.perEpoch()
	windows := e.of(step / per)
	i := step % per
	return windows[i*len(windows)/per : (i+1)*len(windows)/per]
}
