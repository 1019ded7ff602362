// Package load measures a server of forecasts: how long one quiet client waits, and
// what many at once get of it.
package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/measure"
	"github.com/micro-quant/mqc/server"
)

// Config is what to measure. Requests are of the first model.
type Config struct {
	Server  server.Config
	Clients int
	Time    time.Duration // that clients go on asking
	Paths   int           // of a request
	Horizon int
	Leave   float64 // share of requests that are given up half-way
	Repeats int     // of what the quiet client asks
	Seed    uint64
}

// What the quiet client asks, as a page does.
const (
	quietPaths   = 256
	quietHorizon = 32
)

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	errs := []error{c.Server.Validate()}
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("load: "+format, args...))
		}
	}
	limits := c.Server.Limits
	fault(c.Clients < 1, "clients %d: want at least 1", c.Clients)
	fault(c.Time <= 0, "time %v: want more than 0", c.Time)
	fault(c.Paths < 1 || c.Paths > limits.Paths, "paths %d: want 1 to %d", c.Paths, limits.Paths)
	fault(c.Horizon < 2 || c.Horizon > limits.Horizon, "horizon %d: want 2 to %d", c.Horizon, limits.Horizon)
	fault(!(c.Leave >= 0 && c.Leave < 1), "share %v of requests that are given up: want 0 to 1", c.Leave)
	fault(c.Repeats < 1, "repeats %d: want at least 1", c.Repeats)
	return errors.Join(errs...)
}

// Result is what was measured.
type Result struct {
	Precision  gpt.Precision `json:"precision"`
	Engine     string        `json:"engine"`
	CPU        string        `json:"cpu,omitempty"`
	Workers    int           `json:"workers"`
	Parameters int           `json:"parameters"`
	Assets     int           `json:"assets"`

	Quiet  Quiet  `json:"quiet"`
	Crowd  Crowd  `json:"crowd"`
	Decode Decode `json:"decode"`
}

// Quiet is what one client waits for, in milliseconds: medians.
type Quiet struct {
	Paths           int     `json:"paths"`
	Horizon         int     `json:"horizon"`
	Repeats         int     `json:"repeats"`
	FirstQuantileMS float64 `json:"first_quantile_ms"` // until the first event of a stream
	DoneMS          float64 `json:"done_ms"`           // until its last
	JSONMS          float64 `json:"json_ms"`           // until the answer without a stream
}

// Crowd is what many clients get.
type Crowd struct {
	Clients  int     `json:"clients"`
	Seconds  float64 `json:"seconds"` // until the last answer
	Paths    int     `json:"paths"`
	Horizon  int     `json:"horizon"`
	Accepted int     `json:"accepted"` // requests that were answered
	Refused  int     `json:"refused"`  // with 429
	Left     int     `json:"left"`     // given up by the client

	TokensPerSecond float64 `json:"tokens_per_second"` // of accepted requests
	P50MS           float64 `json:"p50_ms"`            // of accepted requests, from the first byte sent to the last received
	P95MS           float64 `json:"p95_ms"`
	P99MS           float64 `json:"p99_ms"`

	SameBytes        bool    `json:"same_bytes"` // every answer is that of the same request alone
	HeapBeforeMiB    float64 `json:"heap_before_mib"`
	HeapAfterMiB     float64 `json:"heap_after_mib"`
	GoroutinesBefore int     `json:"goroutines_before"`
	GoroutinesAfter  int     `json:"goroutines_after"`
}

// Decode is the same model without a server, measured right before.
type Decode struct {
	Paths           int     `json:"paths"`
	Prompt          int     `json:"prompt"`
	New             int     `json:"new"`
	TokensPerSecond float64 `json:"tokens_per_second"`
	Ratio           float64 `json:"ratio"` // of the crowd's tokens per second to these
}

// Size of the decoding to compare with: that of mqc bench decode --paths 64.
const (
	decodePaths  = 64
	decodeTokens = 128             // of the prompt, and new ones; at most half the context of each
	decodeSteps  = 5               // generations, or
	decodeTime   = 3 * time.Second // whichever is longer
)

// Run measures: decoding, the quiet client, the crowd. The end of ctx stops it with
// the error of ctx.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	model := c.Server.Models[0].Model
	r := Result{
		Precision: model.Bundle.Precision, Engine: kernel.Engine(model.Bundle.Precision), CPU: measure.CPU(), Workers: parallel.Workers(),
		Parameters: model.Bundle.Model.Parameters(), Assets: len(c.Server.Series),
	}
	b, err := newBench(c)
	if err != nil {
		return r, err
	}
	err = b.run(ctx, model, &r)
	return r, errors.Join(err, b.stop())
}

// bench is a server at an address of this machine, and how it is asked.
type bench struct {
	Config
	url    string
	client *http.Client
	stop   func() error // waits until the server has ended
	asked  []question
}

// question is a request with the answer that it has alone.
type question struct {
	body   []byte
	answer []byte
}

// questions is how many different ones a crowd asks.
const questions = 24

func newBench(c Config) (*bench, error) {
	s, err := server.New(c.Server)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: c.Clients}
	b := &bench{Config: c, url: "http://" + l.Addr().String(), client: &http.Client{Transport: transport}}
	b.stop = func() error {
		transport.CloseIdleConnections()
		cancel()
		return <-ended
	}
	return b, nil
}

func (b *bench) run(ctx context.Context, model *forecast.Model, r *Result) (err error) {
	if r.Decode, err = decode(ctx, model, b.Seed); err != nil {
		return err
	}
	if r.Quiet, err = b.quiet(ctx); err != nil {
		return err
	}
	if r.Crowd, err = b.crowd(ctx); err != nil {
		return err
	}
	r.Decode.Ratio = r.Crowd.TokensPerSecond / r.Decode.TokensPerSecond
	return nil
}

// decode measures the model without a server.
func decode(ctx context.Context, model *forecast.Model, seed uint64) (Decode, error) {
	m := model.Bundle.Model
	d := Decode{Paths: decodePaths, Prompt: min(decodeTokens, m.SeqLen/2), New: min(decodeTokens, m.SeqLen-m.SeqLen/2)}
	c := measure.Config{
		Work: measure.Decode, Model: m.Config, Weights: m, Precision: model.Bundle.Precision.String(), Batch: 1, T: 1,
		Paths: d.Paths, Prompt: d.Prompt, New: d.New, Warmup: 1, Steps: decodeSteps, Seed: seed,
	}
	got, err := measure.Run(ctx, c)
	if err != nil {
		return d, err
	}
	generation := time.Duration(got.StepMS * float64(time.Millisecond) * float64(d.New))
	if c.Steps = int(decodeTime / generation); c.Steps > decodeSteps { // a small model, of which that was a moment
		got, err = measure.Run(ctx, c)
	}
	d.TokensPerSecond = got.TokensPerSecond
	return d, err
}

// body is a request for a forecast of the i-th asset.
func (b *bench) body(i, paths, horizon int) []byte {
	text, err := json.Marshal(map[string]any{
		"model": b.Server.Models[0].Name, "asset": b.Server.Series[i%len(b.Server.Series)].Symbol,
		"paths": paths, "horizon": horizon, "seed": b.Seed + uint64(i),
	})
	if err != nil {
		panic(err) // names and numbers
	}
	return text
}

// reply is what a request came to.
type reply struct {
	status int
	again  time.Duration // to wait, after 429
	text   []byte        // of the answer; of a stream, that of its last event
	first  time.Duration // until the first event of a stream
	all    time.Duration
}

// ask asks for a forecast, as a stream or at once.
func (b *bench) ask(ctx context.Context, body []byte, stream bool) (r reply, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/v1/forecast", bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	q.Header.Set("Content-Type", "application/json")
	if stream {
		q.Header.Set("Accept", "text/event-stream")
	}
	began := time.Now()
	w, err := b.client.Do(q)
	if err != nil {
		return r, err
	}
	defer w.Body.Close()
	r.status = w.StatusCode
	if r.status != http.StatusOK || !stream {
		r.text, err = io.ReadAll(w.Body)
		seconds, _ := strconv.Atoi(w.Header.Get("Retry-After")) // 0: at once
		r.again, r.all = time.Duration(seconds)*time.Second, time.Since(began)
		return r, err
	}
	lines := bufio.NewReader(w.Body)
	name := ""
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r, err
		}
		if key, value, ok := bytes.Cut(line, []byte(": ")); ok && string(key) == "event" {
			name = string(value)
		} else if ok && string(key) == "data" {
			if r.text = value; r.first == 0 {
				r.first = time.Since(began)
			}
		}
	}
	r.all = time.Since(began)
	if name != "done\n" {
		return r, fmt.Errorf("load: a stream ended with %q: %s", name, r.text)
	}
	return r, nil
}

// one asks where nobody else does: an answer that is not 200 is an error.
func (b *bench) one(ctx context.Context, body []byte, stream bool) (reply, error) {
	r, err := b.ask(ctx, body, stream)
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("load: status %d: %s", r.status, r.text)
	}
	return r, err
}

// quiet measures one client. What comes first warms up and does not count.
func (b *bench) quiet(ctx context.Context) (Quiet, error) {
	limits := b.Server.Limits
	q := Quiet{Paths: min(quietPaths, limits.Paths), Horizon: min(quietHorizon, limits.Horizon), Repeats: b.Repeats}
	var first, done, whole []float64
	for i := range b.Repeats + 1 {
		body := b.body(i, q.Paths, q.Horizon)
		stream, err := b.one(ctx, body, true)
		if err != nil {
			return q, err
		}
		plain, err := b.one(ctx, body, false)
		if err != nil {
			return q, err
		}
		if i > 0 {
			first, done, whole = append(first, ms(stream.first)), append(done, ms(stream.all)), append(whole, ms(plain.all))
		}
	}
	q.FirstQuantileMS, q.DoneMS, q.JSONMS = quantile(first, .5), quantile(done, .5), quantile(whole, .5)
	return q, nil
}

// crowd measures many clients.
func (b *bench) crowd(ctx context.Context) (Crowd, error) {
	w := Crowd{Clients: b.Clients, Paths: b.Paths, Horizon: b.Horizon, SameBytes: true}
	for i := range questions {
		q := question{body: b.body(i, b.Paths, b.Horizon)}
		alone, err := b.one(ctx, q.body, false)
		if err != nil {
			return w, err
		}
		q.answer = alone.text
		b.asked = append(b.asked, q)
	}
	idle := b.settle(0)
	w.GoroutinesBefore, w.HeapBeforeMiB = idle, heapMiB()

	counts := make([]count, b.Clients)
	began := time.Now()
	var wait sync.WaitGroup
	for i := range counts {
		wait.Go(func() { counts[i] = b.ofClient(ctx, i, began.Add(b.Time)) })
	}
	wait.Wait()
	w.Seconds = time.Since(began).Seconds()
	var times []float64
	for _, c := range counts {
		if c.err != nil {
			return w, c.err
		}
		times = append(times, c.times...)
		w.Refused, w.Left = w.Refused+c.refused, w.Left+c.left
		w.SameBytes = w.SameBytes && !c.other
	}
	w.GoroutinesAfter = b.settle(idle)
	w.HeapAfterMiB = heapMiB()
	if w.Accepted = len(times); w.Accepted == 0 {
		return w, errors.New("load: no request was answered: give it more time")
	}
	w.TokensPerSecond = float64(w.Accepted*w.Paths*w.Horizon) / w.Seconds
	w.P50MS, w.P95MS, w.P99MS = quantile(times, .5), quantile(times, .95), quantile(times, .99)
	return w, nil
}

// count is what one client of a crowd got.
type count struct {
	times         []float64 // of answers, in milliseconds
	refused, left int
	other         bool // an answer was not that of the request alone
	err           error
}

// ofClient asks until a time. Every other client takes streams.
func (b *bench) ofClient(ctx context.Context, number int, until time.Time) (c count) {
	random := rng.New(b.Seed, rng.Path, uint64(number))
	for i := number; time.Now().Before(until); i++ {
		q := b.asked[i%len(b.asked)]
		asking, leave := context.WithCancel(ctx)
		gone := random.Float64() < b.Leave
		if gone {
			time.AfterFunc(time.Duration(random.Float64()*float64(time.Second)), leave)
		}
		r, err := b.ask(asking, q.body, number%2 == 1)
		cancelled := asking.Err() != nil
		leave()
		switch {
		case ctx.Err() != nil:
			c.err = ctx.Err()
			return c
		case gone && cancelled:
			c.left++
		case err != nil:
			c.err = err
			return c
		case r.status == http.StatusTooManyRequests:
			c.refused++
			wait := time.NewTimer(r.again)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
			}
		case r.status != http.StatusOK:
			c.err = fmt.Errorf("load: status %d: %s", r.status, r.text)
			return c
		default:
			c.times = append(c.times, ms(r.all))
			c.other = c.other || !bytes.Equal(r.text, q.answer)
		}
	}
	return c
}

// patience is how long what has ended may take to be gone.
const patience = 5 * time.Second

// settle closes idle connections, and waits until at most so many goroutines are
// left, or until their number stands still. It returns how many there are.
func (b *bench) settle(most int) int {
	b.client.CloseIdleConnections()
	n, since := runtime.NumGoroutine(), time.Now()
	for began := since; n > most && time.Since(began) < patience && (most > 0 || time.Since(since) < patience/10); {
		time.Sleep(10 * time.Millisecond)
		if now := runtime.NumGoroutine(); now != n {
			n, since = now, time.Now()
		}
	}
	return n
}

// heapMiB is what is reachable on the heap.
func heapMiB() float64 {
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile is the smallest of values that a share p of them does not exceed.
func quantile(values []float64, p float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[max(0, int(math.Ceil(p*float64(len(v))))-1)]
}
