package density

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/micro-quant/mqc/internal/parallel"
)

// MixtureT turns the outputs of a network into a mixture of [MixtureParts]
// Student-t (a mixture density network: Bishop 1994, NCRG/94/004). Of M parts
// the outputs are, M each,
//
//	a   weights        softmax(a)
//	b   locations      Mu + 0.3·Scale·b
//	c   log scales     Scale·exp(clamp(c, −4, 4) + offset)
//	d   tails          2.05 + exp(clamp(d + ln(Nu − 2.05), −3, 4)) degrees of freedom
//
// of the law Around. Its parts start, with outputs of 0, at equal weights and at
// scales around that of the law: the offsets are −0.4, 0 and 0.4.
type MixtureT struct {
	Around StudentT
}

// Sizes of a [MixtureT].
const (
	MixtureParts   = 3                // M
	MixtureOutputs = 4 * MixtureParts // per position
)

// Of the outputs of a [MixtureT]. A location in units of less than the scale
// moves slower than the scale does: the mean of a return is hardly known.
const (
	locationUnit  = 0.3
	scaleSpread   = 0.4 // between the log scales of neighbouring parts at outputs of 0
	maxScaleShift = 4
	minTail       = -3 // of ln(ν − 2.05)
	maxTail       = 4
	leastTail     = 0.5 // ν − 2.05 of the law at least, where outputs are 0
)

// Outputs is how many outputs per position h reads.
func (h MixtureT) Outputs() int { return MixtureOutputs }

// part is one Student-t of a mixture, with what its gradient needs.
type part struct {
	logWeight, weight float64
	StudentT
	scaleMoves, nuMoves bool // the clamp does not hold it
}

func (h MixtureT) parts(outputs []float32) (parts [MixtureParts]part) {
	const M = MixtureParts
	peak, sum := math.Inf(-1), 0.0
	for _, a := range outputs[:M] {
		peak = max(peak, float64(a))
	}
	for _, a := range outputs[:M] {
		sum += math.Exp(float64(a) - peak)
	}
	for m := range parts {
		p := &parts[m]
		p.logWeight = float64(outputs[m]) - peak - math.Log(sum)
		p.weight = math.Exp(p.logWeight)

		p.Mu = h.Around.Mu + locationUnit*h.Around.Scale*float64(outputs[M+m])

		c := float64(outputs[2*M+m])
		p.scaleMoves = math.Abs(c) < maxScaleShift
		offset := scaleSpread * float64(m-(M-1)/2)
		p.Scale = h.Around.Scale * math.Exp(min(max(c, -maxScaleShift), maxScaleShift)+offset)

		d := float64(outputs[3*M+m]) + math.Log(max(h.Around.Nu-minNu, leastTail))
		p.nuMoves = d > minTail && d < maxTail
		p.Nu = minNu + math.Exp(min(max(d, minTail), maxTail))
	}
	return parts
}

// At is the mixture of one row of outputs ([MixtureOutputs]), as the law of
// shift + unit·z.
func (h MixtureT) At(outputs []float32, shift, unit float64) Mixture {
	m := Mixture{Weights: make([]float64, 0, MixtureParts), Parts: make([]Density, 0, MixtureParts)}
	for _, p := range h.parts(outputs) {
		m.Weights = append(m.Weights, p.weight)
		m.Parts = append(m.Parts, StudentT{Mu: shift + unit*p.Mu, Scale: unit * p.Scale, Nu: p.Nu})
	}
	return m
}

// lossGrain is how many rows a worker takes at once.
const lossGrain = 32

// NegativeLogLikelihood is the loss −ln p(z) of every row and its gradient in
// one pass, in float64:
//
//	losses[r]      = −ln p(z[r] | outputs[r,:])
//	doutputs[r,:] += weights[r]/norm · ∂losses[r]/∂outputs[r,:]
//
// A row with weight 0 is skipped: its loss is 0 and its gradient stays as it is.
//
//	doutputs  (R, MixtureOutputs)  nil: losses only
//	losses    (R)                  overwritten, without the weight
//	outputs   (R, MixtureOutputs)
//	z         (R)
//	weights   (R)
func (h MixtureT) NegativeLogLikelihood(doutputs []float32, losses []float64, outputs, z, weights []float32, norm float64, R int) {
	const W = MixtureOutputs
	if len(outputs) != R*W || len(z) != R || len(weights) != R || len(losses) != R || doutputs != nil && len(doutputs) != R*W {
		panic(fmt.Sprintf("density: %d outputs, %d gradients, %d values, %d weights and %d losses for %d rows of %d", len(outputs), len(doutputs), len(z), len(weights), len(losses), R, W))
	}
	parallel.For(R, lossGrain, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			losses[r] = 0
			if weights[r] == 0 {
				continue
			}
			var d []float32
			if doutputs != nil {
				d = doutputs[r*W : (r+1)*W]
			}
			losses[r] = h.row(d, outputs[r*W:(r+1)*W], float64(z[r]), float64(weights[r])/norm)
		}
	})
}

// row is the loss of one row; it adds scale times its gradient to d.
func (h MixtureT) row(d, outputs []float32, z, scale float64) float64 {
	const M = MixtureParts
	parts := h.parts(outputs)
	var logs [M]float64
	peak, sum := math.Inf(-1), 0.0
	for m, p := range parts {
		logs[m] = p.logWeight + p.LogPDF(z)
		peak = max(peak, logs[m])
	}
	for _, l := range logs {
		sum += math.Exp(l - peak)
	}
	if d == nil {
		return -peak - math.Log(sum)
	}
	for m, p := range parts {
		share := math.Exp(logs[m]-peak) / sum // of the part in the density at z
		u := (z - p.Mu) / p.Scale
		pull := (p.Nu + 1) * u / (p.Nu + u*u) // −∂ln t(u)/∂u

		d[m] += float32(scale * (p.weight - share))
		d[M+m] -= float32(scale * share * pull / p.Scale * locationUnit * h.Around.Scale)
		if p.scaleMoves {
			d[2*M+m] -= float32(scale * share * (pull*u - 1))
		}
		if p.nuMoves {
			d[3*M+m] -= float32(scale * share * slopeOfNu(u, p.Nu) * (p.Nu - minNu))
		}
	}
	return -peak - math.Log(sum)
}

// slopeOfNu is ∂ln t(u)/∂ν of Student's t with ν degrees of freedom.
func slopeOfNu(u, nu float64) float64 {
	q := u * u / nu
	return 0.5 * (mathext.Digamma((nu+1)/2) - mathext.Digamma(nu/2) - 1/nu - math.Log1p(q) + (nu+1)/nu*q/(1+q))
}
