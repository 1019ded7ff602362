package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/internal/atomicfile"
	"github.com/micro-quant/mqc/market"
)

func (a *app) dataConvert() *cobra.Command {
	var reading reading
	var target target
	c := &cobra.Command{
		Use:   "convert IN... --out FILE|FOLDER",
		Short: "Write candle files as plain CSV or as Parquet",
		Long: `Read candle files, archives and folders, and write each asset as plain CSV or as
Parquet. --out is a file that ends in .csv or .parquet, for one asset, or a folder,
where files are named SYMBOL_FIRST_LAST_INTERVAL. Rows that --repair and --drop
change are listed. A .txt file that is found in a folder and holds no candles is
passed over.`,
		Example: "  mqc data convert export.csv --date-order dmy --repair --out data/X_1d.csv\n  mqc data convert prices.zip --adjust --format parquet --out data",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			o, err := reading.resolve(c)
			if err != nil {
				return err
			}
			if err := target.check(c); err != nil {
				return err
			}
			return a.convert(paths, o, target, func(s *market.Series) (*market.Series, error) { return s, nil })
		},
	}
	reading.bind(c.Flags())
	target.bind(c)
	return c
}

func (a *app) dataResample() *cobra.Command {
	var reading reading
	var target target
	var interval string
	c := &cobra.Command{
		Use:   "resample IN... --interval INTERVAL --out FILE|FOLDER",
		Short: "Join candles into longer ones",
		Long: `Join candles into longer ones: minutes into hours, hours into days, days into weeks
(from Monday) or months. Days of intraday candles are those of --zone. The last
candle may be unfinished.`,
		Example: "  mqc data resample AAPL_5m.csv --interval 1h --out AAPL_1h.csv\n  mqc data resample minutes.csv --interval 1d --zone America/New_York --out data",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			o, err := reading.resolve(c)
			if err != nil {
				return err
			}
			to, err := market.ParseInterval(interval)
			if err != nil {
				return newUsageError(c, err)
			}
			if err := target.check(c); err != nil {
				return err
			}
			return a.convert(paths, o, target, func(s *market.Series) (*market.Series, error) {
				longer, err := market.Resample(s, to, o.Zone)
				if err != nil {
					return nil, &hintedError{err, "choose an --interval that is longer: " + s.Interval.String() + " times a whole number"}
				}
				return longer, nil
			})
		},
	}
	reading.bind(c.Flags())
	target.bind(c)
	c.Flags().StringVar(&interval, "interval", "1d", "of the new candles: 1h, 1d, 1w, 1mo")
	return c
}

// target is where series are written to, and how.
type target struct {
	out, format string
}

func (t *target) bind(c *cobra.Command) {
	c.Flags().StringVar(&t.out, "out", "", "file that ends in .csv or .parquet, or a folder")
	c.Flags().StringVar(&t.format, "format", "csv", "of the files in a folder: csv or parquet")
}

func (t *target) check(c *cobra.Command) error {
	if t.out == "" {
		return usagef(c, "--out is missing: want a file that ends in .csv or .parquet, or a folder")
	}
	if t.format != "csv" && t.format != "parquet" {
		return usagef(c, "--format %q: want csv or parquet", t.format)
	}
	ext := filepath.Ext(t.out)
	switch info, err := os.Stat(t.out); {
	case err == nil && info.IsDir():
	case t.single():
		if c.Flags().Changed("format") && !strings.EqualFold(ext, "."+t.format) {
			return usagef(c, "--format %s and --out %s: its name is that of another format", t.format, t.out)
		}
	case ext != "" || t.out == "-":
		return usagef(c, "--out %s: want a file that ends in .csv or .parquet, or a folder; a new one with a dot in its name ends in %c", t.out, filepath.Separator)
	}
	return nil
}

// single is whether out is one file.
func (t *target) single() bool {
	info, err := os.Stat(t.out)
	ext := strings.ToLower(filepath.Ext(t.out))
	return (ext == ".csv" || ext == ".parquet") && (err != nil || !info.IsDir())
}

// path is the file for a series.
func (t *target) path(s *market.Series) string {
	if t.single() {
		return t.out
	}
	return filepath.Join(t.out, s.FileName("."+t.format))
}

// convert reads, changes and writes. One file's failure does not stop the
// others.
func (a *app) convert(paths []string, o market.Options, to target, change func(*market.Series) (*market.Series, error)) error {
	groups, err := candleFiles(paths)
	if err != nil {
		return err
	}
	type written struct {
		market.Report
		Out string `json:"out"`
	}
	var done []written
	var failed []error
	from := map[string]string{} // the source of each file written
	for _, group := range groups {
		for _, path := range group.files {
			for f := range market.ReadEach(path, o) {
				if group.passes(path, f.Err) {
					a.talk("passed over: %s", strings.TrimPrefix(f.Err.Error(), "market: "))
					continue
				}
				if f.Err != nil {
					failed = append(failed, withHint(f.Err))
					continue
				}
				s, err := change(f.Series)
				if err != nil {
					failed = append(failed, err)
					continue
				}
				out := to.path(s)
				if other, twice := from[out]; twice {
					failed = append(failed, fmt.Errorf("out: %s is written for %s already, and now for %s: choose a folder for --out", out, other, f.Report.Path))
					continue
				}
				if err := writeSeries(out, path, s); err != nil {
					failed = append(failed, err)
					continue
				}
				from[out] = f.Report.Path
				done = append(done, written{f.Report, out})
				if !a.json {
					a.sayChanges(f.Report.Path, f.Report)
					a.say("%s: %d candles of %s in %s", s.Symbol, len(s.Candles), s.Interval, out)
				}
			}
		}
	}
	if a.json {
		if err := a.printJSON(done); err != nil {
			return err
		}
	}
	if len(done) == 0 && len(failed) == 0 {
		return fmt.Errorf("data: %s: %w", strings.Join(paths, ", "), market.ErrNoData)
	}
	return errors.Join(failed...)
}

// writeSeries writes CSV or Parquet, as the name ends, and never over what it
// was read from.
func writeSeries(out, from string, s *market.Series) error {
	if err := checkOut(out, from); err != nil {
		return err
	}
	write := market.WriteCSV
	if strings.EqualFold(filepath.Ext(out), ".parquet") {
		write = market.WriteParquet
	}
	if err := atomicfile.Write(out, func(w io.Writer) error { return write(w, s) }); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return nil
}
