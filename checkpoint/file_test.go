package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/tokenizer"
)

// container is a safetensors file taken apart, to be put together wrongly.
type container struct {
	tensors map[string]any // the header of the file
	mqc     map[string]any // ours; nil: none
	data    []byte
}

func takeApart(t testing.TB, raw []byte) *container {
	t.Helper()
	n := binary.LittleEndian.Uint64(raw)
	c := &container{data: slices.Clone(raw[8+n:])}
	if err := json.Unmarshal(raw[8:8+n], &c.tensors); err != nil {
		t.Fatal(err)
	}
	text := c.tensors["__metadata__"].(map[string]any)[metadataKey].(string)
	if err := json.Unmarshal([]byte(text), &c.mqc); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *container) bytes(t testing.TB) []byte {
	t.Helper()
	delete(c.tensors, "__metadata__")
	if c.mqc != nil {
		text, err := json.Marshal(c.mqc)
		if err != nil {
			t.Fatal(err)
		}
		c.tensors["__metadata__"] = map[string]any{"format": "mqc", metadataKey: string(text)}
	}
	head, err := json.Marshal(c.tensors)
	if err != nil {
		t.Fatal(err)
	}
	raw := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	return append(append(raw, head...), c.data...)
}

// offsets returns where the data of a tensor begins and ends.
func (c *container) offsets(name string) (from, to int) {
	at := c.tensors[name].(map[string]any)["data_offsets"].([]any)
	return int(at[0].(float64)), int(at[1].(float64))
}

func (c *container) set(name string, dtype string, shape []uint64, from, to uint64) {
	c.tensors[name] = map[string]any{"dtype": dtype, "shape": shape, "data_offsets": []uint64{from, to}}
}

func (c *container) config() map[string]any { return c.mqc["config"].(map[string]any) }

// cut removes a tensor and its data.
func (c *container) cut(name string) {
	from, to := c.offsets(name)
	delete(c.tensors, name)
	c.data = slices.Delete(c.data, from, to)
	for other := range c.tensors {
		if other == "__metadata__" {
			continue
		}
		if a, b := c.offsets(other); a >= to {
			c.tensors[other].(map[string]any)["data_offsets"] = []any{float64(a - to + from), float64(b - to + from)}
		}
	}
}

// open reads bytes as [Open] and [OpenResume] do.
func open(raw []byte) error {
	f, h, err := parse(raw)
	if err != nil {
		return err
	}
	if h.Resume != nil {
		_, err = decodeResume(h, f)
		return err
	}
	if _, err = decode(h, f); err != nil {
		return err
	}
	return f.finish()
}

func TestEveryTruncationIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	raw := mustSave(t, path, newBundle(t))
	if err := open(raw); err != nil {
		t.Fatal(err)
	}
	start := 8 + int(binary.LittleEndian.Uint64(raw)) // of the tensors
	for n := range len(raw) {
		// Every length around a border of the layout, some between them.
		if n > 64 && n%97 != 0 && (n < start-64 || n > start+64) && n < len(raw)-64 {
			continue
		}
		err := open(raw[:n])
		if err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Fatalf("%d of %d bytes: %v, want an error that says cut short", n, len(raw), err)
		}
		if n%1000 == 0 {
			if err := os.WriteFile(path, raw[:n], 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("Open of %d bytes = %v, want an error with the path", n, err)
			}
		}
	}
	if err := open(append(slices.Clone(raw), 0)); err == nil {
		t.Error("a byte too many is not noticed")
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	random := make([]byte, 4096)
	r := rng.New(1)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	other := takeApart(t, mustSave(t, filepath.Join(t.TempDir(), "x"), newBundle(t)))
	other.mqc = nil
	for name, raw := range map[string][]byte{
		"empty":                  {},
		"zip, as torch.save":     append([]byte("PK\x03\x04"), random...),
		"pickle, as old torch":   append([]byte{0x80, 0x02, 0x8a, 0x0a}, random...),
		"short pickle":           {0x80, 0x02, '.'},
		"random":                 random,
		"text":                   []byte("Date,Open,High,Low,Close,Volume\n"),
		"safetensors of another": other.bytes(t),
	} {
		path := filepath.Join(t.TempDir(), "model.pt")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: Open = %v, want ErrForeign", name, err)
		} else if torch := strings.Contains(name, "torch") || strings.Contains(name, "pickle"); torch != strings.Contains(err.Error(), "PyTorch") {
			t.Errorf("%s: Open = %v, naming PyTorch: want %v", name, err, torch)
		}
		if _, err := OpenResume(path); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: OpenResume = %v, want ErrForeign", name, err)
		}
	}
}

// Whoever may open the file gets an error that says what is wrong, and no more
// memory is asked for than the file is large.
func TestDamagedFilesAreRefused(t *testing.T) {
	whole := mustSave(t, filepath.Join(t.TempDir(), "x"), newBundle(t))
	bits := func(c *container, name string, i int, x float64) {
		from, _ := c.offsets(name)
		binary.LittleEndian.PutUint32(c.data[from+4*i:], math.Float32bits(float32(x)))
	}
	const query = "model.blocks.0.attn.q"
	for name, c := range map[string]struct {
		damage func(c *container)
		want   string
	}{
		"newer layout":       {func(c *container) { c.mqc["version"] = version + 1; c.mqc["fit"] = "otherwise" }, "newer"},
		"no layout version":  {func(c *container) { delete(c.mqc, "version") }, "version 0"},
		"unknown key":        {func(c *container) { c.mqc["moe"] = true }, "moe"},
		"unknown config key": {func(c *container) { c.config()["alibi"] = true }, "alibi"},
		"header is a list":   {func(c *container) { c.mqc["fit"] = 7 }, "damaged header"},
		"nothing inside":     {func(c *container) { delete(c.mqc, "config"); delete(c.mqc, "tokenizer") }, "neither"},

		"no config":               {func(c *container) { delete(c.mqc, "config") }, "model."},
		"no tokenizer":            {func(c *container) { delete(c.mqc, "tokenizer") }, "tokenizer"},
		"no scaler":               {func(c *container) { delete(c.mqc, "scaler") }, "scaler"},
		"bad scaler":              {func(c *container) { c.mqc["scaler"].(map[string]any)["lambda"] = 2 }, "lambda"},
		"unknown tokenizer":       {func(c *container) { c.mqc["tokenizer"].(map[string]any)["kind"] = "bpe" }, "bpe"},
		"tensors of no tokenizer": {func(c *container) { delete(c.mqc, "tokenizer"); delete(c.mqc, "scaler") }, "which its tokenizer has not"},
		"fewer heads":             {func(c *container) { c.config()["heads"] = 1; c.config()["kv_heads"] = 1 }, "attn.k"},
		"missing tensor":          {func(c *container) { c.cut(query) }, `"` + query + `" is missing`},
		"missing code":            {func(c *container) { c.cut("tokenizer.codebook") }, `"codebook" is missing`},
		"extra tensor":            {func(c *container) { n := uint64(len(c.data)); c.set("model.wpe", "F32", []uint64{0}, n, n) }, "model.wpe"},
		"extra tokenizer tensor":  {func(c *container) { n := uint64(len(c.data)); c.set("tokenizer.x", "F32", []uint64{0}, n, n) }, `"x"`},
		"tensor of nobody":        {func(c *container) { n := uint64(len(c.data)); c.set("optimizer.m", "F32", []uint64{0}, n, n) }, "optimizer.m"},
		"transposed":              {func(c *container) { shape(c, "model.features", 7, 16) }, `"model.features" is F32 [7 16], the model wants F32 [16 7]`},
		"flat":                    {func(c *container) { shape(c, query, 256) }, query},
		"other type":              {func(c *container) { c.tensors[query].(map[string]any)["dtype"] = "I32" }, "I32"},
		"NaN":                     {func(c *container) { bits(c, query, 5, math.NaN()) }, `tensor "` + query + `": value 5 is NaN`},
		"infinity":                {func(c *container) { bits(c, "tokenizer.codebook", 3, math.Inf(-1)) }, `"tokenizer.codebook": value 3 is -Inf`},
		"two vocabularies":        {func(c *container) { otherVocabulary(c) }, "16 codes"},

		"endless positions": {func(c *container) { c.config()["seq_len"] = 1 << 40 }, "seq_len"},
		"many positions":    {func(c *container) { c.config()["seq_len"] = gpt.MaxSeqLen + 1 }, "seq_len"},
		"many layers":       {func(c *container) { c.config()["layers"] = 100_000 }, "values"},
		"endless layers":    {func(c *container) { c.config()["layers"] = 1 << 60 }, "parameters"},
		"wide":              {func(c *container) { c.config()["embd"] = 1 << 12 }, "values"},
		"endless width":     {func(c *container) { c.config()["embd"] = 1 << 62 }, "parameters"},
		"large vocabulary":  {func(c *container) { c.config()["vocab"] = 1 << 24 }, "values"},
		"large condition":   {func(c *container) { c.config()["cond"] = []int{1 << 26} }, "values"},
		"many features":     {func(c *container) { c.config()["features"] = 1 << 26 }, "values"},
		"negative":          {func(c *container) { c.config()["embd"] = -16 }, "embd"},
		"many codes":        {func(c *container) { tokenizerConfig(c)["codes"] = 1 << 40 }, "codes"},
		"other codes":       {func(c *container) { tokenizerConfig(c)["codes"] = 17 }, "codebook"},

		"huge shape":        {func(c *container) { shape(c, query, 1<<40, 1<<40) }, "damaged"},
		"overflow to 0":     {func(c *container) { shape(c, query, 1<<32, 1<<32) }, "overflow"},
		"overflow of bytes": {func(c *container) { shape(c, query, 1<<62) }, "overflow"},
		"negative shape":    {func(c *container) { c.tensors[query].(map[string]any)["shape"] = []int{-16, -16} }, "damaged"},
		"empty and huge":    {func(c *container) { n := uint64(len(c.data)); c.set("model.wpe", "F32", []uint64{0, 1 << 63}, n, n) }, "model.wpe"},
		"offsets overlap":   {func(c *container) { c.set("model.wpe", "F32", []uint64{4}, 0, 16) }, "offset"},
		"offsets leave":     {func(c *container) { n := uint64(len(c.data)); c.set("model.wpe", "F32", []uint64{4}, n, n+16) }, "damaged"},
		"offsets wrap":      {func(c *container) { c.set("model.wpe", "F32", []uint64{4}, math.MaxUint64-15, 0) }, "damaged"},
		"offsets wrap twice": {func(c *container) {
			n := uint64(len(c.data))
			c.set("model.wpe", "U8", []uint64{math.MaxUint64 - n}, n, math.MaxUint64)
		}, "damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			file := takeApart(t, whole)
			c.damage(file)
			raw := file.bytes(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			err := open(raw)
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error that says %q", err, c.want)
			}
			// JSON takes some dozens of times its own size.
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(100*len(raw)) {
				t.Errorf("%d bytes allocated for a file of %d", n, len(raw))
			}
			if took > 5*time.Second { // far above: the machine may be busy
				t.Errorf("took %v", took)
			}
		})
	}
}

func shape(c *container, name string, shape ...uint64) {
	c.tensors[name].(map[string]any)["shape"] = shape
}

func tokenizerConfig(c *container) map[string]any {
	return c.mqc["tokenizer"].(map[string]any)["config"].(map[string]any)
}

// otherVocabulary gives the model 17 tokens, each with a row in its tables.
func otherVocabulary(c *container) {
	c.config()["vocab"] = 17
	c.cut("model.embed")
	c.cut("model.head")
	for _, name := range []string{"model.embed", "model.head"} {
		n := uint64(len(c.data))
		c.set(name, "F32", []uint64{17, 16}, n, n+17*16*4)
		c.data = append(c.data, make([]byte, 17*16*4)...)
	}
}

// The header's own length and its JSON, hostile in ways that no map can say.
func TestHostileHeadersAreRefused(t *testing.T) {
	raw := mustSave(t, filepath.Join(t.TempDir(), "x"), newBundle(t))
	n := binary.LittleEndian.Uint64(raw)
	withLength := func(n uint64) []byte {
		c := slices.Clone(raw)
		binary.LittleEndian.PutUint64(c, n)
		return c
	}
	withHeader := func(head string, data int) []byte {
		c := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
		return append(append(c, head...), make([]byte, data)...)
	}
	ours := `"__metadata__":{"mqc":"{\"version\":1}"}`
	entry := func(shape string, from, to int) string {
		return fmt.Sprintf(`{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, shape, from, to)
	}
	for name, raw := range map[string][]byte{
		"length 0":                 withLength(0),
		"length one less":          withLength(n - 1),
		"length one more":          withLength(n + 1),
		"length of the whole file": withLength(uint64(len(raw) - 8)),
		"length wraps":             withLength(math.MaxUint64 - 7),
		"one name twice":           withHeader(`{`+ours+`,"model.a":`+entry("[1]", 0, 4)+`,"model.a":`+entry("[1]", 4, 8)+`}`, 8),
		"metadata twice":           withHeader(`{`+ours+`,"__metadata__":{}}`, 0),
		"metadata is no string":    withHeader(`{"__metadata__":{"mqc":{"version":1}}}`, 0),
		"null":                     withHeader(`null`, 0),
		"a list":                   withHeader(`[]`, 0),
		"ours is null":             withHeader(`{"__metadata__":{"mqc":"null"}}`, 0),
		"ours is empty":            withHeader(`{"__metadata__":{"mqc":""}}`, 0),
		"ours is followed":         withHeader(`{"__metadata__":{"mqc":"{\"version\":1}{}"}}`, 0),
		"deep":                     withHeader(strings.Repeat(`{"a":`, 100_000), 0),
		"long shape":               withHeader(`{`+ours+`,"a":`+entry("[1"+strings.Repeat(",1", 10_000)+"]", 0, 4)+`}`, 4),
		"fractional shape":         withHeader(`{`+ours+`,"a":`+entry("[1.5]", 0, 4)+`}`, 4),
		"shape in exponents":       withHeader(`{`+ours+`,"a":`+entry("[1e0]", 0, 4)+`}`, 4),
	} {
		if err := open(raw); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDamagedResumeFilesAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.resume")
	if err := SaveResume(path, newResume(t)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.head", "initial.head", "best.embed", "adamw.m.head", "adamw.v.blocks.0.mlp.up"} {
		c := takeApart(t, whole)
		c.cut(name)
		if err := open(c.bytes(t)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	c := takeApart(t, whole)
	delete(c.mqc, "config")
	if err := open(c.bytes(t)); !errors.Is(err, ErrNoModel) {
		t.Errorf("without a model: %v, want ErrNoModel", err)
	}
	for n := 0; n < len(whole); n += len(whole) / 50 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenResume(path); err == nil {
			t.Fatalf("OpenResume of %d of %d bytes succeeds", n, len(whole))
		}
	}
}

// FuzzOpen wants an error or a model that runs, never a panic.
// A bit that has changed is found, and a file without a checksum is read as before.
func TestAChangedBitIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	raw := mustSave(t, path, newBundle(t))
	for _, at := range []int{len(raw) - 2, len(raw) - len(raw)/4} {
		bad := bytes.Clone(raw)
		bad[at] ^= 1
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "damaged: the tensors have the checksum") {
			t.Errorf("byte %d of %d: %v", at, len(raw), err)
		}
	}
	sum := regexp.MustCompile(`,\\"crc32c\\":\\"[0-9a-f]{8}\\"`).Find(raw)
	if sum == nil {
		t.Fatal("no checksum in the header")
	}
	older := bytes.Replace(raw, sum, bytes.Repeat([]byte(" "), len(sum)), 1)
	if err := os.WriteFile(path, older, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err != nil {
		t.Errorf("without a checksum: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	// Small seeds: the fuzzer takes minutes to shorten large ones.
	quantile, err := tokenizer.FitQuantile(make([]feature.Vector, 2), 2)
	if err != nil {
		f.Fatal(err)
	}
	model, err := gpt.New(gpt.Config{Vocab: 2, SeqLen: 2, Layers: 1, Heads: 1, KVHeads: 1, Embd: 2, RopeBase: 10}, 1)
	if err != nil {
		f.Fatal(err)
	}
	scaler := feature.Scaler{Kind: feature.EWMA, Lambda: 0.94, Floor: 0.1, Initial: 1e-4, Std: feature.Vector{1, 1, 1, 1, 1}}
	dir := f.TempDir()
	f.Add(mustSave(f, filepath.Join(dir, "whole"), &Bundle{Model: model, Tokenizer: quantile, Scaler: &scaler}))
	f.Add(mustSave(f, filepath.Join(dir, "tokenizer"), &Bundle{Tokenizer: quantile, Scaler: &scaler}))
	path := filepath.Join(dir, "x.resume")
	r := &Resume{Bundle: &Bundle{Model: model}, Initial: model.Params, Best: model.Params, M: model.Params, V: model.Params, State: []byte("{}")}
	if err := SaveResume(path, r); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, h, err := parse(raw)
		if err != nil {
			return
		}
		if h.Resume != nil {
			_, _ = decodeResume(h, file)
			return
		}
		b, err := decode(h, file)
		if err != nil {
			return
		}
		if b.Model != nil && len(b.Model.Params) > maxOversize*len(raw) {
			t.Errorf("a model of %d weights from %d bytes", len(b.Model.Params), len(raw))
		}
		if b.Tokenizer != nil {
			b.Tokenizer.Encode(b.Tokenizer.Decode(b.Tokenizer.Codes() - 1))
		}
	})
}
