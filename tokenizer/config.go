package tokenizer

import (
	"errors"
	"fmt"
	"math"
)

// VQConfig says how a [VQVAE] is built and fitted.
type VQConfig struct {
	Codes      int     `json:"codes"`       // size of the codebook, the vocabulary
	CodeDim    int     `json:"code_dim"`    // width of a code
	Hidden     int     `json:"hidden"`      // width of the two hidden layers of encoder and decoder
	Compress   float64 `json:"compress"`    // gain g of the compression asinh(g·x/std); small: nearly linear
	Epochs     int     `json:"epochs"`      // least passes over the vectors, the first sixth without the codebook
	MinSteps   int     `json:"min_steps"`   // least steps: few vectors are passed over more often
	Batch      int     `json:"batch"`       // vectors per step
	MaxVectors int     `json:"max_vectors"` // fitted on a random choice of this many where there are more
	LR         float64 `json:"lr"`          // peak learning rate of AdamW
	Decay      float64 `json:"decay"`       // EMA of the codebook, per step
	Commitment float64 `json:"commitment"`  // weight β of ‖z − code‖²
	Revive     float64 `json:"revive"`      // a code used less than this fraction of 1/Codes moves to a vector of the batch
	Refine     int     `json:"refine"`      // last steps on the decoder alone, codebook frozen
	Seed       uint64  `json:"seed"`
}

// DefaultVQ returns the settings of the tables in results: 512 codes.
func DefaultVQ() VQConfig {
	return VQConfig{
		Codes: 512, CodeDim: 6, Hidden: 48, Compress: 0.5,
		Epochs: 6, MinSteps: 600, Batch: 256, MaxVectors: 50_000, LR: 5e-3,
		Decay: 0.99, Commitment: 0.25, Revive: 0.05, Refine: 300,
		Seed: 1,
	}
}

// Validate reports every setting that is out of range.
func (c VQConfig) Validate() error {
	var faults []error
	within := func(name string, x, lo, hi int) {
		if x < lo || x > hi {
			faults = append(faults, fmt.Errorf("tokenizer: config: %s %d outside %d…%d", name, x, lo, hi))
		}
	}
	within("codes", c.Codes, MinCodes, MaxCodes)
	within("code_dim", c.CodeDim, 1, 64)
	within("hidden", c.Hidden, 1, 1024)
	within("epochs", c.Epochs, 1, 10_000)
	within("min_steps", c.MinSteps, 0, 1_000_000)
	within("batch", c.Batch, 1, 1<<16)
	within("max_vectors", c.MaxVectors, 1, math.MaxInt32)
	within("refine", c.Refine, 0, 100_000)

	real := func(name string, x float64, ok bool, want string) {
		if !ok { // NaN fails every comparison, so it is caught too
			faults = append(faults, fmt.Errorf("tokenizer: config: %s %v outside %s", name, x, want))
		}
	}
	real("compress", c.Compress, c.Compress >= 1e-3 && c.Compress <= 1e3, "[0.001, 1000]")
	real("lr", c.LR, c.LR > 0 && c.LR <= 1, "(0, 1]")
	real("decay", c.Decay, c.Decay >= 0 && c.Decay < 1, "[0, 1)")
	real("commitment", c.Commitment, c.Commitment >= 0 && c.Commitment <= 100, "[0, 100]")
	real("revive", c.Revive, c.Revive >= 0 && c.Revive < 1, "[0, 1)")
	return errors.Join(faults...)
}
