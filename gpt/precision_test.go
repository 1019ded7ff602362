package gpt

import (
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/internal/kernel"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/optim"
)

// A learner takes training steps on windows that a simple rule makes.
type learner struct {
	m     *Model
	r     *Runner
	adam  *optim.AdamW
	grads []float32
	space Workspace
	in    Input

	targets []int32
	weights []float32
	dlogits []float32
	losses  []float64
}

// newLearner sets up windows of a noisy cycle: the next token is mostly three
// further.
func newLearner(t testing.TB, p Precision) *learner {
	c := Config{Vocab: 48, SeqLen: 32, Layers: 2, Heads: 2, KVHeads: 1, Embd: 64, RopeBase: 1000, Softcap: 15}
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	const B, T = 8, 32
	noisy := randomInput(c, B, T+1, 5)
	for b := range B {
		row := noisy.Tokens[b*(T+1) : (b+1)*(T+1)]
		for i := 1; i < len(row); i++ {
			if row[i]%4 != 0 {
				row[i] = (row[i-1] + 3) % int32(c.Vocab)
			}
		}
	}
	l := &learner{m: m, r: m.TrainingRunner(p), grads: make([]float32, len(m.Params))}
	l.adam = optimizer(m, l.grads)
	l.in = noisy.window(c, 0, T)
	l.targets = noisy.window(c, 1, T+1).Tokens
	l.weights = make([]float32, B*T)
	for i := range l.weights {
		l.weights[i] = 1
	}
	l.dlogits, l.losses = make([]float32, B*T*c.Vocab), make([]float64, B*T)
	return l
}

// step takes one step and returns its loss.
func (l *learner) step() float64 {
	loss := lossInto(l.losses, l.dlogits, l.r.Forward(&l.space, l.in), l.targets, l.weights, l.m.Vocab)
	l.r.Backward(&l.space, l.dlogits, l.grads)
	l.adam.Update(3e-3, optim.ClipScale(l.adam.GradNorm(), 1))
	l.r.Update()
	return loss
}

// Fifty steps in bfloat16 follow those in float32. A number has 8 bits there, an
// error of 2⁻⁹ that a product averages over its terms; what is left after
// training moves the loss by a few thousandths, less than another seed does.
func TestTrainingInBfloat16FollowsFloat32(t *testing.T) {
	exact, half := newLearner(t, F32), newLearner(t, BF16)
	first, last, worst := 0.0, 0.0, 0.0
	for step := range 50 {
		want, got := exact.step(), half.step()
		worst = max(worst, math.Abs(got-want))
		if step == 0 {
			first = want
		}
		last = want
	}
	t.Logf("loss from %.3f to %.3f, at most %.4f apart", first, last, worst)
	if !(last < 0.7*first) {
		t.Fatalf("the loss went from %v to %v only: nothing is compared", first, last)
	}
	if !(worst <= 0.02) {
		t.Errorf("losses in bf16 and f32 are up to %.4f apart, want .02 at most", worst)
	}
}

func TestBfloat16GradientsPointWhereFloat32OnesDo(t *testing.T) {
	m := randomModel(t, Config{Vocab: 48, SeqLen: 32, Layers: 2, Heads: 4, KVHeads: 2, Embd: 64, RopeBase: 1000, Cond: []int{3}, Features: 2})
	in := randomInput(m.Config, 4, 32, 1)
	targets, weights := randomTargets(in.B*in.T, m.Vocab)
	gradient := func(p Precision) []float32 {
		var w Workspace
		r := m.TrainingRunner(p)
		dlogits, grads := make([]float32, in.B*in.T*m.Vocab), make([]float32, len(m.Params))
		lossOf(dlogits, r.Forward(&w, in), targets, weights, m.Vocab)
		r.Backward(&w, dlogits, grads)
		return grads
	}
	exact, half := gradient(F32), gradient(BF16)
	for _, tensor := range m.Tensors {
		var ab, aa, bb float64
		for i, a := range tensor.View(exact) {
			b := float64(tensor.View(half)[i])
			ab, aa, bb = ab+float64(a)*b, aa+float64(a)*float64(a), bb+b*b
		}
		// Relative errors of 2⁻⁹ a factor, a dozen layers deep: an angle of
		// a few hundredths, whose cosine lacks a few 1e-4.
		if cosine := ab / math.Sqrt(aa*bb); !(cosine > 0.999) {
			t.Errorf("%s: the cosine of the two gradients is %.5f", tensor.Name, cosine)
		}
	}
}

// What holds for float32 holds here: the same bits for any number of workers, a
// window alone and in a batch, decoded and in one pass.
func TestBfloat16KeepsItsBits(t *testing.T) {
	m := randomModel(t, Config{Vocab: 96, SeqLen: 64, Layers: 2, Heads: 4, KVHeads: 2, Embd: 64, RopeBase: 100, Softcap: 8})
	in := randomInput(m.Config, 9, 64, 1)
	var all, grads []float32
	for workers := 1; workers <= 4; workers++ {
		previous := parallel.SetWorkers(workers)
		r := m.TrainingRunner(BF16)
		var w Workspace
		logits, g := r.Forward(&w, in), make([]float32, len(m.Params))
		targets, weights := randomTargets(in.B*in.T, m.Vocab)
		dlogits := make([]float32, len(logits))
		lossOf(dlogits, logits, targets, weights, m.Vocab)
		r.Backward(&w, dlogits, g)
		parallel.SetWorkers(previous)
		if workers == 1 {
			all, grads = slices.Clone(logits), g
		}
		if !slices.Equal(logits, all) || !slices.Equal(g, grads) {
			t.Errorf("logits or gradients with %d workers differ from those with 1", workers)
		}
	}

	r, V := m.Runner(BF16), m.Vocab
	const prefix = 20
	for b := range in.B {
		one := Input{B: 1, T: in.T, Tokens: in.Tokens[b*in.T : (b+1)*in.T]}
		prefixes, _, err := r.Prefill(one.window(m.Config, 0, prefix))
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.NewDecoder(prefixes, in.T-prefix)
		if err != nil {
			t.Fatal(err)
		}
		for at := prefix; at < in.T; at++ {
			logits, err := d.Step(one.window(m.Config, at, at+1))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logits, all[(b*in.T+at)*V:(b*in.T+at+1)*V]) {
				t.Fatalf("window %d, position %d: decoded logits differ from those of the batch", b, at)
			}
		}
	}
}

// allocations of f at its best: a collection of garbage empties the pools from which
// steps take their memory, and those after it fill them again.
func allocations(f func()) float64 {
	least := math.Inf(1)
	for attempt := 0; attempt < 5 && least > 0; attempt++ {
		least = min(least, testing.AllocsPerRun(20, f))
	}
	return least
}

// A training step and a decoding step allocate nothing once their memory is
// there.
func TestStepsAllocateNothing(t *testing.T) {
	for _, p := range []Precision{F32, BF16} {
		for workers := 1; workers <= 2; workers++ {
			previous := parallel.SetWorkers(workers)
			l := newLearner(t, p)
			if n := allocations(func() { l.step() }); n != 0 {
				t.Errorf("%v, %d workers: a training step allocates %v times", p, workers, n)
			}
			prefixes, _, err := l.r.Prefill(l.in.window(l.m.Config, 0, 4))
			if err != nil {
				t.Fatal(err)
			}
			d, err := l.r.NewDecoder(prefixes, 28)
			if err != nil {
				t.Fatal(err)
			}
			next := l.in.window(l.m.Config, 4, 5)
			if n := allocations(func() {
				if _, err := d.Step(next); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v, %d workers: a decoding step allocates %v times", p, workers, n)
			}
			parallel.SetWorkers(previous)
		}
	}
}

// Fifty steps with each set of instructions follow those of the reference in Go:
// the same sums, rounded in other places. The difference of a loss is that of
// float32 sums, amplified by fifty steps.
func TestTrainingWithInstructionSetsFollowsTheReference(t *testing.T) {
	sets := kernel.Sets()
	losses := func(set string) (losses []float64) {
		defer kernel.Force(set)()
		l := newLearner(t, F32)
		for range 50 {
			losses = append(losses, l.step())
		}
		return losses
	}
	want := losses(sets[len(sets)-1])
	for _, set := range sets[:len(sets)-1] {
		worst := 0.0
		for i, got := range losses(set) {
			worst = max(worst, math.Abs(got-want[i]))
		}
		t.Logf("%s: losses at most %.2g apart", set, worst)
		if !(worst <= 1e-3) {
			t.Errorf("%s: losses up to %.2g from those of the reference", set, worst)
		}
	}
}
