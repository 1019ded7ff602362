package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/forecast"
)

func (a *app) calibrate() *cobra.Command {
	var path, data, out, precision string
	o := forecast.DefaultCalibration()
	c := &cobra.Command{
		Use:   "calibrate",
		Short: "Fit temperature and intervals to what happened on validation",
		Long: `Fit to the validation dates of a checkpoint a temperature, by the log score of the
next return, and the quantiles between which half, 80, 90 and 95% of the outcomes
lay: of the exact density of the next return, and of drawn paths after 1, 5, 20 and
--horizon candles (split conformal prediction). The checkpoint keeps them, and the
dates as "selected"; forecast and eval use them. Training on drops them.`,
		Example: "  mqc calibrate --checkpoint checkpoints/best_model.pt --data data",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Seed = a.seed
			if err := o.Validate(); err != nil {
				return newUsageError(c, err)
			}
			if path == "" {
				path = newestCheckpoint()
			}
			if data == "" {
				data = defaultFolder
			}
			if out == "" {
				out = path
			} else if err := checkModelOut(out, data); err != nil {
				return err
			}
			src, err := openSource(data)
			if err != nil {
				return err
			}
			if src.Tokens != "" {
				return usagef(c, "--data %s is a token file: calibrate needs candles", data)
			}
			b, err := openAt(c, path, precision)
			if err != nil {
				return err
			}
			streams, err := src.streams(b, b.Model.Vocab)
			if err != nil {
				return err
			}
			b, err = a.runCalibrate(c, b, streams, o, out)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"checkpoint": out, "sha256": b.Hash, "calibration": b.Calibration})
			}
			a.printCalibration(b)
			a.say("written to %s", out)
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&path, "checkpoint", "", "checkpoint (default: the furthest stage in checkpoints/)")
	flags.StringVar(&data, "data", "", "folder of CSV files or one CSV file, with the validation dates of the checkpoint (default: data)")
	flags.StringVar(&out, "out", "", "checkpoint to write (default: the same file)")
	flags.IntVar(&o.Horizon, "horizon", o.Horizon, "longest horizon of calibrated paths, in candles")
	flags.IntVar(&o.Origins, "origins", o.Origins, "dates that paths start from, at most")
	flags.IntVar(&o.Samples, "samples", o.Samples, "paths from each")
	bindOwnPrecision(flags, &precision)
	return c
}

// runCalibrate calibrates a bundle, writes it, and reads it back.
func (a *app) runCalibrate(c *cobra.Command, b *checkpoint.Bundle, streams []*dataset.Stream, o forecast.CalibrationOptions, out string) (*checkpoint.Bundle, error) {
	b, err := forecast.Calibrate(c.Context(), b, streams, o)
	if errors.Is(err, c.Context().Err()) && err != nil {
		return nil, errors.New("calibrate: stopped; the checkpoint is as it was")
	}
	if err != nil {
		return nil, err
	}
	if err := checkpoint.Save(out, b); err != nil {
		return nil, err
	}
	return checkpoint.Open(out)
}

func (a *app) printCalibration(b *checkpoint.Bundle) {
	c, on := b.Calibration, b.CalibratedOn()
	what := "density of the next return"
	if c.Score == checkpoint.ScoreToken {
		what = "probability of the next token"
	}
	a.say("calibrated on %s to %s, %d candles", on.First.Format("2006-01-02"), on.Last.Format("2006-01-02"), c.Targets)
	a.say("temperature %.3f: mean log %s %.4f, at 1 %.4f", c.Temperature, what, c.After, c.Before)
	t := newTable("interval of", "50%", "80%", "90%", "95%", "outcomes")
	row := func(name string, levels checkpoint.Levels, outcomes int) {
		cells := []any{name}
		for _, nominal := range forecast.NominalLevels {
			lo, hi := levels.At(nominal)
			cells = append(cells, fmt.Sprintf("%.1f–%.1f%%", 100*lo, 100*hi))
		}
		t.add(append(cells, outcomes)...)
	}
	if len(c.OneStep) > 0 {
		row("next return", c.OneStep, c.Targets)
	}
	for _, p := range c.Paths {
		row(fmt.Sprintf("paths after %d", p.Horizon), p.Levels, p.Origins)
	}
	a.say("%s", t)
	a.say("cells are the quantiles of the forecast between which that share of the outcomes fell")
	if c.Gamma > 0 {
		a.say("adaptive interval: a miss moves it by γ = %g", c.Gamma)
	}
}
