package market

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Years that a candle may have.
const firstYear, lastYear = 1750, 2200

// pivotYear divides years of two figures: those before it are of this century,
// the others of the last one. POSIX has 69, but candles reach back to 1962.
const pivotYear = 50

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
	pending bool   // all dates so far can be read in two ways; they are read day first
	proven  bool   // a day after the twelfth told which of two figures it is
	against string // the first date that is one in another order alone
	flipped bool   // the last one told that they were month first
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
	if d.width[0] == 2 {
		year += 1900
		if d.n[0] < pivotYear {
			year += 100
		}
	}
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		if form == formFigures && order != YearFirst && c.against == "" && month > 12 && day >= 1 && day <= 12 && month <= daysIn(year, day) {
			c.against = strings.Clone(text)
		}
		return time.Time{}, errors.New("is no day of the calendar" + c.orderNote())
	}

	clock, zone, zoned, err := clockTime(rest)
	if err != nil {
		return time.Time{}, err
	}
	if c.form != formUnknown && zoned != c.zoned {
		return time.Time{}, errors.New("differs from the times before in naming a time zone")
	}
	pending := form == formFigures && order == "" && learned == ""
	if pending && clock == 24*time.Hour { // the next day is not known
		return time.Time{}, fmt.Errorf("is the end of a day that could be another: %w", errDateOrder)
	}
	c.form, c.zoned = form, zoned
	c.proven = c.proven || day > 12
	c.flipped = c.pending && learned == MonthFirst
	c.pending = pending
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

// byHabit tells dates that were read in the order that was named, or that is
// usual with dots, and fit another one as well.
func (c *clock) byHabit() bool {
	return c.form == formFigures && c.order != YearFirst && !c.proven
}

// contradicted tells an order that was named, or that is usual with dots, where
// some dates are none in it and no date is one in it alone.
func (c *clock) contradicted() bool { return c.against != "" && !c.proven }

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
