// Package apitest has a small market and models for tests of those who answer
// questions about them.
package apitest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/tokenizer"
	"github.com/micro-quant/mqc/train"
)

// World is a synthetic market of three assets with 400 daily candles from 2005 on,
// SYN-01 to SYN-03, and one model of random weights twice: "plain", and "calibrated"
// on validation. Its tokenizer was fitted on the market.
type World struct {
	Series []*market.Series
	Models []api.Model
}

var world = sync.OnceValues(newWorld)

// Given is the world, which all tests of a process share.
func Given(t testing.TB) *World {
	t.Helper()
	w, err := world()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Asset is a series by its name.
func (w *World) Asset(name string) *market.Series {
	return w.Series[slices.IndexFunc(w.Series, func(s *market.Series) bool { return s.Symbol == name })]
}

// Model is a model by its name.
func (w *World) Model(name string) api.Model {
	return w.Models[slices.IndexFunc(w.Models, func(m api.Model) bool { return m.Name == name })]
}

// Config is that of a service of the world.
func (w *World) Config() api.Config {
	return api.Config{Models: w.Models, Series: w.Series, Limits: api.DefaultLimits(), Version: "test"}
}

// Service answers questions about the world.
func Service(t testing.TB, c api.Config) *api.Service {
	t.Helper()
	s, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Open opens a checkpoint.
func Open(path string) (*checkpoint.Bundle, error) {
	b, _, err := checkpoint.OpenModel(path)
	return b, err
}

func newWorld() (*World, error) {
	ctx := context.Background()
	config := market.DefaultSynthetic()
	config.Assets, config.Candles = 3, 400
	m, err := market.NewSynthetic(config)
	if err != nil {
		return nil, err
	}
	vq := tokenizer.DefaultVQ()
	vq.Codes, vq.Hidden, vq.MinSteps, vq.Refine = 16, 8, 30, 10
	b, err := train.Prepare(ctx, m.Series, train.Preparation{Scaler: feature.EWMA, VQ: vq})
	if err != nil {
		return nil, err
	}
	if b.Model, err = gpt.New(gpt.Config{Vocab: 16, SeqLen: 16, Layers: 1, Heads: 2, KVHeads: 1, Embd: 16, RopeBase: 10_000}, 1); err != nil {
		return nil, err
	}
	r := rng.New(3)
	for i := range b.Model.Params {
		b.Model.Params[i] += float32(.3 * r.NormFloat64())
	}
	streams, err := train.Encode(b, m.Series)
	if err != nil {
		return nil, err
	}
	b.Lineage = []checkpoint.Step{{Stage: train.Pretrain}}
	b.Fit = append(b.Fit, checkpoint.Seen(checkpoint.Weights, train.Pretrain, streams, dataset.Train)...)
	b.Selected = append(b.Selected, checkpoint.Seen(checkpoint.Weights, train.Pretrain, streams, dataset.Val)...)
	calibrated, err := forecast.Calibrate(ctx, b, streams, forecast.CalibrationOptions{Horizon: 5, Origins: 40, Samples: 39, Seed: 1})
	if err != nil {
		return nil, err
	}
	w := &World{Series: m.Series}
	for _, named := range []struct {
		name string
		b    *checkpoint.Bundle
	}{{"plain", b}, {"calibrated", calibrated}} {
		model, err := reopened(named.name, named.b)
		if err != nil {
			return nil, err
		}
		w.Models = append(w.Models, model)
	}
	return w, nil
}

// reopened is a bundle as a file gives it back: with a hash.
func reopened(name string, b *checkpoint.Bundle) (api.Model, error) {
	dir, err := os.MkdirTemp("", "mqc-world-")
	if err != nil {
		return api.Model{}, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, name+".pt")
	if err := checkpoint.Save(path, b); err != nil {
		return api.Model{}, err
	}
	return api.OpenModel(dir, path, Open)
}
