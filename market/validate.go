package market

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// rounding is the largest violation of low ≤ open, close ≤ high, relative to
// the price, that counts as rounding. Adjusting prices for dividends in
// floating point leaves such violations, most of them one unit in the last
// place.
const rounding = 1e-6

// Validate checks that time strictly increases, that prices are finite and
// positive, that volume is not negative, and that low ≤ open, close ≤ high. A
// high or low that is off by at most 1e-6 of the price is widened in place;
// widened counts those candles. The error shows the first larger violation and
// how many more candles have one.
func (s *Series) Validate() (widened int, err error) {
	name := s.Path
	if name == "" {
		name = s.Symbol
	}
	faults := faults{file: name}
	widened = validate(s.Candles, &faults, func(i int) string { return fmt.Sprintf("candle %d", i) })
	return widened, faults.err()
}

// validate is [Series.Validate] with the place of candle i in words of the
// caller's.
func validate(candles []Candle, faults *faults, place func(int) string) (widened int) {
	for i := range candles {
		c := &candles[i]
		if i > 0 && !c.Time.After(candles[i-1].Time) {
			faults.add(place(i), "time", "%s is not after %s", stamp(c.Time), stamp(candles[i-1].Time))
			continue
		}
		did, field, what := c.settle()
		if what != "" {
			faults.add(place(i), field, "%s", what)
			continue
		}
		if did {
			widened++
		}
	}
	return widened
}

// settle widens c by rounding errors; what is empty if c is valid afterwards.
func (c *Candle) settle() (widened bool, field, what string) {
	for _, p := range []struct {
		field string
		value float64
	}{{"open", c.Open}, {"high", c.High}, {"low", c.Low}, {"close", c.Close}} {
		switch {
		case math.IsNaN(p.value) || math.IsInf(p.value, 0):
			return false, p.field, fmt.Sprintf("%v is no finite price", p.value)
		case p.value <= 0:
			return false, p.field, fmt.Sprintf("%v is not positive", p.value)
		}
	}
	if c.Volume < 0 || math.IsInf(c.Volume, 0) { // NaN: the source has none
		return false, "volume", fmt.Sprintf("%v is no volume", c.Volume)
	}

	top, topName := c.Open, "open"
	bottom, bottomName := c.Open, "open"
	if c.Close > top {
		top, topName = c.Close, "close"
	}
	if c.Close < bottom {
		bottom, bottomName = c.Close, "close"
	}
	if c.High < top {
		if (top-c.High)/top > rounding {
			return false, "high", fmt.Sprintf("%v below %s %v", c.High, topName, top)
		}
		c.High, widened = top, true
	}
	if c.Low > bottom {
		if (c.Low-bottom)/bottom > rounding {
			return false, "low", fmt.Sprintf("%v above %s %v", c.Low, bottomName, bottom)
		}
		c.Low, widened = bottom, true
	}
	return widened, "", ""
}

// faults keeps the first fault of a file and counts the others: a bad file is
// told in one line, whatever its length.
type faults struct {
	file  string
	first string
	more  int
}

// add takes a fault of one row; place is a line number or a candle.
func (f *faults) add(place, field, format string, args ...any) {
	if f.first != "" {
		f.more++
		return
	}
	f.first = fmt.Sprintf("market: %s:%s: %s: %s", f.file, place, field, fmt.Sprintf(format, args...))
}

// err is nil without a fault.
func (f *faults) err() error {
	switch {
	case f.first == "":
		return nil
	case f.more == 0:
		return errors.New(f.first)
	case f.more == 1:
		return errors.New(f.first + " (and 1 more row at fault)")
	}
	return fmt.Errorf("%s (and %d more rows at fault)", f.first, f.more)
}

// stamp prints a time as short as it can be.
func stamp(t time.Time) string {
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339Nano)
}

// clip keeps text from a file short enough for an error.
func clip(text string) string {
	const most = 40 // bytes
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}
