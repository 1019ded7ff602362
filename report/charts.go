package report

import (
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/score"
	"github.com/micro-quant/mqc/train"
)

// Sizes of plots, in points.
const (
	halfWidth, height = 340, 230
	fullWidth         = 700
)

// confidence is that of intervals in plots, as in the tables.
const confidence = .95

// chart is a plot for the page.
type chart struct {
	Caption string
	SVG     template.HTML
}

// fanChart shows what was known, the forecast, and what then happened.
func fanChart(f Fan) chart {
	p := newPlot(fmt.Sprintf("%s from %s", f.Asset, dateOf(f.From)), "", "")
	n := len(f.Past)
	at := func(i int) float64 { return float64(i - n + 1) } // the last known candle is at 0
	ahead := []float64{0}
	last := f.Past[n-1].Close
	for i := range f.Median {
		ahead = append(ahead, float64(i+1))
	}
	from := func(values []float64) []float64 { return append([]float64{last}, values...) }
	for i, b := range f.Bands {
		p.Add(band(ahead, from(b.Lo), from(b.Hi), see(palette[0], []uint8{40, 60, 80}[i])))
	}
	p.Add(line(ahead, from(f.Median), palette[0], 1.2))
	var xs []float64
	for i := range n + len(f.Future) {
		xs = append(xs, at(i))
	}
	times := []time.Time{}
	all := append(append([]Bar{}, f.Past...), f.Future...)
	for _, b := range all {
		times = append(times, b.Time)
	}
	p.Add(candlesticks{xs: xs, bars: all, width: .6})
	var marks plot.ConstantTicks
	for i := 0; i < len(times); i += max(1, len(times)/4) {
		marks = append(marks, plot.Tick{Value: at(i), Label: dateOf(times[i])})
	}
	p.X.Tick.Marker = marks
	kind := "quantiles of the paths"
	if f.Calibrated {
		kind = "calibrated intervals"
	}
	return chart{
		Caption: fmt.Sprintf("%s: 50, 80 and 95%%, %s; the candles after it are what happened", f.Model, kind),
		SVG:     svg(p, halfWidth, height, fmt.Sprintf("forecast of %s by %s from %s with what happened", f.Asset, f.Model, dateOf(f.From))),
	}
}

// ofModels are the rows of densities of the models of the card.
func (c *Card) ofModels(t *eval.DensityTable) (rows []eval.DensityRow) {
	for _, r := range t.Rows {
		for _, v := range c.Verdicts {
			if v.Model == r.Name {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// reliabilityChart shows the share of returns below every twentieth quantile of
// the density, which should be its level.
func reliabilityChart(rows []eval.DensityRow) chart {
	p := newPlot("reliability of quantiles", "level of the quantile", "share of returns below, less the level")
	p.Add(line([]float64{0, 1}, []float64{0, 0}, ink, .6))
	for k, r := range rows {
		var xs, share, lo, hi []float64
		below, all := 0, sum(r.PIT)
		for b, n := range r.PIT[:len(r.PIT)-1] {
			below += n
			level := float64(b+1) / float64(len(r.PIT))
			l, h := score.Wilson(below, all, confidence)
			xs, share = append(xs, level), append(share, float64(below)/float64(all)-level)
			lo, hi = append(lo, l-level), append(hi, h-level)
		}
		p.Add(band(xs, lo, hi, see(seriesColour(k), 35)))
		curve := line(xs, share, seriesColour(k), 1.3)
		p.Add(curve)
		p.Legend.Add(r.Name, curve)
	}
	return chart{
		Caption: "next return: 0 is perfect; bands are Wilson's 95% intervals, as if outcomes were independent",
		SVG:     svg(p, halfWidth, height, "reliability of the quantiles of the next return"),
	}
}

// pitChart shows where in the forecast density returns fell: flat is perfect.
func pitChart(name, what string, counts []int) chart {
	n, bins := float64(sum(counts)), float64(len(counts))
	p := newPlot("PIT of "+what, "quantile of the forecast that happened", "density")
	var bars []plotter.XYs
	top := 0.
	for b, k := range counts {
		x, w, h := float64(b)/bins, 1/bins, float64(k)/n*bins
		top = max(top, h)
		bars = append(bars, plotter.XYs{{X: x, Y: 0}, {X: x + .94*w, Y: 0}, {X: x + .94*w, Y: h}, {X: x, Y: h}})
	}
	for _, bar := range bars {
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{bar}, Color: see(palette[0], 150)})
	}
	// A bin holds a binomial count where the forecast is right.
	wide := 1.96 * math.Sqrt((bins-1)/n)
	p.Add(band([]float64{0, 1}, []float64{1 - wide, 1 - wide}, []float64{1 + wide, 1 + wide}, see(ink, 30)))
	p.Add(line([]float64{0, 1}, []float64{1, 1}, ink, .6))
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, max(1.5, 1.1*top)
	return chart{
		Caption: name + ": flat is right, a hill is too wide, a bowl too narrow; 95% of right bars end in the grey",
		SVG:     svg(p, halfWidth, height, fmt.Sprintf("probability integral transforms of %s by %s", what, name)),
	}
}

// signChart is the reliability of P(up).
func signChart(rows []eval.DirectionRow) chart {
	p := newPlot("reliability of P(up)", "forecast", "share that rose")
	lo, hi := .45, .55
	for k, r := range rows {
		var xs, ys []float64
		for _, b := range r.Reliability {
			xs, ys = append(xs, b.Forecast), append(ys, b.Observed)
			lo, hi = min(lo, b.Forecast), max(hi, b.Forecast)
			p.Add(line([]float64{b.Forecast, b.Forecast}, []float64{b.Lo, b.Hi}, see(seriesColour(k), 140), .8))
		}
		curve := line(xs, ys, seriesColour(k), 1.3)
		p.Add(curve)
		p.Legend.Add(r.Name, curve)
	}
	p.Add(line([]float64{lo, hi}, []float64{lo, hi}, ink, .6))
	p.Y.Min, p.Y.Max = 0, 1
	return chart{
		Caption: "P(up) of the next candle: the straight line is perfect; bars are Wilson's 95% intervals",
		SVG:     svg(p, halfWidth, height, "reliability of the probability of a rise"),
	}
}

// curveCharts are the training curves of a model.
func curveCharts(m Model) (charts []chart) {
	if len(m.Lineage) == 0 {
		return nil
	}
	stage := m.Lineage[len(m.Lineage)-1].Stage
	find := func(measure string, validation bool) *Curve {
		for i := range m.Curves {
			if c := &m.Curves[i]; c.Measure == measure && c.Validation == validation {
				return c
			}
		}
		return nil
	}
	draw := func(title, y string, curves ...*Curve) {
		p := newPlot(title, "step", y)
		found := false
		for k, c := range curves {
			if c == nil {
				continue
			}
			found = true
			name, width := "training", vg.Length(.8)
			if c.Validation {
				name, width = "validation", 1.5
			}
			l := line(c.Steps, c.Values, seriesColour(k), width)
			p.Add(l)
			p.Legend.Add(name, l)
		}
		if found {
			charts = append(charts, chart{Caption: m.Name, SVG: svg(p, halfWidth, height, title+" of "+m.Name)})
		}
	}
	if stage == train.RL {
		draw(stage+": reward", "reward", find("reward", false))
		draw(stage+": KL divergence from the start", "nats per token", find("kl", false))
	} else {
		draw(stage+": loss", "nats per target", find("loss", false), find("nats", true))
	}
	draw(stage+": CRPS of free-running paths", "log return", nil, find("crps", true))
	return charts
}

// shownCodes is how many codes are drawn as candles, and codeColumns how many
// side by side.
const (
	shownCodes  = 512
	codeColumns = 32
)

// shownReach is the share of the codes whose candles are shown whole.
const shownReach = .95

// codesChart draws codes as candles, the commonest first.
func codesChart(t Tokenizer) chart {
	codes := t.Codes[:min(len(t.Codes), shownCodes)]
	var reach []float64
	for _, c := range codes {
		if c.Train > 0 {
			reach = append(reach, max(c.High/startClose-1, 1-c.Low/startClose))
		}
	}
	spread := 1e-6
	if len(reach) > 0 {
		slices.Sort(reach)
		spread = max(spread, score.Quantile(reach, shownReach)) // wilder ones are cut off
	}
	p := newPlot("", "", "")
	p.HideAxes()
	rows := (len(codes) + codeColumns - 1) / codeColumns
	k := candlesticks{width: .55}
	clamp := func(price float64) float64 { return max(-.5, min(.5, (price/startClose-1)/(2*spread))) }
	for i, c := range codes {
		base := -float64(i / codeColumns)
		k.xs = append(k.xs, float64(i%codeColumns))
		k.bars = append(k.bars, Bar{Open: base + .9*clamp(c.Open), High: base + .9*clamp(c.High), Low: base + .9*clamp(c.Low), Close: base + .9*clamp(c.Close)})
		k.faint = append(k.faint, c.Train == 0)
	}
	p.Add(k)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -.6, codeColumns-.4, -float64(rows)+.4, .6
	return chart{
		Caption: fmt.Sprintf("%d of %d codes of %s as candles after one close at the volatility of training, the commonest first; faint ones never occurred in training", len(codes), len(t.Codes), t.Kind),
		SVG:     svg(p, fullWidth, vg.Length(26*rows+8), "codes of the tokenizer as candles"),
	}
}

// usageChart shows how often codes occur, in training and in the part.
func usageChart(t Tokenizer, part string) chart {
	p := newPlot("usage of codes", "code, the commonest in training first", "share of candles")
	var xs, trained, now []float64
	all, here := 0, 0
	for _, c := range t.Codes {
		all, here = all+c.Train, here+c.Part
	}
	for i, c := range t.Codes {
		xs = append(xs, float64(i+1))
		trained, now = append(trained, float64(c.Train)/float64(max(1, all))), append(now, float64(c.Part)/float64(max(1, here)))
	}
	for k, l := range []struct {
		name   string
		ys     []float64
		colour color.NRGBA
	}{{partLabel(part), now, see(palette[1], 170)}, {"training", trained, palette[0]}} {
		curve := line(xs, l.ys, l.colour, vg.Length(.7+.8*float64(k)))
		p.Add(curve)
		p.Legend.Add(l.name, curve)
	}
	p.Y.Min = 0
	return chart{
		Caption: fmt.Sprintf("%d of %d codes occur in %s, as many as %.0f used evenly", t.Stats.Used, t.Stats.Codes, partLabel(part), t.Stats.Perplexity),
		SVG:     svg(p, fullWidth, height, "how often codes occur"),
	}
}

func sum(counts []int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

// dateOf is a date, with the time of day where it has one.
func dateOf(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format("2006-01-02")
	}
	return t.Format("2006-01-02 15:04")
}
