package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// source says where a run's candles or tokens come from: one of the three.
type source struct {
	Folder string `json:"folder,omitempty"` // of candle files
	CSV    string `json:"csv,omitempty"`    // one asset
	Tokens string `json:"tokens,omitempty"` // a token file
}

// openSource tells a folder, a candle file and a token file apart.
func openSource(path string) (source, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return source{}, fmt.Errorf("data: %q does not exist: %w", path, market.ErrNoData)
	case err != nil:
		return source{}, fmt.Errorf("data: %w", err)
	case info.IsDir():
		return source{Folder: path}, nil
	case strings.HasSuffix(path, ".txt"): // tokens, but for exporters that write candles so
		if _, _, err := market.ReadCSV(path); errors.Is(err, market.ErrNotCandles) {
			return source{Tokens: path}, nil
		}
	}
	return source{CSV: path}, nil
}

// encode is the source as a resume file keeps it: with paths that mean the
// same from any working folder, as far as the system can tell.
func (s source) encode() json.RawMessage {
	for _, path := range []*string{&s.Folder, &s.CSV, &s.Tokens} {
		if full, err := filepath.Abs(*path); err == nil && *path != "" {
			*path = full
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a struct of strings
	}
	return text
}

// series reads the candles of a source.
func (s source) series() ([]*market.Series, error) {
	series, _, err := s.read()
	return series, err
}

// read reads the candles of a source, and what was found in its files.
func (s source) read() ([]*market.Series, []market.Report, error) {
	if s.Folder != "" {
		return market.ReadDir(s.Folder)
	}
	one, found, err := market.ReadCSV(s.CSV)
	if err != nil {
		return nil, nil, err
	}
	return []*market.Series{one}, []market.Report{found}, nil
}

// learnt reads the candles of a source to fit something on them. Prices that jump
// as no trade does are said to: they are learnt as they stand.
func (a *app) learnt(s source) ([]*market.Series, error) {
	series, reports, err := s.read()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range reports {
		if len(r.Jumps) > 0 {
			names = append(names, r.Symbol)
		}
	}
	if n := len(names); n > 0 {
		const most = 3
		if n > most {
			names = append(names[:most], share(n-most, "other", "others"))
		}
		a.warn("warning: prices jump as no trade does: %s; mqc data check %s shows where", strings.Join(names, ", "), s.Folder+s.CSV)
	}
	return series, nil
}

// streams reads a source as tokens of a bundle's tokenizer, cut by its split.
func (s source) streams(b *checkpoint.Bundle, vocab int) ([]*dataset.Stream, error) {
	if s.Tokens != "" {
		streams, meta, err := dataset.ReadTokens(s.Tokens, vocab)
		if err != nil {
			return nil, err
		}
		if err := sameTokenizer(s.Tokens, meta, b); err != nil {
			return nil, err
		}
		for _, stream := range streams {
			b.Split.Apply(stream)
		}
		return streams, nil
	}
	series, err := s.series()
	if err != nil {
		return nil, err
	}
	return train.Encode(b, series)
}

// sameTokenizer refuses a token file that another tokenizer made. A bare token
// file does not say.
func sameTokenizer(path string, meta dataset.Meta, b *checkpoint.Bundle) error {
	if b.Tokenizer == nil || meta.Fingerprint == "" || meta.Fingerprint == tokenizer.Fingerprint(b.Tokenizer) {
		return nil
	}
	return fmt.Errorf("tokens: %s was made by another tokenizer: %w", path, errOtherTokenizer)
}

// errOtherTokenizer says that tokens and model do not speak one language.
var errOtherTokenizer = errors.New("its tokens mean other candles")

// defaultData is the token file of the specification where it exists, else the
// data folder.
func defaultData() string {
	if _, err := os.Stat(defaultTokens); err == nil {
		return defaultTokens
	}
	return defaultFolder
}

// Places of the specification.
const (
	defaultFolder    = "data"
	defaultTokens    = "data/all_tokens.txt"
	defaultTokenizer = "models/tokenizer.safetensors"
	bestModel        = "checkpoints/best_model.pt"
	midtrainModel    = "checkpoints/midtrain_btc.pt"
	sftModel         = "checkpoints/sft_btc.pt"
	rlModel          = "checkpoints/rl_btc.pt"
)

// defaultCSV is the newest BTC-USD file of the data folder.
func defaultCSV() (string, error) {
	pattern := filepath.Join(defaultFolder, "BTC-USD_*_1d.csv")
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("data: %s: %w", pattern, errNoAsset)
	}
	slices.Sort(found) // names end in the last date
	return found[len(found)-1], nil
}

// errNoAsset says that nothing is there that is BTC-USD by its name.
var errNoAsset = errors.New("no such file: name the asset's with --csv")

// newestCheckpoint is the furthest stage of the chain that exists.
func newestCheckpoint() string {
	for _, path := range []string{rlModel, sftModel, midtrainModel} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return bestModel
}

// parseDate reads the value of --val-from and --test-from.
func parseDate(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse("2006-01-02", text)
	if err != nil {
		return t, fmt.Errorf("--%s %q: want a date such as 2020-01-31", name, text)
	}
	return t, nil
}

// outPath completes an --out that names a folder with the usual file name.
func outPath(out, file string) (string, error) {
	info, err := os.Stat(out)
	if strings.HasSuffix(out, "/") || err == nil && info.IsDir() || err != nil && filepath.Ext(out) == "" {
		out = filepath.Join(out, filepath.Base(file))
	}
	return out, checkOut(out)
}

// checkEnding refuses an --out whose name is that of another format than those
// that are written. One without an ending says nothing.
func checkEnding(c *cobra.Command, out string, endings ...string) error {
	ext := strings.ToLower(filepath.Ext(out))
	if out == "-" || ext != "" && !slices.Contains(endings, ext) {
		return usagef(c, "--out %s: want a file that ends in %s", out, strings.Join(endings, " or "))
	}
	return nil
}

// checkFolder refuses a path that cannot become a folder.
func checkFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("out: %s: not a folder", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("out: %w", err)
	}
	return nil
}
