// Package torch takes over models of the original program, the one whose
// README is the specification of this one, from the checkpoints that it wrote
// with PyTorch. docs/checkpoint.md says what is taken over and what is not.
package torch

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
)

// ErrNotTorch says that a file is none that torch.save of PyTorch 1.6 or newer
// has written.
var ErrNotTorch = errors.New("not a file of PyTorch 1.6 or newer")

// Tensor is an array in a [File].
type Tensor struct {
	Shape   []int
	storage storage
	offset  int // of the first value in the storage
	stride  []int
}

// File is a file of torch.save in memory: a zip archive with a pickle, which
// says what there is, and a record for every storage.
type File struct {
	hash    string // SHA-256 of the whole file
	size    int    // of the file in bytes
	root    any
	folder  string
	records map[string]*zip.File
}

// Read reads the file at path. The error of a missing one satisfies
// errors.Is(err, fs.ErrNotExist), that of another program's, [ErrNotTorch].
func Read(path string) (*File, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("torch: %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	f, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("torch: %s: %w", path, err)
	}
	return f, nil
}

func parse(raw []byte) (*File, error) {
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTorch, err)
	}
	sum := sha256.Sum256(raw)
	f := &File{hash: hex.EncodeToString(sum[:]), size: len(raw), records: map[string]*zip.File{}}
	for _, r := range archive.File {
		f.records[r.Name] = r
		if path.Base(r.Name) == "data.pkl" {
			f.folder = path.Dir(r.Name)
		}
	}
	if f.folder == "" {
		return nil, fmt.Errorf("%w: a zip archive without data.pkl", ErrNotTorch)
	}
	if f.records[path.Join(f.folder, "constants.pkl")] != nil {
		return nil, errors.New("a TorchScript program: save the state_dict of the model")
	}
	if order := path.Join(f.folder, "byteorder"); f.records[order] != nil {
		text, err := f.record(order)
		if err != nil {
			return nil, err
		}
		if string(text) != "little" {
			return nil, fmt.Errorf("byte order %q: want little", text)
		}
	}
	data, err := f.record(path.Join(f.folder, "data.pkl"))
	if err != nil {
		return nil, err
	}
	f.root, err = unpickle(data)
	return f, err
}

// record returns the bytes of a record, which PyTorch stores as they are: so
// none is larger than the file.
func (f *File) record(name string) ([]byte, error) {
	r := f.records[name]
	if r == nil {
		return nil, fmt.Errorf("record %s is missing", name)
	}
	if r.Method != zip.Store {
		return nil, fmt.Errorf("record %s is compressed, which PyTorch does not do", name)
	}
	in, err := r.Open()
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	return data, nil
}

// values writes the numbers of t to out, which has as many.
func (f *File) values(out []float32, t *Tensor) error {
	if t.storage.class != "FloatStorage" {
		return fmt.Errorf("is of type %s, want float32: call .float() on the model before it is saved", t.storage.class)
	}
	n := 1
	for i := len(t.Shape) - 1; i >= 0; i-- {
		if t.stride[i] != n && t.Shape[i] != 1 {
			return fmt.Errorf("has strides %v for shape %v: call .contiguous() on it before it is saved", t.stride, t.Shape)
		}
		n *= t.Shape[i]
	}
	data, err := f.record(path.Join(f.folder, "data", t.storage.key))
	if err != nil {
		return err
	}
	if first, last := t.offset, t.offset+len(out); n != len(out) || first < 0 || last < first || last > len(data)/4 {
		return fmt.Errorf("lies at values %d to %d of a storage of %d", first, last, len(data)/4)
	}
	for i := range out {
		v := math.Float32frombits(binary.LittleEndian.Uint32(data[4*(t.offset+i):]))
		if v-v != 0 { // NaN or infinite
			return fmt.Errorf("has %v as value %d", v, i)
		}
		out[i] = v
	}
	return nil
}
