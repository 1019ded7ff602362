package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
)

// tinyQuickstart is the whole of a quickstart in a second or two.
func tinyQuickstart(data, out string) quickConfig {
	q := quickDefaults(data, out, feature.EWMA, 1)
	q.market.Assets, q.market.Candles = 2, 400
	q.codes.Codes, q.codes.MinSteps, q.codes.Refine = 32, 30, 10
	q.shape.Vocab, q.shape.Layers, q.shape.Embd, q.shape.SeqLen = 32, 1, 16, 16
	q.stages = quickStages(q.shape, 1)
	for i := range q.stages {
		q.stages[i].Epochs, q.stages[i].Evals = min(q.stages[i].Epochs, 1), 1
	}
	q.stages[3].Steps = 2
	q.truthSamples, q.paths = 500, 8
	q.report = eval.PathOptions{Horizons: []int{1, 2}, Paths: 4, Origins: 4, Seed: 1}
	return q
}

// quickstartForTest runs a tiny quickstart and returns stdout and stderr.
func quickstartForTest(t *testing.T, q quickConfig, asJSON bool) (stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	a := &app{out: &out, err: &talk, json: asJSON, seed: 1}
	c := a.quickstart()
	c.SetContext(t.Context())
	if err := a.runQuickstart(c, q); err != nil {
		t.Fatalf("runQuickstart: %v\n%s", err, talk.String())
	}
	return out.String(), talk.String()
}

func TestQuickstartJSON(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	stdout, _ := quickstartForTest(t, tinyQuickstart("", out), true)
	var got struct {
		Scores   eval.Table
		Files    []string
		Forecast struct {
			Asset string
			Steps []struct{ Quantiles []float64 }
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("stdout is no JSON: %v\n%s", err, stdout)
	}
	var names []string
	for _, r := range got.Scores.Rows {
		names = append(names, r.Name)
	}
	if got, want := strings.Join(names, " "), "uniform unigram bigram unigram per asset Kneser–Ney trigram Kneser–Ney, shuffled past pretrain midtrain sft rl truth"; got != want {
		t.Errorf("rows %q, want %q", got, want)
	}
	if len(got.Files) != 7 {
		t.Errorf("files %v, want tokenizer, tokens, four checkpoints and a report", got.Files)
	}
	for _, f := range got.Files {
		if info, err := os.Stat(f); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty: %v", f, err)
		}
	}
	if got.Forecast.Asset != "SYN-01" || len(got.Forecast.Steps) != 4 || len(got.Forecast.Steps[0].Quantiles) != len(levels) {
		t.Errorf("forecast of %s: %+v, want 4 steps of SYN-01 with %d quantiles", got.Forecast.Asset, got.Forecast.Steps, len(levels))
	}
	if left, _ := filepath.Glob(filepath.Join(out, "checkpoints", "*.resume")); len(left) > 0 {
		t.Errorf("finished stages left %v", left)
	}
}

func TestQuickstartOnTheUsersCandles(t *testing.T) {
	t.Parallel()
	data, out := t.TempDir(), t.TempDir()
	market := &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	if code := run(t.Context(), []string{"data", "generate", "--assets", "2", "--candles", "400", "--out", data}, market.out, market.err); code != 0 {
		t.Fatalf("data generate: exit %d: %s", code, market.err)
	}
	// Without its description the market is data like any other.
	if err := os.Remove(filepath.Join(data, "synthetic.json")); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := quickstartForTest(t, tinyQuickstart(data, out), false)
	for _, want := range []string{"nats/token", "unigram", "past closes", "P(up)", "rl_btc.pt", data} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "truth") {
		t.Errorf("a truth is claimed for data without one:\n%s", stdout)
	}
	if !strings.Contains(stderr, "quantile bins") {
		t.Errorf("stderr lacks the tokenizer's table:\n%s", stderr)
	}
	if _, err := os.Stat(filepath.Join(out, "data", "synthetic.json")); err == nil {
		t.Error("a synthetic market was made beside the user's data")
	}
}
