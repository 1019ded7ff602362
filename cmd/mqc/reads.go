package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/eval"
)

// testReads is the file beside a checkpoint that says when its test part was
// read. Whoever reads it often chooses by it.
const testReads = "test_reads.jsonl"

// testRead is one line of it.
type testRead struct {
	Time        time.Time `json:"time"`
	Level       string    `json:"level"`
	Checkpoints []string  `json:"checkpoints"` // SHA-256
	Data        string    `json:"data"`
}

// recordTestRead notes that the test part of models is read, and
// returns and says which reading of the first one it is, counted from 1. No other
// part is counted: 0.
func (a *app) recordTestRead(paths []string, models []eval.Named, part dataset.Part, level, data string) (reading int, err error) {
	if part != dataset.Test {
		return 0, nil
	}
	r := testRead{Time: time.Now().UTC().Truncate(time.Second), Level: level, Data: data}
	for _, m := range models {
		r.Checkpoints = append(r.Checkpoints, m.Bundle.Hash)
	}
	path := filepath.Join(filepath.Dir(paths[0]), testReads)
	before, err := countReads(path, r.Checkpoints[0])
	if err != nil {
		return 0, err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, fmt.Errorf("eval: the reading of the test part cannot be recorded: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("eval: the reading of the test part cannot be recorded: %w", err)
	}
	a.talk("test: reading number %d of %s, recorded in %s", before+1, modelName(paths[0]), path)
	return before + 1, nil
}

// countReads is how many lines of a file name a checkpoint.
func countReads(path, hash string) (n int, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
		return 0, fmt.Errorf("eval: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var r testRead
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // a line that a full disk cut short
		}
		for _, c := range r.Checkpoints {
			if c == hash {
				n++
			}
		}
	}
	return n, lines.Err()
}
