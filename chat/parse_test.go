package chat

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/micro-quant/mqc/forecast"
	"github.com/micro-quant/mqc/market"
)

var words = Vocabulary{
	Assets:   []string{"AAPL", "BTC-USD", "EURUSD=X", "NOW", "C", "brk.b", "BRK.B", "UP"},
	Models:   []string{"rl_btc", "best_model", "AAPL"},
	Interval: market.Day,
}

func start() State {
	s := DefaultState()
	s.Asset, s.Model = "BTC-USD", "rl_btc"
	return s
}

// with is a command with all defaults, changed.
func with(k Kind, change func(*Command)) Command {
	c := Command{Kind: k, State: start(), Count: defaultCount, Window: defaultWindow}
	if change != nil {
		change(&c)
	}
	return c
}

func date(text string) time.Time {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return t
}

func above(x float64) Bound { return Bound{Set: true, Value: x} }
func moved(x float64) Bound { return Bound{Set: true, Move: true, Value: x} }

func TestGrammar(t *testing.T) {
	moves := func(m ...float64) func(*Command) { return func(c *Command) { c.Moves = m } }
	event := func(lo, hi Bound, horizon Span) func(*Command) {
		return func(c *Command) { c.Event, c.Horizon = Event{lo, hi}, horizon }
	}
	rival := func(name string) Command { return with(Compare, func(c *Command) { c.Baseline = name }) }
	none := Bound{}
	for _, c := range []struct {
		text string
		want Command
	}{
		{"forecast", with(Forecast, nil)},
		{"forecast BTC-USD 32d", with(Forecast, func(c *Command) { c.Horizon = Span{32, "d"} })},
		{"  FORECAST  btc-usd   32d ", with(Forecast, func(c *Command) { c.Horizon = Span{32, "d"} })},
		{"forecast 20d", with(Forecast, func(c *Command) { c.Horizon = Span{20, "d"} })},
		{"forecast AAPL 1mo paths 512 temp 0.9 seed 7", with(Forecast, func(c *Command) {
			c.Asset, c.Horizon, c.Paths, c.Temperature, c.Seed = "AAPL", Span{1, "mo"}, 512, .9, 7
		})},
		{"forecast seed 0 8 candles EURUSD=X as of 2024-01-31 model best_model", with(Forecast, func(c *Command) {
			c.Seed, c.Horizon, c.Asset, c.AsOf, c.Model = 0, Span{8, "c"}, "EURUSD=X", "2024-01-31", "best_model"
		})},
		{"forecast asset UP tomorrow", with(Forecast, func(c *Command) { c.Asset, c.Horizon = "UP", Span{1, "d"} })},
		{"forecast C over the next 2 weeks", with(Forecast, func(c *Command) { c.Asset, c.Horizon = "C", Span{2, "w"} })},
		{"forecast brk.b", with(Forecast, func(c *Command) { c.Asset = "brk.b" })},

		{"what if -5% tomorrow", with(WhatIf, moves(-.05))},
		{"what if −8% tomorrow, then flat", with(WhatIf, moves(-.08, 0))},
		{"what if +2%, -1%, flat", with(WhatIf, moves(.02, -.01, 0))},
		{"what if 2% and 3%", with(WhatIf, moves(.02, .03))},
		{"What if it falls by 5% tomorrow?", with(WhatIf, moves(-.05))},
		{"what if tomorrow up 1.5%, then flat for 3d", with(WhatIf, moves(.015, 0, 0, 0))},
		{"what if flat for 2 candles then -1%", with(WhatIf, moves(0, 0, -.01))},
		{"what if AAPL -5% tomorrow 10d seed 3", with(WhatIf, func(c *Command) {
			c.Asset, c.Moves, c.Horizon, c.Seed = "AAPL", []float64{-.05}, Span{10, "d"}, 3
		})},

		{"compare with har", rival(forecast.NamePooledHAR)},
		{"compare with har per asset", rival("HAR-t")},
		{"compare with HAR-t, pooled", rival(forecast.NamePooledHAR)},
		{"compare garch", rival("GARCH-t")},
		{"compare to random walk", rival("random walk")},
		{"compare with ewma", rival("EWMA .94 t")},
		{"compare with garch yearly", rival("GARCH-t, refitted yearly")},
		{"compare with 20-day volatility t", rival("20-day volatility t")},
		{"compare AAPL with drift 5d", with(Compare, func(c *Command) { c.Asset, c.Baseline, c.Horizon = "AAPL", "drift", Span{5, "d"} })},

		{"vol", with(Volatility, nil)},
		{"vol next week", with(Volatility, func(c *Command) { c.Horizon = Span{1, "w"} })},
		{"volatility AAPL next month", with(Volatility, func(c *Command) { c.Asset, c.Horizon = "AAPL", Span{1, "mo"} })},

		{"P(close > 70000 in 10d)", with(Probability, event(above(70000), none, Span{10, "d"}))},
		{"p(close>=70,000 in 10d)", with(Probability, event(above(70000), none, Span{10, "d"}))},
		{"P(close < $70k in 10 days)", with(Probability, event(none, above(70000), Span{10, "d"}))},
		{"P(close between 60,000 and 70,000 in 1mo)", with(Probability, event(above(60000), above(70000), Span{1, "mo"}))},
		{"P(close between -5% and +5%)", with(Probability, event(moved(-.05), moved(.05), Span{20, "c"}))},
		{"P(up in 5d)", with(Probability, event(moved(0), none, Span{5, "d"}))},
		{"P(down tomorrow)", with(Probability, event(none, moved(0), Span{1, "d"}))},
		{"probability it is above 1.5 in 5d AAPL", with(Probability, func(c *Command) {
			c.Event.Above, c.Horizon, c.Asset = above(1.5), Span{5, "d"}, "AAPL"
		})},

		{"show analogues", with(Analogues, nil)},
		{"analogues 3 window 10 AAPL 5d", with(Analogues, func(c *Command) { c.Count, c.Window, c.Asset, c.Horizon = 3, 10, "AAPL", Span{5, "d"} })},
		{"explain", with(Explain, nil)},
		{"explain 8 AAPL", with(Explain, func(c *Command) { c.Count, c.Asset = 8, "AAPL" })},
		{"use BTC-USD", with(Use, func(c *Command) { c.State = State{Asset: "BTC-USD"} })},
		{"use up", with(Use, func(c *Command) { c.State = State{Asset: "UP"} })},
		{"use best_model", with(Use, func(c *Command) { c.State = State{Model: "best_model"} })},
		{"use model AAPL", with(Use, func(c *Command) { c.State = State{Model: "AAPL"} })},
		{"as of 2024-01-31", with(AsOf, func(c *Command) { c.AsOf = "2024-01-31" })},
		{"as of latest", with(AsOf, nil)},
		{"calibration", with(Calibration, nil)},
		{"calibration best_model", with(Calibration, func(c *Command) { c.Model = "best_model" })},
		{"show models", with(Models, nil)},
		{"assets", with(Assets, nil)},
		{"help", with(Help, nil)},
		{"help what if", with(Help, func(c *Command) { c.Topic = WhatIf })},
		{"help p", with(Help, func(c *Command) { c.Topic = Probability })},
	} {
		got, err := words.Parse(c.text, start())
		if err != nil {
			t.Errorf("Parse(%q): %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Parse(%q): want -, got +\n%s", c.text, diff)
		}
	}
}

func TestNonsenseIsAnsweredWithTheNearestCommands(t *testing.T) {
	for _, c := range []struct {
		text   string
		reason string
		near   Kind // the first; "": any
	}{
		{"", "an empty line", Forecast},
		{"  ?? ", "an empty line", Forecast},
		{"hello there", `no command begins with "hello"`, Forecast},
		{"forecst 20d", `no command begins with "forecst"`, Forecast},
		{"what would happen if it drops 5%", `no command begins with "what"`, WhatIf},
		{"how volatile is it", `no command begins with "how"`, ""},
		{"chance of up", `no command begins with "chance"`, Probability},
		{"btc-usd", "BTC-USD is an asset: what about it?", ""},
		{"forecast 20", "20 of what?", Forecast},
		{"forecast DOGE", `no asset "DOGE"`, Forecast},
		{"forecast Brk.b", `no asset "Brk.b"`, Forecast}, // two are spelled so
		{"forecast 20d 30d", "the horizon is said twice", Forecast},
		{"forecast AAPL BTC-USD", "the asset is said twice", Forecast},
		{"forecast seed 1 seed 2", "the seed is said twice", Forecast},
		{"forecast UP", "asset UP", Forecast},
		{"forecast 0d", "", Forecast},
		{"forecast 100001d", "horizon", Forecast},
		{"forecast paths 0", `paths "0"`, Forecast},
		{"forecast paths", `paths ""`, Forecast},
		{"forecast temp -1", `temp "-1"`, Forecast},
		{"forecast temp NaN", `temp "nan"`, Forecast},
		{"forecast seed -1", `seed "-1"`, Forecast},
		{"forecast window 3", "window", Forecast},
		{"forecast as of yesterday", `as of "yesterday"`, Forecast},
		{"what if", "what if what?", WhatIf},
		{"what if 5", "", WhatIf},
		{"what if -5", "in percent? then it is -5%", WhatIf},
		{"what if -100%", "more than -100%", WhatIf},
		{"what if 1e9%", "at most 1000%", WhatIf},
		{"what if NaN%", "move", WhatIf},
		{"what if -1.00000001%", "6 digits", WhatIf},
		{"what if down -5%", "the sign already", WhatIf},
		{"what if down 150%", "less than 100%", WhatIf},
		{"what if flat for 1w", "flat for 3 candles", WhatIf},
		{"what if -1% -2% tomorrow", "tomorrow is the first move", WhatIf},
		{"what if flat for 999 candles, flat for 2 candles", "more than 1000", WhatIf},
		{"compare", "compare with what?", Compare},
		{"compare with prophet", `no asset "prophet"`, Compare},
		{"P()", "the probability of what?", Probability},
		{"P(close)", "want >, <, between", Probability},
		{"P(close > )", "want a close", Probability},
		{"P(close > -3)", "positive", Probability},
		{"P(close > inf)", "want a close", Probability},
		{"P(close between 5)", "between 5 and what?", Probability},
		{"P(close between 7 and 5)", "lower one first", Probability},
		{"P(up down)", "the event is said twice", Probability},
		{"show", "no command", ""},
		{"show analogues window 0", `window "0"`, Analogues},
		{"explain -1", "", Explain},
		{"use", "use what?", Use},
		{"use AAPL", "an asset and a model", Use},
		{"use DOGE", "no asset and no model", Use},
		{"use C now", "one word too many", Use},
		{"as of", "as of when?", AsOf},
		{"as of 2024-02-30", "want a date", AsOf},
		{"models please", "one word too many", Models},
		{"calibration DOGE", `no model "DOGE"`, Calibration},
		{"help me", `help on "me"`, Help},
		{strings.Repeat("x", maxLine+1), "at most 1000", ""},
	} {
		_, err := words.Parse(c.text, start())
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q) = %v, want a SyntaxError", c.text, err)
			continue
		}
		if !strings.Contains(syntax.Reason, c.reason) {
			t.Errorf("Parse(%q): %q, want %q", c.text, syntax.Reason, c.reason)
		}
		if n := len(syntax.Near); n < 1 || n > maxNear || c.near != "" && syntax.Near[0].Kind != c.near {
			t.Errorf("Parse(%q): nearest %v, want %q first", c.text, syntax.Near, c.near)
		}
		if !strings.Contains(err.Error(), syntax.Near[0].Syntax) {
			t.Errorf("Parse(%q): %v does not name the nearest command", c.text, err)
		}
	}
}

// A move of the next candle is not one of tomorrow where candles are of an hour.
func TestTomorrowIsADay(t *testing.T) {
	hourly := words
	hourly.Interval = market.Hour
	if _, err := hourly.Parse("what if -5% tomorrow", start()); err == nil || !strings.Contains(err.Error(), "of 1h") {
		t.Errorf("%v", err)
	}
	if c, err := hourly.Parse("what if flat for 3h", start()); err != nil || len(c.Moves) != 3 {
		t.Errorf("%v, %v", c.Moves, err)
	}
}

func TestEveryUsageIsUnderstood(t *testing.T) {
	for _, u := range Usages() {
		c, err := words.Parse(u.Example, start())
		if err != nil || c.Kind != u.Kind {
			t.Errorf("%q: %v, %v", u.Example, c.Kind, err)
		}
		if _, err := words.Parse("help "+u.Kind.said(), start()); err != nil {
			t.Error(err)
		}
	}
}

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"fo", []string{"forecast"}},
		{"co", []string{"compare"}},
		{"what ", []string{"if"}},
		{"show a", []string{"analogues", "assets"}},
		{"as o", []string{"of"}},
		{"forecast bt", []string{"BTC-USD"}},
		{"forecast p", []string{"paths"}},
		{"compare with g", []string{"garch", "garch yearly", "gjr"}},
		{"use B", []string{"BRK.B", "BTC-USD", "best_model", "brk.b"}},
		{"forecast model ", []string{"AAPL", "best_model", "rl_btc"}},
		{"calibration r", nil},
		{"calibration model r", []string{"rl_btc"}},
		{"as of l", []string{"latest"}},
		{"help w", []string{"what"}},
		{"P(cl", []string{"close"}},
		{"nonsense ", nil},
	} {
		if got := words.Complete(c.line); !slices.Equal(got, c.want) {
			t.Errorf("Complete(%q) = %q, want %q", c.line, got, c.want)
		}
	}
}

// What is understood is repeated so that it is understood the same.
func FuzzParse(f *testing.F) {
	for _, u := range usages {
		f.Add(u.Example)
	}
	for _, text := range []string{"forecast 20", "what if −8% tomorrow, then flat for 3d", "P(between -5% and 70,000 in 1mo)", "compare with har-t, pooled", "explain 8 asset UP", "use model AAPL", "vol next week temp 1e-300", "what if +"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words.Complete(text)
		c, err := words.Parse(text, start())
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || len(syntax.Near) == 0 || syntax.Reason == "" {
				t.Fatalf("Parse(%q) = %v", text, err)
			}
			return
		}
		again, err := words.Parse(c.String(), start())
		if err != nil {
			t.Fatalf("%q is %q: %v", text, c, err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatalf("%q is %q, and that is another command:\n%s", text, c, diff)
		}
	})
}

func TestSpanCandles(t *testing.T) {
	// Weekdays, ending on Friday 2024-05-31.
	daily := &market.Series{Symbol: "X", Interval: market.Day}
	for d := date("2024-01-01"); !d.After(date("2024-05-31")); d = d.AddDate(0, 0, 1) {
		if wd := d.Weekday(); wd != time.Saturday && wd != time.Sunday {
			daily.Candles = append(daily.Candles, market.Candle{Time: d, Open: 1, High: 1, Low: 1, Close: 1})
		}
	}
	weekly := &market.Series{Symbol: "Y", Interval: market.Week, Candles: []market.Candle{{Time: date("2024-05-24")}, {Time: date("2024-05-31")}}}
	for _, c := range []struct {
		span   string
		series *market.Series
		want   int
	}{
		{"20d", daily, 20},
		{"7c", daily, 7},
		{"1w", daily, 5},
		{"1mo", daily, 20}, // until June 30
		{"2w", weekly, 2},
		{"1mo", weekly, 4},
		{"1y", weekly, 52},
	} {
		s, err := ParseSpan(c.span)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Candles(c.series); err != nil || got != c.want {
			t.Errorf("%s of %s: %d, %v, want %d", c.span, c.series.Interval, got, err, c.want)
		}
	}
	if _, err := (Span{3, "d"}).Candles(weekly); !errors.Is(err, ErrShorter) {
		t.Errorf("3 days of weeks: %v", err)
	}
	if _, err := (Span{maxSpan, "y"}).Candles(daily); err == nil {
		t.Error("100000 years of days")
	}
	for _, text := range []string{"", "d", "20", "0d", "-1d", "20x", "1e3d", "100001d", "20 d"} {
		if s, err := ParseSpan(text); err == nil {
			t.Errorf("ParseSpan(%q) = %v", text, s)
		}
	}
}

// docs/chat.md has every command as help shows it, and every baseline.
func TestDocumentNamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../docs/chat.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(text), `\|`, "|")
	for _, u := range Usages() {
		if !strings.Contains(page, "`"+u.Syntax+"`") {
			t.Errorf("docs/chat.md has no `%s`", u.Syntax)
		}
	}
	for _, word := range Baselines() {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("docs/chat.md does not name the baseline %s", word)
		}
	}
}

// Every baseline has a word in the grammar, and the other way round.
func TestBaselinesAreThoseOfForecast(t *testing.T) {
	var names []string
	for _, b := range baselines {
		names = append(names, b.name)
	}
	want := append(forecast.BaselineNames(), forecast.NamePooledHAR)
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
