package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/gpt"
)

// shapeFlags are the flags that decide the size of a new model.
type shapeFlags struct {
	preset string
	depth  int
	shape  gpt.Config
}

// bindShape registers the flags of the size.
func (f *shapeFlags) bindShape(c *cobra.Command) {
	f.shape = gpt.Defaults()
	flags, s := c.Flags(), &f.shape
	flags.StringVar(&f.preset, "preset", "", strings.Join(gpt.Presets(), ", ")+" (default: as large as spec)")
	flags.IntVar(&f.depth, "depth", 0, "one dial for the size: layers, with 64 channels and one head each")
	flags.IntVar(&s.Vocab, "vocab", s.Vocab, "tokens; that of the tokenizer or the token file where there is one")
	flags.IntVar(&s.SeqLen, "seq-len", s.SeqLen, "tokens per window, the model's context")
	flags.IntVar(&s.Layers, "layers", s.Layers, "blocks")
	flags.IntVar(&s.Heads, "heads", s.Heads, "query heads")
	flags.IntVar(&s.KVHeads, "kv-heads", s.KVHeads, "key and value heads; default: as many as heads")
	flags.IntVar(&s.Embd, "embd", s.Embd, "channels")
	flags.Float64Var(&s.Softcap, "softcap", s.Softcap, "bound of the logits; 0 is off")
}

// modelShape resolves preset, depth and single size flags, in that order.
func (f *shapeFlags) modelShape(c *cobra.Command, dropout float64) (gpt.Config, error) {
	shape := gpt.Defaults()
	if f.preset != "" {
		var err error
		if shape, err = gpt.Preset(f.preset); err != nil {
			return shape, err
		}
	}
	changed := c.Flags().Changed
	if changed("depth") {
		if f.depth < 1 {
			return shape, fmt.Errorf("--depth %d: want at least 1", f.depth)
		}
		shape = shape.Scaled(f.depth)
	}
	for name, field := range map[string]struct{ to, from *int }{
		"vocab":   {&shape.Vocab, &f.shape.Vocab},
		"seq-len": {&shape.SeqLen, &f.shape.SeqLen},
		"layers":  {&shape.Layers, &f.shape.Layers},
		"heads":   {&shape.Heads, &f.shape.Heads},
		"embd":    {&shape.Embd, &f.shape.Embd},
	} {
		if changed(name) {
			*field.to = *field.from
		}
	}
	if changed("kv-heads") {
		shape.KVHeads = f.shape.KVHeads
	} else if changed("heads") {
		shape.KVHeads = shape.Heads
	}
	if changed("softcap") {
		shape.Softcap = f.shape.Softcap
	}
	shape.Dropout = dropout
	return shape, shape.Validate()
}
