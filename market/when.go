package market

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Years that a candle may have.
const firstYear, lastYear = 1750, 2200

// DateOrder says what a date of three figures means where the year is last.
type DateOrder string

// The orders. The empty one is found out, or the file is refused.
const (
	DayFirst   DateOrder = "dmy"
	MonthFirst DateOrder = "mdy"
	YearFirst  DateOrder = "ymd" // also with a year of two figures
)

// errDateOrder is for a file whose dates can all be read in two ways.
var errDateOrder = fmt.Errorf("%w: day and month could change places in every date", ErrDateOrder)

// clock reads the times of one file. What the first time decides, its form and
// whether it names a zone, the others must keep.
type clock struct {
	order   DateOrder
	form    dateForm
	zoned   bool
	unit    time.Duration // of numbers since 1970
	zones   map[int]*time.Location
	pending bool // all dates so far can be read in two ways; they are read day first
	flipped bool // the last one told that they were month first
}

// dateForm is how a date is spelled.
type dateForm byte

const (
	formUnknown dateForm = iota
	formEpoch            // seconds, or parts of them, since 1970
	formSerial           // days since 1899-12-30, as spreadsheets count
	formISO              // year, month, day
	formFigures          // three figures, the year last
	formNamed            // with the name of the month
)

// newClock learns from times of the file whether numbers are dates, days or
// seconds.
func newClock(samples []string, order DateOrder) (*clock, error) {
	c := &clock{order: order, zones: map[int]*time.Location{}}
	most, numbers, dates, serial := 0., 0, 0, 0
	for _, text := range samples {
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !isFigures(text) {
			continue
		}
		numbers++
		most = max(most, math.Abs(x))
		if _, err := compactDate(text); err == nil {
			dates++
		}
		if x >= 10_000 && x < 100_000 {
			serial++
		}
	}
	const lastSecond = 7.3e9 // in the year 2201
	switch {
	case numbers == 0 || numbers < len(samples) || dates == numbers:
		// Text; 20240102 is text too.
	case serial == numbers:
		c.form = formSerial
	case most < 1e8: // seconds in 1973
		return nil, fmt.Errorf("%w: numbers such as %q are no time", ErrNotCandles, clip(samples[0]))
	case most <= lastSecond:
		c.form, c.unit = formEpoch, time.Second
	case most <= lastSecond*1e3:
		c.form, c.unit = formEpoch, time.Millisecond
	case most <= lastSecond*1e6:
		c.form, c.unit = formEpoch, time.Microsecond
	default:
		c.form, c.unit = formEpoch, time.Nanosecond
	}
	return c, nil
}

// isFigures tells a plain number: no exponent, no word.
func isFigures(text string) bool {
	return text != "" && strings.Trim(text, "-0123456789.") == ""
}

// parse keeps the zone of the text in the result; without one it is UTC.
func (c *clock) parse(text string) (time.Time, error) {
	var t time.Time
	var err error
	switch c.form {
	case formEpoch, formSerial:
		t, err = c.number(text)
	default:
		t, err = c.calendar(text)
	}
	if err != nil {
		return t, fmt.Errorf("%q %w", clip(text), err)
	}
	return t, checkYear(t)
}

// checkYear keeps differences of times inside of a time.Duration.
func checkYear(t time.Time) error {
	if y := t.Year(); y < firstYear || y > lastYear {
		return fmt.Errorf("year %d is outside of %d to %d", y, firstYear, lastYear)
	}
	return nil
}

// number reads seconds, or parts of them, since 1970, or days as spreadsheets
// count them. Whole numbers are exact.
func (c *clock) number(text string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, errors.New("is no number of the same kind as the times before")
	}
	part := 0.
	if fraction != "" {
		if part, err = strconv.ParseFloat("."+fraction, 64); err != nil || !isFigures(fraction) {
			return time.Time{}, errors.New("is no number")
		}
		if strings.HasPrefix(whole, "-") {
			part = -part
		}
	}
	if c.form == formSerial {
		if n < 0 || n > 120_000 {
			return time.Time{}, errors.New("is no day of a spreadsheet")
		}
		day := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(n))
		return day.Add(time.Duration(math.Round(part*24*3600*1000)) * time.Millisecond), nil
	}
	perSecond := int64(time.Second / c.unit)
	seconds, rest := n/perSecond, n%perSecond
	if seconds < -7e9 || seconds > 7.3e9 {
		return time.Time{}, fmt.Errorf("is no time in units of %v since 1970, as the times before", c.unit)
	}
	nanos := rest*int64(c.unit) + int64(math.Round(part*float64(c.unit)))
	return time.Unix(seconds, nanos).UTC(), nil
}

var errNoTime = errors.New("is no time in a known form, such as \"2024-01-31\" or \"2024-01-31 15:30:00-05:00\"")

// calendar reads a date, and a time of day and a zone if they follow.
func (c *clock) calendar(text string) (time.Time, error) {
	var d dateParts
	rest, err := d.scan(text)
	if err != nil {
		return time.Time{}, err
	}
	form, order, learned := d.form(), c.order, DateOrder("")
	switch form {
	case formISO:
		d.order(0, 1, 2)
	case formNamed:
		d.named()
	case formFigures:
		switch a, b := d.n[0], d.n[1]; {
		case order != "":
		case d.dots:
			order = DayFirst
		case a > 12:
			learned = DayFirst
		case b > 12:
			learned = MonthFirst
		}
		switch cmp.Or(order, learned, DayFirst) {
		case MonthFirst:
			d.order(2, 0, 1)
		case YearFirst:
			d.order(0, 1, 2)
		default:
			d.order(2, 1, 0)
		}
	}
	if c.form != formUnknown && c.form != form {
		return time.Time{}, errors.New("is spelled otherwise than the times before")
	}
	year, month, day := d.n[0], d.n[1], d.n[2]
	if d.width[0] == 2 { // as Go and POSIX read two figures
		if year < 69 {
			year += 100
		}
		year += 1900
	}
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return time.Time{}, errors.New("is no day of the calendar" + c.orderNote())
	}

	clock, zone, zoned, err := clockTime(rest)
	if err != nil {
		return time.Time{}, err
	}
	if c.form != formUnknown && zoned != c.zoned {
		return time.Time{}, errors.New("differs from the times before in naming a time zone")
	}
	c.form, c.zoned = form, zoned
	c.flipped = c.pending && learned == MonthFirst
	c.pending = form == formFigures && order == "" && learned == ""
	c.order = cmp.Or(c.order, learned)
	at := time.UTC
	if zone != 0 {
		if at = c.zones[zone]; at == nil {
			at = time.FixedZone("", zone)
			c.zones[zone] = at
		}
	}
	return time.Date(year, time.Month(month), day, 0, 0, int(clock/time.Second), int(clock%time.Second), at), nil
}

// orderNote explains a day that is none.
func (c *clock) orderNote() string {
	switch c.order {
	case DayFirst:
		return " with the day first"
	case MonthFirst:
		return " with the month first"
	case YearFirst:
		return " with the year first"
	}
	return ""
}

// flip exchanges day and month of a time that was read day first.
func flip(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, time.Month(d), int(m), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// dateParts are the three parts of a date as they stand, and after order or
// named year, month and day.
type dateParts struct {
	n     [3]int
	width [3]int // figures; 0 for a name
	month int    // which part is a name; −1: none
	dots  bool   // between the parts
}

// scan reads the date at the beginning of text and returns what follows.
func (d *dateParts) scan(text string) (rest string, err error) {
	d.month = -1
	if len(text) >= 8 && digits(text) >= 8 {
		if d.n, err = compactDate(text[:8]); err != nil {
			return "", err
		}
		d.width = [3]int{4, 2, 2}
		return text[8:], nil
	}
	text = cutWeekday(text)
	for i := range d.n {
		if i > 0 {
			trimmed := strings.TrimLeft(text, "-/., \u00a0年月")
			if trimmed == text && digits(text) == letters(text) { // 3Jan24 needs none
				return "", errNoTime
			}
			if i == 1 {
				d.dots = strings.HasPrefix(text, ".")
			}
			text = trimmed
		}
		if k := digits(text); k > 0 && k <= 4 && k != 3 {
			d.n[i], _ = strconv.Atoi(text[:k]) // at most four figures
			d.width[i] = k
			text = text[k:]
			continue
		}
		k := letters(text)
		month, known := monthNames[strings.ToLower(text[:k])]
		if !known || d.month >= 0 {
			return "", errNoTime
		}
		d.n[i], d.month = month, i
		text = text[k:]
	}
	text = strings.TrimPrefix(text, "日")
	return strings.TrimPrefix(text, "г."), nil
}

func (d *dateParts) form() dateForm {
	switch {
	case d.month >= 0:
		return formNamed
	case d.width[0] == 4:
		return formISO
	}
	return formFigures
}

// order says which parts are year, month and day.
func (d *dateParts) order(year, month, day int) {
	d.n = [3]int{d.n[year], d.n[month], d.n[day]}
	d.width = [3]int{d.width[year], d.width[month], d.width[day]}
}

// named orders a date with a name in it: the year has four figures, or else
// comes after the day.
func (d *dateParts) named() {
	var others []int
	for i := range 3 {
		if i != d.month {
			others = append(others, i)
		}
	}
	day, year := others[0], others[1]
	if d.width[day] == 4 {
		day, year = year, day
	}
	d.order(year, d.month, day)
}

// compactDate reads 20240102.
func compactDate(text string) (ymd [3]int, err error) {
	if n := digits(text); n != len(text) || n != 8 && n != 12 && n != 14 {
		return ymd, errNoTime
	}
	n, _ := strconv.Atoi(text[:8])
	ymd = [3]int{n / 10000, n / 100 % 100, n % 100}
	if ymd[0] < firstYear || ymd[0] > lastYear || ymd[1] < 1 || ymd[1] > 12 || ymd[2] < 1 || ymd[2] > daysIn(ymd[0], ymd[1]) {
		return ymd, errors.New("is no day of the calendar")
	}
	if len(text) > 8 {
		_, _, _, err = clockTime(text[8:])
	}
	return ymd, err
}

// clockTime reads a time of day and the zone after it; no text is midnight.
// zone is in seconds east of Greenwich.
func clockTime(text string) (clock time.Duration, zone int, zoned bool, err error) {
	text = strings.TrimLeft(text, "T_, \u00a0\u202f")
	if text == "" {
		return 0, 0, false, nil
	}
	var h, m, s int
	switch k := digits(text); {
	case k > 2 && k <= 6: // 0930, 93000
		n, _ := strconv.Atoi(text[:k])
		if k <= 4 {
			n *= 100
		}
		h, m, s = n/10000, n/100%100, n%100
		text = text[k:]
	case k == 1 || k == 2:
		h, _ = strconv.Atoi(text[:k])
		text = text[k:]
		for _, part := range []*int{&m, &s} {
			if len(text) < 3 || text[0] != ':' || digits(text[1:]) != 2 {
				if part == &m {
					return 0, 0, false, errNoTime
				}
				break
			}
			*part, _ = strconv.Atoi(text[1:3])
			text = text[3:]
		}
	default:
		return 0, 0, false, errNoTime
	}
	if text != "" && (text[0] == '.' || text[0] == ',') {
		k := digits(text[1:])
		if k < 1 || k > 9 {
			return 0, 0, false, errNoTime
		}
		n, _ := strconv.Atoi(text[1 : 1+k])
		for range 9 - k {
			n *= 10
		}
		clock = time.Duration(n)
		text = text[1+k:]
	}
	text = strings.Trim(text, " \u00a0\u202f")
	if half := strings.ToUpper(text[:min(2, len(text))]); half == "AM" || half == "PM" {
		if h < 1 || h > 12 {
			return 0, 0, false, errNoTime
		}
		h %= 12
		if half == "PM" {
			h += 12
		}
		text = strings.TrimLeft(text[2:], " ")
	}
	if h > 23 || m > 59 || s > 59 {
		return 0, 0, false, errors.New("is no time of the day")
	}
	clock += time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	if text == "" {
		return clock, 0, false, nil
	}
	zone, err = zoneOffset(text)
	return clock, zone, true, err
}

// zoneOffset reads Z, +05:30, -0400, +09, GMT+0100 and the names of zones whose
// offset is the same everywhere.
func zoneOffset(text string) (int, error) {
	if seconds, known := zoneNames[text]; known {
		return seconds, nil
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "GMT"), "UTC")
	if text == "" || text[0] != '+' && text[0] != '-' {
		return 0, errors.New("ends in no known time zone, such as Z or -05:00")
	}
	figures := strings.Replace(text[1:], ":", "", 1)
	if k := digits(figures); k != len(figures) || k != 2 && k != 4 {
		return 0, errors.New("ends in no known time zone, such as Z or -05:00")
	}
	n, _ := strconv.Atoi(figures)
	if len(figures) == 2 {
		n *= 100
	}
	if n/100 > 14 || n%100 > 59 {
		return 0, errors.New("ends in no known time zone, such as Z or -05:00")
	}
	n = n/100*3600 + n%100*60
	if text[0] == '-' {
		n = -n
	}
	return n, nil
}

var zoneNames = map[string]int{
	"Z": 0, "UTC": 0, "GMT": 0,
	"EST": -5 * 3600, "EDT": -4 * 3600, "PST": -8 * 3600, "PDT": -7 * 3600,
	"CET": 1 * 3600, "CEST": 2 * 3600, "MSK": 3 * 3600, "JST": 9 * 3600, "HKT": 8 * 3600,
}

// cutWeekday removes "Mon, " from the front.
func cutWeekday(text string) string {
	k := letters(text)
	if k < 3 {
		return text
	}
	switch strings.ToLower(text[:3]) {
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
		if _, month := monthNames[strings.ToLower(text[:k])]; !month {
			return strings.TrimLeft(text[k:], "., ")
		}
	}
	return text
}

// digits counts the figures at the beginning of text.
func digits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// letters counts the bytes of the letters at the beginning of text.
func letters(text string) int {
	n := 0
	for n < len(text) {
		switch b := text[n]; {
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			n++
			continue
		case b < utf8.RuneSelf:
			return n
		}
		r, size := utf8.DecodeRuneInString(text[n:])
		if r == utf8.RuneError || r == '\u00a0' || r == '年' || r == '月' || r == '日' {
			return n
		}
		n += size
	}
	return n
}

// monthNames are those of the languages that exporters use most, and their
// usual short forms.
var monthNames = func() map[string]int {
	names := map[string]int{}
	for _, year := range []string{
		"jan feb mar apr may jun jul aug sep oct nov dec",
		"january february march april may june july august sept october november december",
		"januar februar märz april mai juni juli august september oktober november dezember",
		"jän febr mrz apr mai jun jul aug sept okt nov dez",
		"janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
		"janv févr mär avr mai juin juil août sep oct nov déc",
		"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
		"ene feb mar abr may jun jul ago sept oct nov dic",
		"gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
		"gen feb mar apr mag giu lug ago set ott nov dic",
		"janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
		"jan fev mar abr mai jun jul ago set out nov dez",
		"января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
		"янв фев мар апр май июн июл авг сен окт ноя дек",
	} {
		for i, name := range strings.Fields(year) {
			names[name] = i + 1
		}
	}
	return names
}()
