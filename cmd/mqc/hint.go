package main

import (
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
	var reading *readingError
	text := err.Error()
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &reading):
		return reading.hint
	case errors.Is(err, market.ErrNoData):
		return "put CSV files there, or make a synthetic market: mqc data generate"
	case errors.Is(err, errInterrupted):
		return "the same command with --resume goes on from there"
	case errors.Is(err, errUnfinished):
		return "--resume goes on with it; delete that file to start anew, or choose another --out"
	case errors.Is(err, errNoRun):
		return "start it without --resume"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return "free some disk; an unfinished run goes on with --resume"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission), strings.HasPrefix(text, "out: "):
		return "check the path; --out chooses another place to write to"
	case errors.Is(err, syscall.EISDIR):
		return "name a file, not a folder"
	case errors.Is(err, train.ErrDiverged), errors.Is(err, gpt.ErrNotFinite):
		return "try a lower --lr or more --warmup"
	case errors.Is(err, checkpoint.ErrUnfinished):
		return "finish it: the command that began it, with --resume"
	case errors.Is(err, checkpoint.ErrForeign):
		return "checkpoints of this program are safetensors files, whatever their name ends in; make one with: mqc train"
	case errors.Is(err, checkpoint.ErrNoTokenizer):
		return "train on a folder of CSV files, or pass --tokenizer"
	case errors.Is(err, checkpoint.ErrFitted):
		return "score dates after the checkpoint's training data; mqc info shows what it has seen"
	case errors.Is(err, checkpoint.ErrNoModel):
		return "that file is for --tokenizer; make a model with: mqc train --tokenizer FILE"
	case strings.Contains(text, "cut short"):
		return "copy the file again, or make it anew"
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(text, "tokenizer:"):
		return "make one with: mqc tokenize"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(text, "checkpoint:"):
		return "train a model first: mqc train, or mqc quickstart for all stages"
	case errors.Is(err, fs.ErrNotExist):
		return "mqc data generate makes a synthetic market to try things on"
	case errors.Is(err, errOtherTokenizer), errors.Is(err, gpt.ErrVocabulary), strings.Contains(text, "vocabulary"):
		return "tokens and model must come from the same tokenizer; mqc info shows the model's vocabulary"
	case strings.Contains(text, "has candles of"):
		return "take candles of that interval, or train a model on these"
	case errors.Is(err, gpt.ErrNoLogits):
		return "mqc eval --level density scores it; to draw paths, train with another --head"
	case errors.Is(err, gpt.ErrContext):
		return "choose a shorter prompt, context or horizon, or train with a larger --seq-len"
	case strings.HasPrefix(text, "unknown command"):
		return "see: mqc --help"
	case strings.Contains(text, "was fitted up to"):
		return "begin validation later, or fit a tokenizer for this split: mqc tokenize --val-from DATE"
	case strings.HasPrefix(text, "dataset:"):
		return "a token file holds integers between spaces; mqc tokenize writes one"
	case strings.HasPrefix(text, "market:"):
		return "correct the file or move it away; mqc data check PATH says what every file holds"
	}
	return ""
}
