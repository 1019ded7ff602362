package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	pathpkg "path"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/micro-quant/mqc/api"
)

// routes are all endpoints, behind the guard.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("mqc", s.config.Version)
	config.Info.Description = "Distributions of candles to come. Errors are problems after RFC 9457. The same request with the same seed has the same answer."
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.RejectUnknownQueryParameters = true
	if s.config.Token != "" {
		config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
		config.Security = []map[string][]string{{"token": {}}}
	}
	s.api = humago.New(mux, config)

	get(s, "/v1/assets", "Assets, with what the server has of each", s.service.Assets)
	get(s, "/v1/candles", "Candles of an asset", s.service.Candles)
	get(s, "/v1/models", "Models, with what each has seen, and the baselines", s.models)
	get(s, "/v1/runs", "Training runs that were recorded", s.listRuns)
	s.getEvents()
	s.getReport()
	s.postForecast()
	post(s, "/v1/scenario", "What if: the distribution given the first returns to come, beside the unconditional one", s.service.Scenario)
	post(s, "/v1/probability", "How likely a close beyond, or between, prices is", s.service.Probability)
	post(s, "/v1/analogues", "Stretches of the past that resemble the newest candles, and what followed", s.service.Analogues)
	post(s, "/v1/explain", "The likeliest next tokens, as candles", s.service.Explain)
	post(s, "/v1/compare", "The forecast of a baseline beside that of the model", s.service.Compare)
	get(s, "/v1/chat", "What lines of a conversation may say", s.vocabulary)
	post(s, "/v1/chat", "A line of a conversation, answered in words, with the request that it stands for and its answer", s.chat)

	mux.Handle("GET /docs", s.docs())
	mux.Handle("GET /metrics", s.metrics.handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	})
	page(mux)
	return s.guard(withProblems(mux))
}

// withProblems answers requests that no pattern matches with problems, as all others.
func withProblems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		only := &statusOnly{header: w.Header(), status: http.StatusOK}
		h.ServeHTTP(only, r)
		if only.status == http.StatusMethodNotAllowed {
			refuse(w, only.status, fmt.Sprintf("%s is asked by %s", r.URL.Path, w.Header().Get("Allow")))
			return
		}
		refuse(w, http.StatusNotFound, "no such endpoint: /docs lists them")
	})
}

// statusOnly takes headers and status of an answer, and leaves its text.
type statusOnly struct {
	header http.Header
	status int
}

func (o *statusOnly) Header() http.Header         { return o.header }
func (o *statusOnly) WriteHeader(status int)      { o.status = status }
func (o *statusOnly) Write(p []byte) (int, error) { return len(p), nil }

// get registers an endpoint that reads what the server has.
func get[I, O any](s *Server, path, summary string, f func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, huma.Operation{
		Method: http.MethodGet, Path: path, OperationID: "get-" + pathpkg.Base(path), Summary: summary,
		Errors: []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, input *I) (*answer[O], error) {
		out, err := f(ctx, input)
		return &answer[O]{Body: out}, s.problem(err)
	})
}

type answer[O any] struct{ Body *O }

type question[I any] struct{ Body I }

// post registers an endpoint that computes.
func post[I, O any](s *Server, path, summary string, f func(context.Context, I) (*O, error)) {
	huma.Register(s.api, operation[O](s, path, summary), func(ctx context.Context, in *question[I]) (*huma.StreamResponse, error) {
		return respond(s, ctx, in.Body, f)
	})
}

// operation is one that computes an answer O.
func operation[O any](s *Server, path, summary string) huma.Operation {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[O](), true, "")
	return huma.Operation{
		Method: http.MethodPost, Path: path, OperationID: "post-" + pathpkg.Base(path), Summary: summary,
		MaxBodyBytes: s.config.Limits.Body, BodyReadTimeout: s.config.Limits.Read,
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}},
		Errors: []int{
			http.StatusUnauthorized, http.StatusNotFound, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
			http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable,
		},
	}
}

// respond computes an answer as a whole before its first byte is sent.
func respond[I, O any](s *Server, ctx context.Context, in I, f func(context.Context, I) (*O, error)) (*huma.StreamResponse, error) {
	var text []byte
	err := s.compute(ctx, func(ctx context.Context) error {
		out, err := f(ctx, in)
		if err != nil {
			return err
		}
		text, err = json.Marshal(out)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/json")
		c.BodyWriter().Write(append(text, '\n'))
	}}, nil
}

// postForecast registers the endpoint that answers with JSON or with events.
func (s *Server) postForecast() {
	op := operation[api.Forecast](s, "/v1/forecast", "The distribution of the candles to come; as a stream of events where the client accepts text/event-stream")
	op.Description = "Events: steps, after each chunk of paths, with the quantiles of all so far; done, with what the JSON answer is; error, with a problem."
	op.Responses["200"].Content["text/event-stream"] = &huma.MediaType{
		Schema: &huma.Schema{Type: huma.TypeString, Description: "events steps (Progress), done (Forecast), error (ErrorModel)"},
	}
	s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Progress](), true, "")
	type input struct {
		Accept string `header:"Accept"`
		Body   api.ForecastRequest
	}
	huma.Register(s.api, op, func(ctx context.Context, in *input) (*huma.StreamResponse, error) {
		if acceptsEvents(in.Accept) {
			return &huma.StreamResponse{Body: func(c huma.Context) { s.forecastEvents(c, in.Body) }}, nil
		}
		return respond(s, ctx, in.Body, func(ctx context.Context, r api.ForecastRequest) (*api.Forecast, error) {
			return s.service.Forecast(ctx, r, nil)
		})
	})
}

func (s *Server) models(context.Context, *struct{}) (*api.ModelList, error) {
	return s.service.Models(), nil
}
