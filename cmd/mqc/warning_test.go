package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/train"
)

func TestWarnStageJudgesTheLastStageThatPathsChose(t *testing.T) {
	pretrain := checkpoint.Step{Stage: train.Pretrain, Metric: "nats", Before: 3, After: 4, Final: 5}
	step := func(stage string, best int, before, after, final float64) checkpoint.Step {
		return checkpoint.Step{Stage: stage, Metric: "crps", BestStep: best, Before: before, After: after, Final: final}
	}
	harmed := step(train.SFT, 9, 0.5, 0.6, 0.7)
	for _, c := range []struct {
		name    string
		lineage []checkpoint.Step
		want    []string // nil: silence
	}{
		{"no stage", nil, nil},
		{"tokens chose", []checkpoint.Step{pretrain}, nil},
		{"better to its end", []checkpoint.Step{pretrain, step(train.RL, 9, 0.5, 0.4, 0.45)}, nil},
		{"kept worse", []checkpoint.Step{pretrain, harmed}, []string{"stage sft made", "0.5000 → 0.6000", "use the checkpoint of the stage before"}},
		{"midtrained since", []checkpoint.Step{harmed, pretrain}, []string{"stage sft made"}},
		{"mended since", []checkpoint.Step{harmed, step(train.RL, 9, 0.6, 0.5, 0.5)}, nil},
		{"ended worse", []checkpoint.Step{step(train.RL, 9, 0.5, 0.4, 0.75)}, []string{"stage rl made", "0.5000 → 0.7500", "step 9, 0.4000"}},
		{"kept its start", []checkpoint.Step{step(train.RL, 0, 0.5, 0.5, 0.75)}, []string{"stage rl changed nothing", "0.5000", "0.7500"}},
		{"did nothing", []checkpoint.Step{step(train.RL, 0, 0.5, 0.5, 0.5)}, []string{"stage rl changed nothing"}},
	} {
		var stderr bytes.Buffer
		(&app{err: &stderr}).warnStage(&checkpoint.Bundle{Lineage: c.lineage})
		got := stderr.String()
		if c.want == nil && got != "" {
			t.Errorf("%s: said %q, want nothing", c.name, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: said %q, want %q in it", c.name, got, want)
			}
		}
	}
}
