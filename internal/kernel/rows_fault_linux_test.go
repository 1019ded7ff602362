package kernel

import (
	"testing"
	"unsafe"
)

func TestRowsStayInsideTheirSlices(t *testing.T) {
	onEachRows(t, func(t *testing.T) {
		for _, c := range rowCases {
			for n := range 84 {
				var s [][]float32
				for range c.slices {
					s = append(s, fenced(t, n))
				}
				c.run(s)
			}
		}
		for n := range 84 {
			x := fenced(t, n)
			b := fenced(t, (n+1)/2)
			// The last n halves of b: they end where memory does.
			halves := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), 2*len(b))[2*len(b)-n:]
			ToBF16(halves, x)
			FromBF16(x, halves)
		}
	})
}
