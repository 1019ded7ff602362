package main

import (
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/eval/selftest"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/report"
)

func (a *app) selftest() *cobra.Command {
	f := selftest.Defaults()
	var workers int
	var asCSV bool
	c := &cobra.Command{
		Use:   "selftest",
		Short: "Test the evaluator: how often does it find skill where there is none?",
		Long: `Draw markets of geometric Brownian motion, whose past tells nothing of what
comes. Train a small model on 60% of the dates of each, stop it early on 20%, and
score it on the last 20% beside the unconditional law. Count the markets on which
the gain in log score is significant at 5%: gains should come on 2.5% of them.
Losses may come more often, as a model that fits noise is worse than the law.
Fails if there are more gains than chance allows (p < .001), or if of two laws that
are equally wrong one is found to be better more or less often than a test that
rejects 2% to 9% can explain (p < .001).`,
		Example: "  mqc selftest --markets 20\n  mqc selftest --markets 200 --workers 8 --csv > falsepositives.csv",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.Seed = a.seed
			if err := f.Validate(); err != nil {
				return newUsageError(c, err)
			}
			if workers < 0 {
				return usagef(c, "--workers %d: want at least 1", workers)
			}
			if asCSV && a.json {
				return usagef(c, "--csv and --json: want one of them")
			}
			defer parallel.SetWorkers(parallel.SetWorkers(workers))
			f.Observe = func(market int, gains []selftest.Gain) {
				for _, g := range gains {
					if g.Name == selftest.NameModel {
						a.talk("market %d: the model gains %+.4f nats over the %s (p %s)", market+1, g.Test.Mean, selftest.Over, report.PValue(g.Test.P))
					}
				}
			}
			gains, err := selftest.Run(c.Context(), f)
			if err != nil {
				return err
			}
			rows := selftest.Judge(gains)
			if err := a.printSelftest(rows, asCSV); err != nil {
				return err
			}
			return selftest.Check(rows)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.Markets, "markets", f.Markets, "markets")
	flags.IntVar(&f.Process.Assets, "assets", f.Process.Assets, "assets of each market")
	flags.IntVar(&f.Process.Candles, "candles", f.Process.Candles, "candles of each asset")
	flags.StringVar(&f.Scale, "scale", f.Scale, "of the model's features: global, ewma or har (see mqc train --help)")
	flags.IntVar(&workers, "workers", 0, "goroutines that compute (default: one for each core)")
	flags.BoolVar(&asCSV, "csv", false, "print results as CSV")
	return c
}

func (a *app) printSelftest(rows []selftest.Row, asCSV bool) error {
	if a.json {
		return a.printJSON(rows)
	}
	if asCSV {
		w := csv.NewWriter(a.out)
		w.Write([]string{"row", "markets", "mean_gain_nats", "gains", "gains_lo", "gains_hi", "losses", "rejected", "rejected_lo", "rejected_hi", "chance"})
		for _, r := range rows {
			line := []string{r.Name, strconv.Itoa(r.Markets)}
			number := func(x float64) { line = append(line, fmt.Sprintf("%.4f", x)) }
			number(r.Gain)
			line = append(line, strconv.Itoa(r.Positive))
			number(r.PositiveLo)
			number(r.PositiveHi)
			line = append(line, strconv.Itoa(r.Negative))
			for _, x := range []float64{r.Rejected, r.RejectedLo, r.RejectedHi, r.Chance} {
				number(x)
			}
			w.Write(line)
		}
		w.Flush()
		return w.Error()
	}
	out := newTable("log score over the "+selftest.Over, "mean gain", "gains", "95% interval", "losses", "rejected", "95% interval", "chance")
	interval := func(lo, hi float64) string { return report.Percent(lo) + "–" + report.Percent(hi) }
	for _, r := range rows {
		out.add(r.Name, r.Gain, r.Positive, interval(r.PositiveLo, r.PositiveHi), r.Negative,
			report.Percent(r.Rejected), interval(r.RejectedLo, r.RejectedHi), report.PValue(r.Chance))
	}
	a.say("%d markets without anything to find, tests at %s", rows[0].Markets, report.Percent(selftest.Level))
	a.say("%s", out)
	a.say("chance: the probability of as many gains or more if each comes with %s", report.Percent(selftest.Level/2))
	return nil
}
