package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/internal/kernel"
)

// someBranches makes trees of windows: a third of the rows is what the branches, each
// a quarter of a window, share; of every other window the last row of it is padding.
func someBranches(B, T int) Branches {
	var b Branches
	for r := range B * T {
		w, t, stem, length := r/T, r%T, T/3, max(1, T/4)
		shared, own := 0, 0
		if t >= stem {
			shared, own = max(0, stem-w%2), stem+(t-stem)/length*length
		}
		b.Shared, b.Own = append(b.Shared, int32(shared)), append(b.Own, int32(own))
	}
	return b
}

// naive is attention by its definition, in float64.
func naive(q, k, v []float32, branches Branches, B, T, H, KV, D int) (out, lse []float64) {
	out, lse = make([]float64, B*T*H*D), make([]float64, B*T*H)
	for b := range B {
		for h := range H {
			kv := h / (H / KV)
			for t := range T {
				at := ((b*T+t)*H + h)
				p, sum := make([]float64, t+1), 0.0
				for u := range p {
					if r := b*T + t; branches.Own != nil && u >= int(branches.Shared[r]) && u < int(branches.Own[r]) {
						continue
					}
					for i := range D {
						p[u] += float64(q[at*D+i]) * float64(k[((b*T+u)*KV+kv)*D+i]) / math.Sqrt(float64(D))
					}
					p[u] = math.Exp(p[u])
					sum += p[u]
				}
				lse[at] = math.Log(sum)
				for u := range p {
					for i := range D {
						out[at*D+i] += p[u] / sum * float64(v[((b*T+u)*KV+kv)*D+i])
					}
				}
			}
		}
	}
	return out, lse
}

var attentionShapes = []struct{ B, T, H, KV, D int }{
	{1, 1, 1, 1, 2}, {2, 5, 1, 1, 6}, {1, 37, 4, 2, 8}, {3, 16, 6, 1, 10}, {2, 33, 3, 3, 64},
}

func TestAttentionMatchesItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 2 * len(attentionShapes) {
		n := attentionShapes[i/2]
		var branches Branches
		if i%2 == 1 {
			branches = someBranches(n.B, n.T)
		}
		R := n.B * n.T
		q, k, v := normal(r, R*n.H*n.D), normal(r, R*n.KV*n.D), normal(r, R*n.KV*n.D)
		out, lse := make([]float32, R*n.H*n.D), make([]float32, R*n.H)
		to := View(out, R, n.H*n.D)
		for i := range out {
			out[i] = float32(math.NaN()) // must be overwritten
		}
		AttentionForward(&to, lse, q, k, v, nil, branches, n.B, n.T, Heads{H: n.H, KV: n.KV, D: n.D})
		wantOut, wantLSE := naive(q, k, v, branches, n.B, n.T, n.H, n.KV, n.D)
		compare := func(name string, got []float32, want []float64) {
			for i := range want {
				// A few dozen float32 terms near 1.
				if !(math.Abs(float64(got[i])-want[i]) <= 1e-5) {
					t.Fatalf("%+v: %s[%d] = %v, want %v", n, name, i, got[i], want[i])
				}
			}
		}
		compare("out", out, wantOut)
		compare("lse", lse, wantLSE)
	}
}

func TestAttentionOfHugeScoresIsFinite(t *testing.T) {
	const T, D = 4, 2
	q, k, v := make([]float32, T*D), make([]float32, T*D), normal(rand.New(rand.NewPCG(1, 2)), T*D)
	for i := range q {
		q[i], k[i] = 1e4, float32(i)*1e3
	}
	out, lse := make([]float32, T*D), make([]float32, T)
	to := View(out, T, D)
	AttentionForward(&to, lse, q, k, v, nil, Branches{}, 1, T, Heads{H: 1, KV: 1, D: D})
	// Keys grow by 1000 a row: all the weight is on the newest.
	if !slices.Equal(out, v) {
		t.Errorf("AttentionForward with scores of 1e8 gives %v, want the newest values %v", out, v)
	}
}

// A prefix of any length that paths share, and a tail of their own, give each
// newest query the bits that it has in one pass over all.
func TestAttentionDecodeHasTheBitsOfAttentionForward(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range attentionShapes {
		h, R, row := Heads{H: n.H, KV: n.KV, D: n.D}, n.B*n.T, n.KV*n.D
		q, k, v := normal(r, R*n.H*n.D), normal(r, R*row), normal(r, R*row)
		for cut := 1; cut < n.T; cut++ {
			// All sequences begin as the first does.
			for b := range n.B {
				copy(k[b*n.T*row:(b*n.T+cut)*row], k[:cut*row])
				copy(v[b*n.T*row:(b*n.T+cut)*row], v[:cut*row])
			}
			out, lse := View(make([]float32, R*n.H*n.D), R, n.H*n.D), make([]float32, R*n.H)
			AttentionForward(&out, lse, q, k, v, nil, Branches{}, n.B, n.T, h)

			prefix := make([]KV, n.KV)
			prompt := View(make([]float32, cut*n.H*n.D), cut, n.H*n.D)
			AttentionForward(&prompt, nil, q[:cut*n.H*n.D], k[:cut*row], v[:cut*row], prefix, Branches{}, 1, cut, h)
			paths, tails := make([]Continuation, n.B), MakeKV(n.B*n.KV, n.T-cut, n.D)
			for b := range paths {
				paths[b] = Continuation{Prefix: prefix, Tail: tails[b*n.KV : (b+1)*n.KV]}
			}
			got := View(make([]float32, n.B*n.H*n.D), n.B, n.H*n.D)
			newest := make([]float32, n.B*n.H*n.D)
			for at := cut; at < n.T; at++ {
				for b, path := range paths {
					for kv := range path.Tail {
						from := (b*n.T+at)*row + kv*n.D
						path.Tail[kv].Append(k[from:from+n.D], v[from:from+n.D])
					}
					copy(newest[b*n.H*n.D:], q[(b*n.T+at)*n.H*n.D:(b*n.T+at+1)*n.H*n.D])
				}
				AttentionDecode(&got, newest, paths, h)
				for b := range paths {
					if have, want := got.Load(b, nil), out.Load(b*n.T+at, nil); !slices.Equal(have, want) {
						t.Fatalf("%+v: a prefix of %d, sequence %d, position %d: %v, in one pass %v", n, cut, b, at, have, want)
					}
				}
			}
		}
	}
}

func TestRopeTurnsPairsOfSplitHalves(t *testing.T) {
	const D, base = 4, 100
	rope := NewRope(8, D, base)
	for pos := range int32(8) {
		x := []float32{1, 2, 3, 4}
		rope.Forward(x, pos)
		a, b := float64(pos), float64(pos)/math.Sqrt(base)
		want := []float64{
			1*math.Cos(a) + 3*math.Sin(a), 2*math.Cos(b) + 4*math.Sin(b),
			-1*math.Sin(a) + 3*math.Cos(a), -2*math.Sin(b) + 4*math.Cos(b),
		}
		for i := range want {
			if math.Abs(float64(x[i])-want[i]) > 1e-6 {
				t.Errorf("position %d: Rope.Forward(1 2 3 4) = %v, want %v", pos, x, want)
				break
			}
		}
		rope.Backward(x, pos)
		for i := range x {
			if math.Abs(float64(x[i])-float64(i+1)) > 1e-6 {
				t.Errorf("position %d: Rope.Backward(Rope.Forward(1 2 3 4)) = %v", pos, x)
				break
			}
		}
	}
}

// What attention sees of a rotated pair depends on their distance alone.
func TestRopeIsRelative(t *testing.T) {
	const D = 16
	rope := NewRope(64, D, 100)
	r := rand.New(rand.NewPCG(1, 2))
	q, k := normal(r, D), normal(r, D)
	product := func(tq, tk int32) float64 {
		a, b := slices.Clone(q), slices.Clone(k)
		rope.Forward(a, tq)
		rope.Forward(b, tk)
		return float64(kernel.Product(a, b))
	}
	if d := math.Abs(product(9, 4) - product(60, 55)); d > 1e-5 {
		t.Errorf("products at distance 5 differ by %v", d)
	}
	if d := math.Abs(product(9, 4) - product(9, 5)); d < 1e-3 {
		t.Errorf("products at distances 5 and 4 differ by %v only", d)
	}
}

func TestRMSNormOfRows(t *testing.T) {
	x := []float32{3, -4, 0, 0, 1e-20, 0, 1e30, 1e30}
	out, rrms := make([]float32, 8), make([]float32, 4)
	to, from := View(out, 4, 2), View(x, 4, 2)
	RMSNormForward(&to, rrms, x, 4, 2)
	s := 5 / math.Sqrt2
	want := []float64{3 / s, -4 / s, 0, 0, 1e-17, 0, 1, 1}
	for i := range want {
		if math.Abs(float64(out[i])-want[i]) > 1e-6 {
			t.Errorf("RMSNormForward(%v) = %v, want %v", x, out, want)
			break
		}
	}
	RMSNormForward(&from, rrms, x, 4, 2)
	if !slices.Equal(x, out) {
		t.Errorf("RMSNormForward in place gives %v, want %v", x, out)
	}
}

func TestDropoutKeepsTheMeanAndDependsOnTheKey(t *testing.T) {
	const n = 200_000
	ones := func(p float32, key uint64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = 1
		}
		Dropout{p, key}.Forward(x)
		return x
	}
	for _, p := range []float32{0.1, 0.5, 0.9} {
		x := ones(p, 1)
		dropped, pairs := 0.0, 0.0
		for i, v := range x {
			switch v {
			case 0:
				dropped++
				if i%2 == 1 && x[i-1] == 0 {
					pairs++
				}
			case 1 / (1 - p):
			default:
				t.Fatalf("p %.1f: an element of 1 became %v, want 0 or %v", p, v, 1/(1-p))
			}
		}
		// Five standard errors each. Two elements share a hash: independent
		// all the same.
		q := float64(p)
		if d := math.Abs(dropped/n - q); d > 5*math.Sqrt(q*(1-q)/n) {
			t.Errorf("p %.1f: dropped %.4f of the elements", p, dropped/n)
		}
		if d := math.Abs(pairs/(n/2) - q*q); d > 5*math.Sqrt(q*q*(1-q*q)/(n/2)) {
			t.Errorf("p %.1f: dropped %.4f of the pairs, want %.4f", p, pairs/(n/2), q*q)
		}
		// Masks of neighbouring keys agree no more than chance has it.
		other, both := ones(p, 2), 0.0
		for i := range x {
			if x[i] == 0 && other[i] == 0 {
				both++
			}
		}
		if d := math.Abs(both/n - q*q); d > 5*math.Sqrt(q*q*(1-q*q)/n) {
			t.Errorf("p %.1f: keys 1 and 2 both drop %.4f, want %.4f", p, both/n, q*q)
		}
		if !slices.Equal(ones(p, 1), x) {
			t.Errorf("p %.1f: one key gave two masks", p)
		}
		gradient := make([]float32, n)
		for i := range gradient {
			gradient[i] = 1
		}
		Dropout{p, 1}.Backward(gradient)
		if !slices.Equal(gradient, x) {
			t.Errorf("p %.1f: the backward mask is another", p)
		}
	}
	if x := ones(0, 1); slices.Contains(x, 0) {
		t.Error("p 0 dropped something")
	}
}

func TestSoftcapBoundsAndKeepsSmallLogits(t *testing.T) {
	x := []float32{-1e9, -0.01, 0, 0.01, 15, 1e9}
	SoftcapForward(x, 15)
	want := []float64{-15, -0.01, 0, 0.01, 15 * math.Tanh(1), 15}
	for i := range want {
		// Two units in the last place.
		if math.Abs(float64(x[i])-want[i]) > 2*0x1p-23*math.Abs(want[i]) {
			t.Errorf("SoftcapForward gives %v, want %v", x, want)
			break
		}
	}
}

func ExampleLinearForward() {
	y := make([]float32, 2)
	LinearForward(y, []float32{1, 2, 3}, []float32{1, 0, 0, 0, 1, 1}, 1, 3, 2)
	fmt.Println(y)
	// Output: [1 5]
}
