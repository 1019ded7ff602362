// Package nn holds the layers of the transformer as pairs of functions,
// forward and backward, on float32 slices with explicit dimensions. What a
// matrix product reads is a [Mat], which may hold bfloat16.
//
// Letters are fixed: B batch, T time, C channels, H heads, KV key and value
// heads, D head width, V vocabulary, R rows (usually B·T). A gradient is d plus
// the name of what it belongs to. A backward function adds to the gradients
// that it is given unless it says that it overwrites them. Every function gives
// the same bits for any number of workers.
package nn

import (
	"fmt"
	"sync"
)

// rowGrain returns how many rows of n elements pay for another worker.
func rowGrain(n int) int { return max(1, 1<<12/max(1, n)) }

// want panics unless a slice has at least n elements: a caller's mistake.
func want(layer, name string, s []float32, n int) {
	if len(s) < n {
		panic(fmt.Sprintf("nn: %s: %s has %d elements, want %d", layer, name, len(s), n))
	}
}

// scratchRow is one row in float32, lent to a worker.
type scratchRow struct{ row []float32 }

var scratchRows = sync.Pool{New: func() any { return new(scratchRow) }}

func borrow(n int) *scratchRow {
	s := scratchRows.Get().(*scratchRow)
	if cap(s.row) < n {
		s.row = make([]float32, n)
	}
	s.row = s.row[:n]
	return s
}

func (s *scratchRow) giveBack() { scratchRows.Put(s) }
