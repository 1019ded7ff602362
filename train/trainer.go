package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/optim"
	"github.com/micro-quant/mqc/predict"
)

// chunkTokens is how many positions run through the model at once. A larger
// batch is the sum of such chunks, so memory does not grow with the batch. It
// decides the order of sums, hence it is a constant.
const chunkTokens = 1024

// ChunkRows is how many windows of T tokens run through the model at once.
func ChunkRows(T int) int { return max(1, chunkTokens/T) }

// saveEvery bounds what a killed run loses where evaluations are far apart.
const saveEvery = time.Minute

// maxGradNorm is where the global norm of the gradient is clipped.
const maxGradNorm = 1.0

// Kinds of [Event].
const (
	EventStep = "step" // one optimizer step
	EventEval = "eval" // one evaluation on the validation part
)

// Event is something that happened in a run.
type Event struct {
	Kind     string   `json:"kind"`
	Stage    string   `json:"stage"`
	Step     int      `json:"step"` // optimizer steps done
	Steps    int      `json:"steps"`
	Measures Measures `json:"measures"`
	Best     bool     `json:"best,omitempty"`   // an evaluation better than all before
	Metric   string   `json:"metric,omitempty"` // of an evaluation: the measure that is best where it is smallest
}

// state is what a run knows beside weights and moments; it is the JSON of a
// resume file.
type state struct {
	Recipe    Recipe          `json:"recipe"`
	Source    json.RawMessage `json:"source,omitempty"`
	Parent    string          `json:"parent,omitempty"`
	Data      string          `json:"data"`
	Step      int             `json:"step"`
	Evaluated int             `json:"evaluated"` // evaluations done
	Bad       int             `json:"bad"`       // evaluations since the best
	BestStep  int             `json:"best_step"`
	Before    float64         `json:"before"`
	Best      float64         `json:"best"`
	Last      float64         `json:"last"`
	LastStep  int             `json:"last_step"` // of the newest evaluation

	// All measures of the first evaluation and of the best.
	MeasuresBefore Measures `json:"measures_before,omitempty"`
	MeasuresBest   Measures `json:"measures_best,omitempty"`
}

// trainer is the loop that all stages share.
type trainer struct {
	job    Job
	stage  Stage
	bundle *checkpoint.Bundle
	model  *gpt.Model
	runner *gpt.Runner

	// What is validated and kept: the model itself, or its moving average.
	kept       *gpt.Model
	keptRunner *gpt.Runner

	grads   []float32
	initial []float32
	best    []float32
	average []float32 // the moving average of the weights; nil: none
	groups  []optim.Group
	adam    *optim.AdamW
	lr      optim.Schedule
	state   state
	space   gpt.Workspace
	dlogits []float32
	saved   time.Time
}

// run trains until the stage ends, patience runs out or ctx does.
func (t *trainer) run(ctx context.Context) error {
	steps := t.stage.Steps()
	for {
		if t.evaluationDue(steps) {
			stop, err := t.evaluate(ctx, steps)
			if err != nil || stop {
				return err
			}
		}
		if t.state.Step >= steps {
			return nil
		}
		if time.Since(t.saved) > saveEvery {
			if err := t.save(); err != nil {
				return err
			}
		}
		if err := t.step(ctx, steps); err != nil {
			return err
		}
	}
}

// evaluationDue spreads Evals evaluations evenly over the steps, beside one
// before the first step and one after the last.
func (t *trainer) evaluationDue(steps int) bool {
	s := t.state.Step
	if s == t.state.LastStep && t.state.Evaluated > 0 {
		return false
	}
	every := max(1, (steps+t.job.Recipe.Evals-1)/t.job.Recipe.Evals)
	return s%every == 0 || s == steps
}

// step takes one optimizer step.
func (t *trainer) step(ctx context.Context, steps int) error {
	r, done := t.job.Recipe, t.state.Step
	batch, err := t.stage.Next(ctx, t.runner, done)
	if err != nil {
		return t.interrupted(err)
	}
	sum := Measures{}
	rows := ChunkRows(batch.T)
	for first := 0; first < batch.B; first += rows {
		if err := ctx.Err(); err != nil {
			return t.interrupted(err)
		}
		part := slice(batch, first, min(first+rows, batch.B), t.model)
		in := predict.Input(part, rng.Hash(r.Seed, rng.Dropout, r.id(), uint64(done), uint64(first)))
		logits := t.runner.Forward(&t.space, in)
		t.dlogits = zeroed(t.dlogits, len(logits))
		t.stage.Loss(sum, t.dlogits, logits, part, first)
		t.runner.Backward(&t.space, t.dlogits, t.grads)
	}
	norm := t.adam.GradNorm()
	if bad := sum["loss"] + norm; math.IsNaN(bad) || math.IsInf(bad, 0) {
		return fmt.Errorf("train: %s: step %d: loss %v with gradient norm %v: %w", r.Stage, done+1, sum["loss"], norm, ErrDiverged)
	}
	lr := t.lr.At(done)
	t.adam.Update(lr, optim.ClipScale(norm, maxGradNorm))
	t.runner.Update()
	t.state.Step++
	t.updateAverage()
	sum["lr"], sum["grad_norm"] = lr, norm
	t.observe(Event{Kind: EventStep, Step: t.state.Step, Steps: steps, Measures: sum})
	return nil
}

// updateAverage moves the average of the weights towards them, faster in the
// first steps, when it still remembers where they began.
func (t *trainer) updateAverage() {
	if t.average == nil {
		return
	}
	n := float64(t.state.Step)
	keep := float32(min(t.job.Recipe.Average, n/(n+9)))
	type args struct {
		average, params []float32
		keep            float32
	}
	parallel.Do(len(t.average), 1<<13, args{t.average, t.model.Params, keep}, func(a *args, lo, hi int) {
		for i, p := range a.params[lo:hi] {
			a.average[lo+i] = a.keep*a.average[lo+i] + (1-a.keep)*p
		}
	})
}

// ErrDiverged says that a loss or a gradient is no finite number.
var ErrDiverged = errors.New("training diverged")

// slice returns rows [lo,hi) of b.
func slice(b dataset.Batch, lo, hi int, m *gpt.Model) dataset.Batch {
	out := dataset.Batch{
		B: hi - lo, T: b.T,
		Inputs: b.Inputs[lo*b.T : hi*b.T], Targets: b.Targets[lo*b.T : hi*b.T], Weights: b.Weights[lo*b.T : hi*b.T],
	}
	if b.Returns != nil {
		out.Returns = b.Returns[lo*b.T : hi*b.T]
	}
	if b.Own != nil {
		out.Shared, out.Own = b.Shared[lo*b.T:hi*b.T], b.Own[lo*b.T:hi*b.T]
	}
	if k := len(m.Cond); k > 0 {
		out.Cond = b.Cond[lo*b.T*k : hi*b.T*k]
	}
	if f := m.Features; f > 0 {
		out.Features = b.Features[lo*b.T*f : hi*b.T*f]
	}
	return out
}

func zeroed(s []float32, n int) []float32 {
	if cap(s) < n {
		return kernel.Floats(n)
	}
	s = s[:n]
	clear(s)
	return s
}

// evaluate saves, validates and keeps the weights that are best so far. It
// reports whether patience has run out.
func (t *trainer) evaluate(ctx context.Context, steps int) (stop bool, err error) {
	// Saved first: a run that dies while it evaluates loses nothing.
	if err := t.save(); err != nil {
		return false, err
	}
	if t.average != nil {
		t.keptRunner.Update()
	}
	measures, err := t.stage.Validate(ctx, t.keptRunner)
	if err != nil {
		return false, t.interrupted(err)
	}
	value := measures[t.stage.Metric()]
	for _, name := range slices.Sorted(maps.Keys(measures)) {
		if v := measures[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			return false, fmt.Errorf("train: %s: step %d: validation %s is %v: %w", t.job.Recipe.Stage, t.state.Step, name, v, ErrDiverged)
		}
	}
	s := &t.state
	first := s.Evaluated == 0
	better := first || value < s.Best
	s.Evaluated++
	s.Last, s.LastStep = value, s.Step
	if first {
		s.Before, s.MeasuresBefore = value, measures
	}
	if better {
		s.Best, s.MeasuresBest, s.BestStep, s.Bad = value, measures, s.Step, 0
		copy(t.best, t.kept.Params)
	} else {
		s.Bad++
	}
	t.observe(Event{Kind: EventEval, Step: s.Step, Steps: steps, Measures: measures, Best: better, Metric: t.stage.Metric()})
	return t.job.Recipe.Patience > 0 && s.Bad >= t.job.Recipe.Patience, nil
}

// interrupted saves the state when a run was asked to stop, so that it goes on
// from the last whole step.
func (t *trainer) interrupted(err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e := t.save(); e != nil {
		return e
	}
	return fmt.Errorf("train: %s: stopped after step %d: %w", t.job.Recipe.Stage, t.state.Step, err)
}

func (t *trainer) observe(e Event) {
	e.Stage = t.job.Recipe.Stage
	if t.job.Observe != nil {
		t.job.Observe(e)
	}
}

// save writes the resume file.
func (t *trainer) save() error {
	text, err := json.Marshal(t.state)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	r := &checkpoint.Resume{Bundle: t.bundle, Initial: t.initial, Best: t.best, State: text}
	r.M, r.V, r.Average = t.adam.M, t.adam.V, t.average
	if err := checkpoint.SaveResume(ResumePath(t.job.Out), r); err != nil {
		return err
	}
	t.saved = time.Now()
	return nil
}

// relativeChange is ‖a − b‖ / ‖b‖.
func relativeChange(a, b []float32) float64 {
	diff := parallel.SumFloat64(len(a), func(lo, hi int) (sum float64) {
		for i := lo; i < hi; i++ {
			d := float64(a[i]) - float64(b[i])
			sum += d * d
		}
		return sum
	})
	norm := parallel.SumFloat64(len(b), func(lo, hi int) (sum float64) {
		for _, v := range b[lo:hi] {
			sum += float64(v) * float64(v)
		}
		return sum
	})
	return math.Sqrt(diff / norm)
}
