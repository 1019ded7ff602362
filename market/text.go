package market

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	textunicode "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Limits that keep a file of noise from filling the memory.
const (
	headSize = 64 << 10 // bytes of text that decide what a file is
	maxLine  = headSize // bytes of one line
	maxLines = 1 << 26  // lines of one file
	maxWidth = 1 << 10  // columns

	headerLines = 20 // titles, links and remarks may stand before the names
)

// commas are what may stand between cells.
var commas = []byte{',', ';', '\t', '|'}

// dialect is how the rows of one text file are written.
type dialect struct {
	comma   byte // between cells
	at      layout
	numbers numbers
	volumes numbers
	clock   *clock
	first   int // lines before the first row
}

// textSource is a text whose beginning has been looked at.
type textSource struct {
	r    *bufio.Reader
	head []byte // its first headSize bytes
}

// newTextSource decodes r to UTF-8 text without a byte order mark. The error is
// [ErrNotCandles] for what is no text.
func newTextSource(r io.Reader) (*textSource, error) {
	t := &textSource{r: bufio.NewReaderSize(r, headSize)}
	if err := t.peek(); err != nil {
		return nil, err
	}
	var from encoding.Encoding
	switch {
	case len(t.head) == 0:
		return nil, fmt.Errorf("%w: the file is empty", ErrNotCandles)
	case bytes.HasPrefix(t.head, []byte("\xff\xfe")), bytes.HasPrefix(t.head, []byte("\xfe\xff")):
		from = textunicode.UTF16(textunicode.LittleEndian, textunicode.ExpectBOM)
	case bytes.HasPrefix(t.head, []byte("\ufeff")):
		t.r.Discard(3)
		if err := t.peek(); err != nil {
			return nil, err
		}
	}
	if from == nil {
		if err := noText(t.head); err != nil {
			return nil, err
		}
		if !validHead(t.head) {
			from = guessEncoding(t.head)
		}
	}
	if from != nil {
		t.r = bufio.NewReaderSize(transform.NewReader(t.r, from.NewDecoder()), headSize)
		if err := t.peek(); err != nil {
			return nil, err
		}
		if err := noText(t.head); err != nil {
			return nil, err
		}
	}
	if bytes.IndexByte(t.head, '\n') < 0 && bytes.IndexByte(t.head, '\r') >= 0 {
		t.r = bufio.NewReaderSize(transform.NewReader(t.r, oldLines{}), headSize)
		return t, t.peek()
	}
	return t, nil
}

func (t *textSource) peek() error {
	head, err := t.r.Peek(headSize)
	if err != nil && err != io.EOF {
		return err
	}
	t.head = head
	return nil
}

// noText says what a file is that is no table of text.
func noText(head []byte) error {
	start := string(bytes.TrimLeft(head[:min(len(head), 512)], " \t\r\n"))
	for _, known := range []struct{ prefix, name string }{
		{"<!doctype", "a web page, perhaps of a download that failed"},
		{"<html", "a web page, perhaps of a download that failed"},
		{"<?xml", "XML"},
		{"{", "JSON"},
		{"[", "JSON"},
		{"%pdf", "a PDF"},
		{"\xd0\xcf\x11\xe0", "an old Excel workbook: save it as CSV"},
		{"version https://git-lfs", "a pointer of Git LFS: fetch the file itself"},
	} {
		if len(start) >= len(known.prefix) && strings.EqualFold(start[:len(known.prefix)], known.prefix) {
			return fmt.Errorf("%w: it is %s", ErrNotCandles, known.name)
		}
	}
	for i, b := range head {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != '\f' {
			return fmt.Errorf("%w: byte %d is %#02x, so it is no text", ErrNotCandles, i, b)
		}
	}
	return nil
}

// validHead is utf8.Valid but for a letter that the end of the head cuts.
func validHead(head []byte) bool {
	for i := range min(utf8.UTFMax, len(head)+1) {
		if utf8.Valid(head[:len(head)-i]) {
			return true
		}
	}
	return false
}

// guessEncoding finds the encoding in which the first lines name most columns;
// the one of western Europe if none does.
func guessEncoding(head []byte) encoding.Encoding {
	lines := head[:min(len(head), 4096)]
	var best encoding.Encoding = charmap.Windows1252
	most := 0
	for _, e := range []encoding.Encoding{charmap.Windows1252, charmap.Windows1251, simplifiedchinese.GB18030} {
		text, err := e.NewDecoder().Bytes(lines)
		if err != nil {
			continue
		}
		known := 0
		for _, cell := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(",;\t\r\n|", r) }) {
			if nameRanks[columnName(cell)] != nil {
				known++
			}
		}
		if known > most {
			best, most = e, known
		}
	}
	return best
}

// oldLines turns carriage returns into ends of lines.
type oldLines struct{ transform.NopResetter }

func (oldLines) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	n := copy(dst, src)
	for i := range n {
		if dst[i] == '\r' {
			dst[i] = '\n'
		}
	}
	if n < len(src) {
		err = transform.ErrShortDst
	}
	return n, n, err
}

// sniff finds out how the text is written from its first lines. The error
// begins with a line number, or is [ErrNotCandles].
func (t *textSource) sniff(o Options) (*dialect, error) {
	text := t.head
	if len(text) == headSize { // the last line is cut
		if end := bytes.LastIndexByte(text, '\n'); end >= 0 {
			text = text[:end+1]
		} else {
			return nil, fmt.Errorf("%w: the first line is longer than %d bytes", ErrNotCandles, maxLine)
		}
	}
	var best *errHeader
	var bare error
	for _, comma := range commas {
		lines, number := splitLines(text, comma)
		d, err := namedDialect(lines, number, comma, o)
		var header *errHeader
		switch {
		case err == nil:
			return d, nil
		case errors.As(err, &header):
			if best == nil || header.known > best.known {
				best = header
			}
		case err != errNoHeader:
			return nil, err
		}
	}
	for _, comma := range commas {
		lines, _ := splitLines(text, comma)
		if len(lines) == 0 || len(lines[0]) < 5 || best != nil && best.known > 2 {
			continue
		}
		d, err := bareDialect(lines, comma, o)
		if err == nil || errors.Is(err, ErrDateOrder) || errors.Is(err, ErrDecimal) {
			return d, err
		}
		bare = err
	}
	switch line := openQuote(text); {
	case best != nil && best.known > 1:
		return nil, best
	case line > 0:
		return nil, fmt.Errorf("%w: line %d: %w", ErrNotCandles, line, errOpenQuote)
	case bare != nil:
		return nil, fmt.Errorf("%w: no line names the columns, and %w", ErrNotCandles, bare)
	}
	return nil, fmt.Errorf("%w: no line at its beginning names columns for time, open, high, low and close", ErrNotCandles)
}

// openQuote is the first of the lines that may be a header whose quotes go on
// behind its end, from 1; 0: there is none.
func openQuote(text []byte) int {
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n > headerLines {
			break
		}
		for _, comma := range commas {
			if _, err := splitCells(nil, strings.TrimRight(line, "\r\n"), comma); err == errOpenQuote && strings.IndexByte(line, comma) >= 0 {
				return n
			}
		}
	}
	return 0
}

// splitLines cuts text into lines that are not blank and lines into cells.
// number holds the line numbers, from 1.
func splitLines(text []byte, comma byte) (lines [][]string, number []int) {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimRight(line, "\r\n \f"); strings.TrimSpace(line) == "" {
			continue
		}
		cells, err := splitCells(nil, line, comma)
		if err != nil {
			cells = []string{line}
		}
		lines, number = append(lines, cells), append(number, n)
	}
	return lines, number
}

var errNoHeader = errors.New("no line names the columns")

// namedDialect looks for a line of names among the first ones.
func namedDialect(lines [][]string, number []int, comma byte, o Options) (*dialect, error) {
	var best error = errNoHeader
	for i := range min(len(lines), headerLines) {
		if len(lines[i]) < 2 {
			continue
		}
		at, stacked, err := stackedLayout(lines[i:], number[i:])
		if stacked {
			if err != nil {
				return nil, err
			}
			return newDialect(comma, at, lines[i+3:], number[i+2], o)
		}
		if len(lines[i]) > maxWidth {
			return nil, fmt.Errorf("%w: line %d has more than %d columns", ErrNotCandles, number[i], maxWidth)
		}
		at, err = namedLayout(lines[i], number[i], lines[i+1:])
		if err == nil {
			return newDialect(comma, at, lines[i+1:], number[i], o)
		}
		var header, other *errHeader
		if errors.As(err, &header) && (!errors.As(best, &other) || header.known > other.known) {
			best = err
		}
	}
	return nil, best
}

// bareDialect is for rows without a line of names.
func bareDialect(lines [][]string, comma byte, o Options) (*dialect, error) {
	var cells []string
	for _, row := range lines {
		for _, cell := range row[1:] {
			if !strings.Contains(cell, ":") {
				cells = append(cells, cell)
			}
		}
	}
	spelled, err := learnNumbers(cells, o.Decimal)
	if err != nil {
		return nil, err
	}
	at, err := bareLayout(lines, spelled)
	if err != nil {
		return nil, err
	}
	return newDialect(comma, at, lines, 0, o)
}

// newDialect learns from the first rows how numbers and times are spelled.
func newDialect(comma byte, at layout, rows [][]string, before int, o Options) (*dialect, error) {
	var prices, volumes, times []string
	for _, row := range rows {
		if len(row) < at.width-at.blank {
			continue
		}
		for _, i := range []int{at.open, at.high, at.low, at.close, at.adjusted} {
			if i >= 0 && i < len(row) {
				prices = append(prices, row[i])
			}
		}
		if at.volume >= 0 && at.volume < len(row) {
			volumes = append(volumes, row[at.volume])
		}
		if text := strings.TrimSpace(row[at.time]); text != "" {
			times = append(times, text)
		}
	}
	spelled, spelledVolumes, err := learnSpelling(prices, volumes, o.Decimal)
	if err != nil {
		return nil, fmt.Errorf("%d: %w", before+1, err)
	}
	c, err := newClock(times, o.DateOrder)
	if err != nil {
		return nil, err
	}
	return &dialect{comma: comma, at: at, numbers: spelled, volumes: spelledVolumes, clock: c, first: before}, nil
}

// lineReader splits text into lines and cells, and counts the lines.
type lineReader struct {
	r     *bufio.Reader
	comma byte
	line  int // the last one read, from 1
	cells []string
}

// next returns the cells of the next line that is not blank, valid until the
// next call, or io.EOF. Quoted cells end on their line. The error begins with
// the line number.
func (l *lineReader) next() (cells []string, err error) {
	for {
		raw, err := l.r.ReadSlice('\n')
		if len(raw) == 0 && err == io.EOF {
			return nil, io.EOF
		}
		l.line++
		switch {
		case err == bufio.ErrBufferFull:
			return nil, fmt.Errorf("%d: line: longer than %d bytes", l.line, maxLine)
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("%d: %w", l.line, err)
		case l.line > maxLines:
			return nil, fmt.Errorf("%d: line: more than %d lines", l.line, maxLines)
		case !utf8.Valid(raw):
			return nil, fmt.Errorf("%d: line: not UTF-8 text", l.line)
		}
		text := strings.TrimRight(string(raw), "\r\n \f")
		if strings.TrimSpace(text) == "" {
			continue
		}
		if l.cells, err = splitCells(l.cells[:0], text, l.comma); err != nil {
			return nil, fmt.Errorf("%d: line: %w", l.line, err)
		}
		if len(l.cells) > maxWidth {
			return nil, fmt.Errorf("%d: line: more than %d columns", l.line, maxWidth)
		}
		return l.cells, nil
	}
}

// errOpenQuote is an errQuotes too.
var (
	errQuotes    = errors.New("quotes do not match")
	errOpenQuote = fmt.Errorf("%w: line breaks within quotes are not supported", errQuotes)
)

// splitCells appends the cells of a line. A cell that begins with a quote ends
// with one; two inside stand for one (RFC 4180).
func splitCells(cells []string, line string, comma byte) ([]string, error) {
	for {
		start := strings.TrimLeft(line, " ")
		if !strings.HasPrefix(start, `"`) {
			end := strings.IndexByte(line, comma)
			if end < 0 {
				return append(cells, line), nil
			}
			cells, line = append(cells, line[:end]), line[end+1:]
			continue
		}
		end := 1 // of the quoted text
		for {
			next := strings.IndexByte(start[end:], '"')
			if next < 0 {
				return cells, errOpenQuote
			}
			end += next
			if !strings.HasPrefix(start[end+1:], `"`) {
				break
			}
			end += 2
		}
		cell, rest := strings.ReplaceAll(start[1:end], `""`, `"`), start[end+1:]
		rest = strings.TrimLeft(rest, " ")
		cells = append(cells, cell)
		if rest == "" {
			return cells, nil
		}
		if rest[0] != comma {
			return cells, errQuotes
		}
		line = rest[1:]
	}
}
