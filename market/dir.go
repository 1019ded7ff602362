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

// ReadDir reads all files of a folder whose names end in .csv or .csv.gz, by
// symbol. The error joins those of all files; the reports are given beside it.
// The same symbol twice, or two intervals, are refused with the names of both
// files. A folder that does not exist or holds no such file gives [ErrNoData].
func ReadDir(dir string) ([]*Series, []Report, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("market: %s: %w: the folder does not exist", dir, ErrNoData)
	} else if err != nil {
		return nil, nil, fmt.Errorf("market: %w", err)
	}
	var series []*Series
	var reports []Report
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if !isCandleFile(path) {
			continue
		}
		s, report, err := ReadCSV(path)
		reports = append(reports, report)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		series = append(series, s)
	}
	if len(reports) == 0 {
		return nil, nil, fmt.Errorf("market: %s: %w: nothing ends in .csv or .csv.gz", dir, ErrNoData)
	}
	slices.SortStableFunc(series, func(a, b *Series) int { return strings.Compare(a.Symbol, b.Symbol) })
	slices.SortStableFunc(reports, func(a, b Report) int { return strings.Compare(a.Symbol, b.Symbol) })
	errs = append(errs, checkTogether(series)...)
	if len(errs) > 0 {
		return nil, reports, errors.Join(errs...)
	}
	return series, reports, nil
}

// isCandleFile goes by the name; a pipe or a folder of that name is none.
func isCandleFile(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".csv") && !strings.HasSuffix(name, ".csv.gz") {
		return false
	}
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular() // a dead link shall be reported
}

// checkTogether finds series that cannot stand in one data set; they are
// sorted by symbol.
func checkTogether(series []*Series) (errs []error) {
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
