package market

import (
	"slices"
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

// timetable says when candles shorter than a day begin.
//
// It is the regular hours of NYSE where candles fill them, half days included,
// whether the file has instants or the clock of New York without a zone. Else it
// is, for each day of the week, the times of day, in UTC, that at least half of
// those days had in the newest four weeks; a change of the clock is not
// foreseen. Where there is no such habit, candles follow each other at their
// interval on the days of the calendar.
type timetable struct {
	calendar *calendar.Calendar
	zone     *time.Location     // of the times of day
	clocks   [7][]time.Duration // times of day by weekday, increasing; none: every step
	step     time.Duration
	regular  bool // no candle after the session closes
	atEnd    bool // candles are named by the time at which they end
}

// tableMemory is how far back the times of day are looked at.
const tableMemory = 28 * 24 * time.Hour

func newTimetable(times []time.Time, step time.Duration) timetable {
	var dates []time.Time
	var days []habit
	for _, zone := range []*time.Location{calendar.NYSE.Zone(), time.UTC} {
		dates, days = habitsOf(times, zone)
		if t, ok := regularHours(dates, days, step, zone); ok {
			return t
		}
	}
	t := timetable{calendar: calendar.Infer(dates), zone: time.UTC, step: step}
	all := usual(days)
	if len(all) == 0 {
		return t
	}
	for w := range t.clocks {
		var same []habit
		for _, d := range days {
			if int(d.weekday) == w {
				same = append(same, d)
			}
		}
		if t.clocks[w] = usual(same); len(t.clocks[w]) == 0 {
			t.clocks[w] = all
		}
	}
	return t
}

// regularHours is the timetable of candles that fill the sessions of NYSE; the
// clock of zone, on which they have habits, is taken for that of New York.
func regularHours(dates []time.Time, days []habit, step time.Duration, zone *time.Location) (timetable, bool) {
	const open, closing = 9*time.Hour + 30*time.Minute, 16 * time.Hour
	clocks := usual(days)
	if len(clocks) == 0 || clocks[0] < open || clocks[0] > open+step {
		return timetable{}, false
	}
	for i := 1; i < len(clocks); i++ {
		if clocks[i]-clocks[i-1] > step {
			return timetable{}, false
		}
	}
	last := clocks[len(clocks)-1]
	if last > closing || last+step < closing || !calendar.NYSE.Agrees(dates) {
		return timetable{}, false
	}
	t := timetable{calendar: calendar.NYSE, zone: zone, step: step, regular: true, atEnd: last == closing}
	for w := range t.clocks {
		t.clocks[w] = clocks
	}
	return t, true
}

// next appends times after the last known one until there are n.
func (t timetable) next(times []time.Time, last time.Time, n int) []time.Time {
	last = last.In(t.zone)
	if len(t.clocks[0]) == 0 {
		for len(times) < n {
			if last = last.Add(t.step); t.calendar.IsSession(last) {
				times = append(times, last)
			}
		}
		return times
	}
	for date := calendar.Date(last); len(times) < n; date = t.calendar.NextDate(date) {
		session, ok := t.calendar.Session(date)
		if !ok {
			continue // a candle where no session was
		}
		closing := 24 * time.Hour
		if t.regular {
			closing = clockOf(session.Close)
		}
		for _, clock := range t.clocks[date.Weekday()] {
			at := atClock(date, clock, t.zone)
			if clock < closing || clock == closing && t.atEnd {
				if at.After(last) && len(times) < n {
					times = append(times, at.UTC())
				}
			}
		}
	}
	return times
}

// habit is a day and the times of day that its candles have.
type habit struct {
	weekday time.Weekday
	clocks  []time.Duration
}

// habitsOf groups times by their date in a zone. Of the newest ones it gives the
// times of day, without the first and the last day, which may be cut.
func habitsOf(times []time.Time, zone *time.Location) (dates []time.Time, days []habit) {
	from := times[len(times)-1].Add(-tableMemory)
	for i := 0; i < len(times); {
		date := calendar.Date(times[i].In(zone))
		dates = append(dates, date)
		n, _ := slices.BinarySearchFunc(times[i:], atClock(date, 24*time.Hour, zone), time.Time.Compare)
		if times[i].After(from) && i > 0 && i+n < len(times) {
			d := habit{weekday: date.Weekday()}
			for _, t := range times[i : i+n] {
				d.clocks = append(d.clocks, clockOf(t.In(zone)))
			}
			days = append(days, d)
		}
		i += n
	}
	return dates, days
}

// usual returns the times of day that at least half of some days have.
func usual(days []habit) (clocks []time.Duration) {
	count := map[time.Duration]int{}
	for _, d := range days {
		for _, c := range d.clocks {
			count[c]++
		}
	}
	for c, n := range count {
		if 2*n >= len(days) {
			clocks = append(clocks, c)
		}
	}
	slices.Sort(clocks)
	return clocks
}

// clockOf is the time since midnight that the clock shows.
func clockOf(t time.Time) time.Duration {
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(t.Nanosecond())
}

// atClock is the instant at which the clock of a zone shows so long since the
// midnight of a date.
func atClock(date time.Time, clock time.Duration, zone *time.Location) time.Time {
	y, m, d := date.Date()
	return time.Date(y, m, d, 0, 0, int(clock/time.Second), int(clock%time.Second), zone)
}
