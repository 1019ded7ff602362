// Package measure times the four kinds of work of a model, training,
// evaluating, decoding and its matrix products, as the program does them, and
// says how far from the limits of the machine they are.
package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
)

// Kinds of work.
const (
	Train  = "train"  // a step: forward, loss, backward, clipping, AdamW
	Eval   = "eval"   // forward and loss
	Decode = "decode" // paths that continue one prompt, token by token
	Gemm   = "gemm"   // every matrix product of a training step and of decoding
)

// Works are all kinds of work.
var Works = []string{Train, Eval, Decode, Gemm}

// Config is what to measure.
type Config struct {
	Work      string
	Model     gpt.Config
	Weights   *gpt.Model // Decode: that is of Model; nil: fresh ones
	Precision string     // auto, f32 or bf16; see [gpt.ParsePrecision]
	Batch     int        // windows a step; Train, Eval and Gemm
	T         int        // tokens of a window
	Paths     int        // Decode: paths that share the prompt
	Prompt    int        // Decode: tokens of the prompt
	New       int        // Decode: tokens drawn for each path
	Warmup    int        // steps before those that count
	Steps     int        // steps that count; for Decode one is a whole generation
	Seed      uint64
}

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	errs := []error{c.Model.Validate()}
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("measure: "+format, args...))
		}
	}
	fault(!slices.Contains(Works, c.Work), "work %q: want one of %v", c.Work, Works)
	fault(c.Work != Decode && (len(c.Model.Cond) > 0 || c.Model.Features > 0), "a model with conditioning: of these, decoding alone is measured")
	fault(c.Batch < 1, "batch %d: want at least 1", c.Batch)
	fault(c.T < 1 || c.T > c.Model.SeqLen, "windows of %d tokens: want 1 to the model's context of %d", c.T, c.Model.SeqLen)
	fault(c.Steps < 1, "steps %d: want at least 1", c.Steps)
	fault(c.Warmup < 0, "warmup %d: want 0 or more", c.Warmup)
	if c.Work == Decode {
		fault(c.Paths < 1, "paths %d: want at least 1", c.Paths)
		fault(c.Prompt < 1, "prompt of %d tokens: want at least 1", c.Prompt)
		// The first token comes with the prompt; the others are decoded.
		fault(c.New < 2, "%d new tokens: want at least 2", c.New)
		fault(c.Prompt+c.New > c.Model.SeqLen, "%d tokens of prompt and %d new ones: want at most the model's context of %d", c.Prompt, c.New, c.Model.SeqLen)
	}
	if _, err := gpt.ParsePrecision(c.Precision, c.Model); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Result is what was measured. Rates are those of the median step.
type Result struct {
	Work       string        `json:"work"`
	Precision  gpt.Precision `json:"precision"`
	Engine     string        `json:"engine"`
	CPU        string        `json:"cpu,omitempty"`
	Workers    int           `json:"workers"`
	Parameters int           `json:"parameters"`
	Batch      int           `json:"batch,omitempty"`
	Seq        int           `json:"seq,omitempty"`
	Paths      int           `json:"paths,omitempty"`
	Prompt     int           `json:"prompt,omitempty"`
	New        int           `json:"new,omitempty"`
	Warmup     int           `json:"warmup"`
	Steps      int           `json:"steps"`

	TokensPerSecond float64 `json:"tokens_per_second,omitempty"` // Decode: without the prompt
	StepMS          float64 `json:"step_ms,omitempty"`           // median; Decode: one token of every path
	StepMinMS       float64 `json:"step_min_ms,omitempty"`
	StepMaxMS       float64 `json:"step_max_ms,omitempty"`
	PrefillMS       float64 `json:"prefill_ms,omitempty"` // Decode: the prompt and the first token of every path
	Loss            float64 `json:"loss,omitempty"`       // of the last step; Train and Eval

	MFLOPPerToken float64 `json:"mflop_per_token,omitempty"`
	GFLOPS        float64 `json:"gflops"`      // Gemm: geometric mean of the shapes of training, all workers
	PeakGFLOPS    float64 `json:"peak_gflops"` // of all workers at once, measured after the steps
	PercentOfPeak float64 `json:"percent_of_peak"`

	PeakMemoryMiB    float64 `json:"peak_memory_mib,omitempty"` // of the process; 0 where the system does not say
	TimeToFirstStepS float64 `json:"time_to_first_step_s"`      // from the start of the process; Decode: to the first token
	Products         []Rate  `json:"products,omitempty"`        // Gemm
}

// Run measures. The end of ctx stops it with the error of ctx.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	precision, err := gpt.ParsePrecision(c.Precision, c.Model)
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Work: c.Work, Precision: precision, Engine: kernel.Engine(precision), CPU: CPU(), Workers: parallel.Workers(),
		Parameters: c.Model.Parameters(), Warmup: c.Warmup, Steps: c.Steps,
	}
	if c.Work == Decode {
		r.Paths, r.Prompt, r.New = c.Paths, c.Prompt, c.New
	} else {
		r.Batch, r.Seq = c.Batch, c.T
	}
	if c.Work == Gemm {
		err = r.products(ctx, c)
	} else {
		err = r.steps(ctx, c)
	}
	r.PeakMemoryMiB = PeakMemoryMiB()
	return r, err
}

// steps measures work that has steps and tokens.
func (r *Result) steps(ctx context.Context, c Config) error {
	w, err := newWork(c, r.Precision)
	if err != nil {
		return err
	}
	var times, prefills []time.Duration
	for i := range c.Warmup + c.Steps {
		s, err := w.step(ctx, i)
		if err != nil {
			return err
		}
		if i == 0 {
			r.TimeToFirstStepS = s.first.Sub(ProcessStart()).Seconds()
		}
		if i >= c.Warmup {
			times, prefills = append(times, s.time), append(prefills, s.prefill)
		}
		r.Loss = s.loss
	}
	slices.Sort(times)
	parts := float64(w.parts) * 1e6 // steps of a timed piece, and ns in a ms
	middle := median(times)
	r.StepMS, r.StepMinMS, r.StepMaxMS = middle/parts, float64(times[0])/parts, float64(times[len(times)-1])/parts
	r.PrefillMS = median(prefills) / 1e6
	r.TokensPerSecond = float64(w.tokens) / middle * 1e9
	r.MFLOPPerToken = w.flops / 1e6
	r.GFLOPS = w.flops * r.TokensPerSecond / 1e9
	r.PeakGFLOPS = peak(r.Precision, r.Workers)
	r.PercentOfPeak = 100 * r.GFLOPS / r.PeakGFLOPS
	return nil
}

// median of at least one duration, in nanoseconds; d is sorted.
func median(d []time.Duration) float64 {
	slices.Sort(d)
	n := len(d)
	return float64(d[(n-1)/2]+d[n/2]) / 2
}
