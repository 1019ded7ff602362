package measure

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/gpt"
)

func grouped() gpt.Config {
	return gpt.Config{Vocab: 13, SeqLen: 24, Layers: 3, Heads: 4, KVHeads: 2, Embd: 16, RopeBase: 100, Features: 2}
}

func TestSpecTrainsWithTheOperationsThatEveryoneCounts(t *testing.T) {
	// By hand: 6 blocks of 12·512² weights and a head of 512²; in attention
	// 4·6·512 operations for each of the 128.5 positions that one of 256 sees
	// in the mean. With T/2 in place of (T+1)/2 it would be 119.54 million.
	const want = 3 * (2*(6*12+1)*512*512 + 4*6*512*128.5)
	got := TrainFLOPs(gpt.Defaults(), 256)
	if got != want || math.Abs(got/1e6-119.5) > 0.1 {
		t.Errorf("TrainFLOPs(spec, 256) = %.6g, want %.6g, near 119.5e6", got, want)
	}
}

func TestAttentionCountsEveryPairOnce(t *testing.T) {
	c := grouped()
	const T = 7
	want := 0.0
	for position := range T {
		for range position + 1 {
			want += float64(4 * c.Layers * c.Heads * c.HeadDim())
		}
	}
	if got := T * (ForwardFLOPs(c, T) - 2*float64(Weights(c))); got != want {
		t.Errorf("attention of a window of %d costs %v, want %v", T, got, want)
	}
	if got, want := DecodeFLOPs(c, 5, 3), perToken(c, 6.5); got != want {
		t.Errorf("DecodeFLOPs(5, 3) = %v, want %v: its steps see 6 and 7 positions", got, want)
	}
}

func TestLinearsAreTheMatricesOfTheModel(t *testing.T) {
	for _, c := range []gpt.Config{gpt.Defaults(), grouped()} {
		m, err := gpt.Allocate(c)
		if err != nil {
			t.Fatal(err)
		}
		weights, want := 0, map[Linear]int{}
		for _, tensor := range m.Tensors {
			if !tensor.Decays() {
				continue
			}
			weights += tensor.Len()
			switch {
			case tensor.Name == "features", strings.HasSuffix(tensor.Name, ".k"), strings.HasSuffix(tensor.Name, ".v"):
			case strings.HasSuffix(tensor.Name, ".q"):
				want[Linear{In: tensor.Cols, Out: (c.Heads + 2*c.KVHeads) * c.HeadDim()}]++
			default:
				want[Linear{In: tensor.Cols, Out: tensor.Rows}]++
			}
		}
		if got := Weights(c); got != weights {
			t.Errorf("Weights = %d, the model has %d that multiply", got, weights)
		}
		got := map[Linear]int{}
		for _, l := range Linears(c) {
			got[Linear{In: l.In, Out: l.Out}] += l.Count
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Linears = %v, the model has %v", got, want)
		}
	}
}
