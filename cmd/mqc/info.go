package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/train"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.printJSON(map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			a.say("mqc %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// partSize is the number of parameters of a part of a model.
type partSize struct {
	Part       string `json:"part"`
	Parameters int    `json:"parameters"`
}

func (a *app) info() *cobra.Command {
	return &cobra.Command{
		Use:     "info PATH",
		Short:   "Say what a checkpoint or tokenizer file is and what it has seen",
		Example: "  mqc info checkpoints/best_model.pt",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := checkpoint.Open(args[0])
			if err != nil {
				return err
			}
			a.warnStage(b)
			if a.json {
				return a.printJSON(infoJSON(b))
			}
			a.printInfo(args[0], b)
			return nil
		},
	}
}

func infoJSON(b *checkpoint.Bundle) map[string]any {
	v := map[string]any{
		"sha256": b.Hash, "build": b.Build, "interval": b.Interval, "split": b.Split,
		"fit": b.Fit, "selected": b.Selected, "lineage": b.Lineage, "scaler": b.Scaler,
	}
	if b.Model != nil {
		v["config"], v["parameters"], v["parts"] = b.Model.Config, len(b.Model.Params), parts(b)
		v["precision"] = b.Precision
	}
	if b.Tokenizer != nil {
		v["tokenizer"] = map[string]any{"kind": b.Tokenizer.Kind(), "codes": b.Tokenizer.Codes(), "config": b.Tokenizer.Config()}
	}
	return v
}

// parts adds up the parameters by the first word of their names.
func parts(b *checkpoint.Bundle) []partSize {
	var out []partSize
	for _, t := range b.Model.Tensors {
		name, rest, _ := strings.Cut(t.Name, ".")
		if name == "blocks" {
			_, kind, _ := strings.Cut(rest, ".")
			name, _, _ = strings.Cut(kind, ".")
		}
		found := false
		for i := range out {
			if out[i].Part == name {
				out[i].Parameters += t.Len()
				found = true
			}
		}
		if !found {
			out = append(out, partSize{name, t.Len()})
		}
	}
	return out
}

// enoughTokens is the number of training tokens per parameter under which
// info warns: small models on text are trained with about twenty (Hoffmann et
// al. 2022, arXiv 2203.15556), and far below one a model can learn its data by
// heart.
const enoughTokens = 1

func (a *app) printInfo(path string, b *checkpoint.Bundle) {
	a.say("%s\nsha256 %s\nbuild  %s", path, b.Hash, b.Build)
	if b.Model != nil {
		c := b.Model.Config
		a.say("\nmodel: %d layers × %d channels × %d heads (%d for keys), context %d, vocabulary %d, rope base %g, dropout %g, softcap %g, products in %s",
			c.Layers, c.Embd, c.Heads, c.KVHeads, c.SeqLen, c.Vocab, c.RopeBase, c.Dropout, c.Softcap, b.Precision)
		if c.Outputs > 0 {
			a.say("head: the parameters of a mixture of %d Student-t of the next return; it draws and scores no tokens", density.MixtureParts)
		}
		t := newTable("part", "parameters")
		for _, p := range parts(b) {
			t.add(p.Part, p.Parameters)
		}
		t.add("total", len(b.Model.Params))
		a.say("%s", t)
	}
	if b.Tokenizer != nil {
		a.say("\ntokenizer: %s with %d codes; scale: %s", b.Tokenizer.Kind(), b.Tokenizer.Codes(), b.Scaler.Kind)
	}
	if !b.Split.ValFrom.IsZero() {
		a.say("split: training before %s, validation before %s, test from there", b.Split.ValFrom.Format("2006-01-02"), b.Split.TestFrom.Format("2006-01-02"))
	}
	a.printRanges("fit (never scored)", b.Fit)
	a.printRanges("selected on (scored with a label)", b.Selected)
	if b.Calibration != nil {
		a.say("")
		a.printCalibration(b)
	}
	if len(b.Lineage) > 0 {
		a.say("\nlineage")
		t := newTable("stage", "steps", "best", "metric", "before", "after", "moved", "candles")
		for _, s := range b.Lineage {
			t.add(s.Stage, s.Steps, s.BestStep, s.Metric, s.Before, s.After, fmt.Sprintf("%.2g", s.Change), s.Candles)
		}
		a.say("%s", t)
		for _, s := range b.Lineage {
			a.printMeasures(s)
		}
		if first := b.Lineage[0]; b.Model != nil && first.Candles > 0 {
			ratio := float64(first.Candles) / float64(len(b.Model.Params))
			a.say("%.3g training tokens per parameter", ratio)
			if ratio < enoughTokens {
				a.say("! fewer tokens than parameters: the model can learn its data by heart; watch validation, or take a smaller --depth")
			}
		}
	}
}

// printMeasures shows what a stage did to every measure of validation.
func (a *app) printMeasures(s checkpoint.Step) {
	if len(s.MeasuresBefore) == 0 || len(s.MeasuresAfter) == 0 {
		return // an older file, or a run begun by an older program
	}
	t := newTable(s.Stage+" on validation", "before", "after")
	for _, name := range slices.Sorted(maps.Keys(s.MeasuresAfter)) {
		t.add(name, s.MeasuresBefore[name], s.MeasuresAfter[name])
	}
	a.say("\n%s", t)
}

// warnStage says on stderr when the last stage that was chosen by the CRPS of
// its paths did the checkpoint no good. Training keeps the best weights, those
// it began with among them, so harm shows in the last step, or in no change at
// all; a file may come from elsewhere, so the kept weights are compared too.
func (a *app) warnStage(b *checkpoint.Bundle) {
	for _, s := range slices.Backward(b.Lineage) {
		if s.Stage != train.SFT && s.Stage != train.RL {
			continue
		}
		const instead = "use the checkpoint of the stage before"
		switch {
		case s.After > s.Before:
			a.warn("warning: stage %s made validation %s worse, %.4f → %.4f: %s", s.Stage, s.Metric, s.Before, s.After, instead)
		case s.BestStep == 0 && s.Final > s.Before:
			a.warn("warning: stage %s changed nothing: validation %s was best at its start, %.4f, and worse at its last step, %.4f: these are the weights of the stage before", s.Stage, s.Metric, s.Before, s.Final)
		case s.BestStep == 0:
			a.warn("warning: stage %s changed nothing: no step improved validation %s, %.4f: these are the weights of the stage before", s.Stage, s.Metric, s.Before)
		case s.Final > s.Before:
			a.warn("warning: stage %s made validation %s worse, %.4f → %.4f at its last step; the weights are those of step %d, %.4f, the best of several looks at validation: if in doubt, %s", s.Stage, s.Metric, s.Before, s.Final, s.BestStep, s.After, instead)
		}
		return
	}
}

func (a *app) printRanges(title string, ranges []checkpoint.Range) {
	if len(ranges) == 0 {
		return
	}
	a.say("\n%s", title)
	t := newTable("part", "stage", "from", "to", "assets")
	for _, r := range ranges {
		from, to := r.First.Format("2006-01-02"), r.Last.Format("2006-01-02")
		if r.Unbounded() {
			from, to = "unknown", "unknown"
		} else if r.First.IsZero() {
			from, to = fmt.Sprintf("token %d", r.FromIndex), fmt.Sprintf("token %d", r.ToIndex-1)
		}
		t.add(r.Part, r.Stage, from, to, strings.Join(r.Assets, " "))
	}
	a.say("%s", t)
}
