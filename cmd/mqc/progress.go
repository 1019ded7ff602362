package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/micro-quant/mqc/train"
)

// meter shows the progress of a stage, a bar on a terminal and plain lines
// elsewhere, and writes every event to a JSON Lines log and to the registry of
// runs.
type meter struct {
	a       *app
	path    string // of the log
	log     *os.File
	fault   error // of the log; it is said once, and training goes on
	start   time.Time
	first   int // steps done before this process
	resumed bool
	record  *record
	bars    *mpb.Progress
	bar     *mpb.Bar
	text    string
}

func (a *app) newMeter(log, out, folder string, pending *train.Pending) *meter {
	m := &meter{a: a, path: log, start: time.Now(), record: &record{a: a, out: out, folder: folder, resumed: pending != nil}}
	if pending != nil {
		m.first, m.resumed = pending.Step, true
	}
	return m
}

// open opens the log, anew or behind what a resumed run wrote. It waits for the
// first event: a run that is refused leaves the log of an older one alone.
func (m *meter) open() (err error) {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o755); err != nil {
		return err
	}
	mode := os.O_TRUNC
	if m.resumed {
		mode = os.O_APPEND
	}
	m.log, err = os.OpenFile(m.path, os.O_CREATE|os.O_WRONLY|mode, 0o644)
	return err
}

// write appends an event to the log.
func (m *meter) write(e train.Event) error {
	if m.log == nil {
		if err := m.open(); err != nil {
			return err
		}
	}
	line, err := json.Marshal(struct {
		Time string `json:"time"`
		train.Event
	}{time.Now().UTC().Format(time.RFC3339Nano), e})
	if err != nil {
		return err
	}
	_, err = m.log.Write(append(line, '\n'))
	return err
}

func (m *meter) close() {
	if m.log != nil {
		m.log.Close()
	}
	m.record.close()
}

// terminal says whether the person sees stderr on a terminal.
func (a *app) terminal() bool {
	f, ok := a.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (m *meter) observe(e train.Event) {
	if m.fault == nil {
		if m.fault = m.write(e); m.fault != nil {
			m.a.warn("log: %v", m.fault)
		}
	}
	m.record.observe(e)
	if e.Kind == train.EventEval {
		m.text = formatMeasures(e.Measures)
	}
	if m.a.quiet {
		return
	}
	if m.a.terminal() {
		m.show(e)
		return
	}
	if e.Kind == train.EventEval {
		mark := ""
		if e.Best {
			mark = " *"
		}
		m.a.talk("%s %d/%d  %s%s%s", e.Stage, e.Step, e.Steps, m.text, m.eta(e), mark)
	}
}

// eta is the time left at the pace so far.
func (m *meter) eta(e train.Event) string {
	done := e.Step - m.first
	if done <= 0 || e.Step >= e.Steps {
		return ""
	}
	left := time.Since(m.start) / time.Duration(done) * time.Duration(e.Steps-e.Step)
	return fmt.Sprintf("  %s left", left.Round(time.Second))
}

func (m *meter) show(e train.Event) {
	if m.bar == nil {
		m.bars = mpb.New(mpb.WithOutput(m.a.err), mpb.WithWidth(40))
		m.bar = m.bars.AddBar(int64(e.Steps),
			mpb.PrependDecorators(decor.Name(e.Stage+" "), decor.CountersNoUnit("%d/%d ")),
			mpb.AppendDecorators(decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), ""), decor.Any(func(decor.Statistics) string { return "  " + m.text })))
	}
	m.bar.SetCurrent(int64(e.Step))
}

// stop leaves the bar as it is and gives the terminal back.
func (m *meter) stop() {
	if m.bar == nil {
		return
	}
	m.bar.Abort(false)
	m.bars.Wait()
}

// formatMeasures prints numbers by name, in alphabetical order.
func formatMeasures(ms train.Measures) string {
	names := make([]string, 0, len(ms))
	for n := range ms {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString("  ")
		}
		fmt.Fprintf(&b, "%s %.4f", n, ms[n])
	}
	return b.String()
}
