package export

import (
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The part of onnx.proto, https://github.com/onnx/onnx, that a graph of ours
// needs: numbers of fields, by message, and of types.
const (
	modelIRVersion  = 1
	modelProducer   = 2
	modelDoc        = 6
	modelGraph      = 7
	modelOpset      = 8
	modelMetadata   = 14
	opsetVersion    = 2
	entryKey        = 1
	entryValue      = 2
	graphNode       = 1
	graphName       = 2
	graphConstant   = 5 // "initializer"
	graphInput      = 11
	graphOutput     = 12
	nodeInput       = 1
	nodeOutput      = 2
	nodeName        = 3
	nodeOp          = 4
	nodeAttribute   = 5
	attributeName   = 1
	attributeInt    = 3
	attributeInts   = 8
	attributeType   = 20
	tensorDims      = 1
	tensorType      = 2
	tensorName      = 8
	tensorRaw       = 9
	valueName       = 1
	valueType       = 2
	typeTensor      = 1
	tensorTypeOf    = 1
	tensorTypeShape = 2
	shapeDim        = 1
	dimValue        = 1
	dimName         = 2

	isInt     = 2 // AttributeProto.INT
	isInts    = 7 // AttributeProto.INTS
	typeFloat = 1 // TensorProto.FLOAT
	typeInt64 = 7 // TensorProto.INT64
)

// message is a protocol buffer that is being written.
type message []byte

func (m *message) int(field protowire.Number, v int) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(v))
}

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendString(*m, s)
}

func (m *message) message(field protowire.Number, inner message) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, inner)
}

// opened writes the tag and the length of size bytes that are to follow.
func (m *message) opened(field protowire.Number, size int) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendVarint(*m, uint64(size))
}

// graph is an ONNX graph that is being built. Values have names; every node
// adds one or more.
type graph struct {
	nodes, values message
	constants     []message // one each: they are large
	scope         string    // what is being built, in the names of values
	count         int
}

// attribute is a setting of a node: one integer, or several.
type attribute struct {
	name string
	ints []int
	many bool
}

func number(name string, i int) attribute     { return attribute{name, []int{i}, false} }
func numbers(name string, i ...int) attribute { return attribute{name, i, true} }

// node appends a node without attributes and returns the name of its output.
func (g *graph) node(op string, inputs ...string) string { return g.nodeWith(op, nil, inputs...) }

func (g *graph) nodeWith(op string, attributes []attribute, inputs ...string) string {
	return g.outputs(op, 1, attributes, inputs...)[0]
}

// outputs appends a node with n outputs and returns their names.
func (g *graph) outputs(op string, n int, attributes []attribute, inputs ...string) []string {
	names := make([]string, n)
	for i := range names {
		g.count++
		names[i] = fmt.Sprintf("%s/%s.%d", g.scope, op, g.count)
	}
	g.append(op, attributes, inputs, names)
	return names
}

// rename appends a node that gives a value the name of an output.
func (g *graph) rename(value, name string) {
	g.append("Identity", nil, []string{value}, []string{name})
}

func (g *graph) append(op string, attributes []attribute, inputs, outputs []string) {
	var n message
	for _, name := range inputs {
		n.text(nodeInput, name)
	}
	for _, name := range outputs {
		n.text(nodeOutput, name)
	}
	n.text(nodeName, outputs[0])
	n.text(nodeOp, op)
	for _, a := range attributes {
		field, kind := protowire.Number(attributeInt), isInt
		if a.many {
			field, kind = attributeInts, isInts
		}
		var m message
		m.text(attributeName, a.name)
		for _, i := range a.ints {
			m.int(field, i)
		}
		m.int(attributeType, kind)
		n.message(nodeAttribute, m)
	}
	g.nodes.message(graphNode, n)
}

// floats adds a constant and returns its name.
func (g *graph) floats(name string, data []float32, shape ...int) string {
	m := tensorHeader(name, typeFloat, 4*len(data), shape)
	g.constants = append(g.constants, appendFloats(slices.Grow(m, 4*len(data)), data))
	return name
}

// index adds a constant without dimensions and returns its name.
func (g *graph) index(name string, i int) string { return g.integers(name, nil, i) }

// ints adds a constant of one dimension and returns its name.
func (g *graph) ints(name string, data ...int) string {
	return g.integers(name, []int{len(data)}, data...)
}

func (g *graph) integers(name string, shape []int, data ...int) string {
	m := tensorHeader(name, typeInt64, 8*len(data), shape)
	for _, v := range data {
		m = protowire.AppendFixed64(m, uint64(v))
	}
	g.constants = append(g.constants, m)
	return name
}

// tensorHeader is a tensor up to the bytes of its values.
func tensorHeader(name string, kind, size int, shape []int) message {
	var m message
	for _, d := range shape {
		m.int(tensorDims, d)
	}
	m.int(tensorType, kind)
	m.text(tensorName, name)
	m.opened(tensorRaw, size)
	return m
}

// declare adds an input or output of the graph, a dimension being a number or
// a name.
func (g *graph) declare(field protowire.Number, name string, kind int, shape ...any) {
	var dims, tensor, kindOf, value message
	for _, d := range shape {
		var dim message
		switch d := d.(type) {
		case string:
			dim.text(dimName, d)
		case int:
			dim.int(dimValue, d)
		}
		dims.message(shapeDim, dim)
	}
	tensor.int(tensorTypeOf, kind)
	tensor.message(tensorTypeShape, dims)
	kindOf.message(typeTensor, tensor)
	value.text(valueName, name)
	value.message(valueType, kindOf)
	g.values.message(field, value)
}

// size is the number of bytes that write gives.
func (g *graph) size() int {
	n := len(g.nodes) + len(g.values)
	for _, c := range g.constants {
		n += protowire.SizeTag(graphConstant) + protowire.SizeBytes(len(c))
	}
	return n
}

// write writes the graph, piece by piece.
func (g *graph) write(w io.Writer) error {
	if _, err := w.Write(append(g.nodes, g.values...)); err != nil {
		return err
	}
	for _, c := range g.constants {
		var tag message
		tag.opened(graphConstant, len(c))
		if _, err := w.Write(tag); err != nil {
			return err
		}
		if _, err := w.Write(c); err != nil {
			return err
		}
	}
	return nil
}
