package market

import (
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

// NextTimes continues the times of candles, of which there is at least one, by
// n, in the calendar that they follow: daily candles come on the sessions of
// [calendar.Infer], shorter ones at the times of day at which they used to come
// (see [timetable]), monthly ones on the same day of the month or at its end.
//
// No later times are asked: what the calendar does not know, such as a closure
// that nobody foresaw, is not known here.
func NextTimes(times []time.Time, interval Interval, n int) []time.Time {
	if n <= 0 {
		return nil
	}
	last := times[len(times)-1]
	next := make([]time.Time, 0, n)
	switch {
	case interval >= Month && interval%Month == 0:
		for k := range n {
			next = append(next, addMonths(times, (k+1)*int(interval/Month)))
		}
	case interval > Day:
		for len(next) < n {
			last = last.Add(time.Duration(interval))
			next = append(next, last)
		}
	case interval == Day:
		cal := calendar.Infer(times)
		clock := last.Sub(calendar.Date(last))
		for date := last; len(next) < n; {
			date = cal.NextDate(date)
			next = append(next, date.Add(clock))
		}
	default:
		next = newTimetable(times, max(time.Duration(interval), time.Second)).next(next, last, n)
	}
	return next
}

// addMonths is the last of times so many months later: at the end of the month
// where the newest two are, else on the same day, as far as the month goes.
func addMonths(times []time.Time, months int) time.Time {
	last := times[len(times)-1]
	y, m, d := last.Date()
	if monthEnd(last) && monthEnd(times[max(0, len(times)-2)]) {
		d = 31
	}
	ends := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, last.Location())
	return ends.AddDate(0, 0, min(d, ends.Day())-ends.Day()).Add(last.Sub(calendar.Date(last)))
}

func monthEnd(t time.Time) bool { return t.AddDate(0, 0, 1).Day() == 1 }
