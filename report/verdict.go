package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/forecast"
)

// alpha is the level at which a difference is said to be one.
const alpha = .05

// Evidence is the numbers that a verdict follows from.
type Evidence struct {
	Part     string // val or test
	Selected bool   // early stopping or calibration has seen the targets
	Reading  int    // of the test part, counted from 1; 0: not counted
	Targets  int
	Dates    int
	Missing  string // why baselines of volatility are not there; empty: they are

	LogScore   []eval.Gain    // in nats per candle
	Coverage   *eval.Interval // of a central interval; nil: not measured
	Calibrated bool           // Coverage is that of a calibrated interval
	Variance   []eval.Gain    // in QLIKE
	Direction  *eval.DirectionRow
	Horizon    int         // of Paths, in candles
	Paths      []eval.Gain // in CRPS of the cumulative log return
}

// Verdict is what the evidence says of one model, in words.
type Verdict struct {
	Model    string   `json:"model"`
	Headline string   `json:"headline"` // skill over the baselines, and on what dates
	Details  []string `json:"details"`
}

// Judge puts evidence into words. A difference is one where p is below .05;
// where it is not, the words are "no skill", whichever sign it has. What a model
// does not do comes before what it does.
func Judge(model string, e Evidence) Verdict {
	v := Verdict{Model: model, Headline: e.skill() + e.caveat()}
	say := func(format string, args ...any) { v.Details = append(v.Details, fmt.Sprintf(format, args...)) }
	say("%s", e.scope())
	if e.Missing != "" {
		say("GARCH-t and the pooled HAR-t could not be fitted, so nothing is said of skill over them: %s.", e.Missing)
	}
	if e.Coverage != nil {
		say("%s", coverage(*e.Coverage, e.Calibrated))
	}
	if len(e.Variance) > 0 {
		say("Variance of the next return: %s.", compare(e.Variance, 1, "QLIKE", "no gain over "))
	}
	if e.Direction != nil {
		say("%s", direction(*e.Direction))
	}
	if len(e.Paths) > 0 {
		say("Paths after %s: %s.", candles(e.Horizon), compare(e.Paths, 1e4, "bp of CRPS", "no gain over "))
	}
	return v
}

// skill is the verdict on the log score.
func (e Evidence) skill() string {
	if len(e.LogScore) == 0 {
		return "no verdict on skill: no baseline to compare with"
	}
	return compare(e.LogScore, 1, "nats per candle", "no skill over ")
}

// caveat is what a headline cannot do without.
func (e Evidence) caveat() string {
	switch {
	case e.Selected:
		return ", on dates that early stopping or calibration has seen"
	case e.Part == "val":
		return ", on validation dates"
	case e.Reading > 1:
		return fmt.Sprintf(", at reading number %d of the test part", e.Reading)
	}
	return ""
}

func (e Evidence) scope() string {
	on := fmt.Sprintf("Scored on %s of %d %s dates", candles(e.Targets), e.Dates, partLabel(e.Part))
	switch {
	case e.Selected:
		return on + ", which early stopping or calibration has seen: a choice was made on them, so this is no held-out evidence."
	case e.Part == "val":
		return on + ", which no part of the model has seen. The evidence is the test part."
	case e.Reading > 1:
		return on + fmt.Sprintf(", held out from fitting and selection, but read %d times: whoever reads them often chooses by them.", e.Reading)
	}
	return on + ", held out from fitting and selection."
}

// compare puts gains into words: losses, then what is no gain, then gains. unit
// multiplies the means; none begins what is said of a gain that is not
// significant.
func compare(gains []eval.Gain, scale float64, unit, none string) string {
	var worse, equal, better []string
	for _, g := range gains {
		size := number(scale * math.Abs(g.Test.Mean))
		switch {
		case !(g.Test.P < alpha): // NaN too: nothing to test by
			equal = append(equal, fmt.Sprintf("%s (%s)", reference(g.Over), significance(g.Test.P)))
		case g.Test.Mean > 0:
			better = append(better, fmt.Sprintf("%s by %s%s (%s)", reference(g.Over), size, unitOnce(better, unit), significance(g.Test.P)))
		default:
			worse = append(worse, fmt.Sprintf("%s by %s%s (%s)", reference(g.Over), size, unitOnce(worse, unit), significance(g.Test.P)))
		}
	}
	var clauses []string
	for _, c := range []struct {
		verb  string
		items []string
		last  string
	}{{"worse than ", worse, ", and "}, {none, equal, " or "}, {"beats ", better, ", and "}} {
		if len(c.items) > 0 {
			clauses = append(clauses, c.verb+enumerate(c.items, c.last))
		}
	}
	return strings.Join(clauses, "; ")
}

// unitOnce is the unit after the first of several numbers.
func unitOnce(before []string, unit string) string {
	if len(before) > 0 {
		return ""
	}
	return " " + unit
}

func enumerate(items []string, last string) string {
	n := len(items)
	if n == 1 {
		return items[0]
	}
	return strings.Join(items[:n-1], ", ") + last + items[n-1]
}

// reference is what a baseline is called in a sentence.
func reference(name string) string {
	switch name {
	case forecast.NamePooledHAR:
		return "the pooled HAR-t"
	case eval.NameUnigram:
		return "the " + name
	}
	return name
}

func coverage(c eval.Interval, calibrated bool) string {
	kind := ""
	if calibrated {
		kind = "calibrated "
	}
	held := fmt.Sprintf("The %s%.0f%% interval held %s of the outcomes (95%% interval %s to %s, as if they were independent)", kind, 100*c.Level, Percent(c.Share), Percent(c.Lo), Percent(c.Hi))
	switch {
	case c.Hi < c.Level:
		return held + ": too narrow."
	case c.Lo > c.Level:
		return held + ": too wide."
	}
	return held + ": nothing shows that it is wrong."
}

func direction(r eval.DirectionRow) string {
	hits, p := float64(r.Hits), float64(r.PT)
	switch {
	case r.Count == 0:
		return "Direction: the model never leans to a side."
	case !(p < alpha):
		return fmt.Sprintf("Direction: at chance (%s of the signs, Pesaran–Timmermann %s).", Percent(hits), significance(p))
	case r.PTStat < 0:
		return fmt.Sprintf("Direction: worse than chance (%s of the signs, Pesaran–Timmermann %s).", Percent(hits), significance(p))
	}
	return fmt.Sprintf("Direction: %s of the signs, more than chance if targets were independent (Pesaran–Timmermann %s); assets that share a market are not, so the test is too sure of itself.", Percent(hits), significance(p))
}

func candles(n int) string {
	if n == 1 {
		return "1 candle"
	}
	return fmt.Sprintf("%d candles", n)
}

// number is a positive number with four decimals and no zero before the point,
// or with two digits where it is smaller than that.
func number(x float64) string {
	if x > 0 && x < .0001 {
		return strconv.FormatFloat(x, 'g', 2, 64)
	}
	return strings.TrimPrefix(strconv.FormatFloat(x, 'f', 4, 64), "0")
}

// significance is a p in a sentence: two decimals, three below .1, and as many
// as show on which side of alpha it lies.
func significance(p float64) string {
	switch {
	case math.IsNaN(p):
		return "nothing to test by"
	case p < .001:
		return "p < .001"
	case p > .995:
		return "p > .99"
	}
	digits := 2
	if p < .1 {
		digits = 3
	}
	for ; ; digits++ {
		text := strconv.FormatFloat(p, 'f', digits, 64)
		if rounded, err := strconv.ParseFloat(text, 64); digits > 12 || err == nil && (rounded < alpha) == (p < alpha) {
			return "p = " + strings.TrimPrefix(text, "0")
		}
	}
}
