package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/market"
)

func (a *app) dataCheck() *cobra.Command {
	var reading reading
	c := &cobra.Command{
		Use:   "check PATH...",
		Short: "Say what candle files hold, or why they are refused",
		Long: `Read candle files, and those of folders and archives, and say what they hold:
interval, range, rows, gaps, stretches without trade, jumps that look like splits
or another unit. Files that are refused follow with the reason and the flag that
settles it. Nothing is written: --repair and --drop show what they would do to
each row, and "mqc data convert" with the same flags writes it.

The exit code is 0 if every file was read and 1 if one was refused. A .txt file
that is found in a folder and holds no candles is listed and does not count.`,
		Example: "  mqc data check data\n  mqc data check AAPL.csv BTC.csv.gz --json\n  mqc data check export.csv --date-order dmy --repair",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			o, err := reading.resolve(c)
			if err != nil {
				return err
			}
			return a.runCheck(paths, o)
		},
	}
	reading.bind(c.Flags())
	return c
}

// checked is the result for one file.
type checked struct {
	market.Report
	Error  string `json:"error,omitempty"`
	Hint   string `json:"hint,omitempty"`
	name   string // as short as the folder that was named allows
	reason string // Error with the short name
	passed bool   // no candles, and nobody said that there are
}

func (a *app) runCheck(paths []string, o market.Options) error {
	groups, err := candleFiles(paths)
	if err != nil {
		return err
	}
	var results []checked
	var together []error
	read, refused, passed := 0, 0, 0
	for _, group := range groups {
		var series []*market.Series
		for _, path := range group.files {
			for f := range market.ReadEach(path, o) {
				one := checked{Report: f.Report, name: group.short(f.Report.Path)}
				switch {
				case f.Err == nil:
					read++
					// What they hold is in the report; their ends say whether files overlap.
					f.Series.Candles = []market.Candle{f.Series.Candles[0], f.Series.Candles[len(f.Series.Candles)-1]}
					series = append(series, f.Series)
				default:
					one.Error, one.Hint = strings.TrimPrefix(f.Err.Error(), "market: "), settled(f.Err)
					one.reason = strings.Replace(one.Error, f.Report.Path, one.name, 1)
					if one.passed = group.passes(path, f.Err); one.passed {
						passed++
					} else {
						refused++
					}
				}
				results = append(results, one)
			}
		}
		together = append(together, market.CheckTogether(market.Join(series))...)
	}
	if a.json {
		if err := a.printJSON(results); err != nil {
			return err
		}
	} else {
		a.sayChecked(results)
		a.say("%d read, %d refused", read, refused)
		if passed > 0 {
			a.say("%s without candles passed over", share(passed, "text file", "text files"))
		}
	}
	if refused > 0 {
		err := fmt.Errorf("data: %d of %d files refused", refused, read+refused)
		if slices.ContainsFunc(results, func(r checked) bool { return r.Hint != "" }) {
			return &hintedError{err, "the reasons are above; mqc data convert with the flags that they name writes files that can be read"}
		}
		return err
	}
	// What is fine alone may not stand together in a folder.
	return errors.Join(together...)
}

// sayChecked prints the files that were read, what is odd about them, what was
// done to them, and those that were refused.
func (a *app) sayChecked(results []checked) {
	t := newTable("file", "symbol", "interval", "rows", "first", "last", "gaps", "longest gap", "stale", "zero vol.", "jumps", "repaired", "dropped")
	for _, r := range results {
		if r.Error != "" {
			continue
		}
		repaired, dropped := countChanges(r.Report)
		t.add(r.name, r.Symbol, r.Interval, r.Rows, shortTime(r.First, r.Interval), shortTime(r.Last, r.Interval),
			r.Gaps.Count, gapText(r.Report), runText(r.Stale), zeroText(r.Report), len(r.Jumps), repaired+r.Widened, dropped)
	}
	if len(t.rows) > 0 {
		a.say("%s\n", t)
	}
	for _, r := range results {
		if r.Error == "" {
			a.sayOdd(r)
			a.sayChanges(r.name, r.Report)
		}
	}
	for _, r := range results {
		switch {
		case r.Error == "":
		case r.passed:
			a.say("passed over: %s", r.reason)
		case r.Hint != "":
			a.say("refused: %s; %s", r.reason, r.Hint)
		default:
			a.say("refused: %s", r.reason)
		}
	}
}

// sayOdd says what a user should look at.
func (a *app) sayOdd(r checked) {
	const most = 3
	for i, j := range r.Jumps {
		if i == most {
			a.say("%s: and %s", r.name, share(len(r.Jumps)-most, "more jump", "more jumps"))
			break
		}
		a.say("%s: %s: opens at %.4g times the close before: looks like %s", r.name, shortTime(j.Time, r.Interval), j.Ratio, j.Looks)
	}
	if r.DayStart > 0 {
		a.say("%s: days begin at %s UTC and are dated there: --zone dates them where they begin at midnight, such as --zone Asia/Tokyo",
			r.name, time.Time{}.Add(r.DayStart).Format("15:04"))
	}
	if r.Spikes > 0 {
		a.say("%s: %s: high or low is more than 5 times away from open and close, as in %s", r.name, shortTime(r.FirstSpike, r.Interval), share(r.Spikes, "row", "rows"))
	}
	if r.Widened > 0 {
		a.say("%s: high or low of %s widened by a rounding error", r.name, share(r.Widened, "row", "rows"))
	}
	if r.NewestFirst {
		a.say("%s: newest first, turned", r.name)
	}
	if r.ProposedScale > 0 {
		a.say("%s: prices look like whole points: try --scale %g", r.name, r.ProposedScale)
	}
}

// gapText shows the longest gap.
func gapText(r market.Report) string {
	gap := r.Gaps.Longest
	if r.Gaps.Count == 0 {
		return ""
	}
	text := shortTime(gap.From, r.Interval) + " to " + shortTime(gap.To, r.Interval)
	if gap.Candles > 0 {
		text += fmt.Sprintf(", %d missing", gap.Candles)
	}
	return text
}

// runText counts stretches and shows the length of the longest.
func runText(r market.Runs) string {
	if r.Count == 0 {
		return "0"
	}
	return fmt.Sprintf("%d to %d", r.Count, r.Longest.Candles)
}

func zeroText(r market.Report) string {
	switch {
	case r.MissingVolume == r.Rows:
		return "no volume"
	case r.Idle.Count == 0:
		return fmt.Sprint(r.ZeroVolume)
	}
	return fmt.Sprintf("%d, runs to %d", r.ZeroVolume, r.Idle.Longest.Candles)
}

// candleGroup is a file that was named, or those of one folder.
type candleGroup struct {
	files  []string
	folder string // that was named; empty for a file
}

// short is a path inside of the folder that was named.
func (g candleGroup) short(path string) string {
	if short, err := filepath.Rel(g.folder, path); err == nil && g.folder != "" {
		return short
	}
	return path
}

// passes says that a file that was refused is of no concern: a text file that
// nobody named.
func (g candleGroup) passes(path string, err error) bool {
	return g.folder != "" && errors.Is(err, market.ErrNotCandles) && strings.EqualFold(filepath.Ext(path), ".txt")
}

// candleFiles lists the files that paths name, and those of folders.
func candleFiles(paths []string) (groups []candleGroup, err error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		if !info.IsDir() {
			groups = append(groups, candleGroup{files: []string{p}})
			continue
		}
		found, err := market.Walk(p)
		if err != nil {
			return nil, err
		}
		for _, files := range found {
			groups = append(groups, candleGroup{files, p})
		}
	}
	return groups, nil
}
