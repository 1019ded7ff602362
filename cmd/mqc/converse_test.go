package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/chat"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// typed is a keyboard on which keys are hit, and then no more.
type typed struct{ io.Reader }

func (typed) raw() (restore func(), width, height int, err error) {
	return func() {}, 120, 40, nil
}

// conversation is a session without a model, which answers what asks for none.
func conversation(t *testing.T) *chat.Session {
	t.Helper()
	at := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	series := func(symbol string) *market.Series {
		s := &market.Series{Symbol: symbol, Interval: market.Day}
		for i := range 3 {
			s.Candles = append(s.Candles, market.Candle{Time: at.AddDate(0, 0, i), Open: 1, High: 1, Low: 1, Close: 1})
		}
		return s
	}
	service, err := api.New(api.Config{
		Series: []*market.Series{series("BTC-USD"), series("ETH-USD")}, Models: []api.Model{{Name: "none"}}, Limits: api.DefaultLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := chat.NewSession(service, chat.DefaultState())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// screen is what converse shows for keys; folder is where users keep settings.
func screen(t *testing.T, folder, keys string, keep bool) (shown, talk string) {
	t.Helper()
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(name, folder)
	}
	var out, err bytes.Buffer
	a := &app{out: &outWriter{Writer: &out}, err: &err}
	if err := a.converse(t.Context(), conversation(t), typed{strings.NewReader(keys)}, keep); err != nil {
		t.Fatal(err)
	}
	return out.String(), err.String()
}

func TestConverse(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct{ keys, shown, talk string }{
		{"ass\t\r\x04", "ETH-USD", ""},
		{"nonsense\x03assets\r\x04", "assets\n", ""},                              // Ctrl-C clears the line
		{"nonsense\x1b[D\x1b[D\x03assets\r\x04", "assets\n", ""},                  // from wherever the cursor is
		{"use a\t\r\x04", "use asset", `which asset?`},                            // one word, completed
		{"forecast eth\t 5x\r\x04", "forecast ETH-USD  5x", `no asset "5x"`},      // in the case that it has
		{"show \t\r\x04", "analogues  assets  calibration  models", "no command"}, // several, listed
		{"zzz\t\r\x04", "zzz", `no command begins with "zzz"`},                    // none
		{"wat\r\x1b[A\r\x04", "wat", `no command begins with "wat"`},              // the arrow recalls
		{"models please\r\x04", "BTC-USD> ", "such as: models"},                   // a hint
		{"quit\rassets\r", "quit", ""},                                            // the rest is not read
		{"assets\r", "BTC-USD> ", ""},                                             // the end of the input ends it
	} {
		shown, talk := screen(t, folder, c.keys, true)
		if !strings.Contains(strings.ReplaceAll(shown, "\r\n", "\n"), c.shown) || !strings.Contains(talk, c.talk) {
			t.Errorf("%q shows\n%q\nand says\n%s\nwant %q and %q", c.keys, shown, talk, c.shown, c.talk)
		}
		if strings.Contains(talk, "nonsense") || strings.HasPrefix(c.keys, "quit") && strings.Contains(shown, "ETH-USD") {
			t.Errorf("%q is read: %s%s", c.keys, shown, talk)
		}
	}
}

func TestHistoryIsKept(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(name, folder)
	}
	if _, talk := screen(t, folder, "assets\rassets\rmodels x\r\x04", true); strings.Contains(talk, "no history") {
		t.Fatal(talk)
	}
	// The line before is that of the last conversation.
	if _, talk := screen(t, folder, "\x1b[A\r\x04", true); !strings.Contains(talk, `"x" is one word too many`) {
		t.Errorf("the arrow recalls nothing: %s", talk)
	}
	h := &history{}
	if err := h.open(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"assets", "models x"}; !slices.Equal(h.lines, want) {
		t.Errorf("%q, want %q", h.lines, want)
	}
	for i := range maxHistory + 5 {
		h.Add(fmt.Sprint(i))
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	h = &history{}
	if err := h.open(); err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if n, last := h.Len(), h.At(0); n != maxHistory || last != fmt.Sprint(maxHistory+4) {
		t.Errorf("%d lines, the last %q", n, last)
	}

	empty := t.TempDir()
	screen(t, empty, "assets\r\x04", false)
	if found, err := filepath.Glob(filepath.Join(empty, "*")); err != nil || len(found) > 0 {
		t.Errorf("--no-history leaves %v, %v", found, err)
	}
	// A folder that cannot be is said, and the conversation goes on.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if shown, talk := screen(t, file, "assets\r\x04", true); !strings.Contains(talk, "no history is kept") || !strings.Contains(shown, "ETH-USD") {
		t.Errorf("%s\n%s", talk, shown)
	}
}

// The end of the program does not wait for a key.
func TestConverseEndsWithTheProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	never, w := io.Pipe()
	defer w.Close()
	var out, talk bytes.Buffer
	a := &app{out: &outWriter{Writer: &out}, err: &talk}
	cancel()
	if err := a.converse(ctx, conversation(t), typed{never}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// impatient types a question and interrupts until the next one may be typed.
type impatient struct {
	typed
	question string
	stop     chan struct{}
	stopped  sync.WaitGroup
}

func (k *impatient) Read(p []byte) (int, error) {
	if k.stop != nil {
		close(k.stop)
		k.stopped.Wait()
		return copy(p, "\x04"), nil
	}
	k.stop = make(chan struct{})
	k.stopped.Go(func() {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			panic(err) // this process is there
		}
		// One that came after the conversation has let go of interrupts would
		// end this process: each is waited for.
		came := make(chan os.Signal, 1)
		signal.Notify(came, os.Interrupt)
		defer signal.Stop(came)
		for {
			select {
			case <-k.stop:
				return
			case <-time.After(20 * time.Millisecond):
				self.Signal(os.Interrupt)
				<-came
			}
		}
	})
	return copy(p, k.question), nil
}

func TestInterruptStopsAnAnswer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot interrupt itself there")
	}
	f := &fixture{root: t.TempDir()}
	if f.make(); f.err != nil {
		t.Fatal(f.err)
	}
	b, err := checkpoint.Open(filepath.Join(f.root, bestModel))
	if err != nil {
		t.Fatal(err)
	}
	m, err := forecast.NewModel(b)
	if err != nil {
		t.Fatal(err)
	}
	series, _, err := market.ReadDir(filepath.Join(f.root, "data"))
	if err != nil {
		t.Fatal(err)
	}
	service, err := api.New(api.Config{Series: series, Models: []api.Model{{Name: "best_model", Model: m}}, Limits: api.DefaultLimits()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := chat.NewSession(service, chat.DefaultState())
	if err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	a := &app{out: &outWriter{Writer: &out}, err: &talk}
	// Long work, were it done.
	if err := a.converse(t.Context(), s, &impatient{question: "forecast 400d paths 655\r"}, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(talk.String(), "stopped\n") || strings.Contains(out.String(), "API:") {
		t.Errorf("%s%s", talk.String(), out.String())
	}
}
