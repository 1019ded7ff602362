package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// policy lets a page of ours use what this server sends, and nothing else: no
// script, style or image of another host, and no script within a page.
const policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// guard checks who asks before next answers.
func (s *Server) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.busy.RLock()
		defer s.busy.RUnlock()
		began := time.Now()
		c := &client{ResponseWriter: w, control: http.NewResponseController(w), timeout: s.config.Limits.Write}
		r = r.WithContext(context.WithValue(r.Context(), controlKey{}, c.control))
		defer func() { s.metrics.answered(r.Pattern, c.status, time.Since(began)) }()
		h := c.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.hostAllowed(r):
			refuse(c, http.StatusMisdirectedRequest, "this server answers requests to this machine by its own names alone; mqc serve --insecure answers others")
		case origin.Check(r) != nil:
			refuse(c, http.StatusForbidden, "a page of another site may not ask here")
		case needsToken(r.URL.Path) && !s.tokenRight(r):
			h.Set("WWW-Authenticate", `Bearer realm="mqc"`)
			refuse(c, http.StatusUnauthorized, "want the header Authorization: Bearer TOKEN with the token that the server was started with")
		default:
			next.ServeHTTP(c, r)
		}
	})
}

// hostAllowed keeps pages of other sites out whose name resolves to this machine.
func (s *Server) hostAllowed(r *http.Request) bool {
	if s.config.AnyHost || s.config.Token != "" {
		return true
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return isLoopback(strings.Trim(host, "[]"))
}

// needsToken is false for pages without data.
func needsToken(path string) bool {
	switch path {
	case "/", "/docs", "/openapi.json", "/healthz":
		return false
	}
	return !strings.HasPrefix(path, "/web/")
}

// tokenRight compares in a time that tells nothing of the token.
func (s *Server) tokenRight(r *http.Request) bool {
	if s.config.Token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(hash[:], s.tokenHash[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// refuse answers with a problem (RFC 9457).
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	text, err := json.Marshal(huma.NewError(status, detail))
	if err != nil {
		panic(err) // strings
	}
	w.Write(append(text, '\n'))
}

// controlKey is that of the *http.ResponseController of a request.
type controlKey struct{}

// begin ends the time that a request had to be read: it is. Without that, its end
// would look like that of the connection.
func begin(ctx context.Context) {
	if c, ok := ctx.Value(controlKey{}).(*http.ResponseController); ok {
		c.SetReadDeadline(time.Time{}) // a recorder of tests has none
	}
}

// client is a ResponseWriter that cuts those who do not take what is sent.
type client struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	status  int
}

// piece is what must go out within a timeout.
const piece = 32 << 10

func (c *client) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *client) Write(p []byte) (n int, err error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	for {
		c.control.SetWriteDeadline(time.Now().Add(c.timeout)) // a recorder of tests has none
		m, err := c.ResponseWriter.Write(p[n:min(n+piece, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// Unwrap is for [http.ResponseController].
func (c *client) Unwrap() http.ResponseWriter { return c.ResponseWriter }
