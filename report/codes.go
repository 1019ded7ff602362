package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
)

// Tokenizer is what turns candles into tokens, and how its codes are used.
type Tokenizer struct {
	Models      []string        `json:"models"` // that have it
	Kind        string          `json:"kind"`
	Scale       string          `json:"scale"`
	Fingerprint string          `json:"fingerprint"`
	Stats       tokenizer.Stats `json:"stats"` // on the part
	Codes       []Code          `json:"codes"` // the commonest in training first
}

// Code is a token with the candle that it decodes to after a close of 100 at the
// volatility of the training candles.
type Code struct {
	Token int     `json:"token"`
	Open  float64 `json:"open"`
	High  float64 `json:"high"`
	Low   float64 `json:"low"`
	Close float64 `json:"close"`
	Train int     `json:"train"` // candles of training that have it
	Part  int     `json:"part"`  // and of the part
}

// startClose is the close before the candles of codes.
const startClose = 100

// describeTokenizers describes every tokenizer once.
func describeTokenizers(models []Source, series []*market.Series, split dataset.Split, part dataset.Part) (list []Tokenizer, err error) {
	for _, m := range models {
		codec, err := m.Bundle.Codec()
		if err != nil {
			return nil, fmt.Errorf("report: %s: %w", m.Name, err)
		}
		print := tokenizer.Fingerprint(codec.Tokenizer)
		known := slices.IndexFunc(list, func(t Tokenizer) bool { return t.Fingerprint == print && t.Scale == codec.Scaler.Kind })
		if known >= 0 {
			list[known].Models = append(list[known].Models, m.Name)
			continue
		}
		t, err := describeTokenizer(codec, series, split, part)
		if err != nil {
			return nil, fmt.Errorf("report: %s: %w", m.Name, err)
		}
		t.Models, t.Fingerprint = []string{m.Name}, print
		list = append(list, t)
	}
	return list, nil
}

func describeTokenizer(codec dataset.Codec, series []*market.Series, split dataset.Split, part dataset.Part) (Tokenizer, error) {
	t := Tokenizer{Kind: codec.Tokenizer.Kind(), Scale: codec.Scaler.Kind, Codes: make([]Code, codec.Tokenizer.Codes())}
	state := codec.Scaler.Start("", market.Candle{Open: startClose, High: startClose, Low: startClose, Close: startClose}, time.Time{})
	for k := range t.Codes {
		c := codec.Scaler.Decode(state, codec.Tokenizer.Decode(k))
		t.Codes[k] = Code{Token: k, Open: c.Open, High: c.High, Low: c.Low, Close: c.Close}
	}
	var vectors []feature.Vector
	for _, s := range series {
		stream, err := codec.Encode(s)
		if err != nil {
			return t, err
		}
		split.Apply(stream)
		_, trained := stream.Bounds(dataset.Train)
		for _, token := range stream.Tokens[:trained] {
			t.Codes[token].Train++
		}
		from, to := stream.Bounds(part)
		for i := from; i < to; i++ {
			t.Codes[stream.Tokens[i]].Part++
			vectors = append(vectors, codec.Scaler.Encode(stream.States[i], stream.Candles[i]))
		}
	}
	t.Stats = tokenizer.Measure(codec.Tokenizer, vectors)
	slices.SortStableFunc(t.Codes, func(a, b Code) int { return b.Train - a.Train })
	return t, nil
}
