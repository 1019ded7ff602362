// Package train fits a model in four stages: pretrain on all assets, midtrain
// on one, supervised fine-tuning (SFT) on a horizon, and reinforcement
// learning (RL) on a reward. One loop serves all four; a stage brings its
// batches, its loss and the metric that picks the checkpoint.
package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/micro-quant/mqc/gpt"
)

// Names of the stages, in their order.
const (
	Pretrain = "pretrain"
	Midtrain = "midtrain"
	SFT      = "sft"
	RL       = "rl"
)

// Recipe is everything that decides a stage's result beside the data and the
// weights that it starts from. It travels in the checkpoint.
type Recipe struct {
	Stage       string  `json:"stage"`
	Seed        uint64  `json:"seed"`
	Epochs      int     `json:"epochs,omitempty"` // passes over the training targets; not for RL
	Batch       int     `json:"batch"`            // windows per step; for RL contexts per step
	SeqLen      int     `json:"seq_len"`          // T, tokens per window; for SFT and RL it follows from context and horizon
	LR          float64 `json:"lr"`               // peak learning rate
	Warmup      int     `json:"warmup"`           // steps of linear warm-up
	WeightDecay float64 `json:"weight_decay"`
	Dropout     float64 `json:"dropout"`
	Average     float64 `json:"average,omitempty"` // decay of the moving average of the weights that is validated and kept; 0: the weights themselves
	Patience    int     `json:"patience"`          // evaluations without improvement before stopping; 0 never stops
	Evals       int     `json:"evals"`             // evaluations over the whole run, evenly spaced

	Precision gpt.Precision `json:"precision"` // of the matrix products

	ContextLen  int     `json:"context_len,omitempty"`  // SFT, RL: candles before the origin
	Horizon     int     `json:"horizon,omitempty"`      // SFT, RL: candles after it
	RolloutProb float64 `json:"rollout_prob,omitempty"` // SFT: chance that a horizon input is the model's own sample

	Steps       int         `json:"steps,omitempty"` // RL
	Group       int         `json:"group,omitempty"` // RL: paths per context
	Sampler     gpt.Sampler `json:"sampler,omitzero"`
	EntropyCoef float64     `json:"entropy_coef,omitempty"`
	KLCoef      float64     `json:"kl_coef,omitempty"`
	Reward      string      `json:"reward,omitempty"`
}

// Defaults returns the recipe that the specification gives for a stage. It
// panics for a name that is none of the four.
func Defaults(stage string) Recipe {
	r := Recipe{
		Stage: stage, Batch: 32, SeqLen: 256, Warmup: 10, WeightDecay: 0.1,
		Patience: 5, Evals: 20, ContextLen: 128, Horizon: 32,
	}
	switch stage {
	case Pretrain:
		r.Epochs, r.LR, r.ContextLen, r.Horizon = 10, 5e-4, 0, 0
	case Midtrain:
		r.Epochs, r.LR, r.ContextLen, r.Horizon = 3, 1e-5, 0, 0
	case SFT:
		r.Epochs, r.LR = 10, 5e-6
	case RL:
		r.Steps, r.LR, r.Batch, r.Group = 200, 1e-6, 8, 16
		r.Sampler = gpt.Sampler{Temperature: 1}
		r.EntropyCoef, r.KLCoef, r.Reward = 0.01, 0.1, RewardTokenAcc
	default:
		panic("train: no stage is called " + stage)
	}
	return r
}

// Validate reports everything that is wrong with r at once.
func (r Recipe) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("train: "+format, args...))
		}
	}
	fault(r.Batch < 1, "batch %d: want at least 1", r.Batch)
	fault(!(r.LR > 0 && r.LR < 1), "lr %v: want 0 < lr < 1", r.LR)
	fault(r.Warmup < 0, "warmup %d: want 0 or more steps", r.Warmup)
	fault(!(r.WeightDecay >= 0), "weight_decay %v: want 0 or more", r.WeightDecay)
	fault(!(r.Dropout >= 0 && r.Dropout < 1), "dropout %v: want 0 ≤ p < 1", r.Dropout)
	fault(!(r.Average >= 0 && r.Average < 1), "average %v: want 0 (off) ≤ decay < 1", r.Average)
	fault(r.Patience < 0, "patience %d: want 0 (off) or more", r.Patience)
	fault(r.Evals < 1, "evals %d: want at least 1", r.Evals)

	switch r.Stage {
	case Pretrain, Midtrain:
		fault(r.SeqLen < 2, "seq_len %d: want at least 2", r.SeqLen)
	case SFT, RL:
		fault(r.ContextLen < 1, "context_len %d: want at least 1", r.ContextLen)
		fault(r.Horizon < 1, "horizon %d: want at least 1", r.Horizon)
	default:
		fault(true, "stage %q: want %s, %s, %s or %s", r.Stage, Pretrain, Midtrain, SFT, RL)
	}
	if r.Stage == RL {
		fault(r.Steps < 1, "steps %d: want at least 1", r.Steps)
		fault(r.Group < 2, "group %d: want at least 2 paths to compare", r.Group)
		fault(r.Reward == RewardCRPS && r.Group < 3, "group %d: the crps reward wants at least 3 paths", r.Group)
		fault(!slices.Contains(Rewards(), r.Reward), "reward %q: want one of %s", r.Reward, strings.Join(Rewards(), ", "))
		fault(!(r.EntropyCoef >= 0), "entropy_coef %v: want 0 or more", r.EntropyCoef)
		fault(!(r.KLCoef >= 0), "kl_coef %v: want 0 or more", r.KLCoef)
		fault(r.Sampler.Temperature == 0, "temperature 0 draws every path alike: want more")
		if err := r.Sampler.Validate(); err != nil {
			errs = append(errs, err)
		}
	} else {
		fault(r.Epochs < 1, "epochs %d: want at least 1", r.Epochs)
	}
	fault(!(r.RolloutProb >= 0 && r.RolloutProb <= 1), "rollout_prob %v: want 0 ≤ p ≤ 1", r.RolloutProb)
	return errors.Join(errs...)
}

// window is the number of input tokens of a window of context and horizon: the
// last token of the horizon is only ever a target.
func (r Recipe) window() int { return r.ContextLen + r.Horizon - 1 }

// id tells the stages apart where random numbers need a coordinate.
func (r Recipe) id() uint64 {
	switch r.Stage {
	case Pretrain:
		return 1
	case Midtrain:
		return 2
	case SFT:
		return 3
	}
	return 4
}
