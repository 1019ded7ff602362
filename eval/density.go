package eval

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/score"
)

// DensityTable scores densities of the log return of the next candle, of all
// models and baselines on the same targets.
type DensityTable struct {
	Part     string       `json:"part"`
	Targets  int          `json:"targets"`
	Dates    int          `json:"dates"`
	Selected bool         `json:"selected"` // early stopping or calibration has seen these targets
	Best     string       `json:"best"`     // the baseline that was best on validation
	Lag      int          `json:"lag"`      // autocovariances in the tests of the gains
	Rows     []DensityRow `json:"rows"`
}

// DensityRow is one model or baseline.
type DensityRow struct {
	Name     string       `json:"name"`
	Note     string       `json:"note,omitempty"`
	LogScore float64      `json:"log_score"` // mean ln p(r), in nats per candle; more is better
	CRPS     float64      `json:"crps"`      // mean, of log returns; less is better
	Coverage []Interval   `json:"coverage"`  // of central intervals
	KS       float64      `json:"ks"`        // largest distance of the distribution of PITs from the uniform
	Risk     []Risk       `json:"risk"`
	Gains    []Gain       `json:"gains"`
	Assets   []AssetScore `json:"assets"`
}

// Interval is how often returns fell into central intervals.
type Interval struct {
	Level float64 `json:"level"`
	Share float64 `json:"share"`
	Lo    float64 `json:"lo"` // Wilson's interval of the share, 95%
	Hi    float64 `json:"hi"`
}

// Risk is the lower tail: how often a return fell below the value at risk.
type Risk struct {
	Level  float64      `json:"level"`
	Share  float64      `json:"share"`
	Kupiec score.Number `json:"kupiec_p"` // Kupiec 1995, as if all targets were independent
	FZ0    score.Number `json:"fz0"`      // mean joint loss of value at risk and expected shortfall (Patton et al. 2019)
}

// Gain is the log score over that of another row, tested by date.
type Gain struct {
	Over string     `json:"over"`
	Test score.Test `json:"test"`
}

// AssetScore is what a row scored on one asset.
type AssetScore struct {
	Name           string       `json:"name"`
	Targets        int          `json:"targets"`
	LogScore       float64      `json:"log_score"`
	Coverage90     float64      `json:"coverage_90"`
	Christoffersen score.Number `json:"christoffersen_p"` // of the 5% value at risk, conditional coverage (1998)
}

// Levels of the tables.
var (
	coverageLevels = []float64{.5, .8, .9, .95}
	riskLevels     = []float64{.01, .05}
)

// significanceLag is how many dates a gain is taken to be correlated with: two
// weeks of trading.
const significanceLag = 10

// confidence is that of the intervals of a table.
const confidence = .95

// DensityOptions say what stands beside the models.
type DensityOptions struct {
	Baselines []string // of forecast.BaselineNames; nil: all
}

// law is a model or a baseline: a density for every target.
type law struct {
	name, note string
	baseline   bool
	at         func(stream, index int) density.Density
}

// target is a candle whose return is scored.
type target struct{ stream, index int }

// Densities scores models and baselines on every target of a part. Several
// models have a row for the mean of their probabilities too. It refuses targets
// that a model was fitted on. The split is that of the first model.
func Densities(ctx context.Context, models []Named, series []*market.Series, part dataset.Part, o DensityOptions) (*DensityTable, error) {
	if len(models) == 0 {
		return nil, fmt.Errorf("eval: no model to score")
	}
	split := models[0].Bundle.Split
	t := &DensityTable{Part: part.String(), Lag: significanceLag}

	laws, err := baselineLaws(series, split.ValFrom, o)
	if err != nil {
		return nil, err
	}
	streams, own, err := t.modelLaws(ctx, models, series, part)
	if err != nil {
		return nil, err
	}
	if t.Best, err = bestBaseline(laws, streams); err != nil {
		return nil, err
	}
	laws = append(laws, own...)

	targets, returns, dates := targetsOf(streams, part)
	if len(targets) == 0 {
		return nil, fmt.Errorf("eval: the %s part has no candles", part)
	}
	t.Targets = len(targets)
	t.Dates = countDates(dates)
	scores := make([]densityScores, len(laws))
	for i, l := range laws {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		scores[i] = scoreLaw(l, targets, returns)
	}
	for i, l := range laws {
		row := scores[i].row(l, targets, streams, returns)
		for _, over := range uniqueNames(nameGARCH, forecast.NamePooledHAR, t.Best) {
			j := slices.IndexFunc(laws, func(l law) bool { return l.name == over })
			if j < 0 || j == i {
				continue
			}
			gain := make([]float64, len(targets))
			for k := range gain {
				gain[k] = scores[i].log[k] - scores[j].log[k]
			}
			row.Gains = append(row.Gains, Gain{Over: over, Test: score.Clustered(dates, gain, 1, significanceLag)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

const nameGARCH = "GARCH-t"

func uniqueNames(names ...string) (out []string) {
	for _, n := range names {
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// baselineLaws fits the baselines of volatility on the dates before a border.
func baselineLaws(series []*market.Series, before time.Time, o DensityOptions) ([]law, error) {
	fitted, err := forecast.FitBaselines(series, before, o.Baselines...)
	if err != nil {
		return nil, err
	}
	pooled, err := forecast.FitPooledHAR(series, before)
	if err != nil {
		return nil, err
	}
	var laws []law
	for _, b := range append(fitted, pooled) {
		laws = append(laws, law{name: b.Name(), baseline: true, at: oneStep(b, series)})
	}
	return laws, nil
}

// oneStep looks the densities of a baseline up by token: token i of a stream is
// candle i+1 of its series.
func oneStep(b forecast.Baseline, series []*market.Series) func(stream, index int) density.Density {
	all := make([][]density.Density, len(series))
	parallel.For(len(series), 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			all[i] = b.OneStep(series[i])
		}
	})
	return func(stream, index int) density.Density { return all[stream][index+1] }
}

// modelLaws are the rows of the models, of the mean of several, and of the
// tokens without a model.
func (t *DensityTable) modelLaws(ctx context.Context, models []Named, series []*market.Series, part dataset.Part) ([]*dataset.Stream, []law, error) {
	var first []*dataset.Stream
	var laws, own []law
	var members [][]predict.Law // of models that share the cells of the first
	for n, m := range models {
		codec, err := m.Bundle.Codec()
		if err != nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		if m.Bundle.Model == nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, checkpoint.ErrNoModel)
		}
		streams, err := encode(codec, series, models[0].Bundle.Split)
		if err != nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		hash := dataset.Hash(streams)
		for _, s := range streams {
			lo, hi := s.Bounds(part)
			selected, err := m.Bundle.CheckHeldOut(s, max(lo, 1), hi, hash)
			if err != nil {
				return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
			}
			t.Selected = t.Selected || selected
		}
		windows := dataset.EvalWindows(streams, part, m.Bundle.Model.SeqLen)
		if codec.Emission == nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, predict.ErrNoEmission)
		}
		if n == 0 {
			first = streams
			laws = append(laws, unigramLaw(codec, streams))
		}
		if m.Bundle.Model.Outputs > 0 {
			found, err := predict.Outputs(ctx, m.Bundle.Runner(), streams, windows)
			if err != nil {
				return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
			}
			own = append(own, law{name: m.Name, note: "mixture of t, no tokens", at: lookUpMixture(codec, streams, found)})
			continue
		}
		found, err := predict.Laws(ctx, m.Bundle.Runner(), codec, streams, windows, 1)
		if err != nil {
			return nil, nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		cells := codec.Emission.Cells()
		own = append(own, law{name: m.Name, at: lookUp(cells, found)})
		if sameCells(cells, models[0].Bundle.Emission.Cells()) {
			members = append(members, found)
		}
	}
	laws = append(laws, own...)
	if len(models) > 1 {
		all := law{name: fmt.Sprintf("ensemble of %d", len(models)), note: "mean of the densities"}
		if len(members) == len(models) {
			all.at = lookUp(models[0].Bundle.Emission.Cells(), predict.MeanLaws(members))
		} else {
			all.at = meanOf(own)
		}
		laws = append(laws, all)
	}
	return first, laws, nil
}

// sameCells reports whether probabilities of two sets of cells may be averaged.
func sameCells(a, b *density.Cells) bool {
	return a.T == b.T && slices.Equal(a.Edges, b.Edges)
}

// encode turns series into streams, cut by a split.
func encode(codec dataset.Codec, series []*market.Series, split dataset.Split) ([]*dataset.Stream, error) {
	var streams []*dataset.Stream
	for _, s := range series {
		stream, err := codec.Encode(s)
		if err != nil {
			return nil, err
		}
		split.Apply(stream)
		streams = append(streams, stream)
	}
	return streams, nil
}

// lookUp finds the law of a target.
func lookUp(cells *density.Cells, laws []predict.Law) func(stream, index int) density.Density {
	at := make(map[target]int, len(laws))
	for i, l := range laws {
		at[target{l.Stream, l.Index}] = i
	}
	return func(stream, index int) density.Density {
		l := laws[at[target{stream, index}]]
		p := make([]float64, len(l.Cells))
		for j, v := range l.Cells {
			p[j] = float64(v)
		}
		return cells.New(p, l.Sigma)
	}
}

// unigramLaw is how often tokens occur in training, at the scale of the codec.
func unigramLaw(codec dataset.Codec, streams []*dataset.Stream) law {
	V := codec.Tokenizer.Codes()
	probs, mixed := make([]float64, V), make([]float64, codec.Emission.Cells().Len())
	forecast.FitUnigram(streams, V).Probabilities(probs, 0)
	codec.Emission.Mix(mixed, probs)
	return law{
		name: "token unigram", note: "filtered historical simulation at the scale " + codec.Scaler.Kind, baseline: true,
		at: func(stream, index int) density.Density {
			return codec.Emission.Cells().New(mixed, codec.Scaler.Sigma(streams[stream].States[index]))
		},
	}
}

// targetsOf lists the candles of a part that have one before them, their log
// returns and their dates.
func targetsOf(streams []*dataset.Stream, part dataset.Part) (targets []target, returns []float64, dates []time.Time) {
	for i, s := range streams {
		lo, hi := s.Bounds(part)
		for k := max(lo, 1); k < hi; k++ {
			targets = append(targets, target{i, k})
			returns = append(returns, math.Log(s.Candles[k].Close/s.States[k].PrevClose))
			dates = append(dates, s.Times[k])
		}
	}
	return targets, returns, dates
}

func countDates(dates []time.Time) int {
	seen := map[time.Time]bool{}
	for _, d := range dates {
		seen[d] = true
	}
	return len(seen)
}

// bestBaseline is the one with the best log score on validation.
func bestBaseline(laws []law, streams []*dataset.Stream) (string, error) {
	targets, returns, _ := targetsOf(streams, dataset.Val)
	best, name := math.Inf(-1), ""
	for _, l := range laws {
		if len(targets) == 0 {
			break
		}
		sum := 0.0
		for i, at := range targets {
			sum += l.at(at.stream, at.index).LogPDF(returns[i])
		}
		if sum > best {
			best, name = sum, l.name
		}
	}
	return name, nil
}

// densityScores are those of one law on every target.
type densityScores struct {
	log, crps, pit []float64
	loss           [][]float64 // FZ0 at each of the risk levels
}

func scoreLaw(l law, targets []target, returns []float64) densityScores {
	n := len(targets)
	s := densityScores{log: make([]float64, n), crps: make([]float64, n), pit: make([]float64, n)}
	for range riskLevels {
		s.loss = append(s.loss, make([]float64, n))
	}
	parallel.For(n, 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d, r := l.at(targets[i].stream, targets[i].index), returns[i]
			s.log[i], s.crps[i], s.pit[i] = d.LogPDF(r), d.CRPS(r), min(max(d.CDF(r), 0), 1)
			for k, level := range riskLevels {
				v, e := shortfall(d, level)
				s.loss[k][i] = score.FZ0(r, v, e, level)
			}
		}
	})
	return s
}

// shortfall is the value at risk of a density at a level, and the mean of what
// lies below it.
func shortfall(d density.Density, level float64) (v, e float64) {
	v = d.Quantile(level)
	return v, min(d.Below(v)/level, v)
}

func (s densityScores) row(l law, targets []target, streams []*dataset.Stream, returns []float64) DensityRow {
	row := DensityRow{Name: l.name, Note: l.note, LogScore: mean(s.log), CRPS: mean(s.crps)}
	for _, level := range coverageLevels {
		share, lo, hi := score.Coverage(s.pit, level, confidence)
		row.Coverage = append(row.Coverage, Interval{level, share, lo, hi})
	}
	row.KS, _ = score.KolmogorovSmirnov(s.pit)
	for k, level := range riskLevels {
		hits := make([]bool, len(s.pit))
		n := 0.0
		for i, u := range s.pit {
			if hits[i] = u < level; hits[i] {
				n++
			}
		}
		row.Risk = append(row.Risk, Risk{level, n / float64(len(hits)), score.Number(score.Kupiec(hits, level).P), score.Number(mean(s.loss[k]))})
	}
	for from := 0; from < len(targets); {
		to := from
		for to < len(targets) && targets[to].stream == targets[from].stream {
			to++
		}
		hits := make([]bool, to-from)
		for i, u := range s.pit[from:to] {
			hits[i] = u < .05
		}
		share, _, _ := score.Coverage(s.pit[from:to], .9, confidence)
		_, conditional := score.Christoffersen(hits, .05)
		row.Assets = append(row.Assets, AssetScore{
			Name: streams[targets[from].stream].Asset, Targets: to - from,
			LogScore: mean(s.log[from:to]), Coverage90: share, Christoffersen: score.Number(conditional.P),
		})
		from = to
	}
	return row
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
