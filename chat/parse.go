package chat

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/micro-quant/mqc/market"
)

// Vocabulary holds the names that lines may use, and the candles' interval.
type Vocabulary struct {
	Assets   []string        `json:"assets"`
	Models   []string        `json:"models"`
	Interval market.Interval `json:"interval"`
}

// maxLine bounds the length of a line, in bytes.
const maxLine = 1000

// Parse understands a line, taking what it does not say from s. It fails with a
// [*SyntaxError] where the line has no meaning, or more than one.
func (v Vocabulary) Parse(text string, s State) (Command, error) {
	if len(text) > maxLine {
		return Command{}, &SyntaxError{Reason: fmt.Sprintf("a line of %d bytes: want at most %d", len(text), maxLine), Near: near("", "")}
	}
	p := &parser{v: v, words: lex(text)}
	c := Command{State: s, Count: defaultCount, Window: defaultWindow}
	kind, ok := p.kind()
	if !ok {
		return Command{}, &SyntaxError{Reason: p.noCommand(), Near: near(text, "")}
	}
	c.Kind = kind
	if err := p.command(&c); err != nil {
		return Command{}, &SyntaxError{Reason: err.Error(), Near: near(text, kind)}
	}
	return c, nil
}

// lex cuts a line into words and signs. Brackets and question marks only help the
// eye; a comma between digits, with three after it, groups them.
func lex(text string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, string(word))
			word = nil
		}
	}
	runes := []rune(strings.ReplaceAll(text, "−", "-"))
	digit := func(i int) bool { return i >= 0 && i < len(runes) && runes[i] >= '0' && runes[i] <= '9' }
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case unicode.IsSpace(r), r == '(', r == ')', r == '?':
			flush()
		case r == ',' && digit(i-1) && digit(i+1) && digit(i+2) && digit(i+3) && !digit(i+4):
		case r == ',':
			flush()
			words = append(words, ",")
		case r == '<' || r == '>':
			flush()
			words = append(words, string(r))
			if i+1 < len(runes) && runes[i+1] == '=' {
				i++ // of a close that has a density, ≤ and < are one
			}
		default:
			word = append(word, r)
		}
	}
	flush()
	return words
}

// parser goes through the words of a line.
type parser struct {
	v     Vocabulary
	words []string
	said  part // parts that were named
}

// word is the next one in lower case, or "".
func (p *parser) word() string {
	if len(p.words) == 0 {
		return ""
	}
	return strings.ToLower(p.words[0])
}

func (p *parser) skip() { p.words = p.words[1:] }

// accept takes the given words if they come next.
func (p *parser) accept(words ...string) bool {
	if len(p.words) < len(words) {
		return false
	}
	for i, w := range words {
		if strings.ToLower(p.words[i]) != w {
			return false
		}
	}
	p.words = p.words[len(words):]
	return true
}

// beginnings are the words that commands begin with: the longer of two that begin
// alike first, and of one kind first what answers call it.
var beginnings = []struct {
	words []string
	kind  Kind
}{
	{[]string{"what", "if"}, WhatIf},
	{[]string{"show", "analogues"}, Analogues},
	{[]string{"compare", "with"}, Compare},
	{[]string{"compare", "to"}, Compare},
	{[]string{"as", "of"}, AsOf},
	{[]string{"forecast"}, Forecast},
	{[]string{"compare"}, Compare},
	{[]string{"vol"}, Volatility},
	{[]string{"volatility"}, Volatility},
	{[]string{"p"}, Probability},
	{[]string{"prob"}, Probability},
	{[]string{"probability"}, Probability},
	{[]string{"analogues"}, Analogues},
	{[]string{"explain"}, Explain},
	{[]string{"use"}, Use},
	{[]string{"calibration"}, Calibration},
	{[]string{"models"}, Models},
	{[]string{"assets"}, Assets},
	{[]string{"show", "models"}, Models},
	{[]string{"show", "assets"}, Assets},
	{[]string{"show", "calibration"}, Calibration},
	{[]string{"help"}, Help},
}

func (p *parser) kind() (Kind, bool) {
	for _, b := range beginnings {
		if p.accept(b.words...) {
			return b.kind, true
		}
	}
	return "", false
}

// noCommand says why a line is none.
func (p *parser) noCommand() string {
	if len(p.words) == 0 {
		return "an empty line"
	}
	if name, ok := find(p.v.Assets, p.words[0]); ok {
		return fmt.Sprintf("%s is an asset: what about it?", name)
	}
	return fmt.Sprintf("no command begins with %q", clip(p.words[0]))
}

// command reads what follows the words of a command.
func (p *parser) command(c *Command) error {
	switch c.Kind {
	case Use:
		return p.use(c)
	case AsOf:
		at, err := p.date()
		c.AsOf = at
		return cmp.Or(err, p.end())
	case Help:
		if len(p.words) == 0 {
			return nil
		}
		if k, ok := p.kind(); ok {
			c.Topic = k
			return p.end()
		}
		return fmt.Errorf("help on %q: no such command", clip(p.words[0]))
	}
	may := usage(c.Kind).parts
	for len(p.words) > 0 {
		if err := p.part(c, may); err != nil {
			return err
		}
	}
	switch {
	case may&withMoves != 0 && len(c.Moves) == 0:
		return fmt.Errorf("what if what? a move of the close is in percent, such as -5%%")
	case may&withEvent != 0 && c.Event == Event{}:
		return fmt.Errorf("the probability of what? such as close > 70000, between 60000 and 70000, or up")
	case may&withBaseline != 0 && c.Baseline == "":
		return fmt.Errorf("compare with what? one of %s", strings.Join(Baselines(), ", "))
	}
	return nil
}

// end wants no more words.
func (p *parser) end() error {
	if len(p.words) > 0 {
		return fmt.Errorf("%q is one word too many", clip(p.words[0]))
	}
	return nil
}

// once notes that a part is named, and refuses to hear it twice.
func (p *parser) once(what part, name string) error {
	if p.said&what != 0 {
		return fmt.Errorf("%s is said twice", name)
	}
	p.said |= what
	return nil
}

// part reads one part of a command.
func (p *parser) part(c *Command, may part) (err error) {
	switch word := p.word(); {
	case may&withMoves != 0 && p.moveAhead():
		return p.move(c)
	case may&withEvent != 0 && p.eventAhead():
		return cmp.Or(p.once(withEvent, "the event"), p.event(c))
	case may&withBaseline != 0 && p.baseline(c):
		return p.once(withBaseline, "the baseline")
	case may&withDraw != 0 && word == "paths":
		p.skip()
		c.Paths, err = p.whole("paths")
		return cmp.Or(err, p.once(withDraw, "paths"))
	case may&withDraw != 0 && (word == "temp" || word == "temperature"):
		p.skip()
		return p.temperature(c)
	case may&withDraw != 0 && word == "seed":
		p.skip()
		c.Seed, err = strconv.ParseUint(p.word(), 10, 64)
		if err != nil {
			return fmt.Errorf("seed %q: want a whole number", clip(p.word()))
		}
		p.skip()
		return p.once(saidSeed, "the seed")
	case may&withWindow != 0 && word == "window":
		p.skip()
		c.Window, err = p.whole("window")
		return cmp.Or(err, p.once(withWindow, "the window"))
	case may&withAsOf != 0 && p.accept("as", "of"):
		c.AsOf, err = p.date()
		return cmp.Or(err, p.once(withAsOf, "the date"))
	case may&withModel != 0 && word == "model":
		p.skip()
		c.Model, err = p.name(p.v.Models, "model")
		return cmp.Or(err, p.once(withModel, "the model"))
	case may&withAsset != 0 && word == "asset":
		p.skip()
		c.Asset, err = p.name(p.v.Assets, "asset")
		return cmp.Or(err, p.once(withAsset, "the asset"))
	case may&withHorizon != 0 && p.spanAhead():
		c.Horizon, err = p.span()
		return cmp.Or(err, p.once(withHorizon, "the horizon"))
	case may&withCount != 0 && isWhole(word):
		c.Count, err = p.whole("a count")
		return cmp.Or(err, p.once(withCount, "the count"))
	case may&withHorizon != 0 && isWhole(word):
		return fmt.Errorf("%s of what? a horizon has a unit, such as %sd", clip(word), clip(word))
	case may&withAsset != 0:
		if keyword(word) {
			return fmt.Errorf("%q does not belong to %s; an asset of that name is: asset %s", clip(word), c.Kind.said(), clip(p.words[0]))
		}
		c.Asset, err = p.name(p.v.Assets, "asset")
		return cmp.Or(err, p.once(withAsset, "the asset"))
	case may&withModel != 0:
		c.Model, err = p.name(p.v.Models, "model")
		return cmp.Or(err, p.once(withModel, "the model"))
	}
	return p.end()
}

// Parts that no usage names.
const (
	saidTemperature part = 1 << (16 + iota)
	saidSeed
)

func (p *parser) temperature(c *Command) error {
	t, err := strconv.ParseFloat(p.word(), 64)
	if err != nil || !(t >= 0 && t <= math.MaxFloat32) {
		return fmt.Errorf("temp %q: want a number, 0 or more", clip(p.word()))
	}
	p.skip()
	c.Temperature = t
	return p.once(saidTemperature, "the temperature")
}

func isWhole(word string) bool {
	return word != "" && strings.Trim(word, "0123456789") == ""
}

func (p *parser) whole(what string) (int, error) {
	n, err := strconv.Atoi(p.word())
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s %q: want a whole number, 1 or more", what, clip(p.word()))
	}
	p.skip()
	return n, nil
}

// date reads a date; the latest is none.
func (p *parser) date() (string, error) {
	word := p.word()
	if word == "" {
		return "", fmt.Errorf("as of when? such as 2024-01-31, or latest")
	}
	p.skip()
	if word == "latest" {
		return "", nil
	}
	if _, err := time.Parse(time.DateOnly, word); err != nil {
		return "", fmt.Errorf("as of %q: want a date such as 2024-01-31, or latest", clip(word))
	}
	return word, nil
}

// name reads one of the known names, in any case.
func (p *parser) name(known []string, what string) (string, error) {
	if len(p.words) == 0 {
		return "", fmt.Errorf("which %s? one of %s", what, list(known))
	}
	name, ok := find(known, p.words[0])
	if !ok {
		return "", fmt.Errorf("no %s %q: there is %s", what, clip(p.words[0]), list(nearestNames(known, p.words[0])))
	}
	p.skip()
	return name, nil
}

// find looks a name up: as it is spelled, else in any case where that is one only.
func find(known []string, name string) (string, bool) {
	if slices.Contains(known, name) {
		return name, true
	}
	found := ""
	for _, k := range known {
		if strings.EqualFold(k, name) {
			if found != "" {
				return "", false
			}
			found = k
		}
	}
	return found, found != ""
}

func (p *parser) use(c *Command) (err error) {
	c.State = State{} // use says one thing only
	switch {
	case p.accept("asset"):
		c.Asset, err = p.name(p.v.Assets, "asset")
	case p.accept("model"):
		c.Model, err = p.name(p.v.Models, "model")
	case len(p.words) == 0:
		return fmt.Errorf("use what? an asset or a model")
	default:
		asset, isAsset := find(p.v.Assets, p.words[0])
		model, isModel := find(p.v.Models, p.words[0])
		switch {
		case isAsset && isModel:
			return fmt.Errorf("%s is an asset and a model: use asset %s, or use model %s", asset, asset, model)
		case isAsset:
			c.Asset = asset
		case isModel:
			c.Model = model
		default:
			return fmt.Errorf("no asset and no model %q: there is %s", clip(p.words[0]), list(nearestNames(slices.Concat(p.v.Assets, p.v.Models), p.words[0])))
		}
		p.skip()
	}
	return cmp.Or(err, p.end())
}
