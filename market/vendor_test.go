package market

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	textunicode "golang.org/x/text/encoding/unicode"
)

// One market in the layouts of many exporters: 10, 12, 9, 11 and 11, 13, 10, 12.
func TestReadsTheLayoutsOfVendors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		symbol     string // F: that of the file name
		times      [2]string
		volume     float64 // of the first row
	}{
		{"Stooq", "Date,Open,High,Low,Close,Volume\n2024-01-30,10,12,9,11,500\n2024-01-31,11,13,10,12,600\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Stooq in bulk", "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\nX.US,D,20240130,000000,10,12,9,11,500,0\nX.US,D,20240131,000000,11,13,10,12,600,0\n", "X.US", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Finam", "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>\nX;60;20240130;93000;10.0;12.0;9.0;11.0;500\nX;60;20240130;103000;11.0;13.0;10.0;12.0;600\n", "X", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"MetaTrader 5", "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2024.01.30\t09:30:00\t10\t12\t9\t11\t500\t0\t1\n2024.01.30\t10:30:00\t11\t13\t10\t12\t600\t0\t1\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"MetaTrader 4, no names", "2024.01.30,09:30,10,12,9,11,500\n2024.01.30,10:30,11,13,10,12,600\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"NinjaTrader", "20240130 093000;10;12;9;11;500\n20240130 103000;11;13;10;12;600\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"Binance, no names", "1706607000000,10.0,12.0,9.0,11.0,500.0,1706610599999,1,2,3,4,0\n1706610600000,11.0,13.0,10.0,12.0,600.0,1706614199999,1,2,3,4,0\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"Binance, microseconds", "1706607000000000,10.0,12.0,9.0,11.0,500.0,1706610599999999,1,2,3,4,0\n1706610600000000,11.0,13.0,10.0,12.0,600.0,1706614199999999,1,2,3,4,0\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"Binance, names", "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n1706607000000,10,12,9,11,500,1706610599999,1,2,3,4,0\n1706610600000,11,13,10,12,600,1706614199999,1,2,3,4,0\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"CryptoDataDownload", "https://www.CryptoDataDownload.com\nUnix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD\n1706610600,2024-01-30 10:30:00,BTC/USD,11,13,10,12,600,1\n1706607000,2024-01-30 09:30:00,BTC/USD,10,12,9,11,500,1\n", "BTC/USD", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"TradingView", "time,open,high,low,close,Volume,Volume MA\n1706607000,10,12,9,11,500,\n1706610600,11,13,10,12,600,550\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"TradingView, zones", "time,open,high,low,close\n2024-01-30T09:30:00-05:00,10,12,9,11\n2024-01-30T10:30:00-05:00,11,13,10,12\n", "F", [2]string{"2024-01-30T14:30:00Z", "2024-01-30T15:30:00Z"}, math.NaN()},
		{"Alpha Vantage", "timestamp,1. open,2. high,3. low,4. close,5. volume\n2024-01-31,11,13,10,12,600\n2024-01-30,10,12,9,11,500\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Polygon", "t,o,h,l,c,v,vw\n1706607000000000000,10,12,9,11,500,1\n1706610600000000000,11,13,10,12,600,1\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"Nasdaq", "Date,Close/Last,Volume,Open,High,Low\n01/31/2024,$12.00,600,$11.00,$13.00,$10.00\n01/30/2024,$11.00,500,$10.00,$12.00,$9.00\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Barchart", "Time,Open,High,Low,Last,Change,Volume\n01/31/2024,11,13,10,12,1,600\n01/30/2024,10,12,9,11,1,500\n\"Downloaded from Barchart.com as of 02-01-2024\"\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"investing.com", "\ufeff\"Date\",\"Price\",\"Open\",\"High\",\"Low\",\"Vol.\",\"Change %\"\n\"01/31/2024\",\"12.00\",\"11.00\",\"13.00\",\"10.00\",\"1.2M\",\"9.09%\"\n\"01/30/2024\",\"11.00\",\"10.00\",\"12.00\",\"9.00\",\"0.50K\",\"1%\"\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"investing.com, German", "\"Datum\",\"Zuletzt\",\"Eröffn.\",\"Hoch\",\"Tief\",\"Vol.\",\"+/- %\"\n\"31.01.2024\",\"12,00\",\"11,00\",\"13,00\",\"10,00\",\"1,2M\",\"9,09%\"\n\"30.01.2024\",\"11,00\",\"10,00\",\"12,00\",\"9,00\",\"0,50K\",\"1%\"\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"investing.com, Russian", "\"Дата\",\"Цена\",\"Откр.\",\"Макс.\",\"Мин.\",\"Объём\",\"Изм. %\"\n\"31.01.2024\",\"12,00\",\"11,00\",\"13,00\",\"10,00\",\"1,2M\",\"9,09%\"\n\"30.01.2024\",\"11,00\",\"10,00\",\"12,00\",\"9,00\",\"0,50K\",\"1%\"\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"investing.com, Chinese", "\"日期\",\"收盘\",\"开盘\",\"高\",\"低\",\"交易量\",\"涨跌幅\"\n\"2024-1-31\",\"12.00\",\"11.00\",\"13.00\",\"10.00\",\"1.2M\",\"9.09%\"\n\"2024-1-30\",\"11.00\",\"10.00\",\"12.00\",\"9.00\",\"0.50K\",\"1%\"\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"ariva", "Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen\n2024-01-31;11,00;13,00;10,00;12,00;1;600\n2024-01-30;10,00;12,00;9,00;11,00;1;500\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"thousands", "Datum;Eröffnung;Höchst;Tiefst;Schluss;Umsatz\n30.01.2024;10,00;12,00;9,00;11,00;1.234.500\n31.01.2024;11,00;13,00;10,00;12,00;600\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 1234500},
		{"Spanish", "Fecha;Último;Apertura;Máximo;Mínimo;Vol.\n31.01.2024;12,00;11,00;13,00;10,00;1,2M\n30.01.2024;11,00;10,00;12,00;9,00;0,5K\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"French", "date;ouverture;plus haut;plus bas;clôture;volume\n30/01/2024;10,00;12,00;9,00;11,00;500\n31/01/2024;11,00;13,00;10,00;12,00;600\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Polish", "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen\n2024-01-30,10,12,9,11,500\n2024-01-31,11,13,10,12,600\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Japanese", "日付,始値,高値,安値,終値,出来高\n2024/1/30,10,12,9,11,500\n2024/1/31,11,13,10,12,600\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Polygon", "ticker,volume,open,close,high,low,window_start,transactions\nX,500,10,11,12,9,1706607000000000000,3\nX,600,11,12,13,10,1706610600000000000,4\n", "X", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"UTC", "UTC,Open,High,Low,Close,Volume\n30.01.2024 09:30:00.000 UTC,10,12,9,11,500\n30.01.2024 10:30:00.000 UTC,11,13,10,12,600\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"months", "Month,Open,High,Low,Close,Volume\n2024-01-01,10,12,9,11,500\n2024-02-01,11,13,10,12,600\n", "F", [2]string{"2024-01-01", "2024-02-01"}, 500},
		{"Tushare", "ts_code,trade_date,open,high,low,close,pre_close,vol,amount\nX.SZ,20240131,11,13,10,12,11,600,1\nX.SZ,20240130,10,12,9,11,10,500,1\n", "X.SZ", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Dukascopy", "Gmt time,Open,High,Low,Close,Volume\n30.01.2024 09:30:00.000,10,12,9,11,500\n30.01.2024 10:30:00.000,11,13,10,12,600\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"Dukascopy, local", "Local time,Open,High,Low,Close,Volume\n30.01.2024 10:30:00.000 GMT+0100,10,12,9,11,500\n30.01.2024 11:30:00.000 GMT+0100,11,13,10,12,600\n", "F", [2]string{"2024-01-30T09:30:00Z", "2024-01-30T10:30:00Z"}, 500},
		{"quantmod", "\"Index\",\"AAPL.Open\",\"AAPL.High\",\"AAPL.Low\",\"AAPL.Close\",\"AAPL.Volume\",\"AAPL.Adjusted\"\n2024-01-30,10,12,9,11,500,1\n2024-01-31,11,13,10,12,600,1\n", "AAPL", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"pandas, row numbers", ",Date,Open,High,Low,Close,Volume\n0,2024-01-30,10,12,9,11,500\n1,2024-01-31,11,13,10,12,600\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Yahoo, web table", "Date\tOpen\tHigh\tLow\tClose*\tAdj Close**\tVolume\nJan 31, 2024\t11.00\t13.00\t10.00\t12.00\t12.00\t600\nJan 30, 2024\t10.00\t12.00\t9.00\t11.00\t11.00\t500\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"Excel", "sep=;\nDate;Open;High;Low;Close;Volume;\n45321;10;12;9;11;500;\n45322;11;13;10;12;600;\n", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
		{"carriage returns", "Date,Open,High,Low,Close,Volume\r2024-01-30,10,12,9,11,500\r2024-01-31,11,13,10,12,600\r", "F", [2]string{"2024-01-30", "2024-01-31"}, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r, err := read(strings.NewReader(c.text), "F_1.csv")
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Candles) != 2 {
				t.Fatalf("%d candles, want 2", len(s.Candles))
			}
			for i, want := range []Candle{{Open: 10, High: 12, Low: 9, Close: 11}, {Open: 11, High: 13, Low: 10, Close: 12}} {
				got := s.Candles[i]
				if got.Open != want.Open || got.High != want.High || got.Low != want.Low || got.Close != want.Close || stamp(got.Time) != c.times[i] {
					t.Errorf("candle %d = %v, want %v at %s", i, got, want, c.times[i])
				}
			}
			if v := s.Candles[0].Volume; v != c.volume && !(math.IsNaN(v) && math.IsNaN(c.volume)) {
				t.Errorf("volume %v, want %v", v, c.volume)
			}
			if s.Symbol != c.symbol {
				t.Errorf("symbol %s, want %s", s.Symbol, c.symbol)
			}
			if len(r.Changes) != 0 || r.Widened != 0 {
				t.Errorf("something was changed: %+v", r)
			}
		})
	}
}

// Times of day that are numbers have no zeros in front.
func TestClocksThatAreNumbers(t *testing.T) {
	text := "Date,Time,Open,High,Low,Close\n"
	for i := range 72 {
		text += fmt.Sprintf("2024-01-%02d,%%d,10,12,9,11\n", 10+i/24)
	}
	of := func(from, per int) string {
		var clocks []any
		for i := range 72 {
			clocks = append(clocks, (from+i%24)*per)
		}
		return fmt.Sprintf(text, clocks...)
	}
	for _, c := range []struct {
		name, text string
		first      time.Time
	}{
		{"0, 100, 200", of(0, 100), day(2024, 1, 10)},
		{"0, 10000, 20000", of(0, 10_000), day(2024, 1, 10)},
		{"0 to 23", of(0, 1), day(2024, 1, 10)},
		{"1 to 24", of(1, 1), day(2024, 1, 10).Add(time.Hour)},
		{"100 to 2400", of(1, 100), day(2024, 1, 10).Add(time.Hour)},
		{"hour", strings.Replace(of(0, 1), "Time", "Hour", 1), day(2024, 1, 10)},
	} {
		s, r, err := read(strings.NewReader(c.text), "F.csv")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		last := c.first.Add(71 * time.Hour)
		if s.Interval != Hour || len(s.Candles) != 72 || !r.First.Equal(c.first) || !r.Last.Equal(last) || r.Gaps.Count != 0 {
			t.Errorf("%s: %d of %s from %v to %v, %d gaps, want 72 hours from %v", c.name, len(s.Candles), s.Interval, r.First, r.Last, r.Gaps.Count, c.first)
		}
	}
	// Numbers that tell no rows apart are no clock.
	s, _, err := read(strings.NewReader("Date,Time,Open,High,Low,Close\n2024-01-30,1,10,12,9,11\n2024-01-31,2,11,13,10,12\n"), "F.csv")
	if err != nil || s.Interval != Day {
		t.Errorf("row numbers: %v, %v, want days", s, err)
	}
	_, _, err = read(strings.NewReader("Date,Time,Open,High,Low,Close\n01/02/2024,23:00,10,12,9,11\n01/02/2024,24:00,10,12,9,11\n"), "F.csv")
	if !errors.Is(err, ErrDateOrder) || !strings.HasPrefix(err.Error(), `market: F.csv:3: time: "01/02/2024 24:00" is the end of a day that could be another`) {
		t.Errorf("%v, want the order of the dates asked for in line 3", err)
	}
}

// The refusal shows a date that differs; where none does, there is no doubt.
func TestUnsureDateIsOneThatDiffers(t *testing.T) {
	text := "Date,Open,High,Low,Close\n01/01/2024,10,12,9,11\n02/02/2024,10,12,9,11\n"
	if s, _, err := read(strings.NewReader(text), "F.csv"); err != nil || !s.Candles[1].Time.Equal(day(2024, 2, 2)) {
		t.Errorf("%v, %v, want two dates", s, err)
	}
	_, _, err := read(strings.NewReader(text+"03/04/2024,10,12,9,11\n"), "F.csv")
	if want := ":4: time: the order of the dates: day and month could change places in every date: 3 April 2024 or 4 March 2024"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// The form of numbers is found out where it leaves no doubt: spaces can be
// nothing but marks of thousands, and neither can a sign that stands twice.
func TestMarksOfThousands(t *testing.T) {
	french := "Date;Ouverture;Haut;Bas;Clôture;Volume\n2024-01-30;40 000,0;41 000,5;39 000,0;40 500,0;1 234 567\n2024-01-31;40 500,0;41 000,0;40 000,0;40 250,5;2 000 000\n"
	dots := "Date;Open;High;Low;Close;Volume\n2024-01-30;88.22;89.5;87.1;88.0;9.030.644\n2024-01-31;88.0;88.9;87.2;88.5;930.644\n"
	commas := "Date;Open;High;Low;Close;Volume\n2024-01-30;88,22;89,5;87,1;88,0;9,030,644\n2024-01-31;88,0;88,9;87,2;88,5;930,644\n"
	for _, c := range []struct {
		name, text   string
		decimal      string
		open, volume float64
	}{
		{"space", french, "", 40_000, 1_234_567},
		{"no-break space", strings.ReplaceAll(french, " ", "\u00a0"), "", 40_000, 1_234_567},
		{"narrow no-break space", strings.ReplaceAll(french, " ", "\u202f"), "", 40_000, 1_234_567},
		{"Swiss", strings.NewReplacer(" ", "'", ",", ".").Replace(french), "", 40_000, 1_234_567},
		{"dots beside points", dots, "", 88.22, 9_030_644},
		{"dots beside points, named", dots, ".", 88.22, 9_030_644},
		{"commas beside commas", commas, "", 88.22, 9_030_644},
	} {
		s, _, err := readWith(strings.NewReader(c.text), "F.csv", Options{Decimal: c.decimal})
		if err != nil || s.Candles[0].Open != c.open || s.Candles[0].Volume != c.volume {
			t.Errorf("%s: %v, %v, want open %v and volume %v", c.name, s, err, c.open, c.volume)
		}
	}
}

// Headers in other encodings than UTF-8; the rows are ASCII in all of them.
func TestReadsOtherEncodings(t *testing.T) {
	const rows = "30.01.2024;10,00;12,00;9,00;11,00;500\n31.01.2024;11,00;13,00;10,00;12,00;600\n"
	for _, c := range []struct {
		name   string
		as     encoding.Encoding
		header string
	}{
		{"windows-1252", charmap.Windows1252, "Datum;Eröffnung;Höchst;Tiefst;Schluß;Stück\n"},
		{"windows-1251", charmap.Windows1251, "Дата;Откр.;Макс.;Мин.;Цена;Объём\n"},
		{"GB18030", simplifiedchinese.GB18030, "日期;开盘价;最高价;最低价;收盘价;成交量\n"},
		{"UTF-16", textunicode.UTF16(textunicode.LittleEndian, textunicode.UseBOM), "Date;Open;High;Low;Close;Volume\n"},
		{"UTF-16, big endian", textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM), "Date;Open;High;Low;Close;Volume\n"},
	} {
		text, err := c.as.NewEncoder().Bytes([]byte(c.header + rows))
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := read(bytes.NewReader(text), "F.csv")
		if err != nil || len(s.Candles) != 2 || s.Candles[0].Volume != 500 {
			t.Errorf("%s: %v, %v, want 2 candles", c.name, s, err)
		}
	}
}

func TestClockReadsManyForms(t *testing.T) {
	for text, want := range map[string]string{
		"2024-01-31":                     "2024-01-31T00:00:00Z",
		"2024/1/5":                       "2024-01-05T00:00:00Z",
		"2024.01.31 15:30":               "2024-01-31T15:30:00Z",
		"20240131":                       "2024-01-31T00:00:00Z",
		"20240131 1530":                  "2024-01-31T15:30:00Z",
		"20240131153001":                 "2024-01-31T15:30:01Z",
		"2024-01-31T15:30:00.123456789Z": "2024-01-31T15:30:00.123456789Z",
		"2024-01-31 15:30:00,5":          "2024-01-31T15:30:00.5Z",
		"2024-01-31 15:30:00-05:00":      "2024-01-31T20:30:00Z",
		"2024-01-31 15:30:00-0500":       "2024-01-31T20:30:00Z",
		"2024-01-31 15:30:00+05:30":      "2024-01-31T10:00:00Z",
		"2024-07-31 15:30:00 EDT":        "2024-07-31T19:30:00Z",
		"2024-01-31 15:30:00 UTC":        "2024-01-31T15:30:00Z",
		"31.01.2024":                     "2024-01-31T00:00:00Z",
		"5.1.24 9:05":                    "2024-01-05T09:05:00Z",
		"31/01/2024 15:30":               "2024-01-31T15:30:00Z",
		"1/31/2024 3:30 PM":              "2024-01-31T15:30:00Z",
		"1/31/2024 12:05 am":             "2024-01-31T00:05:00Z",
		"2024-01-31 24:00":               "2024-02-01T00:00:00Z",
		"20240131240000":                 "2024-02-01T00:00:00Z",
		"01-31-99":                       "1999-01-31T00:00:00Z",
		"31-Jan-49":                      "2049-01-31T00:00:00Z",
		"31-Jan-50":                      "1950-01-31T00:00:00Z",
		"1/31/62":                        "1962-01-31T00:00:00Z",
		"3-Jan-22":                       "2022-01-03T00:00:00Z",
		"Jan 3, 2022":                    "2022-01-03T00:00:00Z",
		"January 3 2022 15:30":           "2022-01-03T15:30:00Z",
		"2022-Jan-03":                    "2022-01-03T00:00:00Z",
		"3 января 2022":                  "2022-01-03T00:00:00Z",
		"03. Dez. 2022":                  "2022-12-03T00:00:00Z",
		"3 août 2022":                    "2022-08-03T00:00:00Z",
		"2024年1月31日":                     "2024-01-31T00:00:00Z",
		"Wed, Jan 31, 2024":              "2024-01-31T00:00:00Z",
		"Wed 01/31/2024":                 "2024-01-31T00:00:00Z",
		"1706715000":                     "2024-01-31T15:30:00Z",
		"1706715000.25":                  "2024-01-31T15:30:00.25Z",
		"1706715000000":                  "2024-01-31T15:30:00Z",
		"1706715000000000":               "2024-01-31T15:30:00Z",
		"1706715000123456789":            "2024-01-31T15:30:00.123456789Z",
		"-252322200":                     "1962-01-02T14:30:00Z",
		"45322.5":                        "2024-01-31T12:00:00Z",
	} {
		c, err := newClock([]string{text}, "")
		if err != nil {
			t.Errorf("newClock(%q): %v", text, err)
			continue
		}
		got, err := c.parse(text)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("parse(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"2024", "2024-13-01", "2024-02-30", "32.01.2024", "Jan 2024", "2024-01-31 25:00", "2024-01-31 10:60", "2024-01-31 10", "2024-01-31 10:00 XYZ",
		"2024-01-31 13:00 PM", "noon", "2024-01-31 10:00+15:00", "2024--", "1/2", "13/13/2024", "99999999999999999999", "20241301", "2024-01-31 10:00:00.", "", "3 3 3 3",
	} {
		c, err := newClock([]string{text}, "")
		if err != nil {
			continue
		}
		if got, err := c.parse(text); err == nil {
			t.Errorf("parse(%q) = %v, want an error", text, got)
		}
	}
}

// A date that tells may come late; what stood before it is turned.
func TestDateOrderIsFoundOut(t *testing.T) {
	const header = "Date,Open,High,Low,Close\n"
	row := func(date string) string { return date + ",10,12,9,11\n" }
	for _, c := range []struct {
		dates string
		order DateOrder
		want  string // the last
	}{
		{"01/10/2024 01/11/2024 01/12/2024 01/16/2024", "", "2024-01-16"},
		{"10/01/2024 11/01/2024 12/01/2024 16/01/2024", "", "2024-01-16"},
		{"10/01/2024 11/01/2024 12/01/2024", DayFirst, "2024-01-12"},
		{"01/10/2024 01/11/2024 01/12/2024", MonthFirst, "2024-01-12"},
		{"24/01/10 24/01/11 24/01/12", YearFirst, "2024-01-12"},
		{"10.01.2024 11.01.2024 12.01.2024", "", "2024-01-12"},
	} {
		text := header
		for date := range strings.FieldsSeq(c.dates) {
			text += row(date)
		}
		s, _, err := readWith(strings.NewReader(text), "F.csv", Options{DateOrder: c.order})
		if err != nil {
			t.Errorf("%s: %v", c.dates, err)
			continue
		}
		if got := stamp(s.Candles[len(s.Candles)-1].Time); got != c.want || s.Interval != Day {
			t.Errorf("%s: last %s, interval %s, want %s, 1d", c.dates, got, s.Interval, c.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	point, comma := numbers{'.', true}, numbers{',', true}
	for _, c := range []struct {
		as   numbers
		text string
		want float64
	}{
		{point, "1234.5", 1234.5},
		{point, "1,234.5", 1234.5},
		{point, "1,234,567", 1234567},
		{point, "$1,234.50", 1234.5},
		{point, "-5.5", -5.5},
		{point, "1e-5", 1e-5},
		{point, "1'234.5", 1234.5},
		{comma, "1234,5", 1234.5},
		{comma, "1.234,5", 1234.5},
		{comma, "1 234,5", 1234.5},
		{comma, "1\u00a0234,5 €", 1234.5},
		{comma, "1.234", 1234},
	} {
		if got, ok := c.as.parse(c.text); !ok || got != c.want {
			t.Errorf("%c: parse(%q) = %v, %v, want %v", c.as.decimal, c.text, got, ok, c.want)
		}
	}
	for _, c := range []struct {
		as   numbers
		text string
	}{
		{point, "1,23.5"},
		{point, "1,,234"},
		{point, ",234"},
		{point, "1234,567"},
		{point, "1.5.5"},
		{point, "0x10"},
		{point, "1_000"},
		{point, ""},
		{point, "--5"},
		{point, "inf"},
		{comma, "1.23"},
		{comma, "1,5,5"},
		{numbers{'.', false}, "1,234"},
	} {
		if got, ok := c.as.parse(c.text); ok {
			t.Errorf("%c: parse(%q) = %v, want no number", c.as.decimal, c.text, got)
		}
	}
	for text, want := range map[string]float64{"1.17K": 1170, "2.21B": 2.21e9, "3M": 3e6, "5": 5, "1.5 m": 1.5e6, "2万": 2e4, "1.5T": 1.5e12} {
		if got, ok := point.parseVolume(text); !ok || got != want {
			t.Errorf("parseVolume(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
}
