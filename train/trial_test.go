package train

import (
	"context"
	"math"
	"testing"

	"github.com/micro-quant/mqc/gpt"
)

func TestTrialStepsAsARunDoes(t *testing.T) {
	c := gpt.Config{Vocab: 16, SeqLen: 24, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := m.Clone()
	trial := NewTrial(m, gpt.F32, 4, 24, 7)
	loss, err := trial.Step(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// Fresh weights know nothing: the first loss is that of the uniform
	// distribution, to the size of the first logits.
	if want := math.Log(16); math.Abs(loss-want) > 0.01 {
		t.Errorf("first loss %v, want about %v", loss, want)
	}
	if relativeChange(m.Params, before.Params) == 0 {
		t.Error("the step left the weights as they were")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := trial.Step(ctx); err == nil {
		t.Error("Step after the end of its context took another step")
	}
}

func TestRandomBatchShiftsItsTargets(t *testing.T) {
	b := RandomBatch(3, 8, 16, 1, 0)
	for i := range b.Inputs {
		if i%8 < 7 && b.Targets[i] != b.Inputs[i+1] {
			t.Fatalf("target %d is %d, the next input %d", i, b.Targets[i], b.Inputs[i+1])
		}
	}
	if c := RandomBatch(3, 8, 16, 1, 1); c.Inputs[0] == b.Inputs[0] && c.Inputs[1] == b.Inputs[1] && c.Inputs[2] == b.Inputs[2] {
		t.Error("two steps have the same tokens")
	}
}
