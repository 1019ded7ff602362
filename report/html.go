package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

var (
	//go:embed card.html
	cardHTML string
	//go:embed card.css
	cardCSS string

	page = template.Must(template.New("card").Parse(cardHTML))
)

// HTML is the card as one page that needs nothing beside it: no script, no
// request, light or dark as the reader's system is. It fails for a card that was
// read and whose numbers cannot be drawn.
func (c *Card) HTML() (text []byte, err error) {
	defer func() {
		// What a card holds that was written by others, plots and tables take for
		// granted: a fan without candles, an axis without a length.
		if fault := recover(); fault != nil {
			err = fmt.Errorf("report: the card cannot be drawn: %v", fault)
		}
	}()
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{
		"Title": c.title(), "Card": c, "Sections": c.sections(true), "Style": template.CSS(cardCSS),
	})
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}

// numeric says whether all of a column are numbers.
func (t Table) numeric(column int) bool {
	for _, r := range t.Rows {
		if column < len(r) && r[column] != "" && !strings.ContainsRune("+-0123456789.–", []rune(r[column])[0]) {
			return false
		}
	}
	return true
}

// Text says whether a column is words.
func (t Table) Text(column int) bool { return !t.numeric(column) }

// Class is how a cell is set.
func (t Table) Class(column int, cell string) string {
	switch {
	case len(cell) > 40:
		return "long"
	case t.Text(column):
		return "text"
	}
	return ""
}
