package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/stat"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/train"
)

// decodeFlags are the flags of decode.
type decodeFlags struct {
	tokens, data, csv string
	tokenizer, out    string
	price             float64
}

// decodedRow is one candle as decode prints it.
type decodedRow struct {
	Asset  string    `json:"asset"`
	Step   int       `json:"step"`
	Time   time.Time `json:"time,omitzero"`
	Token  int32     `json:"token"`
	Open   float64   `json:"open"`
	High   float64   `json:"high"`
	Low    float64   `json:"low"`
	Close  float64   `json:"close"`
	Return float64   `json:"log_return"`
}

func (a *app) decode() *cobra.Command {
	f := &decodeFlags{price: 100}
	c := &cobra.Command{
		Use:   "decode",
		Short: "Turn tokens into the candles and returns that they stand for",
		Long: `Turn tokens into the candles and returns that they stand for, as CSV. A token
decodes to the mean candle of all that have it, so decoded returns vary less
than those that were encoded, and over thousands of candles the prices part.

Tokens come from --tokens, or from a token file. With --csv they continue that
asset, from its last close and at its volatility; otherwise they start at
--price with the volatility of the training candles. --data may name candles
too: they are encoded and decoded again, which shows what the tokens keep.`,
		Example: `  mqc decode --tokens "80 81 83 89 66" --csv data/BTC-USD_2014-09-17_2024-12-31_1d.csv
  mqc decode --data data/all_tokens.txt --out decoded.csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runDecode(c, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.tokens, "tokens", "", "tokens to decode")
	flags.StringVar(&f.data, "data", "", "token file, folder of CSV files or one CSV file (also --data_file, --tokens_file; default: data/all_tokens.txt, else data)")
	flags.StringVar(&f.csv, "csv", "", "candles of the asset that --tokens continue")
	flags.StringVar(&f.tokenizer, "tokenizer", "", "tokenizer file, or any checkpoint that holds one (default: that of the token file, models/tokenizer.safetensors, or the furthest stage in checkpoints/)")
	flags.Float64Var(&f.price, "price", f.price, "close before the first candle, where no candles tell it")
	flags.StringVar(&f.out, "out", "", "CSV file to write (default: standard output)")
	return c
}

func (a *app) runDecode(c *cobra.Command, f *decodeFlags) error {
	switch {
	case f.tokens != "" && f.data != "":
		return usagef(c, "--tokens and --data: want one of them")
	case f.csv != "" && f.tokens == "":
		return usagef(c, "--csv %s: want --tokens that continue it", f.csv)
	case !(f.price >= feature.MinPrice && f.price <= feature.MaxPrice):
		return usagef(c, "--price %v: want a number above 0", f.price)
	}
	if err := checkEnding(c, f.out, ".csv"); err != nil {
		return err
	}
	if f.out != "" {
		if err := checkOut(f.out, f.data, f.csv, f.tokenizer); err != nil {
			return err
		}
	}
	var rows []decodedRow
	var err error
	if f.tokens != "" {
		rows, err = f.decodeTokens(c)
	} else {
		rows, err = f.decodeData()
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"candles": rows, "log_return": summarize(rows)})
	}
	if f.out == "" {
		if err := writeRows(a.out, rows); err != nil {
			return err
		}
	} else {
		if err := atomicfile.Write(f.out, func(w io.Writer) error { return writeRows(w, rows) }); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		a.say("%d candles in %s", len(rows), f.out)
	}
	s := summarize(rows)
	a.talk("log returns: mean %.6f, deviation %.6f, from %.6f to %.6f", s.Mean, s.Deviation, s.Min, s.Max)
	return nil
}

// decodeTokens decodes --tokens.
func (f *decodeFlags) decodeTokens(c *cobra.Command) ([]decodedRow, error) {
	tokens, err := parseTokenList(f.tokens)
	if err != nil {
		return nil, newUsageError(c, err)
	}
	_, codec, err := openCodec(f.tokenizer)
	if err != nil {
		return nil, err
	}
	stream := &dataset.Stream{Asset: "tokens", Tokens: tokens}
	state := startAt(codec, stream, f.price)
	if f.csv != "" {
		series, _, err := market.ReadCSV(f.csv)
		if err != nil {
			return nil, err
		}
		past, err := codec.Encode(series)
		if err != nil {
			return nil, err
		}
		n := len(past.Tokens)
		stream.Asset, stream.Times, state = past.Asset, past.Dates(n, len(tokens)), past.States[n]
	}
	return decodeStream(nil, codec, stream, state)
}

// decodeData decodes a token file, or what candles become.
func (f *decodeFlags) decodeData() ([]decodedRow, error) {
	streams, b, _, err := openStreams(f.data, f.tokenizer, true)
	if err != nil {
		return nil, err
	}
	codec, err := b.Codec()
	if err != nil {
		return nil, err
	}
	var rows []decodedRow
	for _, s := range streams {
		state := startAt(codec, s, f.price)
		if s.States != nil {
			state = s.States[0]
		}
		if rows, err = decodeStream(rows, codec, s, state); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// startAt is the state before the tokens of an asset that has done nothing but
// close at a price, one interval earlier.
func startAt(codec dataset.Codec, s *dataset.Stream, price float64) feature.State {
	flat := market.Candle{Open: price, High: price, Low: price, Close: price}
	if len(s.Times) == 0 {
		return codec.Scaler.Start(s.Asset, flat, time.Time{})
	}
	flat.Time = s.Times[0].Add(-time.Duration(s.Interval))
	return codec.Scaler.Start(s.Asset, flat, s.Times[0])
}

// decodeStream appends the candles of a stream to rows.
func decodeStream(rows []decodedRow, codec dataset.Codec, s *dataset.Stream, state feature.State) ([]decodedRow, error) {
	candles, err := codec.Decode(state, s.Tokens, s.Times)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errOtherTokenizer)
	}
	before := state.PrevClose
	for i, k := range candles {
		row := decodedRow{s.Asset, i + 1, time.Time{}, s.Tokens[i], k.Open, k.High, k.Low, k.Close, math.Log(k.Close / before)}
		if s.Times != nil {
			row.Time = s.Times[i]
		}
		rows, before = append(rows, row), k.Close
	}
	return rows, nil
}

func writeRows(w io.Writer, rows []decodedRow) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"asset", "step", "time", "token", "open", "high", "low", "close", "log_return"}); err != nil {
		return err
	}
	for _, r := range rows {
		at := ""
		if !r.Time.IsZero() {
			at = r.Time.Format(time.RFC3339)
		}
		err := c.Write([]string{r.Asset, strconv.Itoa(r.Step), at, strconv.Itoa(int(r.Token)), exact(r.Open), exact(r.High), exact(r.Low), exact(r.Close), exact(r.Return)})
		if err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// returnStats are of log returns.
type returnStats struct {
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"sd"` // 0 for a single return
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
}

func summarize(rows []decodedRow) returnStats {
	s := returnStats{Min: math.Inf(1), Max: math.Inf(-1)}
	var returns []float64
	for _, r := range rows {
		returns = append(returns, r.Return)
		s.Min, s.Max = min(s.Min, r.Return), max(s.Max, r.Return)
	}
	if s.Mean = stat.Mean(returns, nil); len(returns) > 1 {
		s.Deviation = stat.StdDev(returns, nil)
	}
	return s
}

// tokenizerPath is where the usual tokenizer is: its own file, else the furthest
// stage.
func tokenizerPath() string {
	if _, err := os.Stat(defaultTokenizer); err == nil {
		return defaultTokenizer
	}
	path := newestCheckpoint()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return defaultTokenizer // which is what is missing
	}
	return path
}

// openCodec reads a tokenizer, the usual one where path is empty.
func openCodec(path string) (*checkpoint.Bundle, dataset.Codec, error) {
	if path == "" {
		path = tokenizerPath()
	}
	b, err := openTokenizer(path, dataset.Split{})
	if err != nil {
		return nil, dataset.Codec{}, err
	}
	codec, err := b.Codec()
	return b, codec, err
}

// openStreams reads a token file, or candles with a tokenizer. Where a token file
// names no tokenizer, the usual one is taken if the caller needs it, and else
// none: the bundle is nil.
func openStreams(data, tokenizer string, need bool) ([]*dataset.Stream, *checkpoint.Bundle, int, error) {
	if data == "" {
		data = defaultData()
	}
	src, err := openSource(data)
	if err != nil {
		return nil, nil, 0, err
	}
	if src.Tokens == "" {
		series, err := src.series()
		if err != nil {
			return nil, nil, 0, err
		}
		b, codec, err := openCodec(tokenizer)
		if err != nil {
			return nil, nil, 0, err
		}
		streams, err := train.Encode(b, series)
		return streams, b, codec.Tokenizer.Codes(), err
	}
	streams, meta, err := dataset.ReadTokens(src.Tokens, 0)
	if err != nil {
		return nil, nil, 0, err
	}
	if tokenizer == "" {
		tokenizer = tokenizerBeside(src.Tokens, meta)
		if _, err := os.Stat(tokenizer); !need && err != nil {
			return streams, nil, meta.Vocabulary, nil
		}
	}
	if tokenizer == "" {
		tokenizer = tokenizerPath()
	}
	b, _, err := openCodec(tokenizer)
	if err != nil {
		return nil, nil, 0, err
	}
	return streams, b, meta.Vocabulary, fitsTokenizer(src.Tokens, meta, tokenizer, b)
}
