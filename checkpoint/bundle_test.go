package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

func date(month time.Month, day int) time.Time {
	return time.Date(2020, month, day, 0, 0, 0, 0, time.UTC)
}

// newTokenizer is a scaler and a tokenizer of 16 codes.
func newTokenizer(t testing.TB) (*feature.Scaler, tokenizer.Tokenizer) {
	t.Helper()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 1, 200
	m, err := market.NewSynthetic(config)
	if err != nil {
		t.Fatal(err)
	}
	scaler, err := feature.FitScaler(feature.EWMA, m.Series, m.Series[0].Candles[150].Time)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []feature.Vector
	state := scaler.Start("", m.Series[0].Candles[0], time.Time{})
	for _, c := range m.Series[0].Candles[1:150] {
		vectors = append(vectors, scaler.Encode(state, c))
		state = scaler.Advance(state, c, time.Time{})
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Hidden, vq.CodeDim, vq.Epochs, vq.MinSteps, vq.Refine = 16, 4, 2, 1, 5, 5
	tok, err := tokenizer.TrainVQVAE(t.Context(), vectors, vq, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &scaler, tok
}

func newModel(t testing.TB) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{
		Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000,
		Softcap: 15, Dropout: 0.1, Cond: []int{7, 5, 3}, Features: feature.StateFeatures + feature.VolumeFeatures,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// newBundle has something in every field.
func newBundle(t testing.TB) *Bundle {
	t.Helper()
	scaler, tok := newTokenizer(t)
	var vectors []feature.Vector
	for k := range tok.Codes() {
		vectors = append(vectors, tok.Decode(k))
	}
	emission, err := tokenizer.FitEmission(tok.Codes(), tokenizer.EncodeAll(tok, vectors), feature.Returns(vectors))
	if err != nil {
		t.Fatal(err)
	}
	ranges, err := tokenizer.FitEmission(tok.Codes(), tokenizer.EncodeAll(tok, vectors), scaler.LogRanges(vectors))
	if err != nil {
		t.Fatal(err)
	}
	return &Bundle{
		Model: newModel(t), Tokenizer: tok, Scaler: scaler, Emission: emission, Ranges: ranges,
		Inputs:   dataset.Inputs{Volatility: true, Volume: true, Calendar: true, Assets: []string{"SYN-01", "SYN-02"}},
		Split:    dataset.Split{ValFrom: date(8, 1), TestFrom: date(10, 1)},
		Interval: "1d",
		Fit: []Range{
			{Part: Scaler, Assets: []string{"SYN-01"}, First: date(1, 1), Last: date(7, 31)},
			{Part: Weights, Stage: "pretrain", Assets: []string{"SYN-01", "SYN-02"}, First: date(1, 1), Last: date(7, 31)},
		},
		Selected: []Range{{Part: Weights, Stage: "pretrain", Assets: []string{"SYN-01"}, First: date(8, 1), Last: date(9, 30)}},
		Lineage: []Step{{
			Stage: "pretrain", Parent: "ab", Data: "cd", Recipe: json.RawMessage(`{"lr":0.001}`),
			Steps: 100, BestStep: 90, Metric: "nats", Before: 2.7, After: 2.5, Final: 2.6, Change: 0.3,
			Candles: 1000, Validated: 200,
		}, {
			Stage: "rl", Recipe: json.RawMessage(`{}`), Metric: "crps", Before: 0.5, After: 0.25,
			MeasuresBefore: map[string]float64{"crps": 0.5, "entropy": 3}, MeasuresAfter: map[string]float64{"crps": 0.25, "entropy": 2},
		}},
		Build: "v1.2.3 <test>",
	}
}

func mustSave(t testing.TB, path string, b *Bundle) []byte {
	t.Helper()
	if err := Save(path, b); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sameBundle compares all that a file carries.
func sameBundle(t *testing.T, got, want *Bundle) {
	t.Helper()
	plain := func(b *Bundle) Bundle {
		p := *b
		p.Model, p.Tokenizer, p.Emission, p.Ranges, p.Hash = nil, nil, nil, nil, ""
		return p
	}
	if d := cmp.Diff(plain(want), plain(got)); d != "" {
		t.Errorf("the fields differ:\n%s", d)
	}
	if (got.Model == nil) != (want.Model == nil) || (got.Tokenizer == nil) != (want.Tokenizer == nil) {
		t.Fatalf("model %v, tokenizer %v", got.Model != nil, got.Tokenizer != nil)
	}
	if want.Model != nil {
		if d := cmp.Diff(want.Model.Config, got.Model.Config); d != "" {
			t.Errorf("the config differs:\n%s", d)
		}
		if !slices.Equal(got.Model.Params, want.Model.Params) {
			t.Error("the weights differ")
		}
	}
	for name, e := range map[string][2]*tokenizer.Emission{"returns": {got.Emission, want.Emission}, "ranges": {got.Ranges, want.Ranges}} {
		got, want := e[0], e[1]
		if (got == nil) != (want == nil) {
			t.Fatalf("densities of %s: %v", name, got != nil)
		}
		if want == nil {
			continue
		}
		if d := cmp.Diff(want.Tensors(), got.Tensors()); d != "" {
			t.Errorf("the densities of %s differ:\n%s", name, d)
		}
	}
	if want.Tokenizer != nil {
		if got, want := tokenizer.Fingerprint(got.Tokenizer), tokenizer.Fingerprint(want.Tokenizer); got != want {
			t.Errorf("tokenizer %s, want %s", got, want)
		}
		if d := cmp.Diff(want.Tokenizer.Config(), got.Tokenizer.Config()); d != "" {
			t.Errorf("the tokenizer's config differs:\n%s", d)
		}
	}
}

func TestSaveAndOpenGiveTheSameBundle(t *testing.T) {
	whole := newBundle(t)
	onlyTokenizer, bareTokens, older := *whole, *whole, *whole
	older.Ranges = nil
	onlyTokenizer.Model, onlyTokenizer.Lineage, onlyTokenizer.Selected = nil, nil, nil
	bareTokens.Ranges = nil
	bareTokens.Emission, bareTokens.Tokenizer, bareTokens.Scaler, bareTokens.Split, bareTokens.Interval = nil, nil, nil, dataset.Split{}, ""
	bareTokens.Fit = []Range{{Part: Weights, Stage: "pretrain", Assets: []string{"tokens"}, Hash: "ef", FromIndex: 0, ToIndex: 80}}

	dir := t.TempDir()
	for name, b := range map[string]*Bundle{"whole": whole, "hourly": hourlyBundle(t), "mixture": mixtureBundle(t), "tokenizer": &onlyTokenizer, "older": &older, "bare tokens": &bareTokens} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			raw := mustSave(t, path, b)
			got, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			sameBundle(t, got, b)

			if again := mustSave(t, path, b); !bytes.Equal(again, raw) {
				t.Error("the same bundle gives other bytes")
			}
			if again := mustSave(t, path, got); !bytes.Equal(again, raw) {
				t.Error("the bundle that was read gives other bytes")
			}
			if _, err := got.Codec(); (err == nil) != (b.Tokenizer != nil) || err != nil && !errors.Is(err, ErrNoTokenizer) {
				t.Errorf("Codec: %v", err)
			}
			if _, _, err := OpenModel(path); (err == nil) != (b.Model != nil) || err != nil && !errors.Is(err, ErrNoModel) {
				t.Errorf("OpenModel: %v", err)
			}
		})
	}
}

// hourlyBundle is newBundle of candles of an hour in New York.
func hourlyBundle(t testing.TB) *Bundle {
	t.Helper()
	b := newBundle(t)
	var clock feature.Clock
	if err := clock.UnmarshalText([]byte("America/New_York")); err != nil {
		t.Fatal(err)
	}
	day := feature.Profile{Open: 2.1}
	for k := range feature.DaySlots {
		day.Slots = append(day.Slots, 1+float64(k)/40)
	}
	own := day
	own.Asset, own.Open = "SYN-01", 2.4
	scaler := *b.Scaler
	scaler.Season = &feature.Season{Interval: market.Hour, Clock: clock, Others: day, Assets: []feature.Profile{own}}
	b.Scaler, b.Interval, b.Inputs.Clock = &scaler, "1h", &clock
	c := b.Model.Config
	c.Cond = b.Inputs.Cond()
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	b.Model = m
	return b
}

func TestUnsoundSeasonsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hourly")
	for _, c := range []struct {
		name, want string
		spoil      func(b *Bundle)
	}{
		{"another interval", "the season of candles of 1h", func(b *Bundle) { b.Interval = "30m" }},
		{"a clock of days", "shorter than a day", func(b *Bundle) { b.Interval, b.Scaler.Season = "1d", nil }},
		{"no calendar", "clock without the calendar", func(b *Bundle) { b.Inputs.Calendar = false }},
		{"no clock", "conditioning values", func(b *Bundle) { b.Inputs.Clock = nil }},
		{"a slot too few", "47 slots, want 48", func(b *Bundle) { b.Scaler.Season.Others.Slots = b.Scaler.Season.Others.Slots[1:] }},
		{"a factor of zero", "factor of 0", func(b *Bundle) { b.Scaler.Season.Assets[0].Open = 0 }},
	} {
		b := hourlyBundle(t)
		c.spoil(b)
		mustSave(t, path, b)
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Open: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

// mixtureBundle is newBundle with a model that gives the density of a return.
func mixtureBundle(t testing.TB) *Bundle {
	t.Helper()
	b := newBundle(t)
	b.Inputs.Candle = true
	c := b.Model.Config
	c.Embed, c.Outputs, c.Features = gpt.None, density.MixtureOutputs, b.Inputs.Features()
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	b.Model = m
	return b
}

func TestRangesBelongToTheTokenizer(t *testing.T) {
	path, b := filepath.Join(t.TempDir(), "model"), newBundle(t)
	var tokens []int32
	var y []float64
	for i := range 60 {
		tokens, y = append(tokens, int32(i%20)), append(y, float64(i))
	}
	var err error
	if b.Ranges, err = tokenizer.FitEmission(20, tokens, y); err != nil {
		t.Fatal(err)
	}
	mustSave(t, path, b)
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "ranges given tokens: known for 20 tokens, which its tokenizer has not") {
		t.Errorf("Open: %v, want an error about the ranges of 20 tokens", err)
	}
}

func TestAModelWithoutLogitsNeedsItsLaw(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mixture")
	lost, other := mixtureBundle(t), mixtureBundle(t)
	lost.Emission = nil
	c := other.Model.Config
	c.Outputs++
	var err error
	if other.Model, err = gpt.New(c, 1); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Bundle{"no emission": lost, "13 outputs": other} {
		mustSave(t, path, b)
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "parameters of a density") {
			t.Errorf("%s: Open: %v, want an error about the parameters of a density", name, err)
		}
	}
}

func TestOpenGoesByContent(t *testing.T) {
	b, dir := newBundle(t), t.TempDir()
	hash := ""
	for _, name := range []string{"best_model.pt", "model.safetensors", "model", "model.zip", "data.csv"} {
		path := filepath.Join(dir, name)
		mustSave(t, path, b)
		got, err := Open(path)
		if err != nil {
			t.Errorf("Open(%s): %v", name, err)
			continue
		}
		if hash == "" {
			hash = got.Hash
		}
		if len(got.Hash) != 64 || got.Hash != hash {
			t.Errorf("%s: hash %q, want %q", name, got.Hash, hash)
		}
	}
}

func TestOpenOfAMissingFile(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none.pt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v, want fs.ErrNotExist", err)
	}
	if _, err := Open(t.TempDir()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a folder = %v", err)
	}
}

func newResume(t testing.TB) *Resume {
	t.Helper()
	b := newBundle(t)
	r := &Resume{Bundle: b, State: json.RawMessage(`{"step":7}`)}
	for i, arena := range []*[]float32{&r.Initial, &r.Best, &r.M, &r.V} {
		*arena = make([]float32, len(b.Model.Params))
		for j := range *arena {
			(*arena)[j] = float32(i*1_000_000 + j)
		}
	}
	return r
}

func TestResumeRoundTrip(t *testing.T) {
	r, path := newResume(t), filepath.Join(t.TempDir(), "x.resume")
	if err := SaveResume(path, r); err != nil {
		t.Fatal(err)
	}
	raw, _ := os.ReadFile(path)
	got, err := OpenResume(path)
	if err != nil {
		t.Fatal(err)
	}
	sameBundle(t, got.Bundle, r.Bundle)
	if string(got.State) != string(r.State) {
		t.Errorf("state %s, want %s", got.State, r.State)
	}
	for name, pair := range map[string][2][]float32{
		"initial": {got.Initial, r.Initial}, "best": {got.Best, r.Best}, "m": {got.M, r.M}, "v": {got.V, r.V},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s differs", name)
		}
	}
	if err := SaveResume(path, got); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, raw) {
		t.Error("the state that was read gives other bytes")
	}
}

// An unfinished run's weights were fitted on dates that its file does not yet
// list, so it cannot be scored, nor trained on, as a checkpoint.
func TestUnfinishedAndFinishedAreNotMixedUp(t *testing.T) {
	dir := t.TempDir()
	unfinished, finished := filepath.Join(dir, "x.resume"), filepath.Join(dir, "x")
	r := newResume(t)
	if err := SaveResume(unfinished, r); err != nil {
		t.Fatal(err)
	}
	mustSave(t, finished, r.Bundle)
	if _, err := Open(unfinished); !errors.Is(err, ErrUnfinished) {
		t.Errorf("Open of an unfinished run = %v, want ErrUnfinished", err)
	}
	if _, err := OpenResume(finished); !errors.Is(err, ErrForeign) {
		t.Errorf("OpenResume of a finished run = %v, want ErrForeign", err)
	}
}

func TestFailedSaveLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.pt")
	b := newBundle(t)
	old := mustSave(t, path, b)

	below := filepath.Join(path, "model.pt") // model.pt is a file, not a folder
	if err := Save(below, b); err == nil {
		t.Error("Save below a regular file succeeds")
	}
	broken := *b
	broken.Lineage = []Step{{Recipe: json.RawMessage(`{`)}} // no JSON
	if err := Save(path, &broken); err == nil {
		t.Error("Save with a broken recipe succeeds")
	}
	if err := Save(dir, b); err == nil {
		t.Error("Save over a folder succeeds")
	}

	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the old file changed: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
