package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours of plots. Each stands for a variable of the style sheet, which has one
// value for a light page and one for a dark one: its blue tells which, a multiple of
// shadeStep and a half, since rounding moves the blue of a colour that one sees
// through.
var (
	variables = []string{"ink", "faint", "up", "down", "s0", "s1", "s2", "s3", "s4"}

	ink, faint, rising, fallen = shade(0), shade(1), shade(2), shade(3)
	palette                    = []color.NRGBA{shade(4), shade(5), shade(6), shade(7), shade(8)}

	shades = regexp.MustCompile(`#0000([0-9A-F]{2})`)
	fonts  = "font-family:Liberation Sans;font-variant:normal;font-weight:normal;font-style:normal;"
)

const shadeStep = 16

// shade is the colour that stands for a variable.
func shade(i int) color.NRGBA { return color.NRGBA{0, 0, uint8(shadeStep*i + shadeStep/2), 0xff} }

// restyle puts variables in the place of colours.
func restyle(svg string) string {
	svg = shades.ReplaceAllStringFunc(svg, func(hex string) string {
		blue, err := strconv.ParseUint(hex[len("#0000"):], 16, 8)
		if err != nil {
			panic(err) // it matched
		}
		return "var(--" + variables[blue/shadeStep] + ")"
	})
	return strings.ReplaceAll(svg, fonts, "")
}

// seriesColour is that of the i-th of several curves.
func seriesColour(i int) color.NRGBA { return palette[i%len(palette)] }

// see is a colour through which one sees what lies below.
func see(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// newPlot is an empty plot in the style of the page.
func newPlot(title, x, y string) *plot.Plot {
	sans := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11}
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font, p.Title.Padding = sans, 6
	p.Legend.TextStyle.Font, p.Legend.Top = sans, true
	p.Legend.TextStyle.Font.Size, p.Legend.Padding, p.Legend.ThumbnailWidth = 9, 2, 14
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font, a.Tick.Label.Font = sans, sans
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 10, 9
		a.LineStyle.Color, a.Tick.LineStyle.Color = faint, faint
	}
	return p
}

// rightMargin is the room beside a plot, in points.
const rightMargin = 10

// svg draws a plot for the inside of a page. label says what it shows to those
// who cannot see it.
func svg(p *plot.Plot, width, height vg.Length, label string) template.HTML {
	canvas := vgsvg.NewWith(vgsvg.UseWH(width, height))
	// The label of the last tick is wider than what it marks.
	p.Draw(draw.Crop(draw.New(canvas), 0, -rightMargin, 0, 0))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		panic(err) // a buffer takes everything
	}
	text := b.String()
	text = text[strings.Index(text, "<g "):] // its own head names other hosts
	head := fmt.Sprintf(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width.Points(), height.Points(), html.EscapeString(label))
	return template.HTML(head + restyle(text))
}

// line is a curve; points that are not finite are left out.
func line(xs, ys []float64, c color.Color, width vg.Length) *plotter.Line {
	l := &plotter.Line{LineStyle: draw.LineStyle{Color: c, Width: width}}
	for i := range xs {
		if y := ys[i]; !math.IsNaN(y) && !math.IsInf(y, 0) {
			l.XYs = append(l.XYs, plotter.XY{X: xs[i], Y: y})
		}
	}
	return l
}

// band is the area between two curves.
func band(xs, lo, hi []float64, c color.Color) *plotter.Polygon {
	var edge plotter.XYs
	for i := range xs {
		edge = append(edge, plotter.XY{X: xs[i], Y: hi[i]})
	}
	for i := len(xs) - 1; i >= 0; i-- {
		edge = append(edge, plotter.XY{X: xs[i], Y: lo[i]})
	}
	return &plotter.Polygon{XYs: []plotter.XYs{edge}, Color: c}
}

// candlesticks are candles at given places. All of one colour are one path of
// the file.
type candlesticks struct {
	xs    []float64
	bars  []Bar
	width float64 // of a body, in units of x
	faint []bool  // drawn without emphasis; nil: none
}

// Plot draws the candles.
func (k candlesticks) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	paths := map[color.NRGBA]*[2]vg.Path{} // bodies and wicks
	colours := []color.NRGBA{rising, fallen, see(rising, 70), see(fallen, 70)}
	for _, colour := range colours {
		paths[colour] = &[2]vg.Path{}
	}
	for i, b := range k.bars {
		colour := rising
		if b.Close < b.Open {
			colour = fallen
		}
		if k.faint != nil && k.faint[i] {
			colour.A = 70
		}
		body, wicks := &paths[colour][0], &paths[colour][1]
		left, right, middle := toX(k.xs[i]-k.width/2), toX(k.xs[i]+k.width/2), toX(k.xs[i])
		top, bottom := toY(max(b.Open, b.Close)), toY(min(b.Open, b.Close))
		if top-bottom < .5 {
			top, bottom = top+.25, bottom-.25 // a body without height is seen too
		}
		body.Move(vg.Point{X: left, Y: bottom})
		body.Line(vg.Point{X: right, Y: bottom})
		body.Line(vg.Point{X: right, Y: top})
		body.Line(vg.Point{X: left, Y: top})
		body.Close()
		wicks.Move(vg.Point{X: middle, Y: toY(b.High)})
		wicks.Line(vg.Point{X: middle, Y: top})
		wicks.Move(vg.Point{X: middle, Y: bottom})
		wicks.Line(vg.Point{X: middle, Y: toY(b.Low)})
	}
	for _, colour := range colours {
		if len(paths[colour][0]) == 0 {
			continue
		}
		c.SetColor(colour)
		c.Fill(paths[colour][0])
		c.SetLineWidth(.7)
		c.Stroke(paths[colour][1])
	}
}

// DataRange is the range of places and prices.
func (k candlesticks) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i, b := range k.bars {
		xmin, xmax = min(xmin, k.xs[i]-k.width/2), max(xmax, k.xs[i]+k.width/2)
		ymin, ymax = min(ymin, b.Low), max(ymax, b.High)
	}
	return xmin, xmax, ymin, ymax
}
