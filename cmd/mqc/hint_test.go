package main

import (
	"fmt"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/feed"
)

func TestHintsFitTheError(t *testing.T) {
	at := func(op string, err error) error { return &fs.PathError{Op: op, Path: "x", Err: err} }
	date := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	_, unfit := feature.FitScaler(feature.EWMA, nil, date)
	const (
		place = "check the path; --out chooses another place to write to"
		full  = "free some disk, or choose another place to write to"
	)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"a checkpoint where no folder can be", fmt.Errorf("checkpoint: atomicfile: /proc/x/y.pt: %w", at("mkdir", syscall.ENOENT)), place},
		{"a table where no folder can be", fmt.Errorf("data: atomicfile: /proc/x/y.csv: %w", at("mkdir", syscall.ENOENT)), place},
		{"a folder that is closed", fmt.Errorf("export: atomicfile: x/y.npz: %w", at("open", syscall.EACCES)), place},
		{"a folder in a file", fmt.Errorf("feed: %w", at("mkdir", syscall.ENOTDIR)), place},
		{"a file that is closed", fmt.Errorf("market: %w", at("open", syscall.EACCES)), "check the path, and who may read it"},
		{"a file in a file", fmt.Errorf("market: %w", at("open", syscall.ENOTDIR)), "check the path: a part of it is a file, not a folder"},
		{"no network", fmt.Errorf("feed: yahoo X: %w: no such host", feed.ErrUnreachable), "check the network, and --base-url where it is given"},
		{"a full disk", fmt.Errorf("data: atomicfile: x.csv: %w", at("write", syscall.ENOSPC)), full},
		{"a split in the wrong order", dataset.Split{ValFrom: date, TestFrom: date.AddDate(-1, 0, 0)}.Validate(), "dates of the candles in the order of time: training, then --val-from, then --test-from"},
		{"nothing to fit on", unfit, "training wants candles before validation begins: more of them, or a later --val-from"},
		{"one candle", fmt.Errorf("dataset: X: %w", dataset.ErrTooShort), ""},
		{"no tokens", fmt.Errorf("dataset: all.txt:3: token 1 is \"x\""), "a token file holds integers between spaces; mqc tokenize writes one"},
	} {
		if got := hint(c.err); got != c.want {
			t.Errorf("%s: hint(%v) = %q, want %q", c.name, c.err, got, c.want)
		}
	}
}
