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

// checkOut refuses a path that cannot become a file, that is one of the files which are
// read, or that a folder of candles which is read would hold from then on: before work
// goes into it.
func checkOut(path string, read ...string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("out: %s: not a regular file", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("out: %w", err)
	}
	for _, in := range read {
		if same(path, in) {
			return fmt.Errorf("out: %s is the file that is read: choose another --out", path)
		}
		if same(filepath.Dir(path), in) && market.IsCandleFile(path) {
			return fmt.Errorf("out: %s lies in the folder of candles that is read, and would be taken for candles: choose another --out", path)
		}
	}
	return nil
}

// checkModelOut is checkOut of a checkpoint or a tokenizer, which takes the place of
// one of ours and of nothing else, such as candles or a file of PyTorch.
func checkModelOut(path string, read ...string) error {
	if err := checkOut(path, read...); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() > 0 && !checkpoint.Resembles(path) {
		return fmt.Errorf("out: %s is there, and no checkpoint: choose another --out, or move it away", path)
	}
	return nil
}
