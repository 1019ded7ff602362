package tokenizer

import (
	"context"

	"github.com/micro-quant/mqc/feature"
)

// KindVQVAE names the [VQVAE] in files.
const KindVQVAE = "vqvae"

// VQVAE is a vector-quantised autoencoder of single candles: the token is the
// nearest of Codes learned points in CodeDim dimensions.
//
// van den Oord, Vinyals & Kavukcuoglu 2017, arXiv 1711.00937.
type VQVAE struct {
	autoencoder
	config VQConfig
}

// newVQVAE allocates a tokenizer of the shape; config is valid.
func newVQVAE(config VQConfig) *VQVAE {
	K, D := config.Codes, config.CodeDim
	book := &codebook{K: K, D: D, codes: make([]float32, K*D), config: config}
	return &VQVAE{autoencoder: newAutoencoder(config.FitConfig, book), config: config}
}

// TrainVQVAE fits a tokenizer on the vectors, which are those of training dates.
// The first sixth of the epochs trains the autoencoder without its codebook;
// k-means on the encoder's outputs then starts the codebook, and the rest is
// trained through it by the straight-through gradient. At the end encoder and
// codebook stand still, and the decoder learns the mean vector of every token.
// The result is a function of vectors and config alone, for any number of
// workers.
//
// It fails for an invalid config, fewer than 2 vectors, a vector that is not
// finite, a cancelled context, or a loss that is not finite. progress may be nil.
func TrainVQVAE(ctx context.Context, vectors []feature.Vector, config VQConfig, progress func(VQProgress)) (*VQVAE, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	v := newVQVAE(config)
	if err := v.fit(ctx, vectors, config.FitConfig, progress); err != nil {
		return nil, err
	}
	return v, nil
}

func loadVQVAE(configJSON []byte, p *parts) (Tokenizer, error) {
	var config VQConfig
	if err := decodeConfig(configJSON, &config); err != nil {
		return nil, err
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	v := newVQVAE(config)
	return v, v.load(p)
}

// Kind returns [KindVQVAE].
func (v *VQVAE) Kind() string { return KindVQVAE }

// Config returns the [VQConfig].
func (v *VQVAE) Config() any { return v.config }
