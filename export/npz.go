package export

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/micro-quant/mqc/checkpoint"
)

// NPZ writes the model's tensors as an archive that numpy.load opens without
// pickle: one two-dimensional float32 array each, under the names of
// [Safetensors]. The member metadata.json has config, inputs and checkpoint.
func NPZ(w io.Writer, b *checkpoint.Bundle) error {
	about, err := metadata(b)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(w)
	member, err := archive.Create("metadata.json")
	if err != nil {
		return err
	}
	err = json.NewEncoder(member).Encode(map[string]any{
		"config": json.RawMessage(about["config"]), "inputs": json.RawMessage(about["inputs"]), "checkpoint": about["checkpoint"],
	})
	if err != nil {
		return err
	}
	for _, t := range b.Model.Tensors {
		// Stored: weights hardly compress, and numpy can map them as they are.
		member, err := archive.CreateHeader(&zip.FileHeader{Name: prefix + t.Name + ".npy", Method: zip.Store})
		if err != nil {
			return err
		}
		if _, err := member.Write(appendFloats(npyHeader(t.Rows, t.Cols), t.View(b.Model.Params))); err != nil {
			return err
		}
	}
	return archive.Close()
}

// npyHeader is what stands before the values of a float32 matrix in a .npy
// file of version 1.0: it ends with a newline at a multiple of 64 bytes.
func npyHeader(rows, cols int) []byte {
	const before = 10 // magic, version and length
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	text += strings.Repeat(" ", 63-(before+len(text))%64) + "\n"
	header := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(header[8:], uint16(len(text)))
	return append(header, text...)
}
