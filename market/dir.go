package market

import (
	"cmp"
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

// ReadDir reads all candle files of a folder, see [Files], by symbol. Files of one
// symbol that follow one another in time, such as those of its months, are one
// series, see [Join], and one report. The error joins those of all files; the
// reports are given beside it. The same symbol twice at one time, or two
// intervals, are refused with the names of both files. A folder
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
	joined := Join(series)
	if errs = append(errs, CheckTogether(joined)...); len(errs) > 0 {
		slices.SortStableFunc(reports, func(a, b Report) int { return strings.Compare(a.Symbol, b.Symbol) })
		return nil, reports, errors.Join(errs...)
	}
	return joined, joinReports(joined, series, reports), nil
}

// Join makes one series, in time order, of those that have one symbol and one
// interval and do not overlap in time. It sorts by symbol; the path of a series
// that was joined lists those of its parts.
func Join(series []*Series) []*Series {
	series = slices.Clone(series)
	slices.SortStableFunc(series, func(a, b *Series) int {
		return cmp.Or(bySymbol(a, b), a.Candles[0].Time.Compare(b.Candles[0].Time))
	})
	var joined []*Series
	for len(series) > 0 {
		n := 1
		for n < len(series) && series[n].Symbol == series[0].Symbol {
			n++
		}
		parts := series[:n]
		series = series[n:]
		if n == 1 || !follow(parts) {
			joined = append(joined, parts...)
			continue
		}
		one := *parts[0]
		one.Candles = slices.Clone(one.Candles)
		for _, part := range parts[1:] {
			one.Candles = append(one.Candles, part.Candles...)
			one.Path += pathList + part.Path
		}
		joined = append(joined, &one)
	}
	return joined
}

// pathList stands between the paths of parts that were joined.
const pathList = ", "

// follow tells series of one interval of which each ends before the next begins.
func follow(parts []*Series) bool {
	for i := 1; i < len(parts); i++ {
		a, b := parts[i-1], parts[i]
		if a.Interval != b.Interval || !b.Candles[0].Time.After(a.Candles[len(a.Candles)-1].Time) {
			return false
		}
	}
	return true
}

// joinReports gives the reports of series that were joined of parts; parts and
// reports belong together.
func joinReports(joined, parts []*Series, reports []Report) []Report {
	of := map[string]Report{}
	for i, part := range parts {
		of[part.Path] = reports[i]
	}
	all := make([]Report, len(joined))
	for i, s := range joined {
		if r, single := of[s.Path]; single {
			all[i] = r
			continue
		}
		r := Report{Path: s.Path}
		for _, part := range parts {
			if part.Symbol == s.Symbol {
				r.Widened += of[part.Path].Widened
				r.NewestFirst = r.NewestFirst || of[part.Path].NewestFirst
			}
		}
		r.describe(s)
		all[i] = r
	}
	return all
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
			errs = append(errs, fmt.Errorf("market: %s: symbol %s is also in %s%s", b.Path, b.Symbol, a.Path, renaming(a, b)))
		}
		if a := series[0]; a.Interval != b.Interval {
			errs = append(errs, fmt.Errorf("market: %s: interval %s, but %s has %s", b.Path, b.Interval, a.Path, a.Interval))
		}
	}
	return errs
}

// renaming says where a symbol comes from that two files have.
func renaming(a, b *Series) string {
	if a.Symbol != symbolOf(a.Path) && b.Symbol != symbolOf(b.Path) {
		return ""
	}
	return ": it comes from the beginning of the file names, and renaming one of them settles it"
}

func bySymbol(a, b *Series) int { return strings.Compare(a.Symbol, b.Symbol) }
