package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/report"
	"github.com/micro-quant/mqc/runs"
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
	a := &app{out: &outWriter{Writer: &out}, err: &talk, json: asJSON, seed: 1}
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
	if len(got.Files) != 8 {
		t.Errorf("files %v, want tokenizer, tokens, four checkpoints and a report twice", got.Files)
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

// sameReport wants the page that a report's JSON gives to be the page beside it.
func sameReport(t *testing.T, folder string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	card, err := report.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := card.HTML()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(folder, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("the page of report.json differs from report.html at byte %d:\n%.300s\nwant\n%.300s", i, got[max(0, i-100):], want[max(0, i-100):])
	}
}

// output is what a command has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestQuickstartServes(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	var stdout, stderr output
	a := &app{out: &outWriter{Writer: &stdout}, err: &stderr, seed: 1, args: []string{"quickstart", "--serve"}}
	c := a.quickstart()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	c.SetContext(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.runServedQuickstart(c, tinyQuickstart("", out), "127.0.0.1:0") }()
	url := ""
	for url == "" {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it served: %v\n%s", err, stderr.String())
		case <-time.After(10 * time.Millisecond):
			url = regexp.MustCompile(`http://[0-9.:]+[0-9]`).FindString(stdout.String())
		}
	}
	if lines := strings.Split(strings.TrimSpace(stdout.String()), "\n"); !strings.Contains(lines[len(lines)-1], url+": models 4, assets 2") {
		t.Errorf("the last line is %q", lines[len(lines)-1])
	}
	get := func(method, path, body string, into any) string {
		t.Helper()
		q, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Close = true
		w, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Body.Close()
		text, err := io.ReadAll(w.Body)
		if err != nil || w.StatusCode != 200 {
			t.Fatalf("%s: status %d: %s, %v", path, w.StatusCode, text, err)
		}
		if into != nil {
			if err := json.Unmarshal(text, into); err != nil {
				t.Fatalf("%s: %v: %s", path, err, text)
			}
		}
		return string(text)
	}
	var f struct {
		Calibrated bool
		Identity   struct{ Checkpoint string }
		Steps      []struct{ Quantiles []float64 }
	}
	if get("POST", "/v1/forecast", `{"asset":"SYN-01","horizon":4,"paths":8}`, &f); f.Identity.Checkpoint != "checkpoints/rl_btc" || !f.Calibrated || len(f.Steps) != 4 {
		t.Errorf("%+v", f)
	}
	var list struct{ Runs []runs.Run }
	if get("GET", "/v1/runs", "", &list); len(list.Runs) != 4 || list.Runs[0].Checkpoint != "checkpoints/rl_btc" || list.Runs[0].State != runs.Finished {
		t.Errorf("%+v", list)
	}
	var card report.Card
	if get("GET", "/v1/report?model=checkpoints/rl_btc", "", &card); len(card.Models) != 2 || len(card.Verdicts) == 0 {
		t.Errorf("%+v", card.Models)
	}
	if page := get("GET", "/v1/report?format=html", "", nil); !strings.Contains(page, "<svg") {
		t.Error("the report is no page with plots")
	}
	sameReport(t, out)
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestQuickstartOnTheUsersCandles(t *testing.T) {
	t.Parallel()
	data, out := t.TempDir(), t.TempDir()
	market := &app{out: &outWriter{Writer: &bytes.Buffer{}}, err: &bytes.Buffer{}}
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

func TestInterruptedQuickstartSaysHowToGoOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"quickstart", "--out", t.TempDir()}, &stdout, &stderr); code != exitFailure {
		t.Errorf("exit %d, want %d", code, exitFailure)
	}
	if want := "hint: the same command starts again from the beginning\n"; !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("stderr %q, want %q at its end", stderr.String(), want)
	}
}
