package main

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"github.com/micro-quant/mqc/report"
)

// textTable is a table without borders, numbers to the right. One that is wider
// than the terminal is a list of records.
type textTable struct {
	header []string
	rows   [][]string
	width  int // of the terminal; 0: any
}

func newTable(header ...string) *textTable { return &textTable{header: header} }

func (t *textTable) add(cells ...any) { t.rows = append(t.rows, report.Row(cells...)) }

func (t *textTable) String() string {
	text := t.grid()
	if t.width > 0 && len(t.header) > 2 && lipgloss.Width(text) > t.width {
		return t.records()
	}
	return text
}

// records has every row as its first cell and, below it, a line for each of the
// others that is not empty.
func (t *textTable) records() string {
	name := 0
	for _, h := range t.header[1:] {
		name = max(name, lipgloss.Width(h))
	}
	var b strings.Builder
	for _, row := range t.rows {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(row[0])
		for i, cell := range row[1:] {
			if cell == "" {
				continue
			}
			h := t.header[1+i]
			fmt.Fprintf(&b, "\n  %s%s  %s", h, strings.Repeat(" ", name-lipgloss.Width(h)), cell)
		}
	}
	return b.String()
}

func (t *textTable) grid() string {
	numeric := make([]bool, len(t.header))
	for c := range t.header {
		numeric[c] = c > 0
		for _, r := range t.rows {
			if c < len(r) && r[c] != "" && !strings.ContainsRune("+-0123456789.", rune(r[c][0])) {
				numeric[c] = false
			}
		}
	}
	return table.New().Headers(t.header...).Rows(t.rows...).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderColumn(false).
		Border(lipgloss.NormalBorder()).
		StyleFunc(func(_, col int) lipgloss.Style {
			s := lipgloss.NewStyle().PaddingRight(2)
			if numeric[col] {
				s = s.Align(lipgloss.Right)
			}
			return s
		}).String()
}
