package market

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// extensions of the files that a folder of candles holds. A .txt file may be
// anything, tokens for example: it is read where it is named.
var extensions = []string{".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".csv.zip", ".zip", ".tar.gz", ".tgz"}

// ReadDir reads all candle files of a folder, see [Files], by symbol. The error
// joins those of all files; the reports are given beside it. The same symbol
// twice, or two intervals, are refused with the names of both files. A folder
// that does not exist or holds no such file gives [ErrNoData].
func ReadDir(dir string) ([]*Series, []Report, error) {
	paths, err := Files(dir)
	if err != nil {
		return nil, nil, err
	}
	var series []*Series
	var reports []Report
	var errs []error
	for _, path := range paths {
		for f := range ReadEach(path, Options{}) {
			reports = append(reports, f.Report)
			if f.Err != nil {
				errs = append(errs, f.Err)
				continue
			}
			series = append(series, f.Series)
		}
	}
	slices.SortStableFunc(series, bySymbol)
	slices.SortStableFunc(reports, func(a, b Report) int { return strings.Compare(a.Symbol, b.Symbol) })
	errs = append(errs, CheckTogether(series)...)
	if len(errs) > 0 {
		return nil, reports, errors.Join(errs...)
	}
	return series, reports, nil
}

// Files lists the candle files of a folder by their names: CSV, TSV and Parquet,
// .csv.gz, .zip and .tar.gz. Hidden files, other files and folders are passed
// over. A folder that does not exist or holds none gives [ErrNoData].
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("market: %s: %w: the folder does not exist", dir, ErrNoData)
	} else if err != nil {
		return nil, fmt.Errorf("market: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		if path := filepath.Join(dir, entry.Name()); IsCandleFile(path) {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("market: %s: %w: nothing ends in %s", dir, ErrNoData, strings.Join(extensions, ", "))
	}
	return paths, nil
}

// Walk lists the candle files of a folder and of the folders in it, those of one
// folder together, and .txt files beside them. Hidden files and folders are
// passed over. A folder that does not exist or holds none gives [ErrNoData].
func Walk(dir string) (groups [][]string, err error) {
	group := map[string]int{} // of a folder
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == dir:
			return fmt.Errorf("market: %s: %w: the folder does not exist", dir, ErrNoData)
		case err != nil:
			return fmt.Errorf("market: %w", err)
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !IsCandleFile(path) && (!d.Type().IsRegular() || !hasExt(path, ".txt") || strings.HasPrefix(d.Name(), ".")):
			return nil
		}
		folder := filepath.Dir(path)
		if _, known := group[folder]; !known {
			group[folder] = len(groups)
			groups = append(groups, nil)
		}
		groups[group[folder]] = append(groups[group[folder]], path)
		return nil
	})
	if err == nil && groups == nil {
		err = fmt.Errorf("market: %s: %w: nothing ends in %s", dir, ErrNoData, strings.Join(extensions, ", "))
	}
	return groups, err
}

// IsCandleFile reports whether [Files] lists a path, or would if it were there. It goes by
// the name; a pipe or a folder of that name is none.
func IsCandleFile(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") || !hasExt(name, extensions...) {
		return false
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular() // a dead link shall be reported
}

// hasExt is whether name ends in one of the extensions, in any case.
func hasExt(name string, ext ...string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(ext, func(e string) bool { return strings.HasSuffix(name, e) })
}

// CheckTogether finds series that cannot stand in one data set: the same symbol
// twice, or two intervals.
func CheckTogether(series []*Series) (errs []error) {
	series = slices.Clone(series)
	slices.SortStableFunc(series, bySymbol)
	for i := 1; i < len(series); i++ {
		a, b := series[i-1], series[i]
		if a.Symbol == b.Symbol {
			errs = append(errs, fmt.Errorf("market: %s: symbol %s is also in %s", b.Path, b.Symbol, a.Path))
		}
		if a := series[0]; a.Interval != b.Interval {
			errs = append(errs, fmt.Errorf("market: %s: interval %s, but %s has %s", b.Path, b.Interval, a.Path, a.Interval))
		}
	}
	return errs
}

func bySymbol(a, b *Series) int { return strings.Compare(a.Symbol, b.Symbol) }
