package train

import (
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
)

// Stages that are taught what happened see some volumes as unknown; what they
// validate with stays as it is.
func TestStagesHideVolumesInTrainingAlone(t *testing.T) {
	b, bare := small(t)
	b.Inputs = dataset.Inputs{Volume: true}
	codec := mustCodec(t, b)
	var streams []*dataset.Stream
	for _, s := range bare {
		s, err := codec.WithInputs(s)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	c := b.Model.Config
	c.Features = b.Inputs.Features()
	m, err := gpt.New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	unknown := func(b dataset.Batch) (hidden, targets int) {
		for r, weight := range b.Weights {
			if weight > 0 {
				targets++
				if b.Features[2*r+1] == 0 {
					hidden++
				}
			}
		}
		return hidden, targets
	}
	for _, r := range recipes()[:3] {
		stage, err := newStage(r, codec, streams, m)
		if err != nil {
			t.Fatal(err)
		}
		hidden, targets := 0, 0
		for step := range stage.Steps() {
			batch, err := stage.Next(t.Context(), nil, step)
			if err != nil {
				t.Fatal(err)
			}
			n, of := unknown(batch)
			hidden, targets = hidden+n, targets+of
		}
		// 20 of each of the three series are unknown anyway, and a tenth of the rest.
		if share := float64(hidden-3*20) / float64(targets); share < .04 || share > .16 {
			t.Errorf("%s: %d of %d targets have no volume", r.Stage, hidden, targets)
		}
	}
	windows := dataset.EvalWindows(streams, dataset.Val, m.SeqLen)
	if hidden, targets := unknown(dataset.Gather(streams, windows, m.SeqLen)); hidden > 0 {
		t.Errorf("validation: %d of %d targets have no volume", hidden, targets)
	}
}
