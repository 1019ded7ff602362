package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/torch"
)

func (a *app) importTorch() *cobra.Command {
	out := "checkpoints/imported.safetensors"
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Take over a model that the original program trained in PyTorch",
		Long: `import makes a checkpoint of this program from one that the original program,
in Python, has saved. The model comes with its weights and shape: it can be
looked at, continue tokens of the original's tokenizer, and be exported.

Tokenizers of the original cannot be taken over: their tokens stand for several
candles, or know the next one. And since nothing says what the model was trained
on, it is never scored.`,
		Example: `  mqc import old/checkpoints/best_model.pt --out checkpoints/imported.safetensors`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkModelOut(out, args[0]); err != nil {
				return err
			}
			f, err := torch.Read(args[0])
			if errors.Is(err, torch.ErrNotTorch) {
				if _, own := checkpoint.Open(args[0]); own == nil {
					return &hintedError{fmt.Errorf("import: %s is a file of this program already", args[0]), "use it as it is; mqc info " + args[0] + " says what it holds"}
				}
			}
			if err != nil {
				return err
			}
			b, err := f.Bundle()
			if err != nil {
				return err
			}
			b.Build = version
			a.noteName(out)
			if err := checkpoint.Save(out, b); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"from": args[0], "sha256": b.Lineage[0].Parent, "out": out, "config": b.Model.Config, "parameters": len(b.Model.Params)})
			}
			m := b.Model
			a.say("%s: %d layers × %d channels × %d heads, vocabulary %d, %d parameters", out, m.Layers, m.Embd, m.Heads, m.Vocab, len(m.Params))
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", out, "checkpoint to write")
	return c
}

// same reports whether two paths are one file that exists.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
