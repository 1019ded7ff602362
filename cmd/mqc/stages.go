package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/report"
	"github.com/micro-quant/mqc/train"
)

// stageFlags are the flags that a training command fills in.
type stageFlags struct {
	recipe train.Recipe
	in     string
	out    string
	csv    string
	resume bool

	precision string
}

// bind registers the flags of every training command.
func (f *stageFlags) bind(c *cobra.Command, runs *string) {
	r, flags := &f.recipe, c.Flags()
	flags.StringVar(&f.out, "out", f.out, "checkpoint to write, or its folder (also --save_dir)")
	flags.Float64Var(&r.LR, "lr", r.LR, "peak learning rate (also --learning_rate)")
	flags.Float64Var(&r.WeightDecay, "weight-decay", r.WeightDecay, "decay of the matrices, per unit of learning rate")
	flags.IntVar(&r.Warmup, "warmup", r.Warmup, "steps of linear warm-up")
	flags.Float64Var(&r.Dropout, "dropout", r.Dropout, "dropout on the embedding and the residual branches")
	flags.IntVar(&r.Patience, "patience", r.Patience, "evaluations without improvement before stopping; 0 never stops")
	bindPrecision(flags, &f.precision)
	flags.StringVar(runs, "runs", "", "folder of the registry of runs (default: runs in the folder of --out, or beside it where that is called checkpoints)")
	flags.BoolVar(&f.resume, "resume", false, "go on with an unfinished run; everything else comes from its file")
	if r.Stage != train.RL {
		flags.IntVar(&r.Epochs, "epochs", r.Epochs, "passes over the training targets (also --num_epochs)")
		flags.IntVar(&r.Batch, "batch", r.Batch, "windows per step (also --batch_size)")
	}
}

// bindAsset registers the flags of the stages that go on with one asset.
func (f *stageFlags) bindAsset(c *cobra.Command, alias string, runs *string) {
	f.bind(c, runs)
	c.Flags().StringVar(&f.in, "in", f.in, "checkpoint to start from")
	c.Flags().StringVar(&f.csv, "csv", "", "candles of the asset (also "+alias+"; default: newest data/BTC-USD_*_1d.csv)")
}

// bindHorizon registers context and horizon.
func (f *stageFlags) bindHorizon(c *cobra.Command) {
	c.Flags().IntVar(&f.recipe.ContextLen, "context-len", f.recipe.ContextLen, "candles before the origin")
	c.Flags().IntVar(&f.recipe.Horizon, "horizon", f.recipe.Horizon, "candles to predict")
}

func (a *app) midtrain() *cobra.Command {
	f := &stageFlags{recipe: train.Defaults(train.Midtrain), in: bestModel, out: midtrainModel}
	c := &cobra.Command{
		Use:     "stage2",
		Aliases: []string{"midtrain"},
		Short:   "Stage 2: go on with a single asset",
		Example: "  mqc stage2 --in checkpoints/best_model.pt --out checkpoints/midtrain_btc.pt --csv data/BTC-USD_2014-09-17_2024-12-31_1d.csv --epochs 3 --lr 1e-5",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.assetStage(c, f) },
	}
	f.bindAsset(c, "--btc-csv", &a.runs)
	c.Flags().IntVar(&f.recipe.SeqLen, "seq-len", f.recipe.SeqLen, "tokens per window; at most the model's context")
	return c
}

func (a *app) sft() *cobra.Command {
	f := &stageFlags{recipe: train.Defaults(train.SFT), in: midtrainModel, out: sftModel}
	c := &cobra.Command{
		Use:     "stage3",
		Aliases: []string{"sft"},
		Short:   "Stage 3: train on a horizon of many candles",
		Example: "  mqc stage3 --in checkpoints/midtrain_btc.pt --out checkpoints/sft_btc.pt --epochs 10 --context-len 128 --horizon 32",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.assetStage(c, f) },
	}
	f.bindAsset(c, "--asset-csv", &a.runs)
	f.bindHorizon(c)
	c.Flags().Float64Var(&f.recipe.RolloutProb, "rollout-prob", f.recipe.RolloutProb, "chance that a horizon input is the model's own sample")
	return c
}

func (a *app) rl() *cobra.Command {
	f := &stageFlags{recipe: train.Defaults(train.RL), in: sftModel, out: rlModel}
	r := &f.recipe
	c := &cobra.Command{
		Use:     "stage4",
		Aliases: []string{"rl"},
		Short:   "Stage 4: REINFORCE on a reward",
		Long: `Stage 4: REINFORCE on a reward. token_acc, return_mse and sharpe, which is
the Sharpe ratio of trading the signs of the path, are not proper scores: they
reward a distribution that collapses. crps is proper.`,
		Example: "  mqc stage4 --steps 200 --batch-episodes 8 --reward crps",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.assetStage(c, f) },
	}
	f.bindAsset(c, "--asset-csv", &a.runs)
	f.bindHorizon(c)
	flags := c.Flags()
	flags.IntVar(&r.Steps, "steps", r.Steps, "optimizer steps")
	flags.IntVar(&r.Batch, "batch-episodes", r.Batch, "contexts per step")
	flags.IntVar(&r.Group, "group", r.Group, "paths per context")
	flags.Float64Var(&r.Sampler.Temperature, "temperature", 1, "of the sampled paths (also --temp)")
	flags.IntVar(&r.Sampler.TopK, "top-k", 0, "draw paths from the k likeliest tokens; 0 is all")
	flags.Float64Var(&r.EntropyCoef, "entropy-coef", r.EntropyCoef, "weight of the entropy")
	flags.Float64Var(&r.KLCoef, "kl-coef", r.KLCoef, "weight of the KL divergence from the start")
	flags.StringVar(&r.Reward, "reward", r.Reward, strings.Join(train.Rewards(), ", "))
	if err := c.RegisterFlagCompletionFunc("reward", cobra.FixedCompletions(train.Rewards(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is ours
	}
	return c
}

// assetStage runs stage 2, 3 or 4.
func (a *app) assetStage(c *cobra.Command, f *stageFlags) error {
	usual := map[string]string{train.Midtrain: midtrainModel, train.SFT: sftModel, train.RL: rlModel}[f.recipe.Stage]
	var err error
	if f.out, err = outPath(f.out, usual); err != nil {
		return err
	}
	if f.resume {
		return a.resumeStage(c, f)
	}
	if err := refuseUnfinished(f.out); err != nil {
		return err
	}
	f.recipe.Seed = a.seed
	if err := f.recipe.Validate(); err != nil {
		return newUsageError(c, err)
	}
	if f.csv == "" {
		path, err := defaultCSV()
		if err != nil {
			return err
		}
		f.csv = path
	}
	if err := checkModelOut(f.out, f.csv); err != nil {
		return err
	}
	start, model, err := checkpoint.OpenModel(f.in)
	if err != nil {
		return err
	}
	a.fitWindow(c, &f.recipe, model)
	if f.recipe.Precision, err = gpt.ParsePrecision(f.precision, model.Config); err != nil {
		return newUsageError(c, err)
	}
	if _, err := start.Codec(); err != nil {
		return err
	}
	src := source{CSV: f.csv}
	series, err := a.learnt(src)
	if err != nil {
		return err
	}
	streams, err := train.Encode(start, series)
	if err != nil {
		return err
	}
	_, err = a.runStage(c.Context(), train.Job{
		Recipe: f.recipe, Start: start, Streams: streams, Out: f.out, Build: version, Source: src.encode(),
	}, nil)
	return err
}

// fitWindow shortens default windows to what the model can hold; what the user
// asked for stays, and is refused if it does not fit.
func (a *app) fitWindow(c *cobra.Command, r *train.Recipe, m *gpt.Model) {
	changed := func(name string) bool { f := c.Flags().Lookup(name); return f != nil && f.Changed }
	if r.Stage == train.Midtrain {
		if !changed("seq-len") && r.SeqLen > m.SeqLen {
			r.SeqLen = m.SeqLen
		}
		return
	}
	if changed("context-len") || r.ContextLen+r.Horizon-1 <= m.SeqLen {
		return
	}
	if !changed("horizon") {
		r.Horizon = min(r.Horizon, max(1, m.SeqLen/4))
	}
	r.ContextLen = max(1, m.SeqLen+1-r.Horizon)
	a.talk("the model holds %d tokens: context %d, horizon %d", m.SeqLen, r.ContextLen, r.Horizon)
}

// refuseUnfinished keeps a new run from writing over the state of an older one.
func refuseUnfinished(out string) error {
	path := train.ResumePath(out)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%w: %s", errUnfinished, path)
	}
	return nil
}

// errUnfinished says that an earlier run to the same place can be resumed.
var errUnfinished = errors.New("an unfinished run is there")

// resumeStage goes on with an unfinished run.
func (a *app) resumeStage(c *cobra.Command, f *stageFlags) error {
	if _, err := os.Stat(train.ResumePath(f.out)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(f.out); err == nil {
			a.talk("%s is finished: nothing to resume", f.out)
			return nil
		}
		return fmt.Errorf("resume: %s: %w", train.ResumePath(f.out), errNoRun)
	}
	p, err := train.OpenPending(f.out)
	if err != nil {
		return err
	}
	if p.Recipe.Stage != f.recipe.Stage {
		return usagef(c, "%s is a run of stage %s, not %s", train.ResumePath(f.out), p.Recipe.Stage, f.recipe.Stage)
	}
	if idle := setWithoutEffect(c); len(idle) > 0 {
		a.talk("no effect of %s: the run goes on with the settings that it began with", strings.Join(idle, ", "))
	}
	var src source
	if err := json.Unmarshal(p.Source, &src); err != nil {
		return fmt.Errorf("resume: %s: %w", train.ResumePath(f.out), err)
	}
	streams, err := src.streams(p.Bundle, p.Bundle.Model.Vocab)
	if err != nil {
		return err
	}
	_, err = a.runStage(c.Context(), train.Job{Recipe: p.Recipe, Streams: streams, Out: f.out, Build: version}, p)
	return err
}

// setWithoutEffect are the flags of a command line that a resumed run does not ask.
func setWithoutEffect(c *cobra.Command) (idle []string) {
	c.Flags().Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"resume", "out", "runs", "json", "quiet", "device"}, f.Name) {
			idle = append(idle, "--"+f.Name)
		}
	})
	return idle
}

var (
	// errInterrupted says that the user stopped a run.
	errInterrupted = errors.New("interrupted")
	// errNoRun says that there is nothing to resume.
	errNoRun = errors.New("no unfinished run there")
)

// runStage runs or resumes one stage with progress, a log and a summary.
func (a *app) runStage(ctx context.Context, job train.Job, pending *train.Pending) (*checkpoint.Bundle, error) {
	a.noteName(job.Out)
	meter := a.newMeter(report.LogPath(job.Out), job.Out, a.runsFolder(job.Out), pending)
	defer meter.close()
	job.Observe = meter.observe
	if pending == nil {
		n := 0
		for _, s := range job.Streams {
			lo, hi := s.Bounds(dataset.Train)
			n += hi - lo
		}
		a.talk("%s: %d training candles of %d assets", job.Recipe.Stage, n, len(job.Streams))
	} else {
		a.talk("%s: going on after step %d", pending.Recipe.Stage, pending.Step)
	}
	run := func() (*checkpoint.Bundle, error) { return train.Run(ctx, job) }
	if pending != nil {
		run = func() (*checkpoint.Bundle, error) { return train.Continue(ctx, pending, job) }
	}
	b, err := run()
	meter.stop()
	meter.record.end(err)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("%w: saved in %s: %w", errInterrupted, train.ResumePath(job.Out), err)
		}
		if _, missing := os.Stat(train.ResumePath(job.Out)); missing == nil && diskFull(err) {
			return nil, &hintedError{err, "free some disk; the same command with --resume then goes on"}
		}
		return nil, err
	}
	step := b.Lineage[len(b.Lineage)-1]
	if a.json {
		return b, a.printJSON(map[string]any{"out": job.Out, "result": step})
	}
	a.say("%s: %d steps, validation %s %.4f → %.4f (step %d), weights moved %.2g, %s",
		step.Stage, step.Steps, step.Metric, step.Before, step.After, step.BestStep, step.Change, job.Out)
	switch {
	case step.BestStep == 0:
		a.say("  ! no step improved validation %s: the weights are those it started with (last step: %.4f)", step.Metric, step.Final)
	case step.Final > step.Before:
		a.say("  ! this stage ended worse than it began (validation %s %.4f): the weights are those of its best step", step.Metric, step.Final)
	}
	return b, nil
}

// noteName says once that a .pt of ours is no PyTorch file.
func (a *app) noteName(path string) {
	if !a.named && len(path) > 3 && path[len(path)-3:] == ".pt" {
		a.named = true
		a.talk("%s: the name is kept, the format is safetensors", path)
	}
}
