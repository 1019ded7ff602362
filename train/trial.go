package train

import (
	"context"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
)

// Trial takes the steps of a run on random tokens, without evaluations and
// files. It is there to be measured: its steps are those of the loop.
type Trial struct {
	t    trainer
	loss float64
}

// NewTrial returns a trial of pretraining that changes the weights of m.
func NewTrial(m *gpt.Model, p gpt.Precision, batch, T int, seed uint64) *Trial {
	r := Defaults(Pretrain)
	r.Batch, r.SeqLen, r.Seed, r.Precision = batch, T, seed, p
	trial := &Trial{}
	trial.t = trainer{
		model: m, stage: randomTokens{r, m.Vocab},
		job: Job{Recipe: r, Observe: func(e Event) { trial.loss = e.Measures["loss"] }},
	}
	trial.t.ready()
	return trial
}

// Step takes one optimizer step and returns its loss.
func (t *Trial) Step(ctx context.Context) (loss float64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// Only a run has a file to be stopped into.
	err = t.t.step(context.WithoutCancel(ctx), t.t.stage.Steps())
	return t.loss, err
}

// randomTokens is next-token prediction where there is nothing to predict.
type randomTokens struct {
	r     Recipe
	vocab int
}

func (randomTokens) Steps() int { return 1000 }

func (s randomTokens) Next(_ context.Context, _ *gpt.Runner, step int) (dataset.Batch, error) {
	return RandomBatch(s.r.Batch, s.r.SeqLen, s.vocab, s.r.Seed, step), nil
}

// RandomBatch returns windows of random tokens, a function of seed and step.
func RandomBatch(B, T, vocab int, seed uint64, step int) dataset.Batch {
	rand := rng.New(seed, rng.Trial, uint64(step))
	b := dataset.Batch{B: B, T: T, Inputs: make([]int32, B*T), Targets: make([]int32, B*T), Weights: make([]float32, B*T)}
	for row := 0; row < B*T; row += T {
		next := rand.Int32N(int32(vocab))
		for i := row; i < row+T; i++ {
			b.Inputs[i] = next
			next = rand.Int32N(int32(vocab))
			b.Targets[i], b.Weights[i] = next, 1
		}
	}
	return b
}

func (s randomTokens) Loss(sum Measures, dlogits, logits []float32, b dataset.Batch, _ int) {
	sum["loss"] += crossEntropy(dlogits, logits, b, float64(s.r.Batch*s.r.SeqLen))
}

func (randomTokens) Metric() string { return "nats" }

func (randomTokens) Validate(context.Context, *gpt.Runner) (Measures, error) { return Measures{}, nil }
