package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/market"
)

func (a *app) data() *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Make, download, check and convert candle files",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.dataGenerate(), a.dataFetch(), a.dataCheck(), a.dataConvert(), a.dataResample())
	return c
}

func (a *app) dataGenerate() *cobra.Command {
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 10, 3000
	interval, out := config.Interval.String(), defaultFolder
	c := &cobra.Command{
		Use:     "generate",
		Short:   "Write a synthetic market whose truth is known",
		Long:    "Write a synthetic market: fat tails, volatility clustering, leverage, regimes and\ncross-correlation, with a known one-step density. Assets are called SYN-…",
		Example: "  mqc data generate --assets 10 --candles 3000 --out data",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if config.Interval, err = market.ParseInterval(interval); err != nil {
				return newUsageError(c, err)
			}
			config.Seed, config.ShuffleSeed = a.seed, a.seed
			if err := config.Validate(); err != nil {
				return newUsageError(c, err)
			}
			if err := checkFolder(out); err != nil {
				return err
			}
			if err := refuseForeign(out); err != nil {
				return err
			}
			m, err := market.NewSynthetic(config)
			if err != nil {
				return err
			}
			if err := m.Write(out); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"out": out, "config": config})
			}
			a.say("%d assets with %d candles of %s in %s", config.Assets, config.Candles, config.Interval, out)
			return nil
		},
	}
	c.Flags().IntVar(&config.Assets, "assets", config.Assets, "number of assets")
	c.Flags().IntVar(&config.Candles, "candles", config.Candles, "candles of each asset")
	c.Flags().BoolVar(&config.Shuffled, "shuffled", false, "the same candles in random order: nothing is left to learn")
	c.Flags().StringVar(&interval, "interval", interval, "time from candle to candle: 5m, 1h, 1d, 1w")
	c.Flags().StringVar(&out, "out", out, "folder to write to")
	return c
}

// refuseForeign keeps a synthetic market from mixing with real files: a folder
// may hold nothing but an older synthetic market.
func refuseForeign(dir string) error {
	paths, err := market.Files(dir)
	if err != nil {
		return nil // not there yet, or empty; writing reports anything else
	}
	for _, path := range paths {
		if name := filepath.Base(path); !strings.HasPrefix(name, "SYN-") {
			return fmt.Errorf("data: %s holds %s, which is not synthetic: choose another --out", dir, name)
		}
	}
	return nil
}

// loadTruth returns the synthetic market of a folder, or nil where the folder
// holds other data.
func loadTruth(s source) (*market.Synthetic, error) {
	if s.Folder == "" {
		return nil, nil
	}
	m, ok, err := market.LoadSynthetic(s.Folder)
	if err != nil || !ok {
		return nil, err
	}
	return m, nil
}
