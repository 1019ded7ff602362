package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/report"
)

// cardPolicy is that of a report card as a page: its style is within it, and nothing
// else is. A page of ours may frame it.
const cardPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// Bounds of the search for report cards.
const (
	maxCard    = 32 << 20 // bytes
	maxEntries = 20_000   // files and folders
)

// cards finds report cards in a folder and in the folders in it.
type cards struct {
	folder string
	log    *slog.Logger

	mu   sync.Mutex
	seen map[string]seenFile // by path
}

// seenFile is what a file held when it was read.
type seenFile struct {
	size     int64
	modified time.Time
	models   []string // SHA-256 of the models of the card; none: it is no card
}

func newCards(folder string, log *slog.Logger) *cards {
	return &cards{folder: folder, log: log, seen: map[string]seenFile{}}
}

// errEnough ends a search.
var errEnough = errors.New("enough")

// find returns the newest card that reports on the checkpoint of a hash, nil where
// there is none. Files are read that are new or have changed; what is no card is
// passed over, and the log says why where it was meant to be one.
func (c *cards) find(hash string) (*report.Card, error) {
	if c.folder == "" {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	there, visited := map[string]seenFile{}, 0
	err := filepath.WalkDir(c.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == c.folder {
				return err
			}
			c.log.Warn("report cards are not looked for", "path", path, "error", err)
			return fs.SkipDir
		}
		if visited++; visited > maxEntries {
			c.log.Warn("report cards are not looked for beyond so many files", "folder", c.folder, "files", maxEntries)
			return errEnough
		}
		hidden := strings.HasPrefix(d.Name(), ".") && path != c.folder
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case hidden || !d.Type().IsRegular() || !strings.EqualFold(filepath.Ext(path), ".json"):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		f, known := c.seen[path]
		if !known || f.size != info.Size() || !f.modified.Equal(info.ModTime()) {
			f = seenFile{size: info.Size(), modified: info.ModTime()}
			if card, err := readCard(path); err == nil {
				for _, m := range card.Models {
					f.models = append(f.models, m.SHA256)
				}
			} else if !errors.Is(err, report.ErrNoCard) {
				c.log.Warn("report card passed over", "path", path, "error", err)
			}
		}
		there[path] = f
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("server: report cards: %w", err)
	}
	c.seen = there
	var newest string
	for path, f := range there {
		if !slices.Contains(f.models, hash) {
			continue
		}
		if n := there[newest]; newest == "" || f.modified.After(n.modified) || f.modified.Equal(n.modified) && path < newest {
			newest = path
		}
	}
	if newest == "" {
		return nil, nil
	}
	return readCard(newest)
}

// readCard reads a card that is not too large.
func readCard(path string) (*report.Card, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCard {
		return nil, fmt.Errorf("%d bytes: a card has at most %d", info.Size(), maxCard)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	card, err := report.Read(text)
	if err != nil {
		return nil, err
	}
	// The folders of this machine are nobody's business.
	card.Data.Path = withoutFolders(card.Data.Path)
	for i := range card.Data.Assets {
		card.Data.Assets[i].Path = withoutFolders(card.Data.Assets[i].Path)
	}
	for i := range card.Models {
		card.Models[i].Path = withoutFolders(card.Models[i].Path)
	}
	for i := range card.Commands {
		card.Commands[i] = withoutFolders(card.Commands[i])
	}
	return card, nil
}

// reportQuery asks for the report card of a model.
type reportQuery struct {
	Model  string `query:"model" maxLength:"255" doc:"name of a model, as /v1/models has it; empty: the first of them"`
	Format string `query:"format" enum:"json,html" default:"json" doc:"html is a page without scripts"`
}

// getReport registers the endpoint of the evidence.
func (s *Server) getReport() {
	op := huma.Operation{
		Method: http.MethodGet, Path: "/v1/report", OperationID: "get-report",
		Summary: "The report card of a model: what it has seen, how it scored beside the baselines, and a verdict in words",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, Description: "what mqc report --out report.json writes"}},
			"text/html":        {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
		Errors: []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests},
	}
	huma.Register(s.api, op, func(ctx context.Context, q *reportQuery) (*huma.StreamResponse, error) {
		text, kind := []byte(nil), "application/json"
		err := s.compute(ctx, func(context.Context) (err error) {
			card, err := s.cardOf(q.Model)
			if err != nil {
				return err
			}
			if q.Format == "html" {
				kind = "text/html; charset=utf-8"
				text, err = card.HTML()
				return err
			}
			text, err = json.Marshal(card)
			text = append(text, '\n')
			return err
		})
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			c.SetHeader("Content-Type", kind)
			if q.Format == "html" {
				c.SetHeader("Content-Security-Policy", cardPolicy)
			}
			bytes.NewReader(text).WriteTo(c.BodyWriter())
		}}, nil
	})
}

// cardOf is the newest card of a model.
func (s *Server) cardOf(name string) (*report.Card, error) {
	models := s.config.Models
	if name == "" {
		name = models[0].Name
	}
	i := slices.IndexFunc(models, func(m api.Model) bool { return m.Name == name })
	if i < 0 {
		return nil, huma.Error404NotFound(fmt.Sprintf("no model %q: GET /v1/models lists them", name))
	}
	m := models[i]
	card, err := s.cards.find(m.Bundle.Hash)
	if err != nil {
		return nil, err
	}
	if card == nil {
		return nil, huma.Error404NotFound(fmt.Sprintf(
			"no report card of %s (SHA-256 %s) beside the checkpoints: make one there with mqc report --checkpoint FILE --data DIR --out RUNS/report.json", name, m.Bundle.Hash))
	}
	return card, nil
}
