package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/report"
	"github.com/micro-quant/mqc/score"
	"github.com/micro-quant/mqc/server"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

func (a *app) quickstart() *cobra.Command {
	out, data, scale, kind, addr, serve := "quickstart", "", feature.EWMA, "", defaultAddr, false
	c := &cobra.Command{
		Use:   "quickstart",
		Short: "Everything once: data, tokenizer, four stages, calibration, evaluation, forecast, report",
		Long: `Make a synthetic market (or take the CSV files of --data), fit a tokenizer,
train a small model through the four stages, calibrate the last, score every
stage on held-out dates beside the baselines, draw a forecast, and write a report.
With --serve it then serves models, data and report on a page, as mqc serve does,
until it is interrupted.`,
		Example: "  mqc quickstart --serve\n  mqc quickstart --data my_csvs --out runs/mine",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q := quickDefaults(data, out, scale, a.seed)
			q.kind = kind
			if err := tokenizer.CheckCodes(kind, q.codes.Codes); err != nil {
				return newUsageError(c, err)
			}
			if !serve {
				if c.Flags().Changed("addr") {
					return usagef(c, "--addr without --serve: want both")
				}
				return again(a.runQuickstart(c, q))
			}
			if err := server.CheckAddr(addr, ""); err != nil {
				e := newUsageError(c, err)
				if errors.Is(err, server.ErrExposed) {
					e.hint = "serve to others what was made when it is done: mqc serve --token"
				}
				return e
			}
			return again(a.runServedQuickstart(c, q, addr))
		},
	}
	c.Flags().StringVar(&data, "data", data, "folder of CSV files (default: a synthetic market)")
	c.Flags().StringVar(&out, "out", out, "folder for everything that it makes")
	c.Flags().BoolVar(&serve, "serve", false, "then serve the page with what was made, until it is interrupted")
	c.Flags().StringVar(&addr, "addr", addr, "--serve: address of this machine to listen at; port 0 is any that is free")
	bindKind(c, &kind)
	bindData(c, &scale, nil, nil)
	return c
}

// again says what to do after a quickstart that was stopped or found no room.
func again(err error) error {
	const hint = "the same command starts again from the beginning"
	switch {
	case errors.Is(err, context.Canceled):
		return &hintedError{err, hint}
	case diskFull(err):
		return &hintedError{err, "free some disk; " + hint}
	}
	return err
}

// quickConfig is everything that decides a quickstart.
type quickConfig struct {
	data, out, scale string
	market           market.SyntheticConfig // where data is empty
	kind             string                 // of the tokenizer
	codes            tokenizer.VQConfig
	shape            gpt.Config
	stages           [4]train.Recipe
	truthSamples     int // see scoreTable
	calibration      forecast.CalibrationOptions
	paths            int // of the forecast
	report           eval.PathOptions
}

// quickDefaults is a size that takes half a minute on two cores.
func quickDefaults(data, out, scale string, seed uint64) quickConfig {
	shape, err := gpt.Preset("quick")
	if err != nil {
		panic(err) // a name of ours
	}
	q := quickConfig{
		data: data, out: out, scale: scale,
		market: market.DefaultSynthetic(), kind: tokenizer.KindVQVAE, codes: tokenizer.DefaultVQ(), shape: shape,
		stages: quickStages(shape, seed), truthSamples: truthSamples, paths: 256,
		report: eval.PathOptions{Horizons: []int{1, 5}, Paths: 32, Origins: 40, Seed: seed},
	}
	q.calibration = forecast.CalibrationOptions{Horizon: q.stages[2].Horizon, Origins: 300, Samples: 64, Seed: seed}
	q.market.Seed = seed
	q.codes.Codes, q.codes.Seed = shape.Vocab, seed
	q.shape.Head, q.shape.Embed = gpt.Basis, gpt.Basis
	q.shape.Dropout = q.stages[0].Dropout
	return q
}

// quickStages are the four stages of a small model. Where the specification's
// learning rates are made for a model of 19M parameters and many steps, a small
// model and few steps want larger ones.
func quickStages(m gpt.Config, seed uint64) [4]train.Recipe {
	pretrain, midtrain, sft, rl := train.Defaults(train.Pretrain), train.Defaults(train.Midtrain), train.Defaults(train.SFT), train.Defaults(train.RL)
	pretrain.Epochs, pretrain.LR, pretrain.Batch, pretrain.Dropout = 4, 2e-3, 16, 0.1
	midtrain.Epochs, midtrain.LR, midtrain.Batch, midtrain.Dropout = 3, 1e-4, 8, 0.1
	sft.Epochs, sft.LR, sft.Batch, sft.Evals, sft.Dropout = 4, 1e-4, 8, 4, 0.1
	rl.Steps, rl.LR, rl.Batch, rl.Group, rl.Evals, rl.Reward = 20, 2e-5, 4, 8, 4, train.RewardCRPS
	for _, r := range []*train.Recipe{&pretrain, &midtrain} {
		r.SeqLen = m.SeqLen
	}
	for _, r := range []*train.Recipe{&sft, &rl} {
		r.Horizon, r.ContextLen = m.SeqLen/4, m.SeqLen-m.SeqLen/4+1
	}
	recipes := [4]train.Recipe{pretrain, midtrain, sft, rl}
	for i := range recipes {
		recipes[i].Seed = seed
	}
	return recipes
}

func (a *app) runQuickstart(c *cobra.Command, q quickConfig) error {
	start := time.Now()
	src, err := a.quickCandles(c, q)
	if err != nil {
		return err
	}
	series, err := a.learnt(src)
	if err != nil {
		return err
	}
	if err := q.checkLength(series); err != nil {
		return err
	}
	a.talk("tokenizer: fitting %d codes (%s)", q.codes.Codes, q.kind)
	inputs, err := namedInputs(usualInputs(), series)
	if err != nil {
		return err
	}
	bundle, err := train.Prepare(c.Context(), series, train.Preparation{Scaler: q.scale, Kind: q.kind, VQ: q.codes, Inputs: inputs, Build: version})
	if err != nil {
		return err
	}
	quiet := *a
	quiet.json = false
	quiet.out = &outWriter{Writer: a.err} // results of the parts are talk here
	files := []string{filepath.Join(q.out, defaultTokenizer), filepath.Join(q.out, defaultTokens)}
	if err := quiet.writeTokenizer(bundle, series, files[0], files[1]); err != nil {
		return err
	}
	asset := quickAsset(series)

	if err := train.NewModel(bundle, series, q.shape, a.seed); err != nil {
		return err
	}
	streams, err := train.Encode(bundle, series)
	if err != nil {
		return err
	}
	one, err := train.Encode(bundle, []*market.Series{asset})
	if err != nil {
		return err
	}
	var models []eval.Named
	for i, r := range q.stages {
		job := train.Job{Recipe: r, Start: bundle, Streams: streams, Build: version, Source: src.encode()}
		if i > 0 {
			job.Streams, job.Source = one, source{CSV: asset.Path}.encode()
		}
		job.Out = filepath.Join(q.out, []string{bestModel, midtrainModel, sftModel, rlModel}[i])
		if _, err := quiet.runStage(c.Context(), job, nil); errors.Is(err, errInterrupted) {
			// There is no --resume here, hence no such hint.
			return fmt.Errorf("quickstart: stopped in %s: %w", r.Stage, context.Canceled)
		} else if err != nil {
			return err
		}
		// Read back, so that the next stage knows the file that it grew from.
		if bundle, err = checkpoint.Open(job.Out); err != nil {
			return err
		}
		models = append(models, eval.Named{Name: r.Stage, Bundle: bundle})
		files = append(files, job.Out)
	}

	a.talk("calibration: intervals of %d candles from %d origins", q.calibration.Horizon, q.calibration.Origins)
	if bundle, err = quiet.runCalibrate(c, bundle, streams, q.calibration, files[len(files)-1]); err != nil {
		return err
	}

	table, err := scoreTable(c, src, series, models, dataset.Val, 0, q.truthSamples)
	if err != nil {
		return err
	}
	models[len(models)-1].Bundle = bundle
	pages, err := a.quickReport(c, q, src, series, models, table, files[2:])
	if err != nil {
		return err
	}
	files = append(files, pages...)
	o := forecast.Options{Horizon: q.stages[2].Horizon, Samples: q.paths, Sampler: gpt.Sampler{Temperature: bundle.Calibration.SampleAt()}, Seed: a.seed}
	f, steps, next, err := drawCalibrated(c.Context(), bundle, asset, o)
	if err != nil {
		return err
	}
	took := time.Since(start).Round(time.Second)
	if a.json {
		return a.printJSON(map[string]any{
			"scores": table, "files": files, "seconds": took.Seconds(),
			"forecast": map[string]any{"asset": f.Asset, "from": f.From, "last_close": f.LastClose, "levels": levels, "steps": steps, "next": next},
		})
	}
	a.say("")
	a.printTable(table)
	a.say("stages 2 to 4 went on with %s alone\n", asset.Symbol)
	a.printForecast(f, asset, steps)
	a.printIntervals(bundle, f, steps, next)
	made, data := files, strings.TrimSuffix(src.Folder+src.CSV, "/")
	if q.data == "" {
		made = append([]string{data}, files...)
	}
	a.say("\nfiles, made in %s\n  %s", took, strings.Join(made, "\n  "))
	a.say("\nto look at them: mqc serve --runs %s --data %s", q.out, data)
	return nil
}

// runServedQuickstart runs a quickstart, and serves what it made. An address that is
// taken is said before anything is trained.
func (a *app) runServedQuickstart(c *cobra.Command, q quickConfig, addr string) error {
	l, err := listen(addr)
	if err != nil {
		return err
	}
	if err := a.runQuickstart(c, q); err != nil {
		return errors.Join(err, l.Close())
	}
	config := server.Config{
		Folder: q.out, Registry: filepath.Join(q.out, defaultRuns), Limits: server.DefaultLimits(), Version: version,
		Log: slog.New(slog.NewTextHandler(a.err, nil)),
	}
	if config.Models, config.Series, err = quickServed(c, q); err != nil {
		return errors.Join(err, l.Close())
	}
	return a.runServe(c.Context(), config, l)
}

// quickServed are the models that a quickstart has made, the last first, by the
// names that mqc serve --runs has for them, and its candles.
func quickServed(c *cobra.Command, q quickConfig) (models []api.Model, series []*market.Series, err error) {
	var paths []string
	for _, file := range []string{rlModel, sftModel, midtrainModel, bestModel} {
		paths = append(paths, filepath.Join(q.out, file))
	}
	if models, err = namedModels(c, paths, q.out, ""); err != nil {
		return nil, nil, err
	}
	data := q.data
	if data == "" {
		data = filepath.Join(q.out, defaultFolder)
	}
	series, err = askedSeries(c, data)
	return models, series, err
}

// quickReport writes the report of the first stage and the last. Beside them stand
// the two baselines that verdicts name.
func (a *app) quickReport(c *cobra.Command, q quickConfig, src source, series []*market.Series, models []eval.Named, table *eval.Table, paths []string) ([]string, error) {
	a.talk("report: densities and paths beside the baselines")
	last := len(models) - 1
	models, paths = []eval.Named{models[0], models[last]}, []string{paths[0], paths[last]}
	scored, err := a.contest(c, series, models, dataset.Val, levelAll, []string{"GARCH-t"}, q.report, a.talk)
	if err != nil {
		return nil, err
	}
	results := resultsOf(append(scored, levelResult{levelToken, table}))
	outs := []string{filepath.Join(q.out, "report.html"), filepath.Join(q.out, "report.json")}
	data := src.Folder + src.CSV
	_, err = a.writeReport(c.Context(), sources(models, paths), series, report.Options{
		Build: version, Commands: []string{a.command()}, Path: data, Part: dataset.Val, Results: results,
		Fans: reportFans, Horizon: q.stages[2].Horizon, Samples: q.paths, Seed: a.seed,
	}, outs)
	return outs, err
}

// quickCandles is the user's candles, or a synthetic market made in the folder of
// the results.
func (a *app) quickCandles(c *cobra.Command, q quickConfig) (source, error) {
	if q.data != "" {
		src, err := openSource(q.data)
		if err == nil && src.Tokens != "" {
			err = usagef(c, "--data %s is a token file: want candles", q.data)
		}
		return src, err
	}
	folder := filepath.Join(q.out, defaultFolder)
	a.talk("market: %d synthetic assets with %d candles", q.market.Assets, q.market.Candles)
	m, err := market.NewSynthetic(q.market)
	if err != nil {
		return source{}, err
	}
	if err := m.Write(folder); err != nil {
		return source{}, err
	}
	return source{Folder: folder}, nil
}

// checkLength refuses candles that are too few for the stages, or for the
// calibration after them, before anything is fitted.
func (q quickConfig) checkLength(series []*market.Series) error {
	const tenth = 10 // of the candles are validation: see [dataset.CalendarSplit]
	split := dataset.CalendarSplit(series)
	one, horizon := quickAsset(series), q.stages[2].Horizon
	total, validation := 0, 0
	var parts [3]int // of one
	for _, s := range series {
		total += len(s.Candles)
		for _, c := range s.Candles {
			part := split.Part(c.Time)
			if part == dataset.Val {
				validation++
			}
			if s == one {
				parts[part]++
			}
		}
	}
	outcomes := score.LeastOutcomes(forecast.NominalLevels[len(forecast.NominalLevels)-1])
	var err error
	switch before, val := parts[dataset.Train], parts[dataset.Val]; {
	case validation < outcomes:
		err = fmt.Errorf("quickstart: %d candles, of which %d are validation: want at least %d there, about %d in all", total, validation, outcomes, tenth*outcomes)
	case val < horizon || before <= 2*horizon:
		err = fmt.Errorf("quickstart: %s has %d candles, %d of them for training and %d for validation: want more than %d and at least %d, about %d in all",
			one.Symbol, len(one.Candles), before, val, 2*horizon, horizon, tenth*horizon)
	default:
		return nil
	}
	return &hintedError{err, "give --data longer files, or more of them: a tenth of all dates is validation, and stages 2 to 4 go on with " + one.Symbol}
}

// quickAsset is what stages 2 to 4 go on with: BTC-USD, as in the
// specification, or the first.
func quickAsset(series []*market.Series) *market.Series {
	for _, s := range series {
		if s.Symbol == "BTC-USD" {
			return s
		}
	}
	return series[0]
}
