package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// Names of the flags --head, --embed and --inputs beside gpt.Basis.
const (
	headLinear      = "linear"
	embedTable      = "table"
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

// parts are head and embedding as a model's config names them.
func (f *pretrainFlags) parts() (head, embed string, err error) {
	part := func(name, value, free string) string {
		switch value {
		case free:
			return ""
		case gpt.Basis:
			return gpt.Basis
		}
		err = fmt.Errorf("--%s %q: want %s or %s", name, value, free, gpt.Basis)
		return ""
	}
	head, embed = part("head", f.head, headLinear), part("embed", f.embed, embedTable)
	return head, embed, err
}

// inputsOf are the inputs that a model over series has.
func (f *pretrainFlags) inputsOf(series []*market.Series) (in dataset.Inputs, err error) {
	for _, name := range f.inputs {
		switch name {
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
			return in, fmt.Errorf("--inputs %q: want some of %s", name, strings.Join([]string{inputVolatility, inputCalendar, inputAsset}, ", "))
		}
	}
	return in, nil
}
