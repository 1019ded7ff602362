package chat

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

// spanWords may stand before a horizon.
var spanWords = []string{"in", "for", "over", "next", "within", "the"}

// spanAhead reports whether a horizon comes.
func (p *parser) spanAhead() bool {
	words := p.words
	for len(words) > 0 && slices.Contains(spanWords, strings.ToLower(words[0])) {
		words = words[1:]
	}
	if len(words) < len(p.words) {
		return true
	}
	if p.word() == "tomorrow" {
		return true
	}
	if len(words) > 1 && isWhole(words[0]) && units[strings.ToLower(words[1])] != "" {
		return true
	}
	return isSpan(p.word())
}

// isSpan reports whether a word looks like 20d.
func isSpan(word string) bool {
	digits := strings.TrimRight(word, "abcdefghijklmnopqrstuvwxyz")
	return isWhole(digits) && units[word[len(digits):]] != ""
}

func (p *parser) span() (Span, error) {
	next := false
	for slices.Contains(spanWords, p.word()) {
		next = next || p.word() == "next"
		p.skip()
	}
	word := p.word()
	if word == "" {
		return Span{}, fmt.Errorf("a horizon is missing, such as 20d")
	}
	p.skip()
	switch unit := units[word]; {
	case word == "tomorrow":
		return Span{1, "d"}, nil
	case unit != "" && next: // next week
		return Span{1, unit}, nil
	case isWhole(word) && units[p.word()] != "":
		unit := units[p.word()]
		p.skip()
		return ParseSpan(word + unit)
	}
	s, err := ParseSpan(word)
	if err != nil {
		return Span{}, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "chat: "))
	}
	return s, nil
}

// moveAhead reports whether a move of the close, or what joins two, comes.
func (p *parser) moveAhead() bool {
	word := p.word()
	switch word {
	case ",", "then", "and", "flat", "unchanged", "up", "down", "tomorrow", "by", "falls", "drops", "rises", "it":
		return true
	}
	return strings.HasSuffix(word, "%") || word != "" && strings.ContainsRune("+-", rune(word[0]))
}

// maxMoves bounds a scenario.
const maxMoves = 1000

// move reads one move of the close.
func (p *parser) move(c *Command) error {
	sign := 0.0
	for {
		switch word := p.word(); word {
		case ",", "then", "and", "by", "it":
			p.skip()
			continue
		case "tomorrow":
			if p.v.Interval != market.Day {
				return fmt.Errorf("tomorrow: a move is one of the next candle, of %s", p.v.Interval)
			}
			if len(c.Moves) > 1 {
				return fmt.Errorf("tomorrow is the first move, not move %d", len(c.Moves))
			}
			p.skip()
			continue
		case "up", "rises":
			sign = 1
			p.skip()
		case "down", "falls", "drops":
			sign = -1
			p.skip()
		case "flat", "unchanged":
			p.skip()
			return p.flat(c)
		default:
			if sign == 0 && !p.moveAhead() {
				return nil // it was a joint only
			}
		}
		break
	}
	for p.accept("by") {
	}
	word := p.word()
	size, isPercent := strings.CutSuffix(word, "%")
	x, err := strconv.ParseFloat(size, 64)
	switch {
	case err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		return fmt.Errorf("move %q: want a number of percent, such as -5%%, or flat", clip(word))
	case !isPercent:
		return fmt.Errorf("move %s: in percent? then it is %s%%", clip(word), clip(word))
	case tooFine(x):
		return fmt.Errorf("move %s: want at most 6 digits after the point", clip(word))
	case x <= -100 || x > 1000:
		return fmt.Errorf("move %s: want more than -100%% and at most 1000%%", clip(word))
	case sign != 0 && strings.ContainsRune("+-", rune(word[0])):
		return fmt.Errorf("move %s: up or down has said the sign already", clip(word))
	}
	if sign != 0 {
		x *= sign
		if x <= -100 {
			return fmt.Errorf("move %s down: want less than 100%%", clip(word))
		}
	}
	p.skip()
	return p.addMoves(c, x/100, 1)
}

// tooFine says that a percentage has more digits than [Command.String] repeats.
func tooFine(x float64) bool { return math.Round(x*1e6)/1e6 != x }

// flat is one flat candle, or with "for 3d" three.
func (p *parser) flat(c *Command) error {
	n := 1
	if p.accept("for") {
		s, err := p.span()
		if err != nil {
			return err
		}
		if unit := "1" + s.Unit; s.Unit != "c" && unit != p.v.Interval.String() {
			return fmt.Errorf("flat for %s: count candles of %s, such as flat for 3 candles", s, p.v.Interval)
		}
		n = s.N
	}
	return p.addMoves(c, 0, n)
}

func (p *parser) addMoves(c *Command, x float64, n int) error {
	if len(c.Moves)+n > maxMoves {
		return fmt.Errorf("more than %d moves", maxMoves)
	}
	c.Moves = append(c.Moves, slices.Repeat([]float64{x}, n)...)
	return nil
}

// eventAhead reports whether what a close may do comes.
func (p *parser) eventAhead() bool {
	switch p.word() {
	case "close", "price", "it", "up", "down", "above", "below", "under", "between", "<", ">":
		return true
	}
	return false
}

func (p *parser) event(c *Command) (err error) {
	if p.accept("close") || p.accept("price") || p.accept("it") {
		for p.accept("is") {
		}
	}
	zero := Bound{Set: true, Move: true}
	switch word := p.word(); word {
	case "up":
		p.skip()
		c.Event.Above = zero
	case "down":
		p.skip()
		c.Event.Below = zero
	case ">", "above":
		p.skip()
		c.Event.Above, err = p.bound()
	case "<", "below", "under":
		p.skip()
		c.Event.Below, err = p.bound()
	case "between":
		p.skip()
		if c.Event.Above, err = p.bound(); err != nil {
			return err
		}
		if !p.accept("and") && !p.accept(",") {
			return fmt.Errorf("between %s and what?", c.Event.Above)
		}
		c.Event.Below, err = p.bound()
		if lo, hi := c.Event.Above, c.Event.Below; err == nil && lo.Move == hi.Move && lo.Value >= hi.Value {
			return fmt.Errorf("between %s and %s: want the lower one first", lo, hi)
		}
	default:
		return fmt.Errorf("%q: want >, <, between, up or down", clip(word))
	}
	return err
}

// bound reads a close such as 70000, 70,000 or 70k, or a move such as -5%.
func (p *parser) bound() (Bound, error) {
	word := p.word()
	size, isMove := strings.CutSuffix(strings.TrimPrefix(word, "$"), "%")
	factor := 1.0
	if !isMove {
		for suffix, by := range map[string]float64{"k": 1e3, "m": 1e6} {
			if cut, ok := strings.CutSuffix(size, suffix); ok {
				size, factor = cut, by
			}
		}
	}
	x, err := strconv.ParseFloat(size, 64)
	x *= factor
	switch {
	case err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		return Bound{}, fmt.Errorf("%q: want a close such as 70000, or a move such as -5%%", clip(word))
	case isMove && tooFine(x):
		return Bound{}, fmt.Errorf("%s: want at most 6 digits after the point", clip(word))
	case isMove && (x <= -100 || x > 1e6):
		return Bound{}, fmt.Errorf("%s: want more than -100%% and at most 1000000%%", clip(word))
	case !isMove && !(x > 0 && x < 1e15):
		return Bound{}, fmt.Errorf("a close of %s: want a positive number below 1e15", clip(word))
	}
	p.skip()
	if isMove {
		return Bound{true, true, x / 100}, nil
	}
	return Bound{true, false, x}, nil
}

// baselines are the rivals by what one calls them.
var baselines = []struct{ word, name string }{
	{"har", forecast.NamePooledHAR},
	{"garch", "GARCH-t"},
	{"gjr", "GJR-GARCH-t"},
	{"ewma", "EWMA .94 t"},
	{"random walk", "random walk"},
	{"drift", "drift"},
	{"bootstrap", "block bootstrap"},
	{"student", "unconditional t"},
	{"vol20", "20-day volatility t"},
	{"har per asset", "HAR-t"},
	{"garch yearly", "GARCH-t, refitted yearly"},
}

func Baselines() (words []string) {
	for _, b := range baselines {
		words = append(words, b.word)
	}
	return words
}

// baseline takes the longest name of a rival that comes next: its own or its short
// one.
func (p *parser) baseline(c *Command) bool {
	p.accept("with")
	best := 0
	for _, b := range baselines {
		for _, said := range []string{b.word, strings.ToLower(b.name)} {
			words := lex(said)
			if n := len(words); n > best && (&parser{words: p.words}).accept(words...) {
				best, c.Baseline = n, b.name
			}
		}
	}
	p.words = p.words[best:]
	return best > 0
}

// keywords cannot stand for an asset by themselves.
var keywords = []string{
	"paths", "temp", "temperature", "seed", "window", "as", "of", "model", "asset", "tomorrow",
	"then", "and", "flat", "unchanged", "up", "down", "by", "falls", "drops", "rises", "it",
	"close", "price", "above", "below", "under", "between", "is", "latest", "with", "to",
}

func keyword(word string) bool {
	word = strings.ToLower(word)
	if slices.Contains(keywords, word) || slices.Contains(spanWords, word) || isWhole(word) {
		return true
	}
	if isSpan(word) || strings.HasSuffix(word, "%") || word != "" && strings.ContainsRune("+-", rune(word[0])) {
		return true
	}
	return slices.ContainsFunc(baselines, func(b struct{ word, name string }) bool {
		return lex(b.word)[0] == word || strings.ToLower(lex(b.name)[0]) == word
	})
}
