package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/micro-quant/mqc/chat"
	"github.com/micro-quant/mqc/internal/atomicfile"
)

// converse talks at the terminal until Ctrl-D, "exit" or "quit".
func (a *app) converse(ctx context.Context, s *chat.Session, from keyboard, keep bool) error {
	// An interrupt ends an answer here, not the program; between answers the
	// terminal hands Ctrl-C over as a key.
	signal.Reset(os.Interrupt)
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	defer signal.Reset(os.Interrupt)

	console := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&keys{from: from}, a.out}, "")
	console.AutoCompleteCallback = completer(s.Vocabulary(), console)
	past := &history{}
	if keep {
		if err := past.open(); err != nil {
			a.talk("no history is kept: %v", err)
		}
	}
	console.History = past
	v := s.Vocabulary()
	a.talk("assets: %d; models: %s; help lists the commands, Tab completes, Ctrl-D leaves", len(v.Assets), strings.Join(v.Models, ", "))
	for {
		console.SetPrompt(prompt(s.State()))
		line, err := readLine(ctx, console, from)
		switch line = strings.TrimSpace(line); {
		case errors.Is(err, io.EOF), line == "exit", line == "quit":
			return past.close()
		case err != nil:
			return errors.Join(err, past.close())
		case line == "":
			continue
		}
		asking, stop := signal.NotifyContext(ctx, os.Interrupt)
		err = a.reply(asking, s, line)
		stopped := asking.Err() != nil && ctx.Err() == nil
		stop()
		switch {
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), past.close())
		case stopped:
			a.warn("stopped")
		case err != nil:
			a.chatFailure(err)
		}
	}
}

func prompt(s chat.State) string {
	if s.AsOf == "" {
		return s.Asset + "> "
	}
	return s.Asset + " as of " + s.AsOf + "> "
}

// keyboard is where lines are typed.
type keyboard interface {
	io.Reader
	// raw has every key handed over as it is typed, until restore; width and
	// height are those of the screen, 0 where they are not known.
	raw() (restore func(), width, height int, err error)
}

// ttyKeyboard is a terminal.
type ttyKeyboard struct{ *os.File }

func (k ttyKeyboard) raw() (restore func(), width, height int, err error) {
	fd := int(k.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, 0, 0, err
	}
	if width, height, err = term.GetSize(fd); err != nil {
		width, height = 0, 0
	}
	return func() { term.Restore(fd, before) }, width, height, nil
}

// readLine reads a line. It ends with ctx: the read that then still waits for a key
// ends with the program.
func readLine(ctx context.Context, console *term.Terminal, from keyboard) (string, error) {
	restore, width, height, err := from.raw()
	if err != nil {
		return "", err
	}
	defer restore()
	if width > 0 && height > 0 {
		if err := console.SetSize(width, height); err != nil {
			return "", err
		}
	}
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		line, err := console.ReadLine()
		done <- read{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// keys makes Ctrl-C clear the line, where package term would end the input.
type keys struct {
	from io.Reader
	rest []byte
}

func (k *keys) Read(p []byte) (int, error) {
	const interrupt, toEnd, erase = 3, 5, 21
	if len(k.rest) == 0 {
		n, err := k.from.Read(p)
		if n == 0 {
			return 0, err
		}
		k.rest = bytes.ReplaceAll(bytes.Clone(p[:n]), []byte{interrupt}, []byte{toEnd, erase})
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// completer completes the word before the cursor: as far as all that it may become
// agree; where that is no further, it lists them.
func completer(v chat.Vocabulary, list io.Writer) func(string, int, rune) (string, int, bool) {
	return func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		head, tail := line[:pos], line[pos:]
		found := v.Complete(head)
		if len(found) == 0 {
			return line, pos, true
		}
		typed := head[strings.LastIndexAny(head, " (")+1:]
		common := found[0]
		for _, word := range found[1:] {
			common = commonPrefix(common, word)
		}
		if len(found) == 1 {
			common += " "
		}
		if len(common) <= len(typed) {
			io.WriteString(list, strings.Join(found, "  ")+"\n") // a screen that fails shows on the next key
			return line, pos, true
		}
		head = strings.TrimSuffix(head, typed) + common
		return head + tail, len(head), true
	}
}

// commonPrefix is what two words begin with, but for case.
func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && strings.EqualFold(a[:n+1], b[:n+1]) {
		n++
	}
	return a[:n]
}

// history is what was typed, the newest last. Package term asks for it.
type history struct {
	lines []string
	file  *os.File // where each line is added; nil: it is not kept
	err   error    // of the first line that could not be
}

// maxHistory is how many lines are kept.
const maxHistory = 1000

// open reads the history of earlier conversations, and goes on with it.
func (h *history) open() error {
	folder, err := os.UserConfigDir()
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "mqc", "chat_history")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(data)) {
		h.lines = append(h.lines, strings.TrimSuffix(line, "\n"))
	}
	if n := len(h.lines); n > maxHistory {
		h.lines = h.lines[n-maxHistory:]
		err := atomicfile.WriteBytes(path, []byte(strings.Join(h.lines, "\n")+"\n"))
		if err != nil {
			return err
		}
	}
	h.file, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

// Add takes in a line, but not the same one twice in a row.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if h.file != nil {
		if _, err := h.file.WriteString(line + "\n"); err != nil && h.err == nil {
			h.err = err
		}
	}
}

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At is a line, counted from the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// close reports what could not be kept.
func (h *history) close() error {
	if h.file == nil {
		return nil
	}
	return errors.Join(h.err, h.file.Close())
}
