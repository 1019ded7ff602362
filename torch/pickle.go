package torch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
)

// unpickle reads data.pkl. Nothing that it names is ever run: tensors and
// storages become descriptions, a config its fields, and every other class a
// value of type opaque.
func unpickle(data []byte) (root any, err error) {
	if err := scan(data); err != nil {
		return nil, err
	}
	// The library indexes without looking where a pickle is malformed.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged pickle: %v", r)
		}
	}()
	u := pickle.NewUnpickler(bytes.NewReader(data))
	u.FindClass = func(module, name string) (any, error) {
		switch {
		case module == "torch._utils" && name == "_rebuild_tensor_v2":
			return rebuild{}, nil
		case module == "torch":
			return storageClass(name), nil
		case name == "GPTConfig": // src.gpt_model, gpt_model, microchat.gpt or __main__
			return configClass{}, nil
		}
		return opaque{}, nil
	}
	u.PersistentLoad = persistent
	return u.Load()
}

// opaque stands for all that is of no interest: optimizers, dtypes, arrays.
type opaque struct{}

func (opaque) Call(...any) (any, error)  { return opaque{}, nil }
func (opaque) PyNew(...any) (any, error) { return opaque{}, nil }
func (opaque) PySetState(any) error      { return nil }

// storageClass is the type of a storage: "FloatStorage".
type storageClass string

// storage is where the values of tensors lie.
type storage struct {
	class storageClass
	key   string // the record data/key of the archive
}

// persistent turns the tuple ("storage", class, key, device, size) into a storage.
func persistent(id any) (any, error) {
	t, ok := id.(*types.Tuple)
	if !ok || t.Len() < 3 || t.Get(0) != "storage" {
		return nil, errors.New("a persistent object that is no storage")
	}
	class, ok := t.Get(1).(storageClass)
	key, named := t.Get(2).(string)
	if !ok || !named {
		return nil, errors.New("a storage without type or name")
	}
	return storage{class, key}, nil
}

// rebuild is the function that makes a tensor of a storage.
type rebuild struct{}

// Call takes storage, offset, size, stride, requires_grad and hooks.
func (rebuild) Call(args ...any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d arguments", len(args))
	}
	s, ok := args[0].(storage)
	offset, whole := args[1].(int)
	shape, shaped := integers(args[2])
	stride, strode := integers(args[3])
	if !ok || !whole || !shaped || !strode || len(stride) != len(shape) {
		return nil, errors.New("a tensor without storage, offset, shape or strides")
	}
	return &Tensor{storage: s, offset: offset, Shape: shape, stride: stride}, nil
}

func integers(v any) ([]int, bool) {
	t, ok := v.(*types.Tuple)
	if !ok {
		return nil, false
	}
	out := make([]int, t.Len())
	for i := range out {
		if out[i], ok = t.Get(i).(int); !ok {
			return nil, false
		}
	}
	return out, true
}

// configClass makes configs that were pickled as objects.
type configClass struct{}

func (configClass) PyNew(...any) (any, error) { return fields{}, nil }

// fields are the attributes of such an object, or the items of a dict.
type fields map[string]any

func (f fields) PyDictSet(key, value any) error {
	name, ok := key.(string)
	if !ok {
		return errors.New("an attribute whose name is no text")
	}
	f[name] = value
	return nil
}

// asFields returns a dict whose keys are text.
func asFields(v any) (fields, bool) {
	f := fields{}
	switch d := v.(type) {
	case fields:
		return d, true
	case *types.Dict:
		for _, e := range *d {
			if f.PyDictSet(e.Key, e.Value) != nil {
				return nil, false
			}
		}
	case *types.OrderedDict:
		for key, e := range d.Map {
			if f.PyDictSet(key, e.Value) != nil {
				return nil, false
			}
		}
	default:
		return nil, false
	}
	return f, true
}

// Arguments of the opcodes of pickle protocol 2, which torch.save writes
// (Python's pickletools): so many bytes, or
const (
	counted1 = -1 - iota // a byte, and so many bytes
	counted4             // four bytes, and so many bytes
	line                 // up to a newline
	lines                // twice that
)

var arguments = func() map[byte]int {
	of := map[byte]int{
		0x80: 1, 'J': 4, 'K': 1, 'M': 2, 'G': 8, 'h': 1, 'j': 4, 'q': 1, 'r': 4,
		'U': counted1, 0x8a: counted1, 'T': counted4, 'X': counted4, 0x8b: counted4,
		'I': line, 'L': line, 'F': line, 'S': line, 'V': line, 'g': line, 'p': line,
		'c': lines, 'i': lines,
	}
	for _, op := range []byte("(.012NQRabd}el]ostu)\x81\x85\x86\x87\x88\x89") {
		of[op] = 0
	}
	return of
}()

// scan refuses a pickle that is not of protocol 2, or one of whose strings would
// reach past its end: the library would make room for it before it looks.
func scan(data []byte) error {
	cut := errors.New("damaged pickle: it ends within an instruction")
	for at := 0; at < len(data); {
		op := data[at]
		rest := data[at+1:]
		n, known := arguments[op]
		switch {
		case !known:
			return fmt.Errorf("opcode %#02x at byte %d: want a pickle of protocol 2, as torch.save writes it", op, at)
		case op == '.':
			return nil
		case n == counted1 && len(rest) > 0:
			n = 1 + int(rest[0])
		case n == counted4 && len(rest) >= 4:
			n = 4 + int(binary.LittleEndian.Uint32(rest))
		case n == line || n == lines:
			times := map[int]int{line: 1, lines: 2}[n]
			for n = 0; times > 0; times-- {
				i := bytes.IndexByte(rest[n:], '\n')
				if i < 0 {
					return cut
				}
				n += i + 1
			}
		}
		if n < 0 || n > len(rest) {
			return cut
		}
		at += 1 + n
	}
	return errors.New("damaged pickle: it has no end")
}
