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
	w := parquet.NewGenericWriter[R](&out, append(options, parquet.MaxRowsPerRowGroup(1000), parquet.PageBufferSize(2000))...)
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

// parquetOf is a file of a row group whose every column is made of such pages.
func parquetOf(t *testing.T, codec format.CompressionCodec, rows int64, optional bool, pages ...[]byte) []byte {
	t.Helper()
	file := []byte("PAR1")
	repetition := format.Required
	if optional {
		repetition = format.Optional
	}
	names := []string{"time", "open", "high", "low", "close"}
	meta := format.FileMetaData{Version: 1, NumRows: rows, Schema: []format.SchemaElement{{Name: "candle", NumChildren: thrift.New(int32(len(names)))}}}
	var group format.RowGroup
	for _, name := range names {
		start, chunk := len(file), slices.Concat(pages...)
		file = append(file, chunk...)
		meta.Schema = append(meta.Schema, format.SchemaElement{Name: name, Type: thrift.New(format.Int64), RepetitionType: thrift.New(repetition)})
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: format.ColumnMetaData{
			Type: format.Int64, PathInSchema: []string{name}, Codec: codec, NumValues: rows,
			TotalUncompressedSize: 100, TotalCompressedSize: int64(len(chunk)), DataPageOffset: int64(start),
		}})
	}
	group.NumRows = rows
	meta.RowGroups = []format.RowGroup{group}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		t.Fatal(err)
	}
	file = append(file, footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer)))
	return append(file, "PAR1"...)
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
	pack := func(codec compress.Codec) []byte {
		packed, err := codec.Encode(nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	// a run of so many values of the width of a dictionary of one value
	run := func(count uint64) []byte { return append(binary.AppendUvarint(nil, count<<1), 0) }
	groups := binary.AppendUvarint(nil, 1<<28<<1|1)
	delta := slices.Concat(binary.AppendUvarint(nil, 128), []byte{4}, binary.AppendUvarint(nil, math.MaxInt32), []byte{0})
	levels := func(runs []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(runs))), runs...)
	}
	one := onePage(t, dictionaryPage(1, format.Plain), make([]byte, 8))
	lying := func(header format.PageHeader, size int32) format.PageHeader {
		header.UncompressedPageSize = size
		return header
	}
	plain := dataPage(2, format.Plain)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"honest":                 {parquetOf(t, format.Uncompressed, 2, false, onePage(t, plain, make([]byte, 16))), `numbers such as "0" are no time`},
		"honest optional":        {parquetOf(t, format.Uncompressed, 2, true, onePage(t, plain, append(levels([]byte{2 << 1, 1}), make([]byte, 16)...))), `numbers such as "0" are no time`},
		"gzip bomb":              {parquetOf(t, format.Gzip, 2, false, onePage(t, lying(plain, 16), pack(&parquet.Gzip))), errPage.Error()},
		"brotli bomb":            {parquetOf(t, format.Brotli, 2, false, onePage(t, lying(plain, 16), pack(&parquet.Brotli))), errPage.Error()},
		"zstd bomb":              {parquetOf(t, format.Zstd, 2, false, onePage(t, lying(plain, 16), pack(&parquet.Zstd))), errPage.Error()},
		"zstd bomb that says so": {parquetOf(t, format.Zstd, 2, false, onePage(t, lying(plain, int32(len(zeros))), pack(&parquet.Zstd))), errUnpacked.Error()},
		"zstd window":            {parquetOf(t, format.Zstd, 2, false, onePage(t, lying(plain, 16), []byte("\x28\xb5\x2f\xfd\x00\x98\x01\x00\x00"))), "window size exceeded"},
		"snappy length":          {parquetOf(t, format.Snappy, 2, false, onePage(t, lying(plain, 16), append(binary.AppendUvarint(nil, 3<<30), 0, 0))), errPage.Error()},
		"lz4":                    {parquetOf(t, format.Lz4Raw, 2, false, onePage(t, lying(plain, 16), []byte("\xff\xff\xff\xff\xff"))), "it is compressed by LZ4_RAW: write it with zstd"},
		"values":                 {parquetOf(t, format.Uncompressed, 2, false, onePage(t, dataPage(math.MaxInt32, format.Plain), make([]byte, 16))), errPage.Error()},
		"run of indices":         {parquetOf(t, format.Uncompressed, 2, false, one, onePage(t, dataPage(2, format.RLEDictionary), append([]byte{1}, run(math.MaxInt32)...))), errPage.Error()},
		"groups of indices":      {parquetOf(t, format.Uncompressed, 2, false, one, onePage(t, dataPage(2, format.RLEDictionary), append([]byte{1}, groups...))), errPage.Error()},
		"run of levels":          {parquetOf(t, format.Uncompressed, 2, true, onePage(t, plain, levels(run(math.MaxInt32)))), errPage.Error()},
		"run of levels, v2":      {parquetOf(t, format.Uncompressed, 2, true, onePage(t, dataPageV2(2, 6, format.Plain), run(math.MaxInt32))), errPage.Error()},
		"levels, v2":             {parquetOf(t, format.Uncompressed, 2, true, onePage(t, dataPageV2(2, 60, format.Plain), run(2))), errPage.Error()},
		"deltas":                 {parquetOf(t, format.Uncompressed, 2, false, onePage(t, dataPage(2, format.DeltaBinaryPacked), delta)), errPage.Error()},
		"dictionary":             {parquetOf(t, format.Uncompressed, 2, false, onePage(t, dictionaryPage(math.MaxInt32, format.Plain), make([]byte, 8))), errPage.Error()},
		"dictionary of runs":     {parquetOf(t, format.Uncompressed, 2, false, onePage(t, dictionaryPage(1, format.RLE), run(1))), "a dictionary encoded as RLE"},
		"prefixes":               {parquetOf(t, format.Uncompressed, 2, false, onePage(t, dataPage(2, format.DeltaByteArray), delta)), "encoded as DELTA_BYTE_ARRAY: write them plain"},
		"no page":                {parquetOf(t, format.Uncompressed, 2, false, []byte("no header")), errPage.Error()},
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
