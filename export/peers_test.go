package export

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/gpt"
)

// scripts/onnxcheck.sh sets these.
const (
	runtimeFolder = "MQC_ONNXRUNTIME" // a folder with node_modules/onnxruntime-node
	pythonProgram = "MQC_PYTHON"      // a Python that has PyTorch
)

func TestONNXRuntimeAgrees(t *testing.T) {
	folder := os.Getenv(runtimeFolder)
	if folder == "" {
		t.Skip("no ONNX Runtime: scripts/onnxcheck.sh installs it and runs this test")
	}
	t.Setenv("NODE_PATH", filepath.Join(folder, "node_modules"))
	compare(t, "onnx", shapes(), "node", "../docs/onnx.cjs")
}

func TestPyTorchAgrees(t *testing.T) {
	python := os.Getenv(pythonProgram)
	if python == "" {
		t.Skip("no PyTorch: scripts/onnxcheck.sh runs this test where it is installed")
	}
	compare(t, "safetensors", shapes(), python, "../docs/forward.py")
	one := map[string]gpt.Config{"as npz": shapes()["inputs"]}
	compare(t, "npz", one, python, "../docs/forward.py")
}

// compare exports models of some shapes and has another program compute their
// logits.
func compare(t *testing.T, format string, shapes map[string]gpt.Config, program ...string) {
	for name, c := range shapes {
		t.Run(name, func(t *testing.T) {
			b, in := model(t, c, 1), input(c, 3, c.SeqLen, 7)
			path := filepath.Join(t.TempDir(), "model."+format)
			if err := Write(path, format, b); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(request(b.Model, in))
			if err != nil {
				t.Fatal(err)
			}
			run := exec.Command(program[0], append(program[1:], path)...)
			run.Stdin, run.Stderr = bytes.NewReader(text), os.Stderr
			said, err := run.Output()
			if err != nil {
				t.Fatal(err)
			}
			number := strings.TrimPrefix(strings.TrimSpace(string(said)), "largest difference ")
			if d, err := strconv.ParseFloat(number, 64); err != nil || !(d < closeness) {
				t.Errorf("%s is %q away", program[0], said)
			}
			t.Logf("%s", said)
		})
	}
}

// request is what the other program reads: the input and the logits of mqc.
func request(m *gpt.Model, in gpt.Input) map[string]any {
	n := in.B * in.T
	v := map[string]any{"batch": in.B, "tokens": in.Tokens, "logits": inRows(logits(m, in), n)}
	if len(in.Cond) > 0 {
		v["cond"] = inRows(in.Cond, n)
	}
	if len(in.Features) > 0 {
		v["features"] = inRows(in.Features, n)
	}
	return v
}

func inRows[E any](flat []E, n int) [][]E {
	rows := make([][]E, n)
	for i := range rows {
		rows[i] = flat[i*len(flat)/n : (i+1)*len(flat)/n]
	}
	return rows
}
