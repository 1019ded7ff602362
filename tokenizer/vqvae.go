package tokenizer

import (
	"fmt"
	"math"

	"github.com/micro-quant/mqc/feature"
)

// KindVQVAE names the [VQVAE] in files.
const KindVQVAE = "vqvae"

// VQVAE is a vector-quantised autoencoder of single candles: a perceptron maps
// the standardised vector to CodeDim numbers, the nearest code of the codebook
// is the token, and a second perceptron maps codes back to vectors.
//
// van den Oord, Vinyals & Kavukcuoglu 2017, arXiv 1711.00937.
type VQVAE struct {
	config   VQConfig
	standard standard
	encoder  *mlp // 5 → hidden → hidden → code
	decoder  *mlp // code → hidden → hidden → 5
	book     codebook

	table []feature.Vector // what each token decodes to
}

// newVQVAE allocates a tokenizer of the shape; config is valid.
func newVQVAE(config VQConfig) *VQVAE {
	h, d := config.Hidden, config.CodeDim
	return &VQVAE{
		config:  config,
		encoder: newMLP("encoder", feature.Size, h, h, d),
		decoder: newMLP("decoder", d, h, h, feature.Size),
		book:    codebook{K: config.Codes, D: d, codes: make([]float32, config.Codes*d)},
	}
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
	if err := v.standard.load(p); err != nil {
		return nil, err
	}
	v.encoder.load(p)
	p.take(v.book.codes, "codebook", config.Codes, config.CodeDim)
	v.decoder.load(p)
	if p.err != nil {
		return nil, p.err
	}
	return v, v.tabulate()
}

// tabulate decodes every code once and for all.
func (v *VQVAE) tabulate() error {
	K := v.config.Codes
	var t trace
	u := v.decoder.forward(&t, v.book.codes, K)
	v.table = make([]feature.Vector, K)
	for k := range v.table {
		v.table[k] = v.standard.inverse(u[k*feature.Size:])
		if !v.table[k].Finite() {
			return fmt.Errorf("token %d decodes to %v", k, v.table[k])
		}
	}
	return nil
}

// Kind returns [KindVQVAE].
func (v *VQVAE) Kind() string { return KindVQVAE }

// Codes returns the size of the codebook.
func (v *VQVAE) Codes() int { return v.config.Codes }

// Config returns the [VQConfig].
func (v *VQVAE) Config() any { return v.config }

// Tensors returns the weights, the codebook and the standardisation.
func (v *VQVAE) Tensors() []Tensor {
	tensors := v.standard.tensors()
	tensors = append(tensors, v.encoder.tensors()...)
	tensors = append(tensors, Tensor{"codebook", []int{v.config.Codes, v.config.CodeDim}, v.book.codes})
	return append(tensors, v.decoder.tensors()...)
}

// Encode returns the token of a vector, of which a NaN counts as 0 and an
// infinity as the largest move.
func (v *VQVAE) Encode(x feature.Vector) int {
	var token [1]int32
	v.encodeAll(token[:], []feature.Vector{x})
	return int(token[0])
}

// Decode returns the vector that the decoder makes of the token's code.
func (v *VQVAE) Decode(token int) feature.Vector { return v.table[token] }

// chunk is how many vectors are encoded in one pass: enough rows for the
// matrix products, few enough to stay in the cache.
const chunk = 1024

func (v *VQVAE) encodeAll(tokens []int32, vectors []feature.Vector) {
	var t trace
	u := make([]float32, min(chunk, len(vectors))*feature.Size)
	for lo := 0; lo < len(vectors); lo += chunk {
		hi := min(lo+chunk, len(vectors))
		R := hi - lo
		v.standardise(u, vectors[lo:hi])
		z := v.encoder.forward(&t, u[:R*feature.Size], R)
		v.book.nearest(tokens[lo:hi], z, R)
	}
}

// standardise writes the standardised vectors to u (R,5).
func (v *VQVAE) standardise(u []float32, vectors []feature.Vector) {
	for r, x := range vectors {
		v.standard.forward(u[r*feature.Size:(r+1)*feature.Size], x)
	}
}

// checkVectors refuses what a tokenizer cannot be fitted on.
func checkVectors(vectors []feature.Vector) error {
	if len(vectors) < 2 {
		return fmt.Errorf("tokenizer: fit: %d vectors, need at least 2", len(vectors))
	}
	for i, v := range vectors {
		for f, x := range v {
			if math.IsNaN(x) || math.Abs(x) > math.MaxFloat32 {
				return fmt.Errorf("tokenizer: fit: vector %d: %s is %v", i, feature.Names[f], x)
			}
		}
	}
	return nil
}
