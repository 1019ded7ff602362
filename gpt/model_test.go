package gpt

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/internal/testkit"
	"github.com/micro-quant/mqc/nn"
	"github.com/micro-quant/mqc/optim"
)

// everything is a tiny configuration that switches on all there is.
func everything() Config {
	return Config{
		Vocab: 13, SeqLen: 24, Layers: 2, Heads: 4, KVHeads: 2, Embd: 16,
		RopeBase: 100, Softcap: 4, Cond: []int{3, 5}, Features: 2,
	}
}

// randomModel has no weight at zero: those that New starts there would make
// gradients vanish and branches disappear.
func randomModel(t testing.TB, c Config) *Model {
	t.Helper()
	m, err := Allocate(c)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for _, tensor := range m.Tensors {
		std := 1 / math.Sqrt(float64(tensor.Cols))
		for i := range tensor.View(m.Params) {
			tensor.View(m.Params)[i] = float32(std * r.NormFloat64())
		}
	}
	return m
}

func randomInput(c Config, B, T int, seed uint64) Input {
	r := rand.New(rand.NewPCG(seed, 5))
	in := Input{B: B, T: T}
	for range B * T {
		in.Tokens = append(in.Tokens, r.Int32N(int32(c.Vocab)))
		for _, n := range c.Cond {
			in.Cond = append(in.Cond, r.Int32N(int32(n)))
		}
		for range c.Features {
			in.Features = append(in.Features, float32(r.NormFloat64()))
		}
	}
	return in
}

// window is positions [lo,hi) of every row of in.
func (in Input) window(c Config, lo, hi int) Input {
	out := Input{B: in.B, T: hi - lo}
	K, F := len(c.Cond), c.Features
	for b := range in.B {
		at := func(t, width int) int { return (b*in.T + t) * width }
		out.Tokens = append(out.Tokens, in.Tokens[at(lo, 1):at(hi, 1)]...)
		out.Cond = append(out.Cond, in.Cond[at(lo, K):at(hi, K)]...)
		out.Features = append(out.Features, in.Features[at(lo, F):at(hi, F)]...)
	}
	return out
}

func randomTargets(n, V int) (targets []int32, weights []float32) {
	r := rand.New(rand.NewPCG(6, 7))
	for range n {
		targets = append(targets, r.Int32N(int32(V)))
		weights = append(weights, float32(r.IntN(4))/2)
	}
	return targets, weights
}

// overBasis is everything with head and embedding over a basis.
func overBasis() Config {
	c := everything()
	c.Softcap, c.Basis, c.Head, c.Embed = 0, 4, Basis, Basis
	return c
}

// rawEmbed is everything without the norm after the embedding.
func rawEmbed() Config {
	c := everything()
	c.RawEmbed = true
	return c
}

func TestBackwardMatchesFiniteDifferences(t *testing.T) {
	for name, c := range map[string]Config{"plain": everything(), "basis": overBasis(), "raw embedding": rawEmbed()} {
		t.Run(name, func(t *testing.T) { checkBackward(t, c) })
	}
}

func checkBackward(t *testing.T, c Config) {
	for _, dropout := range []float64{0, 0.25} {
		c.Dropout = dropout
		m := randomModel(t, c)
		in := randomInput(c, 2, 9, 1)
		in.Dropout = 99 // the mask must stay while a weight moves
		targets, weights := randomTargets(in.B*in.T, c.Vocab)

		var w Workspace
		dlogits, grads := make([]float32, in.B*in.T*c.Vocab), make([]float32, len(m.Params))
		lossOf(dlogits, forward(m, &w, in), targets, weights, c.Vocab)
		backward(m, &w, dlogits, grads)
		loss := func() float64 { return lossOf(nil, forward(m, &w, in), targets, weights, c.Vocab) }

		// The loss is float32 inside, about 1e-7; divided by h that is 3e-5
		// of a gradient near 0.1. ReLU² bends where its input is 0: the rest
		// of the tolerance.
		check := testkit.Difference{Entries: 24, H: 1. / 128, Tolerance: 2e-3}
		for _, tensor := range m.Tensors {
			if tensor.Fixed() {
				if g := tensor.View(grads); slices.ContainsFunc(g, func(x float32) bool { return x != 0 }) {
					t.Errorf("%s is given and has a gradient", tensor.Name)
				}
				continue
			}
			worst := check.Check(t, tensor.Name, tensor.View(m.Params), tensor.View(grads), loss)
			t.Logf("dropout %.2f, %s: %.2g", dropout, tensor.Name, worst)
		}
	}
}

func TestBackwardAdds(t *testing.T) {
	m := randomModel(t, everything())
	in := randomInput(m.Config, 2, 9, 1)
	targets, weights := randomTargets(in.B*in.T, m.Vocab)
	var w Workspace
	dlogits := make([]float32, in.B*in.T*m.Vocab)
	once, twice := make([]float32, len(m.Params)), make([]float32, len(m.Params))
	for _, grads := range [][]float32{once, twice, twice} {
		lossOf(dlogits, forward(m, &w, in), targets, weights, m.Vocab)
		backward(m, &w, dlogits, grads)
	}
	for i := range once {
		// One rounding of the sum.
		if d := math.Abs(float64(twice[i] - 2*once[i])); d > 1e-6 {
			t.Fatalf("gradient %d after two passes is %v, after one %v", i, twice[i], once[i])
		}
	}
}

// A batch gives each window the bits that it has alone, and a workspace that
// has served a larger batch leaves no trace.
func TestForwardOfAWindowIsTheSameInAnyBatch(t *testing.T) {
	m := randomModel(t, everything())
	in := randomInput(m.Config, 5, 24, 1)
	var w Workspace
	all := slices.Clone(forward(m, &w, in))
	for b := range in.B {
		one := Input{
			B: 1, T: in.T, Tokens: in.Tokens[b*in.T : (b+1)*in.T],
			Cond: in.Cond[b*in.T*2 : (b+1)*in.T*2], Features: in.Features[b*in.T*2 : (b+1)*in.T*2],
		}
		got := forward(m, &w, one)
		if want := all[b*in.T*m.Vocab : (b+1)*in.T*m.Vocab]; !slices.Equal(got, want) {
			t.Fatalf("window %d alone differs from window %d of 5", b, b)
		}
	}
}

// A tree of branches gives what its paths give as windows of their own: the logits,
// and the gradient of a loss that is on the branches.
func TestBranchesAreWindowsOfTheirOwn(t *testing.T) {
	c := everything()
	m := randomModel(t, c)
	const stem, length, branches = 9, 5, 3
	K, F, V := len(c.Cond), c.Features, c.Vocab
	tree := randomInput(c, 2, stem+branches*length, 1)
	copy(tree.Tokens[tree.T:], tree.Tokens[:stem-2]) // the second tree has two rows of padding
	paths := Input{B: 2 * branches, T: stem + length}
	var rows []int // of the tree, for each of the paths
	for w := range tree.B {
		shared := stem - 2*w
		for t := range tree.T {
			from, own := 0, 0
			if t >= stem {
				from, own = shared, stem+(t-stem)/length*length
			}
			tree.Branches.Shared = append(tree.Branches.Shared, int32(from))
			tree.Branches.Own = append(tree.Branches.Own, int32(own))
		}
		for b := range branches {
			for t := range paths.T {
				row := -1 // behind the end of a path
				if t < shared {
					row = w*tree.T + t
				} else if t-shared < length {
					row = w*tree.T + stem + b*length + t - shared
				}
				rows = append(rows, row)
				at := max(row, 0)
				paths.Tokens = append(paths.Tokens, tree.Tokens[at])
				paths.Cond = append(paths.Cond, tree.Cond[at*K:(at+1)*K]...)
				paths.Features = append(paths.Features, tree.Features[at*F:(at+1)*F]...)
			}
		}
	}
	run := func(in Input, targets []int32, weights []float32) (logits, grads []float32) {
		var w Workspace
		logits = slices.Clone(forward(m, &w, in))
		dlogits, grads := make([]float32, len(logits)), make([]float32, len(m.Params))
		lossOf(dlogits, logits, targets, weights, V)
		backward(m, &w, dlogits, grads)
		return logits, grads
	}
	targets, weights := randomTargets(tree.B*tree.T, V)
	var pathTargets []int32
	var pathWeights []float32
	for r := range weights {
		if r%tree.T < stem {
			weights[r] = 0
		}
	}
	for _, row := range rows {
		target, weight := int32(0), float32(0)
		if row >= 0 {
			target, weight = targets[row], weights[row]
		}
		pathTargets, pathWeights = append(pathTargets, target), append(pathWeights, weight)
	}
	got, grads := run(tree, targets, weights)
	want, wantGrads := run(paths, pathTargets, pathWeights)
	close := func(a, b float32) bool { return math.Abs(float64(a-b)) <= 1e-5*max(1, math.Abs(float64(b))) }
	for i, row := range rows {
		if row < 0 {
			continue
		}
		for k := range V {
			if !close(got[row*V+k], want[i*V+k]) {
				t.Fatalf("logit %d of row %d of the trees is %v, of a path alone %v", k, row, got[row*V+k], want[i*V+k])
			}
		}
	}
	for i := range grads {
		if !close(grads[i], wantGrads[i]) {
			t.Fatalf("gradient %d of the trees is %v, of the paths alone %v", i, grads[i], wantGrads[i])
		}
	}
}

func TestCheckKnowsBranches(t *testing.T) {
	c := everything()
	m := randomModel(t, c)
	for name, b := range map[string]nn.Branches{
		"too few rows":    {Shared: []int32{0}, Own: []int32{0}},
		"one slice alone": {Shared: []int32{0, 0}},
		"the future":      {Shared: []int32{0, 0}, Own: []int32{0, 2}},
		"shared is own":   {Shared: []int32{0, 1}, Own: []int32{0, 0}},
		"below 0":         {Shared: []int32{0, -1}, Own: []int32{0, 0}},
	} {
		in := randomInput(c, 1, 2, 1)
		in.Branches = b
		if err := m.Check(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	long := randomInput(c, 1, c.SeqLen+1, 1)
	long.Branches = nn.Branches{Shared: make([]int32, long.T), Own: make([]int32, long.T)}
	if err := m.Check(long); !errors.Is(err, ErrContext) {
		t.Errorf("a branch to position %d: %v", c.SeqLen, err)
	}
	long.Branches.Own[c.SeqLen] = 1
	if err := m.Check(long); err != nil {
		t.Errorf("a tree of %d rows with positions below %d: %v", long.T, c.SeqLen, err)
	}
}

func TestForwardIsCausal(t *testing.T) {
	m := randomModel(t, everything())
	in := randomInput(m.Config, 1, 20, 1)
	var w Workspace
	before := slices.Clone(forward(m, &w, in))
	const from = 11
	for i := from; i < in.T; i++ {
		in.Tokens[i] = (in.Tokens[i] + 1) % int32(m.Vocab)
		in.Features[2*i] += 1
	}
	after := forward(m, &w, in)
	if !slices.Equal(before[:from*m.Vocab], after[:from*m.Vocab]) {
		t.Errorf("tokens from position %d on changed the logits before it", from)
	}
	if slices.Equal(before[from*m.Vocab:(from+1)*m.Vocab], after[from*m.Vocab:(from+1)*m.Vocab]) {
		t.Errorf("token %d did not change the logits of its own position", from)
	}
}

func TestDropoutActsOnlyWithAKey(t *testing.T) {
	c := everything()
	plain := randomModel(t, c)
	c.Dropout = 0.25
	m := randomModel(t, c)
	in := randomInput(c, 2, 9, 1)
	var w Workspace
	if !slices.Equal(forward(m, &w, in), forward(plain, &Workspace{}, in)) {
		t.Error("without a key, dropout changed the logits")
	}
	in.Dropout = 1
	one := slices.Clone(forward(m, &w, in))
	if !slices.Equal(forward(m, &w, in), one) {
		t.Error("the same key gave two masks")
	}
	in.Dropout = 2
	if slices.Equal(forward(m, &w, in), one) {
		t.Error("keys 1 and 2 gave the same logits")
	}
	in.Dropout = 0
	if slices.Equal(forward(m, &w, in), one) {
		t.Error("key 1 dropped nothing")
	}
}

func TestForwardAndBackwardHaveTheSameBitsForAnyNumberOfWorkers(t *testing.T) {
	// Large enough that every loop is shared out.
	c := Config{Vocab: 96, SeqLen: 64, Layers: 2, Heads: 4, KVHeads: 2, Embd: 64, RopeBase: 100, Softcap: 8, Dropout: 0.1, Cond: []int{7}, Features: 3}
	m := randomModel(t, c)
	in := randomInput(c, 9, 64, 1)
	in.Dropout = 5
	targets, weights := randomTargets(in.B*in.T, c.Vocab)
	var logits, grads []float32
	for workers := 1; workers <= 3; workers++ {
		previous := parallel.SetWorkers(workers)
		var w Workspace
		l := forward(m, &w, in)
		dlogits, g := make([]float32, len(l)), make([]float32, len(m.Params))
		lossOf(dlogits, l, targets, weights, c.Vocab)
		backward(m, &w, dlogits, g)
		parallel.SetWorkers(previous)
		if workers == 1 {
			logits, grads = l, g
			continue
		}
		if !slices.Equal(l, logits) {
			t.Errorf("logits with %d workers differ from those with 1", workers)
		}
		if !slices.Equal(g, grads) {
			t.Errorf("gradients with %d workers differ from those with 1", workers)
		}
	}
}

func TestNewStartsNearUniformAndDependsOnTheSeedAlone(t *testing.T) {
	m, err := New(everything(), 1)
	if err != nil {
		t.Fatal(err)
	}
	in := randomInput(m.Config, 4, 20, 1)
	targets, _ := randomTargets(in.B*in.T, m.Vocab)
	weights := make([]float32, len(targets))
	for i := range weights {
		weights[i] = 1
	}
	loss := lossOf(nil, forward(m, &Workspace{}, in), targets, weights, m.Vocab)
	if d := math.Abs(loss - math.Log(float64(m.Vocab))); d > 0.01 {
		t.Errorf("loss of a fresh model is %.4f, want ln %d = %.4f", loss, m.Vocab, math.Log(float64(m.Vocab)))
	}
	same, _ := New(everything(), 1)
	other, _ := New(everything(), 2)
	if !slices.Equal(m.Params, same.Params) {
		t.Error("New with one seed gave two models")
	}
	if slices.Equal(m.Params, other.Params) {
		t.Error("New with seeds 1 and 2 gave one model")
	}
}

func TestTensorsCoverTheParameters(t *testing.T) {
	m := randomModel(t, everything())
	count, decaying := 0, []string{}
	for _, tensor := range m.Tensors {
		clear(tensor.View(m.Params))
		count += tensor.Len()
		if !tensor.Decays() {
			decaying = append(decaying, tensor.Name)
		}
	}
	if want := m.Parameters(); count != want || len(m.Params) != want {
		t.Errorf("tensors have %d elements and Params %d, Parameters() = %d", count, len(m.Params), want)
	}
	if i := slices.IndexFunc(m.Params, func(x float32) bool { return x != 0 }); i >= 0 {
		t.Errorf("parameter %d belongs to no tensor", i)
	}
	if got, want := strings.Join(decaying, " "), "embed cond.0 cond.1"; got != want {
		t.Errorf("tensors without decay: %s, want %s", got, want)
	}
}

func TestCloneSharesNothingThatChanges(t *testing.T) {
	m := randomModel(t, everything())
	in := randomInput(m.Config, 1, 9, 1)
	c := m.Clone()
	want := slices.Clone(forward(m, &Workspace{}, in))
	if !slices.Equal(forward(c, &Workspace{}, in), want) {
		t.Fatal("a clone gives other logits")
	}
	clear(m.Params)
	if !slices.Equal(forward(c, &Workspace{}, in), want) {
		t.Error("clearing the original changed its clone")
	}
}

func TestLearnsWindowsByHeart(t *testing.T) {
	c := Config{Vocab: 32, SeqLen: 16, Layers: 2, Heads: 2, KVHeads: 1, Embd: 32, RopeBase: 100}
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	const B, T = 64, 16
	in := randomInput(c, B, T+1, 2)
	batch := in.window(c, 0, T)
	targets := in.window(c, 1, T+1).Tokens
	weights := determined(in)

	var w Workspace
	grads, dlogits := make([]float32, len(m.Params)), make([]float32, B*T*c.Vocab)
	opt := optimizer(m, grads)
	opt.Config.WeightDecay = 0
	schedule := optim.Schedule{Peak: 1e-2, Warmup: 10, Total: 100, Floor: 0.1}
	loss := 0.0
	for step := range schedule.Total {
		loss = lossOf(dlogits, forward(m, &w, batch), targets, weights, c.Vocab)
		if step%25 == 0 {
			t.Logf("step %d: %.4f nats", step, loss)
		}
		backward(m, &w, dlogits, grads)
		opt.Update(schedule.At(step), optim.ClipScale(opt.GradNorm(), 1))
	}
	loss = lossOf(nil, forward(m, &w, batch), targets, weights, c.Vocab)
	t.Logf("step %d: %.4f nats", schedule.Total, loss)
	if !(loss < 0.05) {
		t.Errorf("loss after %d steps on %d windows is %.4f nats, want less than 0.05", schedule.Total, B, loss)
	}
}

// determined weighs a target 1 if the tokens before it name it, and 0 if
// another window goes on differently: 64 windows share 32 first tokens.
func determined(in Input) []float32 {
	next := map[string]map[int32]bool{}
	prefix := func(b, t int) string {
		key := make([]byte, 0, t)
		for _, x := range in.Tokens[b*in.T : b*in.T+t+1] {
			key = append(key, byte(x))
		}
		return string(key)
	}
	for b := range in.B {
		for t := range in.T - 1 {
			key := prefix(b, t)
			if next[key] == nil {
				next[key] = map[int32]bool{}
			}
			next[key][in.Tokens[b*in.T+t+1]] = true
		}
	}
	var weights []float32
	for b := range in.B {
		for t := range in.T - 1 {
			w := float32(0)
			if len(next[prefix(b, t)]) == 1 {
				w = 1
			}
			weights = append(weights, w)
		}
	}
	return weights
}

// forward and backward run a model whose weights change from call to call.
func forward(m *Model, w *Workspace, in Input) []float32 { return m.TrainingRunner(F32).Forward(w, in) }

func backward(m *Model, w *Workspace, dlogits, grads []float32) {
	m.TrainingRunner(F32).Backward(w, dlogits, grads)
}

// A model over a basis starts as its prior, and trains neither it nor phi.
func TestModelOverABasisStartsAsItsPrior(t *testing.T) {
	c := overBasis()
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(8, 9))
	phi, prior := make([]float32, c.Vocab*c.Basis), make([]float32, c.Vocab)
	for i := range phi {
		phi[i] = float32(r.NormFloat64())
	}
	for i := range prior {
		prior[i] = float32(r.NormFloat64())
	}
	m.SetBasis(phi, prior)
	in := randomInput(c, 2, 5, 1)
	logits := forward(m, &Workspace{}, in)
	for i := range in.B * in.T {
		if !slices.Equal(logits[i*c.Vocab:(i+1)*c.Vocab], prior) {
			t.Fatalf("position %d: logits %v, want the prior %v", i, logits[i*c.Vocab:(i+1)*c.Vocab], prior)
		}
	}
}

// The norm after the embedding hides its scale from the blocks; a raw embedding
// is added to as it is.
func TestRawEmbeddingKeepsItsScale(t *testing.T) {
	for _, c := range []Config{everything(), rawEmbed()} {
		m := randomModel(t, c)
		in := randomInput(c, 1, 9, 1)
		want := slices.Clone(forward(m, &Workspace{}, in))
		for _, tensor := range append([]Tensor{m.embed, m.features}, m.cond...) {
			for i := range tensor.View(m.Params) {
				tensor.View(m.Params)[i] *= 8
			}
		}
		got := forward(m, &Workspace{}, in)
		furthest := 0.0
		for i := range want {
			furthest = max(furthest, math.Abs(float64(got[i]-want[i])))
		}
		// The norm's epsilon of 1e-6 and rounding stay far below 1e-3.
		if changed := furthest > 1e-3; changed != c.RawEmbed {
			t.Errorf("raw %v: an embedding eight times as large moves a logit by %v", c.RawEmbed, furthest)
		}
	}
}

func TestTemperedDividesTheLogits(t *testing.T) {
	capped, basis := everything(), everything()
	basis.Basis, basis.Head, basis.Embed = 6, Basis, Basis
	free := everything()
	free.Softcap = 0
	for _, c := range []Config{capped, basis, free} {
		m, in := randomModel(t, c), randomInput(c, 2, 9, 1)
		before := slices.Clone(m.Params)
		want := slices.Clone(forward(m, &Workspace{}, in))
		for _, temperature := range []float64{0.5, 1, 1.7} {
			got := forward(m.Tempered(temperature), &Workspace{}, in)
			for i := range got {
				// 1e-5: logits of a few units, rounded to float32 on two ways.
				if w := float64(want[i]) / temperature; math.Abs(float64(got[i])-w) > 1e-5 {
					t.Fatalf("head %q, cap %v, temperature %v: logit %d is %v, want %v", c.Head, c.Softcap, temperature, i, got[i], w)
				}
			}
		}
		if !slices.Equal(m.Params, before) {
			t.Errorf("head %q: Tempered changed the model that it is a copy of", c.Head)
		}
	}
}
