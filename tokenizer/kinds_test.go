package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// Fixed codes can be left unused, though not collapse: a candle has four
// degrees of freedom, and a code's place in them is not up to it. So the
// floors of fsq and bsq are low beside those of a learned codebook.
func TestKindsUseTheirCodes(t *testing.T) {
	train, held := heavy(8000, 1), heavy(2000, 2)
	q, err := FitQuantile(train, 64)
	if err != nil {
		t.Fatal(err)
	}
	baseline := Measure(q, held)
	for kind, floor := range map[string]struct{ perplexity, used float64 }{
		KindVQVAE: {.5, .95},
		KindFSQ:   {.35, .75},
		KindBSQ:   {.25, .5},
	} {
		tok, err := Fit(t.Context(), kind, train, 64, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := Measure(tok, held)
		if got.MeanMSE >= 0.7*baseline.MeanMSE {
			t.Errorf("%s: mean squared error %.3f, quantile bins have %.3f", kind, got.MeanMSE, baseline.MeanMSE)
		}
		if got.Perplexity < 64*floor.perplexity || float64(got.Used) < 64*floor.used {
			t.Errorf("%s: perplexity %.1f, %d of 64 codes used, want shares of at least %v", kind, got.Perplexity, got.Used, floor)
		}
	}
}

func TestFitMakesEveryKind(t *testing.T) {
	vectors := heavy(300, 1)
	if want := []string{KindVQVAE, KindFSQ, KindBSQ, KindProduct, KindQuantile}; !slices.Equal(Kinds(), want) {
		t.Fatalf("Kinds() = %v, want %v", Kinds(), want)
	}
	for _, kind := range Kinds() {
		reports := 0
		tok, err := Fit(t.Context(), kind, vectors, 16, 3, func(p VQProgress) {
			reports++
			if p.Epoch != reports || p.Epochs < p.Epoch || !(p.Recon > 0) {
				t.Errorf("%s: report %d is %+v", kind, reports, p)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if tok.Kind() != kind || tok.Codes() != 16 {
			t.Errorf("Fit of %s gives a %s with %d codes", kind, tok.Kind(), tok.Codes())
		}
		if (reports == 0) != (kind == KindQuantile || kind == KindProduct) {
			t.Errorf("%s: %d reports", kind, reports)
		}
		again, err := Fit(t.Context(), kind, vectors, 16, 3, nil)
		if err != nil || Fingerprint(again) != Fingerprint(tok) {
			t.Errorf("%s: a second fit differs (%v)", kind, err)
		}
		other, err := Fit(t.Context(), kind, heavy(300, 2), 16, 3, nil)
		if err != nil || Fingerprint(other) == Fingerprint(tok) {
			t.Errorf("%s: other vectors give the same fingerprint (%v)", kind, err)
		}
	}
}

func TestFitRefusesKindsAndCodes(t *testing.T) {
	for _, c := range []struct {
		kind  string
		codes int
		want  string
	}{
		{"bpe", 64, `kind "bpe": want vqvae, fsq, bsq, product, quantile`},
		{"", 64, `kind ""`},
		{KindVQVAE, 1, "codes 1 outside"},
		{KindFSQ, 100, "power of two from 16 to 4096"},
		{KindFSQ, 8, "power of two from 16 to 4096"},
		{KindBSQ, 100, "bsq wants a power of two"},
		{KindBSQ, 8192, "codes 8192 outside"},
		{KindQuantile, 0, "codes 0 outside"},
	} {
		if err := CheckCodes(c.kind, c.codes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("CheckCodes(%q, %d) = %v, want an error with %q", c.kind, c.codes, err, c.want)
		}
		tok, err := Fit(t.Context(), c.kind, heavy(100, 1), c.codes, 1, nil)
		if tok != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Fit of %q with %d codes = %v, %v, want an error with %q", c.kind, c.codes, tok, err, c.want)
		}
	}
	for _, kind := range Kinds() {
		if err := CheckCodes(kind, 512); err != nil {
			t.Errorf("CheckCodes(%q, 512) = %v", kind, err)
		}
	}
}
