package server

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/report"
)

// writeCard writes a report card on checkpoints, with a note and a time.
func writeCard(t *testing.T, path, note string, at int64, hashes ...string) *report.Card {
	t.Helper()
	c := &report.Card{Notes: []string{note}, Data: report.Data{Part: "val"}}
	for _, h := range hashes {
		c.Models = append(c.Models, report.Model{Name: "<b>" + h[:4], SHA256: h})
	}
	text, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text), at)
	return c
}

func write(t *testing.T, path, text string, at int64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
		t.Fatal(err)
	}
}

// hashOf is that of the checkpoint of a model.
func hashOf(s *Server, name string) string {
	i := slices.IndexFunc(s.config.Models, func(m api.Model) bool { return m.Name == name })
	return s.config.Models[i].Bundle.Hash
}

func TestReportOfAModel(t *testing.T) {
	folder := t.TempDir()
	var log bytes.Buffer
	s := newServer(t, func(c *Config) { c.Folder, c.Log = folder, slog.New(slog.NewTextHandler(&log, nil)) })
	plain, calibrated := hashOf(s, "plain"), hashOf(s, "calibrated")
	problem(t, ask(s, "GET", "/v1/report?model=plain", ""), 404, "mqc report --checkpoint")
	problem(t, ask(s, "GET", "/v1/report?model=../../etc/passwd", ""), 404, "no model")
	problem(t, ask(s, "GET", "/v1/report?model=plain&format=exe", ""), 422, "format")

	// What is new is found, the newest wins, and what is no card is passed over.
	note := func(model string) string {
		t.Helper()
		return answered[report.Card](t, ask(s, "GET", "/v1/report?model="+model, "")).Notes[0]
	}
	at := func(names ...string) string { return filepath.Join(append([]string{folder}, names...)...) }
	writeCard(t, at("old.json"), "old", 100, strings.Repeat("a", 64), plain)
	if got := note("plain"); got != "old" {
		t.Errorf("card %q, want the old one", got)
	}
	writeCard(t, at("sub", "new.JSON"), "new", 200, plain)
	write(t, at("synthetic.json"), `{"seed":1}`, 300)
	write(t, at("list.json"), `[1,2]`, 300)
	write(t, at("broken.json"), `{"models":[{"sha256":`, 300)
	writeCard(t, at(".hidden", "x.json"), "hidden", 400, plain)
	if err := os.Symlink(at("old.json"), at("link.json")); err != nil {
		t.Fatal(err)
	}
	if got := note(""); got != "new" { // of the first model
		t.Errorf("card %q, want the new one", got)
	}
	problem(t, ask(s, "GET", "/v1/report?model=calibrated", ""), 404, calibrated)
	writeCard(t, at("old.json"), "newest", 500, plain)
	if got := note("plain"); got != "newest" {
		t.Errorf("card %q, want the one that was changed", got)
	}
	if err := os.Remove(at("old.json")); err != nil {
		t.Fatal(err)
	}
	if got := note("plain"); got != "new" {
		t.Errorf("card %q, want the one that is left", got)
	}
	if n := strings.Count(log.String(), "report card passed over"); n != 1 || !strings.Contains(log.String(), "broken.json") {
		t.Errorf("%d reasons, want one, of broken.json:\n%s", n, &log)
	}
	problem(t, ask(newServer(t, nil), "GET", "/v1/report", ""), 404, "no report card")
}

func TestReportAsAPage(t *testing.T) {
	folder := t.TempDir()
	s := newServer(t, func(c *Config) { c.Folder = folder })
	c := writeCard(t, filepath.Join(folder, "report.json"), "<script>x</script>", 1, hashOf(s, "plain"))
	want, err := c.HTML()
	if err != nil {
		t.Fatal(err)
	}
	w := ask(s, "GET", "/v1/report?format=html", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !bytes.Equal(w.Body.Bytes(), want) {
		t.Errorf("status %d, %s, %d bytes, want %d", w.Code, w.Header().Get("Content-Type"), w.Body.Len(), len(want))
	}
	if p := w.Header().Get("Content-Security-Policy"); p != cardPolicy || strings.Contains(p, "script") || bytes.Contains(want, []byte("<script")) {
		t.Errorf("policy %q", p)
	}
	if p := ask(s, "GET", "/v1/report", "").Header().Get("Content-Security-Policy"); p != policy {
		t.Errorf("policy of JSON %q", p)
	}

	// Numbers that cannot be drawn are an error, and no panic.
	c.Results.Path = &eval.PathTable{}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "report.json"), string(text), 2)
	problem(t, ask(s, "GET", "/v1/report?format=html", ""), 500, "its log says how")
}
