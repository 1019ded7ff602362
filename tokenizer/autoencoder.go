package tokenizer

import (
	"fmt"

	"github.com/micro-quant/mqc/feature"
)

// autoencoder is what the learned tokenizers share: a perceptron maps the
// standardised vector to D numbers, a quantizer makes a token of them, and a
// second perceptron maps the token's code back to a vector.
type autoencoder struct {
	standard  standard
	encoder   *mlp // 5 → hidden → hidden → D
	decoder   *mlp // D → hidden → hidden → 5
	quantizer quantizer

	table []feature.Vector // (K) what each token decodes to
}

// quantizer is what lies between encoder and decoder: it maps the latent z
// (R,D) to u, where codes lie, and u to the nearest of K codes.
type quantizer interface {
	size() (K, D int)

	// project writes to u (R,D) the smooth map of z (R,D).
	project(u, z []float32)

	// projectBackward turns du (R,D), the gradient with respect to u =
	// project(z), into that with respect to z, in place.
	projectBackward(du, u, z []float32)

	// nearest writes to tokens (R) the code next to each row of u (R,D).
	nearest(tokens []int32, u []float32, R int)

	// lookup writes the codes of tokens (R) to q (R,D).
	lookup(q []float32, tokens []int32)

	// penalty adds to du (R,D) the gradient of the quantizer's own loss at
	// u, whose codes are q. It returns the mean of (u − q)², or 0 for a
	// quantizer that does not ask the encoder to come near to codes.
	penalty(du, u, q []float32) float64
}

// newAutoencoder allocates the shape; the config is valid.
func newAutoencoder(c FitConfig, q quantizer) autoencoder {
	_, D := q.size()
	return autoencoder{
		encoder:   newMLP("encoder", feature.Size, c.Hidden, c.Hidden, D),
		decoder:   newMLP("decoder", D, c.Hidden, c.Hidden, feature.Size),
		quantizer: q,
	}
}

// codebook returns the quantizer if its codes are learned, else nil.
func (a *autoencoder) codebook() *codebook {
	book, _ := a.quantizer.(*codebook)
	return book
}

// load takes all tensors and tabulates.
func (a *autoencoder) load(p *parts) error {
	if err := a.standard.load(p); err != nil {
		return err
	}
	a.encoder.load(p)
	if book := a.codebook(); book != nil {
		p.take(book.codes, "codebook", book.K, book.D)
	}
	a.decoder.load(p)
	if p.err != nil {
		return p.err
	}
	return a.tabulate()
}

// tabulate decodes every code once and for all.
func (a *autoencoder) tabulate() error {
	K, _ := a.quantizer.size()
	var t trace
	u := a.decoder.forward(&t, a.allCodes(), K)
	a.table = make([]feature.Vector, K)
	for k := range a.table {
		a.table[k] = a.standard.inverse(u[k*feature.Size:])
		if !a.table[k].Finite() {
			return fmt.Errorf("token %d decodes to %v", k, a.table[k])
		}
	}
	return nil
}

// allCodes returns the codes of all tokens (K,D).
func (a *autoencoder) allCodes() []float32 {
	K, D := a.quantizer.size()
	tokens, codes := make([]int32, K), make([]float32, K*D)
	for k := range tokens {
		tokens[k] = int32(k)
	}
	a.quantizer.lookup(codes, tokens)
	return codes
}

// Codes returns K, the number of tokens.
func (a *autoencoder) Codes() int {
	K, _ := a.quantizer.size()
	return K
}

// Tensors returns the standardisation, the weights and, where it is learned,
// the codebook.
func (a *autoencoder) Tensors() []Tensor {
	tensors := append(a.standard.tensors(), a.encoder.tensors()...)
	if book := a.codebook(); book != nil {
		tensors = append(tensors, Tensor{"codebook", []int{book.K, book.D}, book.codes})
	}
	return append(tensors, a.decoder.tensors()...)
}

// Encode returns the token of a vector, of which a NaN counts as 0 and an
// infinity as the largest move.
func (a *autoencoder) Encode(x feature.Vector) int {
	var token [1]int32
	a.encodeAll(token[:], []feature.Vector{x})
	return int(token[0])
}

// Decode returns the vector that the decoder makes of the token's code.
func (a *autoencoder) Decode(token int) feature.Vector { return a.table[token] }

// chunk is how many vectors are encoded in one pass: enough rows for the
// matrix products, few enough to stay in the cache.
const chunk = 1024

func (a *autoencoder) encodeAll(tokens []int32, vectors []feature.Vector) {
	var t trace
	rows := min(chunk, len(vectors))
	_, D := a.quantizer.size()
	x, u := make([]float32, rows*feature.Size), make([]float32, rows*D)
	for lo := 0; lo < len(vectors); lo += chunk {
		hi := min(lo+chunk, len(vectors))
		R := hi - lo
		a.standardise(x, vectors[lo:hi])
		z := a.encoder.forward(&t, x[:R*feature.Size], R)
		a.quantizer.project(u[:len(z)], z)
		a.quantizer.nearest(tokens[lo:hi], u[:len(z)], R)
	}
}

// standardise writes the standardised vectors to u (R,5).
func (a *autoencoder) standardise(u []float32, vectors []feature.Vector) {
	for r, x := range vectors {
		a.standard.forward(u[r*feature.Size:(r+1)*feature.Size], x)
	}
}

// commit adds to du the gradient of β·mean((u − q)²), q constant, and returns
// the mean.
func commit(du, u, q []float32, beta float64) float64 {
	sum, slope := 0.0, float32(2*beta/float64(len(u)))
	for i := range u {
		d := u[i] - q[i]
		sum += float64(d) * float64(d)
		du[i] += slope * d
	}
	return sum / float64(len(u))
}
