package mqc_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers says which packages of ours each package may import. It is the graph
// of docs/architecture.md; whoever draws a new arrow draws it in both.
var layers = map[string][]string{
	"cmd/mqc":       {"*"},
	"api/apitest":   {"api", "checkpoint", "dataset", "feature", "forecast", "gpt", "market", "tokenizer", "train"},
	"server":        {"api", "chat", "market", "report", "runs"},
	"api":           {"checkpoint", "forecast", "gpt", "market", "predict"},
	"export":        {"checkpoint", "gpt", "nn"},
	"report":        {"checkpoint", "dataset", "eval", "feature", "forecast", "gpt", "market", "predict", "score", "tokenizer", "train"},
	"eval/selftest": {"checkpoint", "dataset", "eval", "feature", "gpt", "market", "score", "tokenizer", "train"},
	"eval":          {"checkpoint", "dataset", "density", "feature", "forecast", "gpt", "market", "predict", "score", "tokenizer"},
	"chat":          {"api", "checkpoint", "forecast", "market", "score"},
	"forecast":      {"checkpoint", "dataset", "density", "feature", "gpt", "market", "predict", "score"},
	"torch":         {"checkpoint", "gpt"},
	"measure/load":  {"forecast", "gpt", "measure", "server"},
	"measure":       {"gpt", "nn", "predict", "train"},
	"train":         {"checkpoint", "dataset", "density", "feature", "gpt", "market", "nn", "optim", "predict", "score", "tokenizer"},
	"predict":       {"dataset", "feature", "gpt", "market"},
	"checkpoint":    {"dataset", "feature", "gpt", "tokenizer"},
	"analysis":      {"dataset"},
	"dataset":       {"feature", "market", "tokenizer"},
	"tokenizer":     {"density", "feature", "nn", "optim"},
	"gpt":           {"nn"},
	"optim":         {},
	"nn":            {},
	"feature":       {"market"},
	"feed":          {"market", "market/calendar"},
	"market":        {"market/calendar"},
	"runs":          {},
	"score":         {},
	"density":       {},

	"market/calendar": {},

	"scripts/screenshots": {},

	"internal/kernel":     {},
	"internal/parallel":   {},
	"internal/rng":        {},
	"internal/atomicfile": {},
	"internal/edit":       {},
}

// machinery may be imported from everywhere above internal.
var machinery = []string{"internal/kernel", "internal/parallel", "internal/rng", "internal/atomicfile", "internal/edit"}

const module = "github.com/micro-quant/mqc/"

func TestImportsPointDownwards(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != "." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "bin" || name == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." || pkg == "internal/testkit" {
			return nil
		}
		allowed, known := layers[pkg]
		if !known {
			t.Errorf("%s: package %s has no place in the graph", path, pkg)
			return nil
		}
		seen[pkg] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			target, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			target, ours := strings.CutPrefix(target, module)
			switch {
			case !ours, slices.Contains(allowed, target), slices.Contains(allowed, "*"):
			case slices.Contains(machinery, target) && (!strings.HasPrefix(pkg, "internal/") || target == "internal/parallel"):
			default:
				t.Errorf("%s: %s may not import %s", path, pkg, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range layers {
		if !seen[pkg] {
			t.Errorf("the graph names %s, which does not exist", pkg)
		}
	}
}

// The core builds without cgo and replaces nobody's module.
func TestModuleIsPlain(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "\nreplace") {
		t.Error("go.mod has a replace directive")
	}
}
