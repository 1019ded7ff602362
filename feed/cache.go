package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/micro-quant/mqc/internal/atomicfile"
)

// Ages up to which answers on the disk are used.
const (
	forever = time.Duration(1<<63 - 1) // candles that cannot change any more
	aDay    = 24 * time.Hour           // past candles that an adjustment may change
	aMoment = 10 * time.Minute         // newest candles
)

// file is where the answer to a page is kept; the key of a user is no part of
// the name.
func (c *client) file(p page) string {
	sum := sha256.Sum256([]byte(c.BaseURL + p.path + "?" + p.query.Encode()))
	return filepath.Join(c.Cache, c.name, hex.EncodeToString(sum[:16]))
}

// load returns the answer to a page that is on the disk and not too old.
func (c *client) load(p page) ([]byte, bool) {
	if c.Cache == "" {
		return nil, false
	}
	path := c.file(p)
	info, err := os.Stat(path)
	if err != nil || c.now().Sub(info.ModTime()) > p.maxAge {
		return nil, false
	}
	body, err := os.ReadFile(path)
	return body, err == nil
}

// store keeps an answer.
func (c *client) store(p page, body []byte) error {
	if c.Cache == "" || body == nil {
		return nil
	}
	path := c.file(p)
	err := atomicfile.WriteBytes(path, body)
	if err == nil {
		err = os.Chtimes(path, c.now(), c.now())
	}
	if err != nil {
		return fmt.Errorf("the answer cannot be kept: %w", err)
	}
	return nil
}
