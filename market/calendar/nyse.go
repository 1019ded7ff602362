package calendar

import (
	"sync"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/aa"
	"github.com/rickar/cal/v2/us"
)

// NYSE is the New York Stock Exchange, and with it Nasdaq and the other stock
// exchanges of the United States, which close on the same days.
//
// Sessions are exact from 1980 on, hours from 1990 on, but for openings that a
// minute of silence put off. Later closures that nobody foresees, by mourning,
// storm or attack, are known up to 2025; of later years there are the rules of
// today.
//
// Sources: the exchange's rule 7.2 and its list of special closings, as the
// notes of pandas_market_calendars (nyse.py) render it; for 1999-12-31 its
// announcement of June 1999.
var NYSE = &Calendar{"NYSE", newYork(), nyseHours}

func newYork() *time.Location {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err) // time/tzdata is linked in
	}
	return zone
}

// on makes dates comparable to those of callers.
func on(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// clock is a time of day.
func clock(h, m int) time.Duration {
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
}

// nyseClosures are days without a session that no rule gives.
var nyseClosures = []time.Time{
	on(1980, 11, 4),  // presidential election, the last that closed the exchange
	on(1985, 9, 27),  // hurricane Gloria
	on(1994, 4, 27),  // funeral of Nixon
	on(2001, 9, 11),  // attack on the World Trade Center
	on(2001, 9, 12),  //
	on(2001, 9, 13),  //
	on(2001, 9, 14),  //
	on(2004, 6, 11),  // mourning for Reagan
	on(2007, 1, 2),   // mourning for Ford
	on(2012, 10, 29), // hurricane Sandy
	on(2012, 10, 30), //
	on(2018, 12, 5),  // mourning for George H. W. Bush
	on(2025, 1, 9),   // mourning for Carter
}

// nyseSpecial are hours that no rule gives.
var nyseSpecial = map[time.Time]hours{
	on(1990, 12, 24): {nyseOpen, clock(14, 0)},
	on(1990, 12, 27): {clock(11, 0), nyseClose}, // power failure
	on(1991, 12, 24): {nyseOpen, clock(14, 0)},
	on(1992, 11, 27): {nyseOpen, clock(14, 0)},
	on(1992, 12, 24): {nyseOpen, clock(14, 0)},
	on(1994, 2, 11):  {nyseOpen, clock(14, 30)},    // snow
	on(1995, 12, 18): {clock(10, 30), nyseClose},   // computers
	on(1996, 1, 8):   {clock(11, 0), clock(14, 0)}, // snow
	on(1997, 10, 27): {nyseOpen, clock(15, 30)},    // circuit breaker
	on(1997, 12, 26): {nyseOpen, nyseEarly},
	on(1999, 12, 31): {nyseOpen, nyseEarly},
	on(2001, 9, 17):  {clock(9, 33), nyseClose}, // silence after the attack
	on(2002, 9, 11):  {clock(12, 0), nyseClose}, // its anniversary
	on(2003, 12, 26): {nyseOpen, nyseEarly},
	on(2005, 6, 1):   {nyseOpen, clock(15, 56)}, // communications
}

const (
	nyseOpen  = 9*time.Hour + 30*time.Minute
	nyseClose = 16 * time.Hour
	nyseEarly = 13 * time.Hour
)

// nyseHolidays are those that come back every year.
var nyseHolidays = []*cal.Holiday{
	// A New Year on Saturday closes no Friday: that one ends the year's books.
	us.NewYear.Clone(&cal.Holiday{Observed: []cal.AltDay{{Day: time.Sunday, Offset: 1}}}),
	us.MlkDay.Clone(&cal.Holiday{StartYear: 1998}),
	us.PresidentsDay,
	aa.GoodFriday,
	us.MemorialDay,
	us.Juneteenth.Clone(&cal.Holiday{StartYear: 2022}),
	us.IndependenceDay,
	us.LaborDay,
	us.ThanksgivingDay,
	us.ChristmasDay,
}

// closedIn caches the weekdays of a year without a session.
var closedIn sync.Map // int → map[time.Time]bool

func nyseClosed(date time.Time) bool {
	year := date.Year()
	days, ok := closedIn.Load(year)
	if !ok {
		closed := map[time.Time]bool{}
		for _, h := range nyseHolidays {
			// The library gives midnight of the machine's zone, or an hour
			// beside it where the clock skips midnight.
			if _, observed := h.Calc(year); !observed.IsZero() {
				closed[Date(observed.Add(12*time.Hour))] = true
			}
		}
		for _, d := range nyseClosures {
			if d.Year() == year {
				closed[d] = true
			}
		}
		days, _ = closedIn.LoadOrStore(year, closed)
	}
	return days.(map[time.Time]bool)[date]
}

func nyseHours(date time.Time) (hours, bool) {
	if w := date.Weekday(); w == time.Saturday || w == time.Sunday || nyseClosed(date) {
		return hours{}, false
	}
	if h, ok := nyseSpecial[date]; ok {
		return h, true
	}
	if nyseHalfDay(date) {
		return hours{nyseOpen, nyseEarly}, true
	}
	return hours{nyseOpen, nyseClose}, true
}

// nyseHalfDay says which sessions end at one by rule: those beside
// Independence Day, since 1995, and the day after Thanksgiving and Christmas
// Eve, since 1993.
func nyseHalfDay(date time.Time) bool {
	y, m, d := date.Date()
	w := date.Weekday()
	switch {
	case m == time.July && d == 3:
		return y >= 1995 && (w != time.Wednesday || y >= 2013)
	case m == time.July && d == 5:
		return y >= 1995 && y < 2013 && w == time.Friday
	case m == time.November:
		return y >= 1993 && w == time.Friday && d >= 23 && d <= 29
	case m == time.December && d == 24:
		return y >= 1993
	}
	return false
}
