package train

import "github.com/micro-quant/mqc/gpt"

// Need is about what a run takes, in bytes. What is kept of the data is not in
// it: some hundred bytes for each candle.
type Need struct {
	Memory int64 `json:"memory"` // at most, of RAM
	Disk   int64 `json:"disk"`   // at most, while a resume file takes the place of another
}

// Needs says what a run of a valid model needs; average is whether a moving
// average of its weights is kept.
func Needs(c gpt.Config, p gpt.Precision, average bool) Need {
	weights := 4 * int64(c.Parameters())
	element := int64(4)
	if p == gpt.BF16 {
		element = 2
	}

	// The weights, their gradients, two moments, the weights of the start
	// twice, the best, and those of the finished checkpoint; two layouts for
	// the products; and the numbers of a resume file as bytes.
	copies, layouts, saved := int64(8), int64(2), int64(5)
	if average {
		copies, layouts, saved = copies+1, layouts+1, saved+1
	}
	memory := (copies+saved)*weights + layouts*weights*element/4

	C, W := int64(c.Embd), int64(c.Width())
	qkv := C + 2*int64(c.KVHeads*c.HeadDim())
	layer := element*7*C + 4*qkv // norms, attention and MLP; queries, keys and values
	shared := 4*(2*C+2*W) + element*C
	backward := 4*(3*C+qkv) + element*(W+C+qkv+4*C)
	rows := int64(max(chunkTokens, c.SeqLen))
	memory += rows * (int64(c.Layers)*layer + shared + backward)

	return Need{Memory: memory + program, Disk: (2*saved + 1) * weights}
}

// program is what the process takes whatever it does.
const program = 24 << 20
