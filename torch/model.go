package torch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
)

// Import is the stage that a model which was taken over has in its lineage.
const Import = "import"

// Why something of the original cannot be taken over.
var (
	// ErrTokenizer says that a file holds a tokenizer. The original has two;
	// of neither is a token a function of one candle.
	ErrTokenizer = errors.New("a tokenizer of the original program cannot be taken over")
	// ErrUnknown says that a file holds no model of the original.
	ErrUnknown = errors.New("no model of the original program")
)

// Settings of the original that its config does not have.
const (
	ropeBase     = 10_000
	oldSoftcap   = 15 // of the older of the two models
	olderPrefix  = "transformer."
	maxDimension = 1 << 24 // far above all: products of them stay small
)

// Bundle makes a checkpoint of the file's model. There are two, which the names
// of their tensors tell apart:
//
//	transformer.wte…  src/gpt_model.py: a norm after the embedding, logits
//	                  soft-capped at 15 and cut to vocab_size
//	wte…              microchat/gpt.py: neither of them; the logits of the
//	                  rows that fill the vocabulary to a multiple of 64 stay
//
// The original rounds the cosines of its rotary positions to bfloat16, and this
// program does not: logits differ by about a thousandth. What the weights were
// fitted on is not known, so nothing that the bundle says is ever scored.
//
// Errors name the tensor or setting; they are [ErrTokenizer] for a tokenizer and
// [ErrUnknown] where there is no model at all.
func (f *File) Bundle() (*checkpoint.Bundle, error) {
	m, err := f.model()
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	return &checkpoint.Bundle{
		Model:   m,
		Fit:     []checkpoint.Range{{Part: checkpoint.Weights, Stage: Import}},
		Lineage: []checkpoint.Step{{Stage: Import, Parent: f.hash}},
	}, nil
}

func (f *File) model() (*gpt.Model, error) {
	root, ok := asFields(f.root)
	if !ok {
		return nil, fmt.Errorf("%w: the file holds no dict", ErrUnknown)
	}
	if err := refuseTokenizer(root); err != nil {
		return nil, err
	}
	state, ok := asFields(root["model_state_dict"])
	config, configured := asFields(root["config"])
	switch {
	case !ok && (root["lm_head.weight"] != nil):
		return nil, fmt.Errorf("%w: a state_dict alone, which does not say how many heads there are: want a dict with model_state_dict and config", ErrUnknown)
	case !ok:
		return nil, fmt.Errorf("%w: no dict model_state_dict among %q", ErrUnknown, slices.Sorted(maps.Keys(root)))
	case !configured:
		return nil, fmt.Errorf("%w: no config beside model_state_dict, so nothing says how many heads there are", ErrUnknown)
	}
	c, err := shape(config)
	if err != nil {
		return nil, err
	}
	prefix := ""
	if state[olderPrefix+"wte.weight"] != nil {
		prefix, c.Softcap = olderPrefix, oldSoftcap
	} else {
		c.RawEmbed = true
	}
	padded := (c.Vocab + 63) / 64 * 64
	if prefix == "" {
		c.Vocab = padded
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if 4*c.Parameters() > f.size {
		return nil, fmt.Errorf("config: it wants %d weights, and the file has %d bytes", c.Parameters(), f.size)
	}
	m, err := gpt.Allocate(c)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return m, f.fill(m, state, prefix, padded)
}

// shape reads the original's config.
func shape(config fields) (gpt.Config, error) {
	c := gpt.Config{RopeBase: ropeBase}
	settings := map[string]*int{
		"sequence_len": &c.SeqLen, "vocab_size": &c.Vocab, "n_layer": &c.Layers,
		"n_head": &c.Heads, "n_kv_head": &c.KVHeads, "n_embd": &c.Embd,
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		n, ok := config[name].(int)
		if !ok || n < 0 || n > maxDimension {
			return c, fmt.Errorf("config: %s is %v: want a number up to %d", name, config[name], maxDimension)
		}
		*settings[name] = n
	}
	for _, name := range slices.Sorted(maps.Keys(config)) {
		// dropout is there, and the original never applies it.
		if settings[name] == nil && name != "dropout" {
			return c, fmt.Errorf("config: %s is no setting of the original program, and may change what the model computes", name)
		}
	}
	return c, nil
}

// fill copies every tensor of the original to its place.
func (f *File) fill(m *gpt.Model, state fields, prefix string, padded int) error {
	taken := map[string]bool{}
	for _, t := range m.Tensors {
		name, rows := theirs(t.Name, prefix), t.Rows
		if t.Name == "embed" || t.Name == "head" {
			rows = padded
		}
		taken[name] = true
		from, ok := state[name].(*Tensor)
		switch {
		case state[name] == nil:
			return fmt.Errorf("tensor %q is missing", name)
		case !ok || !slices.Equal(from.Shape, []int{rows, t.Cols}):
			got := any("no tensor")
			if ok {
				got = from.Shape
			}
			return fmt.Errorf("tensor %q is %v, the config wants [%d %d]", name, got, rows, t.Cols)
		}
		all := t.View(m.Params)
		if rows != t.Rows {
			all = make([]float32, rows*t.Cols)
		}
		if err := f.values(all, from); err != nil {
			return fmt.Errorf("tensor %q %w", name, err)
		}
		copy(t.View(m.Params), all)
	}
	for _, name := range slices.Sorted(maps.Keys(state)) {
		if !taken[name] {
			return fmt.Errorf("tensor %q has no place in the model", name)
		}
	}
	return nil
}

// theirs is the original's name of a tensor of ours.
func theirs(name, prefix string) string {
	switch name {
	case "embed":
		return prefix + "wte.weight"
	case "head":
		return "lm_head.weight"
	}
	rest, _ := strings.CutPrefix(name, "blocks.")
	layer, part, _ := strings.Cut(rest, ".")
	return prefix + "h." + layer + "." + map[string]string{
		"attn.q": "attn.c_q", "attn.k": "attn.c_k", "attn.v": "attn.c_v", "attn.o": "attn.c_proj",
		"mlp.up": "mlp.c_fc", "mlp.down": "mlp.c_proj",
	}[part] + ".weight"
}

// refuseTokenizer says why a tokenizer of the original has no place here.
func refuseTokenizer(root fields) error {
	state := root
	if inner, ok := asFields(root["state_dict"]); ok {
		state = inner
	}
	if state["quantizer.codebook.weight"] == nil {
		return nil
	}
	if patches, ok := state["encoder.net.2.weight"].(*Tensor); ok && len(patches.Shape) == 3 {
		return fmt.Errorf("%w: tensor \"encoder.net.2.weight\" has shape %v, so each token stands for %d candles; want one", ErrTokenizer, patches.Shape, patches.Shape[2])
	}
	if context, ok := state["encoder.context_conv.0.weight"].(*Tensor); ok {
		return fmt.Errorf("%w: tensor \"encoder.context_conv.0.weight\" of shape %v mixes the candles before and after into each token, which then knows the candle that the model is to forecast; want no such tensor", ErrTokenizer, context.Shape)
	}
	return fmt.Errorf("%w: its perceptrons are others than those of a vqvae", ErrTokenizer)
}
