package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/cpu"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/measure"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	shapeFlags
	precision, out   string
	data, checkpoint string
}

func (a *app) doctor() *cobra.Command {
	f := &doctorFlags{out: bestModel}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether this machine and these candles are fit for a run",
		Long: `Say what this CPU can do, at which precision it would train the model that the
size flags describe, and whether memory and disk suffice.

With --data the candles are read, and a model is run over them: the one of
--checkpoint, or a small one that is trained on their newest part. Two things
must hold to the last bit. Causality: with other candles from a date on, nothing
changes that was known before it. Parity: training, evaluation and the cached
decoding of paths give the same numbers.`,
		Example: "  mqc doctor\n  mqc doctor --depth 8 --precision bf16\n  mqc doctor --data my_csvs",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runDoctor(c, f) },
	}
	f.bindShape(c)
	flags := c.Flags()
	bindPrecision(flags, &f.precision)
	flags.StringVar(&f.out, "out", f.out, "where the run would write")
	flags.StringVar(&f.data, "data", "", "folder of CSV files or one CSV file to check on")
	flags.StringVar(&f.checkpoint, "checkpoint", "", "checkpoint to check with")
	return c
}

// diagnosis is one line of doctor.
type diagnosis struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Bad    bool   `json:"bad"`
}

// errUnfit says that doctor found something.
var errUnfit = errors.New("not fit")

func (a *app) runDoctor(c *cobra.Command, f *doctorFlags) error {
	shape, err := f.modelShape(c, 0)
	if err != nil {
		return newUsageError(c, err)
	}
	precision, err := gpt.ParsePrecision(f.precision, shape)
	if err != nil {
		return newUsageError(c, err)
	}
	if f.checkpoint != "" && f.data == "" {
		return usagef(c, "--checkpoint %s: want --data to run it over", f.checkpoint)
	}
	need := train.Needs(shape, precision, f.preset == presetSkill) // which keeps an average
	found := []diagnosis{
		{Name: "program", Result: fmt.Sprintf("mqc %s, %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)},
		{Name: "CPU", Result: strings.TrimPrefix(fmt.Sprintf("%s, %d workers", measure.CPU(), parallel.Workers()), ", ")},
		{Name: "features", Result: cpuFeatures()},
		{Name: "kernels", Result: fmt.Sprintf("f32: %s; bf16: %s", kernel.Engine(gpt.F32), bfloat16())},
		{Name: "model", Result: fmt.Sprintf("%d layers × %d channels × %d heads, context %d, vocabulary %d: %d parameters", shape.Layers, shape.Embd, shape.Heads, shape.SeqLen, shape.Vocab, shape.Parameters())},
		{Name: "precision", Result: fmt.Sprintf("%s means %s for this model", f.precision, precision)},
		enough("memory", "a run takes about", need.Memory, measure.FreeMemory()),
		room(f.out, need.Disk),
	}
	if f.data != "" {
		found = append(found, f.onData(c.Context(), a.seed)...)
		if err := c.Context().Err(); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	bad := 0
	for _, d := range found {
		if d.Bad {
			bad++
		}
	}
	if a.json {
		if err := a.printJSON(map[string]any{"checks": found, "need": need, "bad": bad}); err != nil {
			return err
		}
	} else {
		for _, d := range found {
			mark := " "
			if d.Bad {
				mark = "!"
			}
			a.say("%s %-10s %s", mark, d.Name, d.Result)
		}
	}
	if bad > 0 {
		return fmt.Errorf("doctor: %d of %d checks: %w", bad, len(found), errUnfit)
	}
	return nil
}

// enough compares what is needed with what is there; 0 is unknown.
func enough(name, text string, need, free int64) diagnosis {
	d := diagnosis{Name: name, Result: fmt.Sprintf("%s %s; ", text, mebibytes(need))}
	if free == 0 {
		d.Result += "this system does not say what is free"
		return d
	}
	d.Result += mebibytes(free) + " are free"
	d.Bad = need > free
	return d
}

// room says whether a file can be made at path, or in the folder to be made for it,
// and whether there is space for what a run writes.
func room(path string, need int64) diagnosis {
	path, err := outPath(path, bestModel)
	d := enough("disk", fmt.Sprintf("a run writes to %s at most", filepath.Dir(path)), need, measure.FreeDisk(existing(path)))
	if err == nil {
		err = probe(existing(path))
	}
	if err != nil {
		d.Bad, d.Result = true, fmt.Sprintf("%s: no file can be made there: %v", filepath.Dir(path), err)
	}
	return d
}

// probe makes a file in a folder and removes it.
func probe(folder string) error {
	f, err := os.CreateTemp(folder, ".mqc-doctor-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

// existing is the nearest folder above path that exists.
func existing(path string) string {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "."
	}
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// bfloat16 says how products in bfloat16 are computed.
func bfloat16() string {
	switch {
	case kernel.Faster(gpt.BF16):
		return kernel.Engine(gpt.BF16) + ", faster than f32"
	case kernel.Native(gpt.BF16):
		return kernel.Engine(gpt.BF16) + ", not faster than f32"
	}
	return kernel.Engine(gpt.BF16) + ", without instructions of its own"
}

// cpuFeatures names those that the kernels look for.
func cpuFeatures() string {
	var has []string
	x := &cpu.X86
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"AVX2", x.HasAVX2},
		{"FMA", x.HasFMA},
		{"AVX512F", x.HasAVX512F},
		{"AVX512BW", x.HasAVX512BW},
		{"AVX512VL", x.HasAVX512VL},
		{"AVX512-BF16", x.HasAVX512BF16},
		{"AMX-BF16", x.HasAMXBF16},
	} {
		if f.has {
			has = append(has, f.name)
		}
	}
	if len(has) == 0 {
		return "none that the kernels use: they run in Go"
	}
	return strings.Join(has, " ")
}

// Size of what doctor trains where no checkpoint is given.
const (
	doctorAssets  = 10
	doctorCandles = 1000 // the newest of each asset
	doctorCodes   = 64
)

// onData checks on candles.
func (f *doctorFlags) onData(ctx context.Context, seed uint64) []diagnosis {
	failed := func(name string, err error) diagnosis {
		text := err.Error()
		if h := hint(err); h != "" {
			text += " (" + h + ")"
		}
		return diagnosis{name, text, true}
	}
	src, err := openSource(f.data)
	if err != nil {
		return []diagnosis{failed("candles", err)}
	}
	if src.Tokens != "" {
		return []diagnosis{failed("candles", fmt.Errorf("data: %s is a token file: want candles", f.data))}
	}
	series, err := src.series()
	if err != nil {
		return []diagnosis{failed("candles", err)}
	}
	n := 0
	for _, s := range series {
		n += len(s.Candles)
	}
	found := []diagnosis{{Name: "candles", Result: fmt.Sprintf("%d of %d assets, %s", n, len(series), series[0].Interval)}}

	b, what, err := f.bundle(ctx, series, seed)
	if err != nil {
		return append(found, failed("model", err))
	}
	found = append(found, diagnosis{Name: "checked", Result: "with " + what})
	if err := eval.CheckCausal(ctx, b, series); err != nil {
		found = append(found, failed("causality", err))
	} else {
		found = append(found, diagnosis{Name: "causality", Result: "nothing that was known before a candle changes with it"})
	}
	streams, err := train.Encode(b, series)
	if err == nil {
		err = eval.CheckParity(ctx, b, streams)
	}
	if err != nil {
		return append(found, failed("parity", err))
	}
	return append(found, diagnosis{Name: "parity", Result: "training, evaluation and decoding agree to the last bit"})
}

// bundle is that of --checkpoint, or a small model that is trained on the newest
// candles.
func (f *doctorFlags) bundle(ctx context.Context, series []*market.Series, seed uint64) (*checkpoint.Bundle, string, error) {
	if f.checkpoint != "" {
		b, _, err := checkpoint.OpenModel(f.checkpoint)
		return b, f.checkpoint, err
	}
	var newest []*market.Series
	for _, s := range series[:min(doctorAssets, len(series))] {
		cut := *s
		cut.Candles = s.Candles[max(0, len(s.Candles)-doctorCandles):]
		newest = append(newest, &cut)
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Seed = doctorCodes, seed
	b, err := train.Prepare(ctx, newest, train.Preparation{
		Scaler: feature.EWMA, Kind: tokenizer.KindProduct, VQ: vq,
		Inputs: dataset.Inputs{Volatility: true, Volume: true, Calendar: true}, Build: version,
	})
	if err != nil {
		return nil, "", err
	}
	shape, err := gpt.Preset("quick")
	if err != nil {
		return nil, "", err
	}
	if err := train.NewModel(b, newest, shape, seed); err != nil {
		return nil, "", err
	}
	streams, err := train.Encode(b, newest)
	if err != nil {
		return nil, "", err
	}
	work, err := os.MkdirTemp("", "mqc-doctor-")
	if err != nil {
		return nil, "", fmt.Errorf("doctor: %w", err)
	}
	defer os.RemoveAll(work)
	r := train.Defaults(train.Pretrain)
	r.SeqLen, r.Epochs, r.Batch, r.LR, r.Evals, r.Seed = shape.SeqLen, 1, 16, 2e-3, 1, seed
	b, err = train.Run(ctx, train.Job{Recipe: r, Start: b, Streams: streams, Out: filepath.Join(work, "model"), Build: version})
	return b, fmt.Sprintf("a small model, trained on at most the newest %d candles of %d assets", doctorCandles, len(newest)), err
}
