package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/micro-quant/mqc/chat"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/server"
)

// What chat prints as the API call that gives the same is one that the server
// answers.
func TestServerAnswersTheCallsOfChat(t *testing.T) {
	f := &fixture{root: t.TempDir()}
	f.make()
	if f.err != nil {
		t.Fatal(f.err)
	}
	m, err := server.OpenModel(filepath.Join(f.root, bestModel))
	if err != nil {
		t.Fatal(err)
	}
	series, _, err := market.ReadDir(filepath.Join(f.root, defaultFolder))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := chat.NewSources(series, []chat.Model{{Name: m.Name, Model: m.Model}})
	if err != nil {
		t.Fatal(err)
	}
	session, err := sources.Session(chat.State{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Config{Series: series, Models: []server.Model{m}, Limits: server.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"forecast 3d paths 20", "what if -5%, then flat paths 20", "compare with random walk paths 20", "P(close > 1 in 2d)",
		"P(between 1 and 1000 in 2d)", "show analogues", "explain", "assets", "models",
	} {
		a, err := session.Do(t.Context(), line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		var body io.Reader
		if a.Call.Body != nil {
			text, err := json.Marshal(a.Call.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = bytes.NewReader(text)
		}
		r := httptest.NewRequest(a.Call.Method, "http://127.0.0.1"+a.Call.Path, body)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %s: %d %s", line, a.Call, w.Code, w.Body)
		}
	}
}
