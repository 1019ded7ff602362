// Command mqc trains a small GPT on candles and forecasts candles.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// version is set by scripts/mqc from the repository's state.
var version = "dev"

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	// The first interrupt ends the work at the next whole step, with
	// everything saved; the second quits. Files are safe from both: they are
	// renamed into place.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(os.Stderr, "mqc: stopping; a second interrupt quits at once")
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
