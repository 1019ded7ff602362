package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/tokenizer"
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
	sum := uint32(0)
	for _, t := range slices.SortedFunc(slices.Values(tensors), func(a, b tensor) int { return strings.Compare(a.name, b.name) }) {
		sum = addSum(sum, t.name, t.Data())
	}
	h.CRC32C = fmt.Sprintf("%08x", sum)
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
// that of another program's file, errors.Is(err, [ErrForeign]); that of a file
// for [OpenResume], errors.Is(err, [ErrUnfinished]).
func Open(path string) (*Bundle, error) {
	f, h, err := read(path)
	if err != nil {
		return nil, err
	}
	if h.Resume != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnfinished, path)
	}
	b, err := decode(h, f)
	if err == nil {
		err = f.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	b.Hash = f.hash
	return b, nil
}

// addSum goes on with the CRC-32C of tensors in the order of their names.
func addSum(sum uint32, name string, data []byte) uint32 {
	return crc32.Update(crc32.Update(sum, castagnoli, []byte(name)), castagnoli, data)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// file is a parsed safetensors file.
type file struct {
	tensors map[string]*safetensors.TensorInfo
	data    []byte // what the offsets of the tensors count in
	taken   map[string]bool
	hash    string
	sum     string // that the tensors should have; empty: older files do not say
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
	n, meta, err := readMetadata(raw)
	if err != nil {
		return nil, h, fmt.Errorf("damaged or cut short: %w", err)
	}
	text, ok := meta.Metadata()[metadataKey]
	if !ok {
		return nil, h, fmt.Errorf("%w: safetensors without our header", ErrForeign)
	}
	if h, err = parseHeader([]byte(text)); err != nil {
		return nil, h, err
	}
	sum := sha256.Sum256(raw)
	f := &file{tensors: meta.Tensors(), data: raw[8+n:], taken: map[string]bool{}, hash: hex.EncodeToString(sum[:]), sum: h.CRC32C}
	return f, h, nil
}

// Resembles reports whether a file begins as all files of this package do: safetensors,
// the length of a JSON header and the header.
func Resembles(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	start := make([]byte, 9)
	_, err = io.ReadFull(file, start)
	return err == nil && start[8] == '{'
}

// readMetadata turns a panic of the safetensors library on hostile bytes into
// an error. What it returns is checked: the tensors lie one behind the other
// and fill the file.
func readMetadata(raw []byte) (n uint64, meta safetensors.Metadata, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("safetensors: %v", r)
		}
	}()
	return safetensors.ReadMetadata(raw)
}

// parseHeader reads our header strictly: a key that this program does not know
// may change what all others mean.
func parseHeader(text []byte) (header, error) {
	var h header
	var layout struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &layout); err != nil {
		return h, fmt.Errorf("damaged header: %w", err)
	}
	switch {
	case layout.Version > version: // first: its keys are others
		return h, fmt.Errorf("layout version %d is newer than this program's %d", layout.Version, version)
	case layout.Version < 1:
		return h, fmt.Errorf("damaged header: layout version %d", layout.Version)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, fmt.Errorf("damaged header: %w", err)
	}
	return h, nil
}

// elements counts the values of the tensors whose name starts with prefix.
func (f *file) elements(prefix string) int {
	n := 0
	for name, info := range f.tensors {
		if strings.HasPrefix(name, prefix) {
			n += len(f.bytes(info)) / 4
		}
	}
	return n
}

func (f *file) bytes(info *safetensors.TensorInfo) []byte {
	return f.data[info.DataOffsets[0]:info.DataOffsets[1]]
}

// withPrefix takes the tensors whose name starts with prefix and returns them
// without it.
func (f *file) withPrefix(prefix string) (map[string]tokenizer.Tensor, error) {
	out := map[string]tokenizer.Tensor{}
	for full, info := range f.tensors {
		name, ok := strings.CutPrefix(full, prefix)
		if !ok {
			continue
		}
		f.taken[full] = true
		if info.DType != safetensors.F32 {
			return nil, fmt.Errorf("tensor %q is %v, want F32", full, info.DType)
		}
		shape := make([]int, len(info.Shape))
		for i, n := range info.Shape {
			shape[i] = int(n)
		}
		data := make([]float32, len(f.bytes(info))/4)
		if err := fill(data, f.bytes(info)); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", full, err)
		}
		out[name] = tokenizer.Tensor{Name: name, Shape: shape, Data: data}
	}
	return out, nil
}

// readModel takes the tensors of m that are stored under prefix and fills
// arena with them.
func (f *file) readModel(prefix string, m *gpt.Model, arena []float32) error {
	for _, t := range m.Tensors {
		name := prefix + t.Name
		info, ok := f.tensors[name]
		if !ok {
			return fmt.Errorf("tensor %q is missing", name)
		}
		f.taken[name] = true
		if s := info.Shape; info.DType != safetensors.F32 || len(s) != 2 || s[0] != uint64(t.Rows) || s[1] != uint64(t.Cols) {
			return fmt.Errorf("tensor %q is %v %v, the model wants F32 [%d %d]", name, info.DType, s, t.Rows, t.Cols)
		}
		if err := fill(t.View(arena), f.bytes(info)); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return nil
}

// finish reports a tensor that nobody took, and tensors that are not as they were
// written.
func (f *file) finish() error {
	sum := uint32(0)
	for _, name := range slices.Sorted(maps.Keys(f.tensors)) {
		if !f.taken[name] {
			return fmt.Errorf("tensor %q is none that the header speaks of", name)
		}
		sum = addSum(sum, name, f.bytes(f.tensors[name]))
	}
	if got := fmt.Sprintf("%08x", sum); f.sum != "" && got != f.sum {
		return fmt.Errorf("damaged: the tensors have the checksum %s, not the %s that they were written with: take another copy", got, f.sum)
	}
	return nil
}

// fill decodes from, four bytes a value, and refuses what is no number.
func fill(to []float32, from []byte) error {
	for i := range to {
		v := math.Float32frombits(binary.LittleEndian.Uint32(from[4*i:]))
		if v-v != 0 { // NaN or infinite
			return fmt.Errorf("value %d is %v", i, v)
		}
		to[i] = v
	}
	return nil
}
