// Package export writes the model of a checkpoint for other programs: its
// weights as plain safetensors or as an .npz archive, or weights and
// computation together as an ONNX graph. docs/checkpoint.md describes the files.
package export

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/internal/atomicfile"
)

// Formats are the names that [Write] takes.
var Formats = []string{"safetensors", "npz", "onnx"}

// writers are the formats, in the order of Formats.
var writers = []func(io.Writer, *checkpoint.Bundle) error{Safetensors, NPZ, ONNX}

// Write writes the model of b to path in one of [Formats], whole or not at all.
// It fails for another format, and with [checkpoint.ErrNoModel] for a tokenizer
// file.
func Write(path, format string, b *checkpoint.Bundle) error {
	if b.Model == nil {
		return fmt.Errorf("export: %w", checkpoint.ErrNoModel)
	}
	for i, name := range Formats {
		if name != format {
			continue
		}
		err := atomicfile.Write(path, func(w io.Writer) error { return writers[i](w, b) })
		if err != nil {
			return fmt.Errorf("export: %w", err)
		}
		return nil
	}
	return fmt.Errorf("export: format %q is not one of %v", format, Formats)
}

// prefix stands before the name of a model's tensor, as in a checkpoint.
const prefix = "model."

// metadata is what a reader needs beside the weights: the shape of the model,
// what its inputs mean, and the SHA-256 of the checkpoint. The first two are JSON.
func metadata(b *checkpoint.Bundle) (map[string]string, error) {
	config, err := json.Marshal(b.Model.Config)
	if err != nil {
		return nil, err
	}
	inputs, err := json.Marshal(b.Inputs)
	if err != nil {
		return nil, err
	}
	return map[string]string{"config": string(config), "inputs": string(inputs), "checkpoint": b.Hash}, nil
}
