package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/runs"
)

// RunList is an answer of /v1/runs.
type RunList struct {
	Runs []runs.Run `json:"runs" doc:"training runs, the newest first; a checkpoint is named as /v1/models names it"`
}

// RunEvents is an answer of /v1/runs/{id}/events.
type RunEvents struct {
	Run    runs.Run     `json:"run"`
	Events []runs.Event `json:"events" doc:"in the order in which they were recorded"`
}

// eventsQuery asks for the events of a run.
type eventsQuery struct {
	ID     int64  `path:"id" doc:"of the run"`
	After  int    `query:"after" minimum:"0" doc:"events to leave out: those that were read before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"10000" doc:"events at most; a stream has them all"`
	Accept string `header:"Accept"`
	Last   int    `header:"Last-Event-ID" minimum:"0" doc:"number of the last event of a stream that broke off, in place of after"`
}

// Streams of runs.
const (
	pollEvery = 500 * time.Millisecond // how often the registry is looked at
	pollMost  = 1000                   // events that are sent at once
)

// openRegistry opens the registry for reading: a run that began a moment ago is in
// it. It fails with [runs.ErrNone] where there is none.
func (s *Server) openRegistry() (*runs.Registry, error) {
	if s.config.Registry == "" {
		return nil, runs.ErrNone
	}
	return runs.OpenForReading(s.config.Registry)
}

func (s *Server) listRuns(context.Context, *struct{}) (*RunList, error) {
	out := &RunList{Runs: []runs.Run{}}
	r, err := s.openRegistry()
	if errors.Is(err, runs.ErrNone) {
		return out, nil
	}
	if err != nil {
		return nil, s.problem(err)
	}
	defer r.Close()
	list, err := r.List()
	if err != nil {
		return nil, s.problem(err)
	}
	for _, run := range list {
		out.Runs = append(out.Runs, s.shown(run))
	}
	return out, nil
}

// getEvents registers the endpoint that answers with JSON or follows a run.
func (s *Server) getEvents() {
	schemas := s.api.OpenAPI().Components.Schemas
	op := huma.Operation{
		Method: http.MethodGet, Path: "/v1/runs/{id}/events", OperationID: "get-run-events",
		Summary:     "A training run with its events; as a stream that follows it where the client accepts text/event-stream",
		Description: "Events of the stream: run, at first and when its state or its best value changes; event, for each of the run; end, with the run, when it runs no longer.",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json":  {Schema: schemas.Schema(reflect.TypeFor[RunEvents](), true, "")},
			"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString, Description: "events run (Run), event (Event), end (Run)"}},
		}}},
		Errors: []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}
	huma.Register(s.api, op, func(ctx context.Context, q *eventsQuery) (*huma.StreamResponse, error) {
		if q.Last > 0 {
			q.After = q.Last
		}
		r, err := s.openRegistry()
		if errors.Is(err, runs.ErrNone) {
			return nil, errNoRun(q.ID)
		}
		if err != nil {
			return nil, s.problem(err)
		}
		if acceptsEvents(q.Accept) {
			return s.follow(r, q)
		}
		defer r.Close()
		out, err := s.readRun(r, q.ID, q.After, q.Limit)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			c.SetHeader("Content-Type", "application/json")
			json.NewEncoder(c.BodyWriter()).Encode(out)
		}}, nil
	})
}

func errNoRun(id int64) error {
	return huma.Error404NotFound(fmt.Sprintf("no run %d: GET /v1/runs lists them", id))
}

// readRun reads a run before its events, so that those of a run that has ended are
// all there.
func (s *Server) readRun(r *runs.Registry, id int64, after, limit int) (*RunEvents, error) {
	run, err := r.Run(id)
	if errors.Is(err, runs.ErrUnknown) {
		return nil, errNoRun(id)
	}
	if err != nil {
		return nil, s.problem(err)
	}
	events, err := r.Events(id, after, limit)
	if err != nil {
		return nil, s.problem(err)
	}
	if events == nil {
		events = []runs.Event{}
	}
	return &RunEvents{s.shown(run), events}, nil
}

// follow answers with a stream, if not too many are open. It closes r.
func (s *Server) follow(r *runs.Registry, q *eventsQuery) (*huma.StreamResponse, error) {
	select {
	case s.streams <- struct{}{}:
	default:
		r.Close()
		return nil, tooMany(5*time.Second, "%d runs are being followed, as many as this server takes: ask again later, or without text/event-stream", cap(s.streams))
	}
	end := func() {
		r.Close()
		<-s.streams
	}
	first, err := s.readRun(r, q.ID, q.After, pollMost)
	if err != nil {
		end()
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer end()
		_, w := humago.Unwrap(c)
		begin(c.Context())
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		s.sendRun(c.Context(), w, r, q, first)
	}}, nil
}

// sendRun sends events until the run, the client or the server ends.
func (s *Server) sendRun(ctx context.Context, w http.ResponseWriter, r *runs.Registry, q *eventsQuery, now *RunEvents) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	beat := time.NewTicker(s.config.Limits.Write / 2)
	defer beat.Stop()
	control := http.NewResponseController(w)
	var sent runs.Run
	number := q.After
	for {
		var text bytes.Buffer
		send := func(name string, v any) {
			if err := writeEvent(&text, name, v); err != nil {
				panic(err) // numbers and strings that were read from JSON
			}
		}
		if sent.ID == 0 || changed(sent, now.Run) {
			sent = now.Run
			send("run", sent)
		}
		for _, e := range now.Events {
			number++
			fmt.Fprintf(&text, "id: %d\n", number)
			send("event", e)
		}
		more := len(now.Events) == pollMost
		ended := now.Run.State != runs.Running && !more
		if ended {
			send("end", now.Run)
		}
		if text.Len() > 0 {
			beat.Reset(s.config.Limits.Write / 2)
			if _, err := w.Write(text.Bytes()); err != nil || control.Flush() != nil {
				return
			}
		}
		if ended {
			return
		}
		if !more && !s.waitForMore(ctx, w, poll.C, beat.C) {
			return
		}
		var err error
		if now, err = s.readRun(r, q.ID, number, pollMost); err != nil {
			return // it is logged; the client asks again
		}
	}
}

// waitForMore waits for the next look at the registry, with a comment now and then
// so that nobody on the way takes the connection for dead. It reports false when the
// client or the server is about to end.
func (s *Server) waitForMore(ctx context.Context, w http.ResponseWriter, poll, beat <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-stopping(ctx):
			return false
		case <-poll:
			return true
		case <-beat:
			if _, err := w.Write([]byte(":\n\n")); err != nil || http.NewResponseController(w).Flush() != nil {
				return false
			}
		}
	}
}

// changed is whether a client should hear of a run again.
func changed(a, b runs.Run) bool {
	sameBest := a.Best == b.Best || a.Best != nil && b.Best != nil && *a.Best == *b.Best
	return a.State != b.State || a.Message != b.Message || a.Metric != b.Metric || a.BestStep != b.BestStep || !sameBest
}

// shown is a run without the folders of this machine: a checkpoint by the name that
// a model of the folder has, or by its file, and paths of the command line and of
// the message by their last element.
func (s *Server) shown(run runs.Run) runs.Run {
	name := filepath.Base(run.Checkpoint)
	if folder, err := filepath.Abs(s.config.Folder); err == nil && s.config.Folder != "" {
		if inside, err := filepath.Rel(folder, run.Checkpoint); err == nil && filepath.IsLocal(inside) {
			name = filepath.ToSlash(inside)
		}
	}
	run.Checkpoint = api.TrimExt(name)
	run.Command, run.Message = withoutFolders(run.Command), withoutFolders(run.Message)
	return run
}

// folders are the folders of an absolute path within a text.
var folders = regexp.MustCompile(`(^|[\s='",(])(?:[A-Za-z]:)?[/\\](?:[^\s='",:()/\\]+[/\\])*`)

// withoutFolders leaves the last element of absolute paths.
func withoutFolders(text string) string {
	if !strings.ContainsAny(text, `/\`) {
		return text
	}
	return folders.ReplaceAllString(text, "$1")
}
