package market

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// FileName is BTC-USD_2014-09-17_2024-12-31_1d and the extension: symbol, first
// and last date, interval. Signs of the symbol that file names must not have,
// and underscores, become dashes.
func (s *Series) FileName(ext string) string {
	symbol := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|_ `, r) {
			return '-'
		}
		return r
	}, s.Symbol)
	first, last := s.Candles[0].Time, s.Candles[len(s.Candles)-1].Time
	return fmt.Sprintf("%s_%s_%s_%s%s", strings.TrimLeft(symbol, "."), first.Format(time.DateOnly), last.Format(time.DateOnly), s.Interval, ext)
}

// readByHabit tells prices of which no reader can know whether their point stands
// between thousands.
func readByHabit(s *Series) bool {
	var seen signs
	for _, c := range s.Candles {
		for _, x := range [...]float64{c.Open, c.High, c.Low, c.Close} {
			if seen.see(strconv.FormatFloat(x, 'f', -1, 64), '.'); seen.decimal {
				return false
			}
		}
	}
	return seen.unsure()
}

// WriteCSV writes a series so that [ReadCSV] gives the same numbers, bit for
// bit. The symbol is not in the text: it belongs in the file name. A missing
// volume is an empty cell.
func WriteCSV(w io.Writer, s *Series) error {
	out := bufio.NewWriter(w)
	header, form := "Date", time.DateOnly
	if s.Interval < Day {
		header, form = "Datetime", "2006-01-02 15:04:05.999999999-07:00"
	}
	out.WriteString(header + ",Open,High,Low,Close,Volume\n")
	unsure := readByHabit(s)
	var row []byte
	for _, c := range s.Candles {
		row = c.Time.AppendFormat(row[:0], form)
		for _, x := range [...]float64{c.Open, c.High, c.Low, c.Close, c.Volume} {
			row = append(row, ',')
			from := len(row)
			if !math.IsNaN(x) {
				row = strconv.AppendFloat(row, x, 'f', -1, 64)
			}
			if unsure && bytes.IndexByte(row[from:], '.') >= 0 {
				row, unsure = append(row, '0'), false // behind four figures: no mark of thousands
			}
		}
		out.Write(append(row, '\n'))
	}
	if err := out.Flush(); err != nil { // keeps the first error of all writes
		return fmt.Errorf("market: write %s: %w", s.Symbol, err)
	}
	return nil
}
