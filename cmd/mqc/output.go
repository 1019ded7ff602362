package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/market"
)

// outWriter is standard output, which remembers that something did not arrive.
type outWriter struct {
	io.Writer
	err error
}

func (o *outWriter) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// file is standard output, if it is a file.
func (o *outWriter) file() (*os.File, bool) {
	f, is := o.Writer.(*os.File)
	return f, is
}

// keepRead refuses an output that is one of the files that are read, or one that a
// folder of candles which is read would hold from then on.
func keepRead(out string, read ...string) error {
	for _, in := range read {
		if out == "" || in == "" {
			continue
		}
		if same(out, in) {
			return fmt.Errorf("out: %s is a file that is read: choose another --out", out)
		}
		if same(filepath.Dir(out), in) && market.IsCandleFile(out) {
			return fmt.Errorf("out: %s lies in the folder of candles that is read, and would be taken for candles: choose another --out", out)
		}
	}
	return nil
}

// replaceable refuses to write a checkpoint or a tokenizer over what is none of ours,
// such as candles or a file of PyTorch.
func replaceable(out string) error {
	info, err := os.Stat(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("out: %w", err)
	}
	if !checkpoint.Resembles(out) {
		return fmt.Errorf("out: %s is there, and no checkpoint: choose another --out, or move it away", out)
	}
	return nil
}
