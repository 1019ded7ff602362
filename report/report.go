// Package report lays out what is known of a model: the tables of eval as text,
// and the report card, one HTML, Markdown or JSON file with plots and with
// verdicts that follow from the tests of significance.
package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// Card is everything that a report says. Its JSON is the .json report; the same
// models, data and options give the same card.
type Card struct {
	Build      string      `json:"build"`    // version of the program
	Commands   []string    `json:"commands"` // that made it
	Data       Data        `json:"data"`
	Verdicts   []Verdict   `json:"verdicts"`
	Models     []Model     `json:"models"`
	Tokenizers []Tokenizer `json:"tokenizers"`
	Results    Results     `json:"results"`
	Fans       []Fan       `json:"fans"`
	Notes      []string    `json:"notes,omitempty"` // what was left out, and why
}

// Data is what the models were scored on.
type Data struct {
	Path    string        `json:"path"`
	Part    string        `json:"part"`
	Split   dataset.Split `json:"split"`
	Reading int           `json:"reading,omitempty"` // of the test part, counted from 1
	Assets  []Asset       `json:"assets"`
}

// Asset is one series of the data.
type Asset struct {
	Name    string    `json:"name"`
	Path    string    `json:"path,omitempty"`
	SHA256  string    `json:"sha256,omitempty"` // of the file
	Candles int       `json:"candles"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Targets int       `json:"targets"` // candles of the part
}

// Model is one checkpoint.
type Model struct {
	Name        string                  `json:"name"`
	Path        string                  `json:"path"`
	SHA256      string                  `json:"sha256"`
	Build       string                  `json:"build"` // of the program that wrote it
	Interval    string                  `json:"interval"`
	Config      gpt.Config              `json:"config"`
	Parameters  int                     `json:"parameters"`
	Precision   gpt.Precision           `json:"precision"`
	Split       dataset.Split           `json:"split"`
	Lineage     []checkpoint.Step       `json:"lineage"`
	Fit         []checkpoint.Range      `json:"fit"`
	Selected    []checkpoint.Range      `json:"selected"`
	Calibration *checkpoint.Calibration `json:"calibration,omitempty"`
	Curves      []Curve                 `json:"curves,omitempty"`
}

// Results are the tables of eval --level all; nil is one that was left out.
type Results struct {
	Density    *eval.DensityTable    `json:"density,omitempty"`
	Token      *eval.Table           `json:"token,omitempty"`
	Range      *eval.RangeTable      `json:"range,omitempty"`
	Volatility *eval.VolatilityTable `json:"volatility,omitempty"`
	Direction  *eval.DirectionTable  `json:"direction,omitempty"`
	Cross      *eval.CrossTable      `json:"cross-section,omitempty"`
	Path       *eval.PathTable       `json:"path,omitempty"`
}

// tables are those that are there, in the order of the report.
func (r Results) tables() (tables []any) {
	if r.Density != nil {
		tables = append(tables, r.Density)
	}
	if r.Path != nil {
		tables = append(tables, r.Path)
	}
	if r.Range != nil {
		tables = append(tables, r.Range)
	}
	if r.Volatility != nil {
		tables = append(tables, r.Volatility)
	}
	if r.Direction != nil {
		tables = append(tables, r.Direction)
	}
	if r.Cross != nil {
		tables = append(tables, r.Cross)
	}
	if r.Token != nil {
		tables = append(tables, r.Token)
	}
	return tables
}

// Source is a model of a report.
type Source struct {
	eval.Named        // under the name that it has in the tables
	Path       string // of the checkpoint; its log is looked for beside it
}

// Options are what a report says beside its models.
type Options struct {
	Build    string
	Commands []string
	Path     string // of the data
	Part     dataset.Part
	Reading  int // of the test part, counted from 1; 0: not counted
	Results  Results
	Notes    []string

	Fans    int // charts of forecasts of each model
	Horizon int // of them, in candles
	Samples int // paths of each
	Seed    uint64
}

// New gathers a report: it describes models and data, draws forecasts from dates
// of the part, and judges. The split is that of the first model, as in the tables.
func New(ctx context.Context, models []Source, series []*market.Series, o Options) (*Card, error) {
	if len(models) == 0 {
		return nil, errors.New("report: no model")
	}
	split := models[0].Bundle.Split
	c := &Card{Build: o.Build, Commands: o.Commands, Results: o.Results, Notes: o.Notes}
	c.Data = Data{Path: o.Path, Part: o.Part.String(), Split: split, Reading: o.Reading}
	for _, s := range series {
		a, err := describe(s, split, o.Part)
		if err != nil {
			return nil, err
		}
		c.Data.Assets = append(c.Data.Assets, a)
	}
	for _, m := range models {
		b := m.Bundle
		if b.Model == nil {
			return nil, fmt.Errorf("report: %s: %w", m.Path, checkpoint.ErrNoModel)
		}
		curves, err := readCurves(m.Path, b)
		if errors.Is(err, errOtherRun) {
			c.Notes = append(c.Notes, fmt.Sprintf("Training curves of %s are left out: %v.", m.Name, err))
		} else if err != nil {
			return nil, err
		}
		c.Models = append(c.Models, Model{
			Name: m.Name, Path: m.Path, SHA256: b.Hash, Build: b.Build, Interval: b.Interval,
			Config: b.Model.Config, Parameters: len(b.Model.Params), Precision: b.Precision, Split: b.Split,
			Lineage: b.Lineage, Fit: b.Fit, Selected: b.Selected, Calibration: b.Calibration, Curves: curves,
		})
		fans, err := drawFans(ctx, m, series, split, o)
		switch {
		case errors.Is(err, gpt.ErrNoLogits):
			c.Notes = append(c.Notes, fmt.Sprintf("Forecasts of %s are left out: %v.", m.Name, err))
		case err != nil:
			return nil, fmt.Errorf("report: %s: %w", m.Name, err)
		}
		c.Fans = append(c.Fans, fans...)
	}
	var err error
	if c.Tokenizers, err = describeTokenizers(models, series, split, o.Part); err != nil {
		return nil, err
	}
	c.judge()
	return c, nil
}

// describe looks at one series, and hashes its file.
func describe(s *market.Series, split dataset.Split, part dataset.Part) (Asset, error) {
	a := Asset{Name: s.Symbol, Path: s.Path, Candles: len(s.Candles)}
	if n := len(s.Candles); n > 0 {
		a.First, a.Last = s.Candles[0].Time, s.Candles[n-1].Time
	}
	from, to := partOf(s, split, part)
	a.Targets = max(0, to-max(from, 1))
	if s.Path == "" {
		return a, nil
	}
	data, err := os.ReadFile(s.Path)
	if err != nil {
		return a, fmt.Errorf("report: %w", err)
	}
	sum := sha256.Sum256(data)
	a.SHA256 = hex.EncodeToString(sum[:])
	return a, nil
}

// judge writes a verdict for every row of the densities that is a model.
func (c *Card) judge() {
	t := c.Results.Density
	if t == nil {
		return
	}
	names := map[string]bool{eval.EnsembleName(len(c.Models)): len(c.Models) > 1}
	for _, m := range c.Models {
		names[m.Name] = true
	}
	for _, r := range t.Rows {
		if !names[r.Name] {
			continue
		}
		e := Evidence{
			Part: t.Part, Selected: t.Selected, Reading: c.Data.Reading, Targets: t.Targets, Dates: t.Dates, Missing: t.Note,
			LogScore: r.Gains, Coverage: at(r.Coverage, forecast.AdaptiveLevel),
		}
		if held := at(r.Calibrated, forecast.AdaptiveLevel); held != nil {
			e.Coverage, e.Calibrated = held, true
		}
		if v := c.Results.Volatility; v != nil {
			for _, row := range v.Rows {
				if row.Name == r.Name {
					e.Variance = row.Gains
				}
			}
		}
		if d := c.Results.Direction; d != nil {
			for i := range d.Rows {
				if d.Rows[i].Name == r.Name {
					e.Direction = &d.Rows[i]
				}
			}
		}
		if p := c.Results.Path; p != nil {
			for _, row := range p.Rows {
				if row.Name == r.Name {
					last := row.Horizons[len(row.Horizons)-1]
					e.Horizon, e.Paths = last.Horizon, last.Gains
				}
			}
		}
		c.Verdicts = append(c.Verdicts, Judge(r.Name, e))
	}
	if len(c.Verdicts) > 1 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d rows are judged, each by tests of its own: where there is nothing to find, one test in forty shows a gain by chance.", len(c.Verdicts)))
	}
}

// at is the interval of a level, or nil.
func at(intervals []eval.Interval, level float64) *eval.Interval {
	for i := range intervals {
		if intervals[i].Level == level {
			return &intervals[i]
		}
	}
	return nil
}

// JSON is the card for programs, indented.
func (c *Card) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return append(text, '\n'), nil
}

// ErrNoCard says that JSON is of something else than a report card.
var ErrNoCard = errors.New("report: no report card")

// Read reads what [Card.JSON] writes. It fails with [ErrNoCard] for JSON without
// models and their hashes.
func Read(text []byte) (*Card, error) {
	var c Card
	if err := json.Unmarshal(text, &c); err != nil {
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) && other.Field == "" {
			return nil, ErrNoCard // a list, or a number
		}
		return nil, fmt.Errorf("report: %w", err)
	}
	if len(c.Models) == 0 {
		return nil, ErrNoCard
	}
	for _, m := range c.Models {
		if m.SHA256 == "" {
			return nil, ErrNoCard
		}
	}
	return &c, nil
}
