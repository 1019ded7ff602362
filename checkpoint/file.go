package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/atomicfile"
)

// ErrForeign says that a file is no checkpoint of this program.
var ErrForeign = errors.New("not a checkpoint of this program")

// metadataKey is where a safetensors file of ours carries its header.
const metadataKey = "mqc"

// tensor is a named array on its way to or from a file.
type tensor struct {
	name  string
	shape []int
	data  []float32
}

// DType, Shape, Data and DataLen make a tensor what safetensors serialises.

func (t tensor) DType() safetensors.DType { return safetensors.F32 }

func (t tensor) Shape() []uint64 {
	s := make([]uint64, len(t.shape))
	for i, n := range t.shape {
		s[i] = uint64(n)
	}
	return s
}

func (t tensor) Data() []byte {
	b := make([]byte, 0, 4*len(t.data))
	for _, v := range t.data {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func (t tensor) DataLen() uint64 { return uint64(4 * len(t.data)) }

// Save writes b to path: to a temporary file beside it, synced, then renamed,
// so that path holds either the old checkpoint or the new one.
func Save(path string, b *Bundle) error {
	h, tensors, err := b.encode()
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return write(path, h, tensors)
}

func write(path string, h header, tensors []tensor) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	data := make(map[string]tensor, len(tensors))
	for _, t := range tensors {
		data[t.name] = t
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		return safetensors.SerializeToWriter(data, map[string]string{"format": "mqc", metadataKey: string(text)}, w)
	})
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// Open reads the bundle at path, whatever its name ends in: reading goes by
// content. The error of a missing file satisfies errors.Is(err, fs.ErrNotExist);
// that of another program's file, errors.Is(err, [ErrForeign]).
func Open(path string) (*Bundle, error) {
	f, h, err := read(path)
	if err != nil {
		return nil, err
	}
	b, err := decode(h, f)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	b.Hash = f.hash
	return b, nil
}

// file is a parsed safetensors file.
type file struct {
	st   safetensors.SafeTensors
	hash string
}

func read(path string) (*file, header, error) {
	var h header
	raw, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, h, fmt.Errorf("checkpoint: %s: %w", path, fs.ErrNotExist)
		}
		return nil, h, fmt.Errorf("checkpoint: %w", err)
	}
	f, h, err := parse(raw)
	if err != nil {
		return nil, h, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return f, h, nil
}

// parse checks raw as far as the header; the tensors are read on demand.
func parse(raw []byte) (*file, header, error) {
	var h header
	if len(raw) < 8 || binary.LittleEndian.Uint64(raw) > uint64(len(raw)-8) {
		// Only now: a header of our own may be 128 bytes modulo 256 long, and
		// then it begins as a pickle does.
		if bytes.HasPrefix(raw, []byte("PK\x03\x04")) || bytes.HasPrefix(raw, []byte{0x80, 2}) {
			return nil, h, fmt.Errorf("%w: it looks like a PyTorch file", ErrForeign)
		}
		return nil, h, fmt.Errorf("%w, or cut short: %d bytes", ErrForeign, len(raw))
	}
	st, meta, err := deserialize(raw)
	if err != nil {
		return nil, h, fmt.Errorf("damaged or cut short: %w", err)
	}
	text, ok := meta[metadataKey]
	if !ok {
		return nil, h, fmt.Errorf("%w: safetensors without our header", ErrForeign)
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, h, fmt.Errorf("damaged header: %w", err)
	}
	sum := sha256.Sum256(raw)
	return &file{st: st, hash: hex.EncodeToString(sum[:])}, h, nil
}

// deserialize turns a panic of the safetensors library on hostile bytes into
// an error.
func deserialize(raw []byte) (st safetensors.SafeTensors, meta map[string]string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("safetensors: %v", r)
		}
	}()
	_, m, err := safetensors.ReadMetadata(raw)
	if err != nil {
		return st, nil, err
	}
	st, err = safetensors.Deserialize(raw)
	return st, m.Metadata(), err
}

// elements counts the values of the tensors whose name starts with prefix.
func (f *file) elements(prefix string) int {
	n := 0
	for _, t := range f.st.Tensors() {
		if strings.HasPrefix(t.Name, prefix) {
			n += int(t.TensorView.DataLen() / 4)
		}
	}
	return n
}

// withPrefix returns the tensors whose name starts with prefix, without it.
func (f *file) withPrefix(prefix string) []tensor {
	var out []tensor
	for _, t := range f.st.Tensors() {
		name, ok := strings.CutPrefix(t.Name, prefix)
		if !ok || t.TensorView.DType() != safetensors.F32 {
			continue
		}
		shape := make([]int, 0, 2)
		for _, n := range t.TensorView.Shape() {
			shape = append(shape, int(n))
		}
		data := make([]float32, t.TensorView.DataLen()/4)
		fill(data, t.TensorView.Data())
		out = append(out, tensor{name, shape, data})
	}
	return out
}

// readModel fills arena with the tensors of m that are stored under prefix.
func (f *file) readModel(prefix string, m *gpt.Model, arena []float32) error {
	for _, t := range m.Tensors {
		v, ok := f.st.Tensor(prefix + t.Name)
		if !ok {
			return fmt.Errorf("tensor %q is missing", prefix+t.Name)
		}
		s := v.Shape()
		if v.DType() != safetensors.F32 || len(s) != 2 || s[0] != uint64(t.Rows) || s[1] != uint64(t.Cols) {
			return fmt.Errorf("tensor %q is %v %v, the model wants F32 [%d %d]", prefix+t.Name, v.DType(), s, t.Rows, t.Cols)
		}
		fill(t.View(arena), v.Data())
	}
	return nil
}

func fill(to []float32, from []byte) {
	for i := range to {
		to[i] = math.Float32frombits(binary.LittleEndian.Uint32(from[4*i:]))
	}
}
