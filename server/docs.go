package server

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

// docs is a page about the endpoints that needs no script.
func (s *Server) docs() http.Handler {
	type endpoint struct {
		Method, Path string
		*huma.Operation
	}
	var endpoints []endpoint
	api := s.api.OpenAPI()
	for path, item := range api.Paths {
		for method, op := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post} {
			if op != nil {
				endpoints = append(endpoints, endpoint{method, path, op})
			}
		}
	}
	slices.SortFunc(endpoints, func(a, b endpoint) int {
		return cmp.Or(cmp.Compare(a.Method, b.Method), cmp.Compare(a.Path, b.Path))
	})
	type field struct {
		Name, Type, Doc string
		Default         any
		Required        bool
	}
	fieldsOf := func(op *huma.Operation) (fields []field) {
		for _, p := range op.Parameters {
			if p.In == "query" {
				fields = append(fields, field{p.Name, p.Schema.Type, p.Description, p.Schema.Default, p.Required})
			}
		}
		if op.RequestBody == nil {
			return fields
		}
		body := op.RequestBody.Content["application/json"].Schema
		if body.Ref != "" {
			body = api.Components.Schemas.SchemaFromRef(body.Ref)
		}
		for name, p := range body.Properties {
			fields = append(fields, field{name, cmp.Or(p.Type, huma.TypeObject), p.Description, p.Default, slices.Contains(body.Required, name)})
		}
		slices.SortFunc(fields, func(a, b field) int { return cmp.Compare(a.Name, b.Name) })
		return fields
	}
	page := template.Must(template.New("docs.html").Funcs(template.FuncMap{"fields": fieldsOf}).Parse(docsPage))
	var text bytes.Buffer
	if err := page.Execute(&text, map[string]any{"Endpoints": endpoints, "Limits": s.config.Limits, "Token": s.config.Token != ""}); err != nil {
		panic(err) // template and data are ours
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(text.Bytes())
	})
}
