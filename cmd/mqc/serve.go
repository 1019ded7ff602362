package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/server"
)

func (a *app) serve() *cobra.Command {
	var folder, data, precision, addr, token string
	var paths []string
	var insecure bool
	limits := server.DefaultLimits()
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer questions over HTTP: forecasts, what-ifs, probabilities",
		Long: `serve answers the questions of mqc chat over HTTP, as JSON and in words, until it
is interrupted: docs/api.md shows how to ask. Only this machine reaches it, unless
--token or --insecure allow another --addr.`,
		Example: `  mqc serve --runs checkpoints --data data
  mqc serve --checkpoint checkpoints/best_model.pt --addr 0.0.0.0:8080 --token "$(openssl rand -hex 16)"`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if token != "" && insecure {
				return usagef(c, "--token and --insecure: want one of them")
			}
			err := server.CheckAddr(addr, token)
			if err != nil && !(insecure && errors.Is(err, server.ErrExposed)) {
				e := newUsageError(c, err)
				if errors.Is(err, server.ErrExposed) {
					e.hint = "give a --token that requests must bear, or say --insecure"
				}
				return e
			}
			if err := limits.Validate(); err != nil {
				return newUsageError(c, err)
			}
			config := server.Config{
				Token: token, AnyHost: insecure, Limits: limits, Version: version,
				Log: slog.New(slog.NewTextHandler(a.err, nil)),
			}
			if err := config.CheckToken(); err != nil {
				return newUsageError(c, err)
			}
			if config.Models, err = a.askedModels(c, paths, folder, precision); err != nil {
				return err
			}
			if config.Series, err = askedSeries(c, data); err != nil {
				return err
			}
			return a.runServe(c.Context(), config, addr)
		},
	}
	flags := c.Flags()
	bindModels(flags, &paths, &folder, &precision)
	flags.StringVar(&data, "data", defaultFolder, "folder of candles, or one file")
	flags.StringVar(&addr, "addr", "127.0.0.1:8080", "address to listen at; port 0 is any that is free")
	flags.StringVar(&token, "token", "", "what requests must bear: Authorization: Bearer TOKEN")
	flags.BoolVar(&insecure, "insecure", false, "answer whoever reaches --addr")
	flags.IntVar(&limits.Concurrent, "concurrent", limits.Concurrent, "requests that compute at the same time; more are answered with 429")
	return c
}

// runServe serves until the context ends.
func (a *app) runServe(ctx context.Context, config server.Config, addr string) error {
	s, err := server.New(config)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	url := "http://" + l.Addr().String()
	if a.json {
		if err := a.printJSON(map[string]any{"url": url, "models": len(config.Models), "assets": len(config.Series)}); err != nil {
			return errors.Join(err, l.Close())
		}
	} else {
		a.say("serving at %s: models %d, assets %d", url, len(config.Models), len(config.Series))
	}
	if config.AnyHost {
		a.warn("warning: whoever reaches %s can ask", l.Addr())
	}
	return s.Serve(ctx, l)
}
