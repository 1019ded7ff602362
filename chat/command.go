// Package chat is a conversation with a market in a small grammar: a line is parsed
// into a [Command], a command becomes a [Call] of package api, and a [Session] hands
// that over and puts the answer into words. There is no language model: what the
// grammar does not know is answered with the nearest commands, never with a guess.
package chat

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/market"
)

// Kind says what a command asks for.
type Kind string

// The commands.
const (
	Forecast    Kind = "forecast"
	WhatIf      Kind = "what-if"
	Compare     Kind = "compare"
	Volatility  Kind = "volatility"
	Probability Kind = "probability"
	Analogues   Kind = "analogues"
	Explain     Kind = "explain"
	Use         Kind = "use"
	AsOf        Kind = "as-of"
	Calibration Kind = "calibration"
	Models      Kind = "models"
	Assets      Kind = "assets"
	Help        Kind = "help"
)

// said is a kind as answers repeat it.
func (k Kind) said() string {
	for _, b := range beginnings {
		if b.kind == k {
			return strings.Join(b.words, " ")
		}
	}
	return string(k)
}

// Usage is a command as help shows it.
type Usage struct {
	Kind    Kind   `json:"kind"`
	Syntax  string `json:"usage"`
	Example string `json:"example"`
	Says    string `json:"says"`

	parts part     // that may be named
	words []string // that hint at it
}

// part is a set of what a command may name.
type part uint

const (
	withAsset part = 1 << iota
	withModel
	withAsOf
	withHorizon
	withDraw // paths, temp, seed
	withWindow
	withCount
	withMoves
	withEvent
	withBaseline

	withState = withAsset | withModel | withAsOf
)

// Usages lists all commands.
func Usages() []Usage { return slices.Clone(usages) }

var usages = []Usage{
	{
		Forecast, "forecast [ASSET] [HORIZON] [paths N] [temp T] [seed N]", "forecast BTC-USD 32d", "the distribution of the candles to come",
		withState | withHorizon | withDraw,
		[]string{"forecast", "predict", "draw", "paths", "future"},
	},
	{
		WhatIf, "what if MOVE [tomorrow] [, MOVE …] [ASSET] [HORIZON]", "what if -8% tomorrow, then flat", "the forecast where the next closes are given, and how surprising they are",
		withState | withHorizon | withDraw | withMoves,
		[]string{"what", "if", "scenario", "suppose", "drops", "falls", "rises", "tomorrow", "flat", "then"},
	},
	{
		Compare, "compare with BASELINE [ASSET] [HORIZON]", "compare with har", "a simple model's distribution beside that of the model",
		withState | withHorizon | withDraw | withBaseline,
		[]string{"compare", "with", "versus", "against", "baseline", "har", "garch", "ewma"},
	},
	{
		Volatility, "vol [ASSET] [HORIZON]", "vol next week", "the standard deviation of the log return, to come and past",
		withState | withHorizon | withDraw,
		[]string{"vol", "volatility", "volatile", "risk", "sigma"},
	},
	{
		Probability, "P(EVENT [in HORIZON]) [ASSET]", "P(close > 70000 in 10d)", "the probability of a close above, below or between; up or down",
		withState | withHorizon | withDraw | withEvent,
		[]string{"p", "prob", "probability", "chance", "odds", "likely", "close", "above", "below", "between", "up", "down", "<", ">"},
	},
	{
		Analogues, "show analogues [N] [window N] [ASSET] [HORIZON]", "show analogues", "the stretches of training history nearest to the newest candles, and what followed",
		withState | withHorizon | withWindow | withCount,
		[]string{"show", "analogues", "analogs", "similar", "nearest", "history", "past"},
	},
	{
		Explain, "explain [N] [ASSET]", "explain", "the likeliest next tokens, as candles",
		withState | withCount,
		[]string{"explain", "why", "tokens", "token", "likeliest", "candles"},
	},
	{
		Use, "use ASSET | use MODEL", "use BTC-USD", "what later commands are about",
		0,
		[]string{"use", "switch", "asset", "model", "take"},
	},
	{
		AsOf, "as of DATE | as of latest", "as of 2024-01-31", "the last date that is known: the model sees nothing later",
		0,
		[]string{"as", "of", "date", "back", "until", "latest"},
	},
	{
		Calibration, "calibration [MODEL]", "calibration", "how far the model's probabilities can be taken at their word",
		withModel,
		[]string{"calibration", "calibrated", "temperature", "intervals", "coverage"},
	},
	{Models, "models", "models", "the checkpoints, and what they were fitted on", 0, []string{"models", "checkpoints", "list"}},
	{Assets, "assets", "assets", "the assets, and from when to when there are candles", 0, []string{"assets", "symbols", "data", "list"}},
	{Help, "help [COMMAND]", "help what if", "these commands, or one of them", 0, []string{"help", "commands", "how"}},
}

// usage is that of a kind.
func usage(k Kind) Usage {
	return usages[slices.IndexFunc(usages, func(u Usage) bool { return u.Kind == k })]
}

// Span is a horizon as it is said: N candles, or a length of time. Where the unit
// is that of the candles, it counts candles: 20d of daily candles are 20 sessions.
type Span struct {
	N    int
	Unit string // c (candles), m, h, d, w, mo, y; empty for the zero Span
}

// maxSpan bounds N.
const maxSpan = 100_000

// units are those of a Span, by every way of saying them.
var units = map[string]string{
	"c": "c", "candle": "c", "candles": "c", "steps": "c", "step": "c",
	"m": "m", "min": "m", "minute": "m", "minutes": "m",
	"h": "h", "hour": "h", "hours": "h",
	"d": "d", "day": "d", "days": "d",
	"w": "w", "week": "w", "weeks": "w",
	"mo": "mo", "month": "mo", "months": "mo",
	"y": "y", "year": "y", "years": "y",
}

func (s Span) String() string { return strconv.Itoa(s.N) + s.Unit }

// MarshalText is [Span.String], of the zero Span nothing.
func (s Span) MarshalText() ([]byte, error) {
	if s == (Span{}) {
		return nil, nil
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *Span) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*s = Span{}
		return nil
	}
	*s, err = ParseSpan(string(text))
	return err
}

// ParseSpan reads a horizon such as 20d, 1mo or 8c.
func ParseSpan(text string) (Span, error) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.Atoi(digits)
	unit := units[text[len(digits):]]
	if err != nil || n < 1 || n > maxSpan || unit == "" {
		return Span{}, fmt.Errorf("chat: horizon %q: want a number and one of c (candles), m, h, d, w, mo, y, such as 20d", clip(text))
	}
	return Span{n, unit}, nil
}

// ErrShorter says that a horizon ends before the next candle.
var ErrShorter = errors.New("no candle comes so soon")

// Candles is how many candles come within s after the last of a series.
func (s Span) Candles(series *market.Series) (int, error) {
	last := series.Candles[len(series.Candles)-1].Time
	var until time.Time
	if s.Unit == "c" || "1"+s.Unit == series.Interval.String() {
		return s.N, nil
	}
	switch s.Unit {
	case "m":
		until = last.Add(time.Duration(s.N) * time.Minute)
	case "h":
		until = last.Add(time.Duration(s.N) * time.Hour)
	case "d":
		until = last.AddDate(0, 0, s.N)
	case "w":
		until = last.AddDate(0, 0, 7*s.N)
	case "mo":
		until = addMonths(last, s.N)
	case "y":
		until = addMonths(last, 12*s.N)
	default:
		return 0, fmt.Errorf("chat: horizon %q: %q is no unit: %w", s, s.Unit, api.ErrRefused)
	}
	// In seconds, as a time.Duration ends after 292 years.
	most := (until.Unix()-last.Unix())/max(1, int64(time.Duration(series.Interval)/time.Second)) + 1
	if most > maxSpan {
		return 0, fmt.Errorf("chat: %s is about %d candles of %s, want at most %d: %w", s, most, series.Interval, maxSpan, api.ErrRefused)
	}
	candles := 0
	for _, t := range market.NextTimes(series.Times(), series.Interval, int(most)) {
		if t.After(until) {
			break
		}
		candles++
	}
	if candles == 0 {
		return 0, fmt.Errorf("chat: %s after %s: %w, candles are of %s: %w", s, last.Format(series.Interval.Layout()), ErrShorter, series.Interval, api.ErrRefused)
	}
	return candles, nil
}

// addMonths is the same day so many months later, as far as the month goes.
func addMonths(t time.Time, months int) time.Time {
	y, m, d := t.Date()
	ends := time.Date(y, m+time.Month(months)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return t.AddDate(0, months, min(d, ends)-d)
}

// State is what a command takes its missing parts from. In JSON any of them may be
// missing: then it is that of [DefaultState].
type State struct {
	Asset       string  `json:"asset" required:"false" maxLength:"64" doc:"empty: the first one"`
	Model       string  `json:"model" required:"false" maxLength:"255" doc:"empty: the first one"`
	AsOf        string  `json:"as_of" required:"false" maxLength:"10" doc:"last date that is known, such as 2024-01-31; empty: the newest"`
	Horizon     Span    `json:"horizon" required:"false" maxLength:"12" doc:"such as 20d, 1mo or 8c, which are candles"`
	Paths       int     `json:"paths" required:"false" doc:"to draw; default 256"`
	Temperature float64 `json:"temperature" required:"false" doc:"1 is the model's own distribution, as calibrated; default 1"`
	Seed        uint64  `json:"seed" required:"false" doc:"default 1"`
}

// DefaultState is that of a conversation which names nothing.
func DefaultState() State {
	return State{Horizon: Span{20, "c"}, Paths: 256, Temperature: 1, Seed: 1}
}

// UnmarshalJSON fills in what is missing.
func (s *State) UnmarshalJSON(text []byte) error {
	type plain State
	p := plain(DefaultState())
	err := json.Unmarshal(text, &p)
	*s = State(p)
	return err
}

// Bound is one end of an event: a close, or a move of it.
type Bound struct {
	Set   bool
	Move  bool    // Value is a fraction of the last close: .05 is 5% above
	Value float64 // else it is a close
}

// close is the close that b stands for; nil where it is not set.
func (b Bound) close(last float64) *float64 {
	switch {
	case !b.Set:
		return nil
	case b.Move:
		b.Value = last * (1 + b.Value)
	}
	return &b.Value
}

func (b Bound) String() string {
	if b.Move {
		return percentOf(b.Value)
	}
	return number(b.Value)
}

// Event is what a close may do: lie above a bound, below one, or between the two.
type Event struct{ Above, Below Bound }

func (e Event) String() string {
	switch {
	case e.Above.Set && e.Below.Set:
		return "close between " + e.Above.String() + " and " + e.Below.String()
	case e.Above == Bound{Set: true, Move: true}:
		return "up"
	case e.Below == Bound{Set: true, Move: true}:
		return "down"
	case e.Above.Set:
		return "close > " + e.Above.String()
	}
	return "close < " + e.Below.String()
}

// Command is a line that was understood, with what it did not say taken from a
// [State].
type Command struct {
	Kind Kind
	State

	Moves    []float64 // of the next closes, as fractions of the close before: -.05 is −5%
	Event    Event
	Baseline string // its name in forecast
	Count    int    // of analogues or tokens
	Window   int    // candles that analogues resemble
	Topic    Kind   // of help; empty: all
}

// Defaults of what a command does not say and a State does not hold.
const (
	defaultCount  = 5
	defaultWindow = 16
)

// String is the command in full. Parsed again, it gives the same command.
func (c Command) String() string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	parts := usage(c.Kind).parts
	switch c.Kind {
	case WhatIf:
		moves := make([]string, len(c.Moves))
		for i, m := range c.Moves {
			moves[i] = percentOf(m)
		}
		add("what if %s", strings.Join(moves, ", "))
	case Compare:
		add("compare with %s", strings.ToLower(c.Baseline))
	case Probability:
		add("P(%s in %s)", c.Event, c.Horizon)
		parts &^= withHorizon
	case Use:
		if c.Asset != "" {
			return "use asset " + c.Asset
		}
		return "use model " + c.Model
	case AsOf:
		return "as of " + cmp.Or(c.AsOf, "latest")
	case Help:
		return strings.TrimSpace("help " + c.Topic.said())
	default:
		add("%s", c.Kind.said())
	}
	if parts&withCount != 0 {
		add("%d", c.Count)
	}
	if parts&withWindow != 0 {
		add("window %d", c.Window)
	}
	if parts&withAsset != 0 {
		if keyword(c.Asset) {
			add("asset")
		}
		add("%s", c.Asset)
	}
	if parts&withHorizon != 0 {
		add("%s", c.Horizon)
	}
	if parts&withDraw != 0 {
		add("paths %d", c.Paths)
		if c.Temperature != 1 {
			add("temp %s", number(c.Temperature))
		}
		add("seed %d", c.Seed)
	}
	if parts&withModel != 0 {
		add("model %s", c.Model)
	}
	if parts&withAsOf != 0 && c.AsOf != "" {
		add("as of %s", c.AsOf)
	}
	return strings.Join(words, " ")
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// percentOf shows a fraction so that it is read back to the same bits.
func percentOf(x float64) string {
	text := number(math.Round(x*1e8) / 1e6) // six digits are all that is read
	if !strings.HasPrefix(text, "-") {
		text = "+" + text
	}
	return text + "%"
}

// clip bounds what an error repeats of a line.
func clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
