package market

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every file of testdata/broken is refused for the reason that broken.txt
// states, in one line that begins with its name.
func TestBrokenFilesAreRefused(t *testing.T) {
	dir := filepath.Join("testdata", "broken")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		_, _, err := ReadFile(path, Options{})
		if err == nil {
			t.Errorf("%s was read", path)
			continue
		}
		text, found := strings.CutPrefix(err.Error(), "market: "+path)
		if !found || strings.Contains(text, "\n") {
			t.Errorf("%q does not begin with the name, or has more than a line", err)
		}
		got.WriteString(entry.Name() + text + "\n")
	}
	golden := filepath.Join("testdata", "broken.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("other reasons than before (-want +got):\n%s", diff)
	}
}
