package tokenizer

import (
	"fmt"
	"math"
	"testing"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
)

// TestGradients compares the analytic gradients with central differences of
// the loss that they belong to: what the quantisation adds to u, and the code
// in the commitment, are constants.
func TestGradients(t *testing.T) {
	const R = 24
	vq, fsq, bsq := small(), DefaultFSQ(), DefaultBSQ()
	vq.Codes, vq.Hidden, vq.Commitment = 8, 7, 0.5
	fsq.Codes, fsq.Hidden = 32, 7
	bsq.Codes, bsq.Hidden, bsq.Commitment, bsq.Entropy, bsq.Diversity, bsq.Sharpness = 8, 7, 0.5, 0.7, 1.5, 2
	commitment := func(beta float64) func(u, code []float64) float64 {
		return func(u, code []float64) float64 {
			sum := 0.0
			for i := range u {
				sum += beta * (u[i] - code[i]) * (u[i] - code[i]) / float64(len(u))
			}
			return sum
		}
	}
	for _, c := range []struct {
		name    string
		a       *autoencoder
		config  FitConfig
		penalty func(u, code []float64) float64
	}{
		{"vqvae", &newVQVAE(vq).autoencoder, vq.FitConfig, commitment(0.5)},
		{"fsq", &newFSQ(fsq).autoencoder, fsq.FitConfig, commitment(0)},
		{"bsq", &newBSQ(bsq).autoencoder, bsq.FitConfig, func(u, code []float64) float64 {
			return commitment(0.5)(u, code) + 0.7*entropyPenalty(u, 3, 2, 1.5)
		}},
	} {
		for _, quantise := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,quantise=%v", c.name, quantise), func(t *testing.T) {
				c.config.Batch = R
				tr := newTrainer(c.a, heavy(R, 6), c.config)
				// Latents of some size, so that they fall on several codes.
				last := tr.encoder.layers[2]
				for i := range last.w {
					last.w[i] *= 4
				}
				if tr.book != nil {
					tr.book.seed(tr.latents(tr.x, R), R, rng.New(7))
				}
				tr.gradients(tr.x, R, quantise)
				shift, code := make([]float64, len(tr.u)), make([]float64, len(tr.u))
				if quantise {
					for i := range tr.u {
						code[i] = float64(tr.q[i])
						shift[i] = code[i] - float64(tr.u[i])
					}
				}
				var te, td trace
				loss := func() float64 {
					z := tr.encoder.forward(&te, tr.x, R)
					u, q, exact := make([]float32, len(z)), make([]float32, len(z)), make([]float64, len(z))
					tr.quantizer.project(u, z)
					for i := range u {
						exact[i] = float64(u[i])
						q[i] = float32(exact[i] + shift[i])
					}
					sum := 0.0
					if quantise {
						sum = c.penalty(exact, code)
					}
					for i, y := range tr.decoder.forward(&td, q, R) {
						d := float64(y) - float64(tr.x[i])
						sum += d * d / (R * feature.Size)
					}
					return sum
				}
				agree(t, tr, loss)
			})
		}
	}
}

// agree compares the gradients in tr with central differences of the loss.
func agree(t *testing.T, tr *trainer, loss func() float64) {
	t.Helper()
	for _, g := range tr.groups {
		largest := 0.0
		for _, d := range g.Grad {
			largest = max(largest, math.Abs(float64(d)))
		}
		if largest == 0 {
			t.Fatalf("%s has no gradient", g.Name)
		}
		for i := range g.Param {
			at := func(h float32) float64 {
				old := g.Param[i]
				defer func() { g.Param[i] = old }()
				g.Param[i] = old + h
				return loss()
			}
			// Differences over h and 2h, extrapolated, are right to h⁴; what
			// remains is float32 rounding over h: under a percent of the
			// largest.
			const h = 5e-3
			narrow := (at(h) - at(-h)) / (2 * h)
			wide := (at(2*h) - at(-2*h)) / (4 * h)
			numeric := (4*narrow - wide) / 3
			if d := math.Abs(numeric - float64(g.Grad[i])); d > 0.01*largest {
				t.Errorf("%s[%d]: gradient %v, differences give %v", g.Name, i, g.Grad[i], numeric)
			}
		}
	}
}

// entropyPenalty is the penalty of a BSQ by its definition, over all codes at
// once for the first term: the entropy of a product is the sum of entropies.
func entropyPenalty(u []float64, L int, tau, gamma float64) float64 {
	R, K := len(u)/L, 1<<L
	side := 1 / math.Sqrt(float64(L))
	bit := make([]float64, L) // mean probability of each bit
	sure := 0.0
	for r := range R {
		weights, total := make([]float64, K), 0.0
		for k := range K {
			dot := 0.0
			for j := range L {
				dot += side * float64(2*(k>>j&1)-1) * u[r*L+j]
			}
			weights[k] = math.Exp(tau * dot)
			total += weights[k]
		}
		for k, w := range weights {
			p := w / total
			sure -= p * math.Log(p) / float64(R)
			for j := range L {
				bit[j] += p * float64(k>>j&1) / float64(R)
			}
		}
	}
	diverse := 0.0
	for _, p := range bit {
		diverse -= p*math.Log(p) + (1-p)*math.Log(1-p)
	}
	return (sure - gamma*diverse) / float64(L)
}
