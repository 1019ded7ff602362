// Package tokenizer turns the feature vector of one candle into one token and
// back. Nothing but that vector enters, so no token can know a later candle.
package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/micro-quant/mqc/feature"
)

// Tokenizer maps vectors to tokens 0 … Codes()−1 and back. Implementations are
// safe for concurrent use.
type Tokenizer interface {
	Kind() string // what [Load] takes
	Codes() int

	// Encode returns the token of a vector. Validated candles give finite
	// vectors; in any other a NaN counts as 0 and an infinity as the
	// largest move, so that the token is always in range.
	Encode(feature.Vector) int

	// Decode returns the vector that a token stands for. It panics for a
	// token out of range.
	Decode(token int) feature.Vector

	// Tensors returns all fitted numbers, and Config the settings, as JSON
	// encodes them: together they make the same tokenizer in [Load]. The
	// data must not be changed.
	Tensors() []Tensor
	Config() any
}

// Tensor is a named array in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Limits of the number of codes.
const (
	MinCodes = 2
	MaxCodes = 4096
)

// batchEncoder is a tokenizer that encodes many vectors faster than one by
// one, to the same tokens.
type batchEncoder interface {
	encodeAll(tokens []int32, vectors []feature.Vector)
}

// EncodeAll returns the tokens of all vectors: those that Encode gives, found
// in batches on all workers.
func EncodeAll(tok Tokenizer, vectors []feature.Vector) []int32 {
	tokens := make([]int32, len(vectors))
	if b, ok := tok.(batchEncoder); ok {
		b.encodeAll(tokens, vectors)
		return tokens
	}
	for i, v := range vectors {
		tokens[i] = int32(tok.Encode(v))
	}
	return tokens
}

// Fingerprint identifies a tokenizer: the SHA-256, in hexadecimal, over its
// kind and all its numbers. Tokens of one tokenizer mean nothing to another.
func Fingerprint(tok Tokenizer) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", tok.Kind(), tok.Codes())
	for _, t := range tok.Tensors() {
		fmt.Fprintf(h, "%s %v\n", t.Name, t.Shape)
		for _, x := range t.Data {
			binary.Write(h, binary.LittleEndian, math.Float32bits(x))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Load makes the tokenizer that a file describes. The file may be foreign or
// damaged: an unknown kind or setting, a missing or superfluous tensor, a wrong
// shape and a number that is not finite are errors.
func Load(kind string, configJSON []byte, tensors map[string]Tensor) (Tokenizer, error) {
	k, err := findKind(kind)
	if err != nil {
		return nil, err
	}
	parts := &parts{tensors: tensors, taken: map[string]bool{}}
	tok, err := k.load(configJSON, parts)
	if err == nil {
		err = parts.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: load %s: %w", kind, err)
	}
	return tok, nil
}

// decodeConfig reads settings strictly.
func decodeConfig(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return nil
}

// parts hands out the tensors of a file, each checked, and keeps the first fault.
type parts struct {
	tensors map[string]Tensor
	taken   map[string]bool
	err     error
}

// take copies the tensor of that name and shape to dst.
func (p *parts) take(dst []float32, name string, shape ...int) {
	p.taken[name] = true
	if p.err != nil {
		return
	}
	t, ok := p.tensors[name]
	switch {
	case !ok:
		p.err = fmt.Errorf("tensor %q is missing", name)
	case !slices.Equal(t.Shape, shape) || len(t.Data) != len(dst):
		p.err = fmt.Errorf("tensor %q has shape %v and %d values, the config wants %v", name, t.Shape, len(t.Data), shape)
	default:
		for i, x := range t.Data {
			if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
				p.err = fmt.Errorf("tensor %q: value %d is %v", name, i, x)
				return
			}
		}
		copy(dst, t.Data)
	}
}

// finish reports the first fault, or a tensor that nobody took.
func (p *parts) finish() error {
	if p.err != nil {
		return p.err
	}
	extra := []string{}
	for name := range p.tensors {
		if !p.taken[name] {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		slices.Sort(extra)
		return fmt.Errorf("unknown tensors %q", extra)
	}
	return nil
}
