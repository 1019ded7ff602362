package server

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/micro-quant/mqc/runs"
)

// chromium is started once, with a profile of its own, for the tabs of all tests;
// without one there is no context.
var chromium = sync.OnceValues(func() (context.Context, error) {
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		return nil, nil
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ = chromedp.NewContext(ctx)
	closeChromium = func() { chromedp.Cancel(ctx) }
	return ctx, chromedp.Do(ctx)
})

// closeChromium ends the browser, if there is one, and waits until it is gone.
var closeChromium = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	closeChromium()
	os.Exit(code)
}

// browser skips a test where there is no browser.
func browser(t *testing.T) context.Context {
	t.Helper()
	ctx, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	if ctx == nil {
		t.Skip("no chromium in PATH: the page is not tried in a browser")
	}
	return ctx
}

// tab is a tab of a browser, and what went over the network and to the console.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string // of the server

	mu       sync.Mutex
	requests []*network.Request
	wrong    []string // errors of the console, and requests to other hosts
}

// patience is when a page that does nothing is given up.
const patience = time.Minute

// visit opens an address of a server in a new tab. Errors of the page and requests to
// elsewhere fail the test at its end.
func visit(t *testing.T, browser context.Context, server, path string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &tab{t: t, url: server}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	p.ctx = ctx
	err := chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			p.requests = append(p.requests, e.Request)
			if !strings.HasPrefix(e.Request.URL, server+"/") && !strings.HasPrefix(e.Request.URL, "data:") {
				p.wrong = append(p.wrong, "request to "+e.Request.URL)
			}
		case *runtime.EventExceptionThrown:
			p.wrong = append(p.wrong, fmt.Sprintf("exception %+v", e.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				p.wrong = append(p.wrong, fmt.Sprintf("console %+v", e.Args))
			}
		case *log.EventEntryAdded:
			// The network's are answers with another status than 200; what they
			// mean is looked at by what the page says.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				p.wrong = append(p.wrong, e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, w := range p.wrong {
			t.Error(w)
		}
	})
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(server+path))
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// js is the value of an expression.
func js[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true.
func (p *tab) until(expression string) {
	p.t.Helper()
	poll := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(0))
	if err := chromedp.Do(p.ctx, poll); err != nil {
		text, _ := chromedp.Run(context.WithoutCancel(p.ctx), chromedp.Evaluate[string](`document.body.innerText`))
		p.t.Fatalf("never came true: %s: %v\n%s", expression, err, text)
	}
}

// idle waits until all is there that the state of the page wants. What changes the
// state says so at once, so that an earlier answer is not taken for the new one.
func (p *tab) idle() {
	p.t.Helper()
	p.until(`document.querySelector('main').getAttribute('aria-busy') === 'false' && document.querySelectorAll('#forecast tbody tr').length > 0`)
}

// text is that of the first element of a selector.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return js[string](p, fmt.Sprintf(`document.querySelector(%q).innerText`, selector))
}

// bodies are those of the requests to a path, the first one first.
func (p *tab) bodies(path string) (bodies []map[string]any) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if r.URL != p.url+path || r.Method != "POST" {
			continue
		}
		var text strings.Builder
		for _, e := range r.PostDataEntries {
			text.Write(e.Bytes)
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(text.String()), &body); err != nil {
			p.t.Fatalf("%s: %v", text.String(), err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func (p *tab) last(path string) map[string]any {
	p.t.Helper()
	bodies := p.bodies(path)
	if len(bodies) == 0 {
		p.t.Fatalf("no request to %s", path)
	}
	return bodies[len(bodies)-1]
}

// pixels counts those of the chart whose colour is about that of a variable of the
// style sheet, right of the middle.
func (p *tab) pixels(variable string) int {
	p.t.Helper()
	return js[int](p, fmt.Sprintf(`(() => {
		const probe = document.body.appendChild(document.createElement('i'));
		probe.style.color = 'var(--%s)';
		const want = getComputedStyle(probe).color.match(/\d+/g).map(Number);
		probe.remove();
		let n = 0;
		for (const canvas of document.querySelectorAll('#chart canvas')) {
			const [x, w, h] = [Math.floor(canvas.width / 2), Math.ceil(canvas.width / 2), canvas.height];
			if (w < 100 || h < 100) continue;
			const { data } = canvas.getContext('2d').getImageData(x, 0, w, h);
			for (let i = 0; i < data.length; i += 4) {
				if (data[i + 3] > 200 && [0, 1, 2].every((k) => Math.abs(data[i + k] - want[k]) < 24)) n++;
			}
		}
		return n;
	})()`, variable))
}

// painted waits until the chart shows, or does not show, a colour.
func (p *tab) painted(variable string, want bool) {
	p.t.Helper()
	for (p.pixels(variable) > 20) != want {
		if p.ctx.Err() != nil {
			p.t.Fatalf("the chart shows --%s: %v, want %v", variable, !want, want)
		}
		p.do(chromedp.Sleep(10 * time.Millisecond)) // until the next frame
	}
}

func (p *tab) set(selector, value, event string) {
	p.t.Helper()
	js[bool](p, fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		element.value = %q;
		return element.dispatchEvent(new Event(%q, { bubbles: true }));
	})()`, selector, value, event))
}

func TestPageShowsAFanThatStreamsIn(t *testing.T) {
	r := start(t, nil)
	p := visit(t, browser(t), r.url, "/")
	p.idle()
	if got := p.text("#title"); got != "SYN-01" {
		t.Errorf("title %q", got)
	}
	if got := p.text("#status"); got != "256 paths of 32 candles" {
		t.Errorf("status %q", got)
	}
	p.painted("accent", true)
	if n := js[int](p, `document.querySelectorAll('#forecast tbody tr').length`); n != 7 {
		t.Errorf("%d rows of the forecast, want those of steps 1, 2, 5, 10, 20, 30, 32", n)
	}
	// The same numbers as the API gives.
	_, text := r.full(t, "/v1/forecast", `{"asset":"SYN-01"}`)
	var f struct {
		Steps []struct {
			PUp float64 `json:"p_up"`
		}
	}
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	if want, got := fmt.Sprintf("%.1f%%", 100*f.Steps[31].PUp), p.text("#forecast tbody tr:last-child td:nth-of-type(2)"); got != want {
		t.Errorf("P(up) at the end %s, want %s", got, want)
	}

	// Paths come one chunk after the other.
	js[bool](p, `(() => {
		window.drawn = [];
		const bar = document.getElementById('progress');
		new MutationObserver((records) => { for (const r of records) drawn.push(Number(r.oldValue)); })
			.observe(bar, { attributes: true, attributeFilter: ['aria-valuenow'], attributeOldValue: true });
		return true;
	})()`)
	p.set("[name=seed]", "2", "input")
	p.until(`window.drawn.includes(256)`)
	p.idle()
	drawn := js[[]int](p, `window.drawn`)
	for want := 32; want <= 256; want += 32 {
		if !slices.Contains(drawn, want) {
			t.Errorf("progress %v, want %d in it", drawn, want)
		}
	}
	if got := p.last("/v1/forecast"); got["seed"] != 2. || got["return_paths"] != true {
		t.Errorf("request %v", got)
	}
}

func TestPageShowsAScenario(t *testing.T) {
	r := start(t, nil)
	p := visit(t, browser(t), r.url, "/?horizon=5")
	p.idle()
	p.painted("what-if", false)
	p.do(chromedp.Click(chromedp.CSS("#tab-scenario")), chromedp.SendKeys(chromedp.CSS("#moves"), "-3%, then flat\r"))
	p.until(`document.querySelector('#scenario dl') !== null`)
	p.idle()
	if got := p.text("#scenario dl"); !strings.Contains(got, "nats") || !strings.Contains(got, "−3.00%, 0.00%") {
		t.Errorf("facts %q", got)
	}
	p.painted("what-if", true)
	returns, _ := p.last("/v1/scenario")["returns"].([]any)
	if len(returns) != 2 || math.Abs(returns[0].(float64)-math.Log(.97)) > 1e-12 || returns[1] != 0. {
		t.Errorf("returns %v", returns)
	}
	if n := js[int](p, `document.querySelectorAll('.sliders input').length`); n != 2 {
		t.Errorf("%d sliders", n)
	}

	// A slider is the same as a text; a text that is no move says so.
	p.set(".sliders input", "2", "input")
	p.until(`document.querySelector('#scenario dl')?.innerText.includes('+2.00%')`)
	if got := js[string](p, `document.querySelector('#moves').value`); got != "+2%, 0" {
		t.Errorf("moves %q", got)
	}
	p.set("#moves", "moon", "input")
	if got := p.text("#moves-wrong"); !strings.Contains(got, "moon") || !strings.Contains(got, "-8%") {
		t.Errorf("a wrong move: %q", got)
	}
}

func TestPageHidesTheFuture(t *testing.T) {
	r := start(t, nil)
	series := configOf(t).Series[0].Candles
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32")
	p.idle()
	if _, ok := p.last("/v1/forecast")["as_of"]; ok {
		t.Error("as_of without a date")
	}
	const known = 300
	day := series[known-1].Time.Format(time.DateOnly)
	p.set("#strip input", fmt.Sprint(known-1), "input")
	p.until(fmt.Sprintf(`location.search.includes('as_of=%s')`, day))
	p.idle()
	if got := p.last("/v1/forecast")["as_of"]; got != day {
		t.Errorf("as of %v, want %s", got, day)
	}
	if got := p.text("#where"); !strings.Contains(got, day) {
		t.Errorf("%q, want %s in it", got, day)
	}
	// What came is shown, and was not known: a server without later candles draws
	// the same.
	if got := p.text("#forecast thead"); !strings.Contains(got, "Realised") {
		t.Errorf("columns %q", got)
	}
	cut := start(t, func(c *Config) {
		c.Series = slices.Clone(c.Series)
		for i, s := range c.Series {
			short := *s
			short.Candles = s.Candles[:known]
			c.Series[i] = &short
		}
	})
	q := visit(t, browser(t), cut.url, "/?horizon=5&paths=32")
	q.idle()
	const columns = `[...document.querySelectorAll('#forecast tbody tr')].map((tr) => [...tr.children].slice(0, 7).map((c) => c.innerText).join('|')).join('\n')`
	if got, want := js[string](p, columns), js[string](q, columns); got != want || got == "" {
		t.Errorf("with later candles in the data\n%s\nwithout\n%s", got, want)
	}
	if got := q.text("#forecast thead"); strings.Contains(got, "Realised") {
		t.Errorf("nothing came yet, columns %q", got)
	}

	// The page says what the model has seen.
	split := configOf(t).Models[0].Bundle.Split
	for _, c := range []struct{ asOf, want string }{
		{split.ValFrom.AddDate(0, 0, -30).Format(time.DateOnly), "Inside fit"},
		{split.ValFrom.Format(time.DateOnly), "Inside selected"},
	} {
		p.set("[name=as_of]", c.asOf, "change")
		p.until(fmt.Sprintf(`location.search.includes('as_of=%s')`, c.asOf))
		p.idle()
		if got := p.text("#seen"); !strings.HasPrefix(got, c.want) {
			t.Errorf("as of %s: %q, want %q", c.asOf, got, c.want)
		}
	}
	p.do(chromedp.Click(chromedp.CSS("#latest")))
	p.until(`!location.search.includes('as_of')`)
	p.idle()
	if got := p.text("#seen"); strings.Contains(got, "Inside") || !strings.Contains(got, "not calibrated") {
		t.Errorf("newest candle: %q", got)
	}
}

func TestPageKeepsItsStateInTheAddress(t *testing.T) {
	r := start(t, nil)
	day := configOf(t).Series[1].Candles[320].Time.Format(time.DateOnly)
	query := url.Values{
		"asset": {"SYN-02"}, "model": {"calibrated"}, "as_of": {day}, "horizon": {"7"}, "paths": {"40"},
		"temperature": {"0.9"}, "top_k": {"8"}, "top_p": {"0.95"}, "seed": {"11"}, "what_if": {"-2%, 0"}, "versus": {"EWMA .94 t"}, "view": {"compare"},
	}
	b := browser(t)
	p := visit(t, b, r.url, "/?"+query.Encode())
	p.idle()
	for name := range query {
		if slices.Contains([]string{"what_if", "versus", "view"}, name) {
			continue
		}
		if got := js[string](p, fmt.Sprintf(`document.querySelector('[name=%s]').value`, name)); got != query.Get(name) {
			t.Errorf("%s: %q, want %q", name, got, query.Get(name))
		}
	}
	got := p.last("/v1/forecast")
	for name, want := range map[string]any{"asset": "SYN-02", "model": "calibrated", "as_of": day, "horizon": 7., "paths": 40., "temperature": .9, "top_k": 8., "top_p": .95, "seed": 11.} {
		if got[name] != want {
			t.Errorf("request has %s %v, want %v", name, got[name], want)
		}
	}
	if b := p.last("/v1/compare"); b["baseline"] != "EWMA .94 t" || p.text("#compare dl") == "" {
		t.Errorf("compare with %v", b["baseline"])
	}
	if len(p.bodies("/v1/scenario")) != 1 || !js[bool](p, `document.getElementById('scenario').hidden`) {
		t.Error("want a scenario asked for once, and its panel hidden")
	}
	if now, err := url.ParseQuery(strings.TrimPrefix(js[string](p, `location.search`), "?")); err != nil || now.Encode() != query.Encode() {
		t.Errorf("address %v, want %v", now, query)
	}

	// Back undoes a step, and another tab at the same address shows the same.
	p.set("[name=asset]", "SYN-03", "change")
	p.until(`location.search.includes('SYN-03')`)
	p.idle()
	q := visit(t, b, r.url, "/"+js[string](p, `location.search`))
	q.idle()
	q.do(chromedp.Click(chromedp.CSS("#tab-forecast")))
	p.do(chromedp.Click(chromedp.CSS("#tab-forecast")))
	before := p.text("#forecast tbody")
	if got := q.text("#forecast tbody"); got != before {
		t.Errorf("another tab shows\n%s\nwant\n%s", got, before)
	}
	js[bool](p, `(history.go(-2), true)`)
	p.until(`document.getElementById('title').innerText === 'SYN-02'`)
	p.idle()
	if got := js[string](p, `document.querySelector('[name=asset]').value`); got != "SYN-02" {
		t.Errorf("after Back: %q", got)
	}

	// What cannot be used is said.
	w := visit(t, b, r.url, "/?horizon=soon&colour=red")
	w.idle()
	w.until(`!document.getElementById('error').hidden`)
	if got := w.text("#error"); !strings.Contains(got, "horizon, colour") {
		t.Errorf("a wrong address: %q", got)
	}
}

func TestPageFitsAPhone(t *testing.T) {
	r := start(t, nil)
	p := visit(t, browser(t), r.url, "/?horizon=20&paths=32&what_if=-2%25&versus=EWMA+.94+t")
	p.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	p.idle()
	for _, view := range []string{"forecast", "scenario", "compare", "explain", "analogues", "evidence"} {
		js[bool](p, fmt.Sprintf(`(document.getElementById('tab-%s').click(), true)`, view))
		p.until(fmt.Sprintf(`!document.getElementById('%s').hidden && !document.querySelector('#%[1]s[aria-busy=true]') && document.getElementById('%[1]s').innerText.length > 40`, view))
		wide := js[string](p, `(() => {
			const width = document.documentElement.clientWidth;
			if (document.documentElement.scrollWidth <= width) return '';
			return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > width + 1)
				.map((e) => [e.tagName, e.id, e.className].join(' ')).join(', ') || [document.documentElement.scrollWidth, width].join(' of ');
		})()`)
		if wide != "" {
			t.Errorf("%s: wider than the screen: %s", view, wide)
		}
	}
}

func TestPageChats(t *testing.T) {
	r := start(t, nil)
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32")
	p.idle()
	say := func(line string) string {
		t.Helper()
		n := js[int](p, `document.querySelectorAll('#log article').length`)
		p.do(chromedp.SendKeys(chromedp.CSS("#line"), line+"\r"))
		p.until(fmt.Sprintf(`document.querySelectorAll('#log article').length === %d && !document.querySelector('#log [aria-busy]')`, n+1))
		return p.text("#log article:last-child")
	}
	p.until(`document.querySelector('.starters') !== null`)

	// A forecast moves the chart; its call is shown.
	if got := say("forecast SYN-02 4d seed 9"); !strings.Contains(got, "POST /v1/forecast") || !strings.Contains(got, "P(up)") {
		t.Errorf("answer %q", got)
	}
	p.until(`document.getElementById('title').innerText === 'SYN-02'`)
	p.idle()
	if got := p.last("/v1/forecast"); got["asset"] != "SYN-02" || got["horizon"] != 4. || got["seed"] != 9. || got["paths"] != 32. {
		t.Errorf("request %v", got)
	}
	// A scenario and a comparison do, too.
	say("what if -2%, then flat")
	p.until(`!document.getElementById('scenario').hidden && document.querySelector('#scenario dl') !== null`)
	say("compare with ewma")
	p.until(`!document.getElementById('compare').hidden && document.querySelector('#compare dl') !== null && document.querySelector('#scenario dl') === null`)
	p.idle()
	// A date is that of the controls.
	say("as of 2006-01-31")
	p.until(`location.search.includes('as_of=2006-01-31')`)
	p.idle()
	// What is not understood has the nearest commands, to press.
	if got := say("forcast"); !strings.Contains(got, "forcast") || js[int](p, `document.querySelectorAll('#log article:last-child button').length`) == 0 {
		t.Errorf("answer %q", got)
	}
	// Starters are lines that are understood.
	for _, line := range js[[]string](p, `[...document.querySelectorAll('.starters button')].map((b) => b.innerText)`) {
		say(line)
		if js[bool](p, `document.querySelector('#log article:last-child .bad') !== null`) {
			t.Errorf("%s: %q", line, p.text("#log article:last-child"))
		}
	}
	p.idle()

	// Lines come back, and are completed.
	value := func() string { return js[string](p, `document.querySelector('#line').value`) }
	p.do(chromedp.SendKeys(chromedp.CSS("#line"), kb.ArrowUp+kb.ArrowUp))
	if got := value(); got != "explain" {
		t.Errorf("two lines back: %q", got)
	}
	p.do(chromedp.SendKeys(chromedp.CSS("#line"), kb.ArrowDown+kb.ArrowDown))
	p.do(chromedp.SendKeys(chromedp.CSS("#line"), "use SYN-0"), chromedp.SendKeys(chromedp.CSS("#line"), kb.ArrowDown+kb.ArrowDown+kb.Tab))
	if got := value(); got != "use SYN-02" {
		t.Errorf("completed: %q", got)
	}
}

func TestPageObeysTheKeyboard(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Concurrent = 1 })
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32")
	p.idle()
	p.do(chromedp.KeyEvent("/"))
	if got := js[string](p, `document.activeElement.id`); got != "line" {
		t.Errorf("/ goes to %q", got)
	}
	js[bool](p, `(document.querySelector('#strip input').focus(), true)`)
	p.do(chromedp.KeyEvent(kb.ArrowLeft))
	day := configOf(t).Series[0].Candles[len(configOf(t).Series[0].Candles)-2].Time.Format(time.DateOnly)
	p.until(fmt.Sprintf(`location.search.includes('as_of=%s')`, day))
	p.idle()
	js[bool](p, `(document.getElementById('tab-forecast').focus(), true)`)
	p.do(chromedp.KeyEvent(kb.ArrowRight))
	p.until(`!document.getElementById('scenario').hidden`)

	// A busy server is asked again; Escape gives a stream up.
	r.slots <- struct{}{}
	p.set("[name=seed]", "5", "input")
	p.until(`document.getElementById('status').innerText.includes('busy')`)
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until(`document.getElementById('status').innerText.startsWith('Stopped') && document.getElementById('run').innerText === 'Draw'`)
	p.do(chromedp.Click(chromedp.CSS("#run")))
	p.until(`document.getElementById('status').innerText.includes('busy')`)
	<-r.slots
	p.until(`document.getElementById('status').innerText === '32 paths of 5 candles'`)
}

// point moves the pointer, and waits until that is drawn.
func (p *tab) point(x, y float64) {
	p.t.Helper()
	drawn := chromedp.Evaluate[chromedp.Void](`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))`, chromedp.EvalAwaitPromise)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y), drawn)
}

func TestPageMarksAPath(t *testing.T) {
	r := start(t, nil)
	p := visit(t, browser(t), r.url, "/?horizon=40&paths=32")
	p.idle()
	box := js[[]float64](p, `(() => { const r = document.getElementById('chart').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`)
	legend := func() string { return p.text("#legend") }
	x, y := box[0]+.75*box[2], box[1]
	for ; y < box[1]+box[3] && !strings.Contains(legend(), "path "); y += 10 {
		p.point(x, y)
	}
	if got := legend(); !strings.Contains(got, "path ") || !strings.Contains(got, "P(up)") || !strings.Contains(got, "95%") {
		t.Fatalf("over the fan: %q", got)
	}
	p.do(chromedp.MouseClickXY(x, y))
	p.point(x, box[1]+5)
	if got := legend(); !strings.Contains(got, "kept") {
		t.Errorf("after a click: %q", got)
	}
	p.do(chromedp.KeyEvent(kb.Escape))
	p.point(x, box[1]+6)
	if got := legend(); strings.Contains(got, "kept") {
		t.Errorf("after Escape: %q", got)
	}
	p.point(box[0]+.1*box[2], y)
	if got := legend(); !strings.Contains(got, "O ") || strings.Contains(got, "P(up)") {
		t.Errorf("over the history: %q", got)
	}
}

func TestPageRemembersItsTheme(t *testing.T) {
	r := start(t, nil)
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32")
	p.idle()
	ground := func() string { return js[string](p, `getComputedStyle(document.body).backgroundColor`) }
	before, name := ground(), p.text("#theme")
	p.do(chromedp.Click(chromedp.CSS("#theme")))
	after := ground()
	if after == before || p.text("#theme") == name {
		t.Errorf("%s pressed: %s before, %s after", name, before, after)
	}
	p.painted("accent", true)
	p.do(chromedp.Reload())
	p.idle()
	if got := ground(); got != after {
		t.Errorf("loaded again: %s, want %s", got, after)
	}
}

func TestPageAsksForTheToken(t *testing.T) {
	const token = "0123456789abcdef"
	r := start(t, func(c *Config) { c.Token = token })
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32")
	p.do(chromedp.SendKeys(chromedp.CSS("#token input"), "wrong\r"))
	p.until(`document.getElementById('token').open && !document.querySelector('#token .bad').hidden`)
	p.do(chromedp.SendKeys(chromedp.CSS("#token input"), token+"\r"))
	p.idle()
	if js[bool](p, `document.getElementById('token').open`) || js[string](p, `sessionStorage.getItem('token')`) != token || js[bool](p, `Object.values(localStorage).some((text) => text.includes(sessionStorage.getItem('token')))`) {
		t.Error("want the token in the storage of the session alone")
	}
	if strings.Contains(js[string](p, `location.href`), token) {
		t.Error("the token is in the address")
	}
}

func TestPageShowsEvidence(t *testing.T) {
	folder := t.TempDir()
	r := start(t, func(c *Config) { c.Folder = folder })
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32&view=evidence")
	p.idle()
	p.until(`document.getElementById('evidence').innerText.includes('mqc report')`)
	hash := hashOf(r.Server, "plain")
	if got := p.text("#evidence"); !strings.Contains(got, hash) || !strings.Contains(got, "No run was recorded") {
		t.Errorf("without a card: %q", got)
	}
	writeCard(t, folder+"/report.json", "a note of the card", 1, hash)
	q := visit(t, browser(t), r.url, "/?horizon=5&paths=32&view=evidence")
	q.until(`document.getElementById('evidence').innerText.includes('a note of the card')`)
	if got := js[string](q, `document.querySelector('#evidence a').getAttribute('href')`); got != "/v1/report?model=plain&format=html" {
		t.Errorf("link %q", got)
	}
	q.idle()
}

func TestPageFollowsARun(t *testing.T) {
	folder := t.TempDir()
	registry := registryForTest(t, folder)
	run := startRun(t, registry, runs.Run{Stage: "pretrain", Checkpoint: "best.pt"})
	appendTo(t, registry, run.ID, stepsOf(1, 3))
	r := start(t, func(c *Config) { c.Registry = folder })
	p := visit(t, browser(t), r.url, "/?horizon=5&paths=32&view=evidence")
	p.until(`document.querySelector('.curves b')?.innerText === '3.0000'`)
	if got := p.text("#evidence"); !strings.Contains(got, "Run 1: pretrain, running") || !strings.Contains(got, "step loss") {
		t.Errorf("a run that trains: %q", got)
	}
	appendTo(t, registry, run.ID, stepsOf(4, 5))
	p.until(`document.querySelector('.curves b').innerText === '8.0000'`)
	if err := registry.End(run.ID, runs.Finished, ""); err != nil {
		t.Fatal(err)
	}
	p.until(`document.getElementById('evidence').innerText.includes('pretrain, finished')`)
	if n := js[int](p, `document.querySelectorAll('.curves canvas').length`); n != 1 {
		t.Errorf("%d charts, want that of the loss", n)
	}
	p.idle()
}

func TestPageFiles(t *testing.T) {
	s := newServer(t, nil)
	for path, want := range map[string]string{
		"/":                                   "text/html; charset=utf-8",
		"/web/main.js":                        "text/javascript; charset=utf-8",
		"/web/lib/lightweight-charts.mjs":     "text/javascript; charset=utf-8",
		"/web/page.css":                       "text/css; charset=utf-8",
		"/web/icon.svg":                       "image/svg+xml",
		"/web/lib/uplot.LICENSE":              "text/plain; charset=utf-8",
		"/web/lib/lightweight-charts.LICENSE": "text/plain; charset=utf-8",
	} {
		w := ask(s, "GET", path, "")
		tag := w.Header().Get("ETag")
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != want || tag == "" || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: status %d, %s, %v", path, w.Code, got, w.Header())
		}
		if w := ask(s, "GET", path, "", "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
			t.Errorf("%s, unchanged: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
	for _, path := range []string{"/web/", "/web/lib/", "/web/lib", "/web/none.js", "/web/index.html/"} {
		problem(t, ask(s, "GET", path, ""), 404, "no such endpoint")
	}
}
