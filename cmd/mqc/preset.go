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
	inputVolume     = "volume"
	inputCalendar   = "calendar"
	inputAsset      = "asset"
)

// Presets that say more than the size.
const (
	presetSpec  = "spec"  // the plain model of the specification
	presetSkill = "skill" // the recipe that has shown skill over the baselines of volatility on daily candles: see docs/LOG.md
)

// inputNames are all of them.
func inputNames() []string {
	return []string{inputCandle, inputVolatility, inputCalendar, inputAsset, inputVolume}
}

// usualInputs are what a model sees beside tokens unless it is told otherwise.
func usualInputs() []string { return []string{inputVolatility, inputCalendar, inputAsset} }

// applyPreset sets what a preset says of everything but the size, where no flag
// says otherwise. Of a bare token file nothing is known but the tokens, so their
// model is the plain one.
func (f *pretrainFlags) applyPreset(c *cobra.Command, src source) {
	set := map[string]func(){}
	switch r := &f.recipe; {
	case src.Tokens != "" || f.preset == presetSpec:
		set["head"] = func() { f.head = headLinear }
		set["embed"] = func() { f.embed = embedTable }
		set["inputs"] = func() { f.inputs = nil }
	case f.preset == presetSkill:
		set["kind"] = func() { f.kind = tokenizer.KindProduct }
		set["scale"] = func() { f.scale = feature.HAR }
		set["average"] = func() { r.Average = .97 }
		set["lr"] = func() { r.LR = 2e-3 }
		set["weight-decay"] = func() { r.WeightDecay = 1 }
		set["warmup"] = func() { r.Warmup = 40 }
		set["dropout"] = func() { r.Dropout = .3 }
		set["batch"] = func() { r.Batch = 64 }
		set["epochs"] = func() { r.Epochs = 60 }
		set["patience"] = func() { r.Patience = 7 }
	}
	for name, to := range set {
		if !c.Flags().Changed(name) {
			to()
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

// namedInputs are the inputs of --inputs for a model over series.
func namedInputs(names []string, series []*market.Series) (in dataset.Inputs, err error) {
	for _, name := range names {
		switch name {
		case inputCandle:
			in.Candle = true
		case inputVolatility:
			in.Volatility = true
		case inputVolume:
			if !slices.ContainsFunc(series, hasVolume) {
				return in, fmt.Errorf("--inputs %s: no candle has a volume: leave it out", name)
			}
			in.Volume = true
		case inputCalendar:
			in.Calendar = true
		case inputAsset:
			for _, s := range series {
				in.Assets = append(in.Assets, s.Symbol)
			}
			slices.Sort(in.Assets)
		default:
			return in, fmt.Errorf("--inputs %q: want some of %s", name, strings.Join(inputNames(), ", "))
		}
	}
	return in, nil
}

// hasVolume says that some candle of a series has a volume; NaN and 0 are none.
func hasVolume(s *market.Series) bool {
	return slices.ContainsFunc(s.Candles, func(c market.Candle) bool { return c.Volume > 0 })
}
