package main

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

// textTable is a table without borders, numbers to the right.
type textTable struct {
	header []string
	rows   [][]string
}

func newTable(header ...string) *textTable { return &textTable{header: header} }

func (t *textTable) add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case float64:
			row[i] = fmt.Sprintf("%.4f", v)
		default:
			row[i] = fmt.Sprint(v)
		}
	}
	t.rows = append(t.rows, row)
}

func (t *textTable) String() string {
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
