package measure

import (
	"context"
	"sync"
	"time"

	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/train"
)

// peak is how many GFLOP/s all workers together reach on registers alone.
func peak(p gpt.Precision, workers int) float64 {
	rates := make([]float64, workers)
	var wg sync.WaitGroup
	for i := range rates {
		wg.Go(func() { rates[i] = kernel.Peak(p) })
	}
	wg.Wait()
	sum := 0.0
	for _, r := range rates {
		sum += r / 1e9
	}
	return sum
}

// work is something that can be done again and again.
type work struct {
	tokens int     // of a timed piece
	parts  int     // steps of a timed piece
	flops  float64 // per token
	step   func(ctx context.Context, i int) (sample, error)
}

// sample is one timed piece of work.
type sample struct {
	time    time.Duration
	prefill time.Duration // Decode, not part of time
	first   time.Time     // when the first result was there
	loss    float64
}

func newWork(c Config, p gpt.Precision) (work, error) {
	m := c.Weights
	if m == nil {
		var err error
		if m, err = gpt.New(c.Model, c.Seed); err != nil {
			return work{}, err
		}
	}
	switch c.Work {
	case Train:
		return trainWork(c, m, p), nil
	case Eval:
		return evalWork(c, m.Runner(p)), nil
	}
	return decodeWork(c, m.Runner(p)), nil
}

// trainWork is the step of the trainer.
func trainWork(c Config, m *gpt.Model, p gpt.Precision) work {
	trial := train.NewTrial(m, p, c.Batch, c.T, c.Seed)
	return work{
		tokens: c.Batch * c.T, parts: 1, flops: TrainFLOPs(c.Model, c.T),
		step: timed(func(ctx context.Context, _ int) (float64, error) { return trial.Step(ctx) }),
	}
}

// evalWork is the forward pass and the loss, in the chunks of training.
func evalWork(c Config, model *gpt.Runner) work {
	var space gpt.Workspace
	V := model.Model().Vocab
	losses := make([]float64, c.Batch*c.T)
	rows := train.ChunkRows(c.T)
	return work{
		tokens: c.Batch * c.T, parts: 1, flops: ForwardFLOPs(c.Model, c.T),
		step: timed(func(_ context.Context, i int) (float64, error) {
			loss := 0.0
			for first := 0; first < c.Batch; first += rows {
				n := min(rows, c.Batch-first)
				b := train.RandomBatch(n, c.T, V, c.Seed, i*c.Batch+first)
				logits := model.Forward(&space, predict.Input(b, 0))
				nn.CrossEntropy(nil, losses, logits, b.Targets, b.Weights, 1, n*c.T, V)
				for _, l := range losses[:n*c.T] {
					loss += l
				}
			}
			return loss / float64(c.Batch*c.T), nil
		}),
	}
}

// decodeWork is a whole generation. Conditioning is that of zeros. It asks for the conditioning of a path
// before it decodes a token: the first time, the prompt has been read and the
// first tokens are drawn.
func decodeWork(c Config, model *gpt.Runner) work {
	g := gpt.Generation{Paths: c.Paths, Steps: c.New, Sampler: gpt.Sampler{Temperature: 1}, Seed: c.Seed}
	return work{
		tokens: c.Paths * (c.New - 1), parts: c.New - 1, flops: DecodeFLOPs(c.Model, c.Prompt, c.New),
		step: func(ctx context.Context, i int) (sample, error) {
			prompt := gpt.Prompt{
				Tokens: train.RandomBatch(1, c.Prompt, model.Model().Vocab, c.Seed, i).Inputs,
				Cond:   make([]int32, c.Prompt*len(c.Model.Cond)), Features: make([]float32, c.Prompt*c.Model.Features),
			}
			cond, features := prompt.Cond[:len(c.Model.Cond)], prompt.Features[:c.Model.Features]
			var first time.Time
			var once sync.Once
			g.Next = func(int, []int32) ([]int32, []float32) {
				once.Do(func() { first = time.Now() })
				return cond, features
			}
			start := time.Now()
			_, err := model.Generate(ctx, prompt, g)
			return sample{time: time.Since(first), prefill: first.Sub(start), first: first}, err
		},
	}
}

// timed times all of a step.
func timed(step func(ctx context.Context, i int) (loss float64, err error)) func(context.Context, int) (sample, error) {
	return func(ctx context.Context, i int) (sample, error) {
		if err := ctx.Err(); err != nil {
			return sample{}, err
		}
		start := time.Now()
		loss, err := step(ctx, i)
		end := time.Now()
		return sample{time: end.Sub(start), first: end, loss: loss}, err
	}
}
