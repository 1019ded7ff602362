package market

import (
	"encoding/binary"
	"errors"
	"io"
)

var errFooter = errors.New("a footer that contradicts itself")

// checkFooter walks over the metadata at the end of a Parquet file before the
// library decodes it, which makes room for as many elements as a list says that
// it has: a few bytes could ask for more memory than there is.
//
// The metadata is one struct of the compact protocol of Apache Thrift.
func checkFooter(file io.ReaderAt, size int64) error {
	var tail [8]byte // length, PAR1
	if size < 12 {
		return errFooter
	}
	if _, err := file.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	if n > size-12 {
		return errFooter
	}
	footer := make([]byte, n)
	if _, err := file.ReadAt(footer, size-8-n); err != nil {
		return err
	}
	w := thriftWalker{footer}
	if !w.skipStruct(0) {
		return errFooter
	}
	return nil
}

// thriftWalker skips over values; false is for bytes that are none.
type thriftWalker struct{ rest []byte }

// Types of the compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftInt16  = 4
	thriftInt64  = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// maxThriftDepth is more than the metadata of Parquet nests.
const maxThriftDepth = 16

func (w *thriftWalker) skip(n uint64) bool {
	if n > uint64(len(w.rest)) {
		return false
	}
	w.rest = w.rest[n:]
	return true
}

func (w *thriftWalker) byte() (b byte, ok bool) {
	if len(w.rest) == 0 {
		return 0, false
	}
	b = w.rest[0]
	w.rest = w.rest[1:]
	return b, true
}

func (w *thriftWalker) varint() (uint64, bool) {
	x, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, false
	}
	w.rest = w.rest[n:]
	return x, true
}

func (w *thriftWalker) skipStruct(depth int) bool {
	for {
		head, ok := w.byte()
		if !ok || depth > maxThriftDepth {
			return false
		}
		if head == 0 { // the end
			return true
		}
		if head>>4 == 0 { // the number of the field follows
			if _, ok := w.varint(); !ok {
				return false
			}
		}
		if kind := head & 0xf; kind == thriftTrue || kind == thriftFalse {
			continue // the type is the value
		} else if !w.skipValue(kind, depth) {
			return false
		}
	}
}

func (w *thriftWalker) skipValue(kind byte, depth int) bool {
	switch {
	case depth > maxThriftDepth:
		return false
	case kind == thriftTrue || kind == thriftFalse || kind == thriftByte:
		return w.skip(1)
	case kind >= thriftInt16 && kind <= thriftInt64:
		_, ok := w.varint()
		return ok
	case kind == thriftDouble:
		return w.skip(8)
	case kind == thriftBinary:
		n, ok := w.varint()
		return ok && w.skip(n)
	case kind == thriftList || kind == thriftSet:
		head, ok := w.byte()
		n := uint64(head >> 4)
		if ok && n == 15 {
			n, ok = w.varint()
		}
		return ok && w.skipElements(n, depth, head&0xf)
	case kind == thriftMap:
		n, ok := w.varint()
		if !ok || n == 0 {
			return ok
		}
		kinds, ok := w.byte()
		return ok && w.skipElements(n, depth, kinds>>4, kinds&0xf)
	case kind == thriftStruct:
		return w.skipStruct(depth + 1)
	}
	return false
}

// skipElements skips n values of each kind, of which none takes less than a byte.
func (w *thriftWalker) skipElements(n uint64, depth int, kinds ...byte) bool {
	if n > uint64(len(w.rest)) {
		return false
	}
	for range n {
		for _, kind := range kinds {
			if !w.skipValue(kind, depth+1) {
				return false
			}
		}
	}
	return true
}
