package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mqc": main})
}

// TestScripts runs testdata/script. Beside the commands of testscript there are
//
//	given market|tokenizer|model  puts that, and what it is made of, into the work folder
//	exits CODE COMMAND...         runs a command and wants exactly this exit code
//	field FILE PATH [WANT]        looks up a.b.0.c in JSON; stdout is a file too
//	valid FILE PATHS HORIZON      wants so many rows of valid candles in a forecast's CSV
//	await FILE TEXT               waits until a file that is being written holds a text
//	serve                         starts a service for data fetch, at $SERVICE
//	ask FILE PATH ANSWER [BODY]   asks the server whose address a file holds; the answer becomes a file
//	table CSV PARQUET             wants the same joint paths in both
//	cut FOLDER DATE TO            copies candle files without the rows after a date
//	sessions FOLDER TO            copies hourly files without the nights and weekends
//	lines FILE N                  wants so many lines, each one JSON object
//
// $TORCH is the folder with the PyTorch files of package torch's tests.
func TestScripts(t *testing.T) {
	f := &fixture{root: t.TempDir()}
	torch, err := filepath.Abs(filepath.Join("..", "..", "torch", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("TORCH", torch)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"given": f.given,
			"exits": exits,
			"field": field,
			"valid": valid,
			"await": await,
			"serve": serve,
			"ask":   ask,
			"table": sameTable,
			"cut":   cutAfter,
			"lines": jsonLines,

			"sessions": sessions,
		},
	})
}

// tinyModel is a shape and a run that take milliseconds.
var tinyModel = []string{"--preset", "spec", "--layers", "1", "--embd", "16", "--heads", "2", "--seq-len", "16", "--epochs", "1", "--lr", "0.01"}

// fixture makes what scripts start from once for all of them: fitting a
// tokenizer is the slow part.
type fixture struct {
	root string
	once sync.Once
	err  error
}

// levels of given, each with the folders that it adds.
var given = []struct {
	name    string
	folders []string
}{
	{"market", []string{"data"}},
	{"tokenizer", []string{"models", "tokens"}},
	{"model", []string{"checkpoints"}},
}

func (f *fixture) make() {
	at := func(path string) string { return filepath.Join(f.root, path) }
	for _, args := range [][]string{
		{"data", "generate", "--assets", "3", "--candles", "300", "--out", at("data")},
		// Fitted up to a date that leaves scripts a choice of later borders.
		{
			"tokenize", "--data", at("data"), "--codes", "32", "--val-from", "2005-10-03", "--test-from", "2005-12-01",
			"--out", at(defaultTokenizer), "--tokens", at("tokens/all.txt"),
		},
		append([]string{"train", "--data", at("data"), "--tokenizer", at(defaultTokenizer), "--out", at(bestModel)}, tinyModel...),
	} {
		var stderr bytes.Buffer
		if code := run(context.Background(), args, &bytes.Buffer{}, &stderr); code != 0 {
			f.err = fmt.Errorf("mqc %s: exit %d: %s", strings.Join(args, " "), code, stderr.String())
			return
		}
	}
}

func (f *fixture) given(ts *testscript.TestScript, _ bool, args []string) {
	f.once.Do(f.make)
	ts.Check(f.err)
	for _, g := range given {
		for _, folder := range g.folders {
			ts.Check(os.CopyFS(ts.MkAbs(folder), os.DirFS(filepath.Join(f.root, folder))))
		}
		if len(args) == 1 && g.name == args[0] {
			return
		}
	}
	ts.Fatalf("given %v: want market, tokenizer or model", args)
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

func field(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	for _, key := range strings.Split(args[1], ".") {
		var next any
		found := false
		switch at := v.(type) {
		case map[string]any:
			next, found = at[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i < len(at) {
				next, found = at[i], true
			}
		}
		if !found {
			ts.Fatalf("%s: no %q on the way to %s", args[0], key, args[1])
		}
		v = next
	}
	if len(args) > 2 {
		if got := fmt.Sprint(v); got != args[2] {
			ts.Fatalf("%s: %s is %s, want %s", args[0], args[1], got, args[2])
		}
	}
}

func valid(ts *testscript.TestScript, _ bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	paths, err := strconv.Atoi(args[1])
	ts.Check(err)
	horizon, err := strconv.Atoi(args[2])
	ts.Check(err)
	if got, want := strings.Join(rows[0], ","), "path,step,time,open,high,low,close"; got != want {
		ts.Fatalf("header %s, want %s", got, want)
	}
	if got, want := len(rows)-1, paths*horizon; got != want {
		ts.Fatalf("%d rows, want %d", got, want)
	}
	for i, row := range rows[1:] {
		if row[0] != strconv.Itoa(i/horizon) || row[1] != strconv.Itoa(i%horizon+1) {
			ts.Fatalf("row %d is path %s step %s", i+1, row[0], row[1])
		}
		_, err := time.Parse(time.RFC3339, row[2])
		ts.Check(err)
		var price [4]float64
		for k := range price {
			price[k], err = strconv.ParseFloat(row[3+k], 64)
			ts.Check(err)
		}
		open, high, low, close := price[0], price[1], price[2], price[3]
		if !(0 < low && low <= min(open, close) && max(open, close) <= high) {
			ts.Fatalf("row %d is no candle: %v", i+1, row)
		}
	}
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	for range 3000 {
		if text, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(text), args[1]) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s did not come to hold %q in 30 s", args[0], args[1])
}

// sessions keeps the candles from 14:00 to 20:00 UTC on weekdays.
func sessions(ts *testscript.TestScript, _ bool, args []string) {
	from, to := os.DirFS(ts.MkAbs(args[0])), ts.MkAbs(args[1])
	ts.Check(os.Mkdir(to, 0o755))
	names, err := fs.Glob(from, "*.csv")
	ts.Check(err)
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		ts.Check(err)
		var kept strings.Builder
		for line := range strings.Lines(string(text)) {
			stamp, _, _ := strings.Cut(line, ",")
			t, err := time.Parse("2006-01-02 15:04:05Z07:00", stamp)
			closed := t.Weekday() == time.Saturday || t.Weekday() == time.Sunday || t.Hour() < 14 || t.Hour() > 20
			if header := err != nil; header || !closed {
				kept.WriteString(line)
			}
		}
		ts.Check(os.WriteFile(filepath.Join(to, name), []byte(kept.String()), 0o644))
	}
}

func jsonLines(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	got := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var v map[string]any
		ts.Check(json.Unmarshal([]byte(line), &v))
		got++
	}
	if got != want {
		ts.Fatalf("%s: %d lines, want %d", args[0], got, want)
	}
}

func ask(ts *testscript.TestScript, _ bool, args []string) {
	method, body := http.MethodGet, ""
	if len(args) > 3 {
		method, body = http.MethodPost, args[3]
	}
	r, err := http.NewRequest(method, regexp.MustCompile(`http://[0-9.:]+[0-9]`).FindString(ts.ReadFile(args[0]))+args[1], strings.NewReader(body))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+ts.Getenv("TOKEN"))
	r.Close = true
	w, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o644))
}
