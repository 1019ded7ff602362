package kernel

import "unsafe"

// generic is the reference. Its 2×4 sums stay in registers.
var generic = withTiles(&engine{name: "generic", tileRows: tileRowsGeneric, tileColumns: tileColumnsGeneric, rows: 2, cols: 4, group: 16, peak: peakGeneric, peakWork: 16})

// withTiles gives e the strip that computes tile by tile.
func withTiles(e *engine) *engine {
	e.strip = func(y []float32, ldy int, x *block, w []float32, k0, depth int, load bool) {
		for i := 0; i < x.panels; {
			m, height := x.start(i), x.start(i+1)-x.start(i)
			n := 1
			for i+n < x.panels && x.start(i+n+1)-x.start(i+n) == height {
				n++
			}
			if x.packed {
				e.tileColumns(&y[m*ldy], ldy, &x.data[m*x.steps+k0*height], height, height*x.steps, &w[0], height, n, depth, load)
			} else {
				e.tileRows(&y[m*ldy], ldy, &x.data[m*x.ld+k0], x.ld, height*x.ld, &w[0], height, n, depth, load)
			}
			i += n
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

func tileRowsGeneric(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, depth int, load bool) {
	tilesGeneric(y, ldy, x, ldx, 1, next, w, rows, panels, depth, load)
}

func tileColumnsGeneric(y *float32, ldy int, x *float32, ldx, next int, w *float32, rows, panels, depth int, load bool) {
	tilesGeneric(y, ldy, x, 1, ldx, next, w, rows, panels, depth, load)
}

func tilesGeneric(y *float32, ldy int, x *float32, row, step, next int, w *float32, rows, panels, depth int, load bool) {
	for p := range panels {
		to := (*float32)(unsafe.Add(unsafe.Pointer(y), 4*p*rows*ldy))
		from := (*float32)(unsafe.Add(unsafe.Pointer(x), 4*p*next))
		tileGeneric(to, ldy, from, row, step, w, rows, depth, load)
	}
}

// tileGeneric takes x[r,k] from x[r·row + k·step].
func tileGeneric(y *float32, ldy int, x *float32, row, step int, w *float32, rows, depth int, load bool) {
	xs := unsafe.Slice(x, (rows-1)*row+(depth-1)*step+1)
	ws := unsafe.Slice(w, 4*depth)
	ys := unsafe.Slice(y, (rows-1)*ldy+4)
	y0 := ys[:4]
	var c0, c1, c2, c3, c4, c5, c6, c7 float32
	if load {
		c0, c1, c2, c3 = y0[0], y0[1], y0[2], y0[3]
	}
	if rows == 1 {
		for k := 0; len(ws) >= 4; k, ws = k+step, ws[4:] {
			x0 := xs[k]
			c0 += float32(x0 * ws[0])
			c1 += float32(x0 * ws[1])
			c2 += float32(x0 * ws[2])
			c3 += float32(x0 * ws[3])
		}
		y0[0], y0[1], y0[2], y0[3] = c0, c1, c2, c3
		return
	}
	y1, x1s := ys[ldy:ldy+4], xs[row:]
	if load {
		c4, c5, c6, c7 = y1[0], y1[1], y1[2], y1[3]
	}
	for k := 0; len(ws) >= 4; k, ws = k+step, ws[4:] {
		x0, x1 := xs[k], x1s[k]
		w0, w1, w2, w3 := ws[0], ws[1], ws[2], ws[3]
		c0 += float32(x0 * w0)
		c1 += float32(x0 * w1)
		c2 += float32(x0 * w2)
		c3 += float32(x0 * w3)
		c4 += float32(x1 * w0)
		c5 += float32(x1 * w1)
		c6 += float32(x1 * w2)
		c7 += float32(x1 * w3)
	}
	y0[0], y0[1], y0[2], y0[3] = c0, c1, c2, c3
	y1[0], y1[1], y1[2], y1[3] = c4, c5, c6, c7
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
