package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micro-quant/mqc/api"
)

// running is a server at an address.
type running struct {
	*Server
	url    string
	client *http.Client
	stop   func() error // waits for the end
}

func start(t *testing.T, change func(*Config)) *running {
	t.Helper()
	s := newServer(t, change)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	r := &running{Server: s, url: "http://" + l.Addr().String(), client: &http.Client{Transport: transport}}
	r.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		transport.CloseIdleConnections()
		return err
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func (r *running) post(ctx context.Context, path, body string, headers ...string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, "POST", r.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		q.Header.Set(headers[i], headers[i+1])
	}
	return r.client.Do(q)
}

// full takes the whole of an answer.
func (r *running) full(t testing.TB, path, body string) (int, string) {
	t.Helper()
	w, err := r.post(t.Context(), path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(text)
}

// event is one of a stream.
type event struct{ name, data string }

// events reads a stream until it ends.
func events(t testing.TB, r io.Reader) (all []event) {
	t.Helper()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	var e event
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "":
			all, e = append(all, e), event{}
		case strings.HasPrefix(line, "event: "):
			e.name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			e.data = line[len("data: "):]
		default:
			t.Fatalf("line %q of a stream", line)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// until waits for what another goroutine is about to do.
func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	for !true() {
		if t.Context().Err() != nil {
			t.Fatal(what)
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *running) computing() int { return len(r.slots) }

func TestStream(t *testing.T) {
	r := start(t, nil)
	const body = `{"asset":"SYN-01","horizon":6,"paths":100,"return_paths":true}`
	w, err := r.post(t.Context(), "/v1/forecast", body, "Accept", "text/event-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if w.StatusCode != 200 || w.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, %s", w.StatusCode, w.Header.Get("Content-Type"))
	}
	all := events(t, w.Body)
	if len(all) != 5 {
		t.Fatalf("%d events of 100 paths in chunks of 32", len(all))
	}
	for i, want := range []int{32, 64, 96, 100} {
		var p api.Progress
		if err := json.Unmarshal([]byte(all[i].data), &p); err != nil || all[i].name != "steps" || p.Paths != want || len(p.Steps) != 6 {
			t.Errorf("event %d: %s, %d paths, %v", i, all[i].name, p.Paths, err)
		}
	}
	_, plain := r.full(t, "/v1/forecast", body)
	if all[4].name != "done" || all[4].data+"\n" != plain {
		t.Errorf("the last event is not the JSON answer:\n%s\n%s", all[4].data, plain)
	}

	// What fails before the first event has a status.
	w, err = r.post(t.Context(), "/v1/forecast", `{"asset":"NOPE"}`, "Accept", "text/event-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if w.StatusCode != 404 || w.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %s", w.StatusCode, w.Header.Get("Content-Type"))
	}
}

// long is a request that no test waits for.
const long = `{"asset":"SYN-01","horizon":400,"paths":650}`

func TestTooManyRequestsAreRefused(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Concurrent = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			if w, err := r.post(ctx, "/v1/forecast", long, "Accept", "text/event-stream"); err == nil {
				io.Copy(io.Discard, w.Body)
				w.Body.Close()
			}
		})
	}
	until(t, "nobody computes", func() bool { return r.computing() == 2 })
	for _, accept := range []string{"application/json", "text/event-stream"} {
		w, err := r.post(t.Context(), "/v1/forecast", `{`+small+`}`, "Accept", accept)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		if w.StatusCode != 429 || w.Header.Get("Retry-After") != "1" || w.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: status %d, Retry-After %q", accept, w.StatusCode, w.Header.Get("Retry-After"))
		}
	}
	if status, text := r.full(t, "/v1/chat", `{"line":"forecast"}`); status != 429 {
		t.Errorf("chat: status %d: %s", status, text)
	}
	// What does not compute is answered, and so is the next one when others are gone.
	if w, err := r.client.Get(r.url + "/v1/assets"); err != nil || w.StatusCode != 200 {
		t.Errorf("assets: %v", err)
	} else {
		w.Body.Close()
	}
	cancel()
	wait.Wait()
	until(t, "what was cancelled is still computed", func() bool { return r.computing() == 0 })
	if status, text := r.full(t, "/v1/forecast", `{`+small+`}`); status != 200 {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestARequestThatTakesTooLongIsEnded(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Compute = time.Nanosecond })
	for _, accept := range []string{"application/json", "text/event-stream"} {
		problem(t, ask(s, "POST", "/v1/forecast", long, "Accept", accept), 503, "not done after 1ns")
	}
	problem(t, ask(s, "POST", "/v1/scenario", `{`+small+`,"returns":[0]}`), 503, "not done")
	problem(t, ask(s, "POST", "/v1/chat", `{"line":"forecast"}`), 503, "not done")
}

func TestTheSameBytesUnderLoad(t *testing.T) {
	const clients = 40
	r := start(t, func(c *Config) { c.Limits.Concurrent, c.Limits.Wait = clients, time.Hour })
	bodies := map[string]string{}
	for i := range clients {
		body := fmt.Sprintf(`{"asset":"SYN-0%d","horizon":%d,"paths":%d,"seed":%d,"return_paths":true}`, 1+i%3, 3+i%7, 5+3*(i%5), i)
		status, text := r.full(t, "/v1/forecast", body) // alone
		if status != 200 {
			t.Fatal(text)
		}
		bodies[body] = text
	}
	var wait sync.WaitGroup
	for body, want := range bodies {
		wait.Go(func() {
			for i := range 2 {
				ctx, cancel := context.WithCancel(t.Context())
				if i == 0 { // and leaves
					go func() {
						runtime.Gosched()
						cancel()
					}()
				}
				w, err := r.post(ctx, "/v1/forecast", body)
				if err == nil {
					var text []byte
					text, err = io.ReadAll(w.Body)
					w.Body.Close()
					if err == nil && i != 0 && (w.StatusCode != 200 || string(text) != want) {
						t.Errorf("%s: status %d under load\n%s\nalone\n%s", body, w.StatusCode, text, want)
					}
				}
				if err != nil && i != 0 {
					t.Errorf("%s: %v", body, err)
				}
				cancel()
			}
		})
	}
	wait.Wait()
	until(t, "something is still computed", func() bool { return r.computing() == 0 })
}

func TestClientsThatAreSlowToAskAreCut(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Header, c.Limits.Read = time.Second, time.Second })
	var wait sync.WaitGroup
	for name, text := range map[string]string{
		"nothing":                  "",
		"half a header":            "POST /v1/forecast HTTP/1.1\r\nHost: localh",
		"half a body":              "POST /v1/forecast HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
		"a body that nobody reads": "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
	} {
		wait.Go(func() {
			c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := io.WriteString(c, text); err != nil {
				t.Error(err)
			}
			answer, err := io.ReadAll(c) // ends when the server cuts
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: %v", name, err)
			}
			if want := "408 Request Timeout"; name == "half a body" && !strings.Contains(string(answer), want) {
				t.Errorf("%s: %q, want %s", name, answer, want)
			}
		})
	}
	wait.Wait()
}

func TestClientsThatTakeNothingAreCut(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Write = 50 * time.Millisecond })
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.(*net.TCPConn).SetReadBuffer(4 << 10)
	// The answers are larger than what buffers on the way hold, and so the
	// connection has an end, though the client reads none of them.
	until(t, "the client is not cut", func() bool {
		_, err := io.WriteString(c, strings.Repeat("GET /v1/candles?asset=SYN-01 HTTP/1.1\r\nHost: localhost\r\n\r\n", 20))
		return err != nil
	})
}

// deadlines is a connection of which only the time to read it is known.
type deadlines struct {
	http.ResponseWriter
	read time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = t
	return nil
}

func TestTheTimeToReadEndsWhenARequestIsComputed(t *testing.T) {
	s := newServer(t, nil)
	q := httptest.NewRequest("POST", "http://localhost/v1/explain", strings.NewReader(`{"asset":"SYN-01"}`))
	w := httptest.NewRecorder()
	d := &deadlines{w, time.Unix(1, 0)}
	s.Handler().ServeHTTP(d, q)
	if w.Code != 200 || !d.read.IsZero() {
		t.Errorf("status %d: after %v the connection counts as broken", w.Code, d.read)
	}
}

func TestShutdownDrains(t *testing.T) {
	before := runtime.NumGoroutine()
	r := start(t, func(c *Config) { c.Limits.Drain = time.Hour })
	done := make(chan string, 1)
	go func() {
		w, err := r.post(context.Background(), "/v1/forecast", `{"asset":"SYN-01","horizon":50,"paths":320}`, "Accept", "text/event-stream")
		if err != nil {
			done <- err.Error()
			return
		}
		defer w.Body.Close()
		all := events(t, w.Body)
		done <- all[len(all)-1].name
	}()
	until(t, "nobody computes", func() bool { return r.computing() == 1 })
	if err := r.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if got := <-done; got != "done" {
		t.Errorf("the running request ends with %s", got)
	}
	if _, err := r.post(t.Context(), "/v1/forecast", `{`+small+`}`); err == nil {
		t.Error("a server that was stopped answers")
	}
	until(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	r := start(t, func(c *Config) { c.Limits.Drain = time.Millisecond })
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() {
			if w, err := r.post(context.Background(), "/v1/forecast", long, "Accept", "text/event-stream"); err == nil {
				io.Copy(io.Discard, w.Body)
				w.Body.Close()
			}
		})
	}
	until(t, "nobody computes", func() bool { return r.computing() == 5 })
	if err := r.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if n := r.computing(); n != 0 {
		t.Errorf("%d requests are still computed", n)
	}
	wait.Wait()
	until(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

func TestFailuresAreLoggedAndNotShown(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	err := s.compute(t.Context(), func(context.Context) error { return fmt.Errorf("disk /dev/secret is on fire") })
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(log.String(), "secret") {
		t.Errorf("error %v, log %s", err, &log)
	}
}
