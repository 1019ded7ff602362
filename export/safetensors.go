package export

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/nlpodyssey/safetensors"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
)

// Safetensors writes the model's tensors under the names that they have in a
// checkpoint. The metadata has "format": "pt", which Python libraries ask for,
// and config, inputs and checkpoint.
func Safetensors(w io.Writer, b *checkpoint.Bundle) error {
	about, err := metadata(b)
	if err != nil {
		return err
	}
	about["format"] = "pt"
	tensors := make(map[string]tensor, len(b.Model.Tensors))
	for _, t := range b.Model.Tensors {
		tensors[prefix+t.Name] = tensor{t, b.Model.Params}
	}
	return safetensors.SerializeToWriter(tensors, about, w)
}

// tensor is what package safetensors serialises.
type tensor struct {
	gpt.Tensor
	params []float32
}

func (t tensor) DType() safetensors.DType { return safetensors.F32 }
func (t tensor) Shape() []uint64          { return []uint64{uint64(t.Rows), uint64(t.Cols)} }
func (t tensor) DataLen() uint64          { return uint64(4 * t.Len()) }
func (t tensor) Data() []byte             { return appendFloats(nil, t.View(t.params)) }

// appendFloats appends data, four bytes each, little endian.
func appendFloats(to []byte, data []float32) []byte {
	for _, x := range data {
		to = binary.LittleEndian.AppendUint32(to, math.Float32bits(x))
	}
	return to
}
