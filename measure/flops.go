package measure

import "github.com/micro-quant/mqc/gpt"

// What counts: a multiplication and an addition each, in matrix products and
// attention; norms, activations, the loss and AdamW do not. Attention is
// counted as it is needed: a position sees itself and those before it, so a
// window of T has T·(T+1)/2 pairs, not T².
//
//	forward   2·P + 4·L·C·(T+1)/2   a token; P weights that multiply, C = H·D
//	backward  twice that: the gradient of the input and that of the weights,
//	          and in attention of the queries, keys, probabilities and values
//
// Logits that the backward pass computes again are work that an implementation
// chooses, and do not count.

// Weights is P, the number of weights that multiply every token: all but those
// of the tables that are looked up.
func Weights(c gpt.Config) int {
	n := c.Embd * c.Features
	for _, l := range Linears(c) {
		n += l.In * l.Out * l.Count
	}
	return n
}

// Linear is a shape of weights: (Out, In), and how often a model has it.
type Linear struct{ In, Out, Count int }

// Linears are the matrices of a model by shape, without that of the features.
// Queries, keys and values are one.
func Linears(c gpt.Config) []Linear {
	C, q, kv := c.Embd, c.Heads*c.HeadDim(), c.KVHeads*c.HeadDim()
	var out []Linear
	add := func(in, width, count int) {
		for i := range out {
			if out[i].In == in && out[i].Out == width {
				out[i].Count += count
				return
			}
		}
		out = append(out, Linear{in, width, count})
	}
	add(C, q+2*kv, c.Layers)
	add(q, C, c.Layers)
	add(C, 4*C, c.Layers)
	add(4*C, C, c.Layers)
	add(C, c.Width(), 1)
	return out
}

// perToken is the cost of a token that sees keys positions.
func perToken(c gpt.Config, keys float64) float64 {
	return 2*float64(Weights(c)) + 4*float64(c.Layers*c.Heads*c.HeadDim())*keys
}

// ForwardFLOPs is the cost of a token in the forward pass of windows of T.
func ForwardFLOPs(c gpt.Config, T int) float64 { return perToken(c, float64(T+1)/2) }

// TrainFLOPs is the cost of a token in a training step.
func TrainFLOPs(c gpt.Config, T int) float64 { return 3 * ForwardFLOPs(c, T) }

// DecodeFLOPs is the mean cost of a decoded token. The first of n new tokens
// comes from the prompt; decoding feeds that and all but the last of the
// others, which see prompt+1 … prompt+n−1 positions.
func DecodeFLOPs(c gpt.Config, prompt, n int) float64 {
	return perToken(c, float64(prompt)+float64(n)/2)
}
