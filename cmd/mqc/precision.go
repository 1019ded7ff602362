package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
)

// bindPrecision registers --precision of a command that trains.
func bindPrecision(flags *pflag.FlagSet, text *string) {
	flags.StringVar(text, "precision", "auto", "of the matrix products: f32, bf16, or auto, which is bf16 for large models where the CPU gains from it")
}

// bindOwnPrecision registers --precision of a command that runs a checkpoint.
func bindOwnPrecision(flags *pflag.FlagSet, text *string) {
	flags.StringVar(text, "precision", "", "of the matrix products: f32, bf16 or auto (default: what the checkpoint was trained at)")
}

// openAt opens a checkpoint to be run at a precision, or at its own if text is
// empty.
func openAt(c *cobra.Command, path, text string) (*checkpoint.Bundle, error) {
	b, m, err := checkpoint.OpenModel(path)
	if err != nil || text == "" {
		return b, err
	}
	if b.Precision, err = gpt.ParsePrecision(text, m.Config); err != nil {
		return nil, newUsageError(c, err)
	}
	return b, nil
}
