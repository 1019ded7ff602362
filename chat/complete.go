package chat

import (
	"slices"
	"strings"
)

// Complete lists what the last word of a line may become, in order; after a space,
// what the next word may be.
func (v Vocabulary) Complete(line string) []string {
	head, typed := "", line
	if i := strings.LastIndexAny(line, " ("); i >= 0 {
		head, typed = line[:i+1], line[i+1:]
	}
	var out []string
	for _, word := range v.following(lex(head)) {
		if len(word) >= len(typed) && strings.EqualFold(word[:len(typed)], typed) {
			out = append(out, word)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// following is what may come after words.
func (v Vocabulary) following(words []string) (next []string) {
	for _, b := range beginnings {
		if n := len(words); n < len(b.words) && (&parser{words: b.words}).accept(lower(words)...) {
			next = append(next, b.words[n])
		}
	}
	p := &parser{v: v, words: words}
	kind, ok := p.kind()
	if !ok {
		return next
	}
	may := usage(kind).parts
	add := func(what part, words ...string) {
		if may&what != 0 {
			next = append(next, words...)
		}
	}
	last := strings.ToLower(words[len(words)-1])
	switch {
	case kind == Help:
		for _, b := range beginnings {
			next = append(next, b.words[0])
		}
		return next
	case last == "model":
		return v.Models
	case last == "asset":
		return v.Assets
	case kind == Use:
		return slices.Concat(v.Assets, v.Models, []string{"asset", "model"})
	case kind == AsOf:
		return []string{"latest"}
	}
	add(withAsset, v.Assets...)
	add(withBaseline, Baselines()...)
	add(withDraw, "paths", "temp", "seed")
	add(withModel, "model")
	add(withAsOf, "as")
	add(withWindow, "window")
	add(withMoves, "tomorrow", "then", "flat", "up", "down")
	add(withEvent, "close", "up", "down", "between", "in")
	add(withHorizon, "next")
	return next
}

func lower(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}
