package tokenizer

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
)

func product(t *testing.T, vectors []feature.Vector) *Product {
	t.Helper()
	p, err := FitProduct(vectors, 32, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProductKeepsTheCellOfTheReturn(t *testing.T) {
	vectors := heavy(3000, 1)
	p := product(t, vectors)
	for _, v := range vectors {
		token := p.Encode(v)
		lo, hi := p.cells.Bounds(token / 8)
		if r := v[feature.LogReturn]; r < lo || r >= hi {
			t.Fatalf("return %v has the token of [%v, %v)", r, lo, hi)
		}
	}
	for token := range p.Codes() {
		if got := p.Encode(p.Decode(token)); got/8 != token/8 {
			t.Errorf("token %d decodes into the cell of token %d", token, got)
		}
	}
	if s := Measure(p, vectors); s.MSE[feature.LogReturn] > 0.02 || s.Used < 200 {
		t.Errorf("the product loses %v of the variance of returns and uses %d of 256 codes", s.MSE[feature.LogReturn], s.Used)
	}
}

func TestProductShapesTellWicksApart(t *testing.T) {
	p := product(t, heavy(3000, 1))
	long, short := feature.Vector{feature.UpperWick: 3}, feature.Vector{}
	if p.Encode(long) == p.Encode(short) {
		t.Error("a wick of three deviations has the token of no wick")
	}
}

func emission(t *testing.T, tok Tokenizer, vectors []feature.Vector) *Emission {
	t.Helper()
	e, err := FitEmission(tok.Codes(), EncodeAll(tok, vectors), feature.Returns(vectors))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Under any probabilities of the tokens the law of the return is a density.
func TestEmissionIntegratesToOne(t *testing.T) {
	vectors := heavy(3000, 1)
	p := product(t, vectors)
	e := emission(t, p, vectors)
	r := rng.New(1)
	probs, cells := make([]float64, p.Codes()), make([]float64, e.Cells().Len())
	for context := range 1000 {
		sum := 0.0
		for k := range probs {
			probs[k] = math.Exp(3 * r.NormFloat64())
			sum += probs[k]
		}
		for k := range probs {
			probs[k] /= sum
		}
		e.Mix(cells, probs)
		sigma := math.Exp(-4 + r.NormFloat64())
		d := e.Cells().New(cells, sigma)
		total := 0.0
		for _, c := range cells {
			total += c
		}
		if math.Abs(total-1) > 1e-6 {
			t.Fatalf("context %d: the cells have %v together", context, total)
		}
		if context >= 20 {
			continue // the integral itself takes long
		}
		area := 0.0
		for j := range e.Cells().Len() {
			lo, hi := e.Cells().Bounds(j)
			if math.IsInf(lo, -1) {
				area += d.CDF(sigma * hi)
			} else if math.IsInf(hi, 1) {
				area += 1 - d.CDF(sigma*lo)
			} else {
				area += quad.Fixed(func(x float64) float64 { return math.Exp(d.LogPDF(x)) }, sigma*lo, sigma*hi*(1-1e-15), 8, nil, 0)
			}
		}
		if math.Abs(area-1) > 1e-6 {
			t.Errorf("context %d: the density integrates to %v", context, area)
		}
	}
}

// Returns of exactly zero, as prices in eighths have them, must not be worth more
// the narrower a token is: the density there is bounded by the kernel's.
func TestEmissionIsBoundedAtFrequentReturns(t *testing.T) {
	vectors := heavy(3000, 1)
	for i := range vectors {
		if i%10 == 0 {
			vectors[i] = vectors[i].WithReturn(0)
		}
	}
	q, err := FitQuantile(vectors, 256) // has a bin for zero alone
	if err != nil {
		t.Fatal(err)
	}
	e := emission(t, q, vectors)
	probs, cells := make([]float64, q.Codes()), make([]float64, e.Cells().Len())
	probs[q.Encode(feature.Vector{})] = 1
	e.Mix(cells, probs)
	highest := 1 / (LeastWidth * math.Sqrt(2*math.Pi))
	if got := math.Exp(e.Cells().New(cells, 1).LogPDF(0)); got > 1.05*highest {
		t.Errorf("density at zero %v, want at most that of the kernel, %v", got, highest)
	}
	// And a return that no candle of the token had has some density.
	if got := e.Cells().New(cells, 1).LogPDF(50); math.IsInf(got, -1) || got < math.Log(1e-4)+e.Cells().T.LogPDF(50) {
		t.Errorf("ln density at 50 deviations %v", got)
	}
}

func TestEmissionDrawsFromItsDensity(t *testing.T) {
	vectors := heavy(3000, 1)
	p := product(t, vectors)
	e := emission(t, p, vectors)
	probs, cells := make([]float64, p.Codes()), make([]float64, e.Cells().Len())
	token := p.Encode(vectors[7])
	probs[token] = 1
	e.Mix(cells, probs)
	d, r := e.Cells().New(cells, 1), rng.New(2)
	const n = 4000
	below := map[float64]int{.05: 0, .3: 0, .7: 0, .95: 0}
	for range n {
		z := e.Sample(token, r.Float64(), r.Float64())
		for level := range below {
			if z <= d.Quantile(level) {
				below[level]++
			}
		}
	}
	for level, k := range below {
		if got := float64(k) / n; math.Abs(got-level) > 5*math.Sqrt(level*(1-level)/n) {
			t.Errorf("%v of the draws lie under the quantile of %v", got, level)
		}
	}
}

func TestEmissionSurvivesItsTensors(t *testing.T) {
	vectors := heavy(2000, 1)
	p := product(t, vectors)
	e := emission(t, p, vectors)
	tensors := map[string]Tensor{}
	for _, x := range e.Tensors() {
		tensors[x.Name] = x
	}
	again, err := LoadEmission(tensors)
	if err != nil {
		t.Fatal(err)
	}
	probs := make([]float64, p.Codes())
	probs[3], probs[100] = .5, .5
	a, b := make([]float64, e.Cells().Len()), make([]float64, e.Cells().Len())
	e.Mix(a, probs)
	again.Mix(b, probs)
	for j := range a {
		if a[j] != b[j] {
			t.Fatalf("cell %d: %v, loaded %v", j, a[j], b[j])
		}
	}
	for name, damage := range map[string]func(map[string]Tensor){
		"no mass":       func(m map[string]Tensor) { delete(m, "mass") },
		"negative mass": func(m map[string]Tensor) { m["mass"].Data[5] = -1 },
		"edges":         func(m map[string]Tensor) { m["edges"].Data[3] = m["edges"].Data[2] },
		"law":           func(m map[string]Tensor) { m["law"].Data[1] = 0 },
		"more":          func(m map[string]Tensor) { m["x"] = Tensor{Name: "x"} },
	} {
		broken := map[string]Tensor{}
		for _, x := range e.Tensors() {
			x.Data = append([]float32(nil), x.Data...)
			broken[x.Name] = x
		}
		damage(broken)
		if _, err := LoadEmission(broken); err == nil {
			t.Errorf("%s: LoadEmission takes it", name)
		}
	}
}

func TestBasisStartsFromTheFrequencies(t *testing.T) {
	vectors := heavy(4000, 1)
	for name, tok := range map[string]Tokenizer{"product": product(t, vectors), "quantile": quantile(t, vectors)} {
		b := NewBasis(tok, vectors)
		if b.P < 12 || len(b.Phi) != tok.Codes()*b.P || len(b.Prior) != tok.Codes() {
			t.Fatalf("%s: %d functions, %d and %d numbers", name, b.P, len(b.Phi), len(b.Prior))
		}
		sum, cross, entropy := 0.0, 0.0, 0.0
		counts := make([]float64, tok.Codes())
		for _, token := range EncodeAll(tok, vectors) {
			counts[token] += 1 / float64(len(vectors))
		}
		for k, l := range b.Prior {
			sum += math.Exp(float64(l))
			cross -= counts[k] * float64(l)
			if counts[k] > 0 {
				entropy -= counts[k] * math.Log(counts[k])
			}
		}
		if math.Abs(sum-1) > 1e-4 || cross > entropy+.15 {
			t.Errorf("%s: the prior sums to %v and costs %v nats, the frequencies %v", name, sum, cross, entropy)
		}
		for f := range b.P {
			mean, square := 0.0, 0.0
			for k := range tok.Codes() {
				x := float64(b.Phi[k*b.P+f])
				mean += x / float64(tok.Codes())
				square += x * x / float64(tok.Codes())
			}
			if math.Abs(mean) > 1e-4 || math.Abs(square-1) > 1e-3 {
				t.Errorf("%s: function %d has mean %v and mean square %v", name, f, mean, square)
			}
		}
	}
}

func quantile(t *testing.T, vectors []feature.Vector) *Quantile {
	t.Helper()
	q, err := FitQuantile(vectors, 64)
	if err != nil {
		t.Fatal(err)
	}
	return q
}
