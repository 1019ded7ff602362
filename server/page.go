package server

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"
)

// web is the page as it is served: no step builds it.
//
//go:embed web
var web embed.FS

// contentTypes are by ending: those of the machine may be wrong, and a browser runs
// no module of another type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// page serves the files of the page, at / and under /web/. A browser keeps them and
// asks each time whether they are still the same.
func page(mux *http.ServeMux) {
	err := fs.WalkDir(web, "web", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := web.ReadFile(name)
		if err != nil {
			return err
		}
		kind, ok := contentTypes[path.Ext(name)]
		if !ok {
			kind = "text/plain; charset=utf-8"
		}
		hash := sha256.Sum256(text)
		tag := `"` + hex.EncodeToString(hash[:16]) + `"`
		pattern := "GET /" + name
		if name == "web/index.html" {
			pattern = "GET /{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", kind)
			h.Set("Cache-Control", "no-cache")
			h.Set("ETag", tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
		})
		return nil
	})
	if err != nil {
		panic(err) // it is embedded
	}
}
