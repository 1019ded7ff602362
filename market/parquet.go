package market

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
)

// parquetRow is how [WriteParquet] writes a candle.
type parquetRow struct {
	Time   int64    `parquet:"time,timestamp(nanosecond),delta"`
	Open   float64  `parquet:"open"`
	High   float64  `parquet:"high"`
	Low    float64  `parquet:"low"`
	Close  float64  `parquet:"close"`
	Volume *float64 `parquet:"volume,optional"` // null: the source has none
}

// symbolKey is the metadata of a Parquet file that holds the symbol.
const symbolKey = "symbol"

// WriteParquet writes a series as one Parquet file of columns time (nanoseconds
// since 1970, UTC), open, high, low, close and volume, so that [ReadFile] gives
// the same numbers, bit for bit. The symbol stands in the metadata.
func WriteParquet(w io.Writer, s *Series) error {
	out := parquet.NewGenericWriter[parquetRow](w, parquet.Compression(&parquet.Zstd), parquet.KeyValueMetadata(symbolKey, s.Symbol))
	rows := make([]parquetRow, 0, 4096)
	flush := func() error {
		_, err := out.Write(rows)
		rows = rows[:0]
		return err
	}
	for i := range s.Candles {
		c := &s.Candles[i]
		row := parquetRow{Time: c.Time.UnixNano(), Open: c.Open, High: c.High, Low: c.Low, Close: c.Close}
		if !math.IsNaN(c.Volume) {
			row.Volume = &c.Volume
		}
		if rows = append(rows, row); len(rows) == cap(rows) {
			if err := flush(); err != nil {
				return fmt.Errorf("market: write %s: %w", s.Symbol, err)
			}
		}
	}
	if err := errors.Join(flush(), out.Close()); err != nil {
		return fmt.Errorf("market: write %s: %w", s.Symbol, err)
	}
	return nil
}

// readParquet reads the candles of one asset from the columns of a Parquet file.
func readParquet(r io.ReaderAt, size int64, path string, o Options) (s *Series, report Report, err error) {
	report = Report{Path: path}
	fail := func(err error) (*Series, Report, error) {
		return nil, report, fmt.Errorf("market: %s: %w", path, err)
	}
	// The library panics on some files that lie about themselves.
	defer func() {
		if p := recover(); p != nil {
			s, report, err = fail(fmt.Errorf("%w: Parquet that contradicts itself: %v", ErrNotCandles, p))
		}
	}()
	if err := checkFooter(r, size); err != nil {
		return fail(fmt.Errorf("%w: Parquet: %w", ErrNotCandles, err))
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fail(fmt.Errorf("%w: Parquet: %w", ErrNotCandles, err))
	}
	if err := checkColumns(file, size); err != nil {
		return fail(err)
	}
	check, err := newPageCheck(r, size)
	if err != nil {
		return fail(err)
	}
	defer check.close()
	t := newTable(path, o)
	t.symbol, _ = file.Lookup(symbolKey)
	t.grow(int(min(file.NumRows(), size))) // of which the file says the first
	if err := t.readColumns(&parquetFile{file, file.Root().Columns(), check, map[[2]int]error{}}); err != nil {
		return fail(err)
	}
	s, err = t.series(&report)
	return s, report, err
}

// checkColumns refuses a file that says of itself what candles do not need.
func checkColumns(file *parquet.File, size int64) error {
	if file.NumRows() > min(maxLines, 1<<20+size*maxUnpacked/16) {
		return fmt.Errorf("%w: %d rows in %d bytes", ErrNotCandles, file.NumRows(), size)
	}
	left := file.NumRows()
	for _, group := range file.Metadata().RowGroups {
		if left -= group.NumRows; left < 0 || group.NumRows < 0 {
			return fmt.Errorf("%w: Parquet: groups of more rows than the file", ErrNotCandles)
		}
		for _, column := range group.Columns {
			if n := column.MetaData.TotalUncompressedSize; n < 0 || n > unpackedLimit(size) {
				return fmt.Errorf("%w: %w", ErrNotCandles, errUnpacked)
			}
		}
	}
	return nil
}

// parquetFile is a file whose pages are checked before the library decodes them.
type parquetFile struct {
	*parquet.File
	columns []*parquet.Column // of the first level
	check   *pageCheck
	checked map[[2]int]error // of a row group and a column
}

// each visits the values that a column has in a row group.
func (f *parquetFile) each(group, column int, visit func(i int, v parquet.Value) error) error {
	at := [2]int{group, column}
	err, known := f.checked[at]
	if !known {
		err = f.checkChunk(group, f.columns[column])
		f.checked[at] = err
	}
	if err != nil {
		return err
	}
	g := f.RowGroups()[group]
	return eachValue(g.ColumnChunks()[f.columns[column].Index()], g.NumRows(), visit)
}

// checkChunk refuses what the library cannot decode with bounds: of values, their
// kind; of pages, what they say of themselves.
func (f *parquetFile) checkChunk(group int, c *parquet.Column) error {
	width, kind := 0, c.Type().Kind()
	if kind == parquet.FixedLenByteArray && decimalOf(c) != nil {
		width = c.Type().Length()
	}
	if kind == parquet.Boolean || kind == parquet.FixedLenByteArray && (width < 1 || width > 16) {
		return fmt.Errorf("column %s holds %s, want numbers, texts or times", c.Name(), kind)
	}
	groups, i := f.Metadata().RowGroups, c.Index()
	meta := &groups[group].Columns[i].MetaData
	if meta.Codec != groups[0].Columns[i].MetaData.Codec { // the library unpacks all by the first
		return fmt.Errorf("column %s: compression that changes %w", c.Name(), errForeign)
	}
	err := f.check.chunk(meta, c.Optional(), width, groups[group].NumRows)
	if errors.Is(err, errForeign) {
		return fmt.Errorf("column %s: %w", c.Name(), err)
	} else if err != nil {
		return fmt.Errorf("%w: Parquet: column %s: %w", ErrNotCandles, c.Name(), err)
	}
	return nil
}

// errEnough ends a visit of values early.
var errEnough = errors.New("enough")

// first are the first values of a column in a row group as text, at most n.
func (f *parquetFile) first(group, column, n int) (texts []string, err error) {
	text := textOf(f.columns[column])
	err = f.each(group, column, func(_ int, v parquet.Value) error {
		if texts = append(texts, text(v)); len(texts) == n {
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return nil, err
	}
	return texts, nil
}

// layout finds the columns by their names and, where several could be the same field,
// by their first rows, as in a text.
func (f *parquetFile) layout() (layout, error) {
	header := make([]string, len(f.columns))
	for i, c := range f.columns {
		if c.Leaf() && !c.Repeated() {
			header[i] = c.Name()
		}
	}
	if len(header) > maxWidth {
		return layout{}, fmt.Errorf("%w: more than %d columns", ErrNotCandles, maxWidth)
	}
	var rows [][]string
	group := f.firstRows()
	for _, i := range rivals(header) {
		if group < 0 {
			break
		}
		texts, err := f.first(group, i, 64)
		if err != nil {
			continue // nothing speaks for it; it is refused if it is chosen all the same
		}
		for k, text := range texts {
			if k == len(rows) {
				rows = append(rows, make([]string, len(header)))
			}
			rows[k][i] = text
		}
	}
	at, err := namedLayout(header, 0, rows)
	var incomplete *errHeader
	if errors.As(err, &incomplete) {
		return at, fmt.Errorf("%w: %s", ErrNotCandles, incomplete.message)
	}
	return at, err
}

// firstRows is the first row group that has any; −1: none does.
func (f *parquetFile) firstRows() int {
	return slices.IndexFunc(f.RowGroups(), func(g parquet.RowGroup) bool { return g.NumRows() > 0 })
}

// readColumns reads the columns one after the other, of each row group.
func (t *table) readColumns(f *parquetFile) error {
	at, err := f.layout()
	if err != nil {
		return err
	}
	if t.options.Adjust && at.adjusted < 0 {
		return errors.New("no column for adjusted closes")
	}
	first := f.firstRows()
	if first < 0 {
		return nil
	}
	clock, err := f.newClock(first, at, t.options)
	if err != nil {
		return err
	}
	for group, g := range f.RowGroups() {
		if g.NumRows() == 0 {
			continue
		}
		if err := t.readGroup(f, group, at, clock); err != nil {
			return err
		}
	}
	if i := t.unsureDate(clock); i >= 0 {
		at := t.candles[i].Time
		return fmt.Errorf("row %d: time: %w: %s or %s", t.lines[i], errDateOrder, at.Format(dayMonth), flip(at).Format(dayMonth))
	}
	t.byHabit = clock.byHabit()
	t.byZone = clock.zoned || clock.form == formEpoch || at.clock < 0 && isInstant(f.columns[at.time])
	return nil
}

// newClock learns from the first times of a row group what they are, where the type of
// the column does not tell.
func (f *parquetFile) newClock(group int, at layout, o Options) (*clock, error) {
	if at.clock < 0 && typedTime(f.columns[at.time]) != nil {
		return newClock(nil, o.DateOrder)
	}
	const enough = 512
	times, err := f.first(group, at.time, enough)
	if err != nil {
		return nil, err
	}
	if at.clock >= 0 {
		clocks, err := f.first(group, at.clock, enough)
		if err != nil {
			return nil, err
		}
		for i, text := range clocks {
			times[i] += " " + padClock(text, at.clockWidth)
		}
	}
	return newClock(times, o.DateOrder)
}

// readGroup reads the candles of one row group.
func (t *table) readGroup(f *parquetFile, group int, at layout, clock *clock) error {
	base, rows := len(t.candles), int(f.RowGroups()[group].NumRows())
	toTime, err := t.columnTime(f.columns[at.time], clock)
	if err != nil {
		return err
	}
	if at.clock >= 0 {
		clocks, err := f.first(group, at.clock, rows)
		if err != nil {
			return err
		}
		date, i := textOf(f.columns[at.time]), -1
		toTime = func(v parquet.Value) (time.Time, error) {
			i++
			if v.IsNull() || clocks[i] == "" {
				return time.Time{}, errors.New("missing")
			}
			return t.timeOf(clock, date(v)+" "+padClock(clocks[i], at.clockWidth))
		}
	}
	err = f.each(group, at.time, func(i int, v parquet.Value) (err error) {
		c := Candle{Volume: math.NaN()}
		if c.Time, err = toTime(v); err != nil {
			return fmt.Errorf("row %d: time: %w", base+i+1, err)
		}
		t.candles = append(t.candles, c)
		t.lines = append(t.lines, int32(base+i+1))
		return nil
	})
	if err != nil {
		return err
	}
	if t.options.Adjust {
		t.adjusted = append(t.adjusted, make([]float64, rows)...)
	}
	for _, c := range []struct {
		field  string
		column int
		of     func(i int) *float64
	}{
		{"open", at.open, func(i int) *float64 { return &t.candles[i].Open }},
		{"high", at.high, func(i int) *float64 { return &t.candles[i].High }},
		{"low", at.low, func(i int) *float64 { return &t.candles[i].Low }},
		{"close", at.close, func(i int) *float64 { return &t.candles[i].Close }},
		{"volume", at.volume, func(i int) *float64 { return &t.candles[i].Volume }},
		{"adjusted close", at.adjusted, func(i int) *float64 { return &t.adjusted[i] }},
	} {
		if c.column < 0 || c.field == "adjusted close" && !t.options.Adjust {
			continue
		}
		decimal := decimalOf(f.columns[c.column])
		err := f.each(group, c.column, func(i int, v parquet.Value) (err error) {
			*c.of(base + i), err = number(v, decimal)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c.field, err)
		}
	}
	if at.ticker < 0 || f.columns[at.ticker].Type().Kind() != parquet.ByteArray {
		return nil // a number is no symbol
	}
	return f.each(group, at.ticker, func(i int, v parquet.Value) error {
		if t.symbol == "" {
			t.symbol = string(v.ByteArray())
		}
		if symbol := string(v.ByteArray()); symbol != t.symbol {
			return fmt.Errorf("row %d: ticker: %q after %q, want one asset in a file", base+i+1, clip(symbol), clip(t.symbol))
		}
		return nil
	})
}

// eachValue visits the values of a column chunk, of which there must be rows.
func eachValue(chunk parquet.ColumnChunk, rows int64, visit func(i int, v parquet.Value) error) error {
	pages := chunk.Pages()
	defer pages.Close()
	values := make([]parquet.Value, 512)
	n := 0
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("%w: Parquet: %w", ErrNotCandles, err)
		}
		reader := page.Values()
		for err == nil {
			var k int
			k, err = reader.ReadValues(values)
			for _, v := range values[:k] {
				if int64(n) == rows {
					parquet.Release(page)
					return fmt.Errorf("%w: Parquet: more values in a column than its %d rows", ErrNotCandles, rows)
				}
				if err := visit(n, v); err != nil {
					parquet.Release(page)
					return err
				}
				n++
			}
			if k == 0 && err == nil {
				err = io.ErrNoProgress
			}
		}
		parquet.Release(page)
		if err != io.EOF {
			return fmt.Errorf("%w: Parquet: %w", ErrNotCandles, err)
		}
	}
	if int64(n) != rows {
		return fmt.Errorf("%w: Parquet: %d values in a column of %d rows", ErrNotCandles, n, rows)
	}
	return nil
}
