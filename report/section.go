package report

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
)

// section is a part of the card, as HTML and Markdown show it.
type section struct {
	ID, Title string
	Verdicts  []Verdict
	Text      []string
	Charts    []chart // side by side
	Wide      []chart
	Tables    []Table
	Folded    []folded
	Code      []string
}

// folded is what a reader unfolds.
type folded struct {
	Title  string
	Tables []Table
	Code   []string
}

func (c *Card) title() string {
	names := make([]string, len(c.Models))
	for i, m := range c.Models {
		names[i] = m.Name
	}
	return fmt.Sprintf("Report on %s, %s part", strings.Join(names, ", "), partLabel(c.Data.Part))
}

// sections is the card from top to bottom. Charts are drawn for a page that can
// show them.
func (c *Card) sections(charts bool) []section {
	verdict := section{ID: "verdict", Title: "Verdict", Verdicts: c.Verdicts, Text: c.Notes}
	if len(c.Verdicts) == 0 {
		verdict.Text = append([]string{"No verdict: the densities were not scored."}, verdict.Text...)
	}
	all := []section{verdict, c.dataSection(), c.modelSection(), c.tokenizerSection(charts)}
	if charts {
		all = append(all, c.trainingSection(), c.fanSection(), c.calibrationSection())
	}
	all = append(all, c.scoreSection(), c.commandSection())
	var there []section
	for _, s := range all {
		if len(s.Verdicts)+len(s.Text)+len(s.Charts)+len(s.Wide)+len(s.Tables)+len(s.Folded)+len(s.Code) > 0 {
			there = append(there, s)
		}
	}
	return there
}

func (c *Card) dataSection() section {
	s := section{ID: "data", Title: "Data and split"}
	s.Text = append(s.Text, fmt.Sprintf("%s: training before %s, validation before %s, test from there. Scored here: the %s part.",
		c.Data.Path, dateOf(c.Data.Split.ValFrom), dateOf(c.Data.Split.TestFrom), partLabel(c.Data.Part)))
	if c.Data.Reading > 0 {
		s.Text = append(s.Text, fmt.Sprintf("This is reading number %d of the test part of %s.", c.Data.Reading, c.Models[0].Name))
	}
	t := newTable("", "asset", "candles", "from", "to", partLabel(c.Data.Part), "file", "SHA-256")
	for _, a := range c.Data.Assets {
		t.add(a.Name, a.Candles, dateOf(a.First), dateOf(a.Last), a.Targets, a.Path, short(a.SHA256))
	}
	s.Tables = []Table{*t}
	return s
}

// short is the beginning of a hash, as much as tells it from all others; the JSON of
// the card has the whole.
func short(hash string) string { return hash[:min(len(hash), 16)] }

func (c *Card) modelSection() section {
	s := section{ID: "models", Title: "Models, and what they have seen"}
	t := newTable("", "model", "layers", "channels", "heads", "context", "tokens", "parameters", "products", "candles of", "build", "checkpoint", "SHA-256")
	for _, m := range c.Models {
		t.add(m.Name, m.Config.Layers, m.Config.Embd, m.Config.Heads, m.Config.SeqLen, m.Config.Vocab, m.Parameters, m.Precision, m.Interval, m.Build, m.Path, short(m.SHA256))
	}
	s.Tables = append(s.Tables, *t)
	for _, m := range c.Models {
		s.Tables = append(s.Tables, lineage(m), ranges(m))
		recipes := folded{Title: "recipes and checkpoints behind " + m.Name}
		for _, step := range m.Lineage {
			text, err := json.MarshalIndent(step.Recipe, "", "  ")
			if err != nil {
				panic(err) // it was read from JSON
			}
			recipes.Code = append(recipes.Code, fmt.Sprintf("%s\nparent checkpoint %s\ntokens %s\n%s", step.Stage, orNone(step.Parent), step.Data, text))
		}
		s.Folded = append(s.Folded, recipes)
	}
	return s
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func lineage(m Model) Table {
	t := newTable(m.Name+": lineage", "stage", "steps", "best", "metric", "before", "after", "at the last step", "weights moved", "candles", "validated on")
	for _, s := range m.Lineage {
		t.add(s.Stage, s.Steps, s.BestStep, s.Metric, s.Before, s.After, s.Final, fmt.Sprintf("%.2g", s.Change), s.Candles, s.Validated)
	}
	for _, s := range m.Lineage {
		if s.BestStep == 0 {
			t.note("%s changed nothing: no step improved its validation metric.", s.Stage)
		} else if s.Final > s.Before {
			t.note("%s ended worse than it began: the weights are those of its best step.", s.Stage)
		}
	}
	return *t
}

// sameSpan is whether two parts were fitted on the same candles by the same stage.
func sameSpan(a, b checkpoint.Range) bool {
	b.Part = a.Part
	return reflect.DeepEqual(a, b)
}

// ranges are what a model was fitted and selected on.
func ranges(m Model) Table {
	t := newTable(m.Name+": what it has seen", "", "part", "stage", "from", "to", "assets")
	put := func(what string, ranges []checkpoint.Range) {
		for i, r := range ranges {
			if i > 0 && sameSpan(r, ranges[i-1]) {
				row := t.Rows[len(t.Rows)-1]
				row[1] += ", " + r.Part
				continue
			}
			from, to := dateOf(r.First), dateOf(r.Last)
			if r.Unbounded() {
				from, to = "unknown", "unknown"
			} else if r.First.IsZero() {
				from, to = fmt.Sprintf("token %d", r.FromIndex), fmt.Sprintf("token %d", r.ToIndex-1)
			}
			t.add(what, r.Part, r.Stage, from, to, strings.Join(r.Assets, " "))
		}
	}
	put("fit: never scored", m.Fit)
	put("selected: scored with a label", m.Selected)
	return *t
}

func (c *Card) tokenizerSection(charts bool) section {
	s := section{ID: "tokenizer", Title: "Tokenizer"}
	t := newTable("on "+partLabel(c.Data.Part), "tokenizer", "scale", "of", "codes", "used", "perplexity", "top 10", "error (mean)", "return", "body", "upper", "lower", "range", "fingerprint")
	for _, k := range c.Tokenizers {
		m := k.Stats
		t.add(k.Kind, k.Scale, strings.Join(k.Models, " "), m.Codes, m.Used, fmt.Sprintf("%.1f", m.Perplexity), Percent(m.Top10), m.MeanMSE,
			m.MSE[feature.LogReturn], m.MSE[feature.Body], m.MSE[feature.UpperWick], m.MSE[feature.LowerWick], m.MSE[feature.Range], short(k.Fingerprint))
		if charts {
			s.Wide = append(s.Wide, codesChart(k), usageChart(k, c.Data.Part))
		}
	}
	t.note("errors are shares of each feature's variance that a token loses")
	s.Tables = []Table{*t}
	return s
}

func (c *Card) trainingSection() section {
	s := section{ID: "training", Title: "Training"}
	for _, m := range c.Models {
		s.Charts = append(s.Charts, curveCharts(m)...)
	}
	return s
}

func (c *Card) fanSection() section {
	s := section{ID: "forecasts", Title: "Forecasts, and what then happened"}
	for _, f := range c.Fans {
		s.Charts = append(s.Charts, fanChart(f))
	}
	if len(c.Fans) > 0 {
		s.Text = []string{"Dates are spread evenly over the part, the assets in turn: nothing was chosen by how it looks. The model sees no candle after the date."}
	}
	return s
}

// calibrationSection has the plots of reliability and of PITs.
func (c *Card) calibrationSection() section {
	s := section{ID: "calibration", Title: "Calibration"}
	if t := c.Results.Density; t != nil {
		rows := c.ofModels(t)
		s.Charts = append(s.Charts, reliabilityChart(rows))
		for _, r := range rows {
			s.Charts = append(s.Charts, pitChart(r.Name, "the next return", r.PIT))
		}
	}
	if t := c.Results.Path; t != nil {
		for _, r := range t.Rows {
			if !c.isModel(r.Name) {
				continue
			}
			h := r.Horizons[len(r.Horizons)-1]
			s.Charts = append(s.Charts, pitChart(r.Name, "paths after "+candles(h.Horizon), h.PIT))
		}
	}
	if t := c.Results.Direction; t != nil {
		var rows []eval.DirectionRow
		for _, r := range t.Rows {
			if c.isModel(r.Name) {
				rows = append(rows, r)
			}
		}
		s.Charts = append(s.Charts, signChart(rows))
	}
	return s
}

func (c *Card) isModel(name string) bool {
	for _, m := range c.Models {
		if m.Name == name {
			return true
		}
	}
	return false
}

func (c *Card) scoreSection() section {
	s := section{ID: "scores", Title: "Scores beside the baselines"}
	for _, t := range c.Results.tables() {
		s.Tables = append(s.Tables, Lay(t)...)
	}
	if t := c.Results.Density; t != nil {
		s.Folded = append(s.Folded, folded{Title: "densities, asset by asset", Tables: layDensityAssets(t)})
	}
	return s
}

func (c *Card) commandSection() section {
	return section{
		ID: "commands", Title: "Commands", Text: []string{"The report is a function of the files and hashes above and of these commands."},
		Code: []string{strings.Join(c.Commands, "\n")},
	}
}
