package dataset

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
)

// Meta describes a token file in the JSON file beside it.
type Meta struct {
	Version    int    `json:"version"`
	Vocabulary int    `json:"vocabulary"`          // tokens are 0 … Vocabulary−1
	Tokens     int    `json:"tokens"`              // in the text file
	SHA256     string `json:"sha256"`              // of the text file
	Tokenizer  string `json:"tokenizer,omitempty"` // the file with the tokenizer and the scaler that made them
	// Fingerprint is that of the tokenizer; see tokenizer.Fingerprint.
	Fingerprint string      `json:"fingerprint,omitempty"`
	Split       Split       `json:"split"`
	Assets      []AssetMeta `json:"assets"`
}

// AssetMeta places one stream in a token file. Times are seconds since 1970 UTC,
// one per token; First and Last are the same dates for the eye.
type AssetMeta struct {
	Asset    string  `json:"asset"`
	Interval string  `json:"interval,omitempty"`
	Offset   int     `json:"offset"` // of the first token in the text file
	Length   int     `json:"length"`
	ValFrom  int     `json:"val_from"`  // first token of validation,
	TestFrom int     `json:"test_from"` // of the test, counted within the asset
	First    string  `json:"first,omitempty"`
	Last     string  `json:"last,omitempty"`
	Times    []int64 `json:"times,omitempty"`
}

// metaVersion is the version of the layout; a newer one is refused.
const metaVersion = 1

// maxToken bounds what a text file may hold, far above any vocabulary.
const maxToken = 1<<24 - 1

// MetaPath returns the path of the JSON file beside a token file.
func MetaPath(path string) string { return strings.TrimSuffix(path, ".txt") + ".json" }

// WriteTokens writes the tokens of all streams to path, one asset after the
// other, and what they are to [MetaPath] beside it. Of meta it takes
// Vocabulary, Tokenizer and Fingerprint; it fills in the rest. It fails where a token is outside of the
// vocabulary or a time not a whole second.
func WriteTokens(path string, streams []*Stream, split Split, meta Meta) error {
	meta.Version, meta.Split, meta.Tokens = metaVersion, split, 0
	meta.Assets = make([]AssetMeta, 0, len(streams))
	var text []byte
	for _, s := range streams {
		asset := AssetMeta{
			Asset: s.Asset, Offset: meta.Tokens, Length: len(s.Tokens), ValFrom: s.ValFrom, TestFrom: s.TestFrom,
		}
		if s.Interval > 0 {
			asset.Interval = s.Interval.String()
		}
		for i, token := range s.Tokens {
			if token < 0 || int(token) >= meta.Vocabulary {
				return fmt.Errorf("dataset: %s: %s: token %d is %d, outside of a vocabulary of %d", path, s.Asset, i, token, meta.Vocabulary)
			}
			text = strconv.AppendInt(text, int64(token), 10)
			if i%32 == 31 || i == len(s.Tokens)-1 {
				text = append(text, '\n')
			} else {
				text = append(text, ' ')
			}
		}
		for _, t := range s.Times {
			if t.Nanosecond() != 0 {
				return fmt.Errorf("dataset: %s: %s: time %s is not a whole second", path, s.Asset, t.Format(time.RFC3339Nano))
			}
			asset.Times = append(asset.Times, t.Unix())
		}
		if n := len(s.Times); n > 0 {
			asset.First, asset.Last = s.Times[0].UTC().Format(time.RFC3339), s.Times[n-1].UTC().Format(time.RFC3339)
		}
		meta.Tokens += len(s.Tokens)
		meta.Assets = append(meta.Assets, asset)
	}
	if meta.Tokens == 0 {
		return fmt.Errorf("dataset: %s: no tokens to write", path)
	}
	meta.SHA256 = sum(text)
	if err := meta.check(); err != nil {
		return fmt.Errorf("dataset: %s: %w", path, err)
	}
	encoded, err := json.Marshal(meta)
	if err != nil {
		return fmt.Errorf("dataset: %s: %w", path, err)
	}

	// The text first: were the program to stop between the two, the old
	// description would not match the hash, and reading would say so.
	for _, file := range []struct {
		path string
		data []byte
	}{{path, text}, {MetaPath(path), append(encoded, '\n')}} {
		err := atomicfile.WriteBytes(file.path, file.data)
		if err != nil {
			return fmt.Errorf("dataset: %w", err)
		}
	}
	return nil
}

// ReadTokens reads a token file: integers between white space. With a JSON file
// beside it the streams have assets, times and borders, and everything is
// checked against it. Without one, the file is a single stream "tokens" without
// times, whose last 20% are validation; its vocabulary is one more than its
// largest token. A vocabulary above 0 is an upper bound that the caller knows:
// larger tokens are refused with their line.
func ReadTokens(path string, vocabulary int) ([]*Stream, Meta, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Meta{}, fmt.Errorf("dataset: %w", err)
	}
	description, err := os.ReadFile(MetaPath(path))
	bare := errors.Is(err, fs.ErrNotExist)
	if err != nil && !bare {
		return nil, Meta{}, fmt.Errorf("dataset: %w", err)
	}
	if bare {
		description = nil
	}
	streams, meta, err := parseTokens(text, description, vocabulary)
	if err != nil {
		var in *fileError
		if errors.As(err, &in) && in.meta {
			path = MetaPath(path)
		}
		return nil, Meta{}, fmt.Errorf("dataset: %s:%w", path, err)
	}
	return streams, meta, nil
}

// fileError says which of the two files is at fault, and where.
type fileError struct {
	meta bool // the JSON file
	line int  // 0: the file as a whole
	err  error
}

func (e *fileError) Error() string {
	if e.line > 0 {
		return fmt.Sprintf("%d: %v", e.line, e.err)
	}
	return " " + e.err.Error()
}

func (e *fileError) Unwrap() error { return e.err }

// parseTokens reads the text of a token file and its description, nil for a
// bare one.
func parseTokens(text, description []byte, vocabulary int) ([]*Stream, Meta, error) {
	var meta Meta
	if description == nil {
		tokens, err := parseInts(text, vocabulary)
		if err != nil {
			return nil, meta, err
		}
		largest := int32(-1)
		for _, token := range tokens {
			largest = max(largest, token)
		}
		n := len(tokens)
		meta = Meta{Version: metaVersion, Vocabulary: int(largest) + 1, Tokens: n, SHA256: sum(text)}
		return []*Stream{{Asset: "tokens", Tokens: tokens, ValFrom: n * 8 / 10, TestFrom: n}}, meta, nil
	}

	decoder := json.NewDecoder(bytes.NewReader(description))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&meta); err != nil {
		return nil, meta, &fileError{meta: true, err: err}
	}
	if err := meta.check(); err != nil {
		return nil, meta, &fileError{meta: true, err: err}
	}
	if vocabulary > 0 && meta.Vocabulary > vocabulary {
		return nil, meta, &fileError{meta: true, err: fmt.Errorf("vocabulary %d, want at most %d", meta.Vocabulary, vocabulary)}
	}
	if got := sum(text); got != meta.SHA256 {
		return nil, meta, &fileError{err: fmt.Errorf("sha256 is %s, its description says %s: one of the two files was changed", got, meta.SHA256)}
	}
	tokens, err := parseInts(text, meta.Vocabulary)
	if err != nil {
		return nil, meta, err
	}
	if len(tokens) != meta.Tokens {
		return nil, meta, &fileError{err: fmt.Errorf("%d tokens, its description says %d", len(tokens), meta.Tokens)}
	}

	streams := make([]*Stream, len(meta.Assets))
	for i, a := range meta.Assets {
		var interval market.Interval
		if a.Interval != "" {
			var err error
			if interval, err = market.ParseInterval(a.Interval); err != nil {
				return nil, meta, &fileError{meta: true, err: fmt.Errorf("asset %q: %w", a.Asset, err)}
			}
		}
		s := &Stream{
			Asset: a.Asset, Interval: interval, ValFrom: a.ValFrom, TestFrom: a.TestFrom,
			Tokens: tokens[a.Offset : a.Offset+a.Length : a.Offset+a.Length],
		}
		for _, seconds := range a.Times {
			s.Times = append(s.Times, time.Unix(seconds, 0).UTC())
		}
		streams[i] = s
	}
	return streams, meta, nil
}

// check reports the first fault of a description: whatever passes can be cut
// out of Tokens tokens.
func (m Meta) check() error {
	switch {
	case m.Version < 1 || m.Version > metaVersion:
		return fmt.Errorf("layout version %d, this program reads %d", m.Version, metaVersion)
	case m.Vocabulary < 1 || m.Vocabulary > maxToken+1:
		return fmt.Errorf("vocabulary %d outside 1…%d", m.Vocabulary, maxToken+1)
	}
	seen := map[string]bool{}
	offset := 0
	for _, a := range m.Assets {
		switch {
		case seen[a.Asset]:
			return fmt.Errorf("asset %q comes twice", a.Asset)
		case a.Offset != offset || a.Length < 0 || a.Length > m.Tokens-offset:
			return fmt.Errorf("asset %q: offset %d, length %d do not follow from the assets before it", a.Asset, a.Offset, a.Length)
		case a.ValFrom < 0 || a.ValFrom > a.TestFrom || a.TestFrom > a.Length:
			return fmt.Errorf("asset %q: borders %d, %d do not lie in 0…%d", a.Asset, a.ValFrom, a.TestFrom, a.Length)
		case a.Times != nil && len(a.Times) != a.Length:
			return fmt.Errorf("asset %q: %d times for %d tokens", a.Asset, len(a.Times), a.Length)
		}
		for i := 1; i < len(a.Times); i++ {
			if a.Times[i] <= a.Times[i-1] {
				return fmt.Errorf("asset %q: time %d is not after the one before it", a.Asset, i)
			}
		}
		seen[a.Asset] = true
		offset += a.Length
	}
	if offset != m.Tokens {
		return fmt.Errorf("the assets have %d tokens, the file %d", offset, m.Tokens)
	}
	return nil
}

// parseInts reads integers between white space, each below the vocabulary
// where that is above 0.
func parseInts(text []byte, vocabulary int) ([]int32, error) {
	var tokens []int32
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for line := 1; lines.Scan(); line++ {
		for field := range strings.FieldsSeq(lines.Text()) {
			token, err := strconv.ParseInt(field, 10, 32)
			switch {
			case err != nil || token < 0 || token > maxToken:
				return nil, &fileError{line: line, err: fmt.Errorf("%.40q is no token: want an integer in 0…%d", field, maxToken)}
			case vocabulary > 0 && int(token) >= vocabulary:
				return nil, &fileError{line: line, err: fmt.Errorf("token %d outside of the vocabulary 0…%d", token, vocabulary-1)}
			}
			tokens = append(tokens, int32(token))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &fileError{err: err}
	}
	if len(tokens) == 0 {
		return nil, &fileError{err: errors.New("no tokens")}
	}
	return tokens, nil
}

func sum(data []byte) string {
	digest := sha256.Sum256(data)
	return hex.EncodeToString(digest[:])
}
