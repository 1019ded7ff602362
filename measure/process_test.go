package measure

import (
	"runtime"
	"testing"
	"time"
)

func TestProcessStartedBeforeItsPackagesLoaded(t *testing.T) {
	if start := ProcessStart(); start.After(loaded) || time.Since(start) < 0 {
		t.Errorf("ProcessStart() = %v, the package loaded at %v", start, loaded)
	}
}

func TestLinuxSaysPeakMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /proc")
	}
	before := PeakMemoryMiB()
	const mib = 64
	block := make([]byte, mib<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	// The collector may give pages back, so less than all of it.
	if after := PeakMemoryMiB(); before <= 0 || after < mib || after < before {
		t.Errorf("peak memory %v MiB, then %v with %d MiB in use", before, after, mib)
	}
	runtime.KeepAlive(block)
}

func TestFreeMemoryAndDisk(t *testing.T) {
	switch runtime.GOOS {
	case "linux":
		if FreeMemory() <= 0 {
			t.Error("free memory is unknown, Linux says it")
		}
		fallthrough
	case "darwin", "freebsd", "windows":
		if FreeDisk(t.TempDir()) <= 0 {
			t.Error("free disk is unknown, this system says it")
		}
	}
	if n := FreeDisk("/no/such/folder"); n != 0 {
		t.Errorf("free disk of a folder that is not there: %d, want 0", n)
	}
}
