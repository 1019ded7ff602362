package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/score"
	"github.com/micro-quant/mqc/train"
)

// hostile is text that would be markup if it were not escaped.
const hostile = `<script>alert("x")</script>|*_`

func cardForTest() *Card {
	row := eval.DensityRow{
		Name: hostile, PIT: []int{3, 1, 2, 4}, Coverage: []eval.Interval{{Level: .5, Share: .5, Lo: .4, Hi: .6}, {Level: .9, Share: .9, Lo: .8, Hi: .95}},
		Gains: []eval.Gain{{Over: "GARCH-t", Test: score.Test{Mean: .1, P: .3}}},
	}
	c := &Card{
		Build: hostile, Commands: []string{"mqc report --out '" + hostile + "'", "```"}, Notes: []string{hostile},
		Data:    Data{Path: hostile, Part: "test", Reading: 1, Assets: []Asset{{Name: hostile}}},
		Models:  []Model{{Name: hostile, Lineage: []checkpoint.Step{{Stage: "pretrain", Steps: 2, Recipe: json.RawMessage(`{}`)}}}},
		Results: Results{Density: &eval.DensityTable{Scope: eval.Scope{Part: "test", Targets: 10, Dates: 5}, Rows: []eval.DensityRow{row}}},
	}
	c.Models[0].Curves = []Curve{{Measure: "loss", Steps: []float64{1, 2}, Values: []float64{3, 2}}}
	bar := Bar{Open: 1, High: 3, Low: .5, Close: 2}
	c.Fans = []Fan{{Model: hostile, Asset: hostile, Past: []Bar{bar, bar}, Future: []Bar{bar}, Median: []float64{2}, Bands: []Band{{.95, []float64{1}, []float64{3}}}}}
	c.Tokenizers = []Tokenizer{{Models: []string{hostile}, Kind: "vqvae", Codes: []Code{{Open: 100, High: 101, Low: 99, Close: 100.5, Train: 3}, {Open: 100, High: 100, Low: 100, Close: 100}}}}
	c.judge()
	return c
}

func TestThePageAsksNobodyAndEscapes(t *testing.T) {
	page, err := cardForTest().HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "http:", "https:", "src=", "@import", "url(", "#000000", "Liberation", "<?xml"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, want := range []string{"<svg viewBox", "prefers-color-scheme: dark", "&lt;script&gt;", "no skill over GARCH-t (p = .30)", "var(--s0)"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if open, closed := bytes.Count(page, []byte("<svg ")), bytes.Count(page, []byte("</svg>")); open != closed || open < 5 {
		t.Errorf("%d plots begin and %d end", open, closed)
	}
}

func TestMarkdownEscapes(t *testing.T) {
	text := string(cardForTest().Markdown())
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "mqc report") {
			continue // code
		}
		if strings.Contains(line, "<script") || strings.Contains(line, ")|*") {
			t.Errorf("not escaped: %s", line)
		}
	}
	if !strings.Contains(text, "````\n") {
		t.Error("code with a fence in it is fenced by the same")
	}
}

func TestJSONIsRead(t *testing.T) {
	text, err := cardForTest().JSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Card
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Verdicts[0].Headline != "no skill over GARCH-t (p = .30)" || back.Data.Reading != 1 {
		t.Errorf("read back: %+v", back.Verdicts)
	}
}

// What is read back makes the same page, numbers that are none included.
func TestACardThatWasReadMakesTheSamePage(t *testing.T) {
	c := cardForTest()
	c.Models[0].SHA256 = "ab"
	row := &c.Results.Density.Rows[0]
	row.Gains = append(row.Gains, eval.Gain{Over: "a", Test: score.Test{Mean: math.NaN(), SE: math.NaN(), Stat: math.Inf(1), P: math.NaN()}})
	row.Assets = []eval.AssetScore{{Name: hostile, Christoffersen: score.Number(math.NaN())}}
	c.Results.Direction = &eval.DirectionTable{Scope: eval.Scope{Part: "test"}, Rows: []eval.DirectionRow{{Name: "x", Hits: score.Number(math.NaN()), Binomial: score.Number(math.NaN()), PT: score.Number(math.NaN())}}}
	c.judge()
	text, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string]func(*Card) ([]byte, error){
		"HTML":     (*Card).HTML,
		"Markdown": func(c *Card) ([]byte, error) { return c.Markdown(), nil },
		"JSON":     (*Card).JSON,
	} {
		want, err := page(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := page(back); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s of what was read: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for text, none := range map[string]bool{
		`{}`: true, `[1]`: true, `3`: true, `{"models":[]}`: true, `{"models":[{"name":"x"}]}`: true, `{"models":[{"sha256":"ab"},{}]}`: true,
		`{"models":[{"sha256":"ab"}`: false, ``: false, `{"models":[{"sha256":7}]}`: false, `{"models":"all"}`: false,
	} {
		if c, err := Read([]byte(text)); c != nil || err == nil || errors.Is(err, ErrNoCard) != none {
			t.Errorf("Read(%s) = %v, %v; want no card: %v", text, c, err, none)
		}
	}
}

// Whatever is read is drawn, or is an error.
func FuzzCardsThatWereRead(f *testing.F) {
	text, err := cardForTest().JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.ReplaceAll(text, []byte(`"sha256": ""`), []byte(`"sha256": "ab"`)))
	f.Add([]byte(`{"models":[{"sha256":"ab"}],"fans":[{}],"results":{"path":{}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := Read(text); err == nil {
			c.HTML()
		}
	})
}

// A log counts for the run that made the checkpoint, and for no other.
func TestCurvesAreThoseOfTheRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pt")
	b := &checkpoint.Bundle{Lineage: []checkpoint.Step{{Stage: "sft", Steps: 2}}}
	if curves, err := readCurves(path, b); curves != nil || err != nil {
		t.Errorf("without a log: %v, %v", curves, err)
	}
	log := ""
	for _, e := range []train.Event{
		{Kind: train.EventStep, Stage: "sft", Step: 1, Measures: train.Measures{"loss": 3}},
		{Kind: train.EventEval, Stage: "sft", Step: 1, Measures: train.Measures{"crps": .5}},
		{Kind: train.EventStep, Stage: "sft", Step: 1, Measures: train.Measures{"loss": 3}}, // resumed
		{Kind: train.EventStep, Stage: "sft", Step: 2, Measures: train.Measures{"loss": 2}},
	} {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		log += string(line) + "\n{\"kind\":\"st\n"
	}
	if err := os.WriteFile(LogPath(path), []byte(log), 0o644); err != nil {
		t.Fatal(err)
	}
	curves, err := readCurves(path, b)
	if err != nil || len(curves) != 2 || curves[0].Measure != "loss" || len(curves[0].Steps) != 2 || curves[0].Values[1] != 2 || !curves[1].Validation {
		t.Errorf("curves %+v, %v; want loss of two steps and crps of validation", curves, err)
	}
	b.Lineage[0].Steps = 3
	if _, err := readCurves(path, b); err != errOtherRun {
		t.Errorf("the log of a shorter run: %v, want errOtherRun", err)
	}
}

func TestThinKeepsTheMean(t *testing.T) {
	c := Curve{}
	for i := range 10 * mostPoints {
		c.Steps, c.Values = append(c.Steps, float64(i)), append(c.Values, float64(2*i))
	}
	thin := c.thin()
	if len(thin.Steps) != mostPoints || thin.Steps[0] != 4.5 || thin.Values[0] != 9 {
		t.Errorf("%d points from (%v, %v), want %d from (4.5, 9)", len(thin.Steps), thin.Steps[0], thin.Values[0], mostPoints)
	}
}

func TestPartOf(t *testing.T) {
	m, err := market.NewSynthetic(func() market.SyntheticConfig {
		c := market.DefaultSynthetic()
		c.Assets, c.Candles = 1, 100
		return c
	}())
	if err != nil {
		t.Fatal(err)
	}
	s := m.Series[0]
	split := dataset.Split{ValFrom: s.Candles[60].Time, TestFrom: s.Candles[80].Time}
	for part, want := range [][2]int{{0, 60}, {60, 80}, {80, 100}} {
		if from, to := partOf(s, split, dataset.Part(part)); from != want[0] || to != want[1] {
			t.Errorf("part %d is [%d, %d), want %v", part, from, to, want)
		}
	}
}

// A share that was listed after the part has no candles in it.
func TestAssetListedAfterThePart(t *testing.T) {
	first := time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	s := &market.Series{Symbol: "NEW", Interval: market.Day, Candles: []market.Candle{{Time: first}, {Time: first.AddDate(0, 0, 1)}}}
	a, err := describe(s, dataset.Split{ValFrom: first.AddDate(-2, 0, 0), TestFrom: first.AddDate(-1, 0, 0)}, dataset.Val)
	if err != nil || a.Targets != 0 {
		t.Errorf("%d targets, %v, want none", a.Targets, err)
	}
}
