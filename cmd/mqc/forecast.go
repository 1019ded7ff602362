package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
)

// levels are the quantiles of a forecast table.
var levels = []float64{0.05, 0.25, 0.5, 0.75, 0.95}

func (a *app) forecast() *cobra.Command {
	var path, csvPath, data, asOf, out, precision string
	o := forecast.Options{Horizon: 32, Samples: 256, Sampler: gpt.Sampler{Temperature: 1}}
	c := &cobra.Command{
		Use:   "forecast",
		Short: "Draw the distribution of the candles to come",
		Long: `Draw the distribution of the candles to come: of one asset, or with --data of every
asset of a folder. Those paths belong together: the same number of a path is the same
draw of market days, so that portfolios can be computed from the table that --out
writes. See docs/adr/0015-calendars.md for what that dependence is, and is not.`,
		Example: "  mqc forecast --checkpoint checkpoints/rl_btc.pt --csv data/BTC-USD_2014-09-17_2024-12-31_1d.csv --horizon 32 --samples 256 --out paths.csv\n  mqc forecast --data data --as-of 2024-06-28 --out all.parquet",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.Validate(); err != nil {
				return newUsageError(c, err)
			}
			if data != "" && csvPath != "" {
				return usagef(c, "--data and --csv: want one of them")
			}
			if info, err := os.Stat(data); err == nil && !info.IsDir() {
				e := newUsageError(c, fmt.Errorf("--data %s: want a folder", data))
				e.hint = "one asset is named by its file: --csv " + data
				return e
			}
			if data == "" && strings.EqualFold(filepath.Ext(out), ".parquet") {
				return usagef(c, "--out %s: paths of one asset are CSV; Parquet is for --data", out)
			}
			endings := []string{".csv"}
			if data != "" {
				endings = append(endings, ".parquet")
			}
			if err := checkEnding(c, out, endings...); err != nil {
				return err
			}
			until, err := parseDate("as-of", asOf)
			if err != nil {
				return newUsageError(c, err)
			}
			if path == "" {
				path = newestCheckpoint()
			}
			if data == "" && csvPath == "" {
				if csvPath, err = defaultCSV(); err != nil {
					return err
				}
			}
			if out != "" {
				if err := checkOut(out, path, csvPath, data); err != nil {
					return err
				}
			}
			o.Seed = a.seed
			b, err := openAt(c, path, precision)
			if err != nil {
				return err
			}
			a.warnStage(b)
			if b.Calibration != nil {
				if other := changedFlag(c, "temperature", "top-k", "top-p", "context-len"); other != "" {
					a.talk("calibration left out: it is not that of paths drawn with --%s", other)
					b = b.WithCalibration(nil, nil)
				}
			}
			o.Sampler.Temperature *= b.Calibration.SampleAt()
			if data != "" {
				return a.forecastAll(c.Context(), b, path, data, until, out, o)
			}
			return a.runForecast(c.Context(), b, path, csvPath, until, out, o)
		},
	}
	flags := c.Flags()
	flags.StringVar(&path, "checkpoint", "", "checkpoint (default: the furthest stage in checkpoints/)")
	flags.StringVar(&csvPath, "csv", "", "candles of the asset (default: newest data/BTC-USD_*_1d.csv)")
	flags.StringVar(&data, "data", "", "folder of candles: a forecast of every asset, with paths that belong together")
	flags.StringVar(&asOf, "as-of", "", "last date that is known (default: the newest)")
	flags.IntVar(&o.Horizon, "horizon", o.Horizon, "candles to forecast")
	flags.IntVar(&o.Samples, "samples", o.Samples, "paths to draw")
	flags.IntVar(&o.Context, "context-len", o.Context, "past candles that the model sees (default: as many as fit)")
	flags.StringVar(&out, "out", "", "file for all paths, candle by candle: CSV, or with --data Parquet where it ends in .parquet")
	bindOwnPrecision(flags, &precision)
	bindSampler(flags, &o.Sampler)
	return c
}

// changedFlag is the first of the flags that the command line sets, or "".
func changedFlag(c *cobra.Command, names ...string) string {
	for _, name := range names {
		if c.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

func (a *app) runForecast(ctx context.Context, b *checkpoint.Bundle, path, csvPath string, asOf time.Time, out string, o forecast.Options) error {
	series, _, err := market.ReadCSV(csvPath)
	if err != nil {
		return err
	}
	if series, err = knownUntil(series, asOf); err != nil {
		return err
	}
	a.warnPlaces([]*market.Series{series}, asOf)
	f, steps, next, err := drawCalibrated(ctx, b, series, o)
	if err != nil {
		return err
	}
	a.warnSeen(b, f.Times[0])
	if out != "" {
		if err := atomicfile.Write(out, func(w io.Writer) error { return writePaths(w, f) }); err != nil {
			return fmt.Errorf("forecast: %w", err)
		}
	}
	if a.json {
		return a.printJSON(map[string]any{
			"asset": f.Asset, "from": f.From, "last_close": f.LastClose, "checkpoint": path, "sha256": b.Hash,
			"samples": o.Samples, "seed": o.Seed, "sampler": o.Sampler, "levels": levels, "steps": steps, "paths_file": out,
			"calibrated": b.Calibration != nil, "next": next,
		})
	}
	a.printForecast(f, series, steps)
	a.printIntervals(b, f, steps, next)
	if out != "" {
		a.say("%d paths in %s", len(f.Paths), out)
	}
	return nil
}

// printForecast shows a fan chart and the quantiles of some steps.
func (a *app) printForecast(f *forecast.Forecast, series *market.Series, steps []forecast.Step) {
	a.say("%s from %s, last close %s, %d paths", f.Asset, f.From.Format("2006-01-02"), market.FormatPrice(f.LastClose), len(f.Paths))
	a.say("%s\n", a.fan(series, steps))
	t := newTable("step", "date", "5%", "25%", "50%", "75%", "95%", "P(up)")
	for _, s := range steps {
		if !forecast.Shown(s.Step, len(steps)) {
			continue
		}
		q := s.Quantiles
		t.add(s.Step, s.Time.Format(series.Interval.Layout()), market.FormatPrice(q[0]), market.FormatPrice(q[1]), market.FormatPrice(q[2]), market.FormatPrice(q[3]), market.FormatPrice(q[4]), fmt.Sprintf("%.2f", s.PUp))
	}
	a.say("%s", t)
	a.say("volatility over the horizon: %.1f%% (standard deviation of the log return across paths)", 100*f.Volatility())
}

// drawCalibrated draws a forecast, with its quantiles, and where b is calibrated
// with its intervals.
func drawCalibrated(ctx context.Context, b *checkpoint.Bundle, series *market.Series, o forecast.Options) (*forecast.Forecast, []forecast.Step, *forecast.Next, error) {
	m, err := forecast.NewModel(b)
	if err != nil {
		return nil, nil, nil, err
	}
	at, err := m.At(series)
	if err != nil {
		return nil, nil, nil, err
	}
	f, err := at.Draw(ctx, o)
	if err != nil {
		return nil, nil, nil, err
	}
	steps := f.Steps(levels)
	if b.Calibration == nil {
		return f, steps, nil, nil
	}
	f.Calibrate(steps, b.Calibration)
	next, err := at.Next(ctx)
	return f, steps, next, err
}

// printIntervals shows the calibrated intervals of a forecast, and says what
// they are.
func (a *app) printIntervals(b *checkpoint.Bundle, f *forecast.Forecast, steps []forecast.Step, next *forecast.Next) {
	c := b.Calibration
	if c == nil {
		a.say("intervals are those of the model's own paths: nothing shows how often they hold; mqc calibrate does")
		return
	}
	t := newTable("step", "50%", "80%", "90%", "95%")
	for _, s := range steps {
		if !forecast.Shown(s.Step, len(steps)) || len(s.Intervals) == 0 {
			continue
		}
		row := []any{s.Step}
		for _, i := range s.Intervals {
			row = append(row, market.FormatPrice(i.Lo)+"–"+market.FormatPrice(i.Hi))
		}
		t.add(row...)
	}
	on := b.CalibratedOn()
	a.say("\ncalibrated intervals of the close: on validation, %s to %s, they held that share of the outcomes\n%s", on.First.Format("2006-01-02"), on.Last.Format("2006-01-02"), t)
	if len(steps) > c.MaxHorizon() {
		a.say("beyond step %d nothing is known of how often intervals hold", c.MaxHorizon())
	}
	if next != nil {
		hi := "∞"
		if !math.IsInf(float64(next.Hi), 1) {
			hi = market.FormatPrice(float64(next.Hi))
		}
		a.say("next close: %s–%s (%.0f%% by adaptive conformal inference on the exact density, after %d outcomes since validation began)", market.FormatPrice(next.Lo), hi, 100*next.Level, next.Outcomes)
	}
	if c.Temperature != 1 {
		a.say("drawn at the calibrated temperature %.3f", c.Temperature)
	}
}

// fan draws the past closes and the quantiles to come.
func (a *app) fan(series *market.Series, steps []forecast.Step) string {
	past := series.Candles[max(0, len(series.Candles)-2*len(steps)-8):]
	lines := make([][]float64, 1+len(levels))
	for _, c := range past {
		lines[0] = append(lines[0], c.Close)
	}
	for k := range levels {
		line := make([]float64, len(past)-1, len(past)+len(steps))
		for i := range line {
			line[i] = math.NaN()
		}
		line = append(line, past[len(past)-1].Close)
		for _, s := range steps {
			line = append(line, s.Quantiles[k])
		}
		lines[1+k] = line
	}
	options := []asciigraph.Option{asciigraph.Height(14), asciigraph.Caption("past closes, then the 5, 25, 50, 75 and 95% quantiles")}
	if most := a.chartWidth(); len(lines[1]) > most {
		options = append(options, asciigraph.Width(most))
	}
	if a.colour() {
		options = append(options, asciigraph.SeriesColors(asciigraph.Default, asciigraph.Blue, asciigraph.Cyan, asciigraph.Green, asciigraph.Cyan, asciigraph.Blue))
	}
	return asciigraph.PlotMany(lines, options...)
}

// colour says whether stdout takes colours.
func (a *app) colour() bool {
	f, ok := a.out.file()
	_, off := os.LookupEnv("NO_COLOR")
	return ok && !off && term.IsTerminal(int(f.Fd()))
}

// exact writes all digits of a number.
func exact(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// writePaths writes every candle of every path.
func writePaths(w io.Writer, f *forecast.Forecast) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"path", "step", "time", "open", "high", "low", "close"}); err != nil {
		return err
	}
	for i, p := range f.Paths {
		for h, k := range p.Candles {
			err := c.Write([]string{strconv.Itoa(i), strconv.Itoa(h + 1), k.Time.Format(time.RFC3339), exact(k.Open), exact(k.High), exact(k.Low), exact(k.Close)})
			if err != nil {
				return err
			}
		}
	}
	c.Flush()
	return c.Error()
}
