package chat

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/score"
)

// page is an answer for a terminal that is being written.
type page struct {
	strings.Builder
	layout string // of times
}

// textOf is the answer to a command, without colours, with a line break at the end.
// about is the place that it is about; nil: none.
func textOf(c Command, about *api.About, answer any, layout string) string {
	p := &page{layout: layout}
	if c.Kind != Help {
		p.line("%s", c)
	}
	if about != nil {
		p.line("%s, last known candle %s, close %s", about.Asset, p.date(about.From), market.FormatPrice(about.LastClose))
	}
	switch a := answer.(type) {
	case *api.Forecast:
		if c.Kind == Volatility {
			p.volatility(a)
			break
		}
		p.fan(a.LastClose, a.Fan)
		p.end("", a.Fan)
	case *api.Scenario:
		p.fan(a.LastClose, a.Conditional)
		p.end("", a.Conditional)
		p.end(", given nothing", a.Unconditional)
		p.line("surprise: %.3f nats", a.Surprise)
		p.line("effective paths: %.1f", a.Effective)
	case *api.Compare:
		p.comparison(a)
		p.end("", a.Model)
		p.end(", "+a.Baseline, a.Other)
	case *api.Probability:
		p.line("P(%s) after %d candles, on %s: %.1f%% (%.1f–%.1f%% for the number of paths)", c.Event, a.Identity.Config.Horizon, p.date(a.Until), 100*a.P, 100*a.Lo, 100*a.Hi)
		if a.Exact != nil {
			p.line("by the exact density at temperature 1: %.1f%%", 100**a.Exact)
		}
	case *api.Analogues:
		p.analogues(a)
	case *api.Explain:
		p.tokens(a)
	case *api.AssetList:
		p.assets(a)
	case *api.ModelList:
		if c.Kind == Calibration {
			p.calibration(a.Models[slices.IndexFunc(a.Models, func(m api.ModelInfo) bool { return m.Name == c.Model })])
			break
		}
		p.models(a)
	}
	if c.Kind == Help {
		p.help(c.Topic)
	}
	return p.String()
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) date(t time.Time) string { return t.Format(p.layout) }

// grid lays out rows; all columns but the first are set to the right.
func (p *page) grid(rows [][]string) {
	width := []int{}
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var text strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			switch {
			case i == 0:
				text.WriteString(cell + pad)
			default:
				text.WriteString("  " + pad + cell)
			}
		}
		p.line("%s", strings.TrimRight(text.String(), " "))
	}
}

// Quantiles of [api.Levels] that tables show.
var (
	lowest  = slices.Index(api.Levels, .05)
	lower25 = slices.Index(api.Levels, .25)
	middle  = slices.Index(api.Levels, .5)
	upper75 = slices.Index(api.Levels, .75)
	highest = slices.Index(api.Levels, .95)
)

// fan shows the quantiles of some steps, and each as a bar on one scale.
func (p *page) fan(lastClose float64, f api.Fan) {
	rows := [][]string{{"step", "date", "5%", "25%", "50%", "75%", "95%", "P(up)", bars("5 to 95%")}}
	s := scaleOf(lastClose, f)
	for _, step := range f.Steps {
		if !forecast.Shown(step.Step, len(f.Steps)) {
			continue
		}
		row := []string{strconv.Itoa(step.Step), p.date(step.Time)}
		for _, q := range []int{lowest, lower25, middle, upper75, highest} {
			row = append(row, market.FormatPrice(step.Quantiles[q]))
		}
		rows = append(rows, append(row, fmt.Sprintf("%.2f", step.PUp), s.quantiles(step)))
	}
	p.grid(rows)
	for _, step := range slices.Backward(f.Steps) { // the last that has calibrated intervals
		if len(step.Intervals) > 0 {
			fmt.Fprintf(p, "calibrated at step %d:", step.Step)
			for _, v := range step.Intervals {
				fmt.Fprintf(p, "  %.0f%% %s–%s", 100*v.Level, market.FormatPrice(v.Lo), market.FormatPrice(v.Hi))
			}
			p.line("")
			return
		}
	}
}

// end sums a fan up.
func (p *page) end(of string, f api.Fan) {
	p.line("volatility over the horizon%s: %s", of, logReturn(f.Volatility))
	p.line("P(up) at its end%s: %.1f%%", of, 100*f.Steps[len(f.Steps)-1].PUp)
}

// comparison shows model and baseline under each other, step by step.
func (p *page) comparison(a *api.Compare) {
	rows := [][]string{{"step", "date", "by", "5%", "50%", "95%", "P(up)", bars("5 to 95%")}}
	s := scaleOf(a.LastClose, a.Model, a.Other)
	for i, step := range a.Model.Steps {
		if !forecast.Shown(step.Step, len(a.Model.Steps)) {
			continue
		}
		for _, one := range []struct {
			name string
			step forecast.Step
		}{{a.Identity.Checkpoint, step}, {a.Baseline, a.Other.Steps[i]}} {
			q := one.step.Quantiles
			rows = append(rows, []string{
				strconv.Itoa(step.Step), p.date(step.Time), one.name,
				market.FormatPrice(q[lowest]), market.FormatPrice(q[middle]), market.FormatPrice(q[highest]), fmt.Sprintf("%.2f", one.step.PUp), s.quantiles(one.step),
			})
		}
	}
	p.grid(rows)
	p.line("%s fitted on candles before %s", a.Baseline, p.date(a.FittedBefore))
}

func (p *page) volatility(a *api.Forecast) {
	p.line("volatility over the horizon: %s", logReturn(a.Volatility))
	p.line("per candle: %s", logReturn(a.PerCandle))
	if a.PerYear != nil {
		p.line("a year at that rate: %s", logReturn(*a.PerYear))
	}
	if a.Past != nil {
		p.line("over the last %d candles: %s", len(a.Steps), logReturn(*a.Past))
	}
}

// tokens shows them as little candles on one scale.
func (p *page) tokens(a *api.Explain) {
	s := scale{a.LastClose, a.LastClose}
	for _, t := range a.Tokens {
		s.include(t.Candle.Low, t.Candle.High)
	}
	rows := [][]string{{"token", "probability", "open", "high", "low", "close", "move", bars("low to high")}}
	shown := 0.0
	for _, t := range a.Tokens {
		c := t.Candle
		shown += t.Probability
		rows = append(rows, []string{
			strconv.Itoa(int(t.Token)), fmt.Sprintf("%.2f%%", 100*t.Probability),
			market.FormatPrice(c.Open), market.FormatPrice(c.High), market.FormatPrice(c.Low), market.FormatPrice(c.Close), move(t.Return), s.candle(c),
		})
	}
	p.grid(rows)
	p.line("entropy of the next token: %.3f nats, as of %.1f equally likely ones", a.Entropy, math.Exp(a.Entropy))
	p.line("probability of those shown: %.1f%%", 100*shown)
}

func (p *page) analogues(a *api.Analogues) {
	rows := [][]string{{"asset", "from", "to", "distance", "followed by", "until"}}
	var ends []float64
	rose, horizon := 0, 0
	for _, x := range a.Analogues {
		horizon = len(x.Returns)
		end := x.Returns[horizon-1]
		ends = append(ends, end)
		if end > 0 {
			rose++
		}
		rows = append(rows, []string{
			x.Asset, p.date(x.Window[0].Time), p.date(x.Window[len(x.Window)-1].Time),
			fmt.Sprintf("%.3f", x.Distance), move(end), p.date(x.Followed[horizon-1].Time),
		})
	}
	p.grid(rows)
	slices.Sort(ends)
	p.line("median of what followed, after %d candles: %s", horizon, move(score.Quantile(ends, .5)))
	p.line("rose: %d of %d", rose, len(ends))
}

func (p *page) models(a *api.ModelList) {
	rows := [][]string{{"model", "stage", "parameters", "interval", "fitted until", "calibrated"}}
	for _, m := range a.Models {
		until, stage, calibrated := "not known", "", "no"
		for _, r := range m.Fit {
			if text := r.Last.Format(time.DateOnly); !r.Last.IsZero() && (until == "not known" || text > until) {
				until = text
			}
		}
		if n := len(m.Stages); n > 0 {
			stage = m.Stages[n-1]
		}
		if m.Calibrated {
			calibrated = "yes"
		}
		rows = append(rows, []string{m.Name, stage, strconv.Itoa(m.Parameters), m.Interval, until, calibrated})
	}
	p.grid(rows)
}

func (p *page) assets(a *api.AssetList) {
	rows := [][]string{{"asset", "first", "last", "candles", "close", "interval"}}
	for _, x := range a.Assets {
		rows = append(rows, []string{x.Name, p.date(x.First), p.date(x.Last), strconv.Itoa(x.Candles), market.FormatPrice(x.Close), x.Interval})
	}
	p.grid(rows)
}

func (p *page) help(topic Kind) {
	w := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	for _, u := range usages {
		if topic == "" || topic == u.Kind {
			fmt.Fprintf(w, "%s\t%s\n", u.Syntax, u.Says)
		}
	}
	if topic != "" {
		fmt.Fprintf(w, "example\t%s\n", usage(topic).Example)
	}
	w.Flush() // a Builder takes everything
	if topic == "" {
		p.line("HORIZON: 20d, 1mo, 8 candles, next week. Drawing commands also take: paths N, temp T, seed N, model NAME, as of DATE.")
	}
}

func (p *page) calibration(m api.ModelInfo) {
	c := m.Calibration
	if c == nil {
		p.line("not calibrated: nothing shows how often its intervals hold; mqc calibrate does")
		return
	}
	p.line("on %s to %s, %d candles: temperature %.3f, mean log score %.4f, at temperature 1 %.4f",
		m.CalibratedOn.First.Format(time.DateOnly), m.CalibratedOn.Last.Format(time.DateOnly), c.Targets, c.Temperature, c.After, c.Before)
	rows := [][]string{{"interval of", "50%", "80%", "90%", "95%", "outcomes"}}
	row := func(name string, levels checkpoint.Levels, outcomes int) {
		cells := []string{name}
		for _, nominal := range forecast.NominalLevels {
			lo, hi := levels.At(nominal)
			cells = append(cells, fmt.Sprintf("%.1f–%.1f%%", 100*lo, 100*hi))
		}
		rows = append(rows, append(cells, strconv.Itoa(outcomes)))
	}
	if len(c.OneStep) > 0 {
		row("next return", c.OneStep, c.Targets)
	}
	for _, h := range c.Paths {
		row(fmt.Sprintf("paths after %d", h.Horizon), h.Levels, h.Origins)
	}
	p.grid(rows)
	p.line("cells are the quantiles of the forecast between which that share of the outcomes fell")
}

// barWidth is how many columns a bar has.
const barWidth = 32

// bars is the heading over bars.
func bars(text string) string { return fmt.Sprintf("%-*s", barWidth, text) }

// scale maps prices to the columns of a bar.
type scale struct{ lo, hi float64 }

func (s *scale) include(lo, hi float64) { s.lo, s.hi = min(s.lo, lo), max(s.hi, hi) }

// scaleOf is one for all fans, with the last close in it.
func scaleOf(lastClose float64, fans ...api.Fan) scale {
	s := scale{lastClose, lastClose}
	for _, f := range fans {
		for _, step := range f.Steps {
			s.include(step.Quantiles[lowest], step.Quantiles[highest])
		}
	}
	return s
}

func (s scale) column(x float64) int {
	if s.hi <= s.lo {
		return 0
	}
	return min(barWidth-1, int(float64(barWidth)*(x-s.lo)/(s.hi-s.lo)))
}

// bar draws a line from lo to hi, a body from a to b, and a mark.
func (s scale) bar(lo, a, b, hi, mark float64, body, at rune) string {
	text := []rune(strings.Repeat(" ", barWidth))
	for i := s.column(lo); i <= s.column(hi); i++ {
		text[i] = '─'
	}
	for i := s.column(a); i <= s.column(b); i++ {
		text[i] = body
	}
	if at != 0 {
		text[s.column(mark)] = at
	}
	return string(text)
}

func (s scale) quantiles(step forecast.Step) string {
	q := step.Quantiles
	return s.bar(q[lowest], q[lower25], q[upper75], q[highest], q[middle], '▒', '█')
}

// candle draws a body that is full where it rises and hollow where it falls.
func (s scale) candle(c api.Candle) string {
	body := '█'
	if c.Close < c.Open {
		body = '░'
	}
	return s.bar(c.Low, min(c.Open, c.Close), max(c.Open, c.Close), c.High, 0, body, 0)
}

// move is a log return as what it makes of a price.
func move(x float64) string { return fmt.Sprintf("%+.2f%%", 100*math.Expm1(x)) }

func logReturn(x float64) string { return fmt.Sprintf("%.2f%% of log return", 100*x) }
