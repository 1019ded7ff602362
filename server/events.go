package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/micro-quant/mqc/api"
)

// writeEvent writes one event of a stream (WHATWG HTML, section 9.2), with a value as
// JSON. Nothing is written where it has none.
func writeEvent(to *bytes.Buffer, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(to, "event: %s\ndata: %s\n\n", name, data)
	return nil
}

// forecastEvents answers with a stream of events. What fails before the first is an
// answer of its own, later on an event.
func (s *Server) forecastEvents(c huma.Context, r api.ForecastRequest) {
	_, w := humago.Unwrap(c)
	begun := false
	send := func(name string, v any) error {
		var event bytes.Buffer
		if err := writeEvent(&event, name, v); err != nil {
			return err
		}
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
		}
		if _, err := w.Write(event.Bytes()); err != nil {
			return fmt.Errorf("server: %w: %w", errGone, err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return fmt.Errorf("server: %w: %w", errGone, err)
		}
		return nil
	}
	err := s.compute(c.Context(), func(ctx context.Context) error {
		out, err := s.service.Forecast(ctx, r, func(p api.Progress) error { return send("steps", p) })
		if err != nil {
			return err
		}
		return send("done", out)
	})
	var status huma.StatusError
	switch {
	case err == nil:
	case begun && errors.As(err, &status):
		send("error", status) // whether or not anybody listens
	case errors.As(err, &status):
		var headers huma.HeadersError
		if errors.As(err, &headers) {
			for name, values := range headers.GetHeaders() {
				w.Header()[name] = values
			}
		}
		refuse(w, status.GetStatus(), status.Error())
	}
}

// errGone says that a client takes no more.
var errGone = errors.New("the client is gone")
