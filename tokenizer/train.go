package tokenizer

import (
	"context"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/optim"
)

// VQProgress tells how far the fit is, after every epoch.
type VQProgress struct {
	Epoch, Epochs int
	Recon         float64 // mean squared error of the standardised features in this epoch
	Commit        float64 // mean of ‖z − code‖² / CodeDim; 0 until the codebook takes part
	Revived       int     // codes that were moved in this epoch
}

// Purposes of the random streams of a fit, after (seed, rng.Codebook).
const (
	drawSample = iota
	drawWeights
	drawOrder
	drawSeeds
	drawRevival
)

// Parts of the fit that read only so many vectors, to bound their time.
const (
	seedRows   = 16384 // k-means at the start
	seedRounds = 10
	lastRounds = 5 // k-means on all vectors at the end
)

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
	if err := checkVectors(vectors); err != nil {
		return nil, err
	}
	vectors = sample(vectors, config.MaxVectors, config.Seed)

	t := newTrainer(vectors, config)
	for epoch := range t.epochs {
		if epoch == t.warm {
			t.startCodebook()
		}
		report, err := t.epoch(ctx, epoch)
		if err != nil {
			return nil, err
		}
		if progress != nil {
			progress(report)
		}
	}
	if t.warm == t.epochs {
		t.startCodebook()
	}
	if err := t.finish(ctx, vectors); err != nil {
		return nil, err
	}
	if err := t.tabulate(); err != nil {
		return nil, fmt.Errorf("tokenizer: fit: %w", err)
	}
	return t.VQVAE, nil
}

// sample returns n of the vectors without repetition, or all where there are fewer.
func sample(vectors []feature.Vector, n int, seed uint64) []feature.Vector {
	if len(vectors) <= n {
		return vectors
	}
	order := rng.New(seed, rng.Codebook, drawSample).Perm(len(vectors))
	chosen := make([]feature.Vector, n)
	for i := range chosen {
		chosen[i] = vectors[order[i]]
	}
	return chosen
}

// trainer is a tokenizer under construction.
type trainer struct {
	*VQVAE
	x []float32 // (N,5) standardised vectors
	N int

	optimizer *optim.AdamW
	groups    []optim.Group

	epochs, warm int // passes in all, and those without the codebook
	step, steps  int

	encode, decode trace
	tokens         []int32
	batch, q       []float32 // (B,5), (B,D)
	dy, dz         []float32 // (B,5), (B,D)
}

func newTrainer(vectors []feature.Vector, config VQConfig) *trainer {
	v := newVQVAE(config)
	v.standard = fitStandard(vectors, config.Compress)
	v.encoder.init(config.Seed, rng.Codebook, drawWeights, 0)
	v.decoder.init(config.Seed, rng.Codebook, drawWeights, 1)

	N, B := len(vectors), min(config.Batch, len(vectors))
	t := &trainer{VQVAE: v, x: make([]float32, N*feature.Size), N: N}
	v.standardise(t.x, vectors)
	t.groups = append(v.encoder.groups(), v.decoder.groups()...)
	t.optimizer = optim.NewAdamW(optim.AdamWConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}, t.groups)
	perEpoch := N / B
	t.epochs = max(config.Epochs, (config.MinSteps+perEpoch-1)/perEpoch)
	t.warm = max(1, t.epochs/6)
	t.steps = t.epochs * perEpoch
	t.tokens = make([]int32, B)
	t.batch, t.dy = make([]float32, B*feature.Size), make([]float32, B*feature.Size)
	t.q, t.dz = make([]float32, B*config.CodeDim), make([]float32, B*config.CodeDim)
	return t
}

// epoch passes over the vectors once, in random order; what is left over when
// they do not fill a last batch comes in another epoch.
func (t *trainer) epoch(ctx context.Context, epoch int) (VQProgress, error) {
	report := VQProgress{Epoch: epoch + 1, Epochs: t.epochs}
	B := len(t.tokens)
	order := rng.New(t.config.Seed, rng.Codebook, drawOrder, uint64(epoch)).Perm(t.N)
	n := t.N / B
	for i := range n {
		if err := ctx.Err(); err != nil {
			return report, fmt.Errorf("tokenizer: fit: %w", err)
		}
		for r, row := range order[i*B : (i+1)*B] {
			copy(t.batch[r*feature.Size:(r+1)*feature.Size], t.x[row*feature.Size:])
		}

		quantise := epoch >= t.warm
		z, recon, commit := t.gradients(t.batch, B, quantise)
		if math.IsNaN(recon+commit) || math.IsInf(recon+commit, 0) {
			return report, fmt.Errorf("tokenizer: fit: epoch %d: loss is %v: try a lower lr than %v", epoch+1, recon+commit, t.config.LR)
		}
		report.Recon += recon / float64(n)
		report.Commit += commit / float64(n)

		t.optimizer.Update(cosine(t.config.LR, t.step, t.steps), 1)
		if quantise {
			t.book.update(z, t.tokens, t.config.Decay)
			// Every 16 steps: the averages of a revived code settle first.
			if t.step%16 == 0 && t.config.Revive > 0 {
				r := rng.New(t.config.Seed, rng.Codebook, drawRevival, uint64(t.step))
				report.Revived += t.book.revive(z, B, t.config.Revive, r)
			}
		}
		t.step++
	}
	return report, nil
}

// cosine falls from the peak at step 0 to nearly nothing at the last.
func cosine(peak float64, step, steps int) float64 {
	return peak * (1 + math.Cos(math.Pi*float64(step)/float64(steps))) / 2
}

// gradients computes the gradients of the loss
//
//	mean((y − x)²) + β·mean((z − code)²)
//
// for standardised vectors x (R,5), z = encoder(x), y = decoder(code). The
// code is constant in the second term; in the first its gradient is passed on
// to z as it is (straight through). Without quantise y = decoder(z), and the
// second term is absent. It returns z (R,D) and the two means.
func (t *trainer) gradients(x []float32, R int, quantise bool) (z []float32, recon, commit float64) {
	t.encoder.zeroGrad()
	t.decoder.zeroGrad()

	z = t.encoder.forward(&t.encode, x, R)
	q := z
	if quantise {
		q = t.q[:len(z)]
		t.book.nearest(t.tokens[:R], z, R)
		t.book.lookup(q, t.tokens[:R])
	}
	y := t.decoder.forward(&t.decode, q, R)

	dy, dz := t.dy[:len(y)], t.dz[:len(z)]
	for i := range y {
		d := y[i] - x[i]
		recon += float64(d) * float64(d)
		dy[i] = 2 * d / float32(len(y))
	}
	clear(dz)
	t.decoder.backward(&t.decode, dz, dy, q, R)
	if quantise {
		beta := float32(2 * t.config.Commitment / float64(len(z)))
		for i := range z {
			d := z[i] - q[i]
			commit += float64(d) * float64(d)
			dz[i] += beta * d
		}
	}
	t.encoder.backward(&t.encode, nil, dz, x, R)
	return z, recon / float64(len(y)), commit / float64(len(z))
}

// encodeRows returns the encoder's outputs (n,D) for rows of x (n,5).
func (t *trainer) encodeRows(x []float32, n int) []float32 {
	D := t.config.CodeDim
	z := make([]float32, n*D)
	for lo := 0; lo < n; lo += chunk {
		hi := min(lo+chunk, n)
		copy(z[lo*D:], t.encoder.forward(&t.encode, x[lo*feature.Size:hi*feature.Size], hi-lo))
	}
	return z
}

// startCodebook places the codes by k-means on the encoder's outputs.
func (t *trainer) startCodebook() {
	n := min(seedRows, t.N)
	x := t.x[:n*feature.Size]
	r := rng.New(t.config.Seed, rng.Codebook, drawSeeds)
	if n < t.N {
		x = make([]float32, n*feature.Size)
		for i, row := range r.Perm(t.N)[:n] {
			copy(x[i*feature.Size:(i+1)*feature.Size], t.x[row*feature.Size:])
		}
	}
	z := t.encodeRows(x, n)
	t.book.seed(z, n, r)
	t.book.start(t.book.lloyd(z, n, seedRounds), n, len(t.tokens))
}

// finish settles the codebook on all vectors and then trains the decoder alone.
// With the codes frozen, the decoder that minimises the squared error gives
// each code the mean of its vectors, so it is fitted to those means, weighted
// by how often the code occurs: a thousand rows instead of all vectors.
func (t *trainer) finish(ctx context.Context, vectors []feature.Vector) error {
	K, S := t.config.Codes, feature.Size
	z := t.encodeRows(t.x, t.N)
	counts := t.book.lloyd(z, t.N, lastRounds)
	tokens := make([]int32, t.N)
	t.book.nearest(tokens, z, t.N)

	means := make([]feature.Vector, K)
	for i, token := range tokens {
		for f, x := range vectors[i] {
			means[token][f] += x / float64(counts[token])
		}
	}
	target := make([]float32, K*S)
	v := t.VQVAE
	v.standardise(target, means)

	groups := v.decoder.groups()
	optimizer := optim.NewAdamW(optim.AdamWConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-10}, groups)
	dy := make([]float32, K*S)
	for step := range t.config.Refine {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("tokenizer: fit: %w", err)
		}
		v.decoder.zeroGrad()
		y := v.decoder.forward(&t.decode, v.book.codes, K)
		for i := range y {
			weight := float64(counts[i/S]) / float64(t.N)
			dy[i] = float32(2 * weight * float64(y[i]-target[i]) / float64(S))
		}
		v.decoder.backward(&t.decode, nil, dy, v.book.codes, K)
		optimizer.Update(cosine(t.config.LR, step, t.config.Refine), 1)
	}
	return nil
}
