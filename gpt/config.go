// Package gpt is a decoder-only transformer over small integer tokens, in the
// shape of nanochat: rotary positions, QK-norm, RMSNorm without parameters,
// grouped-query attention, ReLU² and no biases.
//
// The package sees integers and floats, never a candle. Forward and backward
// are written out; there is no tensor type and no autograd.
package gpt

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Config fixes the shape of a model. It travels inside the checkpoint, so that
// it never has to be guessed.
type Config struct {
	Vocab    int     `json:"vocab"`             // V, number of tokens
	SeqLen   int     `json:"seq_len"`           // T, longest window in tokens
	Layers   int     `json:"layers"`            // number of blocks
	Heads    int     `json:"heads"`             // H, query heads
	KVHeads  int     `json:"kv_heads"`          // KV, key and value heads; divides H
	Embd     int     `json:"embd"`              // C, channels; H·D
	RopeBase float64 `json:"rope_base"`         // base of the rotary frequencies
	Softcap  float64 `json:"softcap,omitempty"` // logits become cap·tanh(logits/cap); 0 is off
	Dropout  float64 `json:"dropout,omitempty"` // on the embedding and on every residual branch

	// Cond holds the number of values of each conditioning integer (asset,
	// weekday, …); each has an embedding that is added to the token's.
	Cond []int `json:"cond,omitempty"`
	// Features is F, the number of floats per position that are projected
	// and added to the token's embedding.
	Features int `json:"features,omitempty"`

	// Basis is P, the number of fixed functions that describe a token, and
	// Head and Embed say where they stand in for a number of its own for
	// every token: [Basis], or empty for a free matrix. Embed may be [None].
	Basis int    `json:"basis,omitempty"`
	Head  string `json:"head,omitempty"`
	Embed string `json:"embed,omitempty"`

	// RawEmbed starts the residual stream at the embedding as it is, where a
	// norm stands otherwise.
	RawEmbed bool `json:"raw_embed,omitempty"`

	// Outputs is the number of outputs per position where they are no
	// logits of tokens but the parameters of a density; 0: Vocab logits.
	Outputs int `json:"outputs,omitempty"`
}

// Basis makes the head, or the embedding, a linear function of the basis:
//
//	logits = prior + (phi·head)·x,   embedding of token k = phi[k]·embed
//
// with phi (V,P) and prior (V) from [Model.SetBasis]. Head and embedding then
// have P rows, and what is learnt of one token holds for those like it.
const Basis = "basis"

// None leaves the embedding out: a position starts from its conditioning and
// its features alone, whatever its token.
const None = "none"

// MaxSeqLen bounds the tables that a model makes for its positions. No tensor
// has that size, so a damaged file could otherwise ask for any amount of memory.
const MaxSeqLen = 1 << 16

// presets are the named shapes of the command line.
var presets = map[string]Config{
	// The model of the specification: 19.4M parameters.
	"spec": {Vocab: 512, SeqLen: 256, Layers: 6, Heads: 8, KVHeads: 8, Embd: 512, RopeBase: 10_000},
	// Where on daily candles more depth, width or context brings nothing.
	"skill": {Vocab: 512, SeqLen: 64, Layers: 2, Heads: 4, KVHeads: 4, Embd: 64, RopeBase: 10_000},
	// Learns in seconds on a laptop: what quickstart trains.
	"quick": {Vocab: 512, SeqLen: 64, Layers: 2, Heads: 2, KVHeads: 1, Embd: 64, RopeBase: 10_000},
}

// Preset returns the named shape, or an error that lists the names.
func Preset(name string) (Config, error) {
	c, ok := presets[name]
	if !ok {
		return Config{}, fmt.Errorf("gpt: preset %q is not one of %v", name, Presets())
	}
	return c, nil
}

// Presets are the names of the shapes, in order.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// Defaults is the model of the specification.
func Defaults() Config { return presets["spec"] }

// headWidth is D wherever a size is derived from the depth.
const headWidth = 64

// Scaled returns c with its size set by one dial: depth blocks, 64·depth
// channels and depth heads of 64.
func (c Config) Scaled(depth int) Config {
	c.Layers, c.Embd, c.Heads, c.KVHeads = depth, headWidth*depth, depth, depth
	return c
}

// HeadDim is D, the width of one head.
func (c Config) HeadDim() int { return c.Embd / c.Heads }

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("gpt: "+format, args...))
		}
	}
	fault(c.Vocab < 2, "vocab %d: want at least 2", c.Vocab)
	fault(c.SeqLen < 2 || c.SeqLen > MaxSeqLen, "seq_len %d: want 2 to %d", c.SeqLen, MaxSeqLen)
	fault(c.Layers < 0, "layers %d: want 0 or more", c.Layers)
	fault(c.Heads < 1, "heads %d: want at least 1", c.Heads)
	fault(c.KVHeads < 1 || c.Heads > 0 && c.KVHeads > 0 && c.Heads%c.KVHeads != 0,
		"kv_heads %d: want a divisor of the %d heads", c.KVHeads, c.Heads)
	fault(c.Embd < 1 || c.Heads > 0 && (c.Embd%c.Heads != 0 || c.Embd/c.Heads%2 != 0),
		"embd %d: want an even number of channels for each of the %d heads", c.Embd, c.Heads)
	fault(!(c.RopeBase > 1) || math.IsInf(c.RopeBase, 0), "rope_base %v: want more than 1", c.RopeBase)
	fault(!(c.Softcap >= 0) || math.IsInf(c.Softcap, 0), "softcap %v: want 0 (off) or more", c.Softcap)
	fault(!(c.Dropout >= 0 && c.Dropout < 1), "dropout %v: want 0 ≤ p < 1", c.Dropout)
	fault(c.Features < 0, "features %d: want 0 or more", c.Features)
	fault(c.Basis < 0, "basis %d: want 0 or more functions", c.Basis)
	fault(c.Head != "" && c.Head != Basis, "head %q: want %q or nothing", c.Head, Basis)
	fault(c.Embed != "" && c.Embed != Basis && c.Embed != None, "embed %q: want %q, %q or nothing", c.Embed, Basis, None)
	for _, part := range []struct{ name, kind string }{{"head", c.Head}, {"embed", c.Embed}} {
		fault(part.kind == Basis && c.Basis == 0, "%s %q: there are no functions", part.name, Basis)
	}
	fault(c.Outputs < 0, "outputs %d: want 0 (a logit for every token) or more", c.Outputs)
	fault(c.Outputs > 0 && c.Head == Basis, "outputs %d: the basis of the head describes tokens", c.Outputs)
	fault(c.Embed == None && c.Features < 1 && len(c.Cond) == 0, "embed %q: neither features nor conditioning is there to start from", None)
	for i, n := range c.Cond {
		fault(n < 1, "cond[%d] has %d values: want at least 1", i, n)
	}
	// 2^31 parameters are 8 GiB a copy; beyond that an index or an
	// allocation fails in a less readable way.
	if len(errs) == 0 && c.count() > 1<<31 {
		fault(true, "%.3g parameters: want at most 2^31", c.count())
	}
	return errors.Join(errs...)
}

// count is the number of parameters in floating point, which cannot overflow.
func (c Config) count() float64 {
	C, L, D := float64(c.Embd), float64(c.Layers), float64(c.HeadDim())
	n := float64(c.headRows()+c.embedRows()+c.Features) * C
	n += float64(c.Basis+min(c.Basis, 1)) * float64(c.Vocab)
	for _, k := range c.Cond {
		n += float64(k) * C
	}
	return n + L*C*(2*C+2*float64(c.KVHeads)*D+8*C)
}

// Width is the number of outputs per position: a logit for every token, or the
// parameters of a density.
func (c Config) Width() int {
	if c.Outputs > 0 {
		return c.Outputs
	}
	return c.Vocab
}

// headRows is how many rows the head has.
func (c Config) headRows() int {
	if c.Head == Basis {
		return c.Basis
	}
	return c.Width()
}

// embedRows is how many rows the embedding has.
func (c Config) embedRows() int {
	switch c.Embed {
	case Basis:
		return c.Basis
	case None:
		return 0
	}
	return c.Vocab
}

// Parameters is the number of weights of a valid c, those of its basis, which
// are not learnt, among them.
func (c Config) Parameters() int { return int(c.count()) }
