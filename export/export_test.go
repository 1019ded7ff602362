package export

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/safetensors"
	"pgregory.net/rapid"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
)

// shapes are models with every head, every embedding and every input.
func shapes() map[string]gpt.Config {
	plain := gpt.Config{Vocab: 13, SeqLen: 24, Layers: 2, Heads: 4, KVHeads: 4, Embd: 16, RopeBase: 100}
	with := func(change func(*gpt.Config)) gpt.Config {
		c := plain
		change(&c)
		return c
	}
	inputs := func(c *gpt.Config) { c.Cond, c.Features = []int{3, 5}, 2 }
	return map[string]gpt.Config{
		"plain":           plain,
		"grouped queries": with(func(c *gpt.Config) { c.KVHeads = 2 }),
		"one key head":    with(func(c *gpt.Config) { c.KVHeads = 1 }),
		"soft cap":        with(func(c *gpt.Config) { c.Softcap = 4 }),
		"inputs":          with(inputs),
		"no blocks":       with(func(c *gpt.Config) { c.Layers = 0 }),
		"raw embedding":   with(func(c *gpt.Config) { c.RawEmbed = true }),
		"basis":           with(func(c *gpt.Config) { c.Basis, c.Head, c.Embed = 4, gpt.Basis, gpt.Basis }),
		"basis of the head, capped": with(func(c *gpt.Config) {
			c.Basis, c.Head, c.Softcap = 4, gpt.Basis, 9
		}),
		"basis of the embedding": with(func(c *gpt.Config) { c.Basis, c.Embed = 4, gpt.Basis }),
		"parameters of a density": with(func(c *gpt.Config) {
			inputs(c)
			c.Outputs, c.Embed, c.KVHeads = 12, gpt.None, 2
		}),
		"no embedding, no blocks": with(func(c *gpt.Config) {
			inputs(c)
			c.Layers, c.Embed = 0, gpt.None
		}),
	}
}

// model returns a model none of whose weights is zero, in a bundle.
func model(t interface{ Fatal(...any) }, c gpt.Config, seed uint64) *checkpoint.Bundle {
	m, err := gpt.Allocate(c)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for _, tensor := range m.Tensors {
		std := 1 / math.Sqrt(float64(tensor.Cols))
		for i := range tensor.View(m.Params) {
			tensor.View(m.Params)[i] = float32(std * r.NormFloat64())
		}
	}
	return &checkpoint.Bundle{Model: m, Hash: "0123"}
}

func input(c gpt.Config, B, T int, seed uint64) gpt.Input {
	r := rand.New(rand.NewPCG(seed, 2))
	in := gpt.Input{B: B, T: T}
	for range B * T {
		in.Tokens = append(in.Tokens, r.Int32N(int32(c.Vocab)))
		for _, n := range c.Cond {
			in.Cond = append(in.Cond, r.Int32N(int32(n)))
		}
		for range c.Features {
			in.Features = append(in.Features, float32(r.NormFloat64()))
		}
	}
	return in
}

// feed is in as the inputs of a graph.
func feed(c gpt.Config, in gpt.Input) map[string]array {
	values := map[string]array{"tokens": {typeInt64, []int{in.B, in.T}, wide(in.Tokens)}}
	if len(c.Cond) > 0 {
		values["cond"] = array{typeInt64, []int{in.B, in.T, len(c.Cond)}, wide(in.Cond)}
	}
	if c.Features > 0 {
		values["features"] = array{typeFloat, []int{in.B, in.T, c.Features}, wide(in.Features)}
	}
	return values
}

func wide[E int32 | float32](x []E) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// logits are those of mqc, in float32.
func logits(m *gpt.Model, in gpt.Input) []float32 {
	var w gpt.Workspace
	return slices.Clone(m.Runner(gpt.F32).Forward(&w, in))
}

// closeness is how near two implementations in float32 must be, and what is
// promised: logits here are near 1, and no sum has more than 64 terms.
const closeness = 1e-4

// furthest is the largest distance of two rows of numbers.
func furthest[E float32 | float64](got []E, want []float32) float64 {
	worst := 0.0
	for i := range want {
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) {
			worst = d
		}
	}
	return worst
}

func encode(t interface{ Fatal(...any) }, b *checkpoint.Bundle) *onnxFile {
	var file bytes.Buffer
	if err := ONNX(&file, b); err != nil {
		t.Fatal(err)
	}
	return parseONNX(file.Bytes())
}

func TestGraphComputesTheLogits(t *testing.T) {
	for name, c := range shapes() {
		t.Run(name, func(t *testing.T) {
			b := model(t, c, 1)
			f := encode(t, b)
			for _, size := range [][2]int{{1, 1}, {1, 2}, {3, 7}, {2, c.SeqLen}} {
				in := input(c, size[0], size[1], 7)
				want := logits(b.Model, in)
				for name, got := range f.run(feed(c, in)) {
					if shape := []int{in.B, in.T, c.Width()}; !slices.Equal(got.shape, shape) {
						t.Fatalf("%s of %v tokens have shape %v, want %v", name, size, got.shape, shape)
					}
					if d := furthest(got.data, want); !(d < closeness) {
						t.Errorf("%s of %v tokens are %v away", name, size, d)
					}
				}
			}
		})
	}
}

func TestGraphOfAnyShapeComputesTheLogits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		KV := rapid.IntRange(1, 3).Draw(t, "key heads")
		heads := KV * rapid.IntRange(1, 3).Draw(t, "group")
		c := gpt.Config{
			Vocab: rapid.IntRange(2, 20).Draw(t, "vocabulary"), SeqLen: rapid.IntRange(2, 12).Draw(t, "context"),
			Layers: rapid.IntRange(0, 2).Draw(t, "layers"), Heads: heads, KVHeads: KV,
			Embd:     heads * 2 * rapid.IntRange(1, 3).Draw(t, "half a head"),
			RopeBase: rapid.Float64Range(1.5, 20_000).Draw(t, "base"),
			Softcap:  rapid.SampledFrom([]float64{0, 3}).Draw(t, "soft cap"),
			Cond:     rapid.SliceOfN(rapid.IntRange(1, 4), 0, 3).Draw(t, "conditioning"),
			Features: rapid.IntRange(0, 3).Draw(t, "features"), Basis: rapid.IntRange(0, 3).Draw(t, "basis"),
			RawEmbed: rapid.Bool().Draw(t, "raw embedding"),
		}
		if c.Basis > 0 {
			c.Head = rapid.SampledFrom([]string{"", gpt.Basis}).Draw(t, "head")
			c.Embed = rapid.SampledFrom([]string{"", gpt.Basis}).Draw(t, "embedding")
		}
		if len(c.Cond)+c.Features > 0 && rapid.Bool().Draw(t, "no embedding") {
			c.Embed = gpt.None
		}
		if c.Head == "" {
			c.Outputs = rapid.IntRange(0, 4).Draw(t, "outputs")
		}
		b := model(t, c, rapid.Uint64().Draw(t, "seed"))
		in := input(c, rapid.IntRange(1, 3).Draw(t, "B"), rapid.IntRange(1, c.SeqLen).Draw(t, "T"), 3)
		want := logits(b.Model, in)
		for name, got := range encode(t, b).run(feed(c, in)) {
			if d := furthest(got.data, want); !(d < closeness) {
				t.Fatalf("%s are %v away", name, d)
			}
		}
	})
}

func TestGraphDeclaresWhatItTakes(t *testing.T) {
	c := shapes()["parameters of a density"]
	f := encode(t, model(t, c, 1))
	if f.ir != 8 || f.opset != 17 {
		t.Errorf("ir version %d, operator set %d, want 8 and 17", f.ir, f.opset)
	}
	inputs := map[string][]string{"tokens": {"7", "batch", "time"}, "cond": {"7", "batch", "time", "2"}, "features": {"1", "batch", "time", "2"}}
	if got, want := fmt.Sprint(f.inputs), fmt.Sprint(inputs); got != want {
		t.Errorf("inputs %v, want %v", got, want)
	}
	if got, want := fmt.Sprint(f.outputs), "map[outputs:[1 batch time 12]]"; got != want {
		t.Errorf("outputs %v, want %v", got, want)
	}
	f = encode(t, model(t, shapes()["plain"], 1))
	if got, want := fmt.Sprint(f.inputs, f.outputs), "map[tokens:[7 batch time]] map[logits:[1 batch time 13]]"; got != want {
		t.Errorf("inputs and outputs %v, want %v", got, want)
	}
	var config gpt.Config
	if err := json.Unmarshal([]byte(f.metadata["config"]), &config); err != nil || fmt.Sprint(config) != fmt.Sprint(shapes()["plain"]) {
		t.Errorf("config %s (%v)", f.metadata["config"], err)
	}
	if f.metadata["checkpoint"] != "0123" {
		t.Errorf("checkpoint %q, want the hash of the file", f.metadata["checkpoint"])
	}
}

func TestONNXRefusesMoreThanTheFormatHolds(t *testing.T) {
	if err := fits(math.MaxInt32); err != nil {
		t.Errorf("2 GiB less a byte: %v", err)
	}
	if err := fits(math.MaxInt32 + 1); err == nil || !strings.Contains(err.Error(), "2 GiB") {
		t.Errorf("2 GiB: %v", err)
	}
}

func TestSafetensorsHoldsTheWeightsAndNothingOfOurs(t *testing.T) {
	b := model(t, shapes()["basis"], 1)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := Write(path, "safetensors", b); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Deserialize(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := file.Len(), len(b.Model.Tensors); got != want {
		t.Errorf("%d tensors, want %d", got, want)
	}
	for _, tensor := range b.Model.Tensors {
		view, ok := file.Tensor("model." + tensor.Name)
		if !ok || view.DType() != safetensors.F32 || !slices.Equal(view.Shape(), []uint64{uint64(tensor.Rows), uint64(tensor.Cols)}) {
			t.Errorf("model.%s: %v %v, want F32 [%d %d]", tensor.Name, view.DType(), view.Shape(), tensor.Rows, tensor.Cols)
		} else if !slices.Equal(float32s(view.Data()), tensor.View(b.Model.Params)) {
			t.Errorf("model.%s has other values", tensor.Name)
		}
	}
	_, about, err := safetensors.ReadMetadata(raw)
	if err != nil {
		t.Fatal(err)
	}
	if m := about.Metadata(); m["format"] != "pt" || !strings.Contains(m["config"], `"basis":4`) || m["checkpoint"] != "0123" || len(m) != 4 {
		t.Errorf("metadata %v", m)
	}
	if _, err := checkpoint.Open(path); !errors.Is(err, checkpoint.ErrForeign) {
		t.Errorf("opened as a checkpoint: %v, want ErrForeign", err)
	}
}

func TestNPZIsAnArchiveOfArrays(t *testing.T) {
	b := model(t, shapes()["inputs"], 1)
	path := filepath.Join(t.TempDir(), "model.npz")
	if err := Write(path, "npz", b); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	members := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if members[f.Name], err = io.ReadAll(r); err != nil { // checks the CRC
			t.Fatal(err)
		}
	}
	var about struct {
		Config     gpt.Config
		Checkpoint string
	}
	if err := json.Unmarshal(members["metadata.json"], &about); err != nil || fmt.Sprint(about.Config) != fmt.Sprint(b.Model.Config) || about.Checkpoint != "0123" {
		t.Errorf("metadata.json: %s (%v)", members["metadata.json"], err)
	}
	if got, want := len(members), 1+len(b.Model.Tensors); got != want {
		t.Errorf("%d members, want %d", got, want)
	}
	for _, tensor := range b.Model.Tensors {
		npy := members["model."+tensor.Name+".npy"]
		if !bytes.HasPrefix(npy, []byte("\x93NUMPY\x01\x00")) {
			t.Errorf("%s begins with %q", tensor.Name, npy[:min(8, len(npy))])
			continue
		}
		n := 10 + int(binary.LittleEndian.Uint16(npy[8:]))
		header := string(npy[10:n])
		if want := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", tensor.Rows, tensor.Cols); n%64 != 0 || strings.TrimRight(header, " \n") != want || !strings.HasSuffix(header, "\n") {
			t.Errorf("%s: header %q to byte %d, want %q to a multiple of 64", tensor.Name, header, n, want)
		}
		if !slices.Equal(float32s(npy[n:]), tensor.View(b.Model.Params)) {
			t.Errorf("%s has other values", tensor.Name)
		}
	}
}

func float32s(b []byte) []float32 {
	x := make([]float32, len(b)/4)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

func TestWriteRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := Write(path, "onnx", &checkpoint.Bundle{}); !errors.Is(err, checkpoint.ErrNoModel) {
		t.Errorf("without a model: %v, want ErrNoModel", err)
	}
	if err := Write(path, "gguf", model(t, shapes()["plain"], 1)); err == nil || !strings.Contains(err.Error(), "safetensors npz onnx") {
		t.Errorf("another format: %v, want a list of formats", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a refused export left a file")
	}
}
