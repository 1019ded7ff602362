package server

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/micro-quant/mqc/runs"
)

// posts are the endpoints that take a body.
var posts = []string{"/v1/forecast", "/v1/scenario", "/v1/probability", "/v1/analogues", "/v1/explain", "/v1/compare", "/v1/chat"}

// checkAnswer wants an answer or a problem that is the client's.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, asked string) {
	t.Helper()
	if w.Code >= 500 || w.Code < 200 || w.Code > 200 && w.Code < 400 {
		t.Errorf("%s: status %d: %s", asked, w.Code, w.Body)
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s: status %d, no JSON: %q", asked, w.Code, w.Body)
	}
}

func FuzzRequests(f *testing.F) {
	s := newServer(f, func(c *Config) { c.Limits.Horizon, c.Limits.Paths, c.Limits.Body = 6, 20, 4096 })
	for i, body := range []string{
		`{` + small + `,"seed":7,"temperature":0.5,"top_k":3,"top_p":0.9,"return_paths":true,"as_of":"2005-12-30"}`,
		`{"model":"calibrated",` + small + `,"returns":[-0.05,0.01]}`,
		`{` + small + `,"above":100,"below":1e300}`,
		`{"asset":"SYN-02","window":10,"horizon":4,"count":3,"as_of":"2006-01-30T00:00:00Z"}`,
		`{"asset":"SYN-03","count":5}`,
		`{` + small + `,"baseline":"random walk"}`,
		`{"line":"what if -8% tomorrow, then flat paths 9","state":{"horizon":"3d","seed":0}}`,
		`{"csv":"date,open,high,low,close\n2024-01-02,1,2,0.5,1\n2024-01-03,1,2,0.5,1\n2024-01-04,1e300,2e300,1e-300,1e300\n","horizon":5,"paths":20}`,
		`{` + small + `,"closes":[1e-10,1e300]}`,
		`[{"asset":[]}]`,
	} {
		f.Add(uint8(i), []byte(body))
	}
	f.Fuzz(func(t *testing.T, endpoint uint8, body []byte) {
		path := posts[int(endpoint)%len(posts)]
		checkAnswer(t, ask(s, "POST", path, string(body)), path)
	})
}

func FuzzCandleQuery(f *testing.F) {
	s := newServer(f, nil)
	f.Add("SYN-01", "2005-01-03", "2006-01-03T12:00:00+02:00", "10")
	f.Add("../SYN-01", "0000-00-00", "9999-12-31", "-1")
	f.Add("", "", "", "")
	f.Fuzz(func(t *testing.T, asset, from, to, limit string) {
		q := url.Values{"asset": {asset}, "from": {from}, "to": {to}, "limit": {limit}}
		checkAnswer(t, ask(s, "GET", "/v1/candles?"+q.Encode(), ""), q.Encode())
	})
}

func FuzzEvidenceQuery(f *testing.F) {
	folder := f.TempDir()
	r, err := runs.Open(folder)
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Start(runs.Run{Stage: "pretrain"}); err != nil {
		f.Fatal(err)
	}
	s := newServer(f, func(c *Config) { c.Registry, c.Folder = folder, folder })
	f.Add("1", "0", "10000", "plain", "json")
	f.Add("../1", "-1", "0", "../../plain", "html")
	f.Add("9223372036854775808", "9223372036854775807", "", "", "")
	f.Fuzz(func(t *testing.T, id, after, limit, model, format string) {
		if id == "" || id == "." || id == ".." {
			return // another path, to which a client is sent
		}
		q := url.Values{"after": {after}, "limit": {limit}}
		checkAnswer(t, ask(s, "GET", "/v1/runs/"+url.PathEscape(id)+"/events?"+q.Encode(), ""), id+"?"+q.Encode())
		q = url.Values{"model": {model}, "format": {format}}
		checkAnswer(t, ask(s, "GET", "/v1/report?"+q.Encode(), ""), q.Encode())
	})
}
