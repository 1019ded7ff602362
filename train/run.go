package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/optim"
)

// Job is one stage to run.
type Job struct {
	Recipe  Recipe
	Start   *checkpoint.Bundle // the model that the stage begins with; its weights are not changed
	Streams []*dataset.Stream  // with the borders of Start.Split applied
	Out     string             // path of the finished checkpoint
	Build   string             // version of the program, for the checkpoint
	Source  json.RawMessage    // what the caller needs to make Streams again, kept in the resume file
	Observe func(Event)        // may be nil
}

// ResumePath is the file beside a checkpoint that an unfinished run leaves. It
// alone is enough to go on.
func ResumePath(out string) string { return out + ".resume" }

// Pending is an unfinished run as its resume file holds it.
type Pending struct {
	Recipe Recipe
	Source json.RawMessage
	Bundle *checkpoint.Bundle // last weights
	Step   int

	resume *checkpoint.Resume
	state  state
}

// OpenPending reads the resume file of a run that was to write out.
func OpenPending(out string) (*Pending, error) {
	r, err := checkpoint.OpenResume(ResumePath(out))
	if err != nil {
		return nil, err
	}
	p := &Pending{Bundle: r.Bundle, resume: r}
	if err := json.Unmarshal(r.State, &p.state); err != nil {
		return nil, fmt.Errorf("train: %s: damaged state: %w", ResumePath(out), err)
	}
	if err := p.state.Recipe.Validate(); err != nil {
		return nil, fmt.Errorf("train: %s: %w", ResumePath(out), err)
	}
	p.Recipe, p.Source, p.Step = p.state.Recipe, p.state.Source, p.state.Step
	return p, nil
}

// Run runs a stage from its first step and writes the checkpoint with the
// weights of the best evaluation. The end of ctx stops it after a whole step
// with everything saved for [Continue].
func Run(ctx context.Context, job Job) (*checkpoint.Bundle, error) {
	if job.Start.Model == nil {
		return nil, checkpoint.ErrNoModel
	}
	bundle := job.Start.WithCalibration(nil, nil) // it is that of other weights
	bundle.Model = job.Start.Model.Clone()
	bundle.Model.Dropout = job.Recipe.Dropout
	initial := append([]float32(nil), bundle.Model.Params...)
	t := &trainer{
		job: job, bundle: bundle, initial: initial, best: append([]float32(nil), initial...),
		state: state{Recipe: job.Recipe, Source: job.Source, Parent: job.Start.Hash, Data: dataset.Hash(job.Streams)},
	}
	return t.finish(ctx)
}

// Continue goes on with an unfinished run to the bits of an unbroken one. Of
// job it takes Streams, Out, Build and Observe.
func Continue(ctx context.Context, p *Pending, job Job) (*checkpoint.Bundle, error) {
	if data := dataset.Hash(job.Streams); data != p.state.Data {
		return nil, fmt.Errorf("train: %s: the data is not what the run began with (%.12s, now %.12s)", ResumePath(job.Out), p.state.Data, data)
	}
	job.Recipe, job.Source = p.Recipe, p.Source
	t := &trainer{job: job, bundle: p.Bundle, initial: p.resume.Initial, best: p.resume.Best, average: p.resume.Average, state: p.state}
	t.adam = &optim.AdamW{M: p.resume.M, V: p.resume.V, Step: p.state.Step}
	return t.finish(ctx)
}

// finish readies the loop, runs it and writes the checkpoint.
func (t *trainer) finish(ctx context.Context) (*checkpoint.Bundle, error) {
	r := t.job.Recipe
	if err := r.Validate(); err != nil {
		return nil, err
	}
	t.model = t.bundle.Model
	start := t.model.Clone()
	copy(start.Params, t.initial)
	start.Dropout = 0
	// Bare tokens have no codec; the stages that decode refuse their streams.
	codec, err := t.bundle.Codec()
	if err != nil && (r.Stage == SFT || r.Stage == RL) {
		return nil, err
	}
	if t.stage, err = newStage(r, codec, t.job.Streams, start); err != nil {
		return nil, err
	}
	t.ready()

	if err := t.run(ctx); err != nil {
		return nil, err
	}
	out := t.result()
	if err := checkpoint.Save(t.job.Out, out); err != nil {
		return nil, err
	}
	if err := os.Remove(ResumePath(t.job.Out)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("train: %w", err)
	}
	return out, nil
}

// ready brings the optimizer, with the moments that are there or with none.
func (t *trainer) ready() {
	r := t.job.Recipe
	t.runner = t.model.TrainingRunner(r.Precision)
	t.grads = kernel.Floats(len(t.model.Params))
	for _, p := range t.model.Tensors {
		t.groups = append(t.groups, optim.Group{Name: p.Name, Param: p.View(t.model.Params), Grad: p.View(t.grads), Decay: p.Decays(), Fixed: p.Fixed()})
	}
	config := optim.Defaults()
	config.WeightDecay = r.WeightDecay
	if t.adam == nil {
		t.adam = optim.NewAdamW(config, t.groups)
	}
	t.adam.Config, t.adam.Groups = config, t.groups
	t.kept, t.keptRunner = t.model, t.runner
	if r.Average > 0 {
		t.kept = t.model.Clone()
		if t.average != nil {
			copy(t.kept.Params, t.average)
		}
		t.average = t.kept.Params
		t.keptRunner = t.kept.Runner(r.Precision)
	}
	t.lr = optim.Schedule{Peak: r.LR, Warmup: r.Warmup, Total: t.stage.Steps(), Floor: 0.1}
}

// result is the finished checkpoint.
func (t *trainer) result() *checkpoint.Bundle {
	out := *t.bundle
	out.Model = t.model.Clone()
	copy(out.Model.Params, t.best)
	r, s := t.job.Recipe, t.state
	out.Hash, out.Build, out.Precision = "", t.job.Build, r.Precision

	recipe, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	fit, selected := Seen(checkpoint.Weights, r.Stage, t.job.Streams)
	out.Fit = append(append([]checkpoint.Range(nil), t.bundle.Fit...), fit...)
	out.Selected = append(append([]checkpoint.Range(nil), t.bundle.Selected...), selected...)
	out.Lineage = append(append([]checkpoint.Step(nil), t.bundle.Lineage...), checkpoint.Step{
		Stage: r.Stage, Parent: s.Parent, Data: s.Data, Recipe: recipe,
		Steps: s.Step, BestStep: s.BestStep,
		Metric: t.stage.Metric(), Before: s.Before, After: s.Best, Final: s.Last,
		MeasuresBefore: s.MeasuresBefore, MeasuresAfter: s.MeasuresBest,
		Change: relativeChange(t.best, t.initial), Candles: count(t.job.Streams, dataset.Train), Validated: count(t.job.Streams, dataset.Val),
	})
	return &out
}

// count is the number of targets of a part: the first token of a stream has
// none before it to be predicted from.
func count(streams []*dataset.Stream, part dataset.Part) (n int) {
	for _, s := range streams {
		lo, hi := s.Bounds(part)
		n += max(0, hi-max(lo, 1))
	}
	return n
}

// Seen returns the ranges of the training and of the validation part of
// streams, as a part that was fitted on the one and chosen on the other.
func Seen(part, stage string, streams []*dataset.Stream) (fit, selected []checkpoint.Range) {
	return checkpoint.Seen(part, stage, streams, dataset.Train), checkpoint.Seen(part, stage, streams, dataset.Val)
}
