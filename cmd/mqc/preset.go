package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// Names of the flags --head, --embed and --inputs beside gpt.Basis.
const (
	headLinear      = "linear"
	headMixture     = "mixture"
	embedTable      = "table"
	inputCandle     = "candle"
	inputVolatility = "volatility"
	inputCalendar   = "calendar"
	inputAsset      = "asset"
)

// presetSkill is the recipe that has shown skill over the baselines of
// volatility on daily candles: see docs/LOG.md.
const presetSkill = "skill"

// applyPreset sets what a preset says of everything but the size, where no flag
// says otherwise.
func (f *pretrainFlags) applyPreset(c *cobra.Command) {
	if f.preset != presetSkill {
		return
	}
	changed, r := c.Flags().Changed, &f.recipe
	for name, set := range map[string]func(){
		"kind":         func() { f.kind = tokenizer.KindProduct },
		"scale":        func() { f.scale = feature.HAR },
		"head":         func() { f.head = gpt.Basis },
		"embed":        func() { f.embed = gpt.Basis },
		"inputs":       func() { f.inputs = []string{inputVolatility, inputCalendar, inputAsset} },
		"average":      func() { r.Average = .97 },
		"lr":           func() { r.LR = 2e-3 },
		"weight-decay": func() { r.WeightDecay = 1 },
		"warmup":       func() { r.Warmup = 40 },
		"dropout":      func() { r.Dropout = .3 },
		"batch":        func() { r.Batch = 64 },
		"epochs":       func() { r.Epochs = 60 },
		"patience":     func() { r.Patience = 7 },
	} {
		if !changed(name) {
			set()
		}
	}
}

// applyHead sets what the mixture head wants where no flag says otherwise: the
// candles themselves in place of tokens.
func (f *pretrainFlags) applyHead(c *cobra.Command) {
	if f.head != headMixture {
		return
	}
	if !c.Flags().Changed("embed") {
		f.embed = gpt.None
	}
	if !c.Flags().Changed("inputs") {
		f.inputs = []string{inputCandle, inputVolatility, inputCalendar, inputAsset}
	}
}

// setParts names head and embedding in a model's config.
func (f *pretrainFlags) setParts(shape *gpt.Config) error {
	switch f.head {
	case headLinear:
	case gpt.Basis:
		shape.Head = gpt.Basis
	case headMixture:
		shape.Outputs = density.MixtureOutputs
	default:
		return fmt.Errorf("--head %q: want %s, %s or %s", f.head, headLinear, gpt.Basis, headMixture)
	}
	switch f.embed {
	case embedTable:
	case gpt.Basis, gpt.None:
		shape.Embed = f.embed
	default:
		return fmt.Errorf("--embed %q: want %s, %s or %s", f.embed, embedTable, gpt.Basis, gpt.None)
	}
	return nil
}

// inputsOf are the inputs that a model over series has.
func (f *pretrainFlags) inputsOf(series []*market.Series) (in dataset.Inputs, err error) {
	for _, name := range f.inputs {
		switch name {
		case inputCandle:
			in.Candle = true
		case inputVolatility:
			in.Volatility = true
		case inputCalendar:
			in.Calendar = true
		case inputAsset:
			for _, s := range series {
				in.Assets = append(in.Assets, s.Symbol)
			}
			slices.Sort(in.Assets)
		default:
			return in, fmt.Errorf("--inputs %q: want some of %s", name, strings.Join([]string{inputCandle, inputVolatility, inputCalendar, inputAsset}, ", "))
		}
	}
	return in, nil
}
