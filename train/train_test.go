package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
)

// small is a world that trains in milliseconds: its tokenizer, its model and
// its streams.
func small(t *testing.T) (*checkpoint.Bundle, []*dataset.Stream) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 3, 400
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Hidden, vq.MinSteps, vq.Refine = 16, 8, 60, 10
	b, err := Prepare(context.Background(), m.Series, Preparation{Scaler: feature.EWMA, VQ: vq})
	if err != nil {
		t.Fatal(err)
	}
	streams, err := Encode(b, m.Series)
	if err != nil {
		t.Fatal(err)
	}
	b.Model, err = gpt.New(gpt.Config{Vocab: 16, SeqLen: 24, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b, streams
}

// recipes are short runs of all four stages.
func recipes() []Recipe {
	var out []Recipe
	for _, stage := range []string{Pretrain, Midtrain, SFT, RL} {
		r := Defaults(stage)
		r.Seed, r.Batch, r.Evals, r.LR, r.Dropout, r.Patience = 7, 4, 3, 1e-3, 0.1, 0
		switch stage {
		case SFT:
			r.ContextLen, r.Horizon, r.Epochs = 12, 6, 1
		case RL:
			r.ContextLen, r.Horizon, r.Steps, r.Batch, r.Group, r.Reward = 12, 6, 6, 2, 3, RewardCRPS
		default:
			r.SeqLen, r.Epochs = 24, 1
		}
		out = append(out, r)
	}
	return out
}

func TestAllStagesLeaveACheckpointThatSaysWhatHappened(t *testing.T) {
	b, streams := small(t)
	dir := t.TempDir()
	for i, r := range recipes() {
		out := filepath.Join(dir, r.Stage+".pt")
		var events int
		if _, err := Run(context.Background(), Job{Recipe: r, Start: b, Streams: streams, Out: out, Observe: func(Event) { events++ }}); err != nil {
			t.Fatalf("%s: %v", r.Stage, err)
		}
		next, err := checkpoint.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if len(next.Lineage) != i+1 {
			t.Fatalf("%s: lineage of %d steps, want %d", r.Stage, len(next.Lineage), i+1)
		}
		step := next.Lineage[i]
		if step.Stage != r.Stage || step.Parent != b.Hash || step.Steps == 0 || events <= step.Steps {
			t.Errorf("%s: lineage %+v with %d events, parent want %q", r.Stage, step, events, b.Hash)
		}
		if step.After > step.Before {
			t.Errorf("%s: kept %v, worse than the start's %v", r.Stage, step.After, step.Before)
		}
		checkMeasures(t, step)
		fit := next.Fit[len(next.Fit)-1]
		if border := b.Split.ValFrom; fit.Part != checkpoint.Weights || !fit.Last.Before(border) {
			t.Errorf("%s: fit %+v reaches validation at %v", r.Stage, fit, border)
		}
		if _, err := os.Stat(ResumePath(out)); err == nil {
			t.Errorf("%s: the resume file is still there", r.Stage)
		}
		b = next
	}
}

// checkMeasures wants the measures of the stage, in their ranges, before and
// after it.
func checkMeasures(t *testing.T, step checkpoint.Step) {
	t.Helper()
	most := map[string]float64{"nats": math.Inf(1), "top1": 1, "top5": 1, "entropy": math.Log(16)}
	if step.Stage == SFT || step.Stage == RL {
		for _, name := range []string{"crps", "crps_1", "crps_5", "crps_h"} {
			most[name] = math.Inf(1)
		}
		most["coverage_1"], most["coverage_h"] = 1, 1
	}
	for _, at := range []struct {
		name     string
		measures map[string]float64
		metric   float64
	}{{"before", step.MeasuresBefore, step.Before}, {"after", step.MeasuresAfter, step.After}} {
		if len(at.measures) != len(most) || at.measures[step.Metric] != at.metric {
			t.Errorf("%s: measures %s %v, want %d with %s %v", step.Stage, at.name, at.measures, len(most), step.Metric, at.metric)
		}
		for name, bound := range most {
			// 1e-6: a flat distribution over float32 logits.
			if v, ok := at.measures[name]; !ok || !(v >= 0 && v <= bound+1e-6) || math.IsInf(v, 0) {
				t.Errorf("%s: %s %s is %v, want 0 to %v", step.Stage, name, at.name, v, bound)
			}
		}
	}
}

// A run that is stopped anywhere goes on to the bits of an unbroken one.
func TestResumeGivesTheBitsOfAnUnbrokenRun(t *testing.T) {
	start, streams := small(t)
	averaged := recipes()[0]
	averaged.Average = 0.9
	for name, r := range map[string]Recipe{"averaged": averaged, Pretrain: recipes()[0], Midtrain: recipes()[1], SFT: recipes()[2], RL: recipes()[3]} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			job := Job{Recipe: r, Start: start, Streams: streams, Out: filepath.Join(dir, "whole"), Source: json.RawMessage(`{}`)}
			if _, err := Run(context.Background(), job); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(job.Out)
			if err != nil {
				t.Fatal(err)
			}
			for stop := 1; stop <= 7; stop += 2 {
				job.Out = filepath.Join(dir, "broken")
				ctx, cancel := context.WithCancel(context.Background())
				events := 0
				job.Observe = func(Event) {
					if events++; events == stop {
						cancel()
					}
				}
				if _, err := Run(ctx, job); !errors.Is(err, context.Canceled) {
					t.Fatalf("stopped at event %d: %v", stop, err)
				}
				job.Observe = nil
				p, err := OpenPending(job.Out)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := Continue(context.Background(), p, job); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(job.Out)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("stopped at event %d: the checkpoint differs from the unbroken run's", stop)
				}
			}
		})
	}
}

func TestSameBitsForAnyWorkers(t *testing.T) {
	start, streams := small(t)
	for _, r := range recipes() {
		var want []byte
		for workers := 1; workers <= 3; workers++ {
			previous := parallel.SetWorkers(workers)
			out := filepath.Join(t.TempDir(), "x")
			_, err := Run(context.Background(), Job{Recipe: r, Start: start, Streams: streams, Out: out})
			parallel.SetWorkers(previous)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			} else if !bytes.Equal(got, want) {
				t.Errorf("%s: %d workers give other bits than one", r.Stage, workers)
			}
		}
	}
}

func TestContinueRefusesOtherData(t *testing.T) {
	start, streams := small(t)
	ctx, cancel := context.WithCancel(context.Background())
	job := Job{Recipe: recipes()[0], Start: start, Streams: streams, Out: filepath.Join(t.TempDir(), "x"), Observe: func(Event) { cancel() }}
	if _, err := Run(ctx, job); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	p, err := OpenPending(job.Out)
	if err != nil {
		t.Fatal(err)
	}
	changed := *streams[0]
	changed.Tokens = append([]int32(nil), changed.Tokens...)
	changed.Tokens[5] ^= 1
	job.Streams = append([]*dataset.Stream{&changed}, streams[1:]...)
	if _, err := Continue(context.Background(), p, job); err == nil || !strings.Contains(err.Error(), "not what the run began with") {
		t.Errorf("Continue with changed data: %v", err)
	}
}

// The context of a fine-tuning window is only looked at: no target of it may
// reach the loss, not even a little.
func TestSFTGradientOfTheContextIsExactlyZero(t *testing.T) {
	b, streams := small(t)
	r := recipes()[2]
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSFT(r, codec, streams, b.Model)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := s.Next(context.Background(), b.Runner(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var w gpt.Workspace
	logits := b.Runner().Forward(&w, predict.Input(batch, 0))
	dlogits := make([]float32, len(logits))
	s.Loss(Measures{}, dlogits, logits, batch, 0)
	V, horizon := b.Model.Vocab, 0
	for row := range batch.B * batch.T {
		norm := 0.0
		for _, d := range dlogits[row*V : (row+1)*V] {
			norm += math.Abs(float64(d))
		}
		switch weight := batch.Weights[row]; {
		case weight == 0 && norm != 0:
			t.Fatalf("row %d of the context has a gradient of %v", row, norm)
		case weight == 1 && norm == 0:
			t.Fatalf("row %d of the horizon has no gradient", row)
		case weight == 1:
			horizon++
		}
	}
	if want := batch.B * r.Horizon; horizon != want {
		t.Errorf("%d targets on the horizon, want %d", horizon, want)
	}
}

// No stage may draw a target from validation or test, whatever it draws.
func TestNoStageTrainsOnHeldOutTargets(t *testing.T) {
	b, streams := small(t)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	// With every held-out token replaced, the batches of all stages but the
	// model's own draws must be the same.
	changed := make([]*dataset.Stream, len(streams))
	for i, s := range streams {
		c := *s
		c.Tokens = append([]int32(nil), s.Tokens...)
		for j := s.ValFrom; j < len(c.Tokens); j++ {
			c.Tokens[j] = (c.Tokens[j] + 5) % 16
		}
		changed[i] = &c
	}
	for _, r := range recipes() {
		r.Dropout = 0
		one, err := newStage(r, codec, streams, b.Model)
		if err != nil {
			t.Fatal(err)
		}
		two, err := newStage(r, codec, changed, b.Model)
		if err != nil {
			t.Fatal(err)
		}
		for step := range one.Steps() {
			x, err := one.Next(context.Background(), b.Runner(), step)
			if err != nil {
				t.Fatal(err)
			}
			y, err := two.Next(context.Background(), b.Runner(), step)
			if err != nil {
				t.Fatal(err)
			}
			for i := range x.Targets {
				if x.Targets[i] != y.Targets[i] && x.Weights[i] != 0 || x.Inputs[i] != y.Inputs[i] {
					t.Fatalf("%s: step %d: position %d depends on held-out tokens", r.Stage, step, i)
				}
			}
		}
	}
}

// With advantage zero the KL and entropy terms remain: their gradient against
// finite differences, and the policy term with a tempered, truncated sampler.
func TestRLGradientAgainstFiniteDifferences(t *testing.T) {
	s := &rl{r: Recipe{KLCoef: 0.7, EntropyCoef: 0.3, Sampler: gpt.Sampler{Temperature: 1.3, TopK: 5}}}
	logits := []float32{0.3, -1, 2, 0.1, -0.4, 1.2, 0.7, -2}
	ref := []float32{0.1, 0.2, 1, -0.3, 0.9, 0, -1, 0.4}
	V := len(logits)
	const token, advantage, norm = 5, -1.7, 3.0
	loss := func(l []float32) float64 {
		p, kl, h := s.row(make([]float32, V), l, ref, token, advantage, norm, newRowScratch(V))
		return (p + s.r.KLCoef*kl - s.r.EntropyCoef*h) / norm
	}
	got := make([]float32, V)
	s.row(got, logits, ref, token, advantage, norm, newRowScratch(V))
	for k := range logits {
		const eps = 1e-2
		up, down := append([]float32(nil), logits...), append([]float32(nil), logits...)
		up[k] += eps
		down[k] -= eps
		want := (loss(up) - loss(down)) / float64(up[k]-down[k])
		// eps² times a third derivative of order one.
		if math.Abs(float64(got[k])-want) > 2e-4 {
			t.Errorf("dlogits[%d] = %v, finite difference %v", k, got[k], want)
		}
	}
}

// What a row of a tree sees is the context and its own path up to there, and the
// target, the inputs beside it and the advantage are that path's.
func TestRLWindowsAreTreesOfPaths(t *testing.T) {
	b, streams := small(t)
	b.Inputs = dataset.Inputs{Calendar: true, Volume: true}
	codec := mustCodec(t, b)
	for i, s := range streams {
		var err error
		if streams[i], err = codec.WithInputs(s); err != nil {
			t.Fatal(err)
		}
	}
	c := b.Model.Config
	c.Cond, c.Features = b.Inputs.Cond(), b.Inputs.Features()
	var err error
	if b.Model, err = gpt.New(c, 1); err != nil {
		t.Fatal(err)
	}
	K, F := len(c.Cond), c.Features
	ctx, r := context.Background(), recipes()[3]
	for _, r.Group = range []int{6, 254} { // one tree, and three of which one has room left
		r.ContextLen, r.Horizon, r.Batch = 12, 8, 3
		s, err := newRL(r, codec, streams, b.Model)
		if err != nil {
			t.Fatal(err)
		}
		s.contexts = append([]dataset.Window{{Stream: 0, Start: 0, Len: 1 + r.Horizon - 1, From: 1, To: 1 + r.Horizon}}, s.contexts...)[:3]
		batch, err := s.Next(ctx, b.Runner(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Model.Check(predict.Input(batch, 0)); err != nil {
			t.Fatal(err)
		}
		if many := batch.B > r.Batch; many != (r.Group > 6) || batch.T > chunkTokens {
			t.Fatalf("group %d: %d windows of %d rows", r.Group, batch.B, batch.T)
		}
		row := 0
		for e, c := range pick(rng.New(r.Seed, rng.Shuffle, r.id(), 0), r.Batch, len(s.contexts)) {
			win := s.contexts[c]
			stream := streams[win.Stream]
			paths, err := predict.Paths(ctx, b.Runner(), codec, stream, win.From, r.ContextLen, gpt.Generation{
				Paths: r.Group, Steps: r.Horizon, Sampler: r.Sampler, Seed: rng.Hash(r.Seed, rng.Rollout, r.id(), 0, uint64(e)),
			})
			if err != nil {
				t.Fatal(err)
			}
			_, advantages := s.judge(stream, win.From, paths)
			for i, p := range paths {
				for h, target := range p.Tokens {
					for row < len(batch.Weights) && batch.Weights[row] == 0 {
						row++
					}
					var seen, cond []int32
					var features []float32
					first := row / batch.T * batch.T
					for u := first; u <= row; u++ {
						if u < first+int(batch.Shared[row]) || u >= first+int(batch.Own[row]) {
							seen = append(seen, batch.Inputs[u])
							cond = append(cond, batch.Cond[u*K:(u+1)*K]...)
							features = append(features, batch.Features[u*F:(u+1)*F]...)
						}
					}
					want := slices.Concat(stream.Tokens[win.Start:win.From], p.Tokens[:h])
					if !slices.Equal(cond, slices.Concat(stream.Cond[win.Start*K:win.From*K], p.Cond[:h*K])) ||
						!slices.Equal(features, slices.Concat(stream.Features[win.Start*F:win.From*F], p.Features[:h*F])) {
						t.Fatalf("group %d, context %d, path %d, step %d: other inputs beside the tokens", r.Group, e, i, h)
					}
					if !slices.Equal(seen, want) || batch.Targets[row] != target || s.advantages[row] != advantages[i] {
						t.Fatalf("group %d, context %d, path %d, step %d: sees %v before %d with advantage %v, want %v before %d with %v",
							r.Group, e, i, h, seen, batch.Targets[row], s.advantages[row], want, target, advantages[i])
					}
					row++
				}
			}
		}
		if n := s.drawn; n != r.Batch*r.Group*r.Horizon {
			t.Errorf("group %d: %d tokens drawn", r.Group, n)
		}
		if slices.ContainsFunc(batch.Weights[row:], func(w float32) bool { return w != 0 }) {
			t.Errorf("group %d: weights behind the last path", r.Group)
		}
	}
}

// Loss and gradient of a step are those of windows that hold a path each.
func TestRLOfTreesIsThatOfPathsAlone(t *testing.T) {
	b, streams := small(t)
	codec := mustCodec(t, b)
	r := recipes()[3]
	r.Batch, r.Group, r.KLCoef, r.EntropyCoef = 3, 254, .5, .3
	s, err := newRL(r, codec, streams, b.Model)
	if err != nil {
		t.Fatal(err)
	}
	policy := b.Model.Clone() // which has gone away from the reference
	for i := range policy.Params {
		policy.Params[i] += .02 * float32(math.Sin(float64(i)))
	}
	runner := policy.TrainingRunner(gpt.F32)
	trees, err := s.Next(t.Context(), runner, 0)
	if err != nil {
		t.Fatal(err)
	}
	step := func(batch dataset.Batch) (sum Measures, grads []float32) {
		var space gpt.Workspace
		sum, grads = Measures{}, make([]float32, len(policy.Params))
		logits := runner.Forward(&space, predict.Input(batch, 0))
		dlogits := make([]float32, len(logits))
		s.Loss(sum, dlogits, logits, batch, 0)
		runner.Backward(&space, dlogits, grads)
		return sum, grads
	}
	got, gotGrads := step(trees)

	H, T := r.Horizon, r.window()
	alone := dataset.Batch{T: T}
	var advantages []float64
	for row, weight := range trees.Weights {
		at := row % trees.T
		if own := int(trees.Own[row]); weight == 0 || own != at {
			continue // not the first row of a path
		}
		shared := int(trees.Shared[row])
		inputs, targets := make([]int32, T), make([]int32, T)
		weights, advantage := make([]float32, T), make([]float64, T)
		copy(inputs, trees.Inputs[row-at:row-at+shared])
		copy(inputs[shared:], trees.Inputs[row:row+H])
		copy(targets[shared:], trees.Targets[row:row+H])
		copy(weights[shared:], trees.Weights[row:row+H])
		copy(advantage[shared:], s.advantages[row:row+H])
		alone.B++
		alone.Inputs, alone.Targets, alone.Weights = append(alone.Inputs, inputs...), append(alone.Targets, targets...), append(alone.Weights, weights...)
		advantages = append(advantages, advantage...)
	}
	if alone.B != r.Batch*r.Group {
		t.Fatalf("%d paths in the trees of %d groups of %d", alone.B, r.Batch, r.Group)
	}
	s.advantages = advantages
	want, wantGrads := step(alone)
	near := func(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*max(1, math.Abs(b)) }
	for name, x := range want {
		if !near(got[name], x, 1e-6) {
			t.Errorf("%s is %v, of paths alone %v", name, got[name], x)
		}
	}
	for i, g := range wantGrads {
		if !near(float64(gotGrads[i]), float64(g), 1e-5) {
			t.Fatalf("gradient %d is %v, of paths alone %v", i, gotGrads[i], g)
		}
	}
}

func TestTreesOfAGroup(t *testing.T) {
	for _, c := range []struct{ context, horizon, group, trees, branches int }{
		{128, 32, 16, 1, 16}, {128, 32, 28, 1, 28}, {128, 32, 29, 2, 15}, {128, 32, 64, 3, 22}, {1, 1, 1024, 1, 1024}, {200, 2000, 16, 16, 1},
	} {
		r := Recipe{ContextLen: c.context, Horizon: c.horizon, Group: c.group}
		if trees, branches := r.trees(); trees != c.trees || branches != c.branches {
			t.Errorf("%d paths of %d after %d: %d trees of %d branches, want %d of %d", c.group, c.horizon, c.context, trees, branches, c.trees, c.branches)
		}
	}
}

func TestRolloutFeedsOwnSamplesOnTheHorizonOnly(t *testing.T) {
	b, streams := small(t)
	codec, err := b.Codec()
	if err != nil {
		t.Fatal(err)
	}
	r := recipes()[2]
	plain, err := newSFT(r, codec, streams, b.Model)
	if err != nil {
		t.Fatal(err)
	}
	r.RolloutProb = 1
	mixed, err := newSFT(r, codec, streams, b.Model)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := plain.Next(context.Background(), b.Runner(), 0)
	y, _ := mixed.Next(context.Background(), b.Runner(), 0)
	replaced := 0
	for i := range x.Inputs {
		if x.Targets[i] != y.Targets[i] || x.Weights[i] != y.Weights[i] {
			t.Fatalf("position %d: target or weight changed", i)
		}
		if x.Inputs[i] == y.Inputs[i] {
			continue
		}
		replaced++
		if i%x.T == 0 || x.Weights[i-1] == 0 {
			t.Fatalf("position %d is not on the horizon, but its input changed", i)
		}
	}
	// An untrained model draws the true token once in 16.
	if horizon := x.B * (r.Horizon - 1); replaced < horizon*3/4 {
		t.Errorf("%d of %d horizon inputs replaced", replaced, horizon)
	}
}

func TestDivergenceIsAnErrorAndWritesNoCheckpoint(t *testing.T) {
	b, streams := small(t)
	b.Model.Params[10] = float32(math.NaN())
	out := filepath.Join(t.TempDir(), "x")
	_, err := Run(context.Background(), Job{Recipe: recipes()[0], Start: b, Streams: streams, Out: out})
	if !errors.Is(err, ErrDiverged) && !errors.Is(err, gpt.ErrNotFinite) {
		t.Errorf("training with a NaN weight: %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a checkpoint was written")
	}
}

func TestRecipeTakesEveryReward(t *testing.T) {
	for _, reward := range Rewards() {
		r := Defaults(RL)
		r.Reward = reward
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", reward, err)
		}
	}
}

func TestRecipeValidateReportsEveryFault(t *testing.T) {
	r := Defaults(RL)
	r.Batch, r.LR, r.Horizon, r.Group, r.Reward = 0, -1, 0, 1, "luck"
	err := r.Validate()
	for _, word := range []string{"batch", "lr", "horizon", "group", "reward"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Validate() = %v, want a word on %s", err, word)
		}
	}
}
