package mqc_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSpecificationNamesWhatExists wants every test, script and page that
// docs/specification.md names.
func TestSpecificationNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("docs/specification.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			tests[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(text, -1)
	if len(named) == 0 {
		t.Error("docs/specification.md names no test")
	}
	for _, m := range named {
		if !tests[string(m[1])] {
			t.Errorf("docs/specification.md names %s, which is no test", m[1])
		}
	}
	for _, m := range regexp.MustCompile("script `(\\w+\\.txt)`").FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("cmd/mqc/testdata/script", string(m[1]))); err != nil {
			t.Errorf("docs/specification.md: %v", err)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("docs", string(m[1]))); err != nil {
			t.Errorf("docs/specification.md: %v", err)
		}
	}
}

// TestNoticeNamesEveryModule keeps NOTICE true when a library comes or goes.
func TestNoticeNamesEveryModule(t *testing.T) {
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v`).FindAllSubmatch(mod, -1) {
		used[string(m[1])] = true
		if !regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(string(m[1])) + `(\s|$)`).Match(notice) {
			t.Errorf("NOTICE does not name %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^  (\S+\.\S+/\S+)(?:\s|$)`).FindAllSubmatch(notice, -1) {
		if !used[string(m[1])] {
			t.Errorf("NOTICE names %s, which go.mod does not", m[1])
		}
	}
}
