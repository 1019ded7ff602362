package forecast

import (
	"bufio"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/micro-quant/mqc/internal/rng"
)

// fixture reads the returns of testdata/garch_t.txt.
func fixture(t *testing.T) []float64 {
	t.Helper()
	f, err := os.Open("testdata/garch_t.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r []float64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		x, err := strconv.ParseFloat(lines.Text(), 64)
		if err != nil {
			t.Fatal(err)
		}
		r = append(r, x)
	}
	if len(r) != 2000 {
		t.Fatalf("%d returns, want 2000", len(r))
	}
	return r
}

// An independent implementation, fGarch, has the same likelihood at its
// estimates and the same estimates. Its first variance is ω + (α+β)·mean e²,
// with no term left out. With normal shocks it meets the benchmark of
// Fiorentini, Calzolari & Panattoni 1996.
func TestGARCHAgainstFGarch(t *testing.T) {
	r := fixture(t)
	theirs := garch{Mu: 0.0203935484549, Omega: 0.0191719602407, Alpha: 0.0556235273311, Beta: 0.9333452949535, Nu: 6.0125377132162}
	const theirLikelihood = -3102.68538143
	errors := garch{Mu: 0.02239625, Omega: 0.00716371, Alpha: 0.01037366, Beta: 0.01210201, Nu: 0.78421543}

	squares := 0.0
	for _, x := range r {
		squares += (x - theirs.Mu) * (x - theirs.Mu)
	}
	h1 := theirs.Omega + theirs.persistence()*squares/float64(len(r))
	// Eight decimals were printed.
	if got := theirs.logLikelihood(r, h1, 0); math.Abs(got-theirLikelihood) > 1e-7 {
		t.Errorf("log likelihood at the estimates of fGarch %.9f, fGarch says %.9f", got, theirLikelihood)
	}

	ours, err := fitGARCH(r, h1, 0, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := ours.logLikelihood(r, h1, 0); got < theirLikelihood-1e-7 {
		t.Errorf("greatest log likelihood %.9f, fGarch has %.9f", got, theirLikelihood)
	}
	truth := garch{Mu: .05, Omega: .04, Alpha: .08, Beta: .9, Nu: 6}
	for _, p := range []struct {
		name                        string
		ours, theirs, truth, stderr float64
	}{
		{"μ", ours.Mu, theirs.Mu, truth.Mu, errors.Mu},
		{"ω", ours.Omega, theirs.Omega, truth.Omega, errors.Omega},
		{"α", ours.Alpha, theirs.Alpha, truth.Alpha, errors.Alpha},
		{"β", ours.Beta, theirs.Beta, truth.Beta, errors.Beta},
		{"ν", ours.Nu, theirs.Nu, truth.Nu, errors.Nu},
	} {
		// The likelihood is flat: two searches end a hundredth of a standard
		// error apart.
		if math.Abs(p.ours-p.theirs) > 0.01*p.stderr {
			t.Errorf("%s = %v, fGarch has %v ± %v", p.name, p.ours, p.theirs, p.stderr)
		}
		if math.Abs(p.ours-p.truth) > 3*p.stderr {
			t.Errorf("%s = %v ± %v, the truth is %v", p.name, p.ours, p.stderr, p.truth)
		}
	}
}

// simulate draws n returns of a law, from its mean variance on.
func (g garch) simulate(n int, seed uint64) []float64 {
	path := g.law(g.Omega/(1-g.persistence())).path(g.law(g.Omega/(1-g.persistence())).start, n, rng.New(seed))
	r := make([]float64, n)
	for i := range r {
		r[i] = path[i]
		if i > 0 {
			r[i] -= path[i-1]
		}
	}
	return r
}

// Twice the gain over the true parameters is χ² with as many degrees of freedom
// as there are parameters (Wilks 1938).
func TestGARCHFindsTheTruth(t *testing.T) {
	for _, truth := range []garch{
		{Mu: 3e-4, Omega: 3e-6, Alpha: .02, Gamma: .1, Beta: .9, Nu: 5},
		{Mu: 0, Omega: 1e-5, Alpha: .1, Gamma: -.06, Beta: .85, Nu: 8},
		{Mu: -1e-3, Omega: 2e-5, Alpha: .1, Beta: .8, Nu: 4},
	} {
		for _, leverage := range []bool{true, false} {
			if truth.Gamma != 0 && !leverage {
				continue
			}
			r := truth.simulate(4000, 11)
			h1 := variance(r[:garchStart])
			got, err := fitGARCH(r, h1, garchSkip, leverage, nil)
			if err != nil {
				t.Fatal(err)
			}
			parameters := 5.0
			if leverage {
				parameters++
			}
			best, atTruth := got.logLikelihood(r, h1, garchSkip), truth.logLikelihood(r, h1, garchSkip)
			limit := distuv.ChiSquared{K: parameters}.Quantile(.999)
			if gain := 2 * (best - atTruth); gain < 0 || gain > limit {
				t.Errorf("leverage %v: %+v gains %.2f over the truth %+v, want 0 to %.1f", leverage, got, gain, truth, limit)
			}
			again, err := fitGARCH(r, h1, garchSkip, leverage, &got)
			// 1e-3: the search stops where it gains 1e-9 of 4000 terms.
			if l := again.logLikelihood(r, h1, garchSkip); err != nil || math.Abs(l-best) > 1e-3 {
				t.Errorf("from its own maximum %v: %v, %v", best, l, err)
			}
		}
	}
}

func TestGARCHLikelihoodIsTheSumOfItsDensities(t *testing.T) {
	g := garch{Mu: .05, Omega: .04, Alpha: .05, Gamma: .06, Beta: .9, Nu: 6}
	r := fixture(t)[:300]
	const h1, skip = 1.5, 7
	want := 0.0
	h := h1
	for i, x := range r {
		if i >= skip {
			law := distuv.StudentsT{Mu: g.Mu, Sigma: math.Sqrt(h * 4 / 6), Nu: 6}
			want += law.LogProb(x)
		}
		e := x - g.Mu
		if e < 0 {
			h = g.Omega + (g.Alpha+g.Gamma)*e*e + g.Beta*h
		} else {
			h = g.Omega + g.Alpha*e*e + g.Beta*h
		}
	}
	// 1e-9: 300 roundings of sums around 500.
	if got := g.logLikelihood(r, h1, skip); math.Abs(got-want) > 1e-9 {
		t.Errorf("logLikelihood = %v, want %v", got, want)
	}
}
