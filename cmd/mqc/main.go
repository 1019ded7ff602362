// Command mqc trains a small GPT on candles and forecasts candles.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by scripts/mqc from the repository's state.
var version = "dev"

func main() {
	// The first interrupt ends the work at the next whole step, with
	// everything saved; the second kills.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
