package tokenizer

import (
	"math/rand/v2"

	"github.com/micro-quant/mqc/internal/parallel"
)

// codebook holds K codes of width D and, while it is fitted, the moving
// averages that define them: code = sum/count.
//
// van den Oord et al. 2017, arXiv 1711.00937, appendix A.1.
type codebook struct {
	K, D   int
	codes  []float32 // (K,D)
	config VQConfig

	count []float64 // (K) average number of vectors per step
	sum   []float64 // (K,D) average sum of the vectors per step
}

// smoothing keeps a code with a vanishing count finite (Laplace).
const smoothing = 1e-5

// nearest writes to tokens (R) the code next to each row of z (R,D); of two
// equally near ones the first.
func (c *codebook) nearest(tokens []int32, z []float32, R int) {
	D := c.D
	parallel.For(R, 32, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := z[r*D : (r+1)*D]
			best, token := float32(0), -1
			for k := range c.K {
				code := c.codes[k*D : (k+1)*D]
				distance := float32(0)
				for j, x := range row {
					d := x - code[j]
					distance += d * d
				}
				if token < 0 || distance < best {
					best, token = distance, k
				}
			}
			tokens[r] = int32(token)
		}
	})
}

func (c *codebook) size() (K, D int) { return c.K, c.D }

// project changes nothing: a code can be anywhere.
func (c *codebook) project(u, z []float32) { copy(u, z) }

func (c *codebook) projectBackward(_, _, _ []float32) {}

// penalty is β·mean((u − code)²), the commitment of the encoder to the codes,
// which are constant in it; the mean itself is what it returns.
func (c *codebook) penalty(du, u, q []float32) float64 {
	return commit(du, u, q, c.config.Commitment)
}

// lookup writes the codes of tokens (R) to q (R,D).
func (c *codebook) lookup(q []float32, tokens []int32) {
	for r, token := range tokens {
		copy(q[r*c.D:(r+1)*c.D], c.codes[int(token)*c.D:])
	}
}

// seed chooses the codes among the rows of z (R,D) by k-means++: each next one
// with a probability proportional to its squared distance from the nearest so
// far. Arthur & Vassilvitskii 2007. With fewer different rows than codes some
// codes are alike.
func (c *codebook) seed(z []float32, R int, r *rand.Rand) {
	D := c.D
	distance := make([]float64, R)
	pick := r.IntN(R)
	for k := range c.K {
		code := c.codes[k*D : (k+1)*D]
		copy(code, z[pick*D:(pick+1)*D])
		parallel.For(R, 512, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				d := float32(0)
				for j, x := range z[i*D : (i+1)*D] {
					d += (x - code[j]) * (x - code[j])
				}
				if k == 0 || float64(d) < distance[i] {
					distance[i] = float64(d)
				}
			}
		})
		total := 0.0
		for _, d := range distance {
			total += d
		}
		pick = r.IntN(R)
		if total > 0 {
			left := r.Float64() * total
			for i, d := range distance {
				if left -= d; left < 0 {
					pick = i
					break
				}
			}
		}
	}
}

// lloyd moves every code to the mean of the rows of z (R,D) nearest to it, n
// times; a code with no rows stays. It returns how many rows each code has.
func (c *codebook) lloyd(z []float32, R, n int) []int {
	tokens, counts := make([]int32, R), make([]int, c.K)
	sums := make([]float64, c.K*c.D)
	for range n {
		c.nearest(tokens, z, R)
		clear(counts)
		clear(sums)
		c.accumulate(sums, z, tokens)
		for _, token := range tokens {
			counts[token]++
		}
		for k, count := range counts {
			for j := range c.D {
				if count > 0 {
					c.codes[k*c.D+j] = float32(sums[k*c.D+j] / float64(count))
				}
			}
		}
	}
	c.nearest(tokens, z, R)
	clear(counts)
	for _, token := range tokens {
		counts[token]++
	}
	return counts
}

// accumulate adds every row of z to the sum of its code, in the order of rows.
func (c *codebook) accumulate(sums []float64, z []float32, tokens []int32) {
	for r, token := range tokens {
		sum := sums[int(token)*c.D : (int(token)+1)*c.D]
		for j, x := range z[r*c.D : (r+1)*c.D] {
			sum[j] += float64(x)
		}
	}
}

// start sets the moving averages so that they say what the codebook says: the
// first update then moves no unused code. counts are the rows per code among
// R, scaled here to a step of batch vectors.
func (c *codebook) start(counts []int, R, batch int) {
	c.count, c.sum = make([]float64, c.K), make([]float64, c.K*c.D)
	for k, n := range counts {
		c.set(k, max(float64(n), 1)*float64(batch)/float64(R))
	}
}

// set gives code k the average count, and the sum that keeps it where it is.
func (c *codebook) set(k int, count float64) {
	c.count[k] = count
	for j := range c.D {
		c.sum[k*c.D+j] = count * float64(c.codes[k*c.D+j])
	}
}

// update moves the averages by one step and the codes with them:
//
//	count ← γ·count + (1−γ)·n     sum ← γ·sum + (1−γ)·Σz     code = sum / count′
//
// with count′ smoothed over all codes. An unused code keeps its place, since
// its sum and its count shrink alike.
func (c *codebook) update(z []float32, tokens []int32, decay float64) {
	n, sums := make([]float64, c.K), make([]float64, c.K*c.D)
	c.accumulate(sums, z, tokens)
	for _, token := range tokens {
		n[token]++
	}
	total := 0.0
	for k := range c.K {
		c.count[k] = decay*c.count[k] + (1-decay)*n[k]
		total += c.count[k]
	}
	for k := range c.K {
		count := (c.count[k] + smoothing) / (total + float64(c.K)*smoothing) * total
		for j := range c.D {
			i := k*c.D + j
			c.sum[i] = decay*c.sum[i] + (1-decay)*sums[i]
			c.codes[i] = float32(c.sum[i] / count)
		}
	}
}

// revive moves every code whose average count is under the fraction of an even
// share to a random row of z (R,D), with an even share to begin with. It
// returns how many moved.
func (c *codebook) revive(z []float32, R int, fraction float64, r *rand.Rand) int {
	total := 0.0
	for _, n := range c.count {
		total += n
	}
	share, moved := total/float64(c.K), 0
	for k, n := range c.count {
		if n < fraction*share {
			row := r.IntN(R)
			copy(c.codes[k*c.D:(k+1)*c.D], z[row*c.D:])
			c.set(k, share)
			moved++
		}
	}
	return moved
}
