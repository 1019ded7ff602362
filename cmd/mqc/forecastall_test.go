package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/rogpeppe/go-internal/testscript"
)

// sameTable is table FILE.csv FILE.parquet: it wants the same paths in both.
func sameTable(ts *testscript.TestScript, _ bool, args []string) {
	rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[0]))).ReadAll()
	ts.Check(err)
	paths, err := parquet.ReadFile[parquetPath](ts.MkAbs(args[1]))
	ts.Check(err)
	if len(paths) != len(rows)-1 {
		ts.Fatalf("%d rows in %s, %d in %s", len(rows)-1, args[0], len(paths), args[1])
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	for i, p := range paths {
		got := []string{
			p.Asset, strconv.Itoa(int(p.Path)), strconv.Itoa(int(p.Step)), time.UnixMilli(p.Time).UTC().Format(time.RFC3339),
			number(p.Open), number(p.High), number(p.Low), number(p.Close),
		}
		if want := strings.Join(rows[1+i], " "); strings.Join(got, " ") != want {
			ts.Fatalf("row %d is %v, want %s", i, got, want)
		}
	}
}

// cutAfter is cut FOLDER DATE TO: it copies candle files without the rows after a date.
func cutAfter(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.csv"))
	ts.Check(err)
	ts.Check(os.MkdirAll(ts.MkAbs(args[2]), 0o755))
	for _, f := range files {
		text, err := os.ReadFile(f)
		ts.Check(err)
		var kept []string
		for i, line := range strings.SplitAfter(string(text), "\n") {
			if i == 0 || len(line) > 10 && line[:10] <= args[1] {
				kept = append(kept, line)
			}
		}
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[2]), filepath.Base(f)), []byte(strings.Join(kept, "")), 0o644))
	}
}
