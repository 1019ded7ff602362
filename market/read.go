package market

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// readText reads the candles of one asset from text. size is the expected
// number of bytes, 0 if it is unknown.
func readText(r io.Reader, size int64, path string, o Options) (*Series, Report, error) {
	report := Report{Path: path}
	fail := func(err error) (*Series, Report, error) {
		sep := ": "
		if text := err.Error(); digits(text) > 0 { // a line number comes first
			sep = ":"
		}
		return nil, report, fmt.Errorf("market: %s%s%w", path, sep, err)
	}
	source, err := newTextSource(r)
	if err != nil {
		return fail(err)
	}
	d, err := source.sniff(o)
	if err != nil {
		return fail(err)
	}
	t := newTable(path, o)
	t.symbol = d.at.symbol
	if err := t.readRows(source, d, size); err != nil {
		return fail(err)
	}
	if i := t.unsureDate(d.clock); i >= 0 {
		at := t.candles[i].Time
		return fail(fmt.Errorf("%d: time: %w: %s or %s", t.lines[i], errDateOrder, at.Format(dayMonth), flip(at).Format(dayMonth)))
	}
	series, err := t.series(&report)
	return series, report, err
}

const dayMonth = "2 January 2006"

// unsureDate is the first candle whose date is another one with day and month
// exchanged, where no date tells which is which; −1: there is none.
func (t *table) unsureDate(c *clock) int {
	return slices.IndexFunc(t.candles, func(one Candle) bool { return c.pending && one.Time.Day() != int(one.Time.Month()) })
}

// table holds the rows of a file on their way to a series.
type table struct {
	path     string
	symbol   string
	options  Options
	candles  []Candle  // times keep their zones
	lines    []int32   // of each candle; rows of a Parquet file
	adjusted []float64 // closes, where they are asked for
	byZone   bool      // the times name their zones
	byHabit  bool      // no date tells which of its figures is the day
	against  int32     // line of clock.against
	signs    signs     // of the prices, in a text
	changes  []Change
	dropped  int // of the changes
	setBack  int // faults that go back by at most an hour, of times that name no zone
	faults   faults
}

func newTable(path string, o Options) *table {
	return &table{path: path, options: o, faults: faults{path: path}}
}

// grow makes room for rows that are to come.
func (t *table) grow(rows int) {
	t.candles, t.lines = make([]Candle, 0, rows), make([]int32, 0, rows)
	if t.options.Adjust {
		t.adjusted = make([]float64, 0, rows)
	}
}

// fault takes a row that is wrong: it is left out or, without that option,
// makes the file refused.
func (t *table) fault(line int32, at time.Time, remedy remedy, field, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if t.options.Drop {
		t.drop(line, at, field, what)
		return
	}
	t.faults.add(strconv.Itoa(int(line)), remedy, field, what)
}

// drop notes that a row was left out.
func (t *table) drop(line int32, at time.Time, field, what string) {
	t.changes = append(t.changes, Change{Line: int(line), Time: at, Action: Dropped, Field: field, What: what})
	t.dropped++
}

// repair notes what was done to a row.
func (t *table) repair(line int32, at time.Time, field, format string, args ...any) {
	t.changes = append(t.changes, Change{Line: int(line), Time: at, Action: Repaired, Field: field, What: fmt.Sprintf(format, args...)})
}

// hopeless says that so many rows are at fault that the rest need not be read.
func (t *table) hopeless() bool {
	const enough = 1000
	bad := t.dropped
	if t.faults.first != nil {
		bad = t.faults.first.More + 1
	}
	return bad > enough && bad > len(t.candles)
}

// readRows reads to the end of the text. The error is for a file that cannot be
// read on, and begins with the line number.
func (t *table) readRows(source *textSource, d *dialect, size int64) error {
	lines := &lineReader{r: source.r, comma: d.comma}
	for lines.line < d.first {
		if _, err := lines.next(); err != nil && !errors.Is(err, errQuotes) {
			return err
		}
	}
	if size > 0 && len(source.head) > 0 {
		perRow := max(12, len(source.head)/max(1, strings.Count(string(source.head), "\n")))
		t.grow(int(size)/perRow + int(size)/perRow/32 + 16)
	}
	at := d.at
	if at.adjusted < 0 && t.options.Adjust {
		return fmt.Errorf("%d: header: no column for adjusted closes", d.first)
	}
	var footer *Change // a last line of one cell
	for {
		cells, err := lines.next()
		if err == io.EOF {
			break
		}
		switch {
		case errors.Is(err, errOpenQuote):
			t.fault(int32(lines.line), time.Time{}, byNothing, "line", "%v", errOpenQuote)
			continue
		case errors.Is(err, errQuotes):
			t.fault(int32(lines.line), time.Time{}, byDrop, "line", "%v", errQuotes)
			continue
		case err != nil:
			return err
		}
		if footer != nil {
			t.fault(int32(footer.Line), time.Time{}, byDrop, footer.Field, "%s", footer.What)
			footer = nil
		}
		line := int32(lines.line)
		for len(cells) > at.width && strings.TrimSpace(cells[len(cells)-1]) == "" {
			cells = cells[:len(cells)-1]
		}
		if len(cells) > at.width || len(cells) < at.width-at.blank {
			what := fmt.Sprintf("%d columns, the header has %d", len(cells), at.width)
			if isFooter(cells) {
				footer = &Change{Line: int(line), Field: "row", What: what}
				continue
			}
			t.fault(line, time.Time{}, byDrop, "row", "%s", what)
		} else if err := t.readRow(cells, d, line); err != nil {
			return err
		}
		if t.hopeless() {
			t.faults.endless = true
			break
		}
	}
	t.byZone = d.clock.zoned || d.clock.form == formEpoch
	t.byHabit = d.clock.byHabit()
	if o := t.options; d.clock.contradicted() && (o.DateOrder == "" || !o.Drop) {
		return fmt.Errorf("%d: time: %w: %q is a date in another order than it was read in, and none tells that it was right",
			t.against, ErrDateOrder, clip(d.clock.against))
	}
	// A row that could not be read is missing from the table: what follows
	// would report its absence and not its cause.
	return nil
}

// isFooter tells a remark, such as where the file was downloaded from, from the
// rest of a row that was cut.
func isFooter(cells []string) bool {
	first := strings.TrimSpace(cells[0])
	return first != "" && letters(first) > 0 && strings.TrimSpace(strings.Join(cells[1:], "")) == ""
}

// timeOf reads the time of a row, and turns those before it where it tells that
// they were month first.
func (t *table) timeOf(c *clock, text string) (time.Time, error) {
	at, err := c.parse(text)
	if err != nil || !c.flipped {
		return at, err
	}
	c.flipped = false
	for i := range t.candles {
		t.candles[i].Time = flip(t.candles[i].Time)
	}
	for i := range t.changes {
		if !t.changes[i].Time.IsZero() {
			t.changes[i].Time = flip(t.changes[i].Time)
		}
	}
	return at, nil
}

// readRow reads one row; line is its number.
func (t *table) readRow(cells []string, d *dialect, line int32) error {
	at := d.at
	text := strings.TrimSpace(cells[at.time])
	if at.clock >= 0 && text != "" {
		text += " " + padClock(cells[at.clock], at.clockWidth)
	}
	var c Candle
	var err error
	if text == "" {
		t.fault(line, c.Time, byDrop, "time", "empty")
		return nil
	}
	before := d.clock.against
	if c.Time, err = t.timeOf(d.clock, text); errors.Is(err, ErrDateOrder) {
		return fmt.Errorf("%d: time: %w", line, err)
	} else if err != nil {
		if d.clock.against != before {
			t.against = line
		}
		t.fault(line, c.Time, byDrop, "time", "%v", err)
		return nil
	}
	if at.ticker >= 0 {
		ticker := strings.TrimSpace(cells[at.ticker])
		if t.symbol == "" {
			t.symbol = strings.Clone(ticker)
		}
		if ticker != t.symbol || ticker == "" {
			t.faults.add(strconv.Itoa(int(line)), byNothing, "ticker", fmt.Sprintf("%q after %q, want one asset in a file", clip(ticker), clip(t.symbol)))
			return nil
		}
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
		text := strings.TrimSpace(cells[p.column])
		var ok bool
		if *p.value, ok = d.numbers.parse(text); ok {
			t.signs.see(text, d.numbers.decimal)
			continue
		}
		t.fault(line, c.Time, byDrop, p.field, "%s", noNumber(text))
		return nil
	}
	c.Volume = math.NaN()
	if at.volume >= 0 {
		var ok bool
		if text := strings.TrimSpace(cells[at.volume]); !isMissing(text) {
			if c.Volume, ok = d.volumes.parseVolume(text); !ok {
				t.fault(line, c.Time, byDrop, "volume", "%s", noNumber(text))
				return nil
			}
		}
	}
	if t.options.Adjust {
		text := strings.TrimSpace(cells[at.adjusted])
		adjusted, ok := d.numbers.parse(text)
		if !ok {
			t.fault(line, c.Time, byDrop, "adjusted close", "%s", noNumber(text))
			return nil
		}
		t.adjusted = append(t.adjusted, adjusted)
	}
	t.candles = append(t.candles, c)
	t.lines = append(t.lines, line)
	return nil
}

func noNumber(text string) string {
	switch {
	case text == "":
		return "empty"
	case isMissing(text):
		return fmt.Sprintf("%q is a missing value", text)
	}
	return fmt.Sprintf("%q is no number", clip(text))
}

// checkSymbol refuses what cannot stand in a table or a file name.
func checkSymbol(symbol string) error {
	if symbol == "" || !utf8.ValidString(symbol) || len(symbol) > 64 || strings.ContainsFunc(symbol, unicode.IsControl) {
		return fmt.Errorf("ticker: %q is no symbol", clip(symbol))
	}
	return nil
}
