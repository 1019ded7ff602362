// Package eval decides who is scored on what and against whom. Everything in
// one table is scored on the same targets, baselines included, and nothing on
// what it was fitted on.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
)

// Row is one model or baseline of a table of next-token scores.
type Row struct {
	Name       string  `json:"name"`
	Nats       float64 `json:"nats"`       // mean −ln p per token
	Bits       float64 `json:"bits"`       // the same in bits
	Perplexity float64 `json:"perplexity"` // exp of the nats
	Top1       float64 `json:"top1"`       // fraction of tokens that were the likeliest
	Top5       float64 `json:"top5"`       // fraction among the five likeliest
	Entropy    float64 `json:"entropy"`    // mean nats of the distributions themselves
	Steps      int     `json:"steps,omitempty"`
	Note       string  `json:"note,omitempty"`
}

// Asset is what a table scores of one asset.
type Asset struct {
	Name    string `json:"name"`
	Targets int    `json:"targets"`
	Unseen  bool   `json:"unseen,omitempty"` // a model of the table was not trained on it
}

// Table is the scores of several models on the same targets.
type Table struct {
	Part     string  `json:"part"`
	Targets  int     `json:"targets"`
	Selected bool    `json:"selected"` // early stopping has seen these targets
	Assets   []Asset `json:"assets"`
	Rows     []Row   `json:"rows"`
}

// Named is a checkpoint with the name of its row.
type Named struct {
	Name   string
	Bundle *checkpoint.Bundle
}

// Truth fills probs with the true distribution of a token.
type Truth func(probs []float64, stream, index int)

// Tokens scores models and baselines on every target of a part of streams that
// has a token before it. seqLen bounds the window of the models (0: their own).
// truth may be nil. It refuses targets that a model was fitted on.
func Tokens(ctx context.Context, models []Named, streams []*dataset.Stream, part dataset.Part, seqLen int, truth Truth) (*Table, error) {
	V, err := vocabulary(models, streams)
	if err != nil {
		return nil, err
	}
	t := &Table{Part: part.String()}
	hash := dataset.Hash(streams)
	for _, s := range streams {
		lo, hi := s.Bounds(part)
		lo = max(lo, 1)
		if lo >= hi {
			continue
		}
		asset := Asset{Name: s.Asset, Targets: hi - lo, Unseen: s.Unseen()}
		t.Targets += hi - lo
		for _, m := range models {
			asset.Unseen = asset.Unseen || !m.Bundle.Knows(s.Asset)
			selected, err := m.Bundle.CheckHeldOut(s, lo, hi, hash)
			if err != nil {
				return nil, fmt.Errorf("eval: %s: %w", m.Name, err)
			}
			t.Selected = t.Selected || selected
		}
		t.Assets = append(t.Assets, asset)
	}
	if t.Targets == 0 {
		return nil, fmt.Errorf("eval: the %s part has no candles", part)
	}

	for _, b := range baselines(streams, V) {
		scores := scoreTokens(streams, part, V, b.fill)
		row := newRow(b.name, predict.Average(scores))
		row.Note = b.note
		t.Rows = append(t.Rows, row)
	}
	for _, m := range models {
		T := m.Bundle.Model.SeqLen
		if seqLen > 0 {
			if seqLen > T {
				return nil, fmt.Errorf("eval: %s: seq_len %d: %w of %d", m.Name, seqLen, gpt.ErrContext, T)
			}
			T = seqLen
		}
		own, err := ownInputs(m, models[0], streams)
		if err != nil {
			return nil, err
		}
		scores, err := predict.Tokens(ctx, m.Bundle.Runner(), own, dataset.EvalWindows(streams, part, T))
		if err != nil {
			return nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
		if len(scores) != t.Targets {
			panic(fmt.Sprintf("eval: %s scored %d of %d targets", m.Name, len(scores), t.Targets))
		}
		row := newRow(m.Name, predict.Average(scores))
		if l := m.Bundle.Lineage; len(l) > 0 {
			row.Steps = l[len(l)-1].Steps
		}
		t.Rows = append(t.Rows, row)
	}
	if truth != nil {
		row := newRow("truth", predict.Average(scoreTokens(streams, part, V, func(probs []float64, s, i int) { truth(probs, s, i) })))
		row.Note = "the generator, sampled at its true state"
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// ownInputs are streams, which the codec of the first model made, with what m
// sees beside their tokens.
func ownInputs(m, first Named, streams []*dataset.Stream) ([]*dataset.Stream, error) {
	if !m.Bundle.Inputs.Any() && !first.Bundle.Inputs.Any() {
		return streams, nil
	}
	var codec dataset.Codec
	var err error
	if m.Bundle.Inputs.Any() {
		if codec, err = m.Bundle.Codec(); err != nil {
			return nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
	}
	own := make([]*dataset.Stream, len(streams))
	for i, s := range streams {
		if own[i], err = codec.WithInputs(s); err != nil {
			return nil, fmt.Errorf("eval: %s: %w", m.Name, err)
		}
	}
	return own, nil
}

// ErrTokenizers says that the tokens of two models do not mean the same.
var ErrTokenizers = errors.New("different tokenizers: they cannot share a table")

// vocabulary returns the number of tokens that the models and the streams share,
// or an error where a token does not mean the same to all of them.
func vocabulary(models []Named, streams []*dataset.Stream) (int, error) {
	if len(models) == 0 {
		return 0, errors.New("eval: no model to score")
	}
	first := models[0]
	for _, m := range models {
		b := m.Bundle
		switch {
		case b.Model == nil:
			return 0, fmt.Errorf("eval: %s: %w", m.Name, checkpoint.ErrNoModel)
		case b.Model.Outputs > 0:
			return 0, fmt.Errorf("eval: %s: %w", m.Name, gpt.ErrNoLogits)
		case b.Model.Vocab != first.Bundle.Model.Vocab:
			return 0, fmt.Errorf("eval: %s has %d tokens, %s has %d: they cannot share a table", first.Name, first.Bundle.Model.Vocab, m.Name, b.Model.Vocab)
		case !sameTokens(first.Bundle, b):
			return 0, fmt.Errorf("eval: %s and %s: %w", first.Name, m.Name, ErrTokenizers)
		}
	}
	V := first.Bundle.Model.Vocab
	for _, s := range streams {
		for i, token := range s.Tokens {
			if token < 0 || int(token) >= V {
				return 0, fmt.Errorf("eval: %s: token %d is %d: %w 0…%d", s.Asset, i, token, gpt.ErrVocabulary, V-1)
			}
		}
	}
	return V, nil
}

// sameTokens reports whether two bundles encode candles alike. Of a bundle
// that was trained on bare tokens nothing is known.
func sameTokens(a, b *checkpoint.Bundle) bool {
	if a == b || a.Tokenizer == nil || b.Tokenizer == nil {
		return true
	}
	return a.Scaler.Equal(*b.Scaler) && tokenizer.Fingerprint(a.Tokenizer) == tokenizer.Fingerprint(b.Tokenizer)
}

// baseline is a distribution over the next token.
type baseline struct {
	name, note string
	fill       func(probs []float64, stream, index int)
}

func baselines(streams []*dataset.Stream, V int) []baseline {
	unigram, bigram, asset := forecast.FitUnigram(streams, V), forecast.FitBigram(streams, V), forecast.FitAssetUnigram(streams, V)
	list := []baseline{
		{"uniform", "", func(probs []float64, _, _ int) {
			for k := range probs {
				probs[k] = 1 / float64(V)
			}
		}},
		{"unigram", "", func(probs []float64, _, _ int) { unigram.Probabilities(probs, 0) }},
		{"bigram", fmt.Sprintf("weight %.2g, chosen on validation", bigram.Lambda), func(probs []float64, s, i int) {
			bigram.Probabilities(probs, streams[s].Tokens[i-1])
		}},
	}
	if len(streams) > 1 {
		list = append(list, baseline{"unigram per asset", fmt.Sprintf("weight %.2g, chosen on validation", asset.Lambda), func(probs []float64, s, _ int) {
			asset.Probabilities(probs, s)
		}})
	}
	kneserNey, control := forecast.FitKneserNey(streams, V), forecast.FitShuffledKneserNey(streams, V, controlSeed)
	return append(list,
		baseline{"Kneser–Ney trigram", "", kneserNey.Probabilities},
		baseline{"Kneser–Ney, shuffled past", "a control: nothing to learn", control.Probabilities},
	)
}

// controlSeed shuffles the histories of the control.
const controlSeed = 1

// scoreTokens runs a distribution over every target of a part.
func scoreTokens(streams []*dataset.Stream, part dataset.Part, V int, fill func(probs []float64, stream, index int)) []predict.Score {
	var scores []predict.Score
	probs := make([]float64, V)
	for s, stream := range streams {
		lo, hi := stream.Bounds(part)
		for i := max(lo, 1); i < hi; i++ {
			fill(probs, s, i)
			p := probs[stream.Tokens[i]]
			rank, entropy := 0, 0.0
			for k, q := range probs {
				if q > 0 {
					entropy -= q * math.Log(q)
				}
				// A tie goes to the smaller token, so that a uniform
				// distribution names five tokens and not all.
				if q > p || q == p && int32(k) < stream.Tokens[i] {
					rank++
				}
			}
			scores = append(scores, predict.Score{Stream: s, Index: i, Nats: -math.Log(p), Entropy: entropy, Rank: rank})
		}
	}
	return scores
}

func newRow(name string, m predict.Mean) Row {
	return Row{Name: name, Nats: m.Nats, Bits: m.Nats / math.Ln2, Perplexity: math.Exp(m.Nats), Top1: m.Top1, Top5: m.Top5, Entropy: m.Entropy}
}
