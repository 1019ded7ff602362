package tokenizer

import (
	"context"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/optim"
)

// VQProgress tells how far the fit of an autoencoder is, after every epoch.
type VQProgress struct {
	Epoch, Epochs int
	Recon         float64 // mean squared error of the standardised features in this epoch
	Commit        float64 // mean squared distance of a latent from its code, per dimension; 0 until there are codes, and for an FSQ
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

// fit fits an autoencoder that was just allocated: see [TrainVQVAE].
func (a *autoencoder) fit(ctx context.Context, vectors []feature.Vector, config FitConfig, progress func(VQProgress)) error {
	if err := checkVectors(vectors); err != nil {
		return err
	}
	vectors = sample(vectors, config.MaxVectors, config.Seed)

	t := newTrainer(a, vectors, config)
	for epoch := range t.epochs {
		if epoch == t.warm && t.book != nil {
			t.startCodebook()
		}
		report, err := t.epoch(ctx, epoch)
		if err != nil {
			return err
		}
		if progress != nil {
			progress(report)
		}
	}
	if t.warm == t.epochs { // a single one
		t.startCodebook()
	}
	if err := t.finish(ctx, vectors); err != nil {
		return err
	}
	if err := t.tabulate(); err != nil {
		return fmt.Errorf("tokenizer: fit: %w", err)
	}
	return nil
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

// trainer is an autoencoder under construction.
type trainer struct {
	*autoencoder
	config FitConfig
	book   *codebook // nil where the codes are fixed

	x []float32 // (N,5) standardised vectors
	N int

	optimizer *optim.AdamW
	groups    []optim.Group

	epochs, warm int // passes in all, and those before a codebook can be placed
	step, steps  int

	encode, decode trace
	tokens         []int32   // (B)
	batch, dy      []float32 // (B,5)
	u, q, dz       []float32 // (B,D)
}

func newTrainer(a *autoencoder, vectors []feature.Vector, config FitConfig) *trainer {
	a.standard = fitStandard(vectors, config.Compress)
	a.encoder.init(config.Seed, rng.Codebook, drawWeights, 0)
	a.decoder.init(config.Seed, rng.Codebook, drawWeights, 1)

	N, B := len(vectors), min(config.Batch, len(vectors))
	t := &trainer{autoencoder: a, config: config, book: a.codebook(), x: make([]float32, N*feature.Size), N: N}
	a.standardise(t.x, vectors)
	t.groups = append(a.encoder.groups(), a.decoder.groups()...)
	t.optimizer = optim.NewAdamW(optim.AdamWConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}, t.groups)
	perEpoch := N / B
	t.epochs = max(config.Epochs, (config.MinSteps+perEpoch-1)/perEpoch)
	if t.book != nil {
		t.warm = max(1, t.epochs/6)
	}
	t.steps = t.epochs * perEpoch
	_, D := a.quantizer.size()
	t.tokens = make([]int32, B)
	t.batch, t.dy = make([]float32, B*feature.Size), make([]float32, B*feature.Size)
	t.u, t.q, t.dz = make([]float32, B*D), make([]float32, B*D), make([]float32, B*D)
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
		recon, commit := t.gradients(t.batch, B, quantise)
		if math.IsNaN(recon+commit) || math.IsInf(recon+commit, 0) {
			return report, fmt.Errorf("tokenizer: fit: epoch %d: loss is %v: try a lower lr than %v", epoch+1, recon+commit, t.config.LR)
		}
		report.Recon += recon / float64(n)
		report.Commit += commit / float64(n)

		t.optimizer.Update(cosine(t.config.LR, t.step, t.steps), 1)
		if book := t.book; book != nil && quantise {
			book.update(t.u, t.tokens, book.config.Decay)
			// Every 16 steps: the averages of a revived code settle first.
			if t.step%16 == 0 && book.config.Revive > 0 {
				r := rng.New(t.config.Seed, rng.Codebook, drawRevival, uint64(t.step))
				report.Revived += book.revive(t.u, B, book.config.Revive, r)
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
//	mean((y − x)²) + penalty(u)
//
// for standardised vectors x (R,5), u = project(encoder(x)), y = decoder(code
// of u). The gradient of the first term with respect to the code is passed on
// to u as it is (straight through; Bengio, Léonard & Courville 2013, arXiv
// 1308.3432). Without quantise y = decoder(u), and there is no penalty. It
// leaves u (R,D) in t and returns the first term and what penalty returns.
func (t *trainer) gradients(x []float32, R int, quantise bool) (recon, commit float64) {
	t.encoder.zeroGrad()
	t.decoder.zeroGrad()

	z := t.encoder.forward(&t.encode, x, R)
	u := t.u[:len(z)]
	t.quantizer.project(u, z)
	q := u
	if quantise {
		q = t.q[:len(z)]
		t.quantizer.nearest(t.tokens[:R], u, R)
		t.quantizer.lookup(q, t.tokens[:R])
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
		commit = t.quantizer.penalty(dz, u, q)
	}
	t.quantizer.projectBackward(dz, u, z)
	t.encoder.backward(&t.encode, nil, dz, x, R)
	return recon / float64(len(y)), commit
}

// latents returns u (n,D) for rows of x (n,5).
func (t *trainer) latents(x []float32, n int) []float32 {
	_, D := t.quantizer.size()
	u := make([]float32, n*D)
	for lo := 0; lo < n; lo += chunk {
		hi := min(lo+chunk, n)
		z := t.encoder.forward(&t.encode, x[lo*feature.Size:hi*feature.Size], hi-lo)
		t.quantizer.project(u[lo*D:hi*D], z)
	}
	return u
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
	z := t.latents(x, n)
	t.book.seed(z, n, r)
	t.book.start(t.book.lloyd(z, n, seedRounds), n, len(t.tokens))
}

// finish settles a learned codebook on all vectors and then trains the decoder
// alone. With the codes frozen, the decoder that minimises the squared error
// gives each code the mean of its vectors, so it is fitted to those means,
// weighted by how often the code occurs: K rows instead of all vectors.
func (t *trainer) finish(ctx context.Context, vectors []feature.Vector) error {
	K, S := t.Codes(), feature.Size
	u := t.latents(t.x, t.N)
	if t.book != nil {
		t.book.lloyd(u, t.N, lastRounds)
	}
	tokens, counts := make([]int32, t.N), make([]int, K)
	t.quantizer.nearest(tokens, u, t.N)
	for _, token := range tokens {
		counts[token]++
	}

	means := make([]feature.Vector, K)
	for i, token := range tokens {
		for f, x := range vectors[i] {
			means[token][f] += x / float64(counts[token])
		}
	}
	target := make([]float32, K*S)
	t.standardise(target, means)

	codes := t.allCodes()
	optimizer := optim.NewAdamW(optim.AdamWConfig{Beta1: 0.9, Beta2: 0.99, Eps: 1e-10}, t.decoder.groups())
	dy := make([]float32, K*S)
	for step := range t.config.Refine {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("tokenizer: fit: %w", err)
		}
		t.decoder.zeroGrad()
		y := t.decoder.forward(&t.decode, codes, K)
		for i := range y {
			weight := float64(counts[i/S]) / float64(t.N)
			dy[i] = float32(2 * weight * float64(y[i]-target[i]) / float64(S))
		}
		t.decoder.backward(&t.decode, nil, dy, codes, K)
		optimizer.Update(cosine(t.config.LR, step, t.config.Refine), 1)
	}
	return nil
}
