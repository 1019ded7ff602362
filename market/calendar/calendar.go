// Package calendar says when markets trade: on which dates, and from when to
// when.
//
// A date is given as a [time.Time], of which the year, month and day count as
// they read in its own zone, and returned as midnight UTC of that day.
package calendar

import (
	"iter"
	"time"
	_ "time/tzdata" // a machine without a zone database knows New York too
)

// Calendar says on which dates a market holds sessions. There are [NYSE],
// [Weekdays] and [Always], and what [Infer] finds.
type Calendar struct {
	name  string
	zone  *time.Location
	hours func(date time.Time) (hours, bool) // date is midnight UTC
}

// hours are those of a session, since midnight on the clock of the zone.
type hours struct{ open, close time.Duration }

// Session is one day of trading.
type Session struct {
	Date        time.Time // midnight UTC
	Open, Close time.Time // instants, in the zone of the market
}

const day = 24 * time.Hour

// Calendars of whole days, in UTC.
var (
	Always   = weekly("every day", [7]bool{true, true, true, true, true, true, true}) // crypto
	Weekdays = weekly("weekdays", [7]bool{1: true, 2: true, 3: true, 4: true, 5: true})
)

// weekly is a calendar without holidays; traded is by [time.Weekday].
func weekly(name string, traded [7]bool) *Calendar {
	return &Calendar{name, time.UTC, func(date time.Time) (hours, bool) {
		return hours{0, day}, traded[date.Weekday()]
	}}
}

// String is the name of the calendar: NYSE, weekdays, every day, or a list of
// days such as "Sun Mon Tue Wed Thu".
func (c *Calendar) String() string { return c.name }

// Zone is the time zone in which the market opens and closes.
func (c *Calendar) Zone() *time.Location { return c.zone }

// Session returns the session of a date; ok is false where there is none.
func (c *Calendar) Session(date time.Time) (s Session, ok bool) {
	s.Date = Date(date)
	h, ok := c.hours(s.Date)
	if !ok {
		return Session{}, false
	}
	s.Open, s.Close = c.at(s.Date, h.open), c.at(s.Date, h.close)
	return s, true
}

// at is the instant at which the clock of the zone shows so long since midnight.
func (c *Calendar) at(date time.Time, clock time.Duration) time.Time {
	y, m, d := date.Date()
	return time.Date(y, m, d, 0, 0, int(clock/time.Second), 0, c.zone)
}

// IsSession reports whether the market trades on a date.
func (c *Calendar) IsSession(date time.Time) bool {
	_, ok := c.hours(Date(date))
	return ok
}

// NextDate returns the first date after the given one on which the market
// trades.
func (c *Calendar) NextDate(date time.Time) time.Time {
	for date = Date(date).Add(day); !c.IsSession(date); {
		date = date.Add(day)
	}
	return date
}

// Sessions yields the sessions from one date to another, both included.
func (c *Calendar) Sessions(from, to time.Time) iter.Seq[Session] {
	return func(yield func(Session) bool) {
		for date := Date(from); !date.After(Date(to)); date = date.Add(day) {
			if s, ok := c.Session(date); ok && !yield(s) {
				return
			}
		}
	}
}

// Date is midnight UTC of the day that t shows in its own zone.
func Date(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
