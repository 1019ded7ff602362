package mqc_test

import (
	"context"
	"fmt"
	"log"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// From candles to tokens, through an untrained model, and back to candles.
func Example() {
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 2, 500
	m, err := market.NewSynthetic(config)
	if err != nil {
		log.Fatal(err)
	}

	vq := tokenizer.DefaultVQ()
	vq.Codes = 32
	bundle, err := train.Prepare(context.Background(), m.Series, train.Preparation{Scaler: feature.EWMA, VQ: vq})
	if err != nil {
		log.Fatal(err)
	}
	streams, err := train.Encode(bundle, m.Series)
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range streams {
		from, to := s.Bounds(dataset.Train)
		fmt.Printf("%s: %d tokens, %d of them for training\n", s.Asset, len(s.Tokens), to-from)
	}

	model, err := gpt.New(gpt.Config{Vocab: 32, SeqLen: 32, Layers: 1, Heads: 2, KVHeads: 1, Embd: 32, RopeBase: 10_000}, 1)
	if err != nil {
		log.Fatal(err)
	}
	codec, err := bundle.Codec()
	if err != nil {
		log.Fatal(err)
	}
	last := len(streams[0].Tokens)
	paths, err := predict.Paths(context.Background(), model.Runner(gpt.F32), codec, streams[0], last, 24, gpt.Generation{
		Paths: 100, Steps: 8, Sampler: gpt.Sampler{Temperature: 1}, Seed: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	valid := 0
	for _, p := range paths {
		for _, c := range p.Candles {
			if c.Low > 0 && c.Low <= min(c.Open, c.Close) && max(c.Open, c.Close) <= c.High {
				valid++
			}
		}
	}
	fmt.Printf("%d paths, %d of %d candles valid\n", len(paths), valid, 100*8)

	// Output:
	// SYN-01: 499 tokens, 399 of them for training
	// SYN-02: 499 tokens, 399 of them for training
	// 100 paths, 800 of 800 candles valid
}
