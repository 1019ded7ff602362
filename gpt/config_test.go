package gpt

import (
	"math"
	"strings"
	"testing"
)

func TestPresetSpecHasTheParametersOfTheSpecification(t *testing.T) {
	// Embedding and head: 2·512·512. A block: q, k, v, o 4·512·512, and up and
	// down 2·4·512·512; six blocks.
	const want = 2*512*512 + 6*(4+8)*512*512 // 19,398,656
	c, err := Preset("spec")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Parameters(); got != want || want != 19_398_656 {
		t.Errorf("Parameters() = %d, want %d", got, want)
	}
	if len(c.Cond) > 0 || c.Features > 0 || c.Dropout > 0 || c.Softcap > 0 {
		t.Errorf("preset spec has extras: %+v", c)
	}
}

func TestParametersCountsGroupedHeadsConditioningAndFeatures(t *testing.T) {
	c := Config{Vocab: 13, SeqLen: 24, Layers: 2, Heads: 4, KVHeads: 2, Embd: 16, RopeBase: 100, Cond: []int{3, 5}, Features: 2}
	// Tables 2·13·16, conditioning (3+5)·16, features 2·16; a block: q and o
	// 16·16, k and v 8·16, up and down 64·16.
	const want = 2*13*16 + 8*16 + 2*16 + 2*(2*16*16+2*8*16+2*64*16)
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Parameters(); got != want || len(m.Params) != want {
		t.Errorf("Parameters() = %d and New made %d, want %d", got, len(m.Params), want)
	}
}

func TestPresetsAreValid(t *testing.T) {
	for name := range presets {
		if c, err := Preset(name); err != nil || c.Validate() != nil {
			t.Errorf("Preset(%q): %v, %v", name, err, c.Validate())
		}
	}
	if _, err := Preset("huge"); err == nil || !strings.Contains(err.Error(), "quick") || !strings.Contains(err.Error(), "spec") {
		t.Errorf("Preset(%q): %v, want an error that lists the names", "huge", err)
	}
}

func TestScaledIsValidAtEveryDepth(t *testing.T) {
	before := 0
	for depth := 1; depth <= 12; depth++ {
		c := Defaults().Scaled(depth)
		if err := c.Validate(); err != nil {
			t.Errorf("Scaled(%d): %v", depth, err)
		}
		if c.Layers != depth || c.Embd != 64*depth || c.HeadDim() != 64 || c.Vocab != 512 || c.SeqLen != 256 {
			t.Errorf("Scaled(%d) = %+v", depth, c)
		}
		if n := c.Parameters(); n <= before {
			t.Errorf("Scaled(%d) has %d parameters, Scaled(%d) %d", depth, n, depth-1, before)
		}
		before = c.Parameters()
	}
	if err := Defaults().Scaled(0).Validate(); err == nil {
		t.Error("Scaled(0) is valid")
	}
}

func TestValidateReportsAllFaultsAtOnce(t *testing.T) {
	c := Config{
		Vocab: 1, SeqLen: 1, Layers: -1, Heads: 4, KVHeads: 3, Embd: 10, RopeBase: math.NaN(),
		Softcap: -1, Dropout: 1, Cond: []int{2, 0}, Features: -1,
	}
	err := c.Validate()
	if err == nil {
		t.Fatal("a configuration with every fault is valid")
	}
	for _, want := range []string{"vocab 1", "seq_len 1", "layers -1", "kv_heads 3", "embd 10", "rope_base NaN", "softcap -1", "dropout 1", "cond[1] has 0", "features -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() does not name %q:\n%v", want, err)
		}
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != 10 {
		t.Errorf("Validate() reports %d faults, want 10:\n%v", got, err)
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no heads":           func(c *Config) { c.Heads = 0 },
		"negative heads":     func(c *Config) { c.Heads = -2 },
		"no kv heads":        func(c *Config) { c.KVHeads = 0 },
		"more kv than heads": func(c *Config) { c.KVHeads = 16 },
		"odd head width":     func(c *Config) { c.Embd = 8 * 3 },
		"no channels":        func(c *Config) { c.Embd = 0 },
		"base 1":             func(c *Config) { c.RopeBase = 1 },
		"infinite base":      func(c *Config) { c.RopeBase = math.Inf(1) },
		"infinite softcap":   func(c *Config) { c.Softcap = math.Inf(1) },
		"NaN dropout":        func(c *Config) { c.Dropout = math.NaN() },
		"too large":          func(c *Config) { c.Layers = 1 << 20 },
	} {
		c := Defaults()
		change(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: Validate() = nil for %+v", name, c)
		}
		if _, err := New(c, 1); err == nil {
			t.Errorf("%s: New made a model of %+v", name, c)
		}
	}
}
