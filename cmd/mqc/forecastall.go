package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/score"
)

// staleAfter is how much older than the newest candle of a folder that of an
// asset may be: a holiday, not a stock that has left the exchange.
const staleAfter = 10 * 24 * time.Hour

// jointLine is what a forecast says of an asset, or of all with equal weights,
// at the end.
type jointLine struct {
	Asset      string    `json:"asset"`
	From       time.Time `json:"from"`
	LastClose  float64   `json:"last_close,omitempty"`
	Until      time.Time `json:"until"`
	Quantiles  []float64 `json:"quantiles"` // of close / last close, at levels
	PUp        float64   `json:"p_up"`
	Volatility float64   `json:"volatility"` // of its logarithm
}

// forecastAll draws paths of every asset of a folder that belong together.
func (a *app) forecastAll(ctx context.Context, b *checkpoint.Bundle, path, data string, asOf time.Time, out string, o forecast.Options) error {
	series, left, err := assetsKnown(data, asOf)
	if err != nil {
		return err
	}
	for _, why := range left {
		a.talk("left out: %s", why)
	}
	a.warnPlaces(series, asOf)
	model, err := forecast.NewModel(b)
	if err != nil {
		return err
	}
	joint, err := forecast.NewJoint(model, series)
	if err != nil {
		return err
	}
	end := joint.End(o.Horizon)
	var lines []jointLine
	together := make([]float64, o.Samples) // mean of close / last close
	draw := func(table jointTable) error {
		for i, s := range series {
			f, err := joint.Forecast(ctx, i, o)
			if err != nil {
				return err
			}
			if i == 0 {
				a.warnSeen(b, f.Times[0])
			}
			if err := table.write(f); err != nil {
				return err
			}
			// Of the candles until the date that all assets reach.
			h := 0
			for h+1 < len(f.Times) && !f.Times[h+1].After(end) {
				h++
			}
			ratios := make([]float64, o.Samples)
			for p := range f.Paths {
				ratios[p] = f.Paths[p].Candles[h].Close / f.LastClose
				together[p] += ratios[p] / float64(len(series))
			}
			line := summary(s.Symbol, ratios)
			line.From, line.LastClose, line.Until = f.From, f.LastClose, f.Times[h]
			lines = append(lines, line)
		}
		return nil
	}
	if err := writeTable(out, b.Hash, o.Seed, draw); err != nil {
		return fmt.Errorf("forecast: %w", err)
	}
	all := summary("equal weights", together)
	all.From, all.Until = lines[0].From, end
	for _, l := range lines {
		if l.From.After(all.From) {
			all.From = l.From
		}
	}
	if a.json {
		correlations := make([][]float64, len(series))
		for i := range series {
			for k := range series {
				correlations[i] = append(correlations[i], joint.Correlation(i, k))
			}
		}
		return a.printJSON(map[string]any{
			"checkpoint": path, "sha256": b.Hash, "samples": o.Samples, "seed": o.Seed, "sampler": o.Sampler, "horizon": o.Horizon,
			"levels": levels, "assets": lines, "equal_weights": all, "correlations": correlations, "left_out": left, "paths_file": out,
		})
	}
	t := newTable("asset", "from", "until", "5%", "25%", "50%", "75%", "95%", "P(up)", "volatility")
	layout := series[0].Interval.Layout()
	for _, l := range append(lines, all) {
		row := []any{l.Asset, l.From.Format(layout), l.Until.Format(layout)}
		for _, q := range l.Quantiles {
			row = append(row, fmt.Sprintf("%+.1f%%", 100*(q-1)))
		}
		t.add(append(row, fmt.Sprintf("%.2f", l.PUp), fmt.Sprintf("%.1f%%", 100*l.Volatility))...)
	}
	a.say("%s", t)
	if out != "" {
		a.say("%d paths of %d assets in %s", o.Samples, len(series), out)
	}
	return nil
}

// assetsKnown reads a folder as it was on a date; left says which assets are
// not there any more, or not yet.
func assetsKnown(data string, asOf time.Time) (series []*market.Series, left []string, err error) {
	all, _, err := market.ReadDir(data)
	if err != nil {
		return nil, nil, err
	}
	var newest time.Time
	for _, s := range all {
		known, err := knownUntil(s, asOf)
		if err != nil {
			left = append(left, err.Error())
			continue
		}
		series = append(series, known)
		if last := known.Candles[len(known.Candles)-1].Time; last.After(newest) {
			newest = last
		}
	}
	series = slices.DeleteFunc(series, func(s *market.Series) bool {
		last := s.Candles[len(s.Candles)-1].Time
		stale := newest.Sub(last) > staleAfter
		if stale {
			left = append(left, fmt.Sprintf("%s: its candles end on %s", s.Symbol, last.Format(time.DateOnly)))
		}
		return stale
	})
	if len(series) == 0 {
		return nil, left, fmt.Errorf("forecast: %s: no asset has candles until %s", data, asOf.Format(time.DateOnly))
	}
	return series, left, nil
}

// warnPlaces says where series end before a date, zero for none, and where there is
// little of them.
func (a *app) warnPlaces(series []*market.Series, asOf time.Time) {
	var over, short []string
	for _, s := range series {
		if !asOf.IsZero() {
			over = append(over, forecast.Over(s, asOf, asOf.Add(24*time.Hour), asOf.Format(time.DateOnly)))
		}
		short = append(short, forecast.Short(s))
	}
	a.warnOf(over)
	a.warnOf(short)
}

// warnOf writes the warning of the first asset that has one, of the texts of all,
// and how many others have it too.
func (a *app) warnOf(texts []string) {
	texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	switch n := len(texts) - 1; {
	case n == 0:
		a.warn("warning: %s", texts[0])
	case n > 0:
		a.warn("warning: %s; so it is with %s", texts[0], share(n, "other asset", "others"))
	}
}

// knownUntil cuts a series after a date; a zero one cuts nothing.
func knownUntil(s *market.Series, asOf time.Time) (*market.Series, error) {
	if asOf.IsZero() {
		return s, nil
	}
	known := s.Before(asOf.Add(24 * time.Hour))
	if n := len(known.Candles); n < 2 {
		return nil, fmt.Errorf("forecast: %s: %d candles until %s, want at least 2", s.Symbol, n, asOf.Format(time.DateOnly))
	}
	return known, nil
}

// warnSeen says so where a forecast is of dates that the model has seen, or may have.
func (a *app) warnSeen(b *checkpoint.Bundle, first time.Time) {
	if text := b.Saw(first).Warning(); text != "" {
		a.warn("warning: the model %s", text)
	}
}

// summary describes ratios of a close to the last known one, one of each path.
func summary(asset string, ratios []float64) jointLine {
	l := jointLine{Asset: asset}
	n, sum, squares := float64(len(ratios)), 0.0, 0.0
	for _, x := range ratios {
		r := math.Log(x)
		sum, squares = sum+r, squares+r*r
		switch {
		case x > 1:
			l.PUp++
		case x == 1:
			l.PUp += .5
		}
	}
	l.PUp /= n
	l.Volatility = math.Sqrt(max(0, squares/n-sum/n*sum/n))
	sorted := slices.Sorted(slices.Values(ratios))
	for _, level := range levels {
		l.Quantiles = append(l.Quantiles, score.Quantile(sorted, level))
	}
	return l
}

// jointTable takes the paths of one asset after the other.
type jointTable interface {
	write(*forecast.Forecast) error
}

// writeTable lets draw fill the table at path, whose name says its form; without
// a path the paths go nowhere.
func writeTable(path, checkpoint string, seed uint64, draw func(jointTable) error) error {
	if path == "" {
		return draw(noTable{})
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if !strings.EqualFold(filepath.Ext(path), ".parquet") {
			t := csvTable{csv.NewWriter(w)}
			if err := t.Write([]string{"asset", "path", "step", "time", "open", "high", "low", "close"}); err != nil {
				return err
			}
			if err := draw(t); err != nil {
				return err
			}
			t.Flush()
			return t.Error()
		}
		t := parquetTable{parquet.NewGenericWriter[parquetPath](w, parquet.Compression(&parquet.Zstd),
			parquet.KeyValueMetadata("checkpoint", checkpoint), parquet.KeyValueMetadata("seed", strconv.FormatUint(seed, 10)))}
		return errors.Join(draw(t), t.Close())
	})
}

type noTable struct{}

func (noTable) write(*forecast.Forecast) error { return nil }

type csvTable struct{ *csv.Writer }

func (t csvTable) write(f *forecast.Forecast) error {
	for i, p := range f.Paths {
		for h, k := range p.Candles {
			err := t.Write([]string{f.Asset, strconv.Itoa(i), strconv.Itoa(h + 1), k.Time.Format(time.RFC3339), exact(k.Open), exact(k.High), exact(k.Low), exact(k.Close)})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// parquetPath is a candle of a path.
type parquetPath struct {
	Asset string  `parquet:"asset,dict"`
	Path  int32   `parquet:"path,delta"`
	Step  int32   `parquet:"step,delta"` // from 1
	Time  int64   `parquet:"time,timestamp(millisecond),delta"`
	Open  float64 `parquet:"open"`
	High  float64 `parquet:"high"`
	Low   float64 `parquet:"low"`
	Close float64 `parquet:"close"`
}

type parquetTable struct {
	*parquet.GenericWriter[parquetPath]
}

func (t parquetTable) write(f *forecast.Forecast) error {
	var rows []parquetPath
	for i, p := range f.Paths {
		rows = rows[:0]
		for h, k := range p.Candles {
			rows = append(rows, parquetPath{f.Asset, int32(i), int32(h + 1), k.Time.UnixMilli(), k.Open, k.High, k.Low, k.Close})
		}
		if _, err := t.Write(rows); err != nil {
			return err
		}
	}
	return t.Flush() // a row group of each asset
}
