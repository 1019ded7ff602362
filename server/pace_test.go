package server

import (
	"net/http"
	"testing"
	"time"
)

func TestPaceBoundsTheWait(t *testing.T) {
	p := pace{most: 3 * time.Second}
	now := time.Unix(0, 0)
	in := func(want bool) time.Duration {
		t.Helper()
		again, ok := p.enter(now)
		if ok != want {
			t.Fatalf("at %v with %d inside and %v between answers: let in %v, want %v", now.Unix(), p.inside, p.between, ok, want)
		}
		return again
	}
	// Nothing is known yet: nobody is refused.
	for range 20 {
		in(true)
	}
	for range 20 {
		now = now.Add(time.Second)
		p.leave(now, true)
	}
	if p.between != time.Second {
		t.Fatalf("%v between answers that came every second", p.between)
	}
	in(true)
	in(true)
	in(true)
	if again := in(false); again != 3*time.Second { // four would take four seconds
		t.Errorf("again after %v, want 3s", again)
	}
	// What is given up makes room and tells nothing.
	p.leave(now, false)
	in(true)
	in(false)
	// Faster answers let more in.
	for range 100 {
		now = now.Add(100 * time.Millisecond)
		p.leave(now, true)
		in(true)
	}
	for p.inside < 29 {
		in(true)
	}
	in(false)
	for p.inside > 0 {
		p.leave(now, false)
	}
	// Two are let in however long they take.
	for range 30 {
		in(true)
		now = now.Add(time.Hour)
		p.leave(now, true)
	}
	in(true)
	in(true)
	in(false)
}

func TestARequestThatWouldWaitTooLongIsRefused(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Wait = time.Second })
	if w := ask(s, "POST", "/v1/explain", `{"asset":"SYN-01"}`); w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	s.pace.between, s.pace.inside = 800*time.Millisecond, 2
	w := ask(s, "POST", "/v1/forecast", `{`+small+`}`)
	problem(t, w, 429, "would wait")
	if got := w.Header().Get("Retry-After"); got != "2" { // two of 800 ms
		t.Errorf("Retry-After %q, want 2", got)
	}
	s.pace.inside = 1
	if w := ask(s, "POST", "/v1/forecast", `{`+small+`}`); w.Code != http.StatusOK {
		t.Errorf("one of two: status %d: %s", w.Code, w.Body)
	}
	if s.pace.inside != 1 {
		t.Errorf("%d requests are inside, want the one that was", s.pace.inside)
	}
}
