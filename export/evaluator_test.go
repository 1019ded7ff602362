package export

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// This file reads an ONNX file and computes its graph: an implementation of
// the operators that a graph of ours uses, by the text of the specification
// (https://onnx.ai/onnx/operators), which shares nothing with the writer. What
// it does not know it refuses.

// array is a tensor: floats, integers or truths, in row-major order. They are
// kept as float64, which holds every number that occurs.
type array struct {
	kind  int // typeFloat, typeInt64 or truths
	shape []int
	data  []float64
}

const truths = 9 // TensorProto.BOOL

// onnxNode is one node; attributes with one integer have one.
type onnxNode struct {
	op         string
	in, out    []string
	attributes map[string][]int
}

// onnxFile is a parsed model.
type onnxFile struct {
	ir, opset int
	metadata  map[string]string
	nodes     []onnxNode
	constants map[string]array
	inputs    map[string][]string // dimensions as text
	outputs   map[string][]string
}

// field is one field of a message.
type field struct {
	number int
	v      uint64
	b      []byte
}

// fields splits a message.
func fields(b []byte) []field {
	var all []field
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			panic(protowire.ParseError(n))
		}
		b = b[n:]
		f := field{number: int(number)}
		switch kind {
		case protowire.VarintType:
			f.v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(b)
		default:
			panic(fmt.Sprintf("field %d has wire type %d", number, kind))
		}
		if n < 0 {
			panic(protowire.ParseError(n))
		}
		b = b[n:]
		all = append(all, f)
	}
	return all
}

func parseONNX(b []byte) *onnxFile {
	f := &onnxFile{metadata: map[string]string{}, constants: map[string]array{}, inputs: map[string][]string{}, outputs: map[string][]string{}}
	for _, field := range fields(b) {
		switch field.number {
		case modelIRVersion:
			f.ir = int(field.v)
		case modelOpset:
			f.opset = int(fields(field.b)[0].v)
		case modelMetadata:
			entry := fields(field.b)
			f.metadata[string(entry[0].b)] = string(entry[1].b)
		case modelGraph:
			f.graph(field.b)
		}
	}
	return f
}

func (f *onnxFile) graph(b []byte) {
	for _, field := range fields(b) {
		switch field.number {
		case graphNode:
			f.nodes = append(f.nodes, parseNode(field.b))
		case graphConstant:
			name, a := parseTensor(field.b)
			if _, twice := f.constants[name]; twice {
				panic("two constants " + name)
			}
			f.constants[name] = a
		case graphInput, graphOutput:
			name, dims := parseValue(field.b)
			if field.number == graphInput {
				f.inputs[name] = dims
			} else {
				f.outputs[name] = dims
			}
		}
	}
}

func parseNode(b []byte) onnxNode {
	n := onnxNode{attributes: map[string][]int{}}
	for _, field := range fields(b) {
		switch field.number {
		case nodeInput:
			n.in = append(n.in, string(field.b))
		case nodeOutput:
			n.out = append(n.out, string(field.b))
		case nodeOp:
			n.op = string(field.b)
		case nodeAttribute:
			var name string
			var ints []int
			for _, part := range fields(field.b) {
				switch part.number {
				case attributeName:
					name = string(part.b)
				case attributeInt, attributeInts:
					ints = append(ints, int(int64(part.v)))
				}
			}
			n.attributes[name] = ints
		}
	}
	return n
}

func parseTensor(b []byte) (name string, a array) {
	var raw []byte
	a.shape = []int{}
	for _, field := range fields(b) {
		switch field.number {
		case tensorDims:
			a.shape = append(a.shape, int(field.v))
		case tensorType:
			a.kind = int(field.v)
		case tensorName:
			name = string(field.b)
		case tensorRaw:
			raw = field.b
		}
	}
	width := map[int]int{typeFloat: 4, typeInt64: 8}[a.kind]
	for ; len(raw) > 0; raw = raw[width:] {
		if a.kind == typeFloat {
			a.data = append(a.data, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		} else {
			a.data = append(a.data, float64(int64(binary.LittleEndian.Uint64(raw))))
		}
	}
	if len(a.data) != size(a.shape) {
		panic(fmt.Sprintf("constant %s has %d values, shape %v", name, len(a.data), a.shape))
	}
	return name, a
}

func parseValue(b []byte) (name string, dims []string) {
	for _, field := range fields(b) {
		switch field.number {
		case valueName:
			name = string(field.b)
		case valueType:
			tensor := fields(field.b)[0]
			for _, part := range fields(tensor.b) {
				if part.number == tensorTypeOf {
					dims = append(dims, fmt.Sprint(part.v))
					continue
				}
				for _, dim := range fields(part.b) {
					d := fields(dim.b)[0]
					if d.number == dimName {
						dims = append(dims, string(d.b))
					} else {
						dims = append(dims, fmt.Sprint(d.v))
					}
				}
			}
		}
	}
	return name, dims
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// run computes the graph. Nodes stand in the order of computation, each output
// is given once.
func (f *onnxFile) run(inputs map[string]array) map[string]array {
	values := map[string]array{}
	for name, a := range f.constants {
		values[name] = a
	}
	for name := range f.inputs {
		a, ok := inputs[name]
		if !ok {
			panic("no input " + name)
		}
		if _, twice := values[name]; twice {
			panic("input and constant " + name)
		}
		values[name] = a
	}
	for _, n := range f.nodes {
		var in []array
		for _, name := range n.in {
			a, ok := values[name]
			if !ok {
				panic(fmt.Sprintf("%s reads %q, which nothing has given yet", n.op, name))
			}
			in = append(in, a)
		}
		out := n.compute(in)
		if len(out) != len(n.out) {
			panic(fmt.Sprintf("%s gives %d values for %d names", n.op, len(out), len(n.out)))
		}
		for i, name := range n.out {
			if _, twice := values[name]; twice {
				panic("two values " + name)
			}
			values[name] = out[i]
		}
	}
	out := map[string]array{}
	for name := range f.outputs {
		out[name] = values[name]
	}
	return out
}

// axis is an axis attribute within n dimensions.
func (n onnxNode) axis(name string, fallback, dims int) int {
	a := fallback
	if v, ok := n.attributes[name]; ok {
		a = v[0]
	}
	if a < 0 {
		a += dims
	}
	return a
}

func (n onnxNode) compute(in []array) []array {
	one := func(a array) []array { return []array{a} }
	unary := func(f func(float64) float64) []array {
		out := array{in[0].kind, in[0].shape, make([]float64, len(in[0].data))}
		for i, x := range in[0].data {
			out.data[i] = float64(float32(f(x)))
		}
		return one(out)
	}
	binary := func(kind int, f func(x, y float64) float64) []array { return one(broadcast(kind, in[0], in[1], f)) }
	switch n.op {
	case "Identity":
		return in
	case "Add":
		return binary(in[0].kind, func(x, y float64) float64 { return float64(float32(x + y)) })
	case "Sub":
		return binary(in[0].kind, func(x, y float64) float64 { return float64(float32(x - y)) })
	case "Mul":
		return binary(in[0].kind, func(x, y float64) float64 { return float64(float32(x * y)) })
	case "Div":
		return binary(in[0].kind, func(x, y float64) float64 { return float64(float32(x / y)) })
	case "LessOrEqual":
		return binary(truths, func(x, y float64) float64 {
			if x <= y {
				return 1
			}
			return 0
		})
	case "Sqrt":
		return unary(math.Sqrt)
	case "Tanh":
		return unary(math.Tanh)
	case "Relu":
		return unary(func(x float64) float64 { return max(x, 0) })
	case "Where":
		chosen := broadcast(in[1].kind, in[0], in[1], func(c, x float64) float64 {
			if c != 0 {
				return x
			}
			return math.NaN()
		})
		return one(broadcast(in[1].kind, chosen, in[2], func(x, other float64) float64 {
			if math.IsNaN(x) {
				return other
			}
			return x
		}))
	case "MatMul":
		return one(matmul(in[0], in[1]))
	case "Gather":
		return one(gather(in[0], in[1], n.axis("axis", 0, len(in[0].shape))))
	case "Reshape":
		return one(reshape(in[0], in[1].data))
	case "Transpose":
		return one(permute(in[0], n.attributes["perm"]))
	case "Softmax":
		return one(rows(in[0], n.axis("axis", -1, len(in[0].shape)), softmax))
	case "ReduceMean":
		out := rows(in[0], n.axis("axes", 0, len(in[0].shape)), func(x []float64) []float64 {
			sum := 0.0
			for _, v := range x {
				sum += v
			}
			return []float64{float64(float32(sum / float64(len(x))))}
		})
		return one(out)
	case "Split":
		if n.axis("axis", 0, len(in[0].shape)) != len(in[0].shape)-1 {
			panic("Split of another axis than the last")
		}
		var parts []array
		W := in[0].shape[len(in[0].shape)-1] / len(n.out)
		for i := range n.out {
			parts = append(parts, rows(in[0], len(in[0].shape)-1, func(x []float64) []float64 { return slices.Clone(x[i*W : (i+1)*W]) }))
		}
		return parts
	case "Concat":
		last := len(in[0].shape) - 1
		if n.axis("axis", 0, last+1) != last || len(in) != 2 {
			panic("Concat of another axis than the last, or of more than two")
		}
		a, b := in[0], in[1]
		out := array{kind: a.kind, shape: append(slices.Clone(a.shape[:last]), a.shape[last]+b.shape[last])}
		for r := range size(a.shape[:last]) {
			out.data = append(out.data, a.data[r*a.shape[last]:(r+1)*a.shape[last]]...)
			out.data = append(out.data, b.data[r*b.shape[last]:(r+1)*b.shape[last]]...)
		}
		return one(out)
	case "Shape":
		out := array{kind: typeInt64}
		for _, d := range in[0].shape[n.attributes["start"][0]:n.attributes["end"][0]] {
			out.data = append(out.data, float64(d))
		}
		out.shape = []int{len(out.data)}
		return one(out)
	case "Slice": // of the first axis, from its beginning
		if in[1].data[0] != 0 || in[3].data[0] != 0 {
			panic("Slice of another axis than the first")
		}
		end := min(int(in[2].data[0]), in[0].shape[0])
		shape := append([]int{end}, in[0].shape[1:]...)
		return one(array{in[0].kind, shape, in[0].data[:size(shape)]})
	case "Unsqueeze":
		return one(array{in[0].kind, slices.Insert(slices.Clone(in[0].shape), int(in[1].data[0]), 1), in[0].data})
	}
	panic("operator " + n.op + " is none that a graph of ours uses")
}

// broadcast applies f with the rules of numpy.
func broadcast(kind int, a, b array, f func(x, y float64) float64) array {
	shape := common(a.shape, b.shape)
	out := array{kind, shape, make([]float64, size(shape))}
	for i := range out.data {
		out.data[i] = f(a.data[place(i, shape, a.shape)], b.data[place(i, shape, b.shape)])
	}
	return out
}

// common is the shape that two shapes are broadcast to.
func common(a, b []int) []int {
	shape := make([]int, max(len(a), len(b)))
	for i := range shape {
		x, y := 1, 1
		if j := i - len(shape) + len(a); j >= 0 {
			x = a[j]
		}
		if j := i - len(shape) + len(b); j >= 0 {
			y = b[j]
		}
		if x != y && x != 1 && y != 1 {
			panic(fmt.Sprintf("shapes %v and %v do not go together", a, b))
		}
		shape[i] = max(x, y)
	}
	return shape
}

// place is where element i of a shape lies in one that is broadcast to it.
func place(i int, shape, from []int) int {
	at, stride := 0, 1
	for d := len(shape) - 1; d >= 0; d-- {
		index := i % shape[d]
		i /= shape[d]
		if j := d - len(shape) + len(from); j >= 0 {
			if from[j] > 1 {
				at += index * stride
			}
			stride *= from[j]
		}
	}
	return at
}

func matmul(a, b array) array {
	n, m := len(a.shape), len(b.shape)
	R, K, C := a.shape[n-2], a.shape[n-1], b.shape[m-1]
	if b.shape[m-2] != K {
		panic(fmt.Sprintf("product of %v and %v", a.shape, b.shape))
	}
	batch := common(a.shape[:n-2], b.shape[:m-2])
	out := array{a.kind, append(slices.Clone(batch), R, C), make([]float64, size(batch)*R*C)}
	for i := range size(batch) {
		x, y := a.data[place(i, batch, a.shape[:n-2])*R*K:], b.data[place(i, batch, b.shape[:m-2])*K*C:]
		for r := range R {
			for c := range C {
				sum := 0.0
				for k := range K {
					sum += x[r*K+k] * y[k*C+c]
				}
				out.data[(i*R+r)*C+c] = float64(float32(sum))
			}
		}
	}
	return out
}

func gather(from, at array, axis int) array {
	before, after := size(from.shape[:axis]), size(from.shape[axis+1:])
	out := array{kind: from.kind, shape: slices.Concat(from.shape[:axis], at.shape, from.shape[axis+1:])}
	for b := range before {
		for _, i := range at.data {
			if i < 0 || int(i) >= from.shape[axis] {
				panic(fmt.Sprintf("Gather of %v from %v", i, from.shape))
			}
			start := (b*from.shape[axis] + int(i)) * after
			out.data = append(out.data, from.data[start:start+after]...)
		}
	}
	return out
}

func reshape(a array, to []float64) array {
	shape := make([]int, len(to))
	for i, d := range to {
		shape[i] = int(d)
		if d == 0 {
			shape[i] = a.shape[i]
		}
	}
	if size(shape) != len(a.data) {
		panic(fmt.Sprintf("Reshape of %v to %v", a.shape, to))
	}
	return array{a.kind, shape, a.data}
}

func permute(a array, order []int) array {
	out := array{kind: a.kind, shape: make([]int, len(order)), data: make([]float64, len(a.data))}
	strides := make([]int, len(order))
	for i, from := range order {
		out.shape[i] = a.shape[from]
		strides[i] = size(a.shape[from+1:])
	}
	for i := range out.data {
		at, rest := 0, i
		for d := len(order) - 1; d >= 0; d-- {
			at += rest % out.shape[d] * strides[d]
			rest /= out.shape[d]
		}
		out.data[i] = a.data[at]
	}
	return out
}

// rows applies f to every row along the last axis.
func rows(a array, axis int, f func([]float64) []float64) array {
	last := len(a.shape) - 1
	if axis != last {
		panic(fmt.Sprintf("axis %d of %v: only the last is known", axis, a.shape))
	}
	out := array{kind: a.kind, shape: slices.Clone(a.shape)}
	W := a.shape[last]
	for r := range size(a.shape[:last]) {
		y := f(a.data[r*W : (r+1)*W])
		out.shape[last] = len(y)
		out.data = append(out.data, y...)
	}
	return out
}

func softmax(x []float64) []float64 {
	y, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		y[i] = math.Exp(v - slices.Max(x))
		sum += y[i]
	}
	for i := range y {
		y[i] = float64(float32(y[i] / sum))
	}
	return y
}
