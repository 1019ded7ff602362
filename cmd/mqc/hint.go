package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/train"
)

// hint says what to try after an error.
func hint(err error) string {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.Is(err, market.ErrNoData):
		return "put CSV files there, or make a synthetic market: mqc data generate"
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return "the same command with --resume goes on from there"
	case errors.Is(err, syscall.ENOSPC):
		return "free some disk; an unfinished run goes on with --resume"
	case errors.Is(err, train.ErrDiverged), errors.Is(err, gpt.ErrNotFinite):
		return "try a lower --lr or more --warmup"
	case errors.Is(err, checkpoint.ErrForeign):
		return "checkpoints of this program are safetensors files, whatever their name ends in; make one with: mqc train"
	case errors.Is(err, checkpoint.ErrNoTokenizer):
		return "train on a folder of CSV files, or pass --tokenizer"
	case errors.Is(err, checkpoint.ErrFitted):
		return "score dates after the checkpoint's training data; mqc info shows what it has seen"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(err.Error(), "checkpoint:"):
		return "train a model first: mqc train, or mqc quickstart for all stages"
	case errors.Is(err, fs.ErrNotExist):
		return "mqc data generate makes a synthetic market to try things on"
	case strings.Contains(err.Error(), "context of"):
		return "choose a shorter prompt, context or horizon, or train with a larger --seq-len"
	case strings.Contains(err.Error(), "unknown command"):
		return "see: mqc --help"
	}
	return ""
}
