package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/api/apitest"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/train"
)

func configOf(t testing.TB) Config {
	t.Helper()
	w := apitest.Given(t)
	return Config{Models: w.Models, Series: w.Series, Limits: DefaultLimits(), Version: "test"}
}

func newServer(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	c := configOf(t)
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request without a network.
func ask(s *Server, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// answered wants an answer of status 200 in JSON.
func answered[T any](t testing.TB, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, %s: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

// problem wants an answer after RFC 9457.
func problem(t testing.TB, w *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	var p struct {
		Title, Detail string
		Status        int
		Errors        []struct{ Message, Location string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d, no problem: %q", w.Code, w.Body)
	}
	if w.Code != status || p.Status != status || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d (%s): %s, want %d", w.Code, w.Header().Get("Content-Type"), w.Body, status)
	}
	if !strings.Contains(w.Body.String(), text) {
		t.Errorf("problem %s, want %q in it", w.Body, text)
	}
}

const small = `"asset":"SYN-01","horizon":5,"paths":20`

func TestAssetsAndCandles(t *testing.T) {
	s := newServer(t, nil)
	list := answered[api.AssetList](t, ask(s, "GET", "/v1/assets", "")).Assets
	series := apitest.Given(t).Asset("SYN-02").Candles
	if len(list) != 3 || list[1].Name != "SYN-02" || list[1].Candles != len(series) || !list[1].Last.Equal(series[len(series)-1].Time) || list[1].Interval != "1d" {
		t.Fatalf("%+v", list)
	}
	all := answered[api.CandleList](t, ask(s, "GET", "/v1/candles?asset=SYN-02", ""))
	if all.Total != len(series) || len(all.Candles) != len(series) || all.Candles[7].Close != series[7].Close {
		t.Errorf("%d of %d candles, want %d", len(all.Candles), all.Total, len(series))
	}
	day := func(i int) string { return series[i].Time.Format("2006-01-02") }
	some := answered[api.CandleList](t, ask(s, "GET", "/v1/candles?asset=SYN-02&limit=3&from="+day(10)+"&to="+day(20), ""))
	if some.Total != 11 || len(some.Candles) != 3 || !some.Candles[2].Time.Equal(series[20].Time) {
		t.Errorf("%+v", some)
	}
	at := series[10].Time.Format("2006-01-02T15:04:05Z")
	if one := answered[api.CandleList](t, ask(s, "GET", "/v1/candles?asset=SYN-02&from="+at+"&to="+at, "")); one.Total != 1 {
		t.Errorf("%d candles at %s", one.Total, at)
	}
	if none := answered[api.CandleList](t, ask(s, "GET", "/v1/candles?asset=SYN-02&from=2050-01-01&to=1990-01-01", "")); none.Total != 0 || none.Candles == nil {
		t.Errorf("%+v", none)
	}
	problem(t, ask(s, "GET", "/v1/candles?asset=SYN-09", ""), 404, "no asset")
	problem(t, ask(s, "GET", "/v1/candles", ""), 422, "asset")
	problem(t, ask(s, "GET", "/v1/candles?asset=SYN-02&limit=0", ""), 422, "limit")
	problem(t, ask(s, "GET", "/v1/candles?asset=SYN-02&from=soon", ""), 422, "from")
	problem(t, ask(s, "GET", "/v1/candles?asset=SYN-02&to=01/02/2005", ""), 422, "to")
	problem(t, ask(s, "GET", "/v1/candles?asset=SYN-02&form=2005-01-01", ""), 422, "form")
}

func TestModelsSayWhatTheyHaveSeen(t *testing.T) {
	s := newServer(t, nil)
	list := answered[api.ModelList](t, ask(s, "GET", "/v1/models", ""))
	if list.Default != "plain" || len(list.Models) != 2 || !slices.Contains(list.Baselines, forecast.NamePooledHAR) {
		t.Fatalf("%+v", list)
	}
	m := list.Models[1]
	if m.Name != "calibrated" || !m.Calibrated || len(m.SHA256) != 64 || m.Vocabulary != 16 || m.Window != 16 || !slices.Equal(m.Stages, []string{train.Pretrain}) || len(m.Fit) == 0 || len(m.Selected) == 0 {
		t.Errorf("%+v", m)
	}
}

func TestForecast(t *testing.T) {
	s := newServer(t, nil)
	f := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{`+small+`,"seed":18446744073709551615,"return_paths":true,"as_of":"2005-12-30"}`))
	series := apitest.Given(t).Asset("SYN-01").Candles
	n := 1 + slices.IndexFunc(series, func(c market.Candle) bool { return c.Time.Equal(f.From) })
	if f.From.Format("2006-01-02") > "2005-12-30" || f.LastClose != series[n-1].Close || f.Asset != "SYN-01" || f.Interval != "1d" {
		t.Errorf("%+v", f.About)
	}
	if i := f.Identity; i.Checkpoint != "plain" || i.SHA256 != apitest.Given(t).Model("plain").Bundle.Hash || i.Seed != math.MaxUint64 || i.Version != "test" || i.Config.Horizon != 5 || i.Config.Paths != 20 || i.Config.Sampler.Temperature != 1 || !i.Config.AsOf.Equal(f.From) {
		t.Errorf("%+v", i)
	}
	if len(f.Steps) != 5 || len(f.Closes) != 20 || len(f.Realised) != 5 || f.Calibrated || f.Steps[0].Intervals != nil {
		t.Fatalf("%d steps, %d paths, %d realised", len(f.Steps), len(f.Closes), len(f.Realised))
	}
	if f.Realised[0].Close != series[n].Close || !f.Realised[0].Time.Equal(series[n].Time) {
		t.Errorf("realised %+v, want %+v", f.Realised[0], series[n])
	}
	for _, step := range f.Steps {
		if len(step.Quantiles) != len(api.Levels) || !slices.IsSorted(step.Quantiles) || step.PUp < 0 || step.PUp > 1 {
			t.Errorf("%+v", step)
		}
	}
	if d := f.Density; d == nil || len(d.Quantiles) != len(api.Levels) || !slices.IsSorted(d.Quantiles) || !(d.PUp > 0 && d.PUp < 1) || d.Temperature != 1 {
		t.Errorf("%+v", f.Density)
	}
	// The same paths as the library draws.
	known := *apitest.Given(t).Asset("SYN-01")
	known.Candles = series[:n]
	want, err := forecast.New(t.Context(), apitest.Given(t).Model("plain").Bundle, &known, forecast.Options{Horizon: 5, Samples: 20, Seed: math.MaxUint64, Sampler: gpt.Sampler{Temperature: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range want.Paths {
		for h, c := range p.Candles {
			if f.Closes[i][h] != c.Close {
				t.Fatalf("path %d, step %d closes at %v, want %v", i, h, f.Closes[i][h], c.Close)
			}
		}
	}
	// Without paths, and defaults.
	d := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{"asset":"SYN-01"}`))
	if len(d.Steps) != 32 || d.Identity.Config.Paths != 256 || d.Identity.Seed != 1 || d.Closes != nil || d.Realised == nil || len(d.Realised) != 0 {
		t.Errorf("%+v", d.Identity)
	}
}

func TestForecastOfACalibratedModel(t *testing.T) {
	s := newServer(t, nil)
	f := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{"model":"calibrated",`+small+`}`))
	c := apitest.Given(t).Model("calibrated").Bundle.Calibration
	if !f.Calibrated || len(f.Steps[4].Intervals) != len(forecast.NominalLevels) || f.Density.Temperature != c.Temperature || f.Identity.Config.Temperature != c.Temperature {
		t.Errorf("%+v %+v", f.Identity.Config, f.Steps[4])
	}
	// Intervals are those of paths drawn as they were calibrated.
	for _, other := range []string{`"temperature":0`, `"temperature":0.9`, `"top_k":3`, `"top_p":0.5`} {
		f := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{"model":"calibrated",`+small+`,`+other+`}`))
		if f.Calibrated || f.Steps[0].Intervals != nil {
			t.Errorf("%s: calibrated", other)
		}
	}
}

func TestAsOfHidesWhatCameLater(t *testing.T) {
	s := newServer(t, nil)
	const n = 300 // of 400, before validation begins: baselines, too, are fitted on what is known
	whole := apitest.Given(t).Asset("SYN-01")
	day := whole.Candles[n-1].Time.Format("2006-01-02")
	cut := newServer(t, func(c *Config) {
		c.Series = slices.Clone(c.Series)
		for i, series := range c.Series {
			short := *series
			short.Candles = series.Candles[:n]
			c.Series[i] = &short
		}
	})
	for path, body := range map[string]string{
		"/v1/forecast":    `{` + small + `%s}`,
		"/v1/scenario":    `{` + small + `,"returns":[-0.05]%s}`,
		"/v1/probability": `{` + small + `,"above":100%s}`,
		"/v1/explain":     `{"asset":"SYN-01"%s}`,
		"/v1/analogues":   `{"asset":"SYN-01","horizon":5%s}`,
		"/v1/compare":     `{` + small + `,"baseline":"GARCH-t"%s}`,
	} {
		hidden := ask(s, "POST", path, fmt.Sprintf(body, `,"as_of":"`+day+`"`))
		unknown := ask(cut, "POST", path, fmt.Sprintf(body, ""))
		strip := func(w *httptest.ResponseRecorder) string {
			v := answered[map[string]any](t, w)
			delete(v, "realised")
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		if a, b := strip(hidden), strip(unknown); a != b {
			t.Errorf("%s: as of %s\n%s\nwithout later candles\n%s", path, day, a, b)
		}
	}
}

func TestFlagsOfWhatWasSeen(t *testing.T) {
	s := newServer(t, nil)
	split := apitest.Given(t).Model("plain").Bundle.Split
	for _, c := range []struct {
		asOf               string
		inFit, inSelection bool
	}{
		{split.ValFrom.AddDate(0, 0, -30).Format("2006-01-02"), true, false},
		{split.ValFrom.Format("2006-01-02"), false, true},
		{split.TestFrom.Format("2006-01-02"), false, false},
		{"", false, false},
	} {
		e := answered[api.Explain](t, ask(s, "POST", "/v1/explain", `{"asset":"SYN-01","as_of":"`+c.asOf+`"}`))
		if e.InFit != c.inFit || e.InSelected != c.inSelection {
			t.Errorf("as of %q: in_fit %v, in_selected %v", c.asOf, e.InFit, e.InSelected)
		}
	}
}

func TestScenario(t *testing.T) {
	s := newServer(t, nil)
	a := answered[api.Scenario](t, ask(s, "POST", "/v1/scenario", `{`+small+`,"returns":[-0.08,0],"return_paths":true}`))
	if len(a.Given) != 2 || len(a.Conditional.Closes) != 20 || !(a.Effective >= 1 && a.Effective <= 20) || a.Conditional.Calibrated {
		t.Errorf("%+v", a)
	}
	for _, closes := range a.Conditional.Closes {
		if want := a.LastClose * math.Exp(-.08); math.Abs(closes[1]/want-1) > 1e-9 {
			t.Fatalf("closes at %v, want %v", closes[1], want)
		}
	}
	f := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{`+small+`}`))
	if !slices.EqualFunc(a.Unconditional.Steps, f.Steps, func(a, b forecast.Step) bool { return slices.Equal(a.Quantiles, b.Quantiles) }) {
		t.Error("the unconditional fan is not that of a forecast")
	}
	// Closes are returns.
	b := answered[api.Scenario](t, ask(s, "POST", "/v1/scenario", fmt.Sprintf(`{%s,"closes":[%v,%v]}`, small, a.LastClose*math.Exp(-.08), a.LastClose*math.Exp(-.08))))
	if math.Abs(a.Surprise-b.Surprise) > 1e-6 {
		t.Errorf("surprise %v by returns, %v by closes", a.Surprise, b.Surprise)
	}
	// A larger move is a larger surprise.
	if c := answered[api.Scenario](t, ask(s, "POST", "/v1/scenario", `{`+small+`,"returns":[-0.3]}`)); c.Surprise < a.Surprise-5 {
		t.Errorf("surprise %v of −30%%, %v of −8%% and flat", c.Surprise, a.Surprise)
	}
	for body, want := range map[string]string{
		`{` + small + `}`: "want returns or closes",
		`{` + small + `,"returns":[0],"closes":[1]}`:                      "want one of them",
		`{` + small + `,"returns":[0,0,0,0,0,0]}`:                         "6 candles given of a horizon of 5",
		`{` + small + `,"returns":[9]}`:                                   "log return 1 is 9",
		`{` + small + `,"closes":[-1]}`:                                   "close 1 is -1",
		`{` + small + `,"closes":[1e-300]}`:                               "log return 1",
		`{` + small + `,"returns":["much"]}`:                              "returns[0]",
		`{` + small + `,"returns":[` + strings.Repeat("0,", 1000) + `0]}`: "returns",
	} {
		problem(t, ask(s, "POST", "/v1/scenario", body), 422, want)
	}
}

func TestProbability(t *testing.T) {
	s := newServer(t, nil)
	last := apitest.Given(t).Asset("SYN-01").Candles[399].Close
	p := func(body string) api.Probability {
		return answered[api.Probability](t, ask(s, "POST", "/v1/probability", `{"asset":"SYN-01","horizon":1,"paths":2000,`+body+`}`))
	}
	up, down := p(fmt.Sprintf(`"above":%v`, last)), p(fmt.Sprintf(`"below":%v`, last))
	if up.Exact == nil || math.Abs(*up.Exact+*down.Exact-1) > 1e-9 || up.Lo > up.P || up.P > up.Hi {
		t.Fatalf("%+v", up)
	}
	// Within five standard errors of what is known exactly.
	if d := math.Abs(up.P - *up.Exact); d > 5*math.Sqrt(.25/2000) {
		t.Errorf("p %v by paths, %v exactly", up.P, *up.Exact)
	}
	if between := p(fmt.Sprintf(`"above":%v,"below":%v`, .5*last, 2*last)); between.P < .99 {
		t.Errorf("within a factor of two with %v", between.P)
	}
	long := answered[api.Probability](t, ask(s, "POST", "/v1/probability", `{`+small+`,"above":0}`))
	if long.P != 1 || long.Exact != nil {
		t.Errorf("above 0 with %v", long.P)
	}
	problem(t, ask(s, "POST", "/v1/probability", `{`+small+`}`), 422, "want above, below or both")
	problem(t, ask(s, "POST", "/v1/probability", `{`+small+`,"above":5,"below":4}`), 422, "no close is above 5 and below 4")
	problem(t, ask(s, "POST", "/v1/probability", `{`+small+`,"above":-1}`), 422, "above")
}

func TestAnaloguesAndExplain(t *testing.T) {
	s := newServer(t, nil)
	a := answered[api.Analogues](t, ask(s, "POST", "/v1/analogues", `{"asset":"SYN-01","window":10,"horizon":4,"count":3}`))
	if len(a.Analogues) != 3 || !a.Before.Equal(apitest.Given(t).Model("plain").Bundle.Split.ValFrom) {
		t.Fatalf("%d before %v", len(a.Analogues), a.Before)
	}
	for i, x := range a.Analogues {
		if len(x.Window) != 10 || len(x.Followed) != 4 || len(x.Returns) != 4 || i > 0 && x.Distance < a.Analogues[i-1].Distance || !x.Followed[3].Time.Before(a.Before) {
			t.Errorf("%+v", x)
		}
	}
	problem(t, ask(s, "POST", "/v1/analogues", `{"asset":"SYN-01","window":900}`), 422, "window 900")
	problem(t, ask(s, "POST", "/v1/analogues", `{"asset":"SYN-01","horizon":399}`), 422, "no history")
	problem(t, ask(s, "POST", "/v1/analogues", `{"asset":"SYN-01","horizon":5000}`), 422, "horizon 5000")

	e := answered[api.Explain](t, ask(s, "POST", "/v1/explain", `{"asset":"SYN-01","count":16}`))
	sum := 0.0
	for i, k := range e.Tokens {
		sum += k.Probability
		if i > 0 && k.Probability > e.Tokens[i-1].Probability || k.Candle.Low > k.Candle.High || math.Abs(math.Log(k.Candle.Close/e.LastClose)-k.Return) > 1e-9 || k.Candle.Volume != nil {
			t.Errorf("%+v", k)
		}
	}
	if len(e.Tokens) != 16 || math.Abs(sum-1) > 1e-6 || e.Density == nil {
		t.Errorf("%d tokens with %v", len(e.Tokens), sum)
	}
}

func TestCompare(t *testing.T) {
	s := newServer(t, nil)
	for _, name := range []string{"HAR-t, pooled", "random walk", "EWMA .94 t"} {
		c := answered[api.Compare](t, ask(s, "POST", "/v1/compare", `{`+small+`,"baseline":"`+name+`"}`))
		if c.Baseline != name || len(c.Other.Steps) != 5 || len(c.Model.Steps) != 5 || !c.FittedBefore.Equal(apitest.Given(t).Model("plain").Bundle.Split.ValFrom) {
			t.Errorf("%+v", c)
		}
		if q := c.Other.Steps[4].Quantiles; !slices.IsSorted(q) || q[0] >= q[len(q)-1] {
			t.Errorf("%s: %v", name, q)
		}
	}
	first := ask(s, "POST", "/v1/compare", `{`+small+`,"return_paths":true}`).Body.String()
	if again := ask(s, "POST", "/v1/compare", `{`+small+`,"return_paths":true}`).Body.String(); first != again {
		t.Error("the same request has another answer")
	}
	problem(t, ask(s, "POST", "/v1/compare", `{`+small+`,"baseline":"prophet"}`), 404, "no baseline")
}

func TestCandlesThatArePosted(t *testing.T) {
	s := newServer(t, nil)
	var text bytes.Buffer
	if err := market.WriteCSV(&text, apitest.Given(t).Asset("SYN-01")); err != nil {
		t.Fatal(err)
	}
	body := func(v map[string]any) string {
		v["horizon"], v["paths"], v["csv"] = 5, 20, text.String()
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	known := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{`+small+`,"as_of":"2006-05-01"}`))
	posted := answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", body(map[string]any{"as_of": "2006-05-01", "asset": "MINE"})))
	if posted.Asset != "MINE" || len(posted.Identity.Config.CSVSHA256) != 64 || !slices.Equal(posted.Steps[4].Quantiles, known.Steps[4].Quantiles) || len(posted.Realised) != 5 {
		t.Errorf("%+v", posted.About)
	}
	if n := len(answered[api.AssetList](t, ask(s, "GET", "/v1/assets", "")).Assets); n != 3 {
		t.Error("posted candles were kept")
	}
	for csv, want := range map[string]string{
		`time`:           "market: csv",
		`PK\u0003\u0004`: "market: csv",
		`/etc/passwd`:    "market: csv",
		`date,open,high,low,close\n2024-01-02,1,2,0.5,1\n`:                                                                           "1 rows, want at least 2",
		`date,open,high,low,close\n2024-01-02,1,2,0.5,1\n2024-01-03,1,0.1,0.5,1\n`:                                                   "csv:3",
		`date,open,high,low,close\n2024-01-02T10:00:00Z,1,2,0.5,1\n2024-01-02T10:05:00Z,1,2,0.5,1\n2024-01-02T10:10:00Z,1,2,0.5,1\n`: "has candles of 5m",
	} {
		problem(t, ask(s, "POST", "/v1/forecast", `{"csv":"`+csv+`","horizon":5,"paths":20}`), 422, want)
	}
}

func TestRequestsThatAreWrong(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Body, c.Limits.Candles = 4096, 10_000 })
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/forecast", ``, 400, "body"},
		{"POST", "/v1/forecast", `{`, 400, ""},
		{"POST", "/v1/forecast", `[]`, 422, "object"},
		{"POST", "/v1/forecast", `null`, 422, ""},
		{"POST", "/v1/forecast", `{}`, 422, "want asset"},
		{"POST", "/v1/forecast", `{"asset":5}`, 422, "body.asset"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","assets":"SYN-02"}`, 422, "body.assets"},
		{"POST", "/v1/forecast", `{"asset":"` + long + `"}`, 422, "body.asset"},
		{"POST", "/v1/forecast", `{"asset":"NOPE"}`, 404, "no asset"},
		{"POST", "/v1/forecast", `{"asset":"../../etc/passwd"}`, 404, "no asset"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","model":"../plain"}`, 404, "no model"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","model":"/etc/passwd"}`, 404, "no model"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","model":"plain.pt"}`, 404, "no model"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","horizon":0}`, 422, "horizon"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","horizon":1.5}`, 422, "horizon"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","horizon":1e300}`, 422, ""},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","horizon":401,"paths":1}`, 422, "at most 400"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","paths":5000}`, 422, "at most 4096"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","horizon":100,"paths":1000}`, 422, "at most 10000"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","seed":-1}`, 422, "seed"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","seed":18446744073709551616}`, 422, ""},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","temperature":-1}`, 422, "temperature"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","temperature":1e9}`, 422, "temperature"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","temperature":1e-9}`, 422, "at least 0.01"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","temperature":NaN}`, 400, ""},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","top_p":1.5}`, 422, "top_p"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","top_k":-5}`, 422, "top_k"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","as_of":"yesterday"}`, 422, "as_of"},
		{"POST", "/v1/forecast", `{"asset":"SYN-01","as_of":"1990-01-01"}`, 422, "0 candles until 1990-01-01"},
		{"POST", "/v1/forecast", `{"csv":"` + strings.Repeat("1", 5000) + `"}`, 413, "4096"},
		{"POST", "/v1/forecast", strings.Repeat("[", 4000), 400, ""},
		{"GET", "/v1/forecast", ``, 405, "asked by POST"},
		{"POST", "/v1/assets", `{}`, 405, "asked by GET"},
		{"GET", "/v1/run", ``, 404, "no such endpoint"},
		{"GET", "/v1/../../etc/passwd", ``, 404, "no such endpoint"},
		{"GET", "/web/..%2f..%2fserver.go", ``, 404, ""},
		{"GET", "/web/%2e%2e/server.go", ``, 404, ""},
		{"GET", "/server.go", ``, 404, "no such endpoint"},
		{"GET", "/web/", ``, 404, "no such endpoint"},
		{"DELETE", "/", ``, 405, ""},
	} {
		w := ask(s, c.method, c.path, c.body)
		if w.Code == http.StatusTemporaryRedirect { // to the path without dots
			w = ask(s, c.method, w.Header().Get("Location"), c.body)
		}
		if strings.HasPrefix(c.path, "/web/..") || strings.HasPrefix(c.path, "/web/%") {
			if w.Code != 404 && w.Code != 400 || strings.Contains(w.Body.String(), "package server") {
				t.Errorf("%s: status %d", c.path, w.Code)
			}
			continue
		}
		t.Run(c.method+" "+c.path+" "+c.body[:min(40, len(c.body))], func(t *testing.T) { problem(t, w, c.status, c.want) })
	}
}

func TestTokensAndOrigins(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Token = "0123456789abcdef" })
	for _, wrong := range []string{"", "Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcdef0", "Basic 0123456789abcdef", "0123456789abcdef"} {
		w := ask(s, "GET", "/v1/assets", "", "Authorization", wrong)
		problem(t, w, 401, "Authorization: Bearer")
		if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%q: no challenge", wrong)
		}
	}
	for _, path := range []string{"/v1/assets", "/v1/models", "/metrics", "/v1/nothing"} {
		problem(t, ask(s, "GET", path, ""), 401, "")
	}
	for _, path := range []string{"/", "/docs", "/openapi.json", "/healthz", "/web/style.css"} {
		if w := ask(s, "GET", path, ""); w.Code != 200 {
			t.Errorf("%s without a token: status %d", path, w.Code)
		}
	}
	problem(t, ask(s, "POST", "/v1/forecast", `{`+small+`}`), 401, "")
	answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{`+small+`}`, "Authorization", "bearer 0123456789abcdef"))
	if strings.Contains(ask(s, "GET", "/docs", "").Body.String(), "0123456789abcdef") {
		t.Error("the docs show the token")
	}

	// Without one, names of other machines are no way in, nor are other sites.
	s = newServer(t, nil)
	at := func(s *Server, host string, headers ...string) int {
		r := httptest.NewRequest("POST", "/v1/explain", strings.NewReader(`{"asset":"SYN-01"}`))
		r.Host = host
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Code
	}
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "localhost:8080": 200, "localhost": 200, "[::1]:8080": 200, "[::1]": 200, "LOCALHOST.": 200,
		"evil.example": 421, "evil.example:8080": 421, "127.0.0.1.evil.example": 421, "10.0.0.1:8080": 421, "": 421,
	} {
		if got := at(s, host); got != want {
			t.Errorf("host %q: status %d, want %d", host, got, want)
		}
	}
	if got := at(s, "localhost", "Sec-Fetch-Site", "cross-site"); got != 403 {
		t.Errorf("another site: status %d", got)
	}
	if got := at(s, "localhost", "Origin", "https://evil.example"); got != 403 {
		t.Errorf("another origin: status %d", got)
	}
	if got := at(s, "localhost", "Sec-Fetch-Site", "same-origin"); got != 200 {
		t.Errorf("our page: status %d", got)
	}
	if got := at(newServer(t, func(c *Config) { c.AnyHost = true }), "evil.example"); got != 200 {
		t.Errorf("any host: status %d", got)
	}
}

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	s := newServer(t, nil)
	for _, path := range []string{"/", "/docs"} {
		w := ask(s, "GET", path, "")
		// A script comes from a file of ours; a link loads nothing until it is followed.
		page := regexp.MustCompile(`<script( type="module")? src="/web/\w+\.js"></script>|<a [^>]*href="https://[^"]*"`).ReplaceAllString(w.Body.String(), "")
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Fatalf("%s: status %d, %s", path, w.Code, w.Header().Get("Content-Type"))
		}
		for _, never := range []string{"<script", "<style", "http:", "https:", "//", "style=", "onclick"} {
			if strings.Contains(page, never) {
				t.Errorf("%s holds %q", path, never)
			}
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	docs := ask(s, "GET", "/docs", "").Body.String()
	for _, want := range []string{"POST /v1/forecast", "GET /v1/candles", "as_of", "262144"} {
		if !strings.Contains(docs, want) {
			t.Errorf("/docs without %q", want)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	s := newServer(t, nil)
	w := ask(s, "GET", "/openapi.json", "")
	var api struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Responses   map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &api); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(api.OpenAPI, "3.1") || len(api.Paths) != 13 {
		t.Errorf("OpenAPI %s with %d paths", api.OpenAPI, len(api.Paths))
	}
	seen := map[string]bool{}
	for path, ops := range api.Paths {
		for method, op := range ops {
			if seen[op.OperationID] || op.Responses["200"] == nil {
				t.Errorf("%s %s: operation %q", method, path, op.OperationID)
			}
			seen[op.OperationID] = true
		}
	}
	if api.Components.Schemas["Forecast"] == nil || api.Components.Schemas["Progress"] == nil {
		t.Error("no schema of a forecast")
	}
}

func TestMetricsAndHealth(t *testing.T) {
	s := newServer(t, nil)
	answered[api.Forecast](t, ask(s, "POST", "/v1/forecast", `{`+small+`}`))
	ask(s, "GET", "/v1/made/up", "")
	text := ask(s, "GET", "/metrics", "").Body.String()
	for _, want := range []string{
		`mqc_http_requests_total{code="200",route="POST /v1/forecast"} 1`, `mqc_http_requests_total{code="404",route="none"} 1`,
		"mqc_candles_drawn_total 100\n", "mqc_computing 0\n", "mqc_refused_total 0\n", "go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics without %s:\n%s", want, text)
		}
	}
	if w := ask(s, "GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("health: %d %q", w.Code, w.Body)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"no model":                   func(c *Config) { c.Models = nil },
		"no asset":                   func(c *Config) { c.Series = nil },
		"can be guessed":             func(c *Config) { c.Token = "secret" },
		"two models named \"plain\"": func(c *Config) { c.Models = append(c.Models, c.Models[0]) },
		"symbol SYN-01":              func(c *Config) { c.Series = append(slices.Clone(c.Series), c.Series[0]) },
		"limit of body":              func(c *Config) { c.Limits.Body = 0 },
		"time to drain":              func(c *Config) { c.Limits.Drain = -1 },
	} {
		c := configOf(t)
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestAddressesThatOthersReach(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:0": true, "localhost:8080": true, "[::1]:8080": true, "127.1.2.3:80": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "192.168.0.1:80": false, "example.com:80": false, "8080": false, "localhost": false,
	} {
		if err := CheckAddr(addr, ""); (err == nil) != want {
			t.Errorf("CheckAddr(%q): %v", addr, err)
		}
	}
	if err := CheckAddr("0.0.0.0:80", "0123456789abcdef"); err != nil {
		t.Errorf("with a token: %v", err)
	}
}
