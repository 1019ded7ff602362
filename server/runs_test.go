package server

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/runs"
)

// registryForTest is one that a test writes to.
func registryForTest(t *testing.T, folder string) *runs.Registry {
	t.Helper()
	r, err := runs.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func startRun(t *testing.T, r *runs.Registry, run runs.Run) runs.Run {
	t.Helper()
	run, err := r.Start(run)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// stepsOf are events of steps, numbered from a first one.
func stepsOf(first, n int) (list []runs.Event) {
	for i := range n {
		at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(first+i) * time.Second)
		list = append(list, runs.Event{Time: at, Kind: "step", Step: first + i, Steps: 9000, Measures: map[string]float64{"loss": float64(first + i)}})
	}
	return list
}

func appendTo(t *testing.T, r *runs.Registry, id int64, events []runs.Event) {
	t.Helper()
	if err := r.Append(id, events); err != nil {
		t.Fatal(err)
	}
}

func TestRunsAreListed(t *testing.T) {
	parent := t.TempDir()
	folder := filepath.Join(parent, "runs")
	s := newServer(t, func(c *Config) { c.Registry, c.Folder = folder, filepath.Join(parent, "models") })
	if list := ask(s, "GET", "/v1/runs", ""); strings.TrimSpace(list.Body.String()) != `{"runs":[]}` {
		t.Errorf("without a registry: %s", list.Body)
	}
	problem(t, ask(s, "GET", "/v1/runs/1/events", ""), 404, "no run 1")
	if _, err := os.Stat(folder); err == nil {
		t.Error("reading has made a registry")
	}

	// Runs that begin after the server.
	r := registryForTest(t, folder)
	first := startRun(t, r, runs.Run{Stage: "pretrain", Command: "mqc train --data /home/me/data --out=/x/y/best.pt --lr 1e-3", Checkpoint: filepath.Join(parent, "models", "a", "best.pt")})
	startRun(t, r, runs.Run{Stage: "sft", Checkpoint: filepath.Join(parent, "else", "sft.safetensors")})
	appendTo(t, r, first.ID, stepsOf(1, 3))
	if err := r.SetBest(first.ID, "nats", 2.5, 3); err != nil {
		t.Fatal(err)
	}
	if err := r.End(first.ID, runs.Failed, "open /home/me/x.csv: no such file"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(folder, runs.FileName))
	if err != nil {
		t.Fatal(err)
	}
	list := answered[RunList](t, ask(s, "GET", "/v1/runs", "")).Runs
	if len(list) != 2 || list[0].Checkpoint != "sft" || list[1].Checkpoint != "a/best" {
		t.Fatalf("%+v", list)
	}
	got := list[1]
	if got.Command != "mqc train --data data --out=best.pt --lr 1e-3" || got.Message != "open x.csv: no such file" || got.State != runs.Failed || *got.Best != 2.5 || got.Step != 3 {
		t.Errorf("%+v", got)
	}
	whole := answered[RunEvents](t, ask(s, "GET", "/v1/runs/1/events", ""))
	if diff := cmp.Diff(stepsOf(1, 3), whole.Events); diff != "" || whole.Run.Checkpoint != "a/best" {
		t.Errorf("events of %+v: -want +got\n%s", whole.Run, diff)
	}
	if some := answered[RunEvents](t, ask(s, "GET", "/v1/runs/1/events?after=1&limit=1", "")).Events; len(some) != 1 || some[0].Step != 2 {
		t.Errorf("%+v", some)
	}
	if none := answered[RunEvents](t, ask(s, "GET", "/v1/runs/1/events?after=9", "")).Events; none == nil || len(none) != 0 {
		t.Errorf("%+v", none)
	}
	for path, status := range map[string]int{
		"/v1/runs/9/events": 404, "/v1/runs/x/events": 422, "/v1/runs/1/events?after=-1": 422, "/v1/runs/1/events?limit=0": 422,
		"/v1/runs/1/events?folder=/etc": 422, "/v1/runs?folder=/etc": 422, "/v1/runs/..%2f1/events": 422,
	} {
		problem(t, ask(s, "GET", path, ""), status, "")
	}
	after, err := os.ReadFile(filepath.Join(folder, runs.FileName))
	if err != nil || string(after) != string(before) {
		t.Errorf("reading has changed the registry: %v", err)
	}
	plain := newServer(t, nil)
	if list := answered[RunList](t, ask(plain, "GET", "/v1/runs", "")).Runs; len(list) != 0 {
		t.Errorf("a server without a registry lists %+v", list)
	}
}

func TestARegistryThatIsNoneIsLoggedAndNotShown(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, runs.FileName), []byte("no database, no database, no database"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(c *Config) { c.Registry = folder })
	for _, path := range []string{"/v1/runs", "/v1/runs/1/events"} {
		w := ask(s, "GET", path, "")
		problem(t, w, 500, "its log says how")
		if strings.Contains(w.Body.String(), folder) {
			t.Errorf("%s shows a path: %s", path, w.Body)
		}
	}
}

// following reads a stream of a run, event by event.
type following struct {
	*bufio.Scanner
	beats int
}

func (r *running) follow(t *testing.T, ctx context.Context, query string, headers ...string) (*following, func()) {
	t.Helper()
	q, err := http.NewRequestWithContext(ctx, "GET", r.url+"/v1/runs/1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	w, err := r.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if w.StatusCode != 200 || w.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", w.StatusCode, w.Header.Get("Content-Type"))
	}
	return &following{Scanner: bufio.NewScanner(w.Body)}, func() { w.Body.Close() }
}

// next is the next event, "" at the end.
func (f *following) next() (name, id, data string) {
	for f.Scan() {
		switch line := f.Text(); {
		case line == "" && name != "":
			return name, id, data
		case line == ":":
			f.beats++
		default:
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "event":
				name = value
			case "id":
				id = value
			case "data":
				data = value
			}
		}
	}
	return "", "", ""
}

// want takes events by name.
func (f *following) want(t *testing.T, names ...string) (last string) {
	t.Helper()
	for _, want := range names {
		name, _, data := f.next()
		if name != want {
			t.Fatalf("event %q: %s, want %q", name, data, want)
		}
		last = data
	}
	return last
}

func TestARunIsFollowed(t *testing.T) {
	folder := t.TempDir()
	r := registryForTest(t, folder)
	run := startRun(t, r, runs.Run{Stage: "pretrain", Checkpoint: "/x/best.pt"})
	appendTo(t, r, run.ID, stepsOf(1, 2))
	// Nothing comes for longer than a client may take for an answer.
	srv := start(t, func(c *Config) { c.Registry, c.Limits.Write = folder, 20*time.Millisecond })
	f, done := srv.follow(t, t.Context(), "")
	defer done()
	f.want(t, "run", "event")
	name, id, data := f.next()
	var e runs.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil || name != "event" || id != "2" || e.Step != 2 {
		t.Fatalf("event %s %s: %s", name, id, data)
	}
	appendTo(t, r, run.ID, stepsOf(3, 1))
	f.want(t, "event")
	if f.beats == 0 {
		t.Error("no comment came while nothing happened")
	}
	if err := r.SetBest(run.ID, "nats", 1.5, 3); err != nil {
		t.Fatal(err)
	}
	if data := f.want(t, "run"); !strings.Contains(data, `"best":1.5`) || !strings.Contains(data, `"checkpoint":"best"`) {
		t.Errorf("the run: %s", data)
	}
	appendTo(t, r, run.ID, stepsOf(4, pollMost+5))
	if err := r.End(run.ID, runs.Finished, ""); err != nil {
		t.Fatal(err)
	}
	events, states := 0, 0
	for {
		name, _, data := f.next()
		if name == "event" {
			events++
			continue
		}
		if name == "run" {
			states++
			continue
		}
		if name != "end" || !strings.Contains(data, `"state":"finished"`) {
			t.Fatalf("event %q: %s", name, data)
		}
		break
	}
	if events != pollMost+5 || states != 1 {
		t.Errorf("%d events and %d states before the end, want %d and 1", events, states, pollMost+5)
	}
	if name, _, _ := f.next(); name != "" {
		t.Errorf("%q after the end", name)
	}

	// From where a stream broke off.
	for _, from := range [][]string{{"?after=1007"}, {"", "Last-Event-ID", "1007"}} {
		f, done := srv.follow(t, t.Context(), from[0], from[1:]...)
		f.want(t, "run", "event", "end")
		done()
	}
}

func TestFollowersEndAndAreBounded(t *testing.T) {
	before := runtime.NumGoroutine()
	folder := t.TempDir()
	r := registryForTest(t, folder)
	startRun(t, r, runs.Run{Stage: "pretrain"})
	srv := start(t, func(c *Config) { c.Registry, c.Limits.Streams, c.Limits.Drain = folder, 2, time.Hour })
	ctx, leave := context.WithCancel(t.Context())
	for range 2 {
		f, done := srv.follow(t, ctx, "")
		defer done()
		f.want(t, "run")
	}
	q, err := http.NewRequestWithContext(t.Context(), "GET", srv.url+"/v1/runs/1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", "text/event-stream")
	w, err := srv.client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != 429 || w.Header.Get("Retry-After") == "" || w.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, Retry-After %q", w.StatusCode, w.Header.Get("Retry-After"))
	}
	leave()
	until(t, "who has left is still served", func() bool { return len(srv.streams) == 0 })

	// A server that is stopped does not wait for those who follow.
	f, done := srv.follow(t, t.Context(), "")
	defer done()
	f.want(t, "run")
	if err := srv.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if name, _, _ := f.next(); name != "" {
		t.Errorf("%q from a server that was stopped", name)
	}
	r.Close()
	until(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

func TestWithoutFolders(t *testing.T) {
	for text, want := range map[string]string{
		"mqc train --data data --out a/b.pt":           "mqc train --data data --out a/b.pt",
		"mqc train --data /home/me/data":               "mqc train --data data",
		"mqc train --data=/d '--out=/a b'":             "mqc train --data=d '--out=a b'",
		`mqc train --data C:\Users\me\data --csv D:/x`: "mqc train --data data --csv x",
		"market: /a/b/c.csv:12: high below low":        "market: c.csv:12: high below low",
		"ratio 1/2, and/or (/etc/x,/etc/y)":            "ratio 1/2, and/or (x,y)",
		"":                                             "",
	} {
		if got := withoutFolders(text); got != want {
			t.Errorf("withoutFolders(%q) = %q, want %q", text, got, want)
		}
	}
}
