package market

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

// Report says what was found in a file.
type Report struct {
	Path          string    `json:"path"`
	Symbol        string    `json:"symbol"`
	Interval      Interval  `json:"interval"`
	Rows          int       `json:"rows"`
	First         time.Time `json:"first"`
	Last          time.Time `json:"last"`
	NewestFirst   bool      `json:"newest_first"`   // the file stands in reverse order
	Widened       int       `json:"widened"`        // rows whose high or low was widened by a rounding error
	ZeroVolume    int       `json:"zero_volume"`    // rows
	MissingVolume int       `json:"missing_volume"` // rows
	Flat          int       `json:"flat"`           // rows with open = high = low = close
	MaxMove       float64   `json:"max_move"`       // largest absolute log return between closes
	MaxMoveTime   time.Time `json:"max_move_time"`
	MaxGapDays    float64   `json:"max_gap_days"` // longest time between neighbouring candles
	Gaps          Runs      `json:"gaps"`         // steps that are longer than usual there; see [FindGaps]
	Stale         Runs      `json:"stale"`        // five and more candles that repeat one price
	Idle          Runs      `json:"idle"`         // five and more candles of volume 0
	Jumps         []Jump    `json:"jumps"`        // at most 100, as those of splits and of other units
	// DayStart is when all daily candles begin in UTC, where they are instants, not at
	// midnight, and Options.Zone does not say of where: their dates are those of UTC.
	DayStart      time.Duration `json:"day_start,omitempty"` // ns
	Spikes        int           `json:"spikes"`              // rows whose high or low is far from both open and close: by more than a factor of 5
	FirstSpike    time.Time     `json:"first_spike,omitzero"`
	ProposedScale float64       `json:"proposed_scale,omitempty"`
	Changes       []Change      `json:"changes,omitempty"` // what Options.Repair and Options.Drop did
}

// Runs counts stretches of a series and shows the longest.
type Runs struct {
	Count   int `json:"count"`
	Longest Run `json:"longest,omitzero"`
}

// Run is a stretch of a series.
type Run struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Candles int       `json:"candles"` // of a gap: the missing ones, 0 for intervals below a day
}

// Jump is a move between a close and the next open that looks like no trade.
type Jump struct {
	Time  time.Time `json:"time"`
	Ratio float64   `json:"ratio"` // open / close before
	Looks string    `json:"looks"` // "split 4:1", "100× unit", "1000× unit, or …", "no trade" for any other by more than 8
}

// Action is what was done to a row.
type Action string

// The actions.
const (
	Repaired Action = "repaired"
	Dropped  Action = "dropped"
)

// Change is a row that the options changed or left out.
type Change struct {
	Line   int       `json:"line"` // in the text, header included; of Parquet, the row from 1
	Time   time.Time `json:"time"` // zero if it could not be read
	Action Action    `json:"action"`
	Field  string    `json:"field"`
	What   string    `json:"what"`
}

// describe counts what a series holds.
func (r *Report) describe(s *Series) {
	r.Symbol, r.Interval, r.Rows = s.Symbol, s.Interval, len(s.Candles)
	r.First, r.Last = s.Candles[0].Time, s.Candles[len(s.Candles)-1].Time
	for i, c := range s.Candles {
		switch {
		case math.IsNaN(c.Volume):
			r.MissingVolume++
		case c.Volume == 0:
			r.ZeroVolume++
		}
		if c.flat() {
			r.Flat++
		}
		if c.spike() {
			if r.Spikes++; r.Spikes == 1 {
				r.FirstSpike = c.Time
			}
		}
		if i == 0 {
			continue
		}
		prev := s.Candles[i-1]
		if move := math.Abs(math.Log(c.Close / prev.Close)); move > r.MaxMove && !math.IsInf(move, 0) {
			r.MaxMove, r.MaxMoveTime = move, c.Time
		}
		r.MaxGapDays = max(r.MaxGapDays, c.Time.Sub(prev.Time).Hours()/24)
		if looks := jumpLooks(prev, c); looks != "" && len(r.Jumps) < 100 {
			r.Jumps = append(r.Jumps, Jump{c.Time, c.Open / prev.Close, looks})
		}
	}
	r.Gaps = FindGaps(s)
	r.Stale = s.runs(func(i int) bool {
		return s.Candles[i].flat() && (i == 0 || s.Candles[i].Close == s.Candles[i-1].Close)
	})
	r.Idle = s.runs(func(i int) bool { return s.Candles[i].Volume == 0 })
	r.ProposedScale = proposeScale(s)
}

func (c Candle) flat() bool { return c.Open == c.High && c.High == c.Low && c.Low == c.Close }

// spike tells a high or a low that trade between open and close hardly reaches.
func (c Candle) spike() bool {
	const far = 5
	return c.High > far*max(c.Open, c.Close) || c.Low < min(c.Open, c.Close)/far
}

// runs finds stretches of at least five candles.
func (s *Series) runs(in func(i int) bool) (runs Runs) {
	const least = 5
	n := 0
	for i := range s.Candles {
		if !in(i) {
			n = 0
			continue
		}
		n++
		if n == least {
			runs.Count++
		}
		if n >= least && n > runs.Longest.Candles {
			runs.Longest = Run{s.Candles[i+1-n].Time, s.Candles[i].Time, n}
		}
	}
	return runs
}

// FindGaps finds steps between candles that are longer than the interval and
// unusual: fewer than a fifth of the steps from the same weekday and time of day
// are so long. So nights and weekends are none where the market has them, and
// halts and lost rows are. Daily candles have gaps where the calendar that they
// follow has sessions. A step is from the candle before the gap to the one after
// it.
func FindGaps(s *Series) Runs {
	if s.Interval == Day && len(s.Candles) > 0 {
		return dayGaps(s)
	}
	type slot struct {
		day time.Weekday
		at  time.Duration // since midnight
	}
	slotOf := func(t time.Time) slot {
		if s.Interval >= Week {
			return slot{}
		}
		return slot{t.Weekday(), t.Sub(t.Truncate(24 * time.Hour))}
	}
	type key struct {
		slot
		step time.Duration
	}
	// Months have 28 to 31 days.
	long := func(step time.Duration) bool { return step > time.Duration(s.Interval)+time.Duration(s.Interval)/4 }
	steps, from := map[key]int{}, map[slot]int{}
	for i := range len(s.Candles) - 1 {
		t := s.Candles[i].Time
		from[slotOf(t)]++
		if step := s.Candles[i+1].Time.Sub(t); long(step) {
			steps[key{slotOf(t), step}]++
		}
	}
	weekends := slices.ContainsFunc(s.Candles, func(c Candle) bool { return !calendar.Weekdays.IsSession(c.Time) })
	var gaps Runs
	for i := range len(s.Candles) - 1 {
		a, b := s.Candles[i].Time, s.Candles[i+1].Time
		step := b.Sub(a)
		if !long(step) {
			continue
		}
		at := slotOf(a)
		n, of := steps[key{at, step}], from[at]
		if of >= 4 && 5*n >= of || of < 4 && !weekends && onlyWeekend(a, b, s.Interval) {
			continue
		}
		gaps.Count++
		if longest := gaps.Longest; step > longest.To.Sub(longest.From) {
			gaps.Longest = Run{From: a, To: b}
			if s.Interval >= Day {
				gaps.Longest.Candles = missing(a, b, s.Interval)
			}
		}
	}
	return gaps
}

// dayGaps are the steps over sessions of the calendar that daily candles follow.
func dayGaps(s *Series) (gaps Runs) {
	dates := s.Times()
	follows := calendar.Infer(dates)
	for i := range len(dates) - 1 {
		missing := 0
		for d := follows.NextDate(dates[i]); d.Before(calendar.Date(dates[i+1])); d = follows.NextDate(d) {
			missing++
		}
		if missing == 0 {
			continue
		}
		gaps.Count++
		if missing > gaps.Longest.Candles {
			gaps.Longest = Run{From: dates[i], To: dates[i+1], Candles: missing}
		}
	}
	return gaps
}

// missing counts the candles that would fit between a and b.
func missing(a, b time.Time, interval Interval) (n int) {
	for t := a.Add(time.Duration(interval)); t.Before(b); t = t.Add(time.Duration(interval)) {
		n++
	}
	return n
}

// onlyWeekend tells a step over nothing but a weekend, for short series.
func onlyWeekend(a, b time.Time, interval Interval) bool {
	return interval <= Day && a.Weekday() == time.Friday && b.Weekday() == time.Monday && b.Sub(a) < 4*24*time.Hour
}

// unitJump is 100 or 1/100 if all prices change by about that between two
// candles, else 0.
func unitJump(a, b Candle) float64 {
	const near = 0.25 // in logarithms: a day's trade on top
	jump := math.Log(b.Open / a.Close)
	if math.Abs(math.Log(b.Close/a.Close)-jump) > near {
		return 0
	}
	switch {
	case math.Abs(jump-math.Log(100)) < near:
		return 100
	case math.Abs(jump+math.Log(100)) < near:
		return 0.01
	}
	return 0
}

// jumpLooks tells moves that trade hardly makes: by the factor of a share
// split, or of another unit, from one close to the next open.
func jumpLooks(a, b Candle) string {
	// In logarithms: a night's trade on top. A third is lost by trade, too.
	near := func(split float64) float64 { return 0.02 * math.Floor(min(split, 2)) }
	jump := math.Log(b.Open / a.Close)
	if math.Abs(jump) < math.Log(1.5)-near(1.5) || math.Abs(math.Log(b.Close/b.Open)) > math.Abs(jump)/2 {
		return ""
	}
	if unitJump(a, b) != 0 {
		return "100× unit"
	}
	for _, split := range [][2]float64{{3, 2}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1}, {10, 1}, {15, 1}, {20, 1}, {25, 1}, {30, 1}, {40, 1}, {50, 1}} {
		if math.Abs(math.Abs(jump)-math.Log(split[0]/split[1])) < near(split[0]/split[1]) {
			if jump > 0 {
				return fmt.Sprintf("split %g:%g", split[1], split[0])
			}
			return fmt.Sprintf("split %g:%g", split[0], split[1])
		}
	}
	if isThousand(math.Exp(math.Abs(jump))) {
		return "1000× unit, or a sign between thousands taken for the decimal sign"
	}
	if math.Abs(jump) > math.Log(8) {
		return "no trade"
	}
	return ""
}

// currencies that begin or end the name of a pair, and metals.
const currencies = "USD EUR GBP JPY CHF AUD CAD NZD SEK NOK DKK PLN HUF CZK TRY ZAR MXN SGD HKD CNH XAU XAG"

// proposeScale is the price of a point where it is plain that prices are whole
// points: the symbol is a pair of currencies, and all of its prices are whole
// and far above what a rate is. Otherwise 0.
func proposeScale(s *Series) float64 {
	if len(s.Symbol) < 6 {
		return 0
	}
	base, quote := strings.ToUpper(s.Symbol[:3]), strings.ToUpper(s.Symbol[3:6])
	if !strings.Contains(currencies, base) || !strings.Contains(currencies, quote) {
		return 0
	}
	scale := 1e-5
	switch {
	case base == "XAU":
		scale = 1e-2
	case quote == "JPY" || quote == "HUF" || base == "XAG":
		scale = 1e-3
	}
	for _, c := range s.Candles {
		for _, x := range [...]float64{c.Open, c.High, c.Low, c.Close} {
			if x < 10_000 || math.Abs(x-math.Round(x)) > 1e-6 {
				return 0
			}
		}
	}
	return scale
}
