package calendar

import (
	"slices"
	"strings"
	"time"
)

// How much of the past [Infer] looks at: enough to see every holiday twice, and
// to see a change of the trading week soon.
const (
	holidayMemory = 2 * 365 * day
	weekMemory    = 13 * 7 * day
)

// disagreement is the share of days on which dates may differ from a calendar
// that they are said to follow: a halted stock misses a few sessions. London
// differs from New York on 4% of the days, Tokyo on 9%.
const disagreement = .02

// Infer returns the calendar that increasing dates of daily candles follow, of
// which there is at least one: [NYSE], [Weekdays], [Always], or the days of the
// week that the newest of them have. Where nothing tells NYSE from weekdays,
// because no holiday lies between the first date and the last, it is weekdays.
func Infer(dates []time.Time) *Calendar {
	traded := tradingWeek(since(dates, weekMemory))
	switch traded {
	case [7]bool{true, true, true, true, true, true, true}:
		return Always
	case [7]bool{1: true, 2: true, 3: true, 4: true, 5: true}:
		if agree, holidays := NYSE.compare(dates); agree && holidays > 0 {
			return NYSE
		}
		return Weekdays
	}
	var names []string
	for w, is := range traded {
		if is {
			names = append(names, time.Weekday(w).String()[:3])
		}
	}
	return weekly(strings.Join(names, " "), traded)
}

// Agrees reports whether increasing dates, of which there is at least one, are
// the sessions of c, but for a few.
func (c *Calendar) Agrees(dates []time.Time) bool {
	agree, _ := c.compare(dates)
	return agree
}

// compare is [Calendar.Agrees]; holidays are the weekdays between the dates that
// are neither dates nor sessions.
func (c *Calendar) compare(dates []time.Time) (agree bool, holidays int) {
	dates = since(dates, holidayMemory)
	has := make(map[time.Time]bool, len(dates))
	for _, d := range dates {
		has[Date(d)] = true
	}
	faults := 0
	for d := Date(dates[0]); !d.After(Date(dates[len(dates)-1])); d = d.Add(day) {
		switch session := c.IsSession(d); {
		case has[d] != session:
			faults++
		case !session && Weekdays.IsSession(d):
			holidays++
		}
	}
	return faults <= int(disagreement*float64(len(dates))), holidays
}

// tradingWeek says which days of the week are dates at least every other time.
// Of a day that the dates do not reach it says what is usual.
func tradingWeek(dates []time.Time) (traded [7]bool) {
	var seen, could [7]int
	for _, d := range dates {
		seen[Date(d).Weekday()]++
	}
	for d := Date(dates[0]); !d.After(Date(dates[len(dates)-1])); d = d.Add(day) {
		could[d.Weekday()]++
	}
	often := false
	for w := range traded {
		traded[w] = seen[w] > 0 && 2*seen[w] >= could[w]
		often = often || traded[w]
	}
	for w := range traded {
		if !often { // there are gaps everywhere
			traded[w] = seen[w] > 0
		} else if could[w] == 0 {
			traded[w] = time.Sunday < time.Weekday(w) && time.Weekday(w) < time.Saturday
		}
	}
	return traded
}

// since returns the dates that are less than memory older than the newest.
func since(dates []time.Time, memory time.Duration) []time.Time {
	from := dates[len(dates)-1].Add(-memory)
	i, _ := slices.BinarySearchFunc(dates, from, time.Time.Compare)
	return dates[i:]
}
