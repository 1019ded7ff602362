package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/market"
)

func sampleStreams() []*Stream {
	day := time.Date(2021, 3, 1, 0, 0, 0, 0, time.UTC)
	a := &Stream{Asset: "BTC-USD", Interval: market.Day, ValFrom: 60, TestFrom: 70}
	for i := range 80 {
		a.Tokens = append(a.Tokens, int32(i*37%512))
		a.Times = append(a.Times, day.AddDate(0, 0, i))
	}
	return []*Stream{a, {Asset: "SYN-01", Tokens: []int32{511, 0, 7}, ValFrom: 1, TestFrom: 3}}
}

func sampleSplit() Split {
	return Split{ValFrom: time.Date(2021, 4, 30, 0, 0, 0, 0, time.UTC), TestFrom: time.Date(2021, 5, 10, 0, 0, 0, 0, time.UTC)}
}

func writeSample(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data", "all_tokens.txt")
	if err := WriteTokens(path, sampleStreams(), sampleSplit(), Meta{Vocabulary: 512, Tokenizer: "models/tokenizer.safetensors"}); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokenFileRoundTrip(t *testing.T) {
	path := writeSample(t)
	streams, meta, err := ReadTokens(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sampleStreams(), streams); d != "" {
		t.Errorf("streams:\n%s", d)
	}
	if meta.Vocabulary != 512 || meta.Tokens != 83 || meta.Split != sampleSplit() || meta.Tokenizer != "models/tokenizer.safetensors" {
		t.Errorf("meta = %+v", meta)
	}
	if a := meta.Assets[0]; a.First != "2021-03-01T00:00:00Z" || a.Last != "2021-05-19T00:00:00Z" || a.Interval != "1d" {
		t.Errorf("meta of the first asset = %+v", a)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 2 {
		t.Errorf("the folder holds %v, want the two files", entries)
	}
}

func TestBareTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.txt")
	if err := os.WriteFile(path, []byte("80 81\t83\r\n\n89 66 0 1 2 3 127"), 0o644); err != nil {
		t.Fatal(err)
	}
	streams, meta, err := ReadTokens(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []*Stream{{Asset: "tokens", Tokens: []int32{80, 81, 83, 89, 66, 0, 1, 2, 3, 127}, ValFrom: 8, TestFrom: 10}}
	if d := cmp.Diff(want, streams); d != "" || meta.Vocabulary != 128 {
		t.Errorf("vocabulary %d, want 128; streams:\n%s", meta.Vocabulary, d)
	}
}

func TestReadTokensRefuses(t *testing.T) {
	for _, c := range []struct {
		name       string
		text       string // "" keeps the sample with its description
		edit       func(json string) string
		vocabulary int
		want       string
	}{
		{"word", "1 2\n3 x7 4\n", nil, 0, `tokens.txt:2: "x7" is no token`},
		{"fraction", "1 2.5", nil, 0, `:1: "2.5" is no token`},
		{"negative", "1\n2\n-3", nil, 0, `:3: "-3" is no token`},
		{"huge", "99999999999", nil, 0, `:1: "99999999999" is no token`},
		{"outside of the vocabulary", "1 2\n\n512", nil, 512, ":3: token 512 outside of the vocabulary 0…511"},
		{"empty", " \n", nil, 0, "no tokens"},
		{"vocabulary above the bound", "", nil, 128, "all_tokens.json: vocabulary 512, want at most 128"},
		{"hash", "", replace(`"sha256":"`, `"sha256":"0`), 0, "all_tokens.txt: sha256 is"},
		{"vocabulary too small", "", replace(`"vocabulary":512`, `"vocabulary":300`), 0, ":1: token 333 outside of the vocabulary 0…299"},
		{"version", "", replace(`"version":1`, `"version":2`), 0, "layout version 2"},
		{"unknown key", "", replace(`"version":1`, `"version":1,"x":1`), 0, `unknown field "x"`},
		{"offset", "", replace(`"offset":80`, `"offset":79`), 0, `asset "SYN-01": offset 79`},
		{"negative length", "", replace(`"length":3`, `"length":-3`), 0, `asset "SYN-01"`},
		{"length", "", replace(`"length":3`, `"length":2`), 0, "borders 1, 3"},
		{"fewer assets", "", replace(`"tokens":83`, `"tokens":84`), 0, "the assets have 83 tokens, the file 84"},
		{"borders", "", replace(`"val_from":60`, `"val_from":71`), 0, "borders 71, 70"},
		{"twice", "", replace(`"SYN-01"`, `"BTC-USD"`), 0, `"BTC-USD" comes twice`},
		{"times", "", replace(`"times":[1614556800,`, `"times":[`), 0, "79 times for 80 tokens"},
		{"order", "", replace(`"times":[1614556800,`, `"times":[1914556800,`), 0, "time 1 is not after"},
		{"interval", "", replace(`"interval":"1d"`, `"interval":"1x"`), 0, `interval "1x"`},
		{"no JSON", "", func(string) string { return "{" }, 0, "all_tokens.json: unexpected EOF"},
	} {
		path := filepath.Join(t.TempDir(), "tokens.txt")
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
		} else {
			path = writeSample(t)
			if c.edit != nil {
				data, err := os.ReadFile(MetaPath(path))
				if err != nil {
					t.Fatal(err)
				}
				changed := c.edit(string(data))
				if changed == string(data) {
					t.Fatalf("%s: the edit changes nothing", c.name)
				}
				if err := os.WriteFile(MetaPath(path), []byte(changed), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		streams, _, err := ReadTokens(path, c.vocabulary)
		if err == nil || !strings.Contains(err.Error(), c.want) || streams != nil {
			t.Errorf("%s: ReadTokens = %v, %v, want an error with %q", c.name, streams, err, c.want)
		}
	}
	if _, _, err := ReadTokens(filepath.Join(t.TempDir(), "none.txt"), 0); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("ReadTokens of no file = %v", err)
	}
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func unwrapAll(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if _, path := err.(*os.PathError); path || !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

func TestWriteTokensRefuses(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "t.txt")
	for _, c := range []struct {
		name    string
		streams []*Stream
		want    string
	}{
		{"nothing", nil, "no tokens"},
		{"outside", []*Stream{{Asset: "A", Tokens: []int32{3, 8}}}, "A: token 1 is 8"},
		{"negative", []*Stream{{Asset: "A", Tokens: []int32{-1}}}, "A: token 0 is -1"},
		{"part of a second", []*Stream{{Asset: "A", Tokens: []int32{1}, Times: []time.Time{time.Unix(1, 5)}}}, "not a whole second"},
		{"twice", []*Stream{{Asset: "A", Tokens: []int32{1}}, {Asset: "A", Tokens: []int32{1}}}, "comes twice"},
	} {
		if err := WriteTokens(path, c.streams, Split{}, Meta{Vocabulary: 8}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: WriteTokens = %v, want an error with %q", c.name, err, c.want)
		}
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func FuzzReadTokens(f *testing.F) {
	path := writeSample(f)
	text, _ := os.ReadFile(path)
	description, _ := os.ReadFile(MetaPath(path))
	f.Add(text, description, 512)
	f.Add(text, []byte(nil), 0)
	f.Add([]byte("1 2 3"), []byte(`{"version":1,"vocabulary":4,"tokens":3,"assets":[{"length":3}]}`), 4)
	f.Add([]byte("x"), []byte("{}"), -1)
	f.Fuzz(func(t *testing.T, text, description []byte, vocabulary int) {
		if len(description) == 0 {
			description = nil
		}
		streams, meta, err := parseTokens(text, description, vocabulary)
		if err != nil {
			return
		}
		total := 0
		for _, s := range streams {
			total += len(s.Tokens)
			for _, token := range s.Tokens {
				if token < 0 || int(token) >= meta.Vocabulary {
					t.Fatalf("token %d in a vocabulary of %d", token, meta.Vocabulary)
				}
			}
			if s.ValFrom < 0 || s.ValFrom > s.TestFrom || s.TestFrom > len(s.Tokens) || s.Times != nil && len(s.Times) != len(s.Tokens) {
				t.Fatalf("stream %+v", s)
			}
		}
		if total != meta.Tokens {
			t.Fatalf("%d tokens in the streams, %d in all", total, meta.Tokens)
		}
		Hash(streams)
		for _, part := range []Part{Train, Val, Test} {
			Gather(streams, EvalWindows(streams, part, 8), 8)
		}
	})
}
