package chat

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// Text is the answer for a terminal, without colours, with a line break at the end.
func (a *Answer) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if a.Kind != Help {
		line("%s", a.Command)
	}
	if !a.From.IsZero() {
		line("%s, last known candle %s, close %s", a.State.Asset, a.From.Format(a.interval.Layout()), market.FormatPrice(a.LastClose))
	}
	switch {
	case a.Baseline != nil:
		a.comparison(&b)
	case len(a.Steps) > 0:
		a.fan(&b)
	case len(a.Tokens) > 0:
		a.candles(&b)
	case len(a.Analogues) > 0:
		a.stretches(&b)
	case len(a.Models) > 0:
		a.models(&b)
	case len(a.Assets) > 0:
		a.assets(&b)
	case len(a.Usages) > 0:
		a.help(&b)
	case a.Quality != nil && a.Quality.Is != nil:
		a.calibration(&b)
	}
	for _, f := range a.Fields {
		line("%s: %s", f.Name, f.text())
	}
	for _, w := range a.Warnings {
		line("! %s", w)
	}
	if a.Call != nil {
		line("API: %s", a.Call)
	}
	return b.String()
}

func (f Field) text() string {
	x := float64(f.Value)
	switch f.Unit {
	case UnitShare:
		text := fmt.Sprintf("%.1f%%", 100*x)
		if f.Lo != nil {
			text += fmt.Sprintf(" (%.1f–%.1f%% for the number of paths)", 100**f.Lo, 100**f.Hi)
		}
		return text
	case UnitLogReturn:
		return fmt.Sprintf("%.2f%% of log return", 100*x)
	case UnitMove:
		return move(x)
	case UnitNats:
		return fmt.Sprintf("%.3f nats", x)
	}
	return strings.TrimSpace(fmt.Sprintf("%.1f %s", x, f.Unit))
}

// grid lays out rows; all columns but the first are set to the right.
func grid(b *strings.Builder, rows [][]string) {
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
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
}

// Quantiles of [Levels] by what they are in a bar.
const (
	lowest = iota
	lower25
	middle
	upper75
	highest
)

// fan shows the quantiles of some steps, and each as a bar on one scale.
func (a *Answer) fan(b *strings.Builder) {
	rows := [][]string{{"step", "date", "5%", "25%", "50%", "75%", "95%", "P(up)", bars("5 to 95%")}}
	s := a.scale(a.Steps)
	for _, step := range a.Steps {
		if !forecast.Shown(step.Step, len(a.Steps)) {
			continue
		}
		row := []string{strconv.Itoa(step.Step), step.Time.Format(a.interval.Layout())}
		for _, q := range step.Quantiles {
			row = append(row, market.FormatPrice(q))
		}
		rows = append(rows, append(row, fmt.Sprintf("%.2f", step.PUp), s.quantiles(step)))
	}
	grid(b, rows)
	a.intervals(b)
}

// intervals shows the calibrated ones of the last step that has some.
func (a *Answer) intervals(b *strings.Builder) {
	for i := len(a.Steps) - 1; i >= 0; i-- {
		if len(a.Steps[i].Intervals) == 0 {
			continue
		}
		fmt.Fprintf(b, "calibrated at step %d:", a.Steps[i].Step)
		for _, v := range a.Steps[i].Intervals {
			fmt.Fprintf(b, "  %.0f%% %s–%s", 100*v.Level, market.FormatPrice(v.Lo), market.FormatPrice(v.Hi))
		}
		b.WriteByte('\n')
		return
	}
}

// comparison shows model and baseline under each other, step by step.
func (a *Answer) comparison(b *strings.Builder) {
	rows := [][]string{{"step", "date", "by", "5%", "50%", "95%", "P(up)", bars("5 to 95%")}}
	s := a.scale(a.Steps, a.Baseline.Steps)
	for i, step := range a.Steps {
		if !forecast.Shown(step.Step, len(a.Steps)) {
			continue
		}
		for _, one := range []struct {
			name string
			step forecast.Step
		}{{a.State.Model, step}, {a.Baseline.Name, a.Baseline.Steps[i]}} {
			q := one.step.Quantiles
			rows = append(rows, []string{
				strconv.Itoa(step.Step), step.Time.Format(a.interval.Layout()), one.name,
				market.FormatPrice(q[lowest]), market.FormatPrice(q[middle]), market.FormatPrice(q[highest]), fmt.Sprintf("%.2f", one.step.PUp), s.quantiles(one.step),
			})
		}
	}
	grid(b, rows)
	fmt.Fprintf(b, "%s fitted on candles before %s\n", a.Baseline.Name, a.Baseline.Before.Format(a.interval.Layout()))
}

// candles shows tokens as little candles on one scale.
func (a *Answer) candles(b *strings.Builder) {
	s := scale{a.LastClose, a.LastClose}
	for _, t := range a.Tokens {
		s.include(t.Candle.Low, t.Candle.High)
	}
	rows := [][]string{{"token", "probability", "open", "high", "low", "close", "move", bars("low to high")}}
	for _, t := range a.Tokens {
		c := t.Candle
		rows = append(rows, []string{
			strconv.Itoa(int(t.Token)), fmt.Sprintf("%.2f%%", 100*t.Probability),
			market.FormatPrice(c.Open), market.FormatPrice(c.High), market.FormatPrice(c.Low), market.FormatPrice(c.Close), move(c.Close/a.LastClose - 1), s.candle(c),
		})
	}
	grid(b, rows)
}

func (a *Answer) stretches(b *strings.Builder) {
	rows := [][]string{{"asset", "from", "to", "distance", "followed by", "until"}}
	for _, x := range a.Analogues {
		rows = append(rows, []string{
			x.Asset, x.Window[0].Time.Format(a.interval.Layout()), x.Window[len(x.Window)-1].Time.Format(a.interval.Layout()),
			fmt.Sprintf("%.3f", x.Distance), move(math.Expm1(x.Returns[len(x.Returns)-1])), x.Followed[len(x.Followed)-1].Time.Format(a.interval.Layout()),
		})
	}
	grid(b, rows)
}

func (a *Answer) models(b *strings.Builder) {
	rows := [][]string{{"model", "stage", "parameters", "interval", "fitted until", "calibrated"}}
	for _, m := range a.Models {
		until := "not known"
		for _, r := range m.Fit {
			if text := r.Last.Format(time.DateOnly); !r.Last.IsZero() && (until == "not known" || text > until) {
				until = text
			}
		}
		calibrated := "no"
		if m.Calibrated {
			calibrated = "yes"
		}
		rows = append(rows, []string{m.Name, m.Stage, strconv.Itoa(m.Parameters), m.Interval, until, calibrated})
	}
	grid(b, rows)
}

func (a *Answer) assets(b *strings.Builder) {
	rows := [][]string{{"asset", "first", "last", "candles", "close", "interval"}}
	for _, x := range a.Assets {
		rows = append(rows, []string{x.Symbol, x.First.Format(a.interval.Layout()), x.Last.Format(a.interval.Layout()), strconv.Itoa(x.Candles), market.FormatPrice(x.Close), x.Every.String()})
	}
	grid(b, rows)
}

func (a *Answer) help(b *strings.Builder) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, u := range a.Usages {
		fmt.Fprintf(w, "%s\t%s\n", u.Syntax, u.Says)
		if len(a.Usages) == 1 {
			fmt.Fprintf(w, "example\t%s\n", u.Example)
		}
	}
	w.Flush() // a Builder takes everything
	if len(a.Usages) > 1 {
		b.WriteString("HORIZON: 20d, 1mo, 8 candles, next week. Drawing commands also take: paths N, temp T, seed N, model NAME, as of DATE.\n")
	}
}

func (a *Answer) calibration(b *strings.Builder) {
	c, on := a.Quality.Is, a.Quality.On
	fmt.Fprintf(b, "on %s to %s, %d candles: temperature %.3f, mean log score %.4f, at temperature 1 %.4f\n",
		on.First.Format(time.DateOnly), on.Last.Format(time.DateOnly), c.Targets, c.Temperature, c.After, c.Before)
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
	for _, p := range c.Paths {
		row(fmt.Sprintf("paths after %d", p.Horizon), p.Levels, p.Origins)
	}
	grid(b, rows)
	b.WriteString("cells are the quantiles of the forecast between which that share of the outcomes fell\n")
}

// barWidth is how many columns a bar has.
const barWidth = 32

// bars is the heading over bars.
func bars(text string) string { return fmt.Sprintf("%-*s", barWidth, text) }

// scale maps prices to the columns of a bar.
type scale struct{ lo, hi float64 }

func (s *scale) include(lo, hi float64) { s.lo, s.hi = min(s.lo, lo), max(s.hi, hi) }

// scale is one for all steps, with the last close in it.
func (a *Answer) scale(all ...[]forecast.Step) scale {
	s := scale{a.LastClose, a.LastClose}
	for _, steps := range all {
		for _, step := range steps {
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
func (s scale) candle(c Candle) string {
	body := '█'
	if c.Close < c.Open {
		body = '░'
	}
	return s.bar(c.Low, min(c.Open, c.Close), max(c.Open, c.Close), c.High, 0, body, 0)
}

func move(x float64) string { return fmt.Sprintf("%+.2f%%", 100*x) }
