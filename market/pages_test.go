package market

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Rows in the encodings that programs write candles in.
type (
	plainRow struct {
		Time                           int64 `parquet:"time,timestamp"`
		Open, High, Low, Close, Volume float64
	}
	dictRow struct {
		Time   string   `parquet:"time,dict"`
		Open   float64  `parquet:"open,dict"`
		High   float64  `parquet:"high,dict"`
		Low    float64  `parquet:"low,dict"`
		Close  float64  `parquet:"close,dict"`
		Volume *float64 `parquet:"volume,dict,optional"`
	}
	deltaRow struct {
		Time   int64    `parquet:"time,timestamp,delta"`
		Open   float64  `parquet:"open,split"`
		High   float64  `parquet:"high,split"`
		Low    float64  `parquet:"low,split"`
		Close  float64  `parquet:"close,split"`
		Volume int64    `parquet:"volume,delta"`
		Other  []string `parquet:"other"` // is left alone
	}
)

// writeRows writes candles as a file of several row groups.
func writeRows[R any](t testing.TB, candles []Candle, row func(c Candle) R, options ...parquet.WriterOption) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[R](&out, append([]parquet.WriterOption{parquet.MaxRowsPerRowGroup(1000), parquet.PageBufferSize(2000)}, options...)...)
	for _, c := range candles {
		if _, err := w.Write([]R{row(c)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func dailyCandles(n int) []Candle {
	candles := make([]Candle, n)
	for i := range candles {
		low := 10 + float64(i%7)
		candles[i] = Candle{Time: day(2010, 1, 1).AddDate(0, 0, i), Open: low + 1, High: low + 3, Low: low, Close: low + 2, Volume: float64(100 + i)}
	}
	return candles
}

func toPlainRow(c Candle) plainRow {
	return plainRow{c.Time.UnixMilli(), c.Open, c.High, c.Low, c.Close, c.Volume}
}

func toDictRow(c Candle) dictRow {
	return dictRow{c.Time.Format("2006-01-02"), c.Open, c.High, c.Low, c.Close, &c.Volume}
}

func toDeltaRow(c Candle) deltaRow {
	return deltaRow{c.Time.UnixMilli(), c.Open, c.High, c.Low, c.Close, int64(c.Volume), []string{"a", "b"}}
}

// Every codec, both versions of pages and the usual encodings give the same candles.
func TestReadsEveryParquetEncoding(t *testing.T) {
	want := dailyCandles(3000)
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd} {
		for version := 1; version <= 2; version++ {
			options := []parquet.WriterOption{parquet.Compression(codec), parquet.DataPageVersion(version)}
			for name, file := range map[string][]byte{
				"plain":      writeRows(t, want, toPlainRow, options...),
				"dictionary": writeRows(t, want, toDictRow, options...),
				"delta":      writeRows(t, want, toDeltaRow, options...),
			} {
				s, _, err := readBytes(file, "X.parquet")
				if err != nil {
					t.Errorf("%v, pages of version %d, %s: %v", codec, version, name, err)
				} else if !sameCandles(s.Candles, want) {
					t.Errorf("%v, pages of version %d, %s: other candles", codec, version, name)
				}
			}
		}
	}
}

// rowGroup is one of a file that is put together by hand.
type rowGroup struct {
	codec format.CompressionCodec
	rows  int64
	pages [][]byte // of every column
}

// parquetOf is a file whose columns are all of one kind.
func parquetOf(t *testing.T, kind format.SchemaElement, groups ...rowGroup) []byte {
	t.Helper()
	file := []byte("PAR1")
	names := []string{"time", "open", "high", "low", "close"}
	meta := format.FileMetaData{Version: 1, Schema: []format.SchemaElement{{Name: "candle", NumChildren: thrift.New(int32(len(names)))}}}
	for _, name := range names {
		kind.Name = name
		meta.Schema = append(meta.Schema, kind)
	}
	for _, g := range groups {
		group := format.RowGroup{NumRows: g.rows}
		meta.NumRows += g.rows
		for _, name := range names {
			start, chunk := len(file), slices.Concat(g.pages...)
			file = append(file, chunk...)
			group.Columns = append(group.Columns, format.ColumnChunk{MetaData: format.ColumnMetaData{
				Type: kind.Type.V, PathInSchema: []string{name}, Codec: g.codec, NumValues: g.rows,
				TotalUncompressedSize: 100, TotalCompressedSize: int64(len(chunk)), DataPageOffset: int64(start),
			}})
		}
		meta.RowGroups = append(meta.RowGroups, group)
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		t.Fatal(err)
	}
	file = append(file, footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer)))
	return append(file, "PAR1"...)
}

var (
	integers = format.SchemaElement{Type: thrift.New(format.Int64), RepetitionType: thrift.New(format.Required)}
	optional = format.SchemaElement{Type: thrift.New(format.Int64), RepetitionType: thrift.New(format.Optional)}
	texts    = format.SchemaElement{Type: thrift.New(format.ByteArray), RepetitionType: thrift.New(format.Required)}
)

// fixedLength is the kind of column whose values all have so many bytes.
func fixedLength(n int32) format.SchemaElement {
	return format.SchemaElement{Type: thrift.New(format.FixedLenByteArray), TypeLength: thrift.New(n), RepetitionType: thrift.New(format.Required)}
}

// onePage is a page under its header, which says of itself what it likes.
func onePage(t *testing.T, header format.PageHeader, page []byte) []byte {
	t.Helper()
	header.CompressedPageSize = int32(len(page))
	if header.UncompressedPageSize == 0 {
		header.UncompressedPageSize = int32(len(page))
	}
	b, err := thrift.Marshal(new(thrift.CompactProtocol), &header)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, page...)
}

func dataPage(values int32, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{NumValues: values, Encoding: encoding, DefinitionLevelEncoding: format.RLE})}
}

func dataPageV2(values int32, levels int32, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{NumValues: values, NumRows: values, Encoding: encoding, DefinitionLevelsByteLength: levels})}
}

func dictionaryPage(values int32, encoding format.Encoding) format.PageHeader {
	return format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: values, Encoding: encoding})}
}

// A page that says that it is, or unpacks to, more than there can be is refused
// before anybody makes room for it.
func TestParquetPagesThatLie(t *testing.T) {
	zeros := make([]byte, 64<<20)
	pack := func(codec compress.Codec, data []byte) []byte {
		packed, err := codec.Encode(nil, data)
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	// a run of so many values of the width of a dictionary of one value
	run := func(count uint64) []byte { return append(binary.AppendUvarint(nil, count<<1), 0) }
	groups := binary.AppendUvarint(nil, 1<<28<<1|1)
	deltas := func(values uint64, first byte) []byte {
		return slices.Concat(binary.AppendUvarint(nil, 128), []byte{4}, binary.AppendUvarint(nil, values), []byte{first})
	}
	levels := func(runs []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(runs))), runs...)
	}
	lying := func(header format.PageHeader, size int32) format.PageHeader {
		header.UncompressedPageSize = size
		return header
	}
	plain, indices := dataPage(2, format.Plain), dataPage(2, format.RLEDictionary)
	page := func(header format.PageHeader, data ...[]byte) []byte {
		return onePage(t, header, slices.Concat(data...))
	}
	one := page(dictionaryPage(1, format.Plain), make([]byte, 8))
	bare := func(pages ...[]byte) rowGroup { return rowGroup{format.Uncompressed, 2, pages} }
	packed := func(codec format.CompressionCodec, pages ...[]byte) rowGroup { return rowGroup{codec, 2, pages} }
	// a frame of zstd with a window of 8 MiB and one block of 16 bytes
	frame := append([]byte("\x28\xb5\x2f\xfd\x00\x68\x81\x00\x00"), make([]byte, 16)...)
	// runs of no values: what stands behind them is the next run, not their value
	hidden := slices.Concat([]byte{32, 0}, binary.AppendUvarint(nil, (1<<27-1)<<1), make([]byte, 5))

	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"gzip bomb":                {parquetOf(t, integers, packed(format.Gzip, page(lying(plain, 16), pack(&parquet.Gzip, zeros)))), errPage.Error()},
		"brotli bomb":              {parquetOf(t, integers, packed(format.Brotli, page(lying(plain, 16), pack(&parquet.Brotli, zeros)))), errPage.Error()},
		"zstd bomb":                {parquetOf(t, integers, packed(format.Zstd, page(lying(plain, 16), pack(&parquet.Zstd, zeros)))), "size exceeds"},
		"zstd bomb that says so":   {parquetOf(t, integers, packed(format.Zstd, page(lying(plain, int32(len(zeros))), pack(&parquet.Zstd, zeros)))), errUnpacked.Error()},
		"zstd content size":        {parquetOf(t, integers, packed(format.Zstd, page(lying(plain, 16), []byte("\x28\xb5\x2f\xfd\xc0\x00\x00\x00\x00\x00\x02\x00\x00\x00")))), "size exceeds"},
		"zstd windows":             {parquetOf(t, integers, packed(format.Zstd, slices.Repeat(page(lying(dataPage(0, format.Plain), 16), frame), 2000))), "0 values in a column of 2 rows"},
		"snappy length":            {parquetOf(t, integers, packed(format.Snappy, page(lying(plain, 16), binary.AppendUvarint(nil, 3<<30), []byte{0, 0}))), errPage.Error()},
		"gzip cut off":             {parquetOf(t, integers, packed(format.Gzip, page(lying(plain, 16), pack(&parquet.Gzip, make([]byte, 16))[:12]))), "unexpected EOF"},
		"brotli cut off":           {parquetOf(t, integers, packed(format.Brotli, page(lying(plain, 16), pack(&parquet.Brotli, zeros[:1<<10])[:2]))), "EOF"},
		"zstd cut off":             {parquetOf(t, integers, packed(format.Zstd, page(lying(plain, 16), frame[:20]))), "EOF"},
		"another codec":            {parquetOf(t, integers, rowGroup{format.Zstd, 0, nil}, bare(page(lying(plain, 16), pack(&parquet.Zstd, zeros)))), "compression that changes is not read"},
		"lz4":                      {parquetOf(t, integers, packed(format.Lz4Raw, page(lying(plain, 16), []byte("\xff\xff\xff\xff\xff")))), "compression LZ4_RAW is not read: write it with zstd"},
		"values":                   {parquetOf(t, integers, bare(page(dataPage(math.MaxInt32, format.Plain), make([]byte, 16)))), errPage.Error()},
		"values of several pages":  {parquetOf(t, integers, bare(slices.Repeat(page(plain, make([]byte, 16)), 2))), errPage.Error()},
		"run of indices":           {parquetOf(t, integers, bare(one, page(indices, []byte{1}, run(math.MaxInt32)))), errPage.Error()},
		"groups of indices":        {parquetOf(t, integers, bare(one, page(indices, []byte{1}, groups))), errPage.Error()},
		"behind a run of none":     {parquetOf(t, integers, bare(one, page(indices, hidden))), errPage.Error()},
		"run of levels":            {parquetOf(t, optional, bare(page(plain, levels(run(math.MaxInt32))))), errPage.Error()},
		"run of levels, v2":        {parquetOf(t, optional, bare(page(dataPageV2(2, 6, format.Plain), run(math.MaxInt32)))), errPage.Error()},
		"levels, v2":               {parquetOf(t, optional, bare(page(dataPageV2(2, 60, format.Plain), run(2)))), errPage.Error()},
		"deltas":                   {parquetOf(t, integers, bare(page(dataPage(2, format.DeltaBinaryPacked), deltas(math.MaxInt32, 0)))), errPage.Error()},
		"prefixes":                 {parquetOf(t, texts, bare(page(dataPage(1, format.DeltaByteArray), deltas(1, 0xfe), []byte{0xff, 0xff, 0x7f}, deltas(1, 0)))), errPage.Error()},
		"suffixes":                 {parquetOf(t, texts, bare(page(dataPage(1, format.DeltaByteArray), deltas(1, 0), deltas(math.MaxInt32, 0)))), errPage.Error()},
		"dictionary":               {parquetOf(t, integers, bare(page(dictionaryPage(math.MaxInt32, format.Plain), make([]byte, 8)))), errPage.Error()},
		"dictionary of runs":       {parquetOf(t, integers, bare(page(dictionaryPage(1, format.RLE), run(1)))), "a dictionary encoded as RLE is not read"},
		"another encoding":         {parquetOf(t, integers, bare(page(dataPage(2, format.RLE), run(2)))), "encoding RLE is not read: write values plain"},
		"long values, dictionary":  {parquetOf(t, fixedLength(1<<28), bare(page(dictionaryPage(32, format.Plain), make([]byte, 32)))), "column time holds FIXED_LEN_BYTE_ARRAY"},
		"long values, stream":      {parquetOf(t, fixedLength(8<<10), rowGroup{format.Uncompressed, 1 << 20, [][]byte{page(dataPage(1<<20, format.ByteStreamSplit), make([]byte, 16))}}), "column time holds FIXED_LEN_BYTE_ARRAY"},
		"no page":                  {parquetOf(t, integers, bare([]byte("no header"))), errPage.Error()},
		"a chunk beyond the file":  {parquetOf(t, integers, bare(page(plain, make([]byte, 16))))[:150], "no candle file"},
		"honest":                   {parquetOf(t, integers, bare(page(plain, make([]byte, 16)))), `numbers such as "0" are no time`},
		"honest optional":          {parquetOf(t, optional, bare(page(plain, levels([]byte{2 << 1, 1}), make([]byte, 16)))), `numbers such as "0" are no time`},
		"honest old dictionary":    {parquetOf(t, integers, bare(page(dictionaryPage(1, plainDictionary), make([]byte, 8)), page(dataPage(2, plainDictionary), []byte{1}, run(2)))), `numbers such as "0" are no time`},
		"honest unfinished groups": {parquetOf(t, integers, bare(one, page(indices, []byte{3, 1<<1 | 1, 0}))), `numbers such as "0" are no time`},
		"honest empty groups":      {parquetOf(t, integers, rowGroup{format.Uncompressed, 0, nil}, bare(page(plain, make([]byte, 16)))), `numbers such as "0" are no time`},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := readBytes(c.file, "X.parquet")
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 48<<20 {
			t.Errorf("%s: %d bytes taken for a file of %d", name, taken, len(c.file))
		}
	}
}

// Decimal numbers are what they stand for, in every kind of column that holds them, and
// texts that share their beginnings are read.
func TestParquetDecimals(t *testing.T) {
	type row struct {
		Time   string   `parquet:"time,delta"`
		Open   int32    `parquet:"open,decimal(2:9)"`
		High   int64    `parquet:"high,decimal(3:18)"`
		Low    int64    `parquet:"low,decimal(3:18),dict"`
		Close  [16]byte `parquet:"close,decimal(4:38)"`
		Volume int64    `parquet:"volume,decimal(0:18)"`
	}
	candles := dailyCandles(50)
	file := writeRows(t, candles, func(c Candle) row {
		var last [16]byte
		binary.BigEndian.PutUint64(last[8:], uint64(c.Close*1e4))
		return row{c.Time.Format("2006-01-02"), int32(c.Open * 100), int64(c.High * 1000), int64(c.Low * 1000), last, int64(c.Volume)}
	})
	s, _, err := readBytes(file, "X.parquet")
	if err != nil || !sameCandles(s.Candles, candles) {
		t.Errorf("%v, %v", s, err)
	}
	below := parquet.FixedLenByteArrayValue([]byte{0xff, 0xff, 0xff, 0x85})
	if x, err := number(below, &format.DecimalType{Scale: 2, Precision: 9}); err != nil || x != -1.23 {
		t.Errorf("%v, %v, want -1.23", x, err)
	}
}
