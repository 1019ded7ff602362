package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/micro-quant/mqc/api"
	"github.com/micro-quant/mqc/chat"
)

// chatStart is what a conversation begins with.
type chatStart struct {
	checkpoints       []string
	folder, precision string
	data              string
	asset, asOf       string
	horizon           string
}

func (a *app) chat() *cobra.Command {
	var start chatStart
	var line string
	var noHistory bool
	c := &cobra.Command{
		Use:   "chat",
		Short: "Talk with the market: forecasts, what-ifs, probabilities, in a small grammar",
		Long: `Talk with the market in a small grammar, without a language model:

  forecast BTC-USD 32d          what if -5% tomorrow       compare with har
  P(close > 70000 in 10d)       vol next week              show analogues
  explain                       as of 2024-01-31           help

Every answer names the API call that was asked: mqc serve answers the same. In a terminal Tab completes,
the arrows recall earlier lines, Ctrl-C stops an answer and Ctrl-D leaves. Lines
that come from a pipe are answered one after the other; with --json each gives one
JSON object on one line. docs/chat.md has the whole grammar.`,
		Example: "  mqc chat\n  mqc chat -c \"forecast BTC-USD 5d\"\n  mqc chat --checkpoint checkpoints/best_model.pt,checkpoints/rl_btc.pt --data data\n  mqc chat --json < questions.txt",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.chatSession(c, start)
			if err != nil {
				return err
			}
			if c.Flags().Changed("command") {
				return a.chatLine(c.Context(), s, line)
			}
			if !a.json && a.atTerminal() {
				return a.converse(c.Context(), s, ttyKeyboard{os.Stdin}, !noHistory)
			}
			return a.chatLines(c.Context(), s, os.Stdin)
		},
	}
	flags := c.Flags()
	bindModels(flags, &start.checkpoints, &start.folder, &start.precision)
	flags.StringVar(&start.data, "data", defaultFolder, "folder of candles, or one file")
	flags.StringVar(&start.asset, "asset", "", "asset at first (default: BTC-USD, or the first one)")
	flags.StringVar(&start.asOf, "as-of", "", "last date that is known at first (default: the newest)")
	flags.StringVar(&start.horizon, "horizon", "20d", "horizon at first: 20d, 1mo, 8c (candles)")
	flags.StringVarP(&line, "command", "c", "", "answer this line and leave")
	flags.BoolVar(&noHistory, "no-history", false, "keep no history of what was asked")
	return c
}

// chatSession opens what a conversation is about.
func (a *app) chatSession(c *cobra.Command, start chatStart) (*chat.Session, error) {
	state := chat.DefaultState()
	state.Asset, state.AsOf, state.Seed = start.asset, start.asOf, a.seed
	if _, err := parseDate("as-of", start.asOf); err != nil {
		return nil, newUsageError(c, err)
	}
	var err error
	if state.Horizon, err = chat.ParseSpan(start.horizon); err != nil {
		return nil, newUsageError(c, err)
	}
	models, err := a.askedModels(c, start.checkpoints, start.folder, start.precision)
	if err != nil {
		return nil, err
	}
	series, err := askedSeries(c, start.data)
	if err != nil {
		return nil, err
	}
	service, err := api.New(api.Config{Models: models, Series: series, Limits: api.DefaultLimits(), Version: version})
	if err != nil {
		return nil, err
	}
	if state.Asset == "" && slices.Contains(service.AssetNames(), defaultAsset) {
		state.Asset = defaultAsset
	}
	s, err := chat.NewSession(service, state)
	if err != nil {
		return nil, newUsageError(c, err)
	}
	return s, nil
}

// defaultAsset is that of the specification.
const defaultAsset = "BTC-USD"

// chatReply is an answer, or why there is none, as --json prints it.
type chatReply struct {
	Line string `json:"line"`
	*chat.Answer
	Error string       `json:"error,omitempty"`
	Near  []chat.Usage `json:"near,omitempty"`
}

// reply answers a line on stdout. With --json a failure is an answer too.
func (a *app) reply(ctx context.Context, s *chat.Session, line string) error {
	answer, err := s.Do(ctx, line)
	if !a.json {
		if err == nil {
			fmt.Fprint(a.out, answer)
		}
		return err
	}
	r := chatReply{Line: line, Answer: answer}
	if err != nil {
		var syntax *chat.SyntaxError
		r.Error = err.Error()
		if errors.As(err, &syntax) {
			r.Error, r.Near = syntax.Reason, syntax.Near
		}
	}
	return errors.Join(err, json.NewEncoder(a.out).Encode(r))
}

// chatLine answers one line: what it does not understand is a wrong command line.
func (a *app) chatLine(ctx context.Context, s *chat.Session, line string) error {
	err := a.reply(ctx, s, line)
	var syntax *chat.SyntaxError
	if errors.As(err, &syntax) {
		return &usageError{err: err, hint: hint(syntax)}
	}
	return err
}

// maxChatLine bounds a line of a pipe, in bytes.
const maxChatLine = 1 << 16

// chatLines answers the lines of a file or a pipe. Empty ones, and those that begin
// with #, are passed over.
func (a *app) chatLines(ctx context.Context, s *chat.Session, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxChatLine)
	asked, failed := 0, 0
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		asked++
		if err := a.reply(ctx, s, line); err != nil {
			failed++
			if ctx.Err() != nil {
				return err
			}
			a.chatFailure(err)
		}
		if !a.json {
			a.say("")
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("chat: line %d: %w", asked+1, err)
	}
	if failed > 0 {
		return fmt.Errorf("chat: %d of %d lines have no answer", failed, asked)
	}
	return nil
}

// chatFailure says why a line has no answer, and what to try.
func (a *app) chatFailure(err error) {
	a.warn("mqc: %v", err)
	if h := hint(err); h != "" {
		a.warn("hint: %s", h)
	}
}

// atTerminal reports whether lines are typed, and answers shown, at a terminal.
func (a *app) atTerminal() bool {
	f, ok := a.out.file()
	return ok && term.IsTerminal(int(f.Fd())) && term.IsTerminal(int(os.Stdin.Fd()))
}
