package dataset_test

import (
	"math"
	"slices"
	"testing"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/internal/rng"
	"github.com/micro-quant/mqc/market"
)

// traded is randomSeries with volumes.
func traded(symbol string, n int, seed uint64) *market.Series {
	s, r := randomSeries(symbol, newYear, n, seed), rng.New(seed, 1)
	for i := range s.Candles {
		s.Candles[i].Volume = 1e6 * math.Exp(.4*r.NormFloat64())
	}
	return s
}

// everything is all inputs at once; volume begins at column volumeAt.
var everything = dataset.Inputs{Candle: true, Volatility: true, Volume: true, Calendar: true, Assets: []string{"SYN-01"}}

const volumeAt = feature.CandleFeatures + feature.StateFeatures

func TestVolumeGoesInWithItsOwnCandle(t *testing.T) {
	series := traded("SYN-01", 100, 2)
	codec := newCodec(t, feature.EWMA, series)
	codec.Inputs = everything
	before, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	F := codec.Inputs.Features()
	for i := range before.Tokens {
		row := before.Features[i*F : (i+1)*F]
		if want := before.States[i+1].Volume(nil); !slices.Equal(row[volumeAt:volumeAt+feature.VolumeFeatures], want) {
			t.Fatalf("with token %d goes the volume %v, want %v", i, row[volumeAt:], want)
		}
	}
	const changed = 60 // index of a candle, token 59
	series.Candles[changed].Volume *= 2
	after, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	n := changed - 1
	if !slices.Equal(before.Features[:n*F], after.Features[:n*F]) {
		t.Error("features before a candle changed with its volume")
	}
	if slices.Equal(before.Features[n*F:(n+1)*F], after.Features[n*F:(n+1)*F]) {
		t.Error("features of a candle did not change with its volume")
	}
	if !slices.Equal(before.Tokens, after.Tokens) {
		t.Error("tokens changed with a volume")
	}
}

func TestTrainingHidesATenthOfTheVolumes(t *testing.T) {
	const n, T = 5000, 16
	var streams []*dataset.Stream
	codec := newCodec(t, feature.EWMA, traded("SYN-01", 100, 2))
	codec.Inputs = everything
	for _, symbol := range []string{"SYN-01", "SYN-02"} {
		s, err := codec.Encode(traded(symbol, n, 2))
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	F := codec.Inputs.Features()
	// hidden is which rows of windows from an offset on are unknown in training
	// alone, by stream and index.
	hidden := func(offset int) [2][n]bool {
		var windows []dataset.Window
		for stream := range streams {
			for start := 40 + offset; start+T < n-1; start += T {
				windows = append(windows, dataset.Window{Stream: stream, Start: start, Len: T - 1, From: start + 1, To: start + T})
			}
		}
		plain, b := dataset.Gather(streams, windows, T), dataset.Gather(streams, windows, T)
		codec.Inputs.HideVolume(b, streams, windows)
		var out [2][n]bool
		for r := range b.B * T {
			w, p := windows[r/T], r%T
			was, is := plain.Features[r*F:(r+1)*F], b.Features[r*F:(r+1)*F]
			if !slices.Equal(was[:volumeAt], is[:volumeAt]) {
				t.Fatalf("row %d: other features changed: %v, now %v", r, was, is)
			}
			if !slices.Equal(was, is) {
				if !slices.Equal(is[volumeAt:], []float32{0, 0}) || p >= w.Len {
					t.Fatalf("row %d: volume %v, now %v, want it unknown", r, was[volumeAt:], is[volumeAt:])
				}
				out[w.Stream][w.Start+p] = true
			}
		}
		return out
	}

	all, shifted := hidden(0), hidden(7)
	for stream := range all {
		count, runs := 0, 0
		for i, is := range all[stream] {
			if is {
				count++
				if !all[stream][i-1] {
					runs++
				}
			}
			// Both cut every T-th token off, others than each other.
			if i > 60 && i < n-40 && (i-40)%T < T-1 && (i-47)%T < T-1 && is != shifted[stream][i] {
				t.Fatalf("token %d of stream %d is hidden in one batch and not in another", i, stream)
			}
		}
		// Of 250 runs some 25, ± 4.7.
		if share := float64(count) / n; share < .04 || share > .16 {
			t.Errorf("stream %d: %.3f of the volumes are hidden, want about .1", stream, share)
		}
		if length := float64(count) / float64(runs); length < 6 {
			t.Errorf("stream %d: %d hidden volumes in %d runs: want runs", stream, count, runs)
		}
	}
	if all[0] == all[1] {
		t.Error("two assets have the same volumes hidden")
	}
}

func TestInputsWithoutVolumeHideNothing(t *testing.T) {
	series := traded("SYN-01", 100, 2)
	codec := newCodec(t, feature.EWMA, series)
	codec.Inputs = dataset.Inputs{Volatility: true}
	s, err := codec.Encode(series)
	if err != nil {
		t.Fatal(err)
	}
	streams, windows := []*dataset.Stream{s}, []dataset.Window{{Len: 90, From: 1, To: 91}}
	b := dataset.Gather(streams, windows, 90)
	codec.Inputs.HideVolume(b, streams, windows)
	if !slices.Equal(b.Features, s.Features[:len(b.Features)]) {
		t.Error("features of a model without volume changed")
	}
}
