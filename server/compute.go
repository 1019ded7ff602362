package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/api"
)

// compute runs f, with the time that a request has, if not too many run, nor so many
// that it would wait too long.
func (s *Server) compute(ctx context.Context, f func(context.Context) error) (err error) {
	again, ok := s.pace.enter(time.Now())
	if !ok {
		s.metrics.refused.Inc()
		return tooMany(again, "it would wait longer than %v for those before it: ask again later", s.config.Limits.Wait)
	}
	defer func() { s.pace.leave(time.Now(), err == nil) }()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		s.metrics.refused.Inc()
		return tooMany(time.Second, "%d requests are being computed, as many as this server takes: ask again later", cap(s.slots))
	}
	begin(ctx)
	ctx, cancel := context.WithTimeout(ctx, s.config.Limits.Compute)
	defer cancel()
	return s.problem(f(ctx))
}

// tooMany refuses a request that may be asked again after a time, in whole seconds.
func tooMany(again time.Duration, format string, args ...any) error {
	return huma.ErrorWithHeaders(huma.Error429TooManyRequests(fmt.Sprintf(format, args...)),
		http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(again.Seconds())))}})
}

// problem is an error as a client sees it. What is not the client's fault is logged.
func (s *Server) problem(err error) error {
	var known huma.StatusError
	var number *json.UnsupportedValueError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, api.ErrUnknown):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, api.ErrRefused):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.As(err, &number):
		return errRange
	case errors.Is(err, context.DeadlineExceeded):
		return huma.Error503ServiceUnavailable(fmt.Sprintf("not done after %v: ask for fewer paths or a shorter horizon", s.config.Limits.Compute))
	case errors.Is(err, context.Canceled):
		return huma.Error503ServiceUnavailable("the request was given up")
	}
	s.config.Log.Error("request failed", "error", err)
	return huma.Error500InternalServerError("the server failed; its log says how")
}

// errRange says that an answer went where floating-point numbers end.
var errRange = huma.Error422UnprocessableEntity("the answer leaves the range of numbers: ask for a lower temperature, a shorter horizon or smaller moves")

// acceptsEvents is whether a client wants a stream of events.
func acceptsEvents(accept string) bool { return strings.Contains(accept, "text/event-stream") }
