package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/measure"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	shapeFlags
	config  measure.Config
	workers int
}

func (a *app) bench() *cobra.Command {
	f := &benchFlags{}
	c := &cobra.Command{
		Use:   "bench " + strings.Join(measure.Works, "|"),
		Short: "Measure how fast this machine trains, evaluates, decodes, multiplies and serves",
		Long: `Measure how fast this machine trains, evaluates, decodes and multiplies, with
fresh weights and random tokens. A step of train is one of mqc train; eval is
the forward pass and the loss; decode continues one prompt on --paths paths at
temperature 1 and does not count the prompt; gemm is every matrix product of a
training step and of decoding 1, 16 and 64 paths. mqc bench serve is a command of
its own.

Operations are those of the matrix products and of causal attention, 2 for a
multiplication with its addition; training is three times the forward pass.
The peak is measured beside them: multiply-adds on registers alone.

A neighbour on the machine changes every number. Compare runs in turn.`,
		Example: "  mqc bench train\n  mqc bench decode --paths 64 --json\n  mqc bench gemm --preset quick",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(measure.Works, args[0]) {
				return fmt.Errorf("bench %q: want one of %s, serve", strings.Join(args, " "), strings.Join(measure.Works, ", "))
			}
			return nil
		},
		ValidArgs: measure.Works,
		RunE:      func(c *cobra.Command, args []string) error { return a.runBench(c, f, args[0]) },
	}
	f.bindShape(c)
	flags, m := c.Flags(), &f.config
	flags.IntVar(&m.Batch, "batch", 8, "windows per step (also --batch_size)")
	flags.IntVar(&m.T, "seq", 0, "tokens per window (default: the model's context)")
	bindPrecision(flags, &m.Precision)
	flags.IntVar(&m.Paths, "paths", 1, "decode: paths that continue the prompt")
	flags.IntVar(&m.Prompt, "prompt", 128, "decode: tokens of the prompt")
	flags.IntVar(&m.New, "new", 128, "decode: new tokens of each path")
	flags.IntVar(&m.Steps, "steps", 5, "steps that count; for decode whole generations")
	flags.IntVar(&m.Warmup, "warmup", 2, "steps before those")
	flags.IntVar(&f.workers, "workers", 0, "goroutines that compute (default: one for each core)")
	c.AddCommand(a.benchServe())
	return c
}

func (a *app) runBench(c *cobra.Command, f *benchFlags, work string) error {
	shape, err := f.modelShape(c, 0)
	if err != nil {
		return newUsageError(c, err)
	}
	m := f.config
	m.Work, m.Model, m.Seed = work, shape, a.seed
	if !c.Flags().Changed("seq") {
		m.T = shape.SeqLen
	}
	if err := m.Validate(); err != nil {
		return newUsageError(c, err)
	}
	if f.workers < 0 {
		return usagef(c, "--workers %d: want at least 1", f.workers)
	}
	defer parallel.SetWorkers(parallel.SetWorkers(f.workers))
	r, err := measure.Run(c.Context(), m)
	if err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(r) // one line: others read it from a log
	}
	a.printBench(r)
	return nil
}

func (a *app) printBench(r measure.Result) {
	a.say("%s, %s, %d workers, %s, %s", r.Work, r.Precision, r.Workers, r.Engine, r.CPU)
	if r.Work == measure.Gemm {
		a.printProducts(r)
	} else {
		a.printSteps(r)
	}
	if r.PeakMemoryMiB > 0 {
		a.say("peak memory %.0f MiB", r.PeakMemoryMiB)
	}
}

func (a *app) printSteps(r measure.Result) {
	if r.Work == measure.Decode {
		a.say("%d parameters, %d paths, prompt %d, %d new tokens", r.Parameters, r.Paths, r.Prompt, r.New)
	} else {
		a.say("%d parameters, batch %d × %d tokens", r.Parameters, r.Batch, r.Seq)
	}
	a.say("\n%.0f tokens/s", r.TokensPerSecond)
	a.say("%.4g ms a step, %.4g to %.4g in %d", r.StepMS, r.StepMinMS, r.StepMaxMS, r.Steps)
	if r.Work == measure.Decode {
		a.say("%.4g ms for the prompt and the first tokens", r.PrefillMS)
	}
	a.say("%.4g GFLOP/s of %.4g, %.1f%% of the peak (%.4g MFLOP a token)", r.GFLOPS, r.PeakGFLOPS, r.PercentOfPeak, r.MFLOPPerToken)
	a.say("%.2f s from the start of the process to its first result", r.TimeToFirstStepS)
}

func (a *app) printProducts(r measure.Result) {
	t := newTable("product", "M", "N", "K", "use", "count", "workers", "ms", "GFLOP/s", "best", "% of peak")
	for _, p := range r.Products {
		t.add(p.Kind, p.M, p.N, p.K, p.Use, p.Count, p.Workers, p.MS,
			fmt.Sprintf("%.1f", p.GFLOPS), fmt.Sprintf("%.1f", p.BestGFLOPS), fmt.Sprintf("%.1f", p.PercentOfPeak))
	}
	a.say("%s", t)
	a.say("training shapes: %.4g GFLOP/s in the geometric mean, %.1f%% of the peak", r.GFLOPS, r.PercentOfPeak)
}
