package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/micro-quant/mqc/internal/atomicfile"
)

func put(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// mustHold checks that the folder holds exactly the one file with the text.
func mustHold(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("ReadFile(%s) = %q, %v, want %q", path, got, err, want)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the one file", entries, err)
	}
}

func TestWriteCreatesFoldersAndReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "file.txt")
	for _, text := range []string{"first, and longer", "second", ""} {
		if err := atomicfile.Write(path, put(text)); err != nil {
			t.Fatalf("Write(%q): %v", text, err)
		}
		mustHold(t, path, text)
	}
}

func TestWriteKeepsTheMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.txt")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, put("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
}

func TestFailedWriteLeavesTheOldFileAlone(t *testing.T) {
	full := errors.New("no space left on device")
	path := filepath.Join(t.TempDir(), "file.txt")
	if err := atomicfile.Write(path, put("old")); err != nil {
		t.Fatal(err)
	}

	err := atomicfile.Write(path, func(w io.Writer) error {
		// More than the buffer: part of it reaches the temporary file.
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("Write = %v, want %v", err, full)
	}
	mustHold(t, path, "old")
}

func TestPanicLeavesTheOldFileAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.txt")
	if err := atomicfile.Write(path, put("old")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		atomicfile.Write(path, func(io.Writer) error { panic("stop") })
	}()
	mustHold(t, path, "old")
}

func TestWriteOverAFolderIsRefused(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "sub")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, put("x")); err == nil {
		t.Error("Write over a folder succeeded")
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
