package server

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/chat"
)

// said is an answer of POST /v1/chat.
type said struct {
	Kind, Command, Text string
	Warnings            []string
	Call                *struct {
		Method, Path string
		Body         json.RawMessage
	}
	State  chat.State
	Answer json.RawMessage
}

// What a line is answered is what the call that it names is answered.
func TestChatAnswersWhatItsCallAnswers(t *testing.T) {
	s := newServer(t, nil)
	for _, line := range []string{
		"forecast 3d paths 20", "what if -5%, then flat paths 20 model calibrated", "compare with random walk paths 20", "vol next week",
		"P(close > 1 in 2d)", "P(between 1 and 1000 in 2d)", "show analogues 3d", "explain", "assets", "models", "calibration calibrated",
	} {
		body, err := json.Marshal(map[string]any{"line": line, "state": map[string]any{"asset": "SYN-02", "as_of": "2006-05-01", "seed": 0}})
		if err != nil {
			t.Fatal(err)
		}
		a := answered[said](t, ask(s, "POST", "/v1/chat", string(body)))
		text := string(a.Call.Body)
		if a.Call.Method == "GET" {
			text = ""
		}
		direct := answered[json.RawMessage](t, ask(s, a.Call.Method, a.Call.Path, text))
		if !bytes.Equal(direct, a.Answer) {
			t.Errorf("%s: %s %s %s answers\n%s\nnot\n%s", line, a.Call.Method, a.Call.Path, text, direct, a.Answer)
		}
		if a.Kind == "" || a.Text == "" || a.Warnings == nil || a.State.Asset != "SYN-02" || a.State.AsOf != "2006-05-01" || a.State.Seed != 0 {
			t.Errorf("%s: %+v", line, a)
		}
	}
}

func TestChatKeepsAState(t *testing.T) {
	s := newServer(t, nil)
	a := answered[said](t, ask(s, "POST", "/v1/chat", `{"line":"use SYN-03"}`))
	want := chat.DefaultState()
	want.Asset, want.Model = "SYN-03", "plain"
	if a.State != want || a.Call != nil || string(a.Answer) != "null" || a.Kind != "use" {
		t.Fatalf("%+v, want the state %+v", a, want)
	}
	state, err := json.Marshal(a.State)
	if err != nil {
		t.Fatal(err)
	}
	a = answered[said](t, ask(s, "POST", "/v1/chat", `{"line":"forecast 1w paths 8 seed 0","state":`+string(state)+`}`))
	want.Horizon, want.Seed = chat.Span{N: 1, Unit: "w"}, 0
	if a.State != want || a.Command != "forecast SYN-03 1w paths 8 seed 0 model plain" {
		t.Errorf("%+v, want the state %+v", a, want)
	}
	// Paths and temperature of the state are those of a line that names none.
	a = answered[said](t, ask(s, "POST", "/v1/chat", `{"line":"forecast","state":{"paths":7,"temperature":0.5,"horizon":"3c"}}`))
	if a.Command != "forecast SYN-01 3c paths 7 temp 0.5 seed 1 model plain" {
		t.Errorf("%+v", a)
	}
}

func TestChatSaysWhatItDoesNotUnderstand(t *testing.T) {
	s := newServer(t, nil)
	var p struct {
		Detail string
		Errors []struct{ Message, Location, Value string }
	}
	w := ask(s, "POST", "/v1/chat", `{"line":"forecst 20d"}`)
	problem(t, w, 422, "no command begins")
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	u := chat.Usages()[0]
	if p.Detail != `no command begins with "forecst"` || len(p.Errors) == 0 || p.Errors[0].Message != u.Syntax || p.Errors[0].Value != u.Example {
		t.Errorf("%+v", p)
	}
	for body, want := range map[string]string{
		`{}`:                        "line",
		`{"line":5}`:                "line",
		`{"line":"help","words":1}`: "words",
		`{"line":"` + strings.Repeat("x", 1001) + `"}`:          "line",
		`{"line":"help","state":{"horizon":"soon"}}`:            "horizon",
		`{"line":"help","state":{"seed":-1}}`:                   "seed",
		`{"line":"help","state":{"as_of":"yesterday"}}`:         "as of",
		`{"line":"forecast paths 5000"}`:                        "at most 4096",
		`{"line":"forecast","state":{"paths":0}}`:               "at least 1",
		`{"line":"forecast 5m"}`:                                "no candle comes so soon",
		`{"line":"forecast 1000y"}`:                             "is about 365",
		`{"line":"forecast","state":{"as_of":"1990-01-01"}}`:    "too early",
		`{"line":"what if -5% tomorrow","state":{"model":"x"}}`: "no model",
	} {
		if w := ask(s, "POST", "/v1/chat", body); w.Code < 400 || w.Code >= 500 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d: %s, want %q", body, w.Code, w.Body, want)
		}
	}
	problem(t, ask(s, "POST", "/v1/chat", `{"line":"help","state":{"asset":"../../etc/passwd"}}`), 404, "no asset")
}

func TestChatVocabulary(t *testing.T) {
	v := answered[Vocabulary](t, ask(newServer(t, nil), "GET", "/v1/chat", ""))
	if len(v.Commands) != len(chat.Usages()) || v.Commands[0].Syntax == "" || v.Commands[0].Example == "" ||
		!slices.Equal(v.Assets, []string{"SYN-01", "SYN-02", "SYN-03"}) || !slices.Equal(v.Models, []string{"plain", "calibrated"}) || !slices.Contains(v.Baselines, "har") {
		t.Errorf("%+v", v)
	}
}
