package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

func (a *app) quickstart() *cobra.Command {
	out, data, scale := "quickstart", "", feature.EWMA
	c := &cobra.Command{
		Use:   "quickstart",
		Short: "Everything once: data, tokenizer, four stages, evaluation, forecast",
		Long: `Make a synthetic market (or take the CSV files of --data), fit a tokenizer,
train a small model through the four stages, score every stage on held-out
dates beside the baselines, and draw a forecast.`,
		Example: "  mqc quickstart\n  mqc quickstart --data my_csvs --out runs/mine",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.runQuickstart(c, data, out, scale)
		},
	}
	c.Flags().StringVar(&data, "data", data, "folder of CSV files (default: a synthetic market)")
	c.Flags().StringVar(&out, "out", out, "folder for everything that it makes")
	bindData(c, &scale, nil, nil)
	return c
}

// quickStages are the four stages at a size that takes a minute. Where the
// specification's learning rates are made for a model of 19M parameters and
// many steps, a small model and few steps want larger ones.
func quickStages(m gpt.Config, seed uint64) []train.Recipe {
	pretrain, midtrain, sft, rl := train.Defaults(train.Pretrain), train.Defaults(train.Midtrain), train.Defaults(train.SFT), train.Defaults(train.RL)
	pretrain.Epochs, pretrain.LR, pretrain.Batch, pretrain.Dropout = 8, 3e-3, 16, 0.1
	midtrain.Epochs, midtrain.LR, midtrain.Batch, midtrain.Dropout = 3, 1e-4, 8, 0.1
	sft.Epochs, sft.LR, sft.Batch, sft.Evals, sft.Dropout = 4, 1e-4, 8, 4, 0.1
	rl.Steps, rl.LR, rl.Batch, rl.Group, rl.Evals, rl.Reward = 20, 2e-5, 4, 8, 4, train.RewardCRPS
	for _, r := range []*train.Recipe{&pretrain, &midtrain} {
		r.SeqLen = m.SeqLen
	}
	for _, r := range []*train.Recipe{&sft, &rl} {
		r.Horizon, r.ContextLen = m.SeqLen/4, m.SeqLen-m.SeqLen/4+1
	}
	recipes := []train.Recipe{pretrain, midtrain, sft, rl}
	for i := range recipes {
		recipes[i].Seed = seed
	}
	return recipes
}

func (a *app) runQuickstart(c *cobra.Command, data, out, scale string) error {
	start := time.Now()
	src, err := a.quickData(data, out)
	if err != nil {
		return err
	}
	series, err := src.series()
	if err != nil {
		return err
	}
	shape, err := gpt.Preset("quick")
	if err != nil {
		return err
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Seed = shape.Vocab, a.seed
	a.talk("tokenizer: fitting %d codes", vq.Codes)
	bundle, err := train.Prepare(c.Context(), series, train.Preparation{Scaler: scale, VQ: vq, Build: version})
	if err != nil {
		return err
	}
	quiet := *a
	quiet.json = false
	quiet.out = a.err // results of the parts are talk here
	files := []string{filepath.Join(out, defaultTokenizer), filepath.Join(out, defaultTokens)}
	if err := quiet.writeTokenizer(bundle, series, files[0], files[1]); err != nil {
		return err
	}
	asset := quickAsset(series)

	recipes := quickStages(shape, a.seed)
	shape.Dropout = recipes[0].Dropout
	if bundle.Model, err = gpt.New(shape, a.seed); err != nil {
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
	for i, r := range recipes {
		job := train.Job{Recipe: r, Start: bundle, Streams: streams, Build: version, Source: mustJSON(src)}
		if i > 0 {
			job.Streams, job.Source = one, mustJSON(source{CSV: asset.Path})
		}
		job.Out = filepath.Join(out, []string{bestModel, midtrainModel, sftModel, rlModel}[i])
		if _, err := quiet.runStage(c.Context(), job, nil); err != nil {
			return err
		}
		// Read back, so that the next stage knows the file that it grew from.
		if bundle, err = checkpoint.Open(job.Out); err != nil {
			return err
		}
		models = append(models, eval.Named{Name: r.Stage, Bundle: bundle})
		files = append(files, job.Out)
	}

	table, err := scoreTable(c, src, models, dataset.Val, 0)
	if err != nil {
		return err
	}
	o := forecast.Options{Horizon: recipes[2].Horizon, Samples: 256, Sampler: gpt.Sampler{Temperature: 1}, Seed: a.seed}
	f, err := forecast.New(c.Context(), bundle, asset, o)
	if err != nil {
		return err
	}
	took := time.Since(start).Round(time.Second)
	if a.json {
		return a.printJSON(map[string]any{"scores": table, "files": files, "seconds": took.Seconds(),
			"forecast": map[string]any{"asset": f.Asset, "from": f.From, "last_close": f.LastClose, "levels": levels, "steps": f.Steps(levels)}})
	}
	a.say("")
	a.printScores(table)
	a.say("stages 2 to 4 went on with %s alone\n", asset.Symbol)
	a.printForecast(f, asset, f.Steps(levels))
	a.say("\nfiles, made in %s\n  %s\n  %s", took, strings.TrimSuffix(dataFolder(src), "/"), strings.Join(files, "\n  "))
	return nil
}

func dataFolder(s source) string { return s.Folder }

// quickData is the user's folder, or a synthetic market made in out.
func (a *app) quickData(data, out string) (source, error) {
	if data != "" {
		src, err := openSource(data)
		if err == nil && src.Folder == "" {
			src = source{Folder: filepath.Dir(data)}
		}
		return src, err
	}
	folder := filepath.Join(out, "data")
	config := market.DefaultSynthetic()
	config.Assets, config.Candles, config.Seed = 10, 3000, a.seed
	a.talk("market: %d synthetic assets with %d candles", config.Assets, config.Candles)
	m, err := market.NewSynthetic(config)
	if err != nil {
		return source{}, err
	}
	// An older market in the same place may have had more assets.
	if old, err := filepath.Glob(filepath.Join(folder, "SYN-*.csv")); err == nil {
		for _, path := range old {
			if err := os.Remove(path); err != nil {
				return source{}, err
			}
		}
	}
	if err := m.Write(folder); err != nil {
		return source{}, err
	}
	return source{Folder: folder}, nil
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
