package kernel

// packX lays rows m…m+rows−1 of op(X) side by side, for depth steps from k0:
// to[k·rows + r].
func (p *product) packX(e *engine, to []float32, m, rows, k0, depth int) {
	if p.transX {
		packColumns(e, to, rows, p.x[k0*p.M+m:], p.M, rows, depth)
		return
	}
	packLines(e, to, rows, p.x[m*p.K+k0:], p.K, rows, depth)
}

// packW lays columns n…n+cols−1 of op(W) side by side, for depth steps from
// k0: to[k·e.cols + c]. What lacks at the right is zero.
func (p *product) packW(e *engine, to []float32, n, cols, k0, depth int) {
	if cols < e.cols {
		clear(to[:e.cols*depth])
	}
	if p.transW {
		packLines(e, to, e.cols, p.w[n*p.K+k0:], p.K, cols, depth)
		return
	}
	packColumns(e, to, e.cols, p.w[k0*p.N+n:], p.N, cols, depth)
}

// packLines is to[k·stride+i] = from[i·ld+k] for i < width and k < depth.
func packLines(e *engine, to []float32, stride int, from []float32, ld, width, depth int) {
	done := 0
	if e.lines != nil {
		done = e.lines(to, stride, from, ld, width, depth)
	}
	for i := range width {
		for k, v := range from[i*ld+done : i*ld+depth] {
			to[(done+k)*stride+i] = v
		}
	}
}

// packColumns is to[k·stride+i] = from[k·ld+i] for i < width and k < depth.
func packColumns(e *engine, to []float32, stride int, from []float32, ld, width, depth int) {
	if e.columns != nil && e.columns(to, stride, from, ld, width, depth) {
		return
	}
	for k := range depth {
		copy(to[k*stride:k*stride+width], from[k*ld:])
	}
}
