package feed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
)

// Record is the name of the file beside downloaded candles that says where they
// are from. Files that it does not name, and those that were edited since, are
// never replaced.
const Record = "fetched.json"

// record is the content of that file.
type record struct {
	Format int              `json:"format"` // 1
	Files  map[string]Saved `json:"files"`
}

// Saved says where a file of candles is from.
type Saved struct {
	Source   string          `json:"source"`
	Symbol   string          `json:"symbol"`
	Interval market.Interval `json:"interval"`
	AsTraded bool            `json:"as_traded"` // else adjusted for dividends where the source knows them
	First    time.Time       `json:"first"`
	Last     time.Time       `json:"last"`
	Fetched  time.Time       `json:"fetched"`
	SHA256   string          `json:"sha256"` // of the bytes of the file
}

// Save writes a series that a source gave at a time to dir, as CSV under the
// name of [market.Series.FileName], and notes it in [Record]. Older downloads of
// the same symbol and interval whose dates lie within those of the new one are
// removed. It returns the path, and the other files of that symbol and interval
// that are left, which cannot stand beside it in a data set.
func Save(dir string, s *market.Series, from Saved) (path string, beside []string, err error) {
	name := s.FileName(".csv")
	path = filepath.Join(dir, name)
	past, err := readRecord(dir)
	if err != nil {
		return path, nil, err
	}
	var text bytes.Buffer
	if err := market.WriteCSV(&text, s); err != nil {
		return path, nil, err
	}
	sum := hash(text.Bytes())
	if now, err := hashOf(path); err == nil && now != sum && now != past.Files[name].SHA256 {
		return path, nil, fmt.Errorf("feed: %s: exists and is no unchanged download: move it away first", path)
	}
	if err := write(path, text.Bytes()); err != nil {
		return path, nil, err
	}
	from.Symbol, from.Interval, from.SHA256 = s.Symbol, s.Interval, sum
	from.First, from.Last = s.Candles[0].Time, s.Candles[len(s.Candles)-1].Time
	past.Files[name] = from

	for _, old := range slices.Sorted(maps.Keys(past.Files)) {
		f := past.Files[old]
		if old == name || f.Symbol != s.Symbol || f.Interval != s.Interval || f.First.Before(from.First) || f.Last.After(from.Last) {
			continue
		}
		switch now, err := hashOf(filepath.Join(dir, old)); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return path, nil, fmt.Errorf("feed: %w", err)
		case now != f.SHA256:
			continue // edited: not ours any more
		default:
			if err := os.Remove(filepath.Join(dir, old)); err != nil {
				return path, nil, fmt.Errorf("feed: %w", err)
			}
		}
		delete(past.Files, old)
	}
	list, err := json.MarshalIndent(past, "", "  ")
	if err != nil {
		return path, nil, fmt.Errorf("feed: %s: %w", Record, err)
	}
	if err := write(filepath.Join(dir, Record), append(list, '\n')); err != nil {
		return path, nil, err
	}
	beside, err = others(dir, name, s)
	return path, beside, err
}

// others lists the files of a folder that have the symbol and the interval of s
// in their names, as downloads have, but for the one called name.
func others(dir, name string, s *market.Series) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	for _, e := range entries {
		if n := e.Name(); n != name && strings.HasPrefix(n, s.Symbol+"_") && strings.HasSuffix(n, "_"+s.Interval.String()+".csv") {
			paths = append(paths, filepath.Join(dir, n))
		}
	}
	return paths, nil
}

// readRecord reads the record of a folder; without one it is empty.
func readRecord(dir string) (record, error) {
	r := record{Format: 1, Files: map[string]Saved{}}
	path := filepath.Join(dir, Record)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	} else if err != nil {
		return r, fmt.Errorf("feed: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return r, fmt.Errorf("feed: %s: %w", path, err)
	}
	if r.Format != 1 || r.Files == nil {
		return r, fmt.Errorf("feed: %s: format %d, want 1 with files", path, r.Format)
	}
	for name := range r.Files {
		// The names are removed: nothing outside of dir, and nothing but candles.
		if filepath.Base(name) != name || filepath.Ext(name) != ".csv" {
			return r, fmt.Errorf("feed: %s: %q is no file of a download", path, clip(name))
		}
	}
	return r, nil
}

func write(path string, text []byte) error {
	err := atomicfile.WriteBytes(path, text)
	if err != nil {
		return fmt.Errorf("feed: %w", err)
	}
	return nil
}

func hashOf(path string) (string, error) {
	text, err := os.ReadFile(path)
	return hash(text), err
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
