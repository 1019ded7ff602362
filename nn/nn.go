// Package nn holds the layers of the transformer as pairs of functions,
// forward and backward, on float32 slices with explicit dimensions.
//
// Letters are fixed: B batch, T time, C channels, H heads, KV key and value
// heads, D head width, V vocabulary, R rows (usually B·T). A gradient is d plus
// the name of what it belongs to. A backward function adds to the gradients
// that it is given, and skips those that are nil. Every function gives the
// same bits for any number of workers.
package nn

import (
	"fmt"

	"github.com/micro-quant/mqc/internal/parallel"
)

// rowGrain returns how many rows of n elements make a range that pays for its
// goroutine.
func rowGrain(n int) int { return max(1, 1<<13/max(1, n)) }

// forElements runs body over ranges of n independent elements.
func forElements(n int, body func(lo, hi int)) { parallel.For(n, 1<<13, body) }

// want panics unless a slice has at least n elements: a caller's mistake.
func want(layer, name string, s []float32, n int) {
	if len(s) < n {
		panic(fmt.Sprintf("nn: %s: %s has %d elements, want %d", layer, name, len(s), n))
	}
}
