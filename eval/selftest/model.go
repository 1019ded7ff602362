package selftest

import (
	"context"
	"os"
	"path/filepath"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// Codes is the vocabulary of the model: 32 cells of the return, 2 shapes.
const Codes = 64

// Split divides candles by date: 60% training, 20% validation, 20% test.
func Split(series []*market.Series) dataset.Split {
	c := series[0].Candles
	return dataset.Split{ValFrom: c[len(c)*6/10].Time, TestFrom: c[len(c)*8/10].Time}
}

// Shape is the preset skill in small: one layer of 16 channels, a basis in head
// and embedding.
func Shape() gpt.Config {
	return gpt.Config{
		Vocab: Codes, SeqLen: 32, Layers: 1, Heads: 1, KVHeads: 1, Embd: 16,
		RopeBase: 10_000, Head: gpt.Basis, Embed: gpt.Basis,
	}
}

// Recipe is how it is trained: some 120 steps at most, with early stopping on
// validation.
func Recipe(seed uint64) train.Recipe {
	r := train.Defaults(train.Pretrain)
	r.Seed, r.SeqLen = seed, Shape().SeqLen
	r.Batch, r.Epochs, r.LR, r.Warmup = 32, 12, 3e-3, 10
	r.WeightDecay, r.Dropout, r.Average = 1, .1, .9
	r.Evals, r.Patience = 12, 3
	return r
}

// Train fits scaler, tokenizer and model as mqc train does, with all inputs
// beside the tokens: volatility, calendar and asset. scale is one of
// feature.Global, feature.EWMA and feature.HAR. Nothing of it is kept on disk.
func Train(ctx context.Context, series []*market.Series, scale string, seed uint64) (*checkpoint.Bundle, error) {
	in := dataset.Inputs{Volatility: true, Calendar: true}
	for _, s := range series {
		in.Assets = append(in.Assets, s.Symbol)
	}
	codes := tokenizer.DefaultVQ()
	codes.Codes, codes.Seed = Codes, seed
	b, err := train.Prepare(ctx, series, train.Preparation{
		Split: Split(series), Scaler: scale, Kind: tokenizer.KindProduct,
		VQ: codes, Inputs: in,
	})
	if err != nil {
		return nil, err
	}
	streams, err := train.Encode(b, series)
	if err != nil {
		return nil, err
	}
	recipe, shape := Recipe(seed), Shape()
	shape.Dropout = recipe.Dropout
	if err := train.NewModel(b, series, shape, seed); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mqc-selftest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return train.Run(ctx, train.Job{Recipe: recipe, Start: b, Streams: streams, Out: filepath.Join(dir, "model.safetensors")})
}
