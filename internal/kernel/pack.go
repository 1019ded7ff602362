package kernel

// columnSteps is how many rows of a transposed X are dealt out to all panels
// before the next: neighbours share cache lines, and in a large matrix with a
// power of two in a row these are the lines that push each other out.
const columnSteps = 16

// packX lays the rows of op(X) in panels [p0,p1) side by side, for depth steps
// from k0: to[k·height + row in the panel], one panel after the other.
func (p *product) packX(e *engine, to []float32, r rows, p0, p1, k0, depth int) {
	if !p.transX {
		for i := p0; i < p1; i++ {
			m, height := r.start(i), r.start(i+1)-r.start(i)
			packLines(e, to[(m-r.start(p0))*depth:], height, p.x[m*p.K+k0:], p.K, height, depth)
		}
		return
	}
	for k := 0; k < depth; k += columnSteps {
		for i := p0; i < p1; i++ {
			m, height := r.start(i), r.start(i+1)-r.start(i)
			packColumns(e, to[(m-r.start(p0))*depth+k*height:], height, p.x[(k0+k)*p.M+m:], p.M, height, min(columnSteps, depth-k))
		}
	}
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
