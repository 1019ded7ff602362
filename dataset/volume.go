package dataset

import (
	"hash/fnv"

	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
)

// One in hiddenShare runs of hiddenRun tokens has its volumes hidden in training.
const (
	hiddenShare = 10
	hiddenRun   = 20
)

// HideVolume makes a tenth of the volumes of a training batch unknown, so that a
// model learns to do without them: drawn candles have none. b is what [Gather]
// has made of the windows. Volumes are hidden in runs of 20 tokens, since those
// of a path are never known again. Which ones is a function of asset and index in
// the stream.
func (in Inputs) HideVolume(b Batch, streams []*Stream, windows []Window) {
	if !in.Volume {
		return
	}
	F, at := in.Features(), Inputs{Candle: in.Candle, Volatility: in.Volatility}.Features()
	for i, w := range windows {
		name := fnv.New64a()
		name.Write([]byte(streams[w.Stream].Asset))
		asset := name.Sum64()
		for p := range w.Len {
			if rng.Hash(asset, rng.Hidden, uint64((w.Start+p)/hiddenRun))%hiddenShare == 0 {
				row := b.Features[(i*b.T+p)*F:]
				clear(row[at : at+feature.VolumeFeatures])
			}
		}
	}
}
