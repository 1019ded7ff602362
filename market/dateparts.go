package market

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// dateParts are the three parts of a date as they stand, and after order or
// named year, month and day.
type dateParts struct {
	n     [3]int
	width [3]int // figures; 0 for a name
	month int    // which part is a name; −1: none
	dots  bool   // between the parts
}

// scan reads the date at the beginning of text and returns what follows.
func (d *dateParts) scan(text string) (rest string, err error) {
	d.month = -1
	if len(text) >= 8 && digits(text) >= 8 {
		if d.n, err = compactDate(text[:8]); err != nil {
			return "", err
		}
		d.width = [3]int{4, 2, 2}
		return text[8:], nil
	}
	text = cutWeekday(text)
	for i := range d.n {
		if i > 0 {
			trimmed := strings.TrimLeft(text, "-/., \u00a0年月")
			if trimmed == text && digits(text) == letters(text) { // 3Jan24 needs none
				return "", errNoTime
			}
			if i == 1 {
				d.dots = strings.HasPrefix(text, ".")
			}
			text = trimmed
		}
		if k := digits(text); k > 0 && k <= 4 && k != 3 {
			d.n[i], _ = strconv.Atoi(text[:k]) // at most four figures
			d.width[i] = k
			text = text[k:]
			continue
		}
		k := letters(text)
		month, known := monthNames[strings.ToLower(text[:k])]
		if !known || d.month >= 0 {
			return "", errNoTime
		}
		d.n[i], d.month = month, i
		text = text[k:]
	}
	text = strings.TrimPrefix(text, "日")
	return strings.TrimPrefix(text, "г."), nil
}

func (d *dateParts) form() dateForm {
	switch {
	case d.month >= 0:
		return formNamed
	case d.width[0] == 4:
		return formISO
	}
	return formFigures
}

// order says which parts are year, month and day.
func (d *dateParts) order(year, month, day int) {
	d.n = [3]int{d.n[year], d.n[month], d.n[day]}
	d.width = [3]int{d.width[year], d.width[month], d.width[day]}
}

// named orders a date with a name in it: the year has four figures, or else
// comes after the day.
func (d *dateParts) named() {
	var others []int
	for i := range 3 {
		if i != d.month {
			others = append(others, i)
		}
	}
	day, year := others[0], others[1]
	if d.width[day] == 4 {
		day, year = year, day
	}
	d.order(year, d.month, day)
}

// compactDate reads 20240102.
func compactDate(text string) (ymd [3]int, err error) {
	if n := digits(text); n != len(text) || n != 8 && n != 12 && n != 14 {
		return ymd, errNoTime
	}
	n, _ := strconv.Atoi(text[:8])
	ymd = [3]int{n / 10000, n / 100 % 100, n % 100}
	if ymd[0] < firstYear || ymd[0] > lastYear || ymd[1] < 1 || ymd[1] > 12 || ymd[2] < 1 || ymd[2] > daysIn(ymd[0], ymd[1]) {
		return ymd, errors.New("is no day of the calendar")
	}
	if len(text) > 8 {
		_, _, _, err = clockTime(text[8:])
	}
	return ymd, err
}

// clockTime reads a time of day and the zone after it; no text is midnight.
// zone is in seconds east of Greenwich. 24:00 is the end of the day.
func clockTime(text string) (clock time.Duration, zone int, zoned bool, err error) {
	text = strings.TrimLeft(text, "T_, \u00a0\u202f")
	if text == "" {
		return 0, 0, false, nil
	}
	var h, m, s int
	switch k := digits(text); {
	case k > 2 && k <= 6: // 0930, 93000
		n, _ := strconv.Atoi(text[:k])
		if k <= 4 {
			n *= 100
		}
		h, m, s = n/10000, n/100%100, n%100
		text = text[k:]
	case k == 1 || k == 2:
		h, _ = strconv.Atoi(text[:k])
		text = text[k:]
		for _, part := range []*int{&m, &s} {
			if len(text) < 3 || text[0] != ':' || digits(text[1:]) != 2 {
				if part == &m {
					return 0, 0, false, errNoTime
				}
				break
			}
			*part, _ = strconv.Atoi(text[1:3])
			text = text[3:]
		}
	default:
		return 0, 0, false, errNoTime
	}
	if text != "" && (text[0] == '.' || text[0] == ',') {
		k := digits(text[1:])
		if k < 1 || k > 9 {
			return 0, 0, false, errNoTime
		}
		n, _ := strconv.Atoi(text[1 : 1+k])
		for range 9 - k {
			n *= 10
		}
		clock = time.Duration(n)
		text = text[1+k:]
	}
	text = strings.Trim(text, " \u00a0\u202f")
	if half := strings.ToUpper(text[:min(2, len(text))]); half == "AM" || half == "PM" {
		if h < 1 || h > 12 {
			return 0, 0, false, errNoTime
		}
		h %= 12
		if half == "PM" {
			h += 12
		}
		text = strings.TrimLeft(text[2:], " ")
	}
	if h == 24 && m == 0 && s == 0 && clock == 0 {
		// The end of the day, which is the next midnight.
	} else if h > 23 || m > 59 || s > 59 {
		return 0, 0, false, errors.New("is no time of the day")
	}
	clock += time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	if text == "" {
		return clock, 0, false, nil
	}
	zone, err = zoneOffset(text)
	return clock, zone, true, err
}

// zoneOffset reads Z, +05:30, -0400, +09, GMT+0100 and the names of zones whose
// offset is the same everywhere.
func zoneOffset(text string) (int, error) {
	if seconds, known := zoneNames[text]; known {
		return seconds, nil
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "GMT"), "UTC")
	if text == "" || text[0] != '+' && text[0] != '-' {
		return 0, errors.New("ends in no known time zone, such as Z or -05:00")
	}
	figures := strings.Replace(text[1:], ":", "", 1)
	if k := digits(figures); k != len(figures) || k != 2 && k != 4 {
		return 0, errors.New("ends in no known time zone, such as Z or -05:00")
	}
	n, _ := strconv.Atoi(figures)
	if len(figures) == 2 {
		n *= 100
	}
	if n/100 > 14 || n%100 > 59 {
		return 0, errors.New("ends in no known time zone, such as Z or -05:00")
	}
	n = n/100*3600 + n%100*60
	if text[0] == '-' {
		n = -n
	}
	return n, nil
}

var zoneNames = map[string]int{
	"Z": 0, "UTC": 0, "GMT": 0,
	"EST": -5 * 3600, "EDT": -4 * 3600, "PST": -8 * 3600, "PDT": -7 * 3600,
	"CET": 1 * 3600, "CEST": 2 * 3600, "MSK": 3 * 3600, "JST": 9 * 3600, "HKT": 8 * 3600,
}

// cutWeekday removes "Mon, " from the front.
func cutWeekday(text string) string {
	k := letters(text)
	if k < 3 {
		return text
	}
	switch strings.ToLower(text[:3]) {
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
		if _, month := monthNames[strings.ToLower(text[:k])]; !month {
			return strings.TrimLeft(text[k:], "., ")
		}
	}
	return text
}

// digits counts the figures at the beginning of text.
func digits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// letters counts the bytes of the letters at the beginning of text.
func letters(text string) int {
	n := 0
	for n < len(text) {
		switch b := text[n]; {
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			n++
			continue
		case b < utf8.RuneSelf:
			return n
		}
		r, size := utf8.DecodeRuneInString(text[n:])
		if r == utf8.RuneError || r == '\u00a0' || r == '年' || r == '月' || r == '日' {
			return n
		}
		n += size
	}
	return n
}

// monthNames are those of the languages that exporters use most, and their
// usual short forms.
var monthNames = func() map[string]int {
	names := map[string]int{}
	for _, year := range []string{
		"jan feb mar apr may jun jul aug sep oct nov dec",
		"january february march april may june july august sept october november december",
		"januar februar märz april mai juni juli august september oktober november dezember",
		"jän febr mrz apr mai jun jul aug sept okt nov dez",
		"janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
		"janv févr mär avr mai juin juil août sep oct nov déc",
		"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
		"ene feb mar abr may jun jul ago sept oct nov dic",
		"gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
		"gen feb mar apr mag giu lug ago set ott nov dic",
		"janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
		"jan fev mar abr mai jun jul ago set out nov dez",
		"января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
		"янв фев мар апр май июн июл авг сен окт ноя дек",
	} {
		for i, name := range strings.Fields(year) {
			names[name] = i + 1
		}
	}
	return names
}()
