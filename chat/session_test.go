package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/api/apitest"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

func service(t testing.TB) *api.Service { return apitest.Service(t, apitest.Given(t).Config()) }

func session(t testing.TB) *Session {
	t.Helper()
	start := DefaultState()
	start.Horizon = Span{4, "d"}
	return sessionOf(t, service(t), start)
}

func sessionOf(t testing.TB, s *api.Service, start State) *Session {
	t.Helper()
	c, err := NewSession(s, start)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// of is the answer to a line as the API has it.
func of[A any](t testing.TB, s *Session, line string) *A {
	t.Helper()
	a, ok := do(t, s, line).Answer.(*A)
	if !ok {
		t.Fatalf("%s: another answer", line)
	}
	return a
}

func do(t testing.TB, s *Session, line string) *Answer {
	t.Helper()
	a, err := s.Do(t.Context(), line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return a
}

func marshal(t testing.TB, a any) []byte {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryCommandIsAnswered(t *testing.T) {
	for _, c := range []struct{ line, call, text string }{
		{"forecast", `POST /v1/forecast {"model":"plain","asset":"SYN-01","as_of":"2006-07-14","horizon":4,"paths":256,"seed":1}`, "P(up)"},
		{
			"forecast SYN-02 1mo paths 32 temp 0.9 seed 7",
			`POST /v1/forecast {"model":"plain","asset":"SYN-02","as_of":"2006-07-14","horizon":21,"paths":32,"temperature":0.9,"seed":7}`, "volatility over the horizon",
		},
		{
			"what if -5% tomorrow, then flat paths 64",
			`POST /v1/scenario {"model":"plain","asset":"SYN-01","as_of":"2006-07-14","horizon":4,"paths":64,"seed":1,"returns":[-0.051293294387550536,0]}`, "surprise",
		},
		{
			"compare with har paths 50",
			`POST /v1/compare {"model":"plain","asset":"SYN-01","as_of":"2006-07-14","horizon":4,"paths":50,"seed":1,"baseline":"HAR-t, pooled"}`, "HAR-t, pooled fitted on candles before",
		},
		{"vol next week", `"horizon":5`, "over the last 5 candles"},
		{"P(close > 100 in 2d)", `POST /v1/probability {"model":"plain","asset":"SYN-01","as_of":"2006-07-14","horizon":2,"paths":256,"seed":1,"above":100}`, "P(close > 100) after 2 candles"},
		{"P(close between 1 and 100000)", `"above":1,"below":100000`, "100.0%"},
		{"P(down)", `"below":`, "P(down)"},
		{"show analogues 3 window 10", `POST /v1/analogues {"model":"plain","asset":"SYN-01","as_of":"2006-07-14","window":10,"horizon":4,"count":3}`, "followed by"},
		{"explain 4", `POST /v1/explain {"model":"plain","asset":"SYN-01","as_of":"2006-07-14","count":4}`, "entropy"},
		{"use SYN-02", "", "SYN-02, last known candle"},
		{"use calibrated", "", "model calibrated"},
		{"as of 2006-05-31", "", "last known candle 2006-05-31"},
		{"show calibration", "GET /v1/models", "calibration model plain\nnot calibrated"},
		{"calibration calibrated", "GET /v1/models", "paths after 5"},
		{"models", "GET /v1/models", "calibrated"},
		{"assets", "GET /v1/assets", "SYN-02"},
		{"help", "", "HORIZON"},
		{"help vol", "", "vol next week"},
	} {
		a := do(t, session(t), c.line)
		if text := a.String(); !strings.Contains(text, c.text) {
			t.Errorf("%s: no %q in\n%s", c.line, c.text, text)
		}
		switch {
		case c.call == "" && a.Call != nil, c.call != "" && a.Call == nil:
			t.Errorf("%s: call %v, want %q", c.line, a.Call, c.call)
		case a.Call != nil && !strings.Contains(a.Call.String(), c.call):
			t.Errorf("%s: call\n%s, want\n%s", c.line, a.Call, c.call)
		case a.Call != nil && !strings.HasSuffix(a.String(), "API: "+a.Call.String()+"\n"):
			t.Errorf("%s: the text does not end in the call:\n%s", c.line, a)
		}
		var back map[string]any
		if err := json.Unmarshal(marshal(t, a), &back); err != nil || back["kind"] == "" || back["warnings"] == nil {
			t.Errorf("%s: %v, %v", c.line, back, err)
		}
	}
}

// The command in full, said anew, gives the same bytes; another seed other ones.
func TestAnswersAreThoseOfTheirSeed(t *testing.T) {
	for _, line := range []string{
		"forecast paths 40", "what if -2%, flat paths 40", "compare with garch paths 40", "compare with har paths 40", "compare with bootstrap paths 40",
		"vol paths 40", "P(close > +1% in 3d) paths 40", "show analogues window 10", "explain",
	} {
		first := do(t, session(t), line)
		other := session(t)
		do(t, other, "forecast SYN-02 2d seed 9 paths 2") // another state before it
		again := do(t, other, first.Command)
		a, b := *first, *again
		a.State, b.State = State{}, State{} // the horizon of vol and P is their own
		if !bytes.Equal(marshal(t, a), marshal(t, b)) {
			t.Errorf("%s is not the same a second time:\n%s\n%s", line, &a, &b)
		}
		if slices.Contains([]Kind{Analogues, Explain}, first.Kind) {
			continue // nothing is drawn
		}
		if first.Kind == Probability {
			continue // a share of 40 paths may be the same by chance
		}
		seeded := do(t, session(t), line+" seed 2")
		_, text, _ := strings.Cut(first.Text, "\n") // after the command
		if _, other, _ := strings.Cut(seeded.Text, "\n"); text == other {
			t.Errorf("%s: seed 2 gives what seed 1 gives", line)
		}
	}
}

// An answer as of a date is the same whatever came after it.
func TestAsOfHidesTheFuture(t *testing.T) {
	w := apitest.Given(t)
	asOf := w.Series[0].Candles[380].Time
	start := DefaultState()
	start.AsOf, start.Model, start.Horizon = asOf.Format(time.DateOnly), "calibrated", Span{3, "d"}
	var cut, wild []*market.Series
	for _, s := range w.Series {
		short, other := *s, *s
		short.Candles = s.Candles[:381]
		other.Candles = slices.Clone(s.Candles)
		for i := 381; i < len(other.Candles); i++ {
			c := &other.Candles[i]
			c.Open, c.High, c.Low, c.Close = 3*c.Open, 3*c.High, 3*c.Low, 3*c.Close
		}
		cut, wild = append(cut, &short), append(wild, &other)
	}
	for _, line := range []string{
		"forecast paths 20", "what if -2%, flat paths 20", "compare with har paths 20", "compare with garch yearly paths 20", "compare with ewma paths 20",
		"vol paths 20", "P(up) paths 20", "show analogues 5 window 10", "explain", "assets",
	} {
		var want []byte
		for i, series := range [][]*market.Series{cut, w.Series, wild} {
			c := w.Config()
			c.Series = series
			a := do(t, sessionOf(t, apitest.Service(t, c), start), line)
			forget(a.Answer)
			if i == 0 {
				want = marshal(t, a)
			} else if got := marshal(t, a); !bytes.Equal(got, want) {
				t.Errorf("%s: the future changes it:\n%s\n%s", line, want, got)
			}
			if found, ok := a.Answer.(*api.Analogues); ok {
				for _, f := range found.Analogues {
					if last := f.Followed[len(f.Followed)-1].Time; last.After(asOf) {
						t.Errorf("an analogue was followed until %v", last)
					}
				}
			}
		}
	}
}

// forget takes out of an answer what came, which it shows beside the forecast.
func forget(answer any) {
	switch a := answer.(type) {
	case *api.Forecast:
		a.Realised = nil
	case *api.Scenario:
		a.Realised = nil
	case *api.Compare:
		a.Realised = nil
	}
}

func TestForecastInsideOfFitSaysSo(t *testing.T) {
	w := apitest.Given(t)
	said := func(line, want string) bool {
		a := do(t, session(t), line)
		return slices.ContainsFunc(a.Warnings, func(s string) bool { return strings.Contains(s, want) })
	}
	split := w.Model("plain").Bundle.Split
	inside := split.ValFrom.AddDate(0, 0, -60).Format(time.DateOnly)
	for _, line := range []string{"forecast paths 4 as of " + inside, "vol paths 4 as of " + inside, "explain as of " + inside, "as of " + inside} {
		if !said(line, "knows what came") {
			t.Errorf("%s does not say that the model was fitted on later candles", line)
		}
	}
	if said("forecast paths 4", "knows what came") {
		t.Error("a forecast of what nobody knows is said to be known")
	}
	middle := split.ValFrom.Add(split.TestFrom.Sub(split.ValFrom) / 2).Format(time.DateOnly)
	if !said("forecast paths 4 model calibrated as of "+middle, "selected or calibrated on") {
		t.Error("a forecast in validation does not say that calibration has seen it")
	}
}

func TestStateIsWhatWasNamed(t *testing.T) {
	s := session(t)
	want := s.State()
	step := func(line string, change func(*State)) {
		t.Helper()
		do(t, s, line)
		change(&want)
		if got := s.State(); got != want {
			t.Fatalf("after %q: %+v, want %+v", line, got, want)
		}
	}
	step("forecast SYN-02 3d seed 5 paths 2", func(w *State) { w.Asset, w.Horizon, w.Seed = "SYN-02", Span{3, "d"}, 5 })
	step("vol next week paths 2", func(*State) {})
	step("P(up in 2d) SYN-01 paths 2", func(w *State) { w.Asset = "SYN-01" })
	step("use calibrated", func(w *State) { w.Model = "calibrated" })
	step("as of 2006-05-31", func(w *State) { w.AsOf = "2006-05-31" })
	step("explain model plain", func(w *State) { w.Model = "plain" })
	step("as of latest", func(w *State) { w.AsOf = "" })
	step("help", func(*State) {})
	for _, line := range []string{"nonsense", "as of 1990-01-01", "forecast SYN-02 100000d"} {
		if _, err := s.Do(t.Context(), line); err == nil {
			t.Errorf("%s is answered", line)
		}
		if got := s.State(); got != want {
			t.Fatalf("the failure of %q changes the state: %+v, want %+v", line, got, want)
		}
	}
	if _, err := s.Do(t.Context(), "as of 1990-01-01"); !errors.Is(err, api.ErrTooEarly) {
		t.Errorf("before the first candle: %v", err)
	}
}

func TestScenarioIsWhatWasSaid(t *testing.T) {
	a := of[api.Scenario](t, session(t), "what if -5% tomorrow, then flat paths 32")
	for h, want := range []float64{.95, .95} {
		for _, q := range a.Conditional.Steps[h].Quantiles {
			if math.Abs(q/a.LastClose-want) > 1e-9 {
				t.Errorf("step %d: close %v of %v, want all at %v of it", h+1, q, a.LastClose, want)
			}
		}
	}
	if q := a.Conditional.Steps[3].Quantiles; len(a.Conditional.Steps) != 4 || q[lowest] >= q[highest] {
		t.Errorf("%d steps, the last %v", len(a.Conditional.Steps), q)
	}
	if flat := of[api.Scenario](t, session(t), "what if flat paths 32"); a.Surprise <= flat.Surprise {
		t.Errorf("a fall of 5%% surprises with %v nats, none with %v", a.Surprise, flat.Surprise)
	}
	// A scenario is never longer than its fan.
	if a := of[api.Scenario](t, session(t), "what if flat for 9 candles paths 4"); len(a.Conditional.Steps) != 9 {
		t.Errorf("%d steps of 9 moves", len(a.Conditional.Steps))
	}
}

func TestProbabilitiesAreSharesOfPaths(t *testing.T) {
	p := func(event string) float64 { return of[api.Probability](t, session(t), "P("+event+" in 3d)").P }
	up, down := p("up"), p("down")
	if math.Abs(up+down-1) > 1e-9 || up <= 0 || down <= 0 {
		t.Errorf("up %v, down %v", up, down)
	}
	if got := of[api.Forecast](t, session(t), "forecast 3d").Steps[2].PUp; math.Abs(got-up) > 1e-9 {
		t.Errorf("P(up) %v, in the forecast %v", up, got)
	}
	in, below, over := p("close between -1% and +1%"), p("close < -1%"), p("close > +1%")
	if math.Abs(in+below+over-1) > 1e-9 {
		t.Errorf("within %v, below %v, above %v", in, below, over)
	}
	if _, err := session(t).Do(t.Context(), "P(close between 100000 and +1%)"); !errors.Is(err, api.ErrRefused) {
		t.Errorf("a close between 100000 and one near the last is possible: %v", err)
	}
}

func TestCalibratedForecastsHaveIntervals(t *testing.T) {
	for _, line := range []string{"forecast paths 40 model calibrated", "forecast paths 40 model calibrated temp 1"} {
		a := do(t, session(t), line)
		if n := len(a.Answer.(*api.Forecast).Steps[0].Intervals); n != len(forecast.NominalLevels) || !strings.Contains(a.Text, "calibrated at step 4:") {
			t.Errorf("%s: %d intervals\n%s", line, n, a)
		}
	}
	for _, line := range []string{"forecast paths 40", "forecast paths 40 model calibrated temp .9", "what if -1% paths 40 model calibrated"} {
		if a := do(t, session(t), line); strings.Contains(a.Text, "calibrated at") {
			t.Errorf("%s has calibrated intervals", line)
		}
	}
}

// A state is JSON that says as little as one likes.
func TestStateInJSON(t *testing.T) {
	for text, change := range map[string]func(*State){
		`{}`:                           func(*State) {},
		`{"horizon":""}`:               func(s *State) { s.Horizon = Span{} },
		`{"seed":0,"temperature":0}`:   func(s *State) { s.Seed, s.Temperature = 0, 0 },
		`{"asset":"A","horizon":"2w"}`: func(s *State) { s.Asset, s.Horizon = "A", Span{2, "w"} },
	} {
		want := DefaultState()
		change(&want)
		var got, again State
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
		if err := json.Unmarshal(marshal(t, got), &again); err != nil || again != got {
			t.Errorf("%s: %+v, %v after a round trip", text, again, err)
		}
	}
}

// Bounds are those of the API.
func TestWhatIsTooMuchIsRefused(t *testing.T) {
	for line, want := range map[string]string{
		"explain 1001":              "count 1001: want at most 100",
		"forecast paths 5000":       "paths 5000: want at most 4096",
		"forecast 9999d":            "horizon 9999: want at most 400",
		"forecast temp 6":           "temperature 6: want at most 5",
		"forecast temp 0.001":       "at least 0.01",
		"show analogues window 1":   "window 1: want at least 2",
		"what if -99.9999% paths 4": "log return 1",
	} {
		if _, err := session(t).Do(t.Context(), line); !errors.Is(err, api.ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

func TestStoppedAnswers(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	s := session(t)
	for _, line := range []string{"forecast", "what if -1%", "compare with har", "vol", "P(up)"} {
		if _, err := s.Do(stopped, line); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", line, err)
		}
	}
	// The fit that was begun is there for the next question.
	do(t, s, "compare with har paths 4")
}

func TestSessionsRefuse(t *testing.T) {
	for _, change := range []func(*State){
		func(s *State) { s.Asset = "DOGE" },
		func(s *State) { s.Model = "b" },
		func(s *State) { s.AsOf = "yesterday" },
	} {
		start := DefaultState()
		change(&start)
		if _, err := NewSession(service(t), start); !errors.Is(err, api.ErrUnknown) && !errors.Is(err, api.ErrRefused) {
			t.Errorf("a session about %+v: %v", start, err)
		}
	}
	w := apitest.Given(t)
	hourly := *w.Series[1]
	hourly.Interval = market.Hour
	config := w.Config()
	config.Series = []*market.Series{&hourly}
	c := sessionOf(t, apitest.Service(t, config), DefaultState())
	if _, err := c.Do(t.Context(), "forecast"); err == nil || !strings.Contains(err.Error(), "has candles of 1h") {
		t.Errorf("candles of another interval: %v", err)
	}
}

// What a model saw is not always known: then that is said.
func TestUnknownFit(t *testing.T) {
	w := apitest.Given(t)
	b := *w.Model("plain").Bundle
	b.Fit = []checkpoint.Range{{Part: checkpoint.Weights, Stage: "import"}}
	m, err := forecast.NewModel(&b)
	if err != nil {
		t.Fatal(err)
	}
	config := w.Config()
	config.Models = []api.Model{{Name: "imported", Model: m}}
	c := sessionOf(t, apitest.Service(t, config), DefaultState())
	if a := do(t, c, "forecast paths 2 2d"); !strings.Contains(a.String(), "is not known") {
		t.Error(a)
	}
	if a := do(t, c, "models"); !strings.Contains(a.Text, "not known") {
		t.Error(a)
	}
}
