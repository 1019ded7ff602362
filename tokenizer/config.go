package tokenizer

import (
	"errors"
	"fmt"
	"math"
)

// FitConfig holds what all autoencoders of this package have in common: the
// shape of the perceptrons and how they are fitted.
type FitConfig struct {
	Codes      int     `json:"codes"`       // K, the vocabulary
	Hidden     int     `json:"hidden"`      // width of the two hidden layers of encoder and decoder
	Compress   float64 `json:"compress"`    // gain g of the compression asinh(g·x/std); small: nearly linear
	Epochs     int     `json:"epochs"`      // least passes over the vectors; of a VQVAE the first sixth without the codebook
	MinSteps   int     `json:"min_steps"`   // least steps: few vectors are passed over more often
	Batch      int     `json:"batch"`       // vectors per step
	MaxVectors int     `json:"max_vectors"` // fitted on a random choice of this many where there are more
	LR         float64 `json:"lr"`          // peak learning rate of AdamW
	Refine     int     `json:"refine"`      // last steps on the decoder alone, codes frozen
	Seed       uint64  `json:"seed"`
}

func defaultFit() FitConfig {
	return FitConfig{
		Codes: 512, Hidden: 48, Compress: 0.5,
		Epochs: 6, MinSteps: 600, Batch: 256, MaxVectors: 50_000, LR: 5e-3,
		Refine: 300, Seed: 1,
	}
}

// VQConfig says how a [VQVAE] is built and fitted.
type VQConfig struct {
	FitConfig
	CodeDim    int     `json:"code_dim"`   // width of a code
	Decay      float64 `json:"decay"`      // EMA of the codebook, per step
	Commitment float64 `json:"commitment"` // weight β of ‖z − code‖²
	Revive     float64 `json:"revive"`     // a code used less than this fraction of 1/Codes moves to a vector of the batch
}

// DefaultVQ returns the settings of the tables in results: 512 codes.
func DefaultVQ() VQConfig {
	return VQConfig{FitConfig: defaultFit(), CodeDim: 6, Decay: 0.99, Commitment: 0.25, Revive: 0.05}
}

// Validate reports every setting that is out of range.
func (c VQConfig) Validate() error {
	f := c.FitConfig.check()
	f.within("code_dim", c.CodeDim, 1, 64)
	f.fault("decay", c.Decay, c.Decay >= 0 && c.Decay < 1, "[0, 1)")
	f.fault("commitment", c.Commitment, c.Commitment >= 0 && c.Commitment <= 100, "[0, 100]")
	f.fault("revive", c.Revive, c.Revive >= 0 && c.Revive < 1, "[0, 1)")
	return errors.Join(f...)
}

// FSQConfig says how an [FSQ] is built and fitted. The number of codes fixes
// the levels: see [Levels].
type FSQConfig struct {
	FitConfig
}

// DefaultFSQ returns the settings of 512 codes.
func DefaultFSQ() FSQConfig { return FSQConfig{defaultFit()} }

// Validate reports every setting that is out of range.
func (c FSQConfig) Validate() error {
	f := c.FitConfig.check()
	if _, err := Levels(c.Codes); err != nil {
		f = append(f, err)
	}
	return errors.Join(f...)
}

// BSQConfig says how a [BSQ] is built and fitted.
type BSQConfig struct {
	FitConfig
	Commitment float64 `json:"commitment"` // weight β of ‖u − code‖²
	Entropy    float64 `json:"entropy"`    // weight ζ of the entropy penalty
	Diversity  float64 `json:"diversity"`  // weight γ, within the penalty, of the entropy of the mean bits
	Sharpness  float64 `json:"sharpness"`  // τ of the soft bits: larger, nearer to hard ones
}

// DefaultBSQ returns the settings of 512 codes.
func DefaultBSQ() BSQConfig {
	return BSQConfig{FitConfig: defaultFit(), Commitment: 0.05, Entropy: 1, Diversity: 1, Sharpness: 10}
}

// Validate reports every setting that is out of range.
func (c BSQConfig) Validate() error {
	f := c.FitConfig.check()
	if c.Codes&(c.Codes-1) != 0 {
		f = append(f, fmt.Errorf("tokenizer: config: codes %d: bsq wants a power of two", c.Codes))
	}
	f.fault("commitment", c.Commitment, c.Commitment >= 0 && c.Commitment <= 100, "[0, 100]")
	f.fault("entropy", c.Entropy, c.Entropy >= 0 && c.Entropy <= 100, "[0, 100]")
	f.fault("diversity", c.Diversity, c.Diversity >= 0 && c.Diversity <= 100, "[0, 100]")
	f.fault("sharpness", c.Sharpness, c.Sharpness >= 1e-3 && c.Sharpness <= 1e3, "[0.001, 1000]")
	return errors.Join(f...)
}

// faults of a configuration.
type faults []error

func (f *faults) within(name string, x, lo, hi int) {
	if x < lo || x > hi {
		*f = append(*f, fmt.Errorf("tokenizer: config: %s %d outside %d…%d", name, x, lo, hi))
	}
}

// fault notes x unless ok. NaN fails every comparison, so it is caught too.
func (f *faults) fault(name string, x float64, ok bool, want string) {
	if !ok {
		*f = append(*f, fmt.Errorf("tokenizer: config: %s %v outside %s", name, x, want))
	}
}

// check notes every fault of the common settings.
func (c FitConfig) check() faults {
	var f faults
	f.within("codes", c.Codes, MinCodes, MaxCodes)
	f.within("hidden", c.Hidden, 1, 1024)
	f.within("epochs", c.Epochs, 1, 10_000)
	f.within("min_steps", c.MinSteps, 0, 1_000_000)
	f.within("batch", c.Batch, 1, 1<<16)
	f.within("max_vectors", c.MaxVectors, 1, math.MaxInt32)
	f.within("refine", c.Refine, 0, 100_000)
	f.fault("compress", c.Compress, c.Compress >= 1e-3 && c.Compress <= 1e3, "[0.001, 1000]")
	f.fault("lr", c.LR, c.LR > 0 && c.LR <= 1, "(0, 1]")
	return f
}
