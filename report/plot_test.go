package report

import (
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

// Every colour stands for its variable, however much one sees through it.
func TestColoursBecomeVariables(t *testing.T) {
	for i, name := range variables {
		for alpha := 20; alpha <= 255; alpha++ {
			p := newPlot("", "", "")
			p.HideAxes()
			p.Add(band([]float64{0, 1}, []float64{0, 0}, []float64{1, 1}, see(shade(i), uint8(alpha))))
			text := string(svg(p, vg.Length(100), vg.Length(50), "band"))
			if !strings.Contains(text, "fill:var(--"+name+")") || strings.Contains(text, "#0000") {
				t.Fatalf("%s at %d of 255 becomes %s", name, alpha, text)
			}
		}
	}
}
