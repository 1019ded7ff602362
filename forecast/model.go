package forecast

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

// Model is a checkpoint that is ready to draw: its weights are laid out once. Any
// number of goroutines may use it.
type Model struct {
	Bundle *checkpoint.Bundle

	codec  dataset.Codec
	runner *gpt.Runner
	draws  predict.Generator
}

// NewModel makes a checkpoint ready. It fails where there is no model, or one that
// draws no tokens or cannot read candles.
func NewModel(b *checkpoint.Bundle) (*Model, error) {
	if b.Model == nil {
		return nil, checkpoint.ErrNoModel
	}
	if b.Model.Outputs > 0 {
		return nil, fmt.Errorf("forecast: %w", gpt.ErrNoLogits)
	}
	codec, err := b.Codec()
	if err != nil {
		return nil, err
	}
	m := &Model{Bundle: b, codec: codec, runner: b.Runner()}
	m.draws = m.runner
	return m, nil
}

// Share makes forecasts that are drawn at the same time share a batch of at most
// limit paths. Each has the bits that it has alone.
func (m *Model) Share(limit int) { m.draws = gpt.NewBatch(m.runner, limit) }

// Origin is the end of a series, from which a model draws.
type Origin struct {
	Series *market.Series

	m      *Model
	stream *dataset.Stream
}

// At makes a series ready. It fails where its interval is not that of the model,
// or where it is too short.
func (m *Model) At(series *market.Series) (*Origin, error) {
	if text := series.Interval.String(); m.Bundle.Interval != "" && text != m.Bundle.Interval {
		return nil, fmt.Errorf("forecast: %s has candles of %s, the model knows %s", series.Symbol, text, m.Bundle.Interval)
	}
	stream, err := m.codec.Encode(series)
	if err != nil {
		return nil, err
	}
	m.Bundle.Split.Apply(stream)
	return &Origin{Series: series, m: m, stream: stream}, nil
}

// Draw draws the futures of the series.
func (o *Origin) Draw(ctx context.Context, options Options) (*Forecast, error) {
	var last *Forecast
	err := o.Stream(ctx, options, options.Samples, func(f *Forecast) error {
		last = f
		return nil
	})
	return last, err
}

// Stream draws the futures of the series in chunks, and after each hands over the
// forecast of all paths so far. The last one is that of [Origin.Draw]. It ends with
// the error of emit, if that gives one.
func (o *Origin) Stream(ctx context.Context, options Options, chunk int, emit func(*Forecast) error) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if chunk < 1 {
		return fmt.Errorf("forecast: chunks of %d paths: want at least 1", chunk)
	}
	end := len(o.stream.Tokens)
	window := windowOf(o.m.Bundle.Model, options.Horizon, options.Context)
	all := o.forecast(options.Horizon)
	var logs []float64
	for len(all.Paths) < options.Samples {
		drawn, densities, err := predict.Given(ctx, o.m.draws, o.m.codec, o.stream, end, window, gpt.Generation{
			Paths: min(chunk, options.Samples-len(all.Paths)), FirstPath: len(all.Paths),
			Steps: options.Horizon, Sampler: options.Sampler, Seed: options.Seed,
		}, options.Given)
		if err != nil {
			return err
		}
		all.add(drawn)
		logs = append(logs, densities...)
		f := *all
		f.Paths = slices.Clone(all.Paths)
		if len(options.Given) > 0 {
			f.condition(options.Given, logs)
		}
		if err := emit(&f); err != nil {
			return err
		}
	}
	return nil
}

// forecast is one without paths yet.
func (o *Origin) forecast(horizon int) *Forecast {
	last := o.Series.Candles[len(o.Series.Candles)-1]
	return &Forecast{Asset: o.Series.Symbol, From: last.Time, LastClose: last.Close, Times: o.stream.Dates(len(o.stream.Tokens), horizon)}
}

// add takes in paths, and dates them.
func (f *Forecast) add(paths []predict.Path) {
	for _, p := range paths {
		for h := range p.Candles {
			p.Candles[h].Time = f.Times[h]
		}
	}
	f.Paths = append(f.Paths, paths...)
}

// Border is the date before which a rival is fitted: where the validation of the
// model begins, or right after what is known, whichever is earlier.
func (o *Origin) Border() time.Time {
	border := o.Series.Candles[len(o.Series.Candles)-1].Time.Add(time.Nanosecond)
	if from := o.m.Bundle.Split.ValFrom; !from.IsZero() && from.Before(border) {
		return from
	}
	return border
}

// Density is the exact law of the next log return, at a temperature of the logits.
// It fails with [predict.ErrNoEmission] where returns given tokens are not known.
func (o *Origin) Density(temperature float64) (density.Density, error) {
	law, err := predict.NextLaw(o.m.runner, o.m.codec, o.stream, temperature)
	if err != nil {
		return nil, err
	}
	return o.m.codec.Emission.Cells().New32(law.Cells, law.Mean, law.Sigma), nil
}

// Candidate is a token that may come next.
type Candidate struct {
	Token       int32
	Probability float64
	Candle      market.Candle // what it decodes to after the last close; without a time
}

// Likeliest returns the n likeliest next tokens, the likeliest first.
func (o *Origin) Likeliest(n int) ([]Candidate, error) {
	probs, err := predict.NextTokens(o.m.runner, o.stream)
	if err != nil {
		return nil, err
	}
	state := o.stream.States[len(o.stream.Tokens)]
	all := make([]Candidate, len(probs))
	for k, p := range probs {
		all[k] = Candidate{Token: int32(k), Probability: p}
	}
	slices.SortStableFunc(all, func(a, b Candidate) int {
		switch {
		case a.Probability > b.Probability:
			return -1
		case a.Probability < b.Probability:
			return 1
		}
		return 0
	})
	all = all[:min(n, len(all))]
	for i := range all {
		all[i].Candle = o.m.codec.Scaler.Decode(state, o.m.codec.Tokenizer.Decode(int(all[i].Token)))
	}
	return all, nil
}
