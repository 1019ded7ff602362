package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// sft trains on the horizon: weight 0 on the context, 1 on the horizon, which
// makes the loss the exact negative log-likelihood of the trajectory, per
// candle. Free-running validation CRPS picks the checkpoint.
type sft struct {
	r       Recipe
	codec   dataset.Codec
	streams []*dataset.Stream
	start   *gpt.Model
	epochs  windowEpochs
	val     pathValidation
	norm    float64
}

func newSFT(r Recipe, codec dataset.Codec, streams []*dataset.Stream, m *gpt.Model) (*sft, error) {
	if err := checkWindow(r, m); err != nil {
		return nil, err
	}
	val, err := newPathValidation(r, codec, streams, m)
	if err != nil {
		return nil, err
	}
	s := &sft{r: r, codec: codec, streams: streams, start: m, val: val}
	s.epochs = windowEpochs{r: r, cut: func(key uint64) []dataset.Window {
		return tileHorizons(streams, r, key)
	}}
	if len(s.epochs.of(0)) == 0 {
		return nil, fmt.Errorf("train: the training part has no stretch of %d candles with a candle of context before it", r.Horizon)
	}
	return s, nil
}

// tileHorizons covers the training part with horizons that meet but do not
// overlap, from a random offset on, and shuffles them: one pass over the
// training targets but for the edges.
func tileHorizons(streams []*dataset.Stream, r Recipe, key uint64) []dataset.Window {
	offset := rng.New(key, rng.Shuffle).IntN(r.Horizon)
	windows := dataset.HorizonWindows(streams, dataset.Train, r.ContextLen, r.Horizon, r.Horizon, offset)
	dataset.Shuffle(windows, key)
	return windows
}

// checkWindow refuses a context and horizon that the model cannot hold.
func checkWindow(r Recipe, m *gpt.Model) error {
	if n := r.window(); n > m.SeqLen {
		return fmt.Errorf("train: context_len %d and horizon %d need %d tokens: %w of %d",
			r.ContextLen, r.Horizon, n, gpt.ErrContext, m.SeqLen)
	}
	return nil
}

func (s *sft) Steps() int { return s.epochs.steps() }

func (s *sft) Next(_ context.Context, model *gpt.Runner, step int) (dataset.Batch, error) {
	windows := s.epochs.batch(step)
	b := dataset.Gather(s.streams, windows, s.r.window())
	s.codec.Inputs.HideVolume(b, s.streams, windows)
	s.norm = total(b.Weights)
	if s.r.RolloutProb > 0 {
		s.rollOut(model, b, step)
	}
	return b, nil
}

// rollOut replaces inputs on the horizon by the model's own samples, each with
// probability RolloutProb: one teacher-forced pass proposes a token for every
// position at once. What is trained then is no likelihood any more, hence the
// default of zero.
//
// Bengio et al. 2015, arXiv 1506.03099; in one pass: Mihaylova & Martins 2019,
// arXiv 1906.07651; improper: Huszár 2015, arXiv 1511.05101.
func (s *sft) rollOut(model *gpt.Runner, b dataset.Batch, step int) {
	var w gpt.Workspace
	logits, V := model.ForwardOnly().Forward(&w, predict.Input(b, 0)), model.Model().Vocab
	probs := make([]float64, V)
	for i := range b.B {
		random := rng.New(s.r.Seed, rng.Rollout, s.r.id(), uint64(step), uint64(i))
		for t := 1; t < b.T; t++ {
			r := i*b.T + t
			// Input t is the target of t−1: it lies on the horizon
			// where that target weighs.
			if b.Weights[r-1] == 0 || b.Weights[r] == 0 || random.Float64() >= s.r.RolloutProb {
				continue
			}
			gpt.Sampler{Temperature: 1}.Probabilities(probs, logits[(r-1)*V:r*V], nil)
			b.Inputs[r] = gpt.Pick(probs, random.Float64())
		}
	}
}

func (s *sft) Loss(sum Measures, dlogits, logits []float32, b dataset.Batch, _ int) {
	sum["loss"] += crossEntropy(dlogits, logits, b, s.norm)
}

func (s *sft) Metric() string { return "crps" }

func (s *sft) Validate(ctx context.Context, model *gpt.Runner) (Measures, error) {
	return s.val.run(ctx, model)
}

// Size of the free-running validation. With 32 paths the fair CRPS has about
// twice the sampling error of the outcome's own; more origins than 64 cost
// more than they tell at the lengths of a validation part.
const (
	validationPaths   = 32
	validationOrigins = 64
)

// validationLevel is the probability of the central interval whose coverage is
// measured.
const validationLevel = 0.9

// pathValidation draws paths from fixed validation origins with fixed random
// numbers, so that two evaluations differ by their weights alone.
type pathValidation struct {
	r       Recipe
	codec   dataset.Codec
	streams []*dataset.Stream
	origins []dataset.Window
	tokens  []dataset.Window // the validation part, teacher-forced
}

func newPathValidation(r Recipe, codec dataset.Codec, streams []*dataset.Stream, m *gpt.Model) (pathValidation, error) {
	stride := max(1, r.Horizon/4)
	all := dataset.HorizonWindows(streams, dataset.Val, r.ContextLen, r.Horizon, stride, 0)
	if len(all) == 0 {
		return pathValidation{}, fmt.Errorf("train: the validation part has no stretch of %d candles: choose a shorter horizon or an earlier border", r.Horizon)
	}
	n := min(len(all), validationOrigins)
	v := pathValidation{r: r, codec: codec, streams: streams, tokens: dataset.EvalWindows(streams, dataset.Val, m.SeqLen)}
	for i := range n {
		v.origins = append(v.origins, all[i*len(all)/n])
	}
	return v, nil
}

// run returns the mean CRPS of cumulative log returns after 1, 5 and Horizon
// candles, each in units of the volatility known at the origin times √h
// (crps_1, crps_5, crps_h), and their mean (crps); the share of outcomes inside
// the central 90% interval of the paths after 1 and after Horizon candles
// (coverage_1, coverage_h); and those of validateTokens.
func (v *pathValidation) run(ctx context.Context, model *gpt.Runner) (Measures, error) {
	steps := []int{1, min(5, v.r.Horizon), v.r.Horizon}
	var sums [3]float64
	var places [3][]float64 // of the outcomes among the paths
	var path []float64
	x := make([]float64, validationPaths)
	for i, win := range v.origins {
		s := v.streams[win.Stream]
		paths, err := predict.Paths(ctx, model, v.codec, s, win.From, v.r.ContextLen, gpt.Generation{
			Paths: validationPaths, Steps: v.r.Horizon,
			Sampler: gpt.Sampler{Temperature: 1},
			Seed:    rng.Hash(v.r.Seed, rng.Rollout, uint64(i)),
		})
		if err != nil {
			return nil, err
		}
		state := s.States[win.From]
		for k, h := range steps {
			unit := math.Sqrt(state.Variance * float64(h))
			for p := range paths {
				path = predict.CumulativeReturns(path, state.PrevClose, paths[p].Candles[:h])
				x[p] = path[h-1] / unit
			}
			y := math.Log(s.Candles[win.From+h-1].Close/state.PrevClose) / unit
			sums[k] += score.CRPS(x, y)
			slices.Sort(x)
			gap := rng.New(v.r.Seed, rng.Truth, uint64(i), uint64(h)).Float64()
			places[k] = append(places[k], score.RankPIT(x, y, gap))
		}
	}
	measures, err := validateTokens(ctx, model, v.streams, v.tokens)
	if err != nil {
		return nil, err
	}
	n := float64(len(v.origins))
	measures["crps"] = (sums[0] + sums[1] + sums[2]) / (3 * n)
	measures["crps_1"], measures["crps_5"], measures["crps_h"] = sums[0]/n, sums[1]/n, sums[2]/n
	measures["coverage_1"], measures["coverage_h"] = coverage(places[0]), coverage(places[2])
	return measures, nil
}

// coverage is the share of transforms u inside the central interval of
// validationLevel.
func coverage(u []float64) float64 {
	share, _, _ := score.Coverage(u, validationLevel, 0.95)
	return share
}

// pick returns n different indices below of, or all in order when there are
// fewer.
func pick(random *rand.Rand, n, of int) []int {
	if n >= of {
		n = of
	}
	return random.Perm(of)[:n]
}
