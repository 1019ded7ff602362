package kernel

// The references. Their 2×4 sums stay in registers.
var (
	generic     = withTiles(&engine{name: "generic", tile: tileGeneric, rows: 2, cols: 4, group: 16, peak: peakGeneric, peakWork: 16})
	genericBF16 = rounded(generic)
)

// withTiles gives e the strip that computes tile by tile.
func withTiles(e *engine) *engine {
	e.strip = func(y []float32, ldy int, x *block, w []float32, k0, depth int, load bool) {
		for i := range x.panels {
			m, height := x.start(i), x.start(i+1)-x.start(i)
			e.tile(y[m*ldy:], ldy, x.data[m*x.steps+k0*height:], w, height, depth, load)
		}
	}
	return e
}

// rounded is an engine for bfloat16 that computes with the float32 tiles of e.
func rounded(e *engine) *engine {
	r := *e
	r.name, r.precision, r.wide = e.name+", rounded", BF16, true
	return withTiles(&r)
}

func tileGeneric(y []float32, ldy int, x, w []float32, rows, depth int, load bool) {
	w = w[:4*depth]
	if rows == 1 {
		tile1x4(y[:4], x[:depth], w, load)
		return
	}
	y0, y1 := y[:4], y[ldy:ldy+4]
	var c0, c1, c2, c3, c4, c5, c6, c7 float32
	if load {
		c0, c1, c2, c3 = y0[0], y0[1], y0[2], y0[3]
		c4, c5, c6, c7 = y1[0], y1[1], y1[2], y1[3]
	}
	x = x[:2*depth]
	for len(x) >= 2 && len(w) >= 4 {
		x0, x1 := x[0], x[1]
		w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
		c0 += x0 * w0
		c1 += x0 * w1
		c2 += x0 * w2
		c3 += x0 * w3
		c4 += x1 * w0
		c5 += x1 * w1
		c6 += x1 * w2
		c7 += x1 * w3
		x, w = x[2:], w[4:]
	}
	y0[0], y0[1], y0[2], y0[3] = c0, c1, c2, c3
	y1[0], y1[1], y1[2], y1[3] = c4, c5, c6, c7
}

func tile1x4(y, x, w []float32, load bool) {
	var c0, c1, c2, c3 float32
	if load {
		c0, c1, c2, c3 = y[0], y[1], y[2], y[3]
	}
	for len(x) >= 1 && len(w) >= 4 {
		x0 := x[0]
		c0 += x0 * w[0]
		c1 += x0 * w[1]
		c2 += x0 * w[2]
		c3 += x0 * w[3]
		x, w = x[1:], w[4:]
	}
	y[0], y[1], y[2], y[3] = c0, c1, c2, c3
}

var peakSink [8]float32

func peakGeneric(turns int) {
	var c0, c1, c2, c3, c4, c5, c6, c7 float32
	x := peakSink[0]
	for range turns {
		c0 += x * x
		c1 += x * x
		c2 += x * x
		c3 += x * x
		c4 += x * x
		c5 += x * x
		c6 += x * x
		c7 += x * x
	}
	peakSink = [8]float32{c0, c1, c2, c3, c4, c5, c6, c7}
}
