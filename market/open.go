package market

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxUnpacked is how many times larger than its file a text may be: candles
// compress five to thirty times, and what compresses better holds none.
const maxUnpacked = 200

// File is one file, or one member of an archive, that was read or refused.
type File struct {
	Series *Series // nil: refused
	Report Report
	Err    error
}

// ReadCSV is [ReadFile] for a file that needs no options.
func ReadCSV(path string) (*Series, Report, error) { return ReadFile(path, Options{}) }

// ReadFile reads one file of candles of one asset: text in columns (CSV and its
// relatives) or Parquet, plain or compressed by gzip or zip, whatever its name.
//
// Columns are found by the names in the header, in any order, case and the usual
// languages; others are left alone. Rows without a header are read where every
// row shows the order open, high, low, close. The symbol is that of the ticker
// header or column, or else the file name, up to the first underscore behind which
// a date, an interval or a source stands.
//
// A year of two figures is one of 1950 to 2049.
//
// The error names file, line and field, and says how many more rows are at
// fault: a [FaultError]. Lines are counted from 1, header included, in the
// decompressed text. What holds no candles gives [ErrNotCandles] after at most
// 64 KiB, an archive of several files [ErrSeveral].
func ReadFile(path string, o Options) (*Series, Report, error) {
	var first File
	var names []string
	err := walk(path, o, func(m member) bool {
		if names = append(names, m.name); len(names) == 1 {
			first = m.read()
		}
		return true
	})
	if err == nil && len(names) > 1 {
		err = fmt.Errorf("market: %s: %w: %s", path, ErrSeveral, list(names, 5))
	}
	if err != nil {
		return nil, Report{Path: path}, err
	}
	return first.Series, first.Report, first.Err
}

// ReadText reads the candles of one asset from text in columns, not compressed, as
// [ReadFile] reads those of a file. Name stands in errors, and is the symbol of
// candles that do not name their own.
func ReadText(text []byte, name string, o Options) (*Series, Report, error) {
	if err := o.Validate(); err != nil {
		return nil, Report{Path: name}, err
	}
	return readText(bytes.NewReader(text), int64(len(text)), name, o)
}

// ReadEach reads a file as [ReadFile] does, and every member of an archive: zip,
// tar or tar.gz. There is at least one result. Members that are no text or
// Parquet files by their names, such as a README, are passed over.
func ReadEach(path string, o Options) iter.Seq[File] {
	return func(yield func(File) bool) {
		if err := walk(path, o, func(m member) bool { return yield(m.read()) }); err != nil {
			yield(File{Report: Report{Path: path}, Err: err})
		}
	}
}

// member is what may hold the candles of one asset: a file, or one in an archive.
type member struct {
	name string      // in the archive
	read func() File // until the next member is visited
}

// walk visits a file, or the members of an archive, until visit returns false. Its
// error concerns the file as a whole.
func walk(name string, o Options, visit func(member) bool) error {
	if err := o.Validate(); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("market: %w", err)
	}
	if info.IsDir() {
		return fmt.Errorf("market: %w", &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR})
	}
	if !info.Mode().IsRegular() { // opening a pipe could wait for ever
		return fmt.Errorf("market: %s: %w: not a regular file", name, ErrNotCandles)
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("market: %w", err)
	}
	defer file.Close()
	c := container{file, info.Size(), name, o}
	return c.walk(visit)
}

// container is a file that is read by its first bytes, whatever its name.
type container struct {
	file    io.ReaderAt
	size    int64
	name    string
	options Options
}

func (c *container) walk(visit func(member) bool) error {
	start := make([]byte, 512)
	n, err := c.file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("market: %s: %w", c.name, err)
	}
	start = start[:n]
	whole := io.NewSectionReader(c.file, 0, c.size)
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		return c.walkZip(visit)
	case bytes.HasPrefix(start, []byte("PAR1")):
		visit(member{c.name, func() File { return result(readParquet(c.file, c.size, c.name, c.options)) }})
		return nil
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		unzipped, err := gzip.NewReader(whole)
		if err != nil {
			return fmt.Errorf("market: %s: gzip: %w", c.name, err)
		}
		text := bufio.NewReaderSize(limit(unzipped, c.size), 512)
		if head, _ := text.Peek(512); isTar(head) {
			return c.walkTar(text, c.size*maxUnpacked, visit)
		}
		visit(member{c.name, func() File { return result(readText(text, unpackedSize(c.file, c.size), c.name, c.options)) }})
		return nil
	case isTar(start):
		return c.walkTar(whole, c.size, visit)
	}
	for _, known := range []struct{ magic, name string }{
		{"BZh", "bzip2"}, {"\xfd7zXZ", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"7z\xbc\xaf", "7-Zip"}, {"Rar!", "RAR"},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return fmt.Errorf("market: %s: %w that can be read: it is compressed by %s; unpack it first, or use gzip or zip", c.name, ErrNotCandles, known.name)
		}
	}
	visit(member{c.name, func() File { return result(readText(whole, c.size, c.name, c.options)) }})
	return nil
}

// unpackedSize is what a gzip file says of its text, as far as it may be.
func unpackedSize(file io.ReaderAt, size int64) int64 {
	var last [4]byte
	if _, err := file.ReadAt(last[:], size-int64(len(last))); err != nil && err != io.EOF {
		return 0
	}
	return min(int64(binary.LittleEndian.Uint32(last[:])), size*maxUnpacked)
}

func result(s *Series, r Report, err error) File { return File{s, r, err} }

// isTar knows the header of POSIX and of GNU.
func isTar(start []byte) bool {
	return len(start) >= 512 && string(start[257:262]) == "ustar"
}

// walkTar visits the members of an archive of at most so many bytes: headers lie.
func (c *container) walkTar(r io.Reader, size int64, visit func(member) bool) error {
	archive := tar.NewReader(r)
	empty := true
	for {
		header, err := archive.Next()
		if err == io.EOF && empty {
			return fmt.Errorf("market: %s: %w: an archive without one", c.name, ErrNotCandles)
		} else if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("market: %s: tar: %w", c.name, err)
		}
		if header.Typeflag != tar.TypeReg || !isMember(header.Name) {
			continue
		}
		empty = false
		if !visit(member{header.Name, func() File { return c.readMember(archive, min(header.Size, size), header.Name) }}) {
			return nil
		}
	}
}

func (c *container) walkZip(visit func(member) bool) error {
	archive, err := zip.NewReader(c.file, c.size)
	if err != nil {
		return fmt.Errorf("market: %s: zip: %w", c.name, err)
	}
	for _, f := range archive.File {
		if strings.HasPrefix(f.Name, "xl/") {
			return fmt.Errorf("market: %s: %w: it is an Excel workbook: save it as CSV", c.name, ErrNotCandles)
		}
	}
	empty := true
	for _, f := range archive.File {
		if f.FileInfo().IsDir() || !isMember(f.Name) {
			continue
		}
		empty = false
		if !visit(member{f.Name, func() File { return c.readZipped(f) }}) {
			return nil
		}
	}
	if empty {
		return fmt.Errorf("market: %s: %w: an archive without one", c.name, ErrNotCandles)
	}
	return nil
}

// readZipped reads a member of a zip archive, whose header may lie about its size.
func (c *container) readZipped(f *zip.File) File {
	r, err := f.Open()
	if err != nil {
		at := c.name + "/" + f.Name
		return File{Report: Report{Path: at}, Err: fmt.Errorf("market: %s: zip: %w", at, err)}
	}
	defer r.Close()
	return c.readMember(limit(r, int64(min(f.CompressedSize64, uint64(c.size)))), 0, f.Name)
}

// readMember reads one member of an archive, of so many bytes or 0, which is text,
// perhaps compressed once more.
func (c *container) readMember(r io.Reader, size int64, name string) File {
	at := c.name + "/" + name
	buffered := bufio.NewReaderSize(r, 512)
	start, _ := buffered.Peek(4)
	switch {
	case bytes.HasPrefix(start, []byte("PAR1")):
		return File{Report: Report{Path: at}, Err: fmt.Errorf("market: %s: Parquet inside of an archive: unpack it first", at)}
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return File{Report: Report{Path: at}, Err: fmt.Errorf("market: %s: gzip: %w", at, err)}
		}
		return result(readText(limit(unzipped, c.size), 0, at, c.options))
	}
	return result(readText(buffered, size, at, c.options))
}

// isMember goes by the name, and passes over what other programs add.
func isMember(name string) bool {
	base := path.Base(name)
	return !strings.HasPrefix(base, ".") && !strings.HasPrefix(name, "__MACOSX/") && hasExt(base, ".csv", ".txt", ".tsv", ".csv.gz", ".parquet", ".asc", ".prn")
}

// list shows the first names and counts the others.
func list(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// limit ends with an error after what packed bytes of candles can hold.
func limit(r io.Reader, packed int64) io.Reader {
	return &limited{r, unpackedLimit(packed)}
}

// unpackedLimit is how many bytes packed ones may become.
func unpackedLimit(packed int64) int64 { return max(packed*maxUnpacked, 1<<20) }

type limited struct {
	r    io.Reader
	left int64
}

var errUnpacked = errors.New("unpacks to more than 200 times its size, which no candles do")

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errUnpacked
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
