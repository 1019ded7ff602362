package market

import (
	"fmt"
	"time"
)

// clockForms are the spellings of time that can be read in one way only. Days
// and months in figures with slashes are not among them.
var clockForms = []string{
	time.DateOnly,
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04Z07:00",
	"2006-01-02 15:04",
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
}

// clock reads the times of one file. The first one decides the spelling, and
// the others must have it too: a spelling that changes half way down is a file
// glued from two.
type clock struct{ form string }

// parse keeps the zone of the text in the result; without one it is UTC.
func (c *clock) parse(text string) (time.Time, error) {
	if c.form != "" {
		t, err := time.Parse(c.form, text)
		if err != nil {
			return t, fmt.Errorf("%q is no time of the form %q", clip(text), c.form)
		}
		return t, checkYear(t)
	}
	for _, form := range clockForms {
		if t, err := time.Parse(form, text); err == nil {
			c.form = form
			return t, checkYear(t)
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time in a known form, such as %q or %q", clip(text), clockForms[0], clockForms[1])
}

// checkYear keeps differences of times inside of a time.Duration.
func checkYear(t time.Time) error {
	if y := t.Year(); y < firstYear || y > lastYear {
		return fmt.Errorf("year %d is outside of %d to %d", y, firstYear, lastYear)
	}
	return nil
}

// Years that a candle may have.
const firstYear, lastYear = 1750, 2200

// localDate is midnight UTC of the calendar date that t shows in its own zone.
func localDate(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
