package market

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// numbers is how the numbers of one file are spelled.
type numbers struct {
	decimal byte // '.' or ','
	groups  bool // the other one may stand between thousands
}

// learnNumbers finds the decimal sign from cells of a file. 1,234 alone could be
// either, and a file that says no more is refused; 1.234 alone is taken for a
// number between one and two, as nearly everybody writes it.
func learnNumbers(cells []string, decimal string) (numbers, error) {
	switch decimal {
	case ".":
		return numbers{'.', true}, nil
	case ",":
		return numbers{',', true}, nil
	}
	var point, comma, unsure string // a cell that tells
	for _, cell := range cells {
		cell = bare(cell)
		whole, rest := cell, ""
		if i := strings.IndexAny(cell, ".,"); i >= 0 {
			whole, rest = cell[:i], cell[i:]
		}
		if joined, ok := ungroup(spaceMarks.Replace(whole), 0); ok { // 1 234,5
			cell = joined + rest
		}
		if strings.Trim(cell, "0123456789.,") != "" {
			continue
		}
		points, commas := strings.Count(cell, "."), strings.Count(cell, ",")
		last := strings.LastIndexAny(cell, ".,")
		three := last > 0 && last <= 3 && len(cell)-last == 4 && cell[0] != '0'
		switch {
		case points == 0 && commas == 0:
		case commas == 0 && points == 1 && three:
			// As 1.234: the decimal point, unless others tell otherwise.
		case points == 0 && commas == 1 && three:
			unsure = cell
		case points > 0 && commas > 0 && cell[last] == '.', points == 0 && commas > 1, commas == 0 && points == 1:
			point = cell
		default:
			comma = cell
		}
	}
	switch {
	case point != "" && comma != "":
		return numbers{}, fmt.Errorf("%w: %q and %q stand in one file", ErrDecimal, clip(point), clip(comma))
	case comma != "":
		return numbers{',', true}, nil
	case point == "" && unsure != "":
		return numbers{}, fmt.Errorf("%w: %q could be one and a fraction, or a thousand and more", ErrDecimal, clip(unsure))
	}
	return numbers{'.', point != ""}, nil
}

// learnSpelling is learnNumbers for prices and volumes. Those of a volume that
// has one sign twice, as 9.030.644, are spelled by themselves where the prices
// beside it contradict: nothing but thousands has it.
func learnSpelling(prices, volumes []string, decimal string) (price, volume numbers, err error) {
	var others []string
	var groups byte
	for _, cell := range volumes {
		switch text := bare(cell); {
		case strings.Count(text, ".") > 1 && !strings.Contains(text, ","):
			groups = '.'
		case strings.Count(text, ",") > 1 && !strings.Contains(text, "."):
			groups = ','
		default:
			others = append(others, cell)
		}
	}
	price, err = learnNumbers(slices.Concat(prices, volumes), decimal)
	if err != nil && groups != 0 {
		price, err = learnNumbers(slices.Concat(prices, others), decimal)
	}
	volume = price
	if err == nil && groups == price.decimal {
		volume = numbers{'.' + ',' - groups, true}
	}
	return price, volume, err
}

// signs is what the prices of a file tell of their decimal sign.
type signs struct {
	sign      byte // as they were read
	thousands bool // one of them has it before three last figures, as a sign between thousands
	decimal   bool // one has it where no thousands end
}

// see takes a price that has been read.
func (s *signs) see(cell string, decimal byte) {
	if s.decimal {
		return
	}
	s.sign = decimal
	cell = bare(cell)
	at := strings.IndexByte(cell, decimal)
	switch {
	case at < 0:
	case at >= 1 && at <= 3 && len(cell)-at == 4 && cell[0] != '0':
		s.thousands = true
	default:
		s.decimal = true
	}
}

// unsure tells prices that are read by habit: 1.234 could be a thousand and more.
func (s signs) unsure() bool { return s.thousands && !s.decimal }

// bare removes what may stand around the figures of a number.
func bare(cell string) string {
	cell = strings.TrimSpace(cell)
	cell = strings.TrimLeft(cell, "+-$€£¥ \u00a0")
	return strings.TrimRight(cell, " \u00a0KMBTkmbt%€")
}

// parse reads one number; scale is what a suffix such as M stands for.
func (n numbers) parse(text string) (x float64, ok bool) {
	if n.decimal == '.' && plain(text) {
		x, err := strconv.ParseFloat(text, 64)
		return x, err == nil
	}
	sign := ""
	if text != "" && (text[0] == '-' || text[0] == '+') {
		sign, text = text[:1], text[1:]
	}
	for _, mark := range []string{"$", "€", "£", "¥"} {
		text = strings.TrimPrefix(text, mark)
	}
	text = strings.TrimRight(strings.TrimLeft(text, " \u00a0"), " \u00a0€")
	group := byte(',')
	if n.decimal == ',' {
		group = '.'
	}
	whole, fraction, hasFraction := strings.Cut(text, string(n.decimal))
	if strings.ContainsAny(whole, "' ’\u00a0\u202f") {
		whole, group = spaceMarks.Replace(whole), 0
	} else if !n.groups {
		group = '\x01'
	}
	whole, ok = ungroup(whole, group)
	if !ok {
		return 0, false
	}
	text = sign + whole
	if hasFraction {
		text += "." + fraction
	}
	if !plain(text) {
		return 0, false
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

// spaceMarks turns spaces and apostrophes, which can be nothing but marks of
// thousands, into one mark.
var spaceMarks = strings.NewReplacer("'", "\x00", "’", "\x00", " ", "\x00", "\u00a0", "\x00", "\u202f", "\x00")

// ungroup removes marks of thousands that stand where they should.
func ungroup(whole string, group byte) (string, bool) {
	if strings.IndexByte(whole, group) < 0 {
		return whole, true
	}
	parts := strings.Split(whole, string(group))
	for i, part := range parts {
		if i > 0 && len(part) != 3 || i == 0 && (part == "" || len(part) > 3) {
			return "", false
		}
	}
	return strings.Join(parts, ""), true
}

// parseVolume is parse with a suffix: 1.17K, 2.21B.
func (n numbers) parseVolume(text string) (x float64, ok bool) {
	scale := 1.
	for _, s := range suffixes {
		if cut, found := strings.CutSuffix(text, s.name); found {
			text, scale = strings.TrimRight(cut, " \u00a0"), s.scale
			break
		}
	}
	x, ok = n.parse(text)
	return x * scale, ok
}

var suffixes = []struct {
	name  string
	scale float64
}{
	{"K", 1e3}, {"k", 1e3}, {"M", 1e6}, {"m", 1e6}, {"B", 1e9}, {"b", 1e9}, {"T", 1e12}, {"万", 1e4}, {"亿", 1e8},
}

// plain tells text that strconv reads as the number everybody means.
func plain(text string) bool {
	for i := range len(text) {
		switch b := text[i]; {
		case b >= '0' && b <= '9', b == '.', b == '-', b == '+', b == 'e', b == 'E':
		default:
			return false
		}
	}
	return text != ""
}

// isMissing tells a cell that says that there is no value.
func isMissing(text string) bool {
	switch text {
	case "", "-", "--", "—", "–", ".", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NaN", "nan", "NAN", "NULL", "null", "Null", "None", "none", "nil":
		return true
	}
	return false
}
