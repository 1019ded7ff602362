package main

import (
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/micro-quant/mqc/analysis"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/feature"
	"github.com/micro-quant/mqc/report"
	"github.com/micro-quant/mqc/tokenizer"
)

// analyzeFlags are the flags of analyze.
type analyzeFlags struct {
	data, tokenizer    string
	patterns, outliers bool
	length, top        int
	share, sigmas      float64
}

func (a *app) analyze() *cobra.Command {
	f := &analyzeFlags{length: 3, top: 10, share: .01, sigmas: 3}
	c := &cobra.Command{
		Use:     "analyze",
		Aliases: []string{"analysis"},
		Short:   "Count what a stream of tokens is made of",
		Long: `Count what a stream of tokens is made of: how evenly the vocabulary is used, and
what a token says of the next one, beside what it says when the streams are
shuffled.

--patterns lists rows of tokens that come more often than chance expects, asset
by asset, with the probability of so many. --outliers lists the rarest tokens
and, for candles, the largest moves in units of the volatility known before.`,
		Example: "  mqc analyze --patterns --outliers\n  mqc analyze --data data/all_tokens.txt --patterns --length 2 --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runAnalyze(c, f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.data, "data", "", "token file, folder of CSV files or one CSV file (also --data_file, --tokens_file; default: data/all_tokens.txt, else data)")
	flags.StringVar(&f.tokenizer, "tokenizer", "", "for candles: tokenizer file, or any checkpoint that holds one (default: models/tokenizer.safetensors, else the furthest stage in checkpoints/)")
	flags.BoolVar(&f.patterns, "patterns", false, "list rows of tokens that repeat")
	flags.BoolVar(&f.outliers, "outliers", false, "list rare tokens and large moves")
	flags.IntVar(&f.length, "length", f.length, "tokens of a pattern")
	flags.IntVar(&f.top, "top", f.top, "rows of a table; --json has all")
	flags.Float64Var(&f.share, "share", f.share, "of all tokens: the rarest that make up at most this much")
	flags.Float64Var(&f.sigmas, "sigmas", f.sigmas, "moves of at least so many")
	return c
}

// analysisResult is what analyze prints as JSON.
type analysisResult struct {
	Summary  analysis.Summary   `json:"summary"`
	Patterns []analysis.Pattern `json:"patterns,omitempty"`
	Rare     []analysis.Rare    `json:"rare,omitempty"`
	Moves    []analysis.Move    `json:"moves,omitempty"`
}

func (a *app) runAnalyze(c *cobra.Command, f *analyzeFlags) error {
	switch {
	case f.length < 2:
		return usagef(c, "--length %d: want at least 2", f.length)
	case f.top < 1:
		return usagef(c, "--top %d: want at least 1", f.top)
	case !(f.share > 0 && f.share < 1):
		return usagef(c, "--share %v: want a fraction between 0 and 1", f.share)
	case !(f.sigmas > 0):
		return usagef(c, "--sigmas %v: want a number above 0", f.sigmas)
	}
	streams, b, vocabulary, err := openStreams(f.data, f.tokenizer, false)
	if err != nil {
		return err
	}
	r := analysisResult{Summary: analysis.Summarize(streams, vocabulary, a.seed)}
	if f.patterns {
		r.Patterns = analysis.Patterns(streams, f.length)
	}
	if f.outliers {
		r.Rare, r.Moves = analysis.RareTokens(streams, f.share), analysis.Moves(streams, f.sigmas)
	}
	if a.json {
		return a.printJSON(r)
	}
	a.printSummary(r.Summary)
	if f.patterns {
		a.printPatterns(r.Patterns, f)
	}
	if f.outliers {
		var tok tokenizer.Tokenizer
		if b != nil {
			tok = b.Tokenizer
		}
		a.printRare(r.Rare, tok, f)
		a.printMoves(streams, r.Moves, f)
	}
	return nil
}

func (a *app) printSummary(s analysis.Summary) {
	a.say("%d tokens of %d assets; %d of %d codes occur", s.Tokens, s.Assets, s.Used, s.Vocabulary)
	a.say("entropy      %.4f nats, %.4f bits: as many as %.1f even codes", s.Entropy, s.Entropy/math.Ln2, s.Perplexity)
	a.say("top 10       %s of all tokens", report.Percent(s.Top10))
	a.say("repeats      %s equal the token before", report.Percent(s.Repeats))
	if o := s.Order; o.Shuffles > 0 {
		a.say("order        %.4f nats that a token says of the next; %.4f ± %.4f when shuffled", o.Information, o.Shuffled, o.ShuffledDev)
		a.say("             what order adds: %+.4f nats per token", o.Excess())
	}
}

func (a *app) printPatterns(patterns []analysis.Pattern, f *analyzeFlags) {
	a.say("\npatterns of %d tokens: %d repeat", f.length, len(patterns))
	if len(patterns) == 0 {
		return
	}
	t := newTable("pattern", "times", "by chance", "p")
	for _, p := range patterns[:min(f.top, len(patterns))] {
		t.add(joinTokens(p.Tokens), p.Count, fmt.Sprintf("%.1f", p.Expected), report.PValue(p.P))
	}
	a.say("%s", t)
	a.say("chance is any order within an asset; p is times the number of patterns looked at")
}

func (a *app) printRare(rare []analysis.Rare, tok tokenizer.Tokenizer, f *analyzeFlags) {
	a.say("\nrare tokens: %d make up at most %s", len(rare), report.Percent(f.share))
	if len(rare) == 0 {
		return
	}
	head := []string{"token", "times", "last of"}
	if tok != nil {
		head = append(head, "return", "range")
	}
	t := newTable(head...)
	for _, r := range rare[:min(f.top, len(rare))] {
		last := r.Places[len(r.Places)-1]
		row := []any{r.Token, r.Count, placeText(last)}
		if tok != nil {
			v := tok.Decode(int(r.Token))
			row = append(row, fmt.Sprintf("%+.2f", v[feature.LogReturn]), fmt.Sprintf("%.2f", v[feature.Range]))
		}
		t.add(row...)
	}
	a.say("%s", t)
	if tok != nil {
		a.say("return and range of the candle that a token stands for, in units of the scale")
	}
}

func (a *app) printMoves(streams []*dataset.Stream, moves []analysis.Move, f *analyzeFlags) {
	n := 0
	for _, s := range streams {
		n += len(s.Candles)
	}
	if n == 0 {
		a.say("\nbare tokens have no moves: name candles with --data to see the largest")
		return
	}
	a.say("\nmoves of at least %g sigmas: %d of %d (%.1f under a normal law)", f.sigmas, len(moves), n, float64(n)*math.Erfc(f.sigmas/math.Sqrt2))
	if len(moves) == 0 {
		return
	}
	t := newTable("where", "log return", "sigmas", "token")
	for _, m := range moves[:min(f.top, len(moves))] {
		t.add(placeText(m.Place), fmt.Sprintf("%+.4f", m.Return), fmt.Sprintf("%+.1f", m.Sigmas), m.Token)
	}
	a.say("%s", t)
}

func placeText(p analysis.Place) string {
	if p.Time.IsZero() {
		return fmt.Sprintf("%s %d", p.Asset, p.Index)
	}
	return p.Asset + " " + p.Time.Format("2006-01-02")
}
