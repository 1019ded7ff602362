package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/micro-quant/mqc/checkpoint"
	"github.com/micro-quant/mqc/dataset"
	"github.com/micro-quant/mqc/gpt"
	"github.com/micro-quant/mqc/market"
	"github.com/micro-quant/mqc/predict"
)

// bindSampler registers how tokens are drawn.
func bindSampler(flags *pflag.FlagSet, s *gpt.Sampler) {
	flags.Float64Var(&s.Temperature, "temperature", s.Temperature, "1 is the model's own distribution, 0 greedy (also --temp)")
	flags.IntVar(&s.TopK, "top-k", s.TopK, "draw from the k likeliest tokens; 0 is all")
	flags.Float64Var(&s.TopP, "top-p", s.TopP, "draw from the likeliest tokens that reach this mass; 0 is all")
}

func (a *app) generate() *cobra.Command {
	var path, seedTokens, precision string
	g := gpt.Generation{Paths: 1, Steps: 50, Sampler: gpt.Sampler{Temperature: 1}}
	c := &cobra.Command{
		Use:     "generate",
		Aliases: []string{"gen", "base_sample"},
		Short:   "Continue a row of tokens",
		Example: `  mqc generate --seed_tokens "80 81 83 89 66" --num_generate 50 --temperature 0.8 --top_k 50`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				path = newestCheckpoint()
			}
			if err := g.Sampler.Validate(); err != nil {
				return newUsageError(c, err)
			}
			if g.Paths < 1 || g.Steps < 1 {
				return usagef(c, "%d samples of %d tokens: want at least one of each", g.Paths, g.Steps)
			}
			tokens, err := parseTokenList(seedTokens)
			if err != nil {
				return newUsageError(c, err)
			}
			b, err := openAt(c, path, precision)
			if err != nil {
				return err
			}
			g.Seed = a.seed
			generated, err := a.continueTokens(c.Context(), b, tokens, g)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"checkpoint": path, "prompt": tokens, "samples": generated})
			}
			for _, row := range generated {
				a.say("%s", joinTokens(row))
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&path, "checkpoint", "", "checkpoint (default: the furthest stage in checkpoints/)")
	flags.StringVar(&seedTokens, "seed-tokens", "80 81 83 89 66", "tokens to continue")
	flags.Var(&seedFlag{&a.seed, &seedTokens}, "seed", "seed of everything random; several numbers are tokens, as in --seed_tokens")
	flags.IntVar(&g.Steps, "num-generate", g.Steps, "tokens to generate (also --num)")
	flags.IntVar(&g.Paths, "samples", g.Paths, "rows to generate (also --num_samples)")
	bindOwnPrecision(flags, &precision)
	bindSampler(flags, &g.Sampler)
	return c
}

// continueTokens draws what may follow tokens. A model that sees more than tokens
// is given what it would see if they were the candles of an unknown asset.
func (a *app) continueTokens(ctx context.Context, b *checkpoint.Bundle, tokens []int32, g gpt.Generation) ([][]int32, error) {
	if !b.Inputs.Any() {
		return b.Runner().Generate(ctx, gpt.Prompt{Tokens: tokens}, g)
	}
	codec, s, err := a.imagine(b, tokens)
	if err != nil {
		return nil, err
	}
	paths, err := predict.Paths(ctx, b.Runner(), codec, s, len(tokens), len(tokens), g)
	if err != nil {
		return nil, err
	}
	generated := make([][]int32, len(paths))
	for i, p := range paths {
		generated[i] = p.Tokens
	}
	return generated, nil
}

// imagine makes tokens the candles of an unknown asset, and says so.
func (a *app) imagine(b *checkpoint.Bundle, tokens []int32) (codec dataset.Codec, s *dataset.Stream, err error) {
	if T := b.Model.SeqLen; len(tokens) > T {
		return codec, nil, fmt.Errorf("tokens: %d of them: %w of %d", len(tokens), gpt.ErrContext, T)
	}
	for i, token := range tokens {
		if int(token) >= b.Model.Vocab {
			return codec, nil, fmt.Errorf("tokens: token %d at position %d: %w 0…%d", token, i, gpt.ErrVocabulary, b.Model.Vocab-1)
		}
	}
	if codec, err = b.Codec(); err != nil {
		return codec, nil, err
	}
	interval, err := market.ParseInterval(b.Interval)
	if err != nil {
		return codec, nil, err
	}
	last := b.Split.TestFrom.Add(-time.Duration(interval))
	if s, err = codec.Imagine(tokens, interval, last); err != nil {
		return codec, nil, err
	}
	a.talk("the model sees more than tokens: they are taken for the candles of an unknown asset up to %s, after average volatility", last.Format(interval.Layout()))
	return codec, s, nil
}

// seedFlag is --seed of generate: one number seeds what is random, and a row of
// numbers is tokens, as the specification's own sampling script had it.
type seedFlag struct {
	seed   *uint64
	tokens *string
}

func (f *seedFlag) String() string {
	if f.seed == nil {
		return "" // the zero value, which pflag asks for
	}
	return strconv.FormatUint(*f.seed, 10)
}

func (*seedFlag) Type() string { return "uint" }

func (f *seedFlag) Set(text string) error {
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		*f.seed = n
		return nil
	}
	tokens, err := parseTokenList(text)
	if err != nil || len(tokens) < 2 {
		return fmt.Errorf("want a seed such as 7, or tokens such as \"80 81 83\"")
	}
	*f.tokens = text
	return nil
}

func (a *app) logits() *cobra.Command {
	var path, text, precision string
	var all bool
	c := &cobra.Command{
		Use:   "logits",
		Short: "Print raw logits as JSON, to compare with other implementations",
		Long: `Print raw logits as JSON, to compare with other implementations. A model that sees
more than tokens takes them for the candles of an unknown asset; what it then sees,
cond and features of each token, is printed too.`,
		Example: `  mqc logits --checkpoint checkpoints/best_model.pt --tokens "1 2 3" --all`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if path == "" {
				path = newestCheckpoint()
			}
			tokens, err := parseTokenList(text)
			if err != nil {
				return newUsageError(c, err)
			}
			b, err := openAt(c, path, precision)
			if err != nil {
				return err
			}
			in, m := gpt.Input{B: 1, T: len(tokens), Tokens: tokens}, b.Model
			if m.Outputs > 0 {
				return fmt.Errorf("logits: %w", gpt.ErrNoLogits)
			}
			if b.Inputs.Any() {
				_, s, err := a.imagine(b, tokens)
				if err != nil {
					return err
				}
				in.Cond, in.Features = s.Cond, s.Features
			}
			if err := m.Check(in); err != nil {
				return err
			}
			var w gpt.Workspace
			rows := slices.Collect(slices.Chunk(b.Runner().Forward(&w, in), m.Width()))
			if !all {
				rows = rows[len(rows)-1:]
			}
			out := map[string]any{"tokens": tokens, "logits": rows}
			if len(m.Cond) > 0 {
				out["cond"] = slices.Collect(slices.Chunk(in.Cond, len(m.Cond)))
			}
			if m.Features > 0 {
				out["features"] = slices.Collect(slices.Chunk(in.Features, m.Features))
			}
			return a.printJSON(out)
		},
	}
	c.Flags().StringVar(&path, "checkpoint", "", "checkpoint (default: the furthest stage in checkpoints/)")
	c.Flags().StringVar(&text, "tokens", "", "tokens of the prompt")
	bindOwnPrecision(c.Flags(), &precision)
	c.Flags().BoolVar(&all, "all", false, "one row per position, not only the last")
	return c
}

// parseTokenList reads integers between spaces or commas.
func parseTokenList(text string) ([]int32, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
	if len(fields) == 0 {
		return nil, fmt.Errorf("no tokens: want integers such as \"80 81 83\"")
	}
	tokens := make([]int32, len(fields))
	for i, f := range fields {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("token %q: want an integer from 0", f)
		}
		tokens[i] = int32(n)
	}
	return tokens, nil
}

func joinTokens(tokens []int32) string {
	var b strings.Builder
	for i, t := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(int(t)))
	}
	return b.String()
}
