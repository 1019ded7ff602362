package train

import (
	"testing"

	"github.com/micro-quant/mqc/gpt"
)

// The peaks are those that Linux counted for mqc train on a file of 1,797 tokens
// of 64 codes, in KiB. How much garbage waits at the peak is chance.
func TestNeedsAreThoseOfARun(t *testing.T) {
	for _, run := range []struct {
		depth int
		p     gpt.Precision
		peak  int64
	}{
		{2, gpt.F32, 70_588},
		{4, gpt.F32, 288_828},
		{6, gpt.F32, 836_304},
		{8, gpt.F32, 1_791_384},
		{8, gpt.BF16, 1_560_128},
	} {
		c := gpt.Defaults().Scaled(run.depth)
		c.Vocab = 64
		got := Needs(c, run.p, false).Memory >> 10
		if float64(got) < .85*float64(run.peak) || float64(got) > 1.15*float64(run.peak) {
			t.Errorf("depth %d in %s: %d KiB, want about %d", run.depth, run.p, got, run.peak)
		}
		averaged, plain := Needs(c, run.p, true), Needs(c, run.p, false)
		if averaged.Memory <= plain.Memory || averaged.Disk <= plain.Disk {
			t.Errorf("depth %d: an average of the weights costs nothing: %+v, %+v", run.depth, averaged, plain)
		}
	}
}

// A resume file holds five times the weights; another is written beside it.
func TestNeededDisk(t *testing.T) {
	c := gpt.Defaults()
	if got, want := Needs(c, gpt.F32, false).Disk, int64(11*4*c.Parameters()); got != want {
		t.Errorf("disk %d, want %d", got, want)
	}
}
