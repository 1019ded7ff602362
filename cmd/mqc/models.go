package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
)

// bindModels registers the flags of a command that answers questions of models.
func bindModels(flags *pflag.FlagSet, paths *[]string, folder, precision *string) {
	flags.StringSliceVar(paths, "checkpoint", nil, "checkpoints to ask, the first of them where a question names none (default: all of --runs)")
	flags.StringVar(folder, "runs", "checkpoints", "folder of checkpoints: all in it and in its folders are asked, the furthest stage first")
	bindOwnPrecision(flags, precision)
}

// askedModels opens checkpoints, or without paths all of a folder. The first one is
// that of questions which name none.
func (a *app) askedModels(c *cobra.Command, paths []string, folder, precision string) (models []api.Model, err error) {
	if len(paths) > 0 && c.Flags().Changed("runs") {
		return nil, usagef(c, "--checkpoint and --runs: want one of them")
	}
	if precision != "" {
		if _, err := gpt.ParsePrecision(precision, gpt.Config{}); err != nil {
			return nil, newUsageError(c, err)
		}
	}
	if len(paths) > 0 {
		models, err = namedModels(c, paths, folder, precision)
	} else {
		var skipped []error
		models, skipped, err = api.ReadModels(folder, opener(c, precision))
		for _, reason := range skipped {
			a.warn("warning: passed over: %v", reason)
		}
	}
	if err != nil {
		return nil, err
	}
	a.warnStage(models[0].Bundle)
	return models, nil
}

// namedModels opens checkpoints, under the names that they have in a folder.
func namedModels(c *cobra.Command, paths []string, folder, precision string) (models []api.Model, err error) {
	for _, path := range paths {
		m, err := api.OpenModel(folder, path, opener(c, precision))
		if err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

// opener opens checkpoints at a precision; empty: their own.
func opener(c *cobra.Command, precision string) func(path string) (*checkpoint.Bundle, error) {
	return func(path string) (*checkpoint.Bundle, error) { return openAt(c, path, precision) }
}

// askedSeries reads the candles that a command answers questions about.
func askedSeries(c *cobra.Command, data string) ([]*market.Series, error) {
	src, err := openSource(data)
	if err != nil {
		return nil, err
	}
	if src.Tokens != "" {
		return nil, usagef(c, "--data %s is a token file: %s needs candles", data, c.Name())
	}
	return src.series()
}
