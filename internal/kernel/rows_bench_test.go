package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// BenchmarkRows reports what each kernel reads and writes of a row, in GB/s. The
// four rows that one takes at most stay in L1.
func BenchmarkRows(b *testing.B) {
	const n = 2048
	r := rand.New(rand.NewPCG(9, 9))
	for _, e := range rowEngines {
		report := func(name string, bytes int, run func()) {
			b.Run(e.name+"/"+name, func(b *testing.B) {
				useRows(b, e)
				for b.Loop() {
					run()
				}
				b.ReportMetric(float64(bytes)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GB/s")
			})
		}
		for _, c := range rowCases {
			before, _ := c.inputs(r, n)
			if c.name == "rotate" {
				for i := range n {
					sin, cos := math.Sincos(float64(i))
					before[2][i], before[3][i] = float32(cos), float32(sin)
				}
			}
			s, runs := clone(before), 0
			report(c.name, 4*n*c.streams, func() {
				c.run(s)
				// What shrinks every time would become subnormal, and slow.
				if runs++; runs%64 == 0 {
					for k := range s {
						copy(s[k], before[k])
					}
				}
			})
		}
		x, half := random(r, n), make([]uint16, n)
		report("ToBF16", 6*n, func() { ToBF16(half, x) })
		report("FromBF16", 6*n, func() { FromBF16(x, half) })
	}
}
