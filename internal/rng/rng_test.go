package rng

import "testing"

func TestSameCoordinatesSameNumbers(t *testing.T) {
	a, b := New(1, Path, 3), New(1, Path, 3)
	for i := range 100 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("New(1, Path, 3) number %d: %d and %d", i, x, y)
		}
	}
}

func TestNeighbouringCoordinatesDiffer(t *testing.T) {
	seen := map[uint64][]uint64{}
	add := func(coords ...uint64) {
		h := Hash(coords...)
		if other, ok := seen[h]; ok {
			t.Errorf("Hash(%v) = Hash(%v)", coords, other)
		}
		seen[h] = coords
	}
	for i := range uint64(30) {
		add(i)
		for j := range uint64(30) {
			add(i, j)
			add(i, j, 0)
		}
	}
}

// The first draw of neighbouring streams must not be correlated: paths are
// neighbouring streams.
func TestStreamsAreIndependent(t *testing.T) {
	const n = 20_000
	var sum, lag float64
	prev := 0.0
	for i := range uint64(n) {
		u := New(7, Path, i).Float64() - 0.5
		sum += u
		lag += u * prev
		prev = u
	}
	// Five standard errors: the variance of u is 1/12.
	if mean := sum / n; mean > 0.0103 || mean < -0.0103 {
		t.Errorf("mean of first draws %.4f, want 0 ± .0103", mean)
	}
	if c := lag / n * 12; c > 0.036 || c < -0.036 {
		t.Errorf("correlation of neighbouring first draws %.4f, want 0 ± .036", c)
	}
}
