package feature

import "math"

// volume is what the volumes of the candles so far have shown.
type volume struct {
	mean     float64 // average of the known ones
	seen     int     // how many they are
	relative float64 // ln of the newest one over the average before it; 0 where unknown
	known    bool
}

// volumeDecay is that of the average per known volume, as for the variance.
const volumeDecay = DefaultLambda

// volumeBurn is how many known volumes pass before one is compared with their
// average.
const volumeBurn = 20

// add takes in the volume of a candle. NaN and 0 are unknown: sources write
// either where they have none.
func (v volume) add(x float64) volume {
	v.relative, v.known = 0, false
	if !(x > 0) || math.IsInf(x, 1) {
		return v
	}
	if v.seen >= volumeBurn {
		v.relative, v.known = math.Log(x/v.mean), true
	}
	v.seen++
	// The plain mean until the average is that long: where it began leaves no
	// trace, and its unit is that of the volumes.
	v.mean += (x - v.mean) * max(1-volumeDecay, 1/float64(v.seen))
	return v
}

// VolumeFeatures is how many numbers [State.Volume] appends.
const VolumeFeatures = 2

// Volume appends the volume of the newest candle, as the logarithm of its ratio
// to an exponential average of those before it, clamped to ±3, and 1; or two
// zeros where it is unknown: where the candle has none, as drawn candles, and
// before there are 20 to compare with.
func (s State) Volume(to []float32) []float32 {
	if !s.volume.known {
		return append(to, 0, 0)
	}
	return append(to, float32(clamp(s.volume.relative, -maxStateFeature, maxStateFeature)), 1)
}
