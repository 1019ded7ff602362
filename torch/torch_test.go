package torch

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
)

// The files of testdata are made by make.py.

func load(t testing.TB, name string) *File {
	t.Helper()
	f, err := Read(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBundleComputesTheLogitsOfTheOriginal(t *testing.T) {
	for name, want := range map[string]gpt.Config{
		"newer": {Vocab: 64, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 8, RopeBase: 10_000, RawEmbed: true},
		"older": {Vocab: 20, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 8, RopeBase: 10_000, Softcap: 15},
	} {
		f := load(t, name+".pt")
		b, err := f.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := mustJSON(t, b.Model.Config), mustJSON(t, want); got != want {
			t.Errorf("%s: config %s, want %s", name, got, want)
		}
		var golden struct {
			Tokens         []int32
			Exact, Rounded [][]float64
		}
		text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &golden); err != nil {
			t.Fatal(err)
		}
		var w gpt.Workspace
		logits := b.Runner().Forward(&w, gpt.Input{B: 1, T: len(golden.Tokens), Tokens: golden.Tokens})
		// Logits reach 9 and are given to seven digits; both sides compute in
		// float32, with other epsilons of the norms: 1e-6 and 1.2e-7.
		check := func(kind string, want [][]float64, tolerance float64) {
			V := b.Model.Vocab
			for p, row := range want {
				for k, x := range row {
					if d := math.Abs(float64(logits[p*V+k]) - x); !(d < tolerance) {
						t.Fatalf("%s, %s: logit %d at position %d is %v, want %v", name, kind, k, p, logits[p*V+k], x)
					}
				}
			}
		}
		check("exact positions", golden.Exact, 1e-4)
		// Cosines in bfloat16 are off by up to 2⁻⁹.
		check("positions as the original rounds them", golden.Rounded, 2e-2)
	}
}

func mustJSON(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestNothingThatWasTakenOverIsScored(t *testing.T) {
	b, err := load(t, "newer.pt").Bundle()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "b.safetensors")
	if err := checkpoint.Save(path, b); err != nil {
		t.Fatal(err)
	}
	if b, err = checkpoint.Open(path); err != nil {
		t.Fatal(err)
	}
	if l := b.Lineage; len(l) != 1 || l[0].Stage != Import || len(l[0].Parent) != 64 {
		t.Errorf("lineage %+v, want the import and the hash of what was read", l)
	}
	// Later stages add what they have seen, among it this token file.
	stream := &dataset.Stream{Asset: "tokens", Tokens: make([]int32, 30)}
	b.Fit = append(b.Fit, checkpoint.Range{Part: checkpoint.Weights, Stage: "pretrain", Assets: []string{"tokens"}, Hash: "h", ToIndex: 10})
	if _, err := b.CheckHeldOut(stream, 20, 30, "h"); !errors.Is(err, checkpoint.ErrFitted) {
		t.Errorf("CheckHeldOut of bare tokens: %v, want ErrFitted", err)
	}
	for i := range stream.Tokens {
		stream.Times = append(stream.Times, time.Date(2090, 1, 1+i, 0, 0, 0, 0, time.UTC))
	}
	if _, err := b.CheckHeldOut(stream, 20, 30, ""); !errors.Is(err, checkpoint.ErrFitted) {
		t.Errorf("CheckHeldOut of dated tokens: %v, want ErrFitted", err)
	}
}

func TestTokenizersAreRefusedWithTheReason(t *testing.T) {
	for name, want := range map[string]string{
		"patches.pt": `"encoder.net.2.weight" has shape [2 2 16], so each token stands for 16 candles`,
		"candles.pt": `"encoder.context_conv.0.weight" of shape [2 2 3] mixes the candles before and after`,
	} {
		if _, err := load(t, name).Bundle(); !errors.Is(err, ErrTokenizer) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ErrTokenizer with %s", name, err, want)
		}
	}
}

func TestBundleNamesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(root, state, config fields)
		want   string
	}{
		"missing":          {func(_, s, _ fields) { delete(s, "h.0.attn.c_k.weight") }, `tensor "h.0.attn.c_k.weight" is missing`},
		"shape":            {func(_, s, _ fields) { s["lm_head.weight"].(*Tensor).Shape[0] = 60 }, `tensor "lm_head.weight" is [60 8], the config wants [64 8]`},
		"no tensor":        {func(_, s, _ fields) { s["lm_head.weight"] = 3 }, `tensor "lm_head.weight" is no tensor, the config wants [64 8]`},
		"extra":            {func(_, s, _ fields) { s["resid_lambdas"] = &Tensor{} }, `tensor "resid_lambdas" has no place in the model`},
		"strides":          {func(_, s, _ fields) { s["wte.weight"].(*Tensor).stride = []int{1, 64} }, `tensor "wte.weight" has strides [1 64]`},
		"half":             {func(_, s, _ fields) { s["wte.weight"].(*Tensor).storage.class = "HalfStorage" }, `tensor "wte.weight" is of type HalfStorage, want float32`},
		"offset":           {func(_, s, _ fields) { s["wte.weight"].(*Tensor).offset = 8 }, `tensor "wte.weight" lies at values 8 to 520 of a storage of 512`},
		"negative offset":  {func(_, s, _ fields) { s["wte.weight"].(*Tensor).offset = -8 }, `lies at values -8`},
		"no record":        {func(_, s, _ fields) { s["wte.weight"].(*Tensor).storage.key = "99" }, `data/99 is missing`},
		"heads":            {func(_, _, c fields) { c["n_head"] = 3 }, "embd 8"},
		"no heads":         {func(_, _, c fields) { delete(c, "n_head") }, "n_head is <nil>"},
		"text":             {func(_, _, c fields) { c["n_layer"] = "two" }, "n_layer is two"},
		"new setting":      {func(_, _, c fields) { c["window"] = 4 }, "window is no setting of the original program"},
		"huge":             {func(_, _, c fields) { c["n_layer"] = 1 << 20 }, "it wants"},
		"beyond huge":      {func(_, _, c fields) { c["n_layer"] = 1 << 40 }, "n_layer is 1099511627776"},
		"config is absent": {func(r, _, _ fields) { delete(r, "config") }, "no config beside model_state_dict"},
		"only a state":     {func(r, s, _ fields) { clear(r); r["lm_head.weight"] = s["lm_head.weight"] }, "how many heads there are"},
		"something else":   {func(r, _, _ fields) { clear(r); r["weights"] = 1 }, `no dict model_state_dict among ["weights"]`},
	} {
		t.Run(name, func(t *testing.T) {
			f := load(t, "newer.pt")
			root, _ := asFields(f.root)
			state, _ := asFields(root["model_state_dict"])
			config, _ := asFields(root["config"])
			root["model_state_dict"], root["config"] = state, config
			c.change(root, state, config)
			f.root = root
			if _, err := f.Bundle(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// archive is a file of torch.save with other records.
func archive(t testing.TB, records map[string]string, method uint16) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range records {
		r, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadRefuses(t *testing.T) {
	const empty = "\x80\x02}."
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"no archive":      {[]byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "not a file of PyTorch 1.6 or newer"},
		"another archive": {archive(t, map[string]string{"a.csv": "1"}, zip.Store), "without data.pkl"},
		"script":          {archive(t, map[string]string{"m/data.pkl": empty, "m/constants.pkl": ""}, zip.Store), "TorchScript"},
		"big endian":      {archive(t, map[string]string{"m/data.pkl": empty, "m/byteorder": "big"}, zip.Store), `byte order "big"`},
		"compressed":      {archive(t, map[string]string{"m/data.pkl": empty}, zip.Deflate), "compressed"},
		"protocol 4":      {archive(t, map[string]string{"m/data.pkl": "\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."}, zip.Store), "opcode 0x95 at byte 2"},
		"long text":       {archive(t, map[string]string{"m/data.pkl": "\x80\x02X\xff\xff\xff\xffabc."}, zip.Store), "ends within an instruction"},
		"open line":       {archive(t, map[string]string{"m/data.pkl": "\x80\x02cos\nsystem"}, zip.Store), "ends within an instruction"},
		"no end":          {archive(t, map[string]string{"m/data.pkl": "\x80\x02}"}, zip.Store), "no end"},
		"empty stack":     {archive(t, map[string]string{"m/data.pkl": "\x80\x02."}, zip.Store), "stack is empty"},
		"panic":           {archive(t, map[string]string{"m/data.pkl": "\x80\x02\x8a\x00."}, zip.Store), "damaged pickle"},
	} {
		if _, err := parse(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := Read("nowhere.pt"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want fs.ErrNotExist", err)
	}
}

// A pickle can name any function of Python: none is ever run.
func TestCodeInAPickleIsNotRun(t *testing.T) {
	f, err := parse(archive(t, map[string]string{"m/data.pkl": "\x80\x02cos\nsystem\nX\x04\x00\x00\x00exit\x85R."}, zip.Store))
	if err != nil {
		t.Fatal(err)
	}
	if f.root != (opaque{}) {
		t.Errorf("os.system(\"exit\") became %v, want a value without meaning", f.root)
	}
	if _, err := f.Bundle(); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
}

func FuzzBundle(f *testing.F) {
	for _, name := range []string{"newer.pt", "older.pt", "patches.pt", "candles.pt"} {
		file := load(f, name)
		text, err := file.record(file.folder + "/data.pkl")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	values := string(make([]byte, 4*512))
	f.Fuzz(func(t *testing.T, text []byte) {
		records := map[string]string{"m/data.pkl": string(text)}
		for _, key := range "01234567" {
			records["m/data/"+string(key)] = values
		}
		file, err := parse(archive(t, records, zip.Store))
		if err != nil {
			return
		}
		if b, err := file.Bundle(); err == nil && b.Model.Config.Validate() != nil {
			t.Errorf("a bundle with the config %+v", b.Model.Config)
		}
	})
}
