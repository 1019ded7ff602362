package market

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits that keep a file of noise from filling the memory.
const (
	maxLine  = 64 << 10 // bytes of one line
	maxLines = 1 << 24  // lines of one file; 1 GiB of candles, 32 years of minutes
)

// ReadCSV reads one file of candles of one asset, plain or compressed by gzip,
// whatever its name. Columns are found by the names in the header, in any order
// and case; others are left alone. The symbol is that of the ticker header or
// column, or else the file name up to the first underscore.
//
// The error names file, line and field, and says how many more rows are at
// fault. Lines are counted from 1, header included, in the decompressed text.
func ReadCSV(path string) (*Series, Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, Report{Path: path}, fmt.Errorf("market: %w", err)
	}
	defer file.Close()
	return read(file, path)
}

// read is [ReadCSV] on an open file.
func read(r io.Reader, path string) (*Series, Report, error) {
	report := Report{Path: path}
	lines, err := newLineReader(r)
	if err != nil {
		return nil, report, fmt.Errorf("market: %s: %w", path, err)
	}
	columns, err := readLayout(lines.next)
	if err == io.EOF {
		return nil, report, fmt.Errorf("market: %s:%d: header: the file ends here", path, lines.line)
	} else if err != nil {
		return nil, report, fmt.Errorf("market: %s:%w", path, err)
	}

	faults := faults{file: path}
	table, err := readRows(lines, columns, &faults)
	if err != nil {
		return nil, report, fmt.Errorf("market: %s:%w", path, err)
	}
	// A row that could not be read is missing from the table: what follows
	// would report its absence and not its cause.
	if err := faults.err(); err != nil {
		return nil, report, err
	}
	series, err := table.series(path, &faults)
	if err != nil {
		return nil, report, err
	}
	report.describe(series)
	report.Widened = validate(series.Candles, &faults, func(i int) string { return strconv.Itoa(int(table.lines[i])) })
	if err := faults.err(); err != nil {
		return nil, report, err
	}
	return series, report, nil
}

// table holds the rows as they stand in the file.
type table struct {
	candles []Candle // times keep their zones
	lines   []int32  // of each candle
	symbol  string
}

// readRows reads to the end of the file. Faults of a row go to faults; the
// error is for a file that cannot be read on, and begins with the line number.
func readRows(lines *lineReader, at layout, faults *faults) (*table, error) {
	t := &table{symbol: at.symbol}
	var clock clock
	for {
		fields, line, err := lines.next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		place := strconv.Itoa(line)
		if len(fields) != at.width {
			faults.add(place, "row", "%d columns, the header has %d", len(fields), at.width)
			continue
		}
		c, field, err := readCandle(fields, at, &clock)
		if err != nil {
			faults.add(place, field, "%v", err)
			continue
		}
		if at.ticker >= 0 {
			ticker := strings.TrimSpace(fields[at.ticker])
			if t.symbol == "" {
				t.symbol = strings.Clone(ticker)
			}
			if ticker != t.symbol || ticker == "" {
				faults.add(place, "ticker", "%q after %q, want one asset in a file", clip(ticker), clip(t.symbol))
				continue
			}
		}
		t.candles = append(t.candles, c)
		t.lines = append(t.lines, int32(line))
	}
}

// readCandle reads the fields of one row; field names the one at fault.
func readCandle(fields []string, at layout, clock *clock) (c Candle, field string, err error) {
	if c.Time, err = clock.parse(strings.TrimSpace(fields[at.time])); err != nil {
		return c, "time", err
	}
	for _, p := range []struct {
		field  string
		column int
		value  *float64
	}{
		{"open", at.open, &c.Open},
		{"high", at.high, &c.High},
		{"low", at.low, &c.Low},
		{"close", at.close, &c.Close},
	} {
		text := strings.TrimSpace(fields[p.column])
		if text == "" {
			return c, p.field, errors.New("empty")
		}
		if *p.value, err = strconv.ParseFloat(text, 64); err != nil {
			return c, p.field, fmt.Errorf("%q is no number", clip(text))
		}
	}
	c.Volume = math.NaN()
	if at.volume >= 0 {
		if text := strings.TrimSpace(fields[at.volume]); text != "" {
			if c.Volume, err = strconv.ParseFloat(text, 64); err != nil {
				return c, "volume", fmt.Errorf("%q is no number", clip(text))
			}
		}
	}
	return c, "", nil
}

// series brings the times of the table to the form of [Series].
func (t *table) series(path string, faults *faults) (*Series, error) {
	if len(t.candles) < 2 {
		return nil, fmt.Errorf("market: %s: %d rows, want at least 2", path, len(t.candles))
	}
	symbol := t.symbol
	if symbol == "" {
		symbol = symbolOf(path)
	}
	if !utf8.ValidString(symbol) || len(symbol) > 64 || strings.ContainsFunc(symbol, unicode.IsControl) {
		return nil, fmt.Errorf("market: %s: ticker: %q is no symbol", path, clip(symbol))
	}
	times := make([]time.Time, len(t.candles))
	for i, c := range t.candles {
		times[i] = c.Time
		if i > 0 && !times[i].After(times[i-1]) {
			faults.add(strconv.Itoa(int(t.lines[i])), "time", "%s is not after %s", stamp(times[i]), stamp(times[i-1]))
		}
	}
	if err := faults.err(); err != nil {
		return nil, err
	}
	interval := InferInterval(times)
	if interval == 0 {
		return nil, fmt.Errorf("market: %s: time: the median step is shorter than a second", path)
	}
	for i := range t.candles {
		if interval >= Day {
			t.candles[i].Time = localDate(times[i])
		} else {
			t.candles[i].Time = times[i].UTC()
		}
	}
	return &Series{Symbol: symbol, Interval: interval, Candles: t.candles, Path: path}, nil
}

// symbolOf is the file name up to the first underscore or its extension.
func symbolOf(path string) string {
	name := filepath.Base(path)
	for _, ext := range []string{".gz", ".csv", ".txt"} {
		if strings.EqualFold(filepath.Ext(name), ext) {
			name = name[:len(name)-len(ext)]
		}
	}
	if symbol, _, _ := strings.Cut(name, "_"); symbol != "" {
		return symbol
	}
	return name
}

// describe counts what the rows hold.
func (r *Report) describe(s *Series) {
	r.Symbol, r.Interval, r.Rows = s.Symbol, s.Interval, len(s.Candles)
	r.First, r.Last = s.Candles[0].Time, s.Candles[len(s.Candles)-1].Time
	for i, c := range s.Candles {
		switch {
		case math.IsNaN(c.Volume):
			r.MissingVolume++
		case c.Volume == 0:
			r.ZeroVolume++
		}
		if c.Open == c.High && c.High == c.Low && c.Low == c.Close {
			r.Flat++
		}
		if i == 0 {
			continue
		}
		prev := s.Candles[i-1]
		if move := math.Abs(math.Log(c.Close / prev.Close)); move > r.MaxMove && !math.IsInf(move, 0) {
			r.MaxMove, r.MaxMoveTime = move, c.Time
		}
		r.MaxGapDays = max(r.MaxGapDays, c.Time.Sub(prev.Time).Hours()/24)
	}
}

// lineReader splits text into lines and fields, and counts the lines.
type lineReader struct {
	r      *bufio.Reader
	line   int // the last one read, from 1
	fields []string
}

// newLineReader decompresses r if it begins as gzip does.
func newLineReader(r io.Reader) (*lineReader, error) {
	buffered := bufio.NewReaderSize(r, maxLine)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		buffered = bufio.NewReaderSize(unzipped, maxLine)
	}
	if bom, _ := buffered.Peek(3); string(bom) == "\ufeff" {
		buffered.Discard(3)
	}
	return &lineReader{r: buffered}, nil
}

// next returns the fields of the next line that is not blank, valid until the
// next call, or io.EOF. Quoted fields end on their line.
func (l *lineReader) next() (fields []string, line int, err error) {
	for {
		raw, err := l.r.ReadSlice('\n')
		if len(raw) == 0 && err == io.EOF {
			return nil, l.line, io.EOF
		}
		l.line++
		switch {
		case err == bufio.ErrBufferFull:
			return nil, l.line, fmt.Errorf("%d: line: longer than %d bytes", l.line, maxLine)
		case err != nil && err != io.EOF:
			return nil, l.line, fmt.Errorf("%d: %w", l.line, err)
		case l.line > maxLines:
			return nil, l.line, fmt.Errorf("%d: line: more than %d lines", l.line, maxLines)
		case !utf8.Valid(raw):
			return nil, l.line, fmt.Errorf("%d: line: not UTF-8 text", l.line)
		}
		text := strings.TrimSpace(string(raw))
		if text == "" {
			continue
		}
		if strings.ContainsRune(text, '"') {
			fields, err := csv.NewReader(strings.NewReader(text)).Read()
			if err != nil {
				return nil, l.line, fmt.Errorf("%d: line: quotes do not match", l.line)
			}
			return fields, l.line, nil
		}
		l.fields = l.fields[:0]
		for cell := range strings.SplitSeq(text, ",") {
			l.fields = append(l.fields, cell)
		}
		return l.fields, l.line, nil
	}
}
