package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/server"
)

func (a *app) serve() *cobra.Command {
	var folder, data, precision, registry, addr, token string
	var paths []string
	var insecure bool
	limits := server.DefaultLimits()
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer questions over HTTP, and on a page to look at",
		Long: `serve answers the questions of mqc chat over HTTP, as JSON and in words, until it
is interrupted: docs/api.md shows how to ask. Its page draws forecasts on a chart:
docs/page.md. It shows training runs, live, and report cards: those that
mqc report --out x.json has written to the folder of the checkpoints, or to one in it.
Only this machine reaches it, unless --token or --insecure allow another --addr.`,
		Example: `  mqc serve --runs checkpoints --data data
  mqc serve --checkpoint checkpoints/best_model.pt --addr 0.0.0.0:8080 --token "$(openssl rand -hex 16)"`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if token != "" && insecure {
				return usagef(c, "--token and --insecure: want one of them")
			}
			if err := checkAddr(c, addr, token, insecure); err != nil {
				return err
			}
			if err := limits.Validate(); err != nil {
				return newUsageError(c, err)
			}
			config := server.Config{
				Folder: folder, Registry: registry, Token: token, AnyHost: insecure, Limits: limits, Version: version,
				Log: slog.New(slog.NewTextHandler(a.err, nil)),
			}
			if err := config.CheckToken(); err != nil {
				return newUsageError(c, err)
			}
			if len(paths) > 0 {
				config.Folder = filepath.Dir(paths[0])
			}
			if registry == "" {
				config.Registry = registryOf(config.Folder)
			}
			var err error
			if config.Models, err = a.askedModels(c, paths, folder, precision); err != nil {
				return err
			}
			if config.Series, err = askedSeries(c, data); err != nil {
				return err
			}
			l, err := listen(addr)
			if err != nil {
				return err
			}
			return a.runServe(c.Context(), config, l)
		},
	}
	flags := c.Flags()
	bindModels(flags, &paths, &folder, &precision)
	flags.StringVar(&data, "data", defaultFolder, "folder of candles, or one file")
	flags.StringVar(&registry, "registry", "", "folder of the registry of training runs (default: runs in --runs, or beside it where that is called checkpoints)")
	flags.StringVar(&addr, "addr", defaultAddr, "address to listen at; port 0 is any that is free")
	flags.StringVar(&token, "token", "", "what requests must bear: Authorization: Bearer TOKEN")
	flags.BoolVar(&insecure, "insecure", false, "answer whoever reaches --addr")
	flags.IntVar(&limits.Concurrent, "concurrent", limits.Concurrent, "requests that compute at the same time; more are answered with 429")
	return c
}

// defaultAddr is reached from this machine alone.
const defaultAddr = "127.0.0.1:8080"

// checkAddr refuses an address that strangers reach, unless they need a token or are
// let in.
func checkAddr(c *cobra.Command, addr, token string, insecure bool) error {
	err := server.CheckAddr(addr, token)
	if err == nil || insecure && errors.Is(err, server.ErrExposed) {
		return nil
	}
	e := newUsageError(c, err)
	if errors.Is(err, server.ErrExposed) {
		e.hint = "give a --token that requests must bear, or say --insecure"
	}
	return e
}

// listen makes an address ready; connections wait until they are served.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	return l, nil
}

// runServe serves until the context ends. It closes l.
func (a *app) runServe(ctx context.Context, config server.Config, l net.Listener) error {
	s, err := server.New(config)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	url := "http://" + l.Addr().String()
	if at, ok := l.Addr().(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		url = fmt.Sprintf("http://localhost:%d", at.Port)
	}
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
