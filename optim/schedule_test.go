package optim

import (
	"math"
	"testing"
)

func TestScheduleAt(t *testing.T) {
	s := Schedule{Peak: 2, Warmup: 10, Total: 110, Floor: 0.1}
	for _, c := range []struct {
		name string
		s    Schedule
		step int
		want float64
	}{
		{"first step", s, 0, 0.2},
		{"half way up", s, 4, 1},
		{"end of the warm-up", s, 9, 2},
		{"peak", s, 10, 2},
		{"half way down", s, 60, 1.1},
		{"end", s, 110, 0.2},
		{"beyond the end", s, 500, 0.2},
		{"no warm-up", Schedule{Peak: 2, Total: 100}, 0, 2},
		{"down to zero", Schedule{Peak: 2, Total: 100}, 100, 0},
		{"a constant", Schedule{Peak: 2, Total: 100, Floor: 1}, 77, 2},
		{"a warm-up longer than the run takes half of it", Schedule{Peak: 2, Warmup: 100, Total: 10}, 4, 2},
		{"one step", Schedule{Peak: 2, Warmup: 100, Total: 1}, 0, 2},
		{"no steps", Schedule{Peak: 2}, 0, 2},
	} {
		if got := c.s.At(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %+v.At(%d) = %v, want %v", c.name, c.s, c.step, got, c.want)
		}
	}
}

func TestScheduleRisesThenFalls(t *testing.T) {
	s := Schedule{Peak: 1, Warmup: 20, Total: 200, Floor: 0.05}
	for step := 1; step < s.Total; step++ {
		before, now := s.At(step-1), s.At(step)
		if step < s.Warmup && !(now > before) || step > s.Warmup && !(now < before) {
			t.Errorf("At(%d) = %v, At(%d) = %v", step-1, before, step, now)
		}
		if now <= 0 || now > 1 {
			t.Errorf("At(%d) = %v, want 0 < lr ≤ 1", step, now)
		}
	}
}
