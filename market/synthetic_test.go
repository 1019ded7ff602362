package market

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// small is a market for tests that do not measure.
func small() SyntheticConfig {
	c := DefaultSynthetic()
	c.Assets, c.Candles = 3, 200
	return c
}

func mustMake(t *testing.T, c SyntheticConfig) *Synthetic {
	t.Helper()
	m, err := NewSynthetic(c)
	if err != nil {
		t.Fatalf("NewSynthetic(%+v): %v", c, err)
	}
	return m
}

// logReturns are r[t] of candles 1, 2, …
func logReturns(s *Series) []float64 {
	out := make([]float64, len(s.Candles)-1)
	for i := range out {
		out[i] = math.Log(s.Candles[i+1].Close / s.Candles[i].Close)
	}
	return out
}

func TestSyntheticIsValid(t *testing.T) {
	for _, interval := range []Interval{Day, 5 * Minute, Hour, Week, Month} {
		c := small()
		c.Interval = interval
		for _, m := range []*Synthetic{mustMake(t, c), mustMake(t, c).Shuffle(3)} {
			for a, s := range m.Series {
				if widened, err := s.Validate(); widened != 0 || err != nil {
					t.Errorf("%s %s: widened %d, %v", s.Symbol, interval, widened, err)
				}
				if len(s.Candles) != c.Candles || len(m.States[a]) != c.Candles || s.Interval != interval {
					t.Errorf("%s: %d candles of %s, %d states, want %d of %s", s.Symbol, len(s.Candles), s.Interval, len(m.States[a]), c.Candles, interval)
				}
			}
		}
	}
}

func TestSyntheticDates(t *testing.T) {
	c := small()
	c.Start = time.Date(2024, 6, 1, 15, 0, 0, 0, time.UTC) // a Saturday
	s := mustMake(t, c).Series[0]
	for i, want := range []time.Time{day(2024, 6, 3), day(2024, 6, 4), day(2024, 6, 5), day(2024, 6, 6), day(2024, 6, 7), day(2024, 6, 10)} {
		if got := s.Candles[i].Time; got != want {
			t.Errorf("candle %d is of %v, want %v", i, got, want)
		}
	}
}

// A path depends on the seed and the asset alone.
func TestSyntheticIsDeterministic(t *testing.T) {
	c := small()
	m := mustMake(t, c)
	c.Assets, c.Candles = 5, 300
	larger := mustMake(t, c)
	for a, s := range m.Series {
		if !sameCandles(s.Candles, larger.Series[a].Candles[:200]) || !slices.Equal(m.States[a], larger.States[a][:200]) {
			t.Errorf("asset %d changed with the size of the market", a)
		}
	}
	c.Seed++
	if other := mustMake(t, c); other.Series[0].Candles[0].Close == m.Series[0].Candles[0].Close {
		t.Error("another seed gave the same close")
	}
	if m.Series[0].Candles[0].Close == m.Series[1].Candles[0].Close {
		t.Error("two assets have the same close")
	}
}

func TestSyntheticConfigJoinsFaults(t *testing.T) {
	err := SyntheticConfig{Assets: -1, Candles: 5, Interval: 36 * Hour}.Validate()
	for _, want := range []string{"assets -1", "candles 5", "interval 36h", "start 0001-01-01"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want also %q", err, want)
		}
	}
	c := small()
	c.Interval, c.Candles = Month, 10_000
	if err := c.Validate(); err == nil {
		t.Error("10000 months from 2005 are accepted, want an error: they end after the year 2200")
	}
}

// The true state is the law of the returns, asset by asset, and says more than
// the best law without a state, the mixture over all states.
func TestSyntheticTruth(t *testing.T) {
	m := mustMake(t, DefaultSynthetic())
	var pool []State
	for a := range m.States {
		for i := 0; i < len(m.States[a]); i += 101 {
			pool = append(pool, m.States[a][i])
		}
	}
	var truth, mixture, count float64
	for a, s := range m.Series {
		returns := logReturns(s)
		pit := make([]float64, len(returns))
		for i, r := range returns {
			state := m.State(a, i+1)
			pit[i] = state.CDF(r)
			if i%23 == 0 {
				density := 0.0
				for _, other := range pool {
					density += math.Exp(other.LogDensity(r))
				}
				truth -= state.LogDensity(r)
				mixture -= math.Log(density / float64(len(pool)))
				count++
			}
		}
		if a < 5 { // sixteen tests at 1% would fail too often by chance
			mustBeUniform(t, s.Symbol, pit)
		}
	}
	gap := (mixture - truth) / count
	t.Logf("nats per return: truth %.4f, mixture %.4f, gap %.4f", truth/count, mixture/count, gap)
	if gap < 0.08 {
		t.Errorf("the state is worth %.4f nats per return, want at least .08", gap)
	}
}

// What markets are known for (Cont 2001), and what a model is to find.
func TestSyntheticStylizedFacts(t *testing.T) {
	m := mustMake(t, DefaultSynthetic())
	n := len(m.Series)
	var kurtosis, cluster20, plain1, leverage, cross, logSigma float64
	first := logReturns(m.Series[0])
	for a, s := range m.Series {
		r := logReturns(s)
		size, square := make([]float64, len(r)), make([]float64, len(r))
		for i, x := range r {
			size[i], square[i] = math.Abs(x), min(x*x, 1e-2) // one crash shall not decide
		}
		mean, variance := moments(r)
		for _, x := range r {
			kurtosis += math.Pow(x-mean, 4) / variance / variance / float64(len(r)*n)
		}
		cluster20 += correlation(size[20:], size[:len(size)-20]) / float64(n)
		plain1 += correlation(r[1:], r[:len(r)-1]) / float64(n)
		leverage += correlation(square[1:], r[:len(r)-1]) / float64(n)
		if a > 0 {
			cross += correlation(r, first) / float64(n-1)
		}
		logs := make([]float64, len(r))
		for i := range logs {
			logs[i] = math.Log(m.States[a][i].Sigma)
		}
		_, v := moments(logs)
		logSigma += math.Sqrt(v) / float64(n)
	}
	t.Logf("kurtosis %.1f, acf₂₀|r| %.3f, acf₁ r %.3f, leverage %.3f, cross-correlation %.2f, deviation of ln σ %.2f",
		kurtosis, cluster20, plain1, leverage, cross, logSigma)
	for _, fact := range []struct {
		name          string
		value, lo, hi float64
	}{
		{"kurtosis", kurtosis, 6, math.Inf(1)}, // 3 is normal
		{"correlation of |r| 20 candles apart", cluster20, 0.08, 1},
		{"correlation of neighbouring returns", plain1, -0.05, 0.05},
		{"correlation of a return and the next square", leverage, -1, -0.01},
		{"correlation of two assets", cross, 0.25, 0.5},
		{"deviation of ln σ", logSigma, 0.4, 0.65},
	} {
		if fact.value < fact.lo || fact.value > fact.hi {
			t.Errorf("%s is %.3f, want %.3f to %.3f", fact.name, fact.value, fact.lo, fact.hi)
		}
	}
}

func TestShuffleKeepsMovesAndLosesOrder(t *testing.T) {
	config := DefaultSynthetic()
	config.Assets = 4
	m := mustMake(t, config)
	shuffled := m.Shuffle(7)
	if again := shuffled.Shuffle(7); !sameCandles(again.Series[0].Candles, shuffled.Series[0].Candles) {
		t.Error("shuffling twice with a seed differs from shuffling once")
	}
	for a, s := range m.Series {
		before, after := logReturns(s), logReturns(shuffled.Series[a])
		pit := make([]float64, len(after))
		size := make([]float64, len(after))
		for i, r := range after {
			pit[i], size[i] = shuffled.State(a, i+1).CDF(r), math.Abs(r)
		}
		mustBeUniform(t, "shuffled "+s.Symbol, pit) // states went with their candles
		// Four standard errors of a correlation that is zero.
		if acf := correlation(size[1:], size[:len(size)-1]); math.Abs(acf) > 4/math.Sqrt(float64(len(size))) {
			t.Errorf("%s: correlation of neighbouring |r| after the shuffle is %.3f, want 0", s.Symbol, acf)
		}
		slices.Sort(before)
		slices.Sort(after)
		for i := range before {
			if math.Abs(before[i]-after[i]) > 1e-13 { // prices were multiplied anew
				t.Fatalf("%s: sorted move %d was %v, is %v", s.Symbol, i, before[i], after[i])
			}
		}
	}
}

func TestSyntheticFiles(t *testing.T) {
	for name, m := range map[string]*Synthetic{"daily": mustMake(t, small()), "shuffled": mustMake(t, small()).Shuffle(0)} {
		dir := filepath.Join(t.TempDir(), "new")
		if _, found, err := LoadSynthetic(dir); found || err != nil {
			t.Fatalf("LoadSynthetic(nothing) = %v, %v, want false, nil", found, err)
		}
		if err := m.Write(dir); err != nil {
			t.Fatal(err)
		}
		got, found, err := LoadSynthetic(dir)
		if err != nil || !found {
			t.Fatalf("%s: LoadSynthetic = %v, %v", name, found, err)
		}
		series, _, err := ReadDir(dir)
		if err != nil || len(series) != 3 || filepath.Base(series[0].Path) != "SYN-01_2005-01-03_2005-10-07_1d.csv" {
			t.Fatalf("ReadDir = %v, %v", series, err)
		}
		for a, s := range m.Series {
			if !sameCandles(got.Series[a].Candles, s.Candles) || !sameCandles(series[a].Candles, s.Candles) || !slices.Equal(got.States[a], m.States[a]) {
				t.Errorf("%s: asset %d changed on its way through the files", name, a)
			}
			if series[a].Symbol != s.Symbol || got.Series[a].Path != series[a].Path {
				t.Errorf("%s: %s at %q, want %s at %q", name, series[a].Symbol, got.Series[a].Path, s.Symbol, series[a].Path)
			}
		}
	}
}

func TestSyntheticFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	config := small()
	if err := mustMake(t, config).Write(dir); err != nil {
		t.Fatal(err)
	}
	config.Assets, config.Candles = 2, 100
	if err := mustMake(t, config).Write(dir); err != nil {
		t.Fatal(err)
	}
	if series, _, err := ReadDir(dir); err != nil || len(series) != 2 || len(series[0].Candles) != 100 {
		t.Errorf("ReadDir after the second Write = %v, %v, want 2 series of 100", series, err)
	}

	// Nothing of the user's is overwritten.
	other := t.TempDir()
	mine := filepath.Join(other, "SYN-01_2005-01-03_2005-05-20_1d.csv")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mustMake(t, config).Write(other); err == nil || !strings.Contains(err.Error(), mine) {
		t.Errorf("Write over %s = %v, want a refusal", mine, err)
	}
}

func TestLoadSyntheticFindsTampering(t *testing.T) {
	edit := func(pattern, old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			paths, _ := filepath.Glob(filepath.Join(dir, pattern))
			text, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), old, new, 1)
			if changed == string(text) {
				t.Fatalf("%s does not hold %q", paths[0], old)
			}
			if err := os.WriteFile(paths[0], []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		tamper func(*testing.T, string)
		want   string
	}{
		"a digit":     {edit("SYN-02*", "1", "2"), "not the file that was generated"},
		"a row":       {edit("SYN-03*", "\n2005", "\n\n2005"), "not the file that was generated"},
		"the seed":    {edit("synthetic.json", `"seed": 1`, `"seed": 2`), "generated by another version"},
		"the assets":  {edit("synthetic.json", `"assets": 3`, `"assets": 2`), "3 files, the config has 2 assets"},
		"the candles": {edit("synthetic.json", `"candles": 200`, `"candles": -1`), "candles -1"},
		"a new key":   {edit("synthetic.json", `"seed"`, `"sead"`), "unknown field"},
		"the format":  {edit("synthetic.json", `"format": 1`, `"format": 2`), "format 2, want 1"},
		"a far file":  {edit("synthetic.json", `"SYN-01`, `"../SYN-01`), "is no file of a synthetic market"},
		"cut":         {edit("synthetic.json", "}\n}", ""), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := mustMake(t, small()).Write(dir); err != nil {
				t.Fatal(err)
			}
			c.tamper(t, dir)
			if _, found, err := LoadSynthetic(dir); found || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("LoadSynthetic = %v, %v, want an error with %q", found, err, c.want)
			}
		})
	}
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, variance
}

func correlation(x, y []float64) float64 {
	mx, vx := moments(x)
	my, vy := moments(y)
	sum := 0.0
	for i := range x {
		sum += (x[i] - mx) * (y[i] - my) / float64(len(x))
	}
	return sum / math.Sqrt(vx*vy)
}
