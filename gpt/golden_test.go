package gpt

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"testing"

	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/optim"
)

// fixture is a file that testdata/golden.py wrote.
type fixture struct {
	config  Config
	tensors map[string]fixtureTensor
	blob    []byte
}

type fixtureTensor struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

func readFixture(t *testing.T, path string) *fixture {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	end := 8 + binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:end], &header); err != nil {
		t.Fatal(err)
	}
	f := &fixture{tensors: map[string]fixtureTensor{}, blob: data[end:]}
	for name, raw := range header {
		if name == "__metadata__" {
			continue
		}
		var tensor fixtureTensor
		if err := json.Unmarshal(raw, &tensor); err != nil {
			t.Fatal(err)
		}
		f.tensors[name] = tensor
	}
	var metadata struct{ Config string }
	if err := json.Unmarshal(header["__metadata__"], &metadata); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(metadata.Config), &f.config); err != nil {
		t.Fatal(err)
	}
	return f
}

// values returns tensor name, or nil if the fixture has none.
func values[E int32 | float32 | float64](t *testing.T, f *fixture, name string) []E {
	t.Helper()
	tensor, ok := f.tensors[name]
	if !ok {
		return nil
	}
	var zero E
	dtype := map[string]string{"int32": "I32", "float32": "F32", "float64": "F64"}[fmt.Sprintf("%T", zero)]
	if tensor.DType != dtype {
		t.Fatalf("fixture tensor %q is %s, want %s", name, tensor.DType, dtype)
	}
	n := 1
	for _, k := range tensor.Shape {
		n *= k
	}
	out := make([]E, n)
	if err := binary.Read(bytes.NewReader(f.blob[tensor.Offsets[0]:tensor.Offsets[1]]), binary.LittleEndian, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// deviation is max|got − want| / max|want|.
func deviation(t *testing.T, name string, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s has %d elements, the golden one %d", name, len(got), len(want))
	}
	worst, largest := 0.0, 0.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if !(d <= worst) { // NaN too
			worst = d
		}
		largest = max(largest, math.Abs(float64(want[i])))
	}
	return worst / largest
}

// lossOf is Σ weight·cross-entropy / Σ weight; its gradient goes to dlogits.
func lossOf(dlogits, logits []float32, targets []int32, weights []float32, V int) float64 {
	return lossInto(make([]float64, len(targets)), dlogits, logits, targets, weights, V)
}

// lossInto is lossOf with memory for the loss of each target.
func lossInto(losses []float64, dlogits, logits []float32, targets []int32, weights []float32, V int) float64 {
	norm := 0.0
	for _, w := range weights {
		norm += float64(w)
	}
	clear(dlogits)
	nn.CrossEntropy(dlogits, losses, logits, targets, weights, norm, len(targets), V)
	loss := 0.0
	for i, l := range losses {
		loss += l * float64(weights[i]) / norm
	}
	return loss
}

func optimizer(m *Model, grads []float32) *optim.AdamW {
	var groups []optim.Group
	for _, t := range m.Tensors {
		groups = append(groups, optim.Group{Name: t.Name, Param: t.View(m.Params), Grad: t.View(grads), Decay: t.Decays()})
	}
	return optim.NewAdamW(optim.Defaults(), groups)
}

// The reference is float64: what is measured is the rounding of this
// program's float32, about 1e-6. The tolerances leave room for kernels that
// sum in another order.
func TestTrainingStepsMatchPyTorch(t *testing.T) {
	for _, name := range []string{"plain", "conditioned"} {
		t.Run(name, func(t *testing.T) {
			f := readFixture(t, "testdata/"+name+".safetensors.gz")
			m, err := Allocate(f.config)
			if err != nil {
				t.Fatal(err)
			}
			params := 0
			for key := range f.tensors {
				if len(key) > 6 && key[:6] == "param." {
					params++
				}
			}
			if params != len(m.Tensors) {
				t.Fatalf("the model has %d tensors, the golden one %d", len(m.Tensors), params)
			}
			for _, tensor := range m.Tensors {
				shape := f.tensors["param."+tensor.Name].Shape
				if len(shape) != 2 || shape[0] != tensor.Rows || shape[1] != tensor.Cols {
					t.Fatalf("tensor %q has shape [%d %d], the golden one %v", tensor.Name, tensor.Rows, tensor.Cols, shape)
				}
				copy(tensor.View(m.Params), values[float32](t, f, "param."+tensor.Name))
			}
			shape := f.tensors["tokens"].Shape
			in := Input{
				B: shape[0], T: shape[1],
				Tokens:   values[int32](t, f, "tokens"),
				Cond:     values[int32](t, f, "cond"),
				Features: values[float32](t, f, "features"),
			}
			targets, weights := values[int32](t, f, "targets"), values[float32](t, f, "weights")
			wantLoss, wantNorm := values[float64](t, f, "loss"), values[float64](t, f, "norm")

			var w Workspace
			grads := make([]float32, len(m.Params))
			opt := optimizer(m, grads)
			worstLoss := 0.0
			for step, want := range wantLoss {
				logits := forward(m, &w, in)
				if step == 0 {
					d := deviation(t, "logits", logits, values[float32](t, f, "logits"))
					t.Logf("logits: %.2g", d)
					if !(d <= 1e-4) {
						t.Errorf("logits deviate by %.2g of the largest, want at most 1e-4", d)
					}
				}
				dlogits := make([]float32, len(logits))
				loss := lossOf(dlogits, logits, targets, weights, m.Vocab)
				relative := math.Abs(loss-want) / want
				worstLoss = max(worstLoss, relative)
				if !(relative <= 1e-5) {
					t.Errorf("loss after %d steps is %.8f, want %.8f: off by %.2g, want at most 1e-5", step, loss, want, relative)
				}
				if step == len(wantNorm) {
					break
				}
				backward(m, &w, dlogits, grads)
				if step == 0 {
					compareGradients(t, f, m, grads)
				}
				norm := opt.GradNorm()
				if !(math.Abs(norm-wantNorm[step]) <= 1e-4*wantNorm[step]) {
					t.Errorf("gradient norm of step %d is %.7f, want %.7f", step, norm, wantNorm[step])
				}
				opt.Update(1e-3, optim.ClipScale(norm, 1))
			}
			t.Logf("losses of %d steps: %.2g", len(wantNorm), worstLoss)
		})
	}
}

func compareGradients(t *testing.T, f *fixture, m *Model, grads []float32) {
	t.Helper()
	worst, at := 0.0, ""
	for _, tensor := range m.Tensors {
		d := deviation(t, tensor.Name, tensor.View(grads), values[float32](t, f, "grad."+tensor.Name))
		if d > worst {
			worst, at = d, tensor.Name
		}
		if !(d <= 1e-4) {
			t.Errorf("gradient of %s deviates by %.2g of the largest, want at most 1e-4", tensor.Name, d)
		}
	}
	t.Logf("gradients: %.2g (%s)", worst, at)
}
