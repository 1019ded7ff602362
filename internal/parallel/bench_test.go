package parallel

import (
	"sync"
	"sync/atomic"
	"testing"
)

// goStatement is what [Do] has to beat: a goroutine per call.
func goStatement(n, parts int, body func(lo, hi int)) {
	var wg sync.WaitGroup
	wg.Add(parts)
	run := func(part int) {
		defer wg.Done()
		defer func() {
			if r := recover(); r != nil {
				panic(r)
			}
		}()
		body(part*n/parts, (part+1)*n/parts)
	}
	for part := 1; part < parts; part++ {
		go run(part)
	}
	run(0)
	wg.Wait()
}

// turns of [pause] that take a microsecond, about.
const microsecond = 66

var sink atomic.Uint64

func busy(turns int) {
	x := uint64(0)
	for range turns {
		x = pause(x)
	}
	if x == 1 {
		sink.Store(x)
	}
}

// BenchmarkCall is the cost of splitting two parts between two goroutines, with
// serial work before each call; inline is without splitting.
func BenchmarkCall(b *testing.B) {
	defer SetWorkers(SetWorkers(2))
	for _, work := range []struct {
		name         string
		serial, part int // µs
	}{
		{"empty", 0, 0},
		{"serial=20µs", 20, 0},
		{"part=10µs", 0, 10},
		{"serial=20µs,part=10µs", 20, 10},
		{"part=100µs", 0, 100},
		{"serial=200µs,part=100µs", 200, 100},
	} {
		serial, part := work.serial*microsecond, work.part*microsecond
		for _, version := range []struct {
			name string
			call func()
		}{
			{"do", func() { Do(2, 1, part, func(part *int, _, _ int) { busy(*part) }) }},
			{"for", func() { For(2, 1, func(_, _ int) { busy(part) }) }},
			{"go", func() { goStatement(2, 2, func(_, _ int) { busy(part) }) }},
			{"inline", func() { busy(part); busy(part) }},
		} {
			b.Run(work.name+"/"+version.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					busy(serial)
					version.call()
				}
			})
		}
	}
}

func BenchmarkOneWorker(b *testing.B) {
	defer SetWorkers(SetWorkers(1))
	for b.Loop() {
		Do(2, 1, 0, func(*int, int, int) {})
	}
}
