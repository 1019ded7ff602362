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
// header or column, or else the file name up to the first underscore.
//
// The error names file, line and field, and says how many more rows are at
// fault: a [FaultError]. Lines are counted from 1, header included, in the
// decompressed text. What holds no candles gives [ErrNotCandles] after at most
// 64 KiB, an archive of several files [ErrSeveral].
func ReadFile(path string, o Options) (*Series, Report, error) {
	var found []File
	for f := range ReadEach(path, o) {
		if found = append(found, f); len(found) > 1 {
			break
		}
	}
	if len(found) > 1 {
		names, err := members(path)
		if err != nil {
			return nil, Report{Path: path}, err
		}
		return nil, Report{Path: path}, fmt.Errorf("market: %s: %w: %s", path, ErrSeveral, list(names, 5))
	}
	return found[0].Series, found[0].Report, found[0].Err
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
		if err := readEach(path, o, yield); err != nil {
			yield(File{Report: Report{Path: path}, Err: err})
		}
	}
}

// readEach returns an error that concerns the whole file.
func readEach(name string, o Options, yield func(File) bool) error {
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
	return readContainer(file, info.Size(), name, o, yield)
}

// readContainer unpacks by the first bytes, whatever the name.
func readContainer(file io.ReaderAt, size int64, name string, o Options, yield func(File) bool) error {
	start := make([]byte, 512)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("market: %s: %w", name, err)
	}
	start = start[:n]
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		return readZip(file, size, name, o, yield)
	case bytes.HasPrefix(start, []byte("PAR1")):
		yield(result(readParquet(file, size, name, o)))
		return nil
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		unzipped, err := gzip.NewReader(io.NewSectionReader(file, 0, size))
		if err != nil {
			return fmt.Errorf("market: %s: gzip: %w", name, err)
		}
		text := bufio.NewReaderSize(limit(unzipped, size), 512)
		if head, _ := text.Peek(512); isTar(head) {
			return readTar(text, size*maxUnpacked, name, o, yield)
		}
		yield(result(readText(text, unpackedSize(file, size), name, o)))
		return nil
	case isTar(start):
		return readTar(io.NewSectionReader(file, 0, size), size, name, o, yield)
	}
	for _, known := range []struct{ magic, name string }{
		{"BZh", "bzip2"}, {"\xfd7zXZ", "xz"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"7z\xbc\xaf", "7-Zip"}, {"Rar!", "RAR"},
	} {
		if bytes.HasPrefix(start, []byte(known.magic)) {
			return fmt.Errorf("market: %s: %w that can be read: it is compressed by %s; unpack it first, or use gzip or zip", name, ErrNotCandles, known.name)
		}
	}
	yield(result(readText(io.NewSectionReader(file, 0, size), size, name, o)))
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

// readTar reads the members of an archive of at most so many bytes: headers lie.
func readTar(r io.Reader, size int64, name string, o Options, yield func(File) bool) error {
	archive := tar.NewReader(r)
	read := false
	for {
		member, err := archive.Next()
		if err == io.EOF && !read {
			return fmt.Errorf("market: %s: %w: an archive without one", name, ErrNotCandles)
		} else if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("market: %s: tar: %w", name, err)
		}
		if member.Typeflag != tar.TypeReg || !isMember(member.Name) {
			continue
		}
		read = true
		if !yield(readMember(archive, min(member.Size, size), name+"/"+member.Name, o)) {
			return nil
		}
	}
}

func readZip(file io.ReaderAt, size int64, name string, o Options, yield func(File) bool) error {
	archive, err := zip.NewReader(file, size)
	if err != nil {
		return fmt.Errorf("market: %s: zip: %w", name, err)
	}
	read := false
	for _, member := range archive.File {
		if strings.HasPrefix(member.Name, "xl/") {
			return fmt.Errorf("market: %s: %w: it is an Excel workbook: save it as CSV", name, ErrNotCandles)
		}
	}
	for _, member := range archive.File {
		if member.FileInfo().IsDir() || !isMember(member.Name) {
			continue
		}
		read = true
		at := name + "/" + member.Name
		r, err := member.Open()
		if err != nil {
			err = fmt.Errorf("market: %s: zip: %w", at, err)
			if !yield(File{Report: Report{Path: at}, Err: err}) {
				return nil
			}
			continue
		}
		unpacked := limit(r, int64(min(member.CompressedSize64, uint64(size))))
		more := yield(readMember(unpacked, 0, at, o))
		r.Close()
		if !more {
			return nil
		}
	}
	if !read {
		return fmt.Errorf("market: %s: %w: an archive without one", name, ErrNotCandles)
	}
	return nil
}

// readMember reads one member of an archive, which is text, perhaps compressed
// once more.
func readMember(r io.Reader, size int64, name string, o Options) File {
	buffered := bufio.NewReaderSize(r, 512)
	start, _ := buffered.Peek(4)
	switch {
	case bytes.HasPrefix(start, []byte("PAR1")):
		err := fmt.Errorf("market: %s: Parquet inside of an archive: unpack it first", name)
		return File{Report: Report{Path: name}, Err: err}
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return File{Report: Report{Path: name}, Err: fmt.Errorf("market: %s: gzip: %w", name, err)}
		}
		return result(readText(limit(unzipped, max(size, 1<<16)), 0, name, o))
	}
	return result(readText(buffered, size, name, o))
}

// isMember goes by the name, and passes over what other programs add.
func isMember(name string) bool {
	base := path.Base(name)
	return !strings.HasPrefix(base, ".") && !strings.HasPrefix(name, "__MACOSX/") && hasExt(base, ".csv", ".txt", ".tsv", ".csv.gz", ".parquet", ".asc", ".prn")
}

// members lists the files of an archive that could hold candles.
func members(name string) ([]string, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("market: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("market: %w", err)
	}
	var names []string
	if archive, err := zip.NewReader(file, info.Size()); err == nil {
		for _, member := range archive.File {
			if isMember(member.Name) {
				names = append(names, member.Name)
			}
		}
		return names, nil
	}
	var r io.Reader = file
	if unzipped, err := gzip.NewReader(file); err == nil {
		r = limit(unzipped, info.Size())
	} else {
		file.Seek(0, io.SeekStart)
	}
	for archive := tar.NewReader(r); ; {
		member, err := archive.Next()
		if err == io.EOF {
			return names, nil
		} else if err != nil {
			return nil, fmt.Errorf("market: %s: tar: %w", name, err)
		}
		if isMember(member.Name) {
			names = append(names, member.Name)
		}
	}
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
	return &limited{r, max(packed*maxUnpacked, 1<<20)}
}

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
