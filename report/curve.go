package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/train"
)

// Curve is one measure of a stage over its steps.
type Curve struct {
	Measure    string    `json:"measure"`
	Validation bool      `json:"validation"` // measured on validation; else on the batch of the step
	Steps      []float64 `json:"steps"`
	Values     []float64 `json:"values"`
}

// LogPath is where the log of the run that made a checkpoint stands.
func LogPath(checkpoint string) string { return checkpoint + ".log.jsonl" }

// errOtherRun says that a log is not that of the checkpoint beside it.
var errOtherRun = errors.New("the log beside it is of another run")

// readCurves reads the log beside a checkpoint. Without one there are no curves.
func readCurves(path string, b *checkpoint.Bundle) ([]Curve, error) {
	f, err := os.Open(LogPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	defer f.Close()
	type key struct {
		measure    string
		validation bool
	}
	values := map[key]map[int]float64{} // by step
	last := train.Event{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e train.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // a line that a killed process left unfinished
		}
		last = e
		for name, v := range e.Measures {
			k := key{name, e.Kind == train.EventEval}
			if values[k] == nil {
				values[k] = map[int]float64{}
			}
			values[k][e.Step] = v // a resumed run repeats what was not saved: to the same bits
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("report: %s: %w", f.Name(), err)
	}
	if n := len(b.Lineage); n == 0 || last.Stage != b.Lineage[n-1].Stage || last.Step != b.Lineage[n-1].Steps {
		return nil, errOtherRun
	}
	keys := slices.SortedFunc(maps.Keys(values), func(a, b key) int {
		if a.validation != b.validation {
			if b.validation {
				return -1
			}
			return 1
		}
		if a.measure < b.measure {
			return -1
		}
		return 1
	})
	var curves []Curve
	for _, k := range keys {
		c := Curve{Measure: k.measure, Validation: k.validation}
		for _, step := range slices.Sorted(maps.Keys(values[k])) {
			c.Steps, c.Values = append(c.Steps, float64(step)), append(c.Values, values[k][step])
		}
		curves = append(curves, c.thin())
	}
	return curves, nil
}

// mostPoints is how many points of a curve can be told apart on a page.
const mostPoints = 300

// thin replaces runs of points by their means.
func (c Curve) thin() Curve {
	n := len(c.Steps)
	if n <= mostPoints {
		return c
	}
	out := Curve{Measure: c.Measure, Validation: c.Validation}
	for i := range mostPoints {
		lo, hi := i*n/mostPoints, (i+1)*n/mostPoints
		step, value := 0.0, 0.0
		for k := lo; k < hi; k++ {
			step += c.Steps[k] / float64(hi-lo)
			value += c.Values[k] / float64(hi-lo)
		}
		out.Steps, out.Values = append(out.Steps, step), append(out.Values, value)
	}
	return out
}
