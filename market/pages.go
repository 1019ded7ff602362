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
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// plainDictionary is how old writers name both the values of a dictionary and the
// indices into it.
const plainDictionary format.Encoding = 2

var (
	errPage = errors.New("a page that contradicts itself")
	// errForeign says that a file is what it should be, and not read all the same.
	errForeign = errors.New("is not read")
)

// pageCheck reads the pages of column chunks before the library does, which makes
// room for whatever a page unpacks to and for as many values as a run in it says that
// it repeats: a few bytes could ask for more memory than there is.
type pageCheck struct {
	file io.ReaderAt

	// What is left to the chunks that come.
	packed   int64 // bytes of the file
	unpacked int64 // bytes that their pages may become

	// Of the chunk.
	codec    format.CompressionCodec
	optional bool // levels tell which values are null
	width    int  // bytes of a value, if all are of one width that the schema gives
	rows     int  // that no page has had

	zstd *zstd.Decoder
}

func newPageCheck(file io.ReaderAt, size int64) (*pageCheck, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
	return &pageCheck{file: file, packed: size, unpacked: unpackedLimit(size), zstd: d}, err
}

func (c *pageCheck) close() { c.zstd.Close() }

// chunk checks the pages that one column has in one row group.
func (c *pageCheck) chunk(meta *format.ColumnMetaData, optional bool, width int, rows int64) error {
	c.codec, c.optional, c.width, c.rows = meta.Codec, optional, width, int(rows)
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

// page checks one page, as each of the kinds that its header says that it is.
func (c *pageCheck) page(header *format.PageHeader, page []byte) error {
	size := int64(header.UncompressedPageSize)
	if h := &header.DictionaryPageHeader; h.Valid {
		data, err := c.unpack(c.codec, page, size)
		if err != nil {
			return err
		}
		if encoding := h.V.Encoding; encoding != format.Plain && encoding != plainDictionary {
			return fmt.Errorf("a dictionary encoded as %v %w", encoding, errForeign)
		}
		if n := int(h.V.NumValues); n < 0 || n > len(data)/max(1, c.width) {
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
		repetition, definition := int64(h.V.RepetitionLevelsByteLength), int64(h.V.DefinitionLevelsByteLength)
		if repetition < 0 || definition < 0 || repetition+definition > int64(len(page)) {
			return errPage
		}
		if c.optional && !checkRuns(page[repetition:repetition+definition], 1, values) {
			return errPage
		}
		codec := c.codec
		if h.V.IsCompressed.Valid && !h.V.IsCompressed.V {
			codec = format.Uncompressed
		}
		data, err := c.unpack(codec, page[repetition+definition:], size)
		if err != nil {
			return err
		}
		return c.values(h.V.Encoding, data, values)
	}
	return nil
}

// unpack returns the bytes of a page, which are no more than it says.
func (c *pageCheck) unpack(codec format.CompressionCodec, packed []byte, size int64) (data []byte, err error) {
	if codec == format.Uncompressed {
		return packed, nil
	}
	if size < 0 || size > c.unpacked {
		return nil, errUnpacked
	}
	c.unpacked -= size
	var r io.Reader
	switch codec {
	case format.Snappy:
		if n, err := snappy.DecodedLen(packed); err != nil || int64(n) > size {
			return nil, errPage
		}
		return snappy.Decode(nil, packed)
	case format.Zstd:
		return c.zstd.DecodeAll(packed, make([]byte, 0, size))
	case format.Gzip:
		if r, err = gzip.NewReader(bytes.NewReader(packed)); err != nil {
			return nil, err
		}
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(packed))
	default: // LZ4 too, for which the library takes another buffer and then reads the first
		return nil, fmt.Errorf("compression %v %w: write it with zstd, snappy, gzip or none", codec, errForeign)
	}
	if data, err = io.ReadAll(io.LimitReader(r, size+1)); int64(len(data)) > size {
		return nil, errPage
	}
	return data, err
}

// values checks the encoded values of a data page.
func (c *pageCheck) values(encoding format.Encoding, data []byte, values int) error {
	if values < 0 || values > c.rows {
		return errPage
	}
	c.rows -= values
	ok := true
	switch encoding {
	case format.Plain, format.ByteStreamSplit: // as many as there are bytes for
	case plainDictionary, format.RLEDictionary:
		ok = len(data) == 0 || checkRuns(data[1:], uint64(data[0]), values)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		ok = deltaLen(data, values) >= 0
	case format.DeltaByteArray:
		ok = c.checkPrefixes(data, values)
	default:
		return fmt.Errorf("encoding %v %w: write values plain or with a dictionary", encoding, errForeign)
	}
	if !ok {
		return errPage
	}
	return nil
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
// value of so many bits, hold no more values than there are, and what writers pad.
func checkRuns(data []byte, width uint64, values int) bool {
	const padding = 504 // of the longest packed run that has one byte in front
	if width > 32 {
		return false
	}
	left := uint64(values) + padding
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return false
		}
		data = data[n:]
		count, size := head>>1, (width+7)/8 // of a value that is repeated
		switch packed := head&1 != 0; {
		case count == 0: // has no value either
			continue
		case count > left:
			return false
		case packed: // in groups of eight, of which some leave the last unfinished
			count, size = 8*count, min(count*width, uint64(len(data)))
		}
		if count > left || size > uint64(len(data)) {
			return false
		}
		left -= count
		data = data[size:]
	}
	return true
}

// deltaLen is how many bytes a block of deltas takes; −1 where it says that it holds
// more values than there should be, or is cut off.
func deltaLen(data []byte, values int) int {
	rest := data
	var header [4]uint64 // size of a block, parts of it, values, the first one
	for i := range header {
		x, n := binary.Uvarint(rest)
		if n <= 0 {
			return -1
		}
		header[i], rest = x, rest[n:]
	}
	block, parts, total := header[0], header[1], header[2]
	if total > uint64(values) || block > 1<<16 || parts == 0 || parts > block {
		return -1
	}
	for left := int64(total) - 1; left > 0; {
		_, n := binary.Uvarint(rest) // the smallest delta
		if n <= 0 || uint64(len(rest)-n) < parts {
			return -1
		}
		widths := rest[n : n+int(parts)]
		rest = rest[n+int(parts):]
		for _, width := range widths {
			size := min(len(rest), int(block/parts)*int(width)/8) // some cut the last part off
			rest = rest[size:]
			if left -= int64(block / parts); left <= 0 {
				break
			}
		}
	}
	return len(data) - len(rest)
}

// checkPrefixes reports whether texts, each of which begins as the one before it, are
// together no longer than pages may become.
func (c *pageCheck) checkPrefixes(data []byte, values int) bool {
	n := deltaLen(data, values)
	if n < 0 || deltaLen(data[n:], values) < 0 {
		return false
	}
	prefixes, err := new(delta.BinaryPackedEncoding).DecodeInt32(nil, data[:n])
	for _, length := range prefixes {
		c.unpacked -= int64(length)
		if length < 0 || c.unpacked < 0 {
			return false
		}
	}
	return err == nil
}
