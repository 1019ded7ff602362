package chat

import (
	"cmp"
	"slices"
	"strings"

	"github.com/micro-quant/mqc/internal/edit"
)

// SyntaxError says why a line was not understood, and what comes nearest to it.
type SyntaxError struct {
	Reason string
	Near   []Usage // the nearest first
}

// Error names the reason and the nearest commands.
func (e *SyntaxError) Error() string {
	syntax := make([]string, len(e.Near))
	for i, u := range e.Near {
		syntax[i] = u.Syntax
	}
	return "chat: " + e.Reason + "; nearest: " + strings.Join(syntax, " · ")
}

// maxNear is how many commands an error lists.
const maxNear = 3

// near lists the commands that share most with a line; first stands before all
// others where it is known.
func near(text string, first Kind) []Usage {
	scores := map[Kind]int{}
	for _, word := range lex(strings.ToLower(text)) {
		for _, u := range usages {
			scores[u.Kind] += likeness(word, u.words)
		}
		if strings.HasSuffix(word, "%") {
			scores[WhatIf]++
		}
	}
	if first != "" {
		scores[first] += len(text) * 2 // more than all words together
	}
	all := slices.DeleteFunc(Usages(), func(u Usage) bool { return scores[u.Kind] == 0 })
	slices.SortStableFunc(all, func(a, b Usage) int { return cmp.Compare(scores[b.Kind], scores[a.Kind]) })
	if len(all) == 0 {
		return []Usage{usage(Forecast), usage(WhatIf), usage(Help)}
	}
	return all[:min(maxNear, len(all))]
}

// likeness is 2 for a word of words, 1 for one that begins like it or is spelled
// nearly so.
func likeness(word string, words []string) int {
	best := 0
	for _, w := range words {
		switch {
		case w == word:
			return 2
		case len(word) >= 3 && len(w) >= 3 && (strings.HasPrefix(w, word) || strings.HasPrefix(word, w)),
			len(word) >= 4 && edit.Distance(word, w) <= len(word)/3:
			best = 1
		}
	}
	return best
}

// nearestNames are up to five of the known names, nearest first.
func nearestNames(known []string, name string) []string {
	known = slices.Clone(known)
	distance := func(k string) int {
		k, n := strings.ToLower(k), strings.ToLower(name)
		if strings.HasPrefix(k, n) {
			return 0
		}
		return edit.Distance(k, n)
	}
	slices.SortStableFunc(known, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	return known[:min(5, len(known))]
}

// list joins names; a long list is cut.
func list(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
