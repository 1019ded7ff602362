package api_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/api/apitest"
	"github.com/micro-quant/mqc/checkpoint"
)

func TestReadModels(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := api.ReadModels(filepath.Join(dir, "none"), apitest.Open); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a folder that is not there: %v", err)
	}
	write("broken.pt", "nothing")
	write("notes.txt", "nothing")
	if _, skipped, err := api.ReadModels(dir, apitest.Open); err == nil || len(skipped) != 1 {
		t.Errorf("no model: %v, skipped %v", err, skipped)
	}
	if err := checkpoint.Save(filepath.Join(dir, "one.pt"), apitest.Given(t).Model("plain").Bundle); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "one.pt"))
	if err != nil {
		t.Fatal(err)
	}
	write("deep/two.safetensors", string(text))
	write(".hidden/three.pt", string(text))
	models, skipped, err := api.ReadModels(dir, apitest.Open)
	if err != nil || len(models) != 2 || models[0].Name != "deep/two" || models[1].Name != "one" || len(skipped) != 1 {
		t.Errorf("%+v, skipped %v, %v", models, skipped, err)
	}
	// One that is named has the name that it has among all, or that of its file.
	for _, c := range []struct{ dir, want string }{{dir, "deep/two"}, {filepath.Join(dir, "deep"), "two"}, {t.TempDir(), "two"}} {
		m, err := api.OpenModel(c.dir, filepath.Join(dir, "deep", "two.safetensors"), apitest.Open)
		if err != nil || m.Name != c.want {
			t.Errorf("seen from %s: %q, %v, want %q", c.dir, m.Name, err, c.want)
		}
	}
}
