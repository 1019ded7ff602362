package checkpoint

import (
	"encoding/json"
	"fmt"

	"github.com/micro-quant/mqc/gpt"
)

// Resume is everything that an interrupted run needs to go on to the same
// bits: the bundle with the last weights, the weights that it started from,
// the best so far, both AdamW moments, and the run's own state.
type Resume struct {
	Bundle  *Bundle
	Initial []float32 // layout of gpt.Model.Params, like the three below
	Best    []float32
	M, V    []float32
	Average []float32 // moving average of the weights; nil: none is kept
	State   json.RawMessage
}

const averagePrefix = "average."

// arenas pairs each set of values with the prefix of its tensors.
func (r *Resume) arenas(average bool) map[string]*[]float32 {
	a := map[string]*[]float32{
		"initial.": &r.Initial, "best.": &r.Best, "adamw.m.": &r.M, "adamw.v.": &r.V,
	}
	if average {
		a[averagePrefix] = &r.Average
	}
	return a
}

// SaveResume writes r to path as [Save] does.
func SaveResume(path string, r *Resume) error {
	h, tensors, err := r.Bundle.encode()
	if err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	h.Resume = r.State
	for prefix, arena := range r.arenas(r.Average != nil) {
		tensors = modelTensors(tensors, prefix, r.Bundle.Model, *arena)
	}
	return write(path, h, tensors)
}

// OpenResume reads what [SaveResume] wrote.
func OpenResume(path string) (*Resume, error) {
	f, h, err := read(path)
	if err != nil {
		return nil, err
	}
	r, err := decodeResume(h, f)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return r, nil
}

func decodeResume(h header, f *file) (*Resume, error) {
	if h.Resume == nil {
		return nil, fmt.Errorf("%w to resume: it is finished", ErrForeign)
	}
	b, err := decode(h, f)
	if err != nil {
		return nil, err
	}
	if b.Model == nil {
		return nil, ErrNoModel
	}
	r := &Resume{Bundle: b, State: h.Resume}
	for prefix, arena := range r.arenas(f.elements(averagePrefix) > 0) {
		*arena = make([]float32, len(b.Model.Params))
		if err := f.readModel(prefix, b.Model, *arena); err != nil {
			return nil, err
		}
	}
	return r, f.finish()
}

// OpenModel is [Open] for a file that must hold a model.
func OpenModel(path string) (*Bundle, *gpt.Model, error) {
	b, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	if b.Model == nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrNoModel, path)
	}
	return b, b.Model, nil
}
