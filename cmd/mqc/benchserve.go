package main

import (
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/parallel"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/measure/load"
	"github.com/micro-quant/mqc/report"
	"github.com/micro-quant/mqc/server"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// benchServeFlags are the flags of bench serve.
type benchServeFlags struct {
	shapeFlags
	config           load.Config
	checkpoint, data string
	precision        string
	seconds          float64
	workers          int
}

func (a *app) benchServe() *cobra.Command {
	f := &benchServeFlags{config: load.Config{Server: server.Config{Limits: server.DefaultLimits(), Version: version}}}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Measure what many clients get of mqc serve, and how long one waits",
		Long: `Measure what many clients get of mqc serve, and how long one waits. A server runs
in this process, on the loopback, with fresh weights and a synthetic market, or with
--checkpoint and --data. First the model decodes as in mqc bench decode --paths 64;
then a single client asks for 256 paths of 32 candles, as the page does; then
--clients ask for --seconds, every other one for a stream. They wait as long as a
refusal tells them to, and give up --leave of their requests half-way.

Tokens a second are those of accepted requests; latency is that of accepted requests.`,
		Example: "  mqc bench serve --preset quick\n  mqc bench serve --checkpoint quickstart/checkpoints/rl_btc.pt --data quickstart/data --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runBenchServe(c, f) },
	}
	f.bindShape(c)
	flags, m := c.Flags(), &f.config
	bindPrecision(flags, &f.precision)
	flags.StringVar(&f.checkpoint, "checkpoint", "", "checkpoint to serve (default: fresh weights)")
	flags.StringVar(&f.data, "data", "", "--checkpoint: folder of candles")
	flags.IntVar(&m.Clients, "clients", 200, "clients that ask at the same time")
	flags.Float64Var(&f.seconds, "seconds", 30, "time that they go on asking")
	flags.IntVar(&m.Paths, "paths", 64, "paths of a request")
	flags.IntVar(&m.Horizon, "horizon", 32, "candles of a path")
	flags.Float64Var(&m.Leave, "leave", .1, "share of the requests that are given up")
	flags.IntVar(&m.Repeats, "repeats", 10, "requests of the single client")
	flags.IntVar(&m.Server.Limits.Concurrent, "concurrent", m.Server.Limits.Concurrent, "requests that the server computes at the same time")
	flags.IntVar(&f.workers, "workers", 0, "goroutines that compute (default: one for each core)")
	return c
}

func (a *app) runBenchServe(c *cobra.Command, f *benchServeFlags) error {
	if f.workers < 0 {
		return usagef(c, "--workers %d: want at least 1", f.workers)
	}
	if (f.checkpoint == "") != (f.data == "") {
		return usagef(c, "--checkpoint and --data: want both or none")
	}
	m := f.config
	m.Time, m.Seed = time.Duration(f.seconds*float64(time.Second)), a.seed
	var err error
	if f.checkpoint != "" {
		precision := f.precision
		if !c.Flags().Changed("precision") {
			precision = "" // its own
		}
		if m.Server.Models, err = a.askedModels(c, []string{f.checkpoint}, filepath.Dir(f.checkpoint), precision); err == nil {
			m.Server.Series, _, err = market.ReadDir(f.data)
		}
	} else {
		m.Server.Models, m.Server.Series, err = f.fresh(c, a.seed)
	}
	if err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return newUsageError(c, err)
	}
	defer parallel.SetWorkers(parallel.SetWorkers(f.workers))
	r, err := load.Run(c.Context(), m)
	if err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.out).Encode(r) // one line: others read it from a log
	}
	a.printLoad(r)
	return nil
}

// fresh is a model that nobody has trained, over a synthetic market. Its tokens are
// quantiles of the return: of all tokenizers that takes the least time to fit, and
// how long a token takes to decode does not depend on it.
func (f *benchServeFlags) fresh(c *cobra.Command, seed uint64) ([]api.Model, []*market.Series, error) {
	shape, err := f.modelShape(c, 0)
	if err != nil {
		return nil, nil, newUsageError(c, err)
	}
	precision, err := gpt.ParsePrecision(f.precision, shape)
	if err != nil {
		return nil, nil, newUsageError(c, err)
	}
	candles, err := market.NewSynthetic(market.DefaultSynthetic())
	if err != nil {
		return nil, nil, err
	}
	codes := tokenizer.DefaultVQ()
	codes.Codes, codes.Seed = shape.Vocab, seed
	b, err := train.Prepare(c.Context(), candles.Series, train.Preparation{Scaler: feature.EWMA, Kind: tokenizer.KindQuantile, VQ: codes, Build: version})
	if err != nil {
		return nil, nil, err
	}
	if err := train.NewModel(b, candles.Series, shape, seed); err != nil {
		return nil, nil, err
	}
	b.Precision = precision
	m, err := forecast.NewModel(b)
	return []api.Model{{Name: "fresh", Model: m}}, candles.Series, err
}

func (a *app) printLoad(r load.Result) {
	a.say("serve, %s, %d workers, %s, %s", r.Precision, r.Workers, r.Engine, r.CPU)
	a.say("%d parameters, %d assets", r.Parameters, r.Assets)
	q, w, d := r.Quiet, r.Crowd, r.Decode
	a.say("\none client, %d paths of %d candles: first quantiles after %.4g ms, all after %.4g ms, without a stream after %.4g ms (medians of %d)",
		q.Paths, q.Horizon, q.FirstQuantileMS, q.DoneMS, q.JSONMS, q.Repeats)
	a.say("\n%d clients, %d paths of %d candles, %.1f s: %d answered, %d refused, %d given up", w.Clients, w.Paths, w.Horizon, w.Seconds, w.Accepted, w.Refused, w.Left)
	a.say("%.0f tokens/s, %s of the %.0f of decoding %d paths", w.TokensPerSecond, report.Percent(d.Ratio), d.TokensPerSecond, d.Paths)
	a.say("answered after %.4g ms in the median, p95 %.4g ms, p99 %.4g ms", w.P50MS, w.P95MS, w.P99MS)
	same := "the bytes that they have alone"
	if !w.SameBytes {
		same = "OTHER BYTES than alone"
	}
	a.say("answers have %s", same)
	a.say("heap %.1f MiB before, %.1f after; goroutines %d before, %d after", w.HeapBeforeMiB, w.HeapAfterMiB, w.GoroutinesBefore, w.GoroutinesAfter)
}
