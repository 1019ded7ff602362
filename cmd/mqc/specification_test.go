package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shorter is what is added to the specification's command lines so that each
// takes a fraction of a second; a flag that comes twice has its last value.
var shorter = map[string]string{
	"train":  "--layers 1 --embd 16 --heads 2 --seq-len 32 --epochs 1",
	"stage1": "--layers 1 --embd 16 --heads 2 --seq-len 32 --epochs 1",
	"stage2": "--epochs 1",
	"stage3": "--epochs 1 --context-len 8 --horizon 3",
	"stage4": "--steps 1 --group 4 --context-len 8 --horizon 3",
}

// TestSpecificationLines runs every command line of the specification, in its
// order, with small data and short training.
func TestSpecificationLines(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "scripts", "specification.txt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	mqc := func(t *testing.T, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
			t.Fatalf("mqc %q: exit %d, want 0\n%s", args, code, &stderr)
		}
		return stdout.String()
	}
	mqc(t, "data", "generate", "--assets", "3", "--candles", "600")
	bitcoin, err := filepath.Glob("data/SYN-01_*.csv")
	if err != nil || len(bitcoin) != 1 {
		t.Fatal(bitcoin, err)
	}
	if err := os.Rename(bitcoin[0], "data/BTC-USD_2014-09-17_2025-12-31_1d.csv"); err != nil {
		t.Fatal(err)
	}
	// The specification finds data/all_tokens.txt there. Its prompts want more
	// than 89 codes.
	mqc(t, "tokenize", "--kind", "product", "--codes", "128")

	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		t.Run(line, func(t *testing.T) {
			script, args := splitLine(t, line)
			switch script {
			case "./scripts/mqc":
			case "./scripts/run.sh":
				args = append([]string{"run"}, args...)
			case "./scripts/quickstart.sh":
				return // TestQuickstartJSON runs it
			default:
				t.Fatalf("script %s: want mqc, run.sh or quickstart.sh", script)
			}
			name := args[0]
			if name == "run" && args[1] == "src/train.py" {
				name = "train"
			}
			if out := mqc(t, append(args, strings.Fields(shorter[name])...)...); out == "" {
				t.Errorf("%s: prints nothing", line)
			}
		})
	}
	for _, made := range []string{bestModel, midtrainModel, sftModel, rlModel} {
		if _, err := os.Stat(made); err != nil {
			t.Error(err)
		}
	}
}

// splitLine splits a line at spaces that are not in double quotes.
func splitLine(t *testing.T, line string) (script string, args []string) {
	t.Helper()
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	if strings.Count(line, `"`)%2 == 1 || len(args) < 1 {
		t.Fatalf("line %q cannot be split", line)
	}
	return args[0], args[1:]
}
