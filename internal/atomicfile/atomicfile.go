// Package atomicfile replaces files in one step: after a crash, a full disk or
// an interrupt the old file or the new one is there, never a half of either.
package atomicfile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// WriteBytes is [Write] of data.
func WriteBytes(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write gives path the content that write produces. The bytes go to a
// temporary file in the same folder, which is synced and then renamed over
// path, and the folder is synced after it. Missing folders are made. If
// anything fails, write panics included, path is as it was and the temporary
// file is gone. The mode of an existing file is kept; a new one gets 0644.
func Write(path string, write func(io.Writer) error) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("atomicfile: %s: not a regular file", path)
		}
		mode = info.Mode().Perm()
	}

	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	done := false
	defer func() {
		if !done { // also on a panic that passes through
			file.Close()
			os.Remove(file.Name())
		}
	}()

	if err := fill(file, mode, write); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	done = true

	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("atomicfile: %s: %w", path, err)
	}
	return nil
}

// fill writes, syncs and closes the temporary file.
func fill(file *os.File, mode os.FileMode, write func(io.Writer) error) error {
	buffer := bufio.NewWriterSize(file, 1<<16)
	if err := write(buffer); err != nil {
		return err
	}
	if err := buffer.Flush(); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// syncFolder makes the rename itself durable. Windows cannot open a folder for
// syncing and needs no such step.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
