package market

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/micro-quant/mqc/market/calendar"
)

// series makes a valid series of the rows and describes it.
func (t *table) series(report *Report) (*Series, error) {
	if err := t.faults.err(len(t.candles)); err != nil {
		return nil, err
	}
	fail := func(format string, args ...any) (*Series, error) {
		return nil, fmt.Errorf("market: %s: %w", t.path, fmt.Errorf(format, args...))
	}
	if err := t.tooFew(); err != nil {
		return nil, err
	}
	if err := t.thousands(); err != nil {
		return nil, err
	}
	symbol := t.symbol
	if symbol == "" {
		symbol = symbolOf(t.path)
	}
	if err := checkSymbol(symbol); err != nil {
		return fail("%w", err)
	}

	report.NewestFirst = t.ascend()
	t.inOrder()
	interval, ok := t.interval()
	if !ok {
		t.unique() // says which
		return nil, cmp.Or(t.faults.err(len(t.candles)), t.tooFew())
	}
	if interval == 0 {
		return fail("time: the median step is shorter than a second: these are trades, not candles")
	}
	if interval >= Day {
		report.DayStart = t.toDates()
	} else {
		for i := range t.candles {
			t.candles[i].Time = t.candles[i].Time.UTC()
		}
	}
	t.scale()
	t.unique()
	report.Widened = t.settle()
	if err := t.refusal(interval); err != nil {
		return nil, err
	}
	if err := t.tooFew(); err != nil {
		return nil, err
	}
	if t.options.Repair {
		t.mendUnits()
	}
	s := &Series{Symbol: symbol, Interval: interval, Candles: t.candles, Path: t.path}
	report.describe(s)
	report.Changes = t.changes
	return s, nil
}

// thousands refuses prices that are a thousand times others beside them, where
// the decimal sign, which nobody named, could be that between thousands.
func (t *table) thousands() error {
	if !t.signs.unsure() || t.options.Decimal != "" {
		return nil
	}
	this, other := "point", "comma"
	if t.signs.sign == ',' {
		this, other = other, this
	}
	for i, c := range t.candles {
		prices := []float64{c.Open, c.High, c.Low, c.Close}
		if i > 0 {
			prices = append(prices, t.candles[i-1].Close)
		}
		if a, b := slices.Min(prices), slices.Max(prices); isThousand(b / a) {
			return fmt.Errorf("market: %s:%d: prices: %w: %v beside %v: the %s could stand between thousands, and then the %s is the decimal sign",
				t.path, t.lines[i], ErrDecimal, a, b, this, other)
		}
	}
	return nil
}

// isThousand tells a factor that is a thousand, and a day's trade on top.
func isThousand(factor float64) bool { return factor > 300 && factor < 3000 }

// tooFew refuses what is left where it makes no series: fewer than two rows, or
// fewer than were dropped of a long file.
func (t *table) tooFew() error {
	switch {
	case len(t.candles) >= 2 && !t.hopeless():
		return nil
	case t.dropped == 0:
		return fmt.Errorf("market: %s: %d rows, want at least 2", t.path, len(t.candles))
	}
	c := t.changes[slices.IndexFunc(t.changes, func(c Change) bool { return c.Action == Dropped })]
	return fmt.Errorf("market: %s: %d rows are left and %d were dropped, the first in line %d: %s: %s",
		t.path, len(t.candles), t.dropped, c.Line, c.Field, c.What)
}

// interval is that of the steps between different times.
func (t *table) interval() (interval Interval, ok bool) {
	steps := make([]time.Duration, 0, len(t.candles))
	for i := range len(t.candles) - 1 {
		if step := t.candles[i+1].Time.Sub(t.candles[i].Time); step > 0 {
			steps = append(steps, step)
		}
	}
	return medianStep(steps), len(steps) > 0
}

// ascend turns rows that stand newest first, and puts times that name no zone
// into that of the options. An hour that a clock shows twice is told apart by
// the order of the rows.
func (t *table) ascend() (turned bool) {
	up, down := 0, 0
	for i := range len(t.candles) - 1 {
		switch t.candles[i].Time.Compare(t.candles[i+1].Time) {
		case -1:
			up++
		case +1:
			down++
		}
	}
	if down > up {
		turned = true
		slices.Reverse(t.candles)
		slices.Reverse(t.lines)
		slices.Reverse(t.adjusted)
	}
	zone := t.options.Zone
	if zone == nil || t.byZone {
		return turned
	}
	for i := range t.candles {
		at := &t.candles[i].Time
		y, m, d := at.Date()
		local := time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), zone)
		if earlier := local.Add(-time.Hour); earlier.Hour() == local.Hour() { // Date takes either
			local = earlier
		}
		if i > 0 && !local.After(t.candles[i-1].Time) {
			if later := local.Add(time.Hour); later.Hour() == local.Hour() {
				local = later
			}
		}
		*at = local
	}
	return turned
}

// inOrder takes rows whose time goes back: they are sorted, left out, or faults.
// Equal times are left to unique.
func (t *table) inOrder() {
	var last time.Time
	var back []int
	for i, c := range t.candles {
		if i > 0 && c.Time.Before(last) {
			back = append(back, i)
		} else {
			last = c.Time
		}
	}
	if back == nil {
		return
	}
	unsorted := len(back) > 2 && 4*len(back) > len(t.candles)
	if doubt := t.byHabit && t.options.DateOrder == ""; unsorted && (doubt || !t.options.Repair && !t.options.Drop) {
		t.runBackwards(back)
		return
	}
	if t.options.Repair {
		for _, i := range back {
			t.repair(t.lines[i], t.candles[i].Time, "time", "moved to its place: it stood after a later time")
		}
		sort.Stable(t)
		return
	}
	latest := t.candles[0].Time
	t.keep(func(i int) bool {
		if c := t.candles[i]; c.Time.Before(latest) {
			t.fault(t.lines[i], c.Time, byRepair, "time", "%s", notAfter(c.Time, latest))
			t.seeSetBack(c.Time, latest)
			return false
		}
		latest = t.candles[i].Time
		return true
	})
}

// runBackwards takes so many rows out of order for faults that sorting them, or
// leaving them out, hides what is wrong.
func (t *table) runBackwards(back []int) {
	first := back[0]
	what := fmt.Sprintf("%s: the dates run backwards in %d of %d rows", notAfter(t.candles[first].Time, t.candles[first-1].Time), len(back), len(t.candles))
	if t.byHabit {
		what += ", of which day and month could change places"
	} else {
		what += ", so the file or its column of times may be wrong"
	}
	for _, i := range back {
		t.faults.add(strconv.Itoa(int(t.lines[i])), byNothing, "time", what)
	}
	if t.byHabit {
		t.faults.first.cause = ErrDateOrder
	}
	t.keep(func(i int) bool {
		_, isBack := slices.BinarySearch(back, i)
		return !isBack
	})
}

// toDates makes times the dates that they name. Instants in UTC that are not
// midnight there are the beginning of a day somewhere else: their dates are those of the
// zone of the options. Without one, start is the time of day that all of them have.
func (t *table) toDates() (start time.Duration) {
	clock := func(c Candle) time.Duration { return c.Time.Sub(c.Time.Truncate(24 * time.Hour)) }
	first := clock(t.candles[0])
	utc, midnight, same := t.byZone, true, true
	for _, c := range t.candles {
		utc = utc && c.Time.Location() == time.UTC
		midnight = midnight && clock(c) == 0
		same = same && clock(c) == first
	}
	elsewhere := utc && !midnight
	for i := range t.candles {
		at := &t.candles[i].Time
		if elsewhere && t.options.Zone != nil {
			*at = at.In(t.options.Zone)
		}
		*at = calendar.Date(*at)
	}
	if elsewhere && same && t.options.Zone == nil {
		return first
	}
	return 0
}

// Len, Less and Swap sort by time.
func (t *table) Len() int           { return len(t.candles) }
func (t *table) Less(i, j int) bool { return t.candles[i].Time.Before(t.candles[j].Time) }
func (t *table) Swap(i, j int) {
	t.candles[i], t.candles[j] = t.candles[j], t.candles[i]
	t.lines[i], t.lines[j] = t.lines[j], t.lines[i]
	if t.adjusted != nil {
		t.adjusted[i], t.adjusted[j] = t.adjusted[j], t.adjusted[i]
	}
}

// keep leaves out the rows that keep refuses. It is called once for each row,
// in order; rows before i may have moved, row i and those after it have not.
func (t *table) keep(keep func(i int) bool) {
	n := 0
	for i := range t.candles {
		if !keep(i) {
			continue
		}
		t.candles[n], t.lines[n] = t.candles[i], t.lines[i]
		if t.adjusted != nil {
			t.adjusted[n] = t.adjusted[i]
		}
		n++
	}
	t.candles, t.lines = t.candles[:n], t.lines[:n]
	if t.adjusted != nil {
		t.adjusted = t.adjusted[:n]
	}
}

// scale turns points into prices and adjusts prices by adjusted close / close.
func (t *table) scale() {
	if scale := t.options.Scale; scale != 0 {
		// A scale of 1e-5 divides by 1e5, which rounds as the price does.
		price := func(points float64) float64 {
			if whole := math.Round(points); math.Abs(points-whole) < 1e-6 {
				points = whole // 129587.00000000001 is noise of an earlier product
			}
			if per := math.Round(1 / scale); math.Abs(per*scale-1) < 1e-12 {
				return points / per
			}
			return points * scale
		}
		for i := range t.candles {
			c := &t.candles[i]
			c.Open, c.High, c.Low, c.Close = price(c.Open), price(c.High), price(c.Low), price(c.Close)
			if t.adjusted != nil {
				t.adjusted[i] = price(t.adjusted[i])
			}
		}
	}
	if !t.options.Adjust {
		return
	}
	t.keep(func(i int) bool {
		c := &t.candles[i]
		adjusted, raw := t.adjusted[i], c.Close
		ratio := adjusted / raw
		if !(ratio > 0) || math.IsInf(ratio, 0) || !(adjusted > 0) {
			t.fault(t.lines[i], c.Time, byDrop, "adjusted close", "%v of close %v is no ratio", adjusted, raw)
			return false
		}
		price := func(x float64) float64 {
			if x == raw {
				return adjusted // without a rounding error
			}
			return x * ratio
		}
		c.Open, c.High, c.Low, c.Close = price(c.Open), price(c.High), price(c.Low), adjusted
		return true
	})
}

// unique takes rows with the time of the row before: copies are left out by
// Repair, others by Drop.
func (t *table) unique() {
	prev := -1 // place of the last row kept, after keep has moved it
	t.keep(func(i int) bool {
		c := t.candles[i]
		if prev < 0 || c.Time.After(t.candles[prev].Time) {
			prev++
			return true
		}
		before := t.candles[prev]
		same := sameBits(c, before)
		switch {
		case same && t.options.Repair:
			t.drop(t.lines[i], c.Time, "time", fmt.Sprintf("a copy of line %d", t.lines[prev]))
		case same:
			t.fault(t.lines[i], c.Time, byRepair, "time", "%s, and the row is a copy", notAfter(c.Time, before.Time))
		default:
			t.fault(t.lines[i], c.Time, byDrop, "time", "%s", notAfter(c.Time, before.Time))
			t.seeSetBack(c.Time, before.Time)
		}
		return false
	})
}

// seeSetBack counts a time that is not after the one before, where a clock that
// was set back could show it.
func (t *table) seeSetBack(at, before time.Time) {
	if t.options.Zone == nil && !t.byZone && before.Sub(at) <= time.Hour {
		t.setBack++
	}
}

// refusal is nil without a fault.
func (t *table) refusal(interval Interval) error {
	err := t.faults.err(len(t.candles))
	if e := t.faults.first; e != nil && interval < Day && t.setBack == e.More+1 && 4*t.setBack <= e.Rows {
		e.Local, e.Repairable = true, false
	}
	return err
}

// sameBits compares what two candles at one time say.
func sameBits(a, b Candle) bool {
	return a.Open == b.Open && a.High == b.High && a.Low == b.Low && a.Close == b.Close &&
		(a.Volume == b.Volume || math.IsNaN(a.Volume) && math.IsNaN(b.Volume))
}

// settle makes every candle valid, or takes it for a fault.
func (t *table) settle() (widened int) {
	t.keep(func(i int) bool {
		c := &t.candles[i]
		did, help, field, what := c.settle()
		switch {
		case what == "":
			if did {
				widened++
			}
			return true
		case help == byRepair && t.options.Repair:
			c.mend()
			if field == "volume" {
				t.repair(t.lines[i], c.Time, field, "%s: taken for missing", what)
			} else {
				t.repair(t.lines[i], c.Time, field, "%s: high and low moved to the largest and the smallest price", what)
			}
			return true
		}
		t.fault(t.lines[i], c.Time, help, field, "%s", what)
		return false
	})
	return widened
}

// mendUnits multiplies rows back that stand in another unit, such as pence for
// pounds: all four prices jump by a hundred and later back by a hundred. A jump
// that is not taken back leaves open which side is wrong, and stays.
func (t *table) mendUnits() {
	for i := 1; i < len(t.candles); i++ {
		factor := unitJump(t.candles[i-1], t.candles[i])
		if factor == 0 {
			continue
		}
		end := i + 1
		for end < len(t.candles) && unitJump(t.candles[end-1], t.candles[end]) == 0 {
			end++
		}
		if end == len(t.candles) || unitJump(t.candles[end-1], t.candles[end])*factor != 1 {
			continue
		}
		for k := i; k < end; k++ {
			c := &t.candles[k]
			c.Open, c.High, c.Low, c.Close = c.Open/factor, c.High/factor, c.Low/factor, c.Close/factor
			t.repair(t.lines[k], c.Time, "prices", "divided by %v: a jump there and back tells another unit", factor)
		}
		i = end
	}
}
