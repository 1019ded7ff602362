package market

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/real.tsv anew")

// realData is a folder of the records that lie beside a checkout of the
// project and are never part of it.
func realData(t *testing.T, folder string) string {
	t.Helper()
	for _, up := range []string{"../..", "../../.."} { // a second working tree lies deeper
		dir := filepath.Join(filepath.FromSlash(up), "shared", "data", folder)
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	t.Skipf("no market records beside this checkout: shared/data/%s is missing", folder)
	return ""
}

// realFiles lists all of the records.
func realFiles(t *testing.T) (dir string, paths []string) {
	dir = realData(t, "")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !hasExt(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, paths
}

// fact says what reading a file gives, without a price.
func fact(path string, o Options) string {
	read, rows, changes := 0, 0, 0
	var one File
	var refused []string
	for f := range ReadEach(path, o) {
		if f.Err != nil {
			refused = append(refused, strings.TrimSpace(strings.TrimPrefix(f.Report.Path[len(path):], "/")+" "+strings.TrimSpace(reason(f))))
			continue
		}
		one = f
		read, rows, changes = read+1, rows+f.Report.Rows, changes+len(f.Report.Changes)
	}
	text := "refused"
	switch {
	case read == 1:
		r := one.Report
		text = fmt.Sprintf("%s %d %s %s", r.Interval, r.Rows, stamp(r.First), stamp(r.Last))
		for _, note := range []struct {
			name string
			n    int
		}{{"widened", r.Widened}, {"gaps", r.Gaps.Count}, {"stale", r.Stale.Count}, {"idle", r.Idle.Count}, {"jumps", len(r.Jumps)}, {"changes", len(r.Changes)}} {
			if note.n > 0 {
				text += fmt.Sprintf(" %s %d", note.name, note.n)
			}
		}
	case read > 1:
		text = fmt.Sprintf("%d read, %d rows, %d changes, %d refused", read, rows, changes, len(refused))
	}
	return strings.TrimRight(text+" "+strings.Join(refused, "; "), " ")
}

// reason is a refusal without a price.
func reason(f File) string {
	var fault *FaultError
	switch {
	case errors.As(f.Err, &fault):
		return fmt.Sprintf("%s %s +%d", fault.Place, fault.Field, fault.More)
	case errors.Is(f.Err, ErrDateOrder):
		return "date order"
	}
	_, text, _ := strings.Cut(strings.TrimPrefix(f.Err.Error(), "market: "), f.Report.Path)
	return strings.TrimPrefix(text, ":")
}

// Every record is read or refused as it was when somebody looked at it last,
// and again when everything that options can do is asked for.
func TestRealFilesAsBefore(t *testing.T) {
	dir, paths := realFiles(t)
	var got strings.Builder
	got.WriteString("file\tplain\twith date order mdy, repair and drop\n")
	for _, path := range paths {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%s\t%s\t%s\n", filepath.ToSlash(name), fact(path, Options{}), fact(path, Options{DateOrder: MonthFirst, Repair: true, Drop: true}))
	}
	golden := filepath.Join("testdata", "real.tsv")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the records read otherwise than before (-want +got):\n%s", diff)
	}
}

// The index of the records was made by another reader: rows, interval and range
// of what is read without options agree with it.
func TestRealFilesAgreeWithTheirIndex(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(realData(t, ""), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(index)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 7 || strings.Contains(line, "| file |") {
			continue
		}
		folder, file, interval, quirks := strings.TrimPrefix(cells[0], "| "), cells[1], cells[2], cells[6]
		rows, err := strconv.Atoi(cells[3])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		listed++
		path := filepath.Join(realData(t, folder), file)
		clean := strings.HasPrefix(quirks, "clean")
		got := 0
		var r Report
		for f := range ReadEach(path, Options{Repair: folder == "universe"}) {
			if f.Err != nil {
				if clean {
					t.Errorf("%s is clean and refused: %v", file, f.Err)
				}
				got = -1
				break
			}
			r = f.Report
			got += r.Rows
		}
		if got < 0 {
			continue
		}
		if got != rows || r.Interval.String() != interval {
			t.Errorf("%s: %d rows of %s, the index says %d of %s", path, got, r.Interval, rows, interval)
		}
		for i, at := range []time.Time{r.First, r.Last} {
			want, err := time.Parse("2006-01-02 15:04:05", cells[4+i])
			if err != nil {
				t.Fatal(err)
			}
			// The index has daily stamps in UTC, as of local midnights.
			if r.Interval < Day && !at.Equal(want) || at.Sub(want).Abs() >= 24*time.Hour {
				t.Errorf("%s: %v, the index says %v", path, at, want)
			}
		}
	}
	if listed < 100 {
		t.Errorf("%d files in the index, want more than a hundred", listed)
	}
}

func TestRealFolders(t *testing.T) {
	series, reports, err := ReadDir(realData(t, "ten"))
	if err != nil || len(series) != 10 || series[0].Symbol != "AAPL" || series[9].Symbol != "V" {
		t.Fatalf("ReadDir(ten) = %d series, %v, want AAPL … V", len(series), err)
	}
	// Prices of these are adjusted for dividends in floating point.
	for _, r := range reports {
		if dozens := slices.Contains([]string{"AAPL", "JPM", "MSFT"}, r.Symbol); dozens && r.Widened < 12 {
			t.Errorf("%s: %d rows widened, want dozens", r.Symbol, r.Widened)
		}
	}
	// The folder holds META and NVDA twice, of two vendors.
	_, _, err = ReadDir(realData(t, "daily"))
	if err == nil || strings.Count(err.Error(), " is also in ") != 2 {
		t.Errorf("ReadDir(daily) = %v, want META and NVDA refused", err)
	}
}
