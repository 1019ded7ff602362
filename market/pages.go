package market

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// plainDictionary is how old writers name both the values of a dictionary and the
// indices into it.
const plainDictionary format.Encoding = 2

var errPage = errors.New("a page that contradicts itself")

// pageCheck reads the pages of column chunks before the library does, which makes
// room for whatever a page unpacks to and for as many values as a run in it says that
// it repeats: a few bytes could ask for more memory than there is.
type pageCheck struct {
	file     io.ReaderAt
	packed   int64 // bytes of the file that no chunk has taken
	unpacked int64 // bytes that pages may yet become

	// of the chunk
	codec    format.CompressionCodec
	optional bool // levels tell which values are null
	rows     int  // no page holds more values
}

func newPageCheck(file io.ReaderAt, size int64) *pageCheck {
	return &pageCheck{file: file, packed: size, unpacked: unpackedLimit(size)}
}

// chunk checks the pages that one column has in one row group.
func (c *pageCheck) chunk(meta *format.ColumnMetaData, optional bool, rows int64) error {
	c.codec, c.optional, c.rows = meta.Codec, optional, int(rows)
	start := meta.DataPageOffset
	if meta.DictionaryPageOffset != 0 {
		start = meta.DictionaryPageOffset
	}
	length := meta.TotalCompressedSize
	if length < 0 || length > c.packed {
		return errPage
	}
	c.packed -= length
	pages := make([]byte, length)
	if _, err := c.file.ReadAt(pages, start); err != nil {
		return err
	}
	for len(pages) > 0 {
		w := thriftWalker{pages}
		if !w.skipStruct(0) {
			return errPage
		}
		var header format.PageHeader
		var protocol thrift.CompactProtocol
		if err := thrift.Unmarshal(&protocol, pages[:len(pages)-len(w.rest)], &header); err != nil {
			return err
		}
		pages = w.rest
		n := int(header.CompressedPageSize)
		if n < 0 || n > len(pages) {
			return errPage
		}
		if err := c.page(&header, pages[:n]); err != nil {
			return err
		}
		pages = pages[n:]
	}
	return nil
}

// page checks one page of whatever kinds its header says that it is.
func (c *pageCheck) page(header *format.PageHeader, page []byte) error {
	size := int64(header.UncompressedPageSize)
	if h := &header.DictionaryPageHeader; h.Valid {
		data, err := c.unpack(c.codec, page, size)
		if err != nil {
			return err
		}
		if encoding := h.V.Encoding; encoding != format.Plain && encoding != plainDictionary {
			return fmt.Errorf("a dictionary encoded as %v", encoding)
		}
		if n := int(h.V.NumValues); n < 0 || n > len(data) {
			return errPage
		}
	}
	if h := &header.DataPageHeader; h.Valid {
		data, err := c.unpack(c.codec, page, size)
		if err != nil {
			return err
		}
		values := int(h.V.NumValues)
		if c.optional {
			levels, rest, ok := cutLevels(data)
			if !ok || h.V.DefinitionLevelEncoding == format.RLE && !checkRuns(levels, 1, values) {
				return errPage
			}
			data = rest
		}
		if err := c.values(h.V.Encoding, data, values); err != nil {
			return err
		}
	}
	if h := &header.DataPageHeaderV2; h.Valid {
		values := int(h.V.NumValues)
		skipped, levels := int64(h.V.RepetitionLevelsByteLength), int64(h.V.DefinitionLevelsByteLength)
		if skipped < 0 || levels < 0 || skipped+levels > int64(len(page)) {
			return errPage
		}
		if c.optional && !checkRuns(page[skipped:skipped+levels], 1, values) {
			return errPage
		}
		codec := c.codec
		if h.V.IsCompressed.Valid && !h.V.IsCompressed.V {
			codec = format.Uncompressed
		}
		data, err := c.unpack(codec, page[skipped+levels:], size)
		if err != nil {
			return err
		}
		return c.values(h.V.Encoding, data, values)
	}
	return nil
}

// unpack returns the bytes of a page, which are no more than it says.
func (c *pageCheck) unpack(codec format.CompressionCodec, packed []byte, size int64) ([]byte, error) {
	if codec == format.Uncompressed {
		return packed, nil
	}
	if size < 0 || size > c.unpacked {
		return nil, errUnpacked
	}
	c.unpacked -= size
	var r io.Reader
	var err error
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(packed); err != nil || int64(n) > size {
			return nil, errPage
		}
		return snappy.Decode(nil, packed)
	case format.Gzip:
		r, err = gzip.NewReader(bytes.NewReader(packed))
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(packed))
	case format.Zstd:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			defer d.Close()
		}
		r = d
	default: // of LZ4, the library keeps the buffer and loses what it unpacked
		return nil, fmt.Errorf("it is compressed by %v: write it with zstd, snappy, gzip or none", codec)
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, size+1)
	n, err := io.ReadFull(r, data)
	switch {
	case err == nil:
		return nil, errPage // more than it says
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, err
	}
	return data[:n], nil
}

// maxWindow is what every decoder of zstd has to support (RFC 8878, 3.1.1.1.2).
const maxWindow = 8 << 20

// values checks the encoded values of a data page.
func (c *pageCheck) values(encoding format.Encoding, data []byte, values int) error {
	if values < 0 || values > c.rows {
		return errPage
	}
	switch encoding {
	case format.Plain, format.ByteStreamSplit:
		return nil // as many as there are bytes for
	case plainDictionary, format.RLEDictionary:
		if len(data) == 0 || checkRuns(data[1:], uint64(data[0]), values) {
			return nil
		}
		return errPage
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		if checkDelta(data, values) {
			return nil
		}
		return errPage
	}
	return fmt.Errorf("its values are encoded as %v: write them plain or with a dictionary", encoding)
}

// cutLevels splits the levels off a data page of the first version.
func cutLevels(data []byte) (levels, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > uint64(len(data)) {
		return nil, nil, false
	}
	return data[:n], data[n:], true
}

// checkRuns reports whether runs of the hybrid of run lengths and packed bits, each
// value of so many bits, hold about as many values as they should: the last run may
// be padded.
func checkRuns(data []byte, width uint64, values int) bool {
	if width > 32 {
		return false
	}
	left := uint64(values) + 512
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return false
		}
		data = data[n:]
		count, size := head>>1, (width+7)/8 // of a value that is repeated
		if packed := head&1 != 0; packed {
			if count > left { // in groups of eight
				return false
			}
			count, size = 8*count, count*width
		}
		if count > left || size > uint64(len(data)) {
			return false
		}
		left -= count
		data = data[size:]
	}
	return true
}

// checkDelta reports whether a block of deltas says of itself that it holds no more
// values than there should be.
func checkDelta(data []byte, values int) bool {
	var header [3]uint64 // size of blocks, parts of a block, values
	for i := range header {
		x, n := binary.Uvarint(data)
		if n <= 0 {
			return false
		}
		header[i], data = x, data[n:]
	}
	return header[2] <= uint64(values)
}
