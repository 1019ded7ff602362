package report

import (
	"fmt"
	"strings"
)

// Markdown is the card as text, without the plots.
func (c *Card) Markdown() []byte {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put("# %s\n\nmqc %s", escape(c.title()), escape(c.Build))
	for _, s := range c.sections(false) {
		put("\n## %s", escape(s.Title))
		for _, v := range s.Verdicts {
			put("\n**%s: %s.**\n", escape(v.Model), escape(v.Headline))
			for _, d := range v.Details {
				put("- %s", escape(d))
			}
		}
		for _, t := range s.Text {
			put("\n%s", escape(t))
		}
		for _, t := range s.Tables {
			put("%s", t.markdown())
		}
		for _, f := range s.Folded {
			put("\n### %s", escape(f.Title))
			for _, t := range f.Tables {
				put("%s", t.markdown())
			}
			for _, code := range f.Code {
				put("\n%s", fenced(code))
			}
		}
		for _, code := range s.Code {
			put("\n%s", fenced(code))
		}
	}
	return []byte(b.String())
}

// markdown is a table as GitHub writes them.
func (t Table) markdown() string {
	var b strings.Builder
	if t.Title != "" {
		fmt.Fprintf(&b, "\n%s\n", escape(t.Title))
	}
	b.WriteByte('\n')
	row := func(cells []string) {
		for i := range t.Header {
			cell := ""
			if i < len(cells) {
				cell = escape(cells[i])
			}
			fmt.Fprintf(&b, "| %s ", cell)
		}
		b.WriteString("|\n")
	}
	row(t.Header)
	for i := range t.Header {
		if i == 0 || t.Text(i) {
			b.WriteString("|---")
		} else {
			b.WriteString("|--:")
		}
	}
	b.WriteString("|\n")
	for _, r := range t.Rows {
		row(r)
	}
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "\n%s\n", escape(n))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// marks are characters that Markdown would read as its own.
var marks = strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`, "\n", " ")

func escape(text string) string { return marks.Replace(text) }

// fenced is code between fences that do not occur in it.
func fenced(code string) string {
	fence := "```"
	for strings.Contains(code, fence) {
		fence += "`"
	}
	return fence + "\n" + code + "\n" + fence
}
