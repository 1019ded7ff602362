package eval

import (
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/density"
	"github.com/micro-quant/mqc/predict"
)

// meanOf is the mean of the densities of laws.
func meanOf(laws []law) func(stream, index int) density.Density {
	return func(stream, index int) density.Density {
		parts := make([]density.Density, len(laws))
		for i, l := range laws {
			parts[i] = l.at(stream, index)
		}
		return density.Mean(parts...)
	}
}

// lookUpMixture finds the density of a target among the outputs of a model
// without logits.
func lookUpMixture(codec dataset.Codec, streams []*dataset.Stream, outputs []predict.Output) func(stream, index int) density.Density {
	head := codec.Emission.Mixture()
	at := make(map[target]int, len(outputs))
	for i, o := range outputs {
		at[target{o.Stream, o.Index}] = i
	}
	return func(stream, index int) density.Density {
		shift, unit := codec.Scaler.Return(streams[stream].States[index])
		return head.At(outputs[at[target{stream, index}]].Values, shift, unit)
	}
}
