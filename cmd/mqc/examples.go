package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/analysis"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/measure"
	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/optim"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

func (a *app) examples() *cobra.Command {
	return &cobra.Command{
		Use:   "examples",
		Short: "Show in six small demonstrations how everything works",
		Long: `Show in six small demonstrations how everything works, on a synthetic market and
with a model of two layers: what tokens look like, a new model, a forward pass,
generation, training steps, and where the parameters are. No file is read or
written.`,
		Example: "  mqc examples",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runExamples(c.Context()) },
	}
}

// Sizes of the demonstrations.
const (
	exampleCodes = 64
	exampleT     = 32 // tokens of a window
	exampleBatch = 16 // windows of a training step
	exampleSteps = 40
	exampleLR    = 1e-3
)

// examples is what the demonstrations share, and what they show.
type examples struct {
	a       *app
	ctx     context.Context
	bundle  *checkpoint.Bundle
	codec   dataset.Codec
	streams []*dataset.Stream
	shown   map[string]any
}

func (a *app) runExamples(ctx context.Context) error {
	config := market.DefaultSynthetic()
	config.Assets, config.Candles, config.Seed = 5, 2000, a.seed
	m, err := market.NewSynthetic(config)
	if err != nil {
		return err
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Seed = exampleCodes, a.seed
	b, err := train.Prepare(ctx, m.Series, train.Preparation{Scaler: feature.EWMA, Kind: tokenizer.KindProduct, VQ: vq, Build: version})
	if err != nil {
		return err
	}
	streams, err := train.Encode(b, m.Series)
	if err != nil {
		return err
	}
	codec, err := b.Codec()
	if err != nil {
		return err
	}
	quiet := *a
	if a.json {
		quiet.out = &outWriter{Writer: io.Discard}
	}
	e := &examples{&quiet, ctx, b, codec, streams, map[string]any{}}
	for i, demo := range []struct {
		title string
		show  func() error
	}{
		{"token data", e.tokens},
		{"a new model", e.model},
		{"a forward pass", e.forward},
		{"token generation", e.generation},
		{"training steps", e.training},
		{"where the parameters are", e.architecture},
	} {
		if i > 0 {
			e.a.say("")
		}
		e.a.say("%d. %s\n", i+1, demo.title)
		if err := demo.show(); err != nil {
			return fmt.Errorf("examples: %s: %w", demo.title, err)
		}
	}
	if a.json {
		return a.printJSON(e.shown)
	}
	return nil
}

// tokens shows what candles become.
func (e *examples) tokens() error {
	s := e.streams[0]
	t := newTable("date", "open", "high", "low", "close", "token")
	for i, c := range s.Candles[:5] {
		t.add(s.Times[i].Format("2006-01-02"), market.FormatPrice(c.Open), market.FormatPrice(c.High), market.FormatPrice(c.Low), market.FormatPrice(c.Close), s.Tokens[i])
	}
	summary := analysis.Summarize(e.streams, exampleCodes, e.a.seed)
	e.a.say("%s\n", t)
	e.a.printSummary(summary)
	e.shown["tokens"] = summary
	return nil
}

// model makes a model and shows that it starts out knowing nothing.
func (e *examples) model() error {
	shape := gpt.Defaults().Scaled(2)
	shape.SeqLen = exampleT
	if err := train.NewModel(e.bundle, nil, shape, e.a.seed); err != nil {
		return err
	}
	m := e.bundle.Model
	nats, err := e.validate()
	if err != nil {
		return err
	}
	e.a.say("%d layers × %d channels × %d heads, context %d, vocabulary %d: %d parameters", m.Layers, m.Embd, m.Heads, m.SeqLen, m.Vocab, m.Parameters())
	e.a.say("nats per token on validation: %.4f; a uniform guess has ln %d = %.4f", nats, m.Vocab, math.Log(float64(m.Vocab)))
	e.shown["model"] = map[string]any{"config": m.Config, "parameters": m.Parameters(), "nats": nats}
	return nil
}

// validate is the mean −ln p of the validation tokens.
func (e *examples) validate() (float64, error) {
	windows := dataset.EvalWindows(e.streams, dataset.Val, exampleT)
	scores, err := predict.Tokens(e.ctx, e.bundle.Runner(), e.streams, windows)
	return predict.Average(scores).Nats, err
}

// forward runs a window and shows that no position sees a later one.
func (e *examples) forward() error {
	m, r := e.bundle.Model, e.bundle.Runner()
	in := gpt.Input{B: 1, T: exampleT, Tokens: slices.Clone(e.streams[0].Tokens[:exampleT])}
	var w gpt.Workspace
	logits := slices.Clone(r.Forward(&w, in))
	probs := make([]float64, m.Vocab)
	predict.Probabilities(probs, logits[len(logits)-m.Vocab:], 1)
	sum := 0.0
	for _, p := range probs {
		sum += p
	}
	in.Tokens[exampleT-1] = (in.Tokens[exampleT-1] + 1) % int32(m.Vocab)
	other := r.Forward(&w, in)
	before := len(logits) - m.Vocab
	causal := slices.Equal(logits[:before], other[:before])
	e.a.say("tokens (1, %d) → logits (1, %d, %d)", exampleT, exampleT, m.Vocab)
	e.a.say("the probabilities of the next token add up to %.6f", sum)
	e.a.say("another last token changes the logits before it: %v", !causal)
	e.shown["forward"] = map[string]any{"shape": []int{1, exampleT, m.Vocab}, "sum": sum, "causal": causal}
	return nil
}

// generation continues a stream, likeliest token by likeliest token, and drawn.
func (e *examples) generation() error {
	prompt := gpt.Prompt{Tokens: e.streams[0].Tokens[:exampleT/2]}
	e.a.say("prompt       %s", joinTokens(prompt.Tokens))
	rows := map[string][][]int32{}
	for _, how := range []struct {
		name    string
		paths   int
		sampler gpt.Sampler
	}{
		{"greedy", 1, gpt.Sampler{}},
		{"drawn", 3, gpt.Sampler{Temperature: 1}},
	} {
		generated, err := e.bundle.Runner().Generate(e.ctx, prompt, gpt.Generation{Paths: how.paths, Steps: 10, Sampler: how.sampler, Seed: e.a.seed})
		if err != nil {
			return err
		}
		rows[how.name] = generated
		for _, tokens := range generated {
			candles, err := e.codec.Decode(e.streams[0].States[exampleT/2], tokens, e.streams[0].Dates(exampleT/2, len(tokens)))
			if err != nil {
				return err
			}
			e.a.say("%-12s %s  (%s → %s)", how.name, joinTokens(tokens), market.FormatPrice(e.streams[0].States[exampleT/2].PrevClose), market.FormatPrice(candles[len(candles)-1].Close))
		}
	}
	e.a.say("the model has learnt nothing yet; in brackets the close before and the last decoded close")
	e.shown["generation"] = rows
	return nil
}

// training takes optimizer steps on the training windows.
func (e *examples) training() error {
	m := e.bundle.Model
	r := m.TrainingRunner(gpt.F32)
	grads := make([]float32, len(m.Params))
	var groups []optim.Group
	for _, t := range m.Tensors {
		groups = append(groups, optim.Group{Name: t.Name, Param: t.View(m.Params), Grad: t.View(grads), Decay: t.Decays(), Fixed: t.Fixed()})
	}
	adam := optim.NewAdamW(optim.Defaults(), groups)
	before, err := e.validate()
	if err != nil {
		return err
	}
	windows := dataset.TrainWindows(e.streams, exampleT, e.a.seed)
	var w gpt.Workspace
	var first, last float64
	t := newTable("step", "loss", "gradient norm")
	for step := range exampleSteps {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		at := step * exampleBatch % (len(windows) - exampleBatch)
		batch := dataset.Gather(e.streams, windows[at:at+exampleBatch], exampleT)
		R := batch.B * batch.T
		logits := r.Forward(&w, predict.Input(batch, 0))
		dlogits, losses := make([]float32, len(logits)), make([]float64, R)
		norm := 0.0
		for _, weight := range batch.Weights {
			norm += float64(weight)
		}
		nn.CrossEntropy(dlogits, losses, logits, batch.Targets, batch.Weights, norm, R, m.Vocab)
		last = 0
		for _, l := range losses {
			last += l / norm
		}
		if step == 0 {
			first = last
		}
		r.Backward(&w, dlogits, grads)
		size := adam.GradNorm()
		adam.Update(exampleLR, optim.ClipScale(size, 1))
		r.Update()
		if step == 0 || (step+1)%10 == 0 {
			t.add(step+1, last, size)
		}
	}
	after, err := e.validate()
	if err != nil {
		return err
	}
	e.a.say("%s", t)
	e.a.say("validation: %.4f → %.4f nats per token", before, after)
	e.shown["training"] = map[string]any{"steps": exampleSteps, "first_loss": first, "last_loss": last, "nats_before": before, "nats_after": after}
	return nil
}

// architecture adds up the parameters of this model, and of the model of the
// specification.
func (e *examples) architecture() error {
	t := newTable("part", "parameters")
	for _, p := range parts(e.bundle) {
		t.add(p.Part, p.Parameters)
	}
	t.add("total", len(e.bundle.Model.Params))
	e.a.say("%s", t)
	spec := gpt.Defaults()
	e.a.say("the model of the specification: %d layers × %d channels × %d heads: %d parameters, %.0f MFLOP for a token of training", spec.Layers, spec.Embd, spec.Heads, spec.Parameters(), measure.TrainFLOPs(spec, spec.SeqLen)/1e6)
	e.shown["architecture"] = map[string]any{"parts": parts(e.bundle), "parameters": len(e.bundle.Model.Params), "specification": spec.Parameters()}
	return nil
}
