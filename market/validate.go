package market

import (
	"fmt"
	"math"
	"strconv"
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
	faults := faults{path: name}
	for i := range s.Candles {
		c := &s.Candles[i]
		if i > 0 && !c.Time.After(s.Candles[i-1].Time) {
			faults.add("candle "+strconv.Itoa(i), byDrop, "time", notAfter(c.Time, s.Candles[i-1].Time))
			continue
		}
		did, _, field, what := c.settle()
		if what != "" {
			faults.add("candle "+strconv.Itoa(i), byDrop, field, what)
			continue
		}
		if did {
			widened++
		}
	}
	bad := 0
	if faults.first != nil {
		bad = faults.first.More + 1
	}
	return widened, faults.err(len(s.Candles) - bad)
}

func notAfter(t, before time.Time) string {
	return fmt.Sprintf("%s is not after %s", stamp(t), stamp(before))
}

// settle widens c by rounding errors; what is empty if c is valid afterwards.
func (c *Candle) settle() (widened bool, help remedy, field, what string) {
	for _, p := range []struct {
		field string
		value float64
	}{{"open", c.Open}, {"high", c.High}, {"low", c.Low}, {"close", c.Close}} {
		switch {
		case math.IsNaN(p.value) || math.IsInf(p.value, 0):
			return false, byDrop, p.field, fmt.Sprintf("%v is no finite price", p.value)
		case p.value <= 0:
			return false, byDrop, p.field, fmt.Sprintf("%v is not positive", p.value)
		}
	}
	if c.Volume < 0 || math.IsInf(c.Volume, 0) { // NaN: the source has none
		return false, byRepair, "volume", fmt.Sprintf("%v is no volume", c.Volume)
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
			return false, byRepair, "high", fmt.Sprintf("%v below %s %v", c.High, topName, top)
		}
		c.High, widened = top, true
	}
	if c.Low > bottom {
		if (c.Low-bottom)/bottom > rounding {
			return false, byRepair, "low", fmt.Sprintf("%v above %s %v", c.Low, bottomName, bottom)
		}
		c.Low, widened = bottom, true
	}
	return widened, byNothing, "", ""
}

// mend makes c valid where its prices are: the high and the low are the largest
// and the smallest of the four, and a volume that is none is missing.
func (c *Candle) mend() {
	c.High, c.Low = max(c.Open, c.High, c.Low, c.Close), min(c.Open, c.High, c.Low, c.Close)
	if c.Volume < 0 || math.IsInf(c.Volume, 0) {
		c.Volume = math.NaN()
	}
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
