// Package checkpoint keeps everything that a trained model is in one
// self-contained safetensors file: weights, tokenizer, scaler, shape, split,
// what each part was fitted on, and where it came from. docs/checkpoint.md
// describes the file for readers in other languages.
package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/tokenizer"
)

// Parts of a bundle that are fitted on data.
const (
	Weights   = "weights"
	Tokenizer = "tokenizer"
	Scaler    = "scaler"
	Emission  = "emission"
	Ranges    = "range"

	Calibrated = "calibration" // fitted on validation: its range is in Selected
)

// Range is a stretch of data that a part has seen.
type Range struct {
	Part   string   `json:"part"`
	Stage  string   `json:"stage"`
	Assets []string `json:"assets"`

	// First and Last are the dates of the first and the last candle seen,
	// both included. They are zero for a bare token file, which has no
	// dates: there Hash names the file and [FromIndex, ToIndex) its tokens.
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	Hash      string    `json:"hash,omitempty"`
	FromIndex int       `json:"from_index,omitempty"`
	ToIndex   int       `json:"to_index,omitempty"`
}

// Contains reports whether a candle at time t lies in r. Dates count for all
// assets alike: markets move together, so what was seen of one is seen of all.
func (r Range) Contains(t time.Time) bool {
	return !r.First.IsZero() && !t.Before(r.First) && !t.After(r.Last)
}

// Unbounded reports whether r has neither dates nor tokens: it is that of weights
// which another program fitted on nobody knows what.
func (r Range) Unbounded() bool { return r.First.IsZero() && r.Hash == "" }

// Step is one stage in the history of a model.
type Step struct {
	Stage     string          `json:"stage"`
	Parent    string          `json:"parent,omitempty"` // SHA-256 of the checkpoint that it started from
	Data      string          `json:"data"`             // SHA-256 of the token streams
	Recipe    json.RawMessage `json:"recipe"`
	Steps     int             `json:"steps"`     // taken
	BestStep  int             `json:"best_step"` // whose weights were kept
	Metric    string          `json:"metric"`    // name of the validation metric
	Before    float64         `json:"before"`    // its value at the start,
	After     float64         `json:"after"`     // of the weights that were kept,
	Final     float64         `json:"final"`     // and at the last step
	Change    float64         `json:"change"`    // ‖kept − start‖ / ‖start‖ of the weights
	Candles   int             `json:"candles"`   // training targets
	Validated int             `json:"validated"` // validation targets

	// All validation measures by name, Metric among them, at the start and
	// of the weights that were kept; nil in older files.
	MeasuresBefore map[string]float64 `json:"measures_before,omitempty"`
	MeasuresAfter  map[string]float64 `json:"measures_after,omitempty"`
}

// Bundle is a checkpoint in memory. A tokenizer file is a Bundle without a Model.
type Bundle struct {
	Model     *gpt.Model          // nil in a tokenizer file
	Tokenizer tokenizer.Tokenizer // nil after training on a bare token file
	Scaler    *feature.Scaler     // nil likewise
	Emission  *tokenizer.Emission // returns given tokens; nil in older files
	Ranges    *tokenizer.Emission // ranges given tokens; nil in older files, and where ranges do not vary
	Inputs    dataset.Inputs      // what the model sees beside tokens
	Split     dataset.Split
	Interval  string // of the candles, such as "1d"; empty for bare tokens

	// Precision is what the model was trained and selected at, and is run at
	// unless its user wants another.
	Precision gpt.Precision

	Calibration *Calibration // of the model's probabilities; nil: none

	Fit      []Range // what was fitted: scoring there is refused
	Selected []Range // what early stopping and calibration saw: scoring there is labelled
	Lineage  []Step  // oldest first
	Build    string  // version of the program that wrote the file

	// Hash is the SHA-256 of the file that the bundle was read from.
	Hash string
}

// Codec returns the way from candles to tokens and back, or an error where
// the bundle was trained on bare tokens.
func (b *Bundle) Codec() (dataset.Codec, error) {
	if b.Tokenizer == nil || b.Scaler == nil {
		return dataset.Codec{}, ErrNoTokenizer
	}
	return dataset.Codec{Scaler: *b.Scaler, Tokenizer: b.Tokenizer, Emission: b.Emission, Ranges: b.Ranges, Inputs: b.Inputs}, nil
}

// Runner runs the model at the bundle's precision.
func (b *Bundle) Runner() *gpt.Runner { return b.Model.Runner(b.Precision) }

// ErrNoTokenizer says that a bundle cannot read candles.
var ErrNoTokenizer = errors.New("checkpoint: trained on bare tokens: it has no tokenizer, so it cannot read or draw candles")

// ErrUnfinished says that a file holds the state of a run, which does not say
// yet what its weights were fitted on.
var ErrUnfinished = errors.New("checkpoint: an unfinished run, no checkpoint yet")

// ErrNoModel says that a file holds a tokenizer only.
var ErrNoModel = errors.New("checkpoint: holds a tokenizer, no model")

// header is the JSON under the metadata key "mqc".
type header struct {
	Version   int              `json:"version"`
	Config    *gpt.Config      `json:"config,omitempty"`
	Tokenizer *tokenizerHeader `json:"tokenizer,omitempty"`
	Scaler    *feature.Scaler  `json:"scaler,omitempty"`
	Inputs    dataset.Inputs   `json:"inputs,omitzero"`
	Split     dataset.Split    `json:"split"`
	Interval  string           `json:"interval,omitempty"`
	Precision gpt.Precision    `json:"precision,omitzero"`

	Calibration *Calibration `json:"calibration,omitempty"`

	Fit      []Range         `json:"fit"`
	Selected []Range         `json:"selected"`
	Lineage  []Step          `json:"lineage"`
	Build    string          `json:"build"`
	CRC32C   string          `json:"crc32c,omitempty"` // of the tensors, see addSum
	Resume   json.RawMessage `json:"resume,omitempty"` // the state of a run, in a resume file
}

type tokenizerHeader struct {
	Kind   string          `json:"kind"`
	Config json.RawMessage `json:"config"`
}

// version is the version of the layout. A reader refuses what is newer.
const version = 1

// maxOversize is how many times more values than it has a file may claim for
// its model: one that lacks a tensor is told which, one that lacks nearly all
// gets no memory.
const maxOversize = 4

// Prefixes of tensor names.
const (
	modelPrefix     = "model."
	tokenizerPrefix = "tokenizer."
	emissionPrefix  = "emission."
	rangePrefix     = "range."
)

// encode returns the header and the tensors of b.
func (b *Bundle) encode() (header, []tensor, error) {
	h := header{
		Version: version, Scaler: b.Scaler, Inputs: b.Inputs, Split: b.Split, Interval: b.Interval, Precision: b.Precision,
		Calibration: b.Calibration, Fit: b.Fit, Selected: b.Selected, Lineage: b.Lineage, Build: b.Build,
	}
	var tensors []tensor
	if b.Model != nil {
		h.Config = &b.Model.Config
		tensors = modelTensors(tensors, modelPrefix, b.Model, b.Model.Params)
	}
	if b.Tokenizer != nil {
		config, err := json.Marshal(b.Tokenizer.Config())
		if err != nil {
			return h, nil, fmt.Errorf("tokenizer config: %w", err)
		}
		h.Tokenizer = &tokenizerHeader{Kind: b.Tokenizer.Kind(), Config: config}
		for _, t := range b.Tokenizer.Tensors() {
			tensors = append(tensors, tensor{tokenizerPrefix + t.Name, t.Shape, t.Data})
		}
	}
	tensors = emissionTensors(tensors, emissionPrefix, b.Emission)
	tensors = emissionTensors(tensors, rangePrefix, b.Ranges)
	return h, tensors, nil
}

// emissionTensors appends the tensors of e, if there is one.
func emissionTensors(to []tensor, prefix string, e *tokenizer.Emission) []tensor {
	if e == nil {
		return to
	}
	for _, t := range e.Tensors() {
		to = append(to, tensor{prefix + t.Name, t.Shape, t.Data})
	}
	return to
}

// modelTensors appends one tensor per matrix of m, with the values of arena.
func modelTensors(to []tensor, prefix string, m *gpt.Model, arena []float32) []tensor {
	for _, t := range m.Tensors {
		to = append(to, tensor{prefix + t.Name, []int{t.Rows, t.Cols}, t.View(arena)})
	}
	return to
}

// decode builds a bundle from a header and the tensors of a file.
func decode(h header, f *file) (*Bundle, error) {
	switch {
	case h.Config == nil && h.Tokenizer == nil:
		return nil, errors.New("holds neither a model nor a tokenizer")
	case (h.Tokenizer == nil) != (h.Scaler == nil):
		return nil, errors.New("a tokenizer and its scaler come together, one of them is missing")
	}
	b := &Bundle{
		Scaler: h.Scaler, Inputs: h.Inputs, Split: h.Split, Interval: h.Interval, Precision: h.Precision,
		Calibration: h.Calibration, Fit: h.Fit, Selected: h.Selected, Lineage: h.Lineage, Build: h.Build,
	}
	if h.Scaler != nil {
		if err := h.Scaler.Validate(); err != nil {
			return nil, err
		}
		if s := h.Scaler.Season; s != nil && s.Interval.String() != h.Interval {
			return nil, fmt.Errorf("its scaler has the season of candles of %s, its interval is %q", s.Interval, h.Interval)
		}
	}
	if h.Config != nil {
		m, err := f.model(*h.Config)
		if err != nil {
			return nil, err
		}
		b.Model = m
	}
	if h.Tokenizer != nil {
		tensors, err := f.withPrefix(tokenizerPrefix)
		if err != nil {
			return nil, err
		}
		if b.Tokenizer, err = tokenizer.Load(h.Tokenizer.Kind, h.Tokenizer.Config, tensors); err != nil {
			return nil, err
		}
	}
	var err error
	if b.Emission, err = f.emission(emissionPrefix, b.Tokenizer); err != nil {
		return nil, fmt.Errorf("returns given tokens: %w", err)
	}
	if b.Ranges, err = f.emission(rangePrefix, b.Tokenizer); err != nil {
		return nil, fmt.Errorf("ranges given tokens: %w", err)
	}
	if err := b.Inputs.Validate(b.Interval); err != nil {
		return nil, err
	}
	if m := b.Model; m != nil && (m.Features != b.Inputs.Features() || !slices.Equal(m.Cond, b.Inputs.Cond())) {
		return nil, fmt.Errorf("the model takes %v conditioning values and %d features, its inputs are %v and %d", m.Cond, m.Features, b.Inputs.Cond(), b.Inputs.Features())
	}
	if b.Model != nil && b.Model.Outputs > 0 && (b.Emission == nil || b.Model.Outputs != b.Emission.Mixture().Outputs()) {
		return nil, fmt.Errorf("the model gives %d parameters of a density, and the emission that they belong to is not there or wants others", b.Model.Outputs)
	}
	if b.Model != nil && b.Tokenizer != nil && b.Model.Vocab != b.Tokenizer.Codes() {
		return nil, fmt.Errorf("the model has %d tokens, its tokenizer %d codes", b.Model.Vocab, b.Tokenizer.Codes())
	}
	if err := b.checkCalibration(); err != nil {
		return nil, err
	}
	return b, nil
}

// emission is that of a prefix, or nil where the file has none.
func (f *file) emission(prefix string, tok tokenizer.Tokenizer) (*tokenizer.Emission, error) {
	if f.elements(prefix) == 0 {
		return nil, nil
	}
	tensors, err := f.withPrefix(prefix)
	if err != nil {
		return nil, err
	}
	e, err := tokenizer.LoadEmission(tensors)
	if err != nil {
		return nil, err
	}
	if tok == nil || tok.Codes() != e.Codes() {
		return nil, fmt.Errorf("known for %d tokens, which its tokenizer has not", e.Codes())
	}
	return e, nil
}

// model builds the model of a config. Nothing is allocated that the size of
// the file does not justify.
func (f *file) model(c gpt.Config) (*gpt.Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if n := f.elements(modelPrefix); c.Parameters()/maxOversize > n {
		return nil, fmt.Errorf("the model's tensors have %d values, its config wants %d", n, c.Parameters())
	}
	m, err := gpt.Allocate(c)
	if err != nil {
		return nil, err
	}
	return m, f.readModel(modelPrefix, m, m.Params)
}
