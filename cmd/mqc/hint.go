package main

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/chat"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feed"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/runs"
	"github.com/micro-quant/mqc/score"
	"github.com/micro-quant/mqc/torch"
	"github.com/micro-quant/mqc/train"
)

// hintedError is an error whose place knows best what to try.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// hint says what to try after an error.
func hint(err error) string {
	var usage *usageError
	var hinted *hintedError
	var syntax *chat.SyntaxError
	text := err.Error()
	switch {
	case errors.As(err, &usage):
		return usage.hint
	case errors.As(err, &hinted):
		return hinted.hint
	case errors.As(err, &syntax):
		return "such as: " + syntax.Near[0].Example + "; help lists all commands"
	case errors.Is(err, api.ErrImpossible):
		return "try smaller moves"
	case errors.Is(err, api.ErrTooEarly):
		return "assets says from when to when there are candles"
	case errors.Is(err, forecast.ErrNoAnalogues):
		return "a shorter horizon or window, or a later date, leaves more of the past"
	case errors.Is(err, errNoAsset):
		return hintAsset()
	case errors.Is(err, runs.ErrNone):
		return "training commands make one; --runs names another folder"
	case errors.Is(err, runs.ErrUnknown):
		return "mqc runs lists them"
	case errors.Is(err, api.ErrNoModels):
		return "train a model first, mqc train or mqc quickstart, or name its folder: --runs DIR"
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program listens there: choose another --addr; port 0 is any that is free"
	case errors.Is(err, market.ErrNoData):
		return "put CSV files there, or make a synthetic market: mqc data generate"
	case errors.Is(err, feed.ErrUnknown):
		return "check symbol and dates; each --source spells symbols its own way: BRK-B at yahoo, BTCUSDT at binance, aapl.us at stooq"
	case errors.Is(err, feed.ErrBusy):
		return "try again later, with a longer --pause; what has come is kept"
	case errors.Is(err, feed.ErrUnreachable):
		return "check the network, and --base-url where it is given"
	case errors.Is(err, feed.ErrBlocked):
		return "try another --source, --user-agent or --base-url; stooq wants --api-key"
	case errors.Is(err, errInterrupted):
		return "the same command with --resume goes on from there"
	case errors.Is(err, errUnfinished):
		return "--resume goes on with it; delete that file to start anew, or choose another --out"
	case errors.Is(err, errNoRun):
		return "start it without --resume"
	case diskFull(err):
		return "free some disk, or choose another place to write to"
	case unwritable(err):
		return "check the path; --out chooses another place to write to"
	case errors.Is(err, syscall.ENOTDIR):
		return "check the path: a part of it is a file, not a folder"
	case errors.Is(err, fs.ErrPermission):
		return "check the path, and who may read it"
	case errors.Is(err, syscall.EISDIR):
		return "name a file, not a folder"
	case errors.Is(err, train.ErrDiverged), errors.Is(err, gpt.ErrNotFinite):
		return "try a lower --lr or more --warmup"
	case errors.Is(err, checkpoint.ErrUnfinished):
		return "finish it: the command that began it, with --resume"
	case errors.Is(err, torch.ErrTokenizer):
		return "fit one of this program: mqc tokenize; a model of the original program reads the tokens of its own alone"
	case errors.Is(err, torch.ErrNotTorch), errors.Is(err, torch.ErrUnknown),
		errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(text, "torch:"):
		return "import reads what the training scripts of the original program save: checkpoints/*.pt"
	case errors.Is(err, checkpoint.ErrForeign) && strings.Contains(text, "PyTorch"):
		return "checkpoints of this program are safetensors files; mqc import takes over a model of the original program"
	case errors.Is(err, checkpoint.ErrForeign):
		return "checkpoints of this program are safetensors files, whatever their name ends in; make one with: mqc train"
	case errors.Is(err, checkpoint.ErrNoTokenizer):
		return "train on a folder of CSV files, or pass --tokenizer"
	case errors.Is(err, checkpoint.ErrFitted):
		return "score dates after the checkpoint's training data; mqc info shows what it has seen"
	case errors.Is(err, dataset.ErrNoInputs):
		return "name the candles, not their tokens: --data DIR"
	case errors.Is(err, score.ErrTooFew):
		return "take more assets with --data, or train with a longer validation part: --val-from DATE"
	case errors.Is(err, checkpoint.ErrNoModel):
		return "that file is for --tokenizer; make a model with: mqc train --tokenizer FILE"
	case strings.Contains(text, "cut short"):
		return "copy the file again, or make it anew"
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(text, "tokenizer:"):
		return "make one with: mqc tokenize"
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(text, "checkpoint:"):
		return hintStage(text)
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
	case strings.Contains(text, "was fitted up to"):
		return "begin validation later, or fit a tokenizer for this split: mqc tokenize --val-from DATE"
	case strings.HasPrefix(text, "dataset: split:"):
		return "dates of the candles in the order of time: training, then --val-from, then --test-from"
	case strings.HasPrefix(text, "feature: fit:"):
		return "training wants candles before validation begins: more of them, or a later --val-from"
	case strings.HasPrefix(text, "dataset:") && strings.Contains(text, ".txt:"):
		return "a token file holds integers between spaces; mqc tokenize writes one"
	case strings.HasPrefix(text, "market:"):
		return "correct the file or move it away; mqc data check PATH says what every file holds"
	}
	return ""
}

// diskFull says that there was no room for what was written.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// unwritable says that a file could not be made where it was to be.
func unwritable(err error) bool {
	text := err.Error()
	if strings.HasPrefix(text, "out: ") || errors.Is(err, syscall.EROFS) {
		return true
	}
	found := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrPermission)
	return found && (strings.Contains(text, "atomicfile: ") || strings.Contains(text, "mkdir "))
}

// hintStage says what to run so that a checkpoint that is missing comes to be.
func hintStage(text string) string {
	for path, command := range map[string]string{midtrainModel: "stage2", sftModel: "stage3", rlModel: "stage4"} {
		if strings.Contains(text, path) {
			return "run the stage that makes it first: mqc " + command
		}
	}
	return "train a model first: mqc train, or mqc quickstart for all stages"
}

// hintAsset names a file of the data folder that could be meant.
func hintAsset() string {
	for _, file := range assets() {
		path, _, _ := strings.Cut(file, "\t")
		return "such as: --csv " + path
	}
	return "put CSV files there, or make a synthetic market: mqc data generate"
}
