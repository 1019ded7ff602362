package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// values completes the flags whose values are known, by the name of the flag.
var values = map[string]func() []string{
	"checkpoint": checkpoints,
	"in":         checkpoints,
	"tokenizer":  tokenizers,
	"csv":        assets,
	"asset":      symbols,
	"data": func() []string {
		return slices.Concat(matches("data/*.txt"), []string{defaultFolder}, assets())
	},
	"runs":      func() []string { return []string{"checkpoints"} },
	"precision": func() []string { return []string{"auto", "f32", "bf16"} },
	"preset":    func() []string { return []string{"spec", "quick", presetSkill} },
	"scale":     func() []string { return []string{feature.EWMA, feature.HAR, feature.Global} },
	"split":     func() []string { return []string{"val", "test"} },
	"level":     func() []string { return evalLevels },
	"baselines": forecast.BaselineNames,
	"head":      func() []string { return []string{headLinear, gpt.Basis, headMixture} },
	"embed":     func() []string { return []string{embedTable, gpt.Basis, gpt.None} },
	"inputs":    inputNames,
	"interval":  func() []string { return []string{"5m", "15m", "1h", "4h", "1d", "1w"} },
}

// tokenizers are all files that hold one.
func tokenizers() []string { return append(checkpoints(), matches("models/*.safetensors")...) }

// complete registers values on c and all commands below it.
func complete(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		list, known := values[f.Name]
		_, done := c.GetFlagCompletionFunc(f.Name)
		if !known || done || f.Value.Type() == "bool" {
			return
		}
		err := c.RegisterFlagCompletionFunc(f.Name, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			found := list()
			return found, directive(found, typed)
		})
		if err != nil {
			panic(err) // the flag is there, and has none
		}
	})
	if c.Name() == "info" {
		c.ValidArgsFunction = func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			found := tokenizers()
			return found, directive(found, typed)
		}
	}
	for _, sub := range c.Commands() {
		complete(sub)
	}
}

// directive leaves completion to files where nothing known begins as typed.
func directive(known []string, typed string) cobra.ShellCompDirective {
	for _, k := range known {
		if strings.HasPrefix(k, typed) {
			return cobra.ShellCompDirectiveNoFileComp
		}
	}
	return cobra.ShellCompDirectiveDefault
}

// checkpoints are those in the usual folder, those of the later stages first.
func checkpoints() []string {
	found := append(matches("checkpoints/*.pt"), matches("checkpoints/*.safetensors")...)
	slices.Reverse(found)
	return found
}

// assets are the candle files of the data folder, each with its symbol.
func assets() []string {
	files, err := market.Files(defaultFolder)
	if err != nil {
		return nil // nothing to offer
	}
	for i, path := range files {
		symbol, _, _ := strings.Cut(filepath.Base(path), "_")
		files[i] = filepath.ToSlash(path) + "\t" + symbol
	}
	return files
}

// symbols are the assets of the data folder.
func symbols() (out []string) {
	for _, file := range assets() {
		_, symbol, _ := strings.Cut(file, "\t")
		out = append(out, symbol)
	}
	return out
}

func matches(pattern string) []string {
	found, err := filepath.Glob(pattern)
	if err != nil {
		panic(err) // the pattern is ours
	}
	for i := range found {
		found[i] = filepath.ToSlash(found[i])
	}
	return found
}
