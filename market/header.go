package market

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// fieldNames lists the names of each field as exporters write them, in the form
// that [columnName] gives, the surest first. Where two columns could be the
// field, the surer name is taken.
var fieldNames = map[string][]string{
	"time": {
		"date", "datetime", "date time", "datum", "datum zeit", "data", "fecha", "дата", "дата и время", "日期", "交易日期", "日付", "日付け", "날짜", "tarih", "trade date", "trading day", "day",
		"timestamp", "timestamps", "time stamp", "time", "zeit", "gmt time", "utc time", "utc", "local time", "время", "时间", "時間", "open time", "opentime", "start date", "start time", "start", "window start", "candle begin time", "period", "index", "index level 0",
		"unix", "unix time", "unix timestamp", "epoch", "t", "month",
	},
	"clock": {"time", "uhrzeit", "zeit", "hour", "hora", "heure", "ora", "время", "时间", "時間", "時刻", "시간"},
	"open": {
		"open", "opening", "eröffnung", "eröffnungs", "eroeffnung", "eröffn", "erster", "start", "откр", "открытие", "цена открытия", "开盘", "开盘价", "開盤", "開盤價", "始値", "시가", "apertura", "ouverture", "abertura", "otwarcie", "açılış", "first", "öffnung", "o",
	},
	"high": {
		"high", "hoch", "höchst", "hoechst", "tageshoch", "höchstkurs", "макс", "максимум", "наибольшая", "最高", "最高价", "最高價", "高", "高値", "고가", "massimo", "máximo", "maximo", "máxima", "plus haut", "haut", "max", "najwyzszy", "najwyższy", "yüksek", "h",
	},
	"low": {
		"low", "tief", "tiefst", "tagestief", "tiefstkurs", "мин", "минимум", "наименьшая", "最低", "最低价", "最低價", "低", "安値", "저가", "minimo", "mínimo", "mínima", "plus bas", "bas", "min", "najnizszy", "najniższy", "düşük", "l",
	},
	"close": {
		"close", "closing", "close last", "schluss", "schluß", "schlusskurs", "schlußkurs", "закр", "закрытие", "цена закрытия", "收盘", "收盘价", "收盤", "收盤價", "收市", "終値", "종가", "chiusura", "cierre", "clôture", "cloture", "fechamento", "zamkniecie", "zamknięcie", "kapanış",
		"last", "letzter", "zuletzt", "kurs", "price", "цена", "最新价", "終了値", "现价", "último", "ultimo", "dernier", "şimdi", "c",
	},
	"volume": {
		"volume", "total volume", "volumen", "volumes", "umsatz", "stück", "объём", "объем", "成交量", "交易量", "出来高", "거래량", "volumi", "wolumen", "hacim", "vol", "volumefrom", "volumebtc", "base volume", "shares traded", "tick volume", "tickvol", "tick vol", "tickvolume", "v",
	},
	"adjusted": {"adj close", "adjclose", "adjusted close", "adj closing", "adjusted", "close adj", "bereinigter schlusskurs"},
	"ticker":   {"ticker", "symbol", "ts code", "代码", "股票代码", "name"},
}

// nameRanks gives the fields that a column of a name can be, with the rank of
// the name.
var nameRanks = func() map[string]map[string]int {
	ranks := map[string]map[string]int{}
	for field, names := range fieldNames {
		for rank, name := range names {
			if ranks[name] == nil {
				ranks[name] = map[string]int{}
			}
			ranks[name][field] = rank
		}
	}
	return ranks
}()

// rivals are the columns of which rows decide which is read: those that by their names
// could be the time or its clock, and those that could be the volume, where there are
// several.
func rivals(header []string) (columns []int) {
	var times, volumes []int
	for i, cell := range header {
		name := columnName(cell)
		_, isTime := nameRanks[name]["time"]
		_, isClock := nameRanks[name]["clock"]
		_, isVolume := nameRanks[name]["volume"]
		switch {
		case isTime || isClock:
			times = append(times, i)
		case isVolume || strings.HasPrefix(name, "volume"):
			volumes = append(volumes, i)
		}
	}
	for _, several := range [][]int{times, volumes} {
		if len(several) > 1 {
			columns = append(columns, several...)
		}
	}
	return columns
}

// columnName brings a header cell to the spelling of fieldNames: lower case,
// without signs, numbers in front, units in brackets, and the words price and
// Kurs after a name.
func columnName(cell string) string {
	name := strings.ToLower(strings.Trim(cell, "\ufeff \t\"'<>[]*"))
	if i := strings.IndexAny(name, "(（"); i > 0 {
		name = name[:i]
	}
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(" _-./*\u00a0", r) }), " ")
	if number, rest, found := strings.Cut(name, " "); found && digits(number) == len(number) {
		name = rest // 1. open
	}
	for _, word := range []string{" price", "price", " kurs", "kurs"} {
		if short, found := strings.CutSuffix(name, word); found && nameRanks[short] != nil && len(short) > 1 {
			return short
		}
	}
	return name
}

// layout says in which column of a row each field stands; −1: the file has none.
type layout struct {
	time, clock, open, high, low, close int
	volume, adjusted, ticker            int
	clockWidth                          int    // figures of a time of day that is a number: 2 hours, 4, 6; 0: it is text
	width                               int    // columns of every row
	blank                               int    // of them, those at the end without a name
	symbol                              string // from the header; empty if it names none
}

// errHeader is for a line that names some fields of a candle and not all.
type errHeader struct {
	line    int
	known   int // fields that it names
	message string
}

func (e *errHeader) Error() string { return fmt.Sprintf("%d: header: %s", e.line, e.message) }

// namedLayout maps a line of names to columns; the rows after it decide between
// two columns for one field.
func namedLayout(header []string, line int, rows [][]string) (layout, error) {
	header, symbol := cutSymbol(header)
	candidates := map[string][]int{}
	seen := map[string]int{}
	for i, cell := range header {
		name := columnName(cell)
		if i == 0 && strings.TrimSpace(cell) == "" {
			name = "index" // as pandas writes the times of a frame
		}
		fields := nameRanks[name]
		if fields == nil && strings.HasPrefix(name, "volume") {
			fields = map[string]int{"volume": len(fieldNames["volume"])} // of another unit
		}
		if fields == nil {
			continue
		}
		if j, twice := seen[name]; twice {
			return layout{}, &errHeader{line, len(candidates), fmt.Sprintf("%q and %q are the same", clip(header[j]), clip(cell))}
		}
		seen[name] = i
		for field := range fields {
			candidates[field] = append(candidates[field], i)
		}
	}
	rank := func(field string) func(a, b int) int {
		of := func(i int) int {
			name := columnName(header[i])
			if r, known := nameRanks[name][field]; known {
				return r
			}
			return len(fieldNames[field]) + i
		}
		return func(a, b int) int { return of(a) - of(b) }
	}
	for field := range candidates {
		slices.SortStableFunc(candidates[field], rank(field))
	}

	at := layout{width: len(header), symbol: symbol}
	for i := len(header) - 1; i > 0 && strings.TrimSpace(header[i]) == ""; i-- {
		at.blank++
	}
	first := func(field string) int {
		if c := candidates[field]; len(c) > 0 {
			return c[0]
		}
		return -1
	}
	at.time, at.clock, at.clockWidth = timeColumns(candidates["time"], candidates["clock"], rows)
	at.open, at.high, at.low, at.close = first("open"), first("high"), first("low"), first("close")
	if at.open == at.time { // start is one of both
		at.open = slices.IndexFunc(header, func(cell string) bool { return columnName(cell) == "open" })
	}
	at.volume, at.adjusted, at.ticker = first("volume"), first("adjusted"), first("ticker")
	for _, i := range candidates["volume"] { // real volume may be 0 where ticks are counted
		if slices.ContainsFunc(rows, func(row []string) bool {
			return i < len(row) && strings.Trim(row[i], "0. ") != "" && !isMissing(strings.TrimSpace(row[i]))
		}) {
			at.volume = i
			break
		}
	}

	var missing []string
	for _, f := range []struct {
		name   string
		column int
	}{{"time", at.time}, {"open", at.open}, {"high", at.high}, {"low", at.low}, {"close", at.close}} {
		if f.column < 0 {
			missing = append(missing, f.name)
		}
	}
	if missing != nil {
		return layout{}, &errHeader{line, 5 - len(missing), fmt.Sprintf("no column for %s in %q", strings.Join(missing, ", "), clip(strings.Join(header, ",")))}
	}
	return at, nil
}

// timeColumns chooses the column of the times, and that of the time of day
// where date and time stand apart: the one that tells most rows apart, of equal
// ones the one with the surest name. Width is layout.clockWidth.
func timeColumns(times, clocks []int, rows [][]string) (column, clock, width int) {
	column, clock = -1, -1
	for _, i := range clocks {
		cells := columnOf(rows, i)
		if width = clockWidth(cells); width > 0 || len(rows) > 0 && len(cells) == len(rows) && !slices.ContainsFunc(cells, func(c string) bool { return !isClockCell(c) }) {
			clock = i
			break
		}
	}
	most := -1
	for _, i := range times {
		if i == clock {
			continue
		}
		different := map[string]bool{}
		for _, row := range rows {
			if i < len(row) && !isIndexCell(row[i]) {
				different[row[i]] = true
			}
		}
		if len(different) > most {
			column, most = i, len(different)
		}
	}
	if clock < 0 {
		return column, -1, 0
	}
	both := map[[2]string]bool{}
	for _, row := range rows {
		// A date that says the time itself needs no second column.
		if column >= 0 && column < len(row) && strings.ContainsRune(row[column], ':') {
			return column, -1, 0
		}
		if column >= 0 && max(column, clock) < len(row) {
			both[[2]string{row[column], row[clock]}] = true
		}
	}
	if width > 0 && len(both) <= max(0, most) { // numbers that tell nothing, such as of rows
		return timeColumns(times, slices.DeleteFunc(slices.Clone(clocks), func(i int) bool { return i == clock }), rows)
	}
	return column, clock, width
}

// columnOf are the cells of a column, as far as rows reach it.
func columnOf(rows [][]string, i int) (cells []string) {
	for _, row := range rows {
		if i < len(row) {
			cells = append(cells, strings.TrimSpace(row[i]))
		}
	}
	return cells
}

// clockWidth tells hours, 0 to 2400 and 0 to 235959 as numbers without zeros in
// front, see layout; 0: the cells are something else.
func clockWidth(cells []string) int {
	most, same := 0, true
	for _, cell := range cells {
		if cell == "" || len(cell) > 6 || digits(cell) != len(cell) {
			return 0
		}
		n, _ := strconv.Atoi(cell)
		most = max(most, n)
		same = same && len(cell) == len(cells[0])
	}
	if len(cells) == 0 || same && len(cells[0]) > 2 { // text, with its zeros
		return 0
	}
	width := 6
	switch {
	case most <= 24:
		width = 2
	case most <= 2400:
		width = 4
	}
	for _, cell := range cells {
		if _, _, _, err := clockTime(padClock(cell, width)); err != nil {
			return 0
		}
	}
	return width
}

// padClock writes a time of day that is a number as text.
func padClock(cell string, width int) string {
	switch cell = strings.TrimSpace(cell); {
	case width == 2:
		return cell + ":00"
	case cell != "" && len(cell) < width:
		return strings.Repeat("0", width-len(cell)) + cell
	}
	return cell
}

// isClockCell tells 09:30 or 093000 from a date.
func isClockCell(cell string) bool {
	if k := digits(cell); k == 0 || k > 6 || k == len(cell) && k < 3 {
		return false
	}
	_, _, zoned, err := clockTime(cell)
	return err == nil && !zoned
}

// isIndexCell tells a row number from a time.
func isIndexCell(cell string) bool {
	cell = strings.TrimSpace(cell)
	return digits(cell) == len(cell) && len(cell) < 5
}

// cutSymbol removes a symbol that stands in every name of a price, as in
// AAPL.Open,AAPL.High.
func cutSymbol(header []string) ([]string, string) {
	symbol, found := "", 0
	short := slices.Clone(header)
	if slices.ContainsFunc(header, func(cell string) bool { return columnName(cell) == "open" }) {
		return header, ""
	}
	for i, cell := range header {
		cell = strings.Trim(cell, " \"")
		for _, sep := range []string{".", "_", " "} {
			j := strings.LastIndex(cell, sep)
			if j <= 0 {
				continue
			}
			front, name := cell[:j], strings.ToLower(cell[j+1:])
			if !slices.Contains([]string{"open", "high", "low", "close", "volume", "adjusted"}, name) || nameRanks[columnName(cell)] != nil {
				continue
			}
			if symbol == "" {
				symbol = front
			}
			if front == symbol {
				short[i] = name
				found++
			}
			break
		}
	}
	if found < 4 {
		return header, ""
	}
	return short, symbol
}

// stackedLayout knows the three lines that yfinance writes,
//
//	Price,Close,High,Low,Open,Volume
//	Ticker,AAPL,AAPL,AAPL,AAPL,AAPL
//	Date,,,,,
//
// also with the first two exchanged. ok is false where they do not stand.
func stackedLayout(lines [][]string, number []int) (at layout, ok bool, err error) {
	if len(lines) < 3 {
		return layout{}, false, nil
	}
	prices, tickers := 0, 1
	if columnName(lines[0][0]) == "ticker" {
		prices, tickers = 1, 0
	}
	if columnName(lines[prices][0]) != "price" || columnName(lines[tickers][0]) != "ticker" || len(lines[0]) != len(lines[1]) {
		return layout{}, false, nil
	}
	symbol := ""
	for _, cell := range lines[tickers][1:] {
		cell = strings.TrimSpace(cell)
		if symbol == "" {
			symbol = cell
		}
		if cell != symbol || cell == "" {
			return layout{}, true, fmt.Errorf("%d: ticker: %q beside %q, want one asset in a file", number[tickers], clip(cell), clip(symbol))
		}
	}
	third := lines[2]
	if _, isTime := nameRanks[columnName(third[0])]["time"]; !isTime || strings.Trim(strings.Join(third[1:], ""), " ") != "" {
		return layout{}, true, fmt.Errorf("%d: header: third line begins with %q, want the name of the time column alone", number[2], clip(third[0]))
	}
	header := slices.Clone(lines[prices])
	header[0] = "date"
	at, err = namedLayout(header, number[prices], lines[3:])
	at.symbol = symbol
	return at, true, err
}

// bareLayout finds the columns of rows without names: the time, in one column
// or two, then open, high, low and close, then the volume. It is sure where
// every row has the highest price second and the lowest third.
func bareLayout(rows [][]string, spelled numbers) (layout, error) {
	width := 0
	if len(rows) > 0 {
		width = len(rows[0])
	}
	rows = slices.DeleteFunc(slices.Clone(rows), func(row []string) bool { return len(row) != width }) // faults, later
	if len(rows) < 2 {
		return layout{}, errors.New("fewer than 2 rows are of one form")
	}
	at := layout{width: width, volume: -1, adjusted: -1, ticker: -1, clock: -1}
	isTime := func(i int) bool {
		c, err := newClock([]string{strings.TrimSpace(rows[0][i]), strings.TrimSpace(rows[1][i])}, "")
		if err != nil || isIndexCell(rows[0][i]) {
			return false
		}
		for _, row := range rows[:2] {
			if _, err := c.parse(strings.TrimSpace(row[i])); err != nil {
				return false
			}
		}
		return true
	}
	next := -1
	for i := range min(3, at.width) {
		if isTime(i) {
			at.time, next = i, i+1
			break
		}
		if i == 0 && strings.ContainsFunc(rows[0][0], unicode.IsLetter) {
			at.ticker = 0
		}
	}
	if next < 0 {
		return layout{}, errors.New("no column holds times")
	}
	if next < at.width && isClockCell(strings.TrimSpace(rows[0][next])) && strings.ContainsRune(rows[0][next], ':') {
		at.clock = next
		next++
	}
	if at.width < next+4 {
		return layout{}, fmt.Errorf("%d columns are too few", at.width)
	}
	at.open, at.high, at.low, at.close = next, next+1, next+2, next+3
	moved := false
	for _, row := range rows {
		var price [4]float64
		for k := range price {
			var ok bool
			if price[k], ok = spelled.parse(strings.TrimSpace(row[next+k])); !ok {
				return layout{}, fmt.Errorf("%q is no price", clip(row[next+k]))
			}
		}
		if price[1] < max(price[0], price[3]) || price[2] > min(price[0], price[3]) {
			return layout{}, errors.New("four columns in the order open, high, low, close do not follow the time")
		}
		moved = moved || price[1] > price[2]
	}
	if !moved {
		return layout{}, errors.New("no row tells high from low")
	}
	if next+4 < at.width {
		at.volume = next + 4
	}
	return at, nil
}
