package export

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/nn"
)

// Versions of the format: those that introduced what the graph uses, or
// later ones that every runtime of the last years reads.
const (
	irVersion = 8
	opset     = 17
)

// maxONNX is what a protocol buffer may have in bytes.
const maxONNX = math.MaxInt32

// epsilon is that of all norms, as in package nn.
const epsilon = 1e-6

// ONNX writes the model as a graph that computes, for any batch B and any
// length T up to the context,
//
//	tokens    (B, T)         int64
//	cond      (B, T, kinds)  int64    if the model has conditioning
//	features  (B, T, F)      float32  if it has features
//	logits    (B, T, V)      float32  "outputs" if it gives the parameters of a density
//
// in the default operator set 17. Matrices are constants of shape [in, out], the
// transpose of [Safetensors], under the same names. The temperature of a
// calibration is not applied. ONNX fails for a model of 2 GiB or more.
func ONNX(w io.Writer, b *checkpoint.Bundle) error {
	m := b.Model
	if err := fits(4 * len(m.Params)); err != nil { // before anything is built
		return err
	}
	about, err := metadata(b)
	if err != nil {
		return err
	}
	g := builder{m: m, placed: map[string]bool{}}
	g.build()

	var head message
	head.int(modelIRVersion, irVersion)
	head.text(modelProducer, "mqc")
	head.text(modelDoc, "A GPT for candles. See docs/checkpoint.md of mqc for what tokens, cond and features mean.")
	for _, key := range slices.Sorted(maps.Keys(about)) {
		var entry message
		entry.text(entryKey, key)
		entry.text(entryValue, about[key])
		head.message(modelMetadata, entry)
	}
	var set message
	set.int(opsetVersion, opset)
	head.message(modelOpset, set)
	size := g.size()
	if err := fits(len(head) + 2*protowire.SizeVarint(maxONNX) + size); err != nil {
		return err
	}
	head.opened(modelGraph, size)
	if _, err := w.Write(head); err != nil {
		return err
	}
	return g.write(w)
}

// fits refuses a file of too many bytes.
func fits(bytes int) error {
	if bytes > maxONNX {
		return fmt.Errorf("onnx: %d bytes: such a file has less than 2 GiB; take safetensors or npz", bytes)
	}
	return nil
}

// builder builds the graph of a model in the order of its forward pass.
type builder struct {
	graph
	m      *gpt.Model
	placed map[string]bool // tensors that are in the graph

	// Constants and values that all blocks share.
	eps           string // of the norms
	cos, sin      string // (T, 1, 1, D/2)
	visible       string // (T, T) column u is not after row t
	never         string // −∞
	scale         string // 1/√D
	queries, keys string // the shapes (B, T, KV, H/KV, D) and (B, T, KV, 1, D)
	sideBySide    string // the shape (B, T, C)
}

// Dimensions that a caller chooses.
const (
	dimBatch = "batch"
	dimTime  = "time"
)

func (g *builder) build() {
	m := g.m
	g.values.text(graphName, "gpt")
	g.declare(graphInput, "tokens", typeInt64, dimBatch, dimTime)
	if len(m.Cond) > 0 {
		g.declare(graphInput, "cond", typeInt64, dimBatch, dimTime, len(m.Cond))
	}
	if m.Features > 0 {
		g.declare(graphInput, "features", typeFloat, dimBatch, dimTime, m.Features)
	}
	output := "logits"
	if m.Outputs > 0 {
		output = "outputs"
	}
	g.declare(graphOutput, output, typeFloat, dimBatch, dimTime, m.Width())

	g.eps = g.floats("epsilon", []float32{epsilon})
	g.scope = "embed"
	x := g.embed()
	if !m.RawEmbed {
		x = g.norm(x)
	}
	if m.Layers > 0 {
		g.scope = "positions"
		g.prepare()
	}
	for l := range m.Layers {
		block := fmt.Sprintf("blocks.%d.", l)
		g.scope = block + "attn"
		x = g.node("Add", x, g.attention(block, g.norm(x)))
		g.scope = block + "mlp"
		x = g.node("Add", x, g.mlp(block, g.norm(x)))
	}
	g.scope = "head"
	g.rename(g.head(g.norm(x)), output)
}

// embed is the sum of the token's embedding, those of its conditioning integers
// and its projected features.
func (g *builder) embed() string {
	m := g.m
	var terms []string
	switch m.Embed {
	case gpt.None:
	case gpt.Basis:
		described := g.node("Gather", g.table("phi"), "tokens")
		terms = append(terms, g.node("MatMul", described, g.table("embed")))
	default:
		terms = append(terms, g.node("Gather", g.table("embed"), "tokens"))
	}
	for i := range m.Cond {
		name := "cond." + strconv.Itoa(i)
		column := g.nodeWith("Gather", []attribute{number("axis", 2)}, "cond", g.index(name+".column", i))
		terms = append(terms, g.node("Gather", g.table(name), column))
	}
	if m.Features > 0 {
		terms = append(terms, g.node("MatMul", "features", g.matrix("features")))
	}
	x := terms[0]
	for _, t := range terms[1:] {
		x = g.node("Add", x, t)
	}
	return x
}

// prepare makes what depends on the length alone.
func (g *builder) prepare() {
	m := g.m
	KV, G, D := m.KVHeads, m.Heads/m.KVHeads, m.HeadDim()
	g.scale = g.floats("attention.scale", []float32{float32(1 / math.Sqrt(float64(D)))})
	g.never = g.floats("attention.never", []float32{float32(math.Inf(-1))})
	g.queries = g.ints("shape.queries", 0, 0, KV, G, D) // 0 keeps a dimension
	g.keys = g.ints("shape.keys", 0, 0, KV, 1, D)
	g.sideBySide = g.ints("shape.channels", 0, 0, m.Embd)

	length := g.nodeWith("Shape", []attribute{number("start", 1), number("end", 2)}, "tokens")
	first, axis := g.ints("slice.first", 0), g.ints("slice.axis", 0)
	upTo := func(table string) string { return g.node("Slice", table, first, length, axis) }

	cos, sin := ropeTables(m.SeqLen, D, m.RopeBase)
	g.cos = upTo(g.floats("rope.cos", cos, m.SeqLen, 1, 1, D/2))
	g.sin = upTo(g.floats("rope.sin", sin, m.SeqLen, 1, 1, D/2))

	places := make([]int, m.SeqLen)
	for t := range places {
		places[t] = t
	}
	column := upTo(g.ints("positions", places...))
	row := g.node("Unsqueeze", column, g.ints("unsqueeze.axis", 1))
	g.visible = g.node("LessOrEqual", column, row)
}

// ropeTables returns cosines and sines (n, D/2) as the model has them: the
// rotation of the pairs (1, 0) is (cos, −sin).
func ropeTables(n, D int, base float64) (cos, sin []float32) {
	rope, head := nn.NewRope(n, D, base), make([]float32, D)
	for t := range n {
		for i := range head {
			head[i] = 0
			if i < D/2 {
				head[i] = 1
			}
		}
		rope.Forward(head, int32(t))
		cos = append(cos, head[:D/2]...)
		for _, y := range head[D/2:] {
			sin = append(sin, -y)
		}
	}
	return cos, sin
}

// attention is causal attention with grouped queries, of the normed x. A group
// is a dimension of its own, over which keys and values are broadcast.
func (g *builder) attention(block, x string) string {
	q := g.turned(x, block+"attn.q", g.queries)
	k := g.turned(x, block+"attn.k", g.keys)
	v := g.node("Reshape", g.node("MatMul", x, g.matrix(block+"attn.v")), g.keys)

	q = g.transpose(q, 0, 2, 3, 1, 4) // (B, KV, H/KV, T, D)
	k = g.transpose(k, 0, 2, 3, 4, 1) // (B, KV, 1, D, T)
	v = g.transpose(v, 0, 2, 3, 1, 4) // (B, KV, 1, T, D)

	scores := g.node("Mul", g.node("MatMul", q, k), g.scale)
	scores = g.node("Where", g.visible, scores, g.never)
	weights := g.nodeWith("Softmax", []attribute{number("axis", -1)}, scores)
	out := g.transpose(g.node("MatMul", weights, v), 0, 3, 1, 2, 4) // (B, T, KV, H/KV, D)
	return g.node("MatMul", g.node("Reshape", out, g.sideBySide), g.matrix(block+"attn.o"))
}

// turned is x projected to heads, which are rotated and then normed.
func (g *builder) turned(x, weight, shape string) string {
	heads := g.node("Reshape", g.node("MatMul", x, g.matrix(weight)), shape)
	half := g.outputs("Split", 2, []attribute{number("axis", -1)}, heads)
	y1 := g.node("Add", g.node("Mul", half[0], g.cos), g.node("Mul", half[1], g.sin))
	y2 := g.node("Sub", g.node("Mul", half[1], g.cos), g.node("Mul", half[0], g.sin))
	return g.norm(g.nodeWith("Concat", []attribute{number("axis", -1)}, y1, y2))
}

// mlp is the two layers with ReLU² between, of the normed x.
func (g *builder) mlp(block, x string) string {
	up := g.node("Relu", g.node("MatMul", x, g.matrix(block+"mlp.up")))
	return g.node("MatMul", g.node("Mul", up, up), g.matrix(block+"mlp.down"))
}

// head turns the normed x into logits.
func (g *builder) head(x string) string {
	m := g.m
	x = g.node("MatMul", x, g.matrix("head"))
	if m.Head == gpt.Basis {
		x = g.node("MatMul", x, g.transpose(g.table("phi"), 1, 0))
		x = g.node("Add", x, g.transpose(g.table("prior"), 1, 0))
	}
	if m.Softcap > 0 {
		limit := g.floats("softcap", []float32{float32(m.Softcap)})
		x = g.node("Mul", g.node("Tanh", g.node("Div", x, limit)), limit)
	}
	return x
}

// norm divides by the root mean square over the last axis.
func (g *builder) norm(x string) string {
	mean := g.nodeWith("ReduceMean", []attribute{numbers("axes", -1), number("keepdims", 1)}, g.node("Mul", x, x))
	return g.node("Div", x, g.node("Sqrt", g.node("Add", mean, g.eps)))
}

func (g *builder) transpose(x string, order ...int) string {
	return g.nodeWith("Transpose", []attribute{numbers("perm", order...)}, x)
}

// table adds a tensor of the model as it is, once, and returns its name.
func (g *builder) table(name string) string {
	if !g.placed[name] {
		t := g.tensor(name)
		g.floats(prefix+name, t.View(g.m.Params), t.Rows, t.Cols)
	}
	return prefix + name
}

// matrix adds the transpose of a tensor, which rows of x are multiplied by from
// the right.
func (g *builder) matrix(name string) string {
	t := g.tensor(name)
	w, turned := t.View(g.m.Params), make([]float32, t.Len())
	for r := range t.Rows {
		for c := range t.Cols {
			turned[c*t.Rows+r] = w[r*t.Cols+c]
		}
	}
	return g.floats(prefix+name, turned, t.Cols, t.Rows)
}

func (g *builder) tensor(name string) gpt.Tensor {
	g.placed[name] = true
	i := slices.IndexFunc(g.m.Tensors, func(t gpt.Tensor) bool { return t.Name == name })
	return g.m.Tensors[i]
}
